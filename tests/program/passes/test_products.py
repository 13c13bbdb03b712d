"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Builder, Constant, Program, Value
from tapenet.program.passes import dead, products
from tests.program.passes.programs import Build, assert_kept, assert_property, assert_same, names

TOLERANCE = 1e-4


def cleaned(program: Program) -> Program:
    """After the pass, without what it leaves unused."""
    return dead.run(assert_same(products.run, program, rtol=TOLERANCE))


def turned(b: Builder, x: Value) -> Value:
    """A transpose of the last two axes."""
    made: Value = b.emit("transpose", x, axes=(*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))
    return made


@pytest.mark.parametrize("lead", [(), (5,)])
@pytest.mark.parametrize(("ta", "tb"), [(True, False), (False, True), (True, True)])
def test_transposed_operands_become_flags(lead: tuple[int, ...], ta: bool, tb: bool) -> None:
    b = Build()
    left = b.input(*lead, *((3, 2) if ta else (2, 3)))
    right = b.input(*lead, *((4, 3) if tb else (3, 4)))
    changed = cleaned(b.program(b.emit("dot", turned(b, left) if ta else left, turned(b, right) if tb else right)))
    (dot,) = changed.body
    assert (dot.name, dot.args) == ("dot", (left, right))
    assert dot.params == {name: True for name, flag in (("ta", ta), ("tb", tb)) if flag}


def test_a_flag_and_a_transpose_take_each_other_away() -> None:
    b = Build()
    x, y = b.input(2, 3), b.input(3, 4)
    (dot,) = cleaned(b.program(b.emit("dot", turned(b, x), y, ta=True))).body
    assert (dot.args, dot.params) == ((x, y), {})


def test_a_transposed_column_is_written_as_a_reshape() -> None:
    b = Build()
    x, y = b.input(3, 1), b.input(3, 4)
    (dot,) = cleaned(b.program(b.emit("dot", b.emit("reshape", x, shape=(1, 3)), y))).body
    assert (dot.args, dot.params) == ((x, y), {"ta": True})


@pytest.mark.parametrize("axes", [(1, 0, 2), (2, 1, 0), (0, 1, 2)])
def test_other_transposes_stay(axes: tuple[int, ...]) -> None:
    b = Build()
    x = b.emit("transpose", b.input(2, 2, 2), axes=axes)
    assert_kept(products.run, b.program(b.emit("dot", x, b.input(2, 2, 2))))


def test_other_reshapes_stay() -> None:
    b = Build()
    x = b.emit("reshape", b.input(2, 3), shape=(3, 2))
    assert_kept(products.run, b.program(b.emit("dot", x, b.input(2, 2))))


@pytest.mark.parametrize("lead", [(), (5,)])
@pytest.mark.parametrize("ta", [False, True])
@pytest.mark.parametrize("tb", [False, True])
def test_an_outer_product_is_a_product_of_elements(lead: tuple[int, ...], ta: bool, tb: bool) -> None:
    b = Build()
    left = b.input(*lead, *((1, 3) if ta else (3, 1)))
    right = b.input(*lead, *((4, 1) if tb else (1, 4)))
    changed = cleaned(b.program(b.emit("dot", left, right, ta=ta, tb=tb)))
    assert names(changed) == ["reshape"] * (ta + tb) + ["multiply"]
    assert changed.outputs[0].shape == (*lead, 3, 4)


@pytest.mark.parametrize(("n", "m"), [(1, 4), (3, 1), (1, 1)])
def test_rows_and_columns_stay_products(n: int, m: int) -> None:
    b = Build()
    assert_kept(products.run, b.program(b.emit("dot", b.input(n, 5), b.input(5, m))))


@pytest.mark.parametrize("tb", [False, True])
@pytest.mark.parametrize("lead", [(5,), (2, 5)])
def test_one_matrix_for_a_batch_is_one_product_of_rows(lead: tuple[int, ...], tb: bool) -> None:
    b = Build()
    matrix = b.input(*((4, 3) if tb else (3, 4)))
    right = b.emit("broadcast", matrix, shape=(*lead, *matrix.shape))
    changed = cleaned(b.program(b.emit("dot", b.input(*lead, 2, 3), right, tb=tb)))
    assert names(changed) == ["reshape", "dot", "reshape"]
    assert changed.body[1].results[0].shape == (int(np.prod(lead)) * 2, 4)


def test_one_matrix_for_a_transposed_batch_stays() -> None:
    """Its rows do not lie one after another."""
    b = Build()
    right = b.emit("broadcast", b.input(3, 4), shape=(5, 3, 4))
    assert_kept(products.run, b.program(b.emit("dot", b.input(5, 3, 2), right, ta=True)))


def test_a_batch_that_is_repeated_in_part_stays() -> None:
    b = Build()
    right = b.emit("broadcast", b.input(2, 1, 3, 4), shape=(2, 5, 3, 4))
    assert_kept(products.run, b.program(b.emit("dot", b.input(2, 5, 2, 3), right)))


def test_a_matrix_of_repeated_columns_stays() -> None:
    b = Build()
    right = b.emit("broadcast", b.input(3, 1), shape=(5, 3, 4))
    assert_kept(products.run, b.program(b.emit("dot", b.input(5, 2, 3), right)))


def test_a_product_of_repeated_matrices_is_repeated_after() -> None:
    b = Build()
    left, right = (b.emit("broadcast", b.input(*s), shape=(5, *s)) for s in ((2, 3), (3, 4)))
    assert names(cleaned(b.program(b.emit("dot", left, right)))) == ["dot", "reshape", "broadcast"]


@pytest.mark.parametrize("ta", [False, True])
def test_a_batch_of_one_is_no_batch(ta: bool) -> None:
    b = Build()
    left = b.input(1, *((3, 2) if ta else (2, 3)))
    changed = cleaned(b.program(b.emit("dot", left, b.input(1, 3, 4), ta=ta)))
    assert names(changed) == ["reshape", "reshape", "dot", "reshape"]


def test_a_sum_over_a_batch_is_one_product() -> None:
    """The gradient of a matrix that a batch shares."""
    b = Build()
    x, g = b.input(5, 4, 3), b.input(5, 4, 2)
    summed = b.emit("reduce_add", b.emit("dot", x, g, ta=True), axes=(0,))
    changed = cleaned(b.program(summed))
    assert names(changed) == ["reshape", "reshape", "dot"]
    assert changed.body[2].params == {"ta": True}


@pytest.mark.parametrize("change", ["axes", "rows", "both", "uses", "kind"])
def test_other_sums_of_products_stay(change: str) -> None:
    b = Build()
    flags = {"rows": {}, "both": {"ta": True, "tb": True}}.get(change, {"ta": True})
    dot = b.emit("dot", b.input(3, 3, 3), b.input(3, 3, 3), **flags)
    name = "reduce_maximum" if change == "kind" else "reduce_add"
    summed = b.emit(name, dot, axes=(0, 1) if change == "axes" else (0,))
    assert_kept(products.run, b.program(summed, *([dot] if change == "uses" else [])))


def test_a_transposed_product_of_transposes_is_a_product() -> None:
    b = Build()
    x, y = b.input(3, 2), b.input(4, 3)
    (dot,) = cleaned(b.program(turned(b, b.emit("dot", x, y, ta=True, tb=True)))).body
    assert (dot.args, dot.params) == ((y, x), {})


@pytest.mark.parametrize("flags", [{}, {"ta": True}, {"tb": True}])
def test_other_transposed_products_stay(flags: dict[str, Any]) -> None:
    """Nothing would be gained: a transpose of the result is a view, and may lie in memory as what it meets does."""
    b = Build()
    assert_kept(products.run, b.program(turned(b, b.emit("dot", b.input(3, 3), b.input(3, 3), **flags))))


def test_a_product_that_is_needed_as_it_is_stays() -> None:
    b = Build()
    dot = b.emit("dot", b.input(3, 2), b.input(4, 3), ta=True, tb=True)
    assert_kept(products.run, b.program(dot, turned(b, dot)))


def test_the_transpose_of_an_outer_product_is_that_of_its_factors() -> None:
    b = Build()
    column, row, scale = b.input(3, 1), b.input(4), b.input()
    changed = cleaned(b.program(turned(b, b.emit("where", b.cast(scale, bool), column, row))))
    assert names(changed) == ["cast", "reshape", "reshape", "where"]
    assert [a.shape for a in changed.body[-1].args] == [(), (1, 3), (4, 1)]


def test_the_transpose_of_a_matrix_stays() -> None:
    b = Build()
    assert_kept(products.run, b.program(turned(b, b.emit("add", b.input(3, 4), b.input(4)))))


def test_an_outer_product_that_is_needed_as_it_is_stays() -> None:
    b = Build()
    outer = b.emit("multiply", b.input(3, 1), b.input(4))
    assert_kept(products.run, b.program(outer, turned(b, outer)))


@pytest.mark.parametrize("flags", [{}, {"ta": True}, {"tb": True}, {"ta": True, "tb": True}])
def test_a_product_with_the_identity_is_the_other_matrix(flags: dict[str, bool]) -> None:
    one = Constant(np.eye(4, dtype=np.float32))
    for first in (True, False):
        b = Build()
        x = b.input(4, 4)
        changed = assert_same(
            products.run, b.program(b.emit("dot", *((one, x) if first else (x, one)), **flags)), rtol=1e-6
        )
        turned = flags.get("tb" if first else "ta", False)
        assert names(changed) == ["transpose"] * turned
    b = Build()
    almost = np.eye(4, dtype=np.float32)
    almost[3, 3] = 2
    assert_kept(products.run, b.program(b.emit("dot", Constant(almost), b.input(4, 4))))


@pytest.mark.parametrize("part", [False, True])
def test_a_product_with_rows_of_the_identity_is_rows_of_the_other_matrix(part: bool) -> None:
    """As for a rank's part of the columns of a Jacobian; whether they are a slice or not."""

    def product(rows_first: bool, **flags: bool) -> Program:
        b = Build()
        whole = np.eye(5, dtype=np.float32)
        rows = b.emit("slice", Constant(whole), slices=((1, 4, 1), (0, 5, 1))) if part else Constant(whole[1:4])
        inner = 3 if flags.get("ta" if rows_first else "tb", False) == rows_first else 5
        turned = flags.get("tb" if rows_first else "ta", False) == rows_first
        x = b.input(*((4, inner) if turned else (inner, 4)))
        return b.program(b.emit("dot", *((rows, x) if rows_first else (x, rows)), **flags))

    for first, flags, left in [
        (True, {}, ["slice"]),
        (True, {"tb": True}, ["transpose", "slice"]),
        (False, {"tb": True}, ["slice"]),
        (False, {"ta": True, "tb": True}, ["transpose", "slice"]),
    ]:
        assert names(cleaned(product(first, **flags))) == left
    # Columns of the identity put rows between zeros.
    assert "dot" in names(cleaned(product(True, ta=True)))
    assert "dot" in names(cleaned(product(False)))


@pytest.mark.parametrize(("rows", "columns", "above"), [(4, 4, 1), (4, 4, 3), (2, 3, 2), (3, 5, 3)])
def test_a_product_with_rows_beyond_the_identity_stays(rows: int, columns: int, above: int) -> None:
    """A matrix that shifts has rows of zeros, where the identity has ended."""
    shift = np.eye(rows, columns, above, np.float32)
    for flags in ({}, {"ta": True, "tb": True}):
        b = Build()
        factors = (b.input(columns, 4), Constant(shift)) if flags else (Constant(shift), b.input(columns, 4))
        assert_kept(products.run, b.program(b.emit("dot", *factors, **flags)))


@pytest.mark.parametrize("slices", [((4, -1, -1), (0, 5, 1)), ((0, 5, 1), (4, -1, -1)), ((0, 5, 2), (0, 5, 1))])
def test_a_product_with_other_rows_of_the_identity_stays(slices: tuple[tuple[int, int, int], ...]) -> None:
    b = Build()
    part = b.emit("slice", Constant(np.eye(5, dtype=np.float32)), slices=slices)
    assert_kept(products.run, b.program(b.emit("dot", part, b.input(5, 4))))


def test_random_programs() -> None:
    assert_property(products.run, floats=True, acts=0.02)
    assert_property(products.run, floats=False, acts=0.5)
