"""Reductions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Value
from tapenet.program.passes import dead, reductions
from tests.program.evaluate import evaluate
from tests.program.passes.programs import Build, assert_kept, assert_property, assert_same, names

ALL = ["reduce_add", "reduce_multiply", "reduce_maximum", "reduce_minimum"]
TOLERANCE = 1e-5


@pytest.mark.parametrize("name", ALL)
def test_over_no_axes(name: str) -> None:
    b = Build()
    x = b.input(2, 3)
    assert assert_same(reductions.run, b.program(b.emit(name, x, axes=()))).outputs == (x,)


@pytest.mark.parametrize("name", ALL)
def test_over_axes_of_length_1(name: str) -> None:
    b = Build()
    program = b.program(b.emit(name, b.input(1, 3, 1), axes=(0, 2)))
    assert names(assert_same(reductions.run, program, zeros=name != "reduce_add")) == ["reshape"]


@pytest.mark.parametrize("name", ALL)
def test_one_after_another(name: str) -> None:
    b = Build()
    x = b.input(2, 3, 4, 5)
    changed = assert_same(
        reductions.run, b.program(b.emit(name, b.emit(name, x, axes=(1,)), axes=(0, 2))), rtol=TOLERANCE
    )
    assert changed.body[-1].args == (x,)
    assert changed.body[-1].params["axes"] == (0, 1, 3)


def test_three_one_after_another() -> None:
    b = Build()
    made: Value = b.input(2, 3, 4)
    for _ in range(3):
        made = b.emit("reduce_maximum", made, axes=(0,))
    changed = assert_same(reductions.run, b.program(made))
    assert assert_same(reductions.run, dead.run(changed)).body[-1].params["axes"] == (0, 1, 2)


def test_one_after_another_of_different_kinds_stays() -> None:
    b = Build()
    total = b.emit("reduce_add", b.input(2, 3), axes=(0,))
    assert_kept(reductions.run, b.program(b.emit("reduce_maximum", total, axes=(0,))))


def test_an_inner_one_that_is_needed_stays() -> None:
    """Else the large array would be walked over twice."""
    b = Build()
    total = b.emit("reduce_add", b.input(2, 3), axes=(0,))
    assert_kept(reductions.run, b.program(total, b.emit("reduce_add", total, axes=(0,))))


def test_an_inner_one_that_becomes_needed_by_this_run_stays() -> None:
    b = Build()
    total = b.emit("reduce_add", b.input(2, 3), axes=(0,))
    same = b.emit("reduce_maximum", total, axes=())
    changed = assert_same(reductions.run, b.program(same, b.emit("reduce_add", total, axes=(0,))), rtol=TOLERANCE)
    assert names(changed) == ["reduce_add", "reduce_add"]


@pytest.mark.parametrize(
    ("order", "axes", "expected"),
    [
        ((1, 0), (0,), ["reduce_add"]),
        ((2, 0, 1), (1, 2), ["reduce_add"]),
        ((2, 1, 0), (1,), ["reduce_add", "transpose"]),
    ],
)
def test_of_a_transpose(order: Any, axes: Any, expected: Any) -> None:
    b = Build()
    turned = b.emit("transpose", b.input(*(2, 3, 4)[: len(order)]), axes=order)
    changed = assert_same(reductions.run, b.program(b.emit("reduce_add", turned, axes=axes)), rtol=TOLERANCE)
    assert names(changed)[1:] == expected


@pytest.mark.parametrize(
    ("shape", "full", "axes", "expected"),
    [
        ((), (2, 3), (0, 1), ["multiply"]),
        ((3,), (2, 3), (0,), ["multiply"]),
        ((2, 1), (2, 3), (1,), ["reduce_add", "multiply"]),
        ((3,), (2, 3), (0, 1), ["reduce_add", "multiply"]),
        ((3, 1), (2, 3, 4), (0,), ["multiply", "broadcast"]),
        ((3, 1), (2, 3, 4), (0, 1), ["reduce_add", "multiply", "broadcast"]),
    ],
)
def test_a_sum_of_repeated_values_is_a_product(shape: Any, full: Any, axes: Any, expected: Any) -> None:
    b = Build()
    repeated = b.emit("broadcast", b.input(*shape), shape=full)
    changed = assert_same(reductions.run, b.program(b.emit("reduce_add", repeated, axes=axes)), rtol=TOLERANCE)
    assert names(changed)[1:] == expected


def test_a_sum_of_repeated_infinities_and_nan_keeps_them() -> None:
    b = Build()
    repeated = b.emit("broadcast", b.input(5), shape=(3, 5))
    program = b.program(b.emit("reduce_add", repeated, axes=(0,)))
    x = np.array([np.inf, -np.inf, np.nan, 3e38, 0.0], np.float32)
    found, expected = (evaluate(p, [x]).outputs[0] for p in (reductions.run(program), program))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["reduce_maximum", "reduce_minimum"])
def test_the_largest_of_repeated_values_is_the_value(name: str) -> None:
    b = Build()
    x = b.input(3)
    changed = assert_same(reductions.run, b.program(b.emit(name, b.emit("broadcast", x, shape=(2, 3)), axes=(0,))))
    assert changed.outputs == (x,)


def test_sums_of_repeated_integers_wrap_around() -> None:
    b = Build()
    repeated = b.emit("broadcast", b.input(3, dtype=np.int8), shape=(300, 3))
    assert names(assert_same(reductions.run, b.program(b.emit("reduce_add", repeated, axes=(0,))))) == [
        "broadcast",
        "multiply",
    ]


def test_what_would_be_another_number_stays() -> None:
    """A product of repeated values is a power; a count that float16 does not know; a sum of bools is no product."""
    b = Build()
    made = [b.emit("reduce_multiply", b.emit("broadcast", b.input(3), shape=(2, 3)), axes=(0,))]
    for dtype, count in ((np.float16, 70000), (np.bool_, 2)):
        repeated = b.emit("broadcast", b.input(1, dtype=dtype), shape=(count,))
        made.append(b.emit("reduce_add", repeated, axes=(0,)))
    assert_kept(reductions.run, b.program(*made))


def test_axes_that_were_not_repeated_are_reduced_as_they_are() -> None:
    b = Build()
    repeated = b.emit("broadcast", b.input(3), shape=(2, 3))
    assert_kept(reductions.run, b.program(b.emit("reduce_add", repeated, axes=(1,))))


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("swapped", [True, False])
def test_a_weighed_sum_of_rows_is_a_product(axis: int, swapped: bool) -> None:
    b = Build()
    matrix, weights = (b.input(*n, dtype=np.float64) for n in ((20, 30), (20, 1) if axis == 0 else (30,)))
    pair = (weights, matrix) if swapped else (matrix, weights)
    changed = assert_same(
        reductions.run, b.program(b.emit("reduce_add", b.emit("multiply", *pair), axes=(axis,))), rtol=1e-11
    )
    assert "dot" in names(changed)


def test_what_is_computed_element_by_element_is_summed_as_it_is() -> None:
    b = Build()
    values = b.emit("multiply", b.emit("exp", b.input(20, 30)), b.input(30))
    assert_kept(reductions.run, b.program(b.emit("reduce_add", values, axes=(1,))))
    small = b.emit("multiply", b.input(4, 3), b.input(3))
    assert_kept(reductions.run, b.program(b.emit("reduce_add", small, axes=(1,))))


def test_argmax_stays() -> None:
    b = Build()
    assert_kept(reductions.run, b.program(b.emit("argmax", b.input(1, 3), axis=0)))


def test_random_programs() -> None:
    assert_property(reductions.run, floats=True, acts=0.4)
    assert_property(reductions.run, floats=False, acts=0.4)
