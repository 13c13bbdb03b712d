"""Products, and rows, that are added to an array become one operation."""

from __future__ import annotations

import numpy as np
import pytest

from tapenet.program.called_ops import Hole
from tapenet.program.ir import Program, Value
from tapenet.program.passes import accumulate
from tapenet.program.primitives import PRIMITIVES
from tests.program.passes.programs import Build, assert_kept, assert_same, constant, names

TOLERANCE = 1e-3
#: The weight has just enough elements.
ROWS, COLUMNS = 64, accumulate.SMALLEST // 64


def changed(program: Program) -> Program:
    return assert_same(accumulate.run, program, rtol=TOLERANCE)


def weight(b: Build) -> Value:
    return b.input(ROWS, COLUMNS)


def product(b: Build, k: int = 3, rows: int = ROWS, columns: int = COLUMNS) -> Value:
    made: Value = b.emit("dot", b.input(rows, k), b.input(k, columns))
    return made


@pytest.mark.parametrize("first", [True, False])
def test_an_array_and_a_product(first: bool) -> None:
    b = Build()
    w, p = weight(b), product(b)
    (made,) = changed(b.program(b.emit("add", *((w, p) if first else (p, w))))).body
    assert (made.name, made.args) == ("dot_add", tuple(b.inputs))


@pytest.mark.parametrize(("ta", "tb"), [(True, False), (False, True), (True, True)])
def test_flags_stay(ta: bool, tb: bool) -> None:
    b = Build()
    w = weight(b)
    x = b.input(*((3, ROWS) if ta else (ROWS, 3)))
    y = b.input(*((COLUMNS, 3) if tb else (3, COLUMNS)))
    (made,) = changed(b.program(b.emit("add", w, b.emit("dot", x, y, ta=ta, tb=tb)))).body
    assert made.params == {name: True for name, flag in (("ta", ta), ("tb", tb)) if flag}


def test_a_transposed_product_is_that_of_the_exchanged_operands() -> None:
    b = Build()
    w = b.input(COLUMNS, ROWS)
    turned = b.emit("transpose", product(b), axes=(1, 0))
    (made,) = changed(b.program(b.emit("add", w, turned))).body
    assert made.args == (w, b.inputs[2], b.inputs[1])
    assert made.params == {"ta": True, "tb": True}


def test_a_product_that_is_subtracted_negates_its_smaller_operand() -> None:
    b = Build()
    w = weight(b)
    x, y = b.input(ROWS // 2, ROWS), b.input(ROWS // 2, COLUMNS)
    negative, made = changed(b.program(b.emit("subtract", w, b.emit("dot", x, y, ta=True)))).body
    assert (negative.name, negative.args) == ("negative", (x,))
    assert made.args == (w, negative.results[0], y)


@pytest.mark.parametrize(("k", "rows", "columns"), [(3, ROWS, 2 * COLUMNS), (3, 2 * ROWS, COLUMNS)])
def test_a_rate_is_applied_to_the_smaller_operand(k: int, rows: int, columns: int) -> None:
    b = Build()
    w, rate, p = b.input(rows, columns), b.input(1, 1), product(b, k, rows, columns)
    step = b.emit("multiply", b.emit("broadcast", rate, shape=(1, 1)), p)
    program = changed(b.program(b.emit("subtract", w, step)))
    assert names(program)[-1] == "dot_add"
    shapes = [a.shape for a in program.body[-1].args]
    assert shapes == [(rows, columns), (rows, k), (k, columns)]
    (scaled,) = (i for i in program.body if i.name == "multiply")
    assert scaled.results[0].shape == min(shapes[1:], key=np.prod)


@pytest.mark.parametrize("first", [True, False])
def test_a_rate_on_either_side(first: bool) -> None:
    b = Build()
    w, p = weight(b), product(b)
    step = b.emit("multiply", *((constant(0.1), p) if first else (p, constant(0.1))))
    assert names(changed(b.program(b.emit("add", step, w)))) == ["multiply", "dot_add"]


def stays(b: Build, *outputs: Value) -> None:
    assert_kept(accumulate.run, b.program(*outputs))


def test_a_product_less_an_array_stays() -> None:
    b = Build()
    w, p = weight(b), product(b)
    stays(b, b.emit("subtract", p, w))


def test_a_small_result_stays() -> None:
    b = Build()
    w = b.input(ROWS, COLUMNS - 1)
    stays(b, b.emit("add", w, product(b, columns=COLUMNS - 1)))


def test_a_product_that_is_used_elsewhere_too_stays() -> None:
    b = Build()
    w, p = weight(b), product(b)
    stays(b, b.emit("add", w, p), p)
    b = Build()
    w, p = weight(b), product(b)
    stays(b, b.emit("add", w, p), b.emit("exp", p))


def test_an_array_of_another_shape_stays() -> None:
    b = Build()
    bias, p = b.input(COLUMNS), product(b)
    stays(b, b.emit("add", b.emit("multiply", p, constant(1)), bias))
    b = Build()
    bias, p = b.input(COLUMNS), product(b)
    stays(b, b.emit("add", bias, p))


def test_operands_as_large_as_the_result_stay() -> None:
    """The gradient would be no larger than what it is made of."""
    b = Build()
    w = weight(b)
    stays(b, b.emit("add", w, product(b, k=ROWS + COLUMNS)))


def test_a_product_that_is_scaled_by_more_than_a_number_stays() -> None:
    b = Build()
    w, p = weight(b), product(b)
    stays(b, b.emit("add", w, b.emit("multiply", p, b.input(COLUMNS))))


def test_a_product_that_is_scaled_twice_stays() -> None:
    """Passes before this one make one number of both."""
    b = Build()
    w, p = weight(b), product(b)
    twice = b.emit("multiply", b.emit("multiply", p, constant(0.1)), constant(0.1))
    stays(b, b.emit("add", w, twice))


def test_products_of_a_batch_stay() -> None:
    b = Build()
    w = b.input(2, ROWS, COLUMNS)
    stays(b, b.emit("add", w, b.emit("dot", b.input(2, ROWS, 3), b.input(2, 3, COLUMNS))))


def test_two_products_are_added_one_after_the_other() -> None:
    b = Build()
    w = weight(b)
    total = b.emit("add", b.emit("add", w, product(b)), product(b))
    assert names(changed(b.program(total))) == ["dot_add", "dot_add"]


def test_a_product_of_what_was_accumulated() -> None:
    b = Build()
    left = b.emit("slice", b.emit("add", weight(b), product(b)), slices=((0, ROWS, 1), (0, 3, 1)))
    total = b.emit("add", weight(b), b.emit("dot", left, b.input(3, COLUMNS)))
    assert names(changed(b.program(total))) == ["dot_add", "slice", "dot_add"]


def test_what_it_means() -> None:
    c, x, y = (np.random.default_rng(0).normal(size=s) for s in ((2, 3), (4, 2), (3, 4)))
    np.testing.assert_array_equal(PRIMITIVES["dot_add"].evaluate(c, x, y, ta=True, tb=True), c + x.T @ y.T)


def test_all_forms_of_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of integers, so that the results are the same to the last bit."""
    monkeypatch.setattr(accumulate, "SMALLEST", 1)
    acts = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        ta, tb, turned, minus, scaled, swap = (bool(rng.integers(2)) for _ in range(6))
        n, m, k = (int(i) for i in rng.integers(1, 6, 3))
        b = Build()
        x = b.input(*((k, n) if ta else (n, k)), dtype=np.int64)
        y = b.input(*((m, k) if tb else (k, m)), dtype=np.int64)
        step = b.emit("dot", x, y, ta=ta, tb=tb)
        if scaled:
            step = b.elementwise("multiply", step, b.input(*[1] * int(rng.integers(3)), dtype=np.int64))
        if turned:
            step = b.emit("transpose", step, axes=(1, 0))
        w = b.input(*step.shape, dtype=np.int64)
        args = (step, w) if swap else (w, step)
        made = assert_same(accumulate.run, b.program(b.emit("subtract" if minus else "add", *args)), seed)
        acts += "dot_add" in names(made)
    assert acts >= 30


# -- rows of a table ---------------------------------------------------------------------------------------------


def scattered(b: Build, *index: int, dtype: object = np.float32, template: object = (Hole(0), slice(None))) -> Value:
    rows = b.input(*index, dtype=np.int64)
    values = b.input(*index, COLUMNS, dtype=dtype)
    made: Value = b.emit("scatter_add", values, rows, template=template, shape=(ROWS, COLUMNS))
    return made


@pytest.mark.parametrize("template", [(Hole(0), slice(None)), (Hole(0),)])
def test_rows_that_are_added_to_a_table(template: object) -> None:
    b = Build()
    table, rows = weight(b), scattered(b, 5, template=template)
    (made,) = changed(b.program(b.emit("add", rows, table))).body
    index, values = b.inputs[1:]
    assert (made.name, made.args) == ("add_rows", (table, values, index))


def test_a_rate_is_applied_to_the_rows() -> None:
    b = Build()
    table, rate = weight(b), b.input(1)
    step = b.emit("multiply", scattered(b, 2, 3), b.emit("reshape", rate, shape=()))
    program = changed(b.program(b.emit("subtract", table, step)))
    assert names(program) == ["reshape", "negative", "multiply", "reshape", "reshape", "add_rows"]
    assert [a.shape for a in program.body[-1].args] == [(ROWS, COLUMNS), (6, COLUMNS), (6,)]


def test_rows_that_are_used_elsewhere_too_stay() -> None:
    b = Build()
    table, rows = weight(b), scattered(b, 5)
    stays(b, b.emit("subtract", table, rows), b.emit("exp", rows))
    b = Build()
    table, step = weight(b), b.emit("multiply", constant(0.1), scattered(b, 5))
    stays(b, b.emit("subtract", table, step), step)


def test_as_many_rows_as_the_table_has_stay() -> None:
    b = Build()
    stays(b, b.emit("add", weight(b), scattered(b, ROWS)))


def test_columns_and_integers_stay() -> None:
    b = Build()
    values, index, template = b.input(ROWS, 3), b.input(3, dtype=np.int64), (slice(None), Hole(0))
    columns = b.emit("scatter_add", values, index, template=template, shape=(ROWS, COLUMNS))
    stays(b, b.emit("add", weight(b), columns))
    b = Build()
    table = b.input(ROWS, COLUMNS, dtype=np.int64)
    stays(b, b.emit("add", table, scattered(b, 5, dtype=np.int64)))


def test_rows_that_are_scaled_by_more_than_a_number_or_that_are_one_stay() -> None:
    b = Build()
    stays(b, b.emit("add", weight(b), b.emit("multiply", scattered(b, 5), b.input(COLUMNS))))
    b = Build()
    stays(b, b.emit("add", weight(b), b.emit("negative", scattered(b, 5))))


def test_what_adding_rows_means() -> None:
    table = np.array([[1.0, -0.0], [-0.0, 2.0], [3.0, 4.0]])
    found = PRIMITIVES["add_rows"].evaluate(table, np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]]), np.array([2, 0, -1]))
    np.testing.assert_array_equal(found, [[3.0, 2.0], [-0.0, 2.0], [8.0, 9.0]])
    assert np.signbit(found[1, 0])
