"""Products of few rows that a loop only adds up are one product behind it."""

from __future__ import annotations

from typing import Any

import pytest

from tapenet.program.ir import Program
from tapenet.program.passes import sums_of_products
from tests.program.passes.programs import Build, assert_kept, assert_same, constant


def gradients(rows: int, turned: bool, read: bool = False, zero: bool = False) -> Program:
    """A loop back over 6 turns that adds up gradients by a matrix of (16, 20), which also reads them with `read`."""
    body = Build()
    state, total = body.input(rows, 16), body.input(*((20, 16) if turned else (16, 20)))
    x, g = body.input(rows, 16), body.input(rows, 20)
    left: Any = body.emit("multiply", body.emit("tanh", x), state)
    if rows == 1:
        product = body.emit("multiply", body.reshape(left, (16, 1)), g)
    else:
        product = body.emit("dot", left, g, ta=True)
    after = body.emit("add", total, body.transpose(product, (1, 0)) if turned else product)
    more = [body.emit("reduce_add", total, axes=(0, 1))] if read else []
    program = body.program(left, after, left, *more)
    b = Build()
    start: Any = b.input(*total.shape)
    if zero:
        start = b.broadcast(constant(0.0), total.shape)
    given = [b.input(rows, 16), start, b.input(6, rows, 16), b.input(6, rows, 20)]
    return b.program(*b.several("loop", *given, body=program, carries=2, slices=2, length=6, reverse=True))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("zero", [True, False])
def test_one_product_is_behind_the_loop(rows: int, turned: bool, zero: bool) -> None:
    if rows == 1 and turned:
        assert_kept(sums_of_products.run, gradients(rows, turned))
        return
    changed = assert_same(sums_of_products.run, gradients(rows, turned, zero=zero), rtol=1e-4)
    (loop,) = (i for i in changed.body if i.name == "loop")
    assert loop.params["carries"] == 1
    assert not any(i.name == "dot" for i in loop.params["body"].body)
    assert [i.name for i in changed.body].count("dot") == 1
    assert ("add" in changed.names) is not zero


def test_a_sum_that_turns_read_stays() -> None:
    assert_kept(sums_of_products.run, gradients(3, False, read=True))


def test_products_of_many_rows_stay() -> None:
    assert_kept(sums_of_products.run, gradients(sums_of_products.FEW + 1, False))


@pytest.mark.parametrize("shape", [(300, 1), (1, 300), (16, 20)])
@pytest.mark.parametrize("exchanged", [True, False])
def test_columns_times_rows(shape: tuple[int, int], exchanged: bool) -> None:
    """Also of one number."""
    body = Build()
    total, column, row = body.input(*shape), body.input(shape[0], 1), body.input(1, shape[1])
    product = body.emit("multiply", *((row, column) if exchanged else (column, row)))
    program = body.program(body.emit("add", total, product))
    b = Build()
    given = [b.input(*shape), b.input(6, shape[0], 1), b.input(6, 1, shape[1])]
    whole = b.program(*b.several("loop", *given, body=program, carries=1, slices=2, length=6))
    assert assert_same(sums_of_products.run, whole, rtol=1e-4) is not whole


def test_products_of_no_rows_stay() -> None:
    assert_kept(sums_of_products.run, gradients(0, False))
