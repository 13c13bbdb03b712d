"""Rows that a loop multiplies by one matrix at each turn are multiplied at once, before it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tapenet.program.ir import Program
from tapenet.program.passes import products_of_rows
from tests.program.passes.programs import Build, assert_kept, assert_same, constant


def turns(axis: int, left: bool, turned: bool, known: bool, changing: bool = False, part: bool = False) -> Program:
    """A loop that adds up products of rows of a matrix with another one, or with a part of it, which is carried if
    `changing`."""
    numbers = 6 if known else 4
    rows = (6, 20) if axis == 0 else (20, 6)
    factor = (20, 15) if left != turned else (15, 20)
    whole = (factor[0], factor[1] + 2) if part else factor
    body = Build()
    inside = partial(body.input, dtype=np.float64)
    total, number = inside(15), body.input(dtype=np.int64)
    source, given_matrix = inside(*rows), inside(*whole)
    matrix = body.emit("slice", given_matrix, slices=((0, whole[0], 1), (2, whole[1], 1))) if part else given_matrix
    row = body.emit("take", source, number, axis=axis)
    if left:
        product = body.emit("dot", body.reshape(row, (1, 20)), matrix, **({"tb": True} if turned else {}))
    else:
        product = body.emit("dot", matrix, body.reshape(row, (20, 1)), **({"ta": True} if turned else {}))
    after = body.emit("add", total, body.reshape(product, (15,)))
    program = body.program(after, *([body.emit("add", matrix, constant(1, np.float64))] if changing else []))
    b = Build()
    outside = partial(b.input, dtype=np.float64)
    given = [outside(15), *([outside(*whole)] if changing else [])]
    counts = constant(np.arange(numbers) if known else [3, 0, 5, 5], np.int64)
    others = [outside(*rows), *([] if changing else [outside(*whole)])]
    if changing:  # the matrix is carried
        inputs = [total, given_matrix, number, source]
        program = Program(inputs, [], program.body, program.outputs, [])
    results = b.several("loop", *given, counts, *others, body=program, carries=len(given), slices=1, length=numbers)
    return b.program(*results)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_rows_are_multiplied_at_once(axis: int, left: bool, turned: bool, known: bool) -> None:
    assert_same(products_of_rows.run, turns(axis, left, turned, known, part=True), rtol=1e-11)
    changed = assert_same(products_of_rows.run, turns(axis, left, turned, known), rtol=1e-11)
    (loop,) = (i for i in changed.body if i.name == "loop")
    assert [i.name for i in changed.body if i.name in ("take", "dot")] == (["dot"] if known else ["take", "dot"])
    assert not any(i.name == "dot" for i in loop.params["body"].body)
    assert loop.params["slices"] == 2


def test_a_matrix_that_changes_is_multiplied_turn_by_turn() -> None:
    assert_kept(products_of_rows.run, turns(0, True, False, True, changing=True))


def slices(rows: int, batch: int, turned: bool) -> Program:
    """A loop that adds products of slices of some rows with a part of a matrix, or with several such, to what it carries."""
    factor = (batch, 40, 30) if turned else (batch, 30, 40)
    body = Build()
    total, x, whole = body.input(batch, rows, 40), body.input(rows, 30), body.input(2, *factor)
    matrix = body.emit("slice", whole, slices=((1, 2, 1), *((0, n, 1) for n in factor)))
    if batch == 1:
        product = body.emit("dot", x, body.reshape(matrix, factor[1:]), tb=turned)
    else:
        product = body.emit("dot", body.broadcast(x, (batch, rows, 30)), body.reshape(matrix, factor), tb=turned)
    product = body.reshape(product, total.shape)
    after = body.emit("tanh", body.emit("add", total, product))
    b = Build()
    given = [b.input(batch, rows, 40), b.input(5, rows, 30), b.input(2, *factor)]
    return b.program(*b.several("loop", *given, body=body.program(after), carries=1, slices=1, length=5))


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("turned", [True, False])
def test_slices_are_multiplied_at_once(rows: int, batch: int, turned: bool) -> None:
    changed = assert_same(products_of_rows.run, slices(rows, batch, turned), rtol=1e-4)
    (loop,) = (i for i in changed.body if i.name == "loop")
    assert [i.name for i in changed.body].count("dot") == 1
    assert not any(i.name == "dot" for i in loop.params["body"].body)


def test_slices_of_many_rows_are_multiplied_turn_by_turn() -> None:
    assert_kept(products_of_rows.run, slices(products_of_rows.FEW + 1, 1, False))


def test_a_slice_that_is_repeated_along_a_row_is_multiplied_turn_by_turn() -> None:
    """Of as many numbers as a row has."""
    n = 16
    body = Build()
    total, x, matrix = body.input(n, 1, n), body.input(n), body.input(n, n, n)
    product = body.emit("dot", body.broadcast(body.reshape(x, (n, 1, 1)), (n, 1, n)), matrix)
    after = body.emit("tanh", body.emit("add", total, product))
    b = Build()
    given = [b.input(n, 1, n), b.input(5, n), b.input(n, n, n)]
    program = b.program(*b.several("loop", *given, body=body.program(after), carries=1, slices=1, length=5))
    assert_kept(products_of_rows.run, program)
