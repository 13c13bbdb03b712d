"""Constant folding."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import Constant
from tapenet.program.passes import folding
from tests.program.passes.programs import Build, assert_kept, assert_property, assert_same, constant, names


def test_what_is_known_is_computed() -> None:
    b = Build()
    made = b.emit("sqrt", b.emit("add", constant([3, 8]), constant(1)))
    changed = assert_same(folding.run, b.program(b.emit("multiply", made, b.input(2))))
    assert names(changed) == ["multiply"]
    np.testing.assert_array_equal(changed.constants[0].array, [2, 3])


def test_folding_is_silent_where_floats_overflow_or_are_undefined() -> None:
    b = Build()
    zero, large = constant(0), constant(1e38)
    made = [b.emit("divide", zero, zero), b.emit("multiply", large, large), b.emit("log", zero)]
    made.append(b.emit("cast", constant(1e300, np.float64), dtype=np.dtype(np.float32)))
    assert names(assert_same(folding.run, b.program(*made))) == []


@pytest.mark.parametrize(
    ("name", "params"),
    [("reduce_add", {"axes": (0,)}), ("reshape", {"shape": (3, 1)}), ("slice", {"slices": ((2, -1, -1),)})],
)
def test_reductions_and_views_of_constants_are_folded(name: str, params: dict[str, object]) -> None:
    b = Build()
    changed = assert_same(folding.run, b.program(b.emit(name, constant([1, 2, 4]), **params)))
    assert names(changed) == []


def test_a_folded_view_does_not_keep_the_whole_array() -> None:
    b = Build()
    changed = folding.run(b.program(b.emit("slice", constant(np.arange(100)), slices=((0, 1, 1),))))
    (found,) = changed.outputs
    assert isinstance(found, Constant)
    assert found.array.base is None


def test_large_results_stay_instructions() -> None:
    large = constant(np.arange(folding.LIMIT + 1))
    b = Build()
    assert_kept(folding.run, b.program(b.emit("sin", large)))


def test_broadcasts_stay() -> None:
    b = Build()
    assert_kept(folding.run, b.program(b.emit("broadcast", constant(1), shape=(2, 3))))


def test_calls_stay() -> None:
    b = Build()
    assert_kept(folding.run, b.program(b.call(tn.exp, constant([1, 2]))))


def test_an_error_is_left_to_the_run() -> None:
    b = Build()
    indices = constant([7], np.int64)
    assert_kept(folding.run, b.program(b.emit("take", constant([1, 2]), indices, axis=0)))


def test_an_array_of_one_number_becomes_the_number() -> None:
    b = Build()
    x = b.input(2, 3)
    changed = assert_same(folding.run, b.program(b.emit("multiply", x, constant(np.full((2, 3), 0.5)))))
    assert names(changed) == ["broadcast", "multiply"]
    assert changed.constants[0].shape == ()


@pytest.mark.parametrize("array", [[0.0, -0.0], [np.nan, np.nan], [1, 2, 1], [True, False]])
def test_an_array_of_several_numbers_stays(array: list[float]) -> None:
    b = Build()
    dtype = np.asarray(array).dtype
    x = b.input(len(array), dtype=dtype)
    assert_kept(folding.run, b.program(b.emit("equal", x, constant(array, dtype))))


def test_a_matrix_of_one_number_stays_a_matrix_for_a_product() -> None:
    b = Build()
    assert_kept(folding.run, b.program(b.emit("dot", b.input(2, 2), constant(np.ones((2, 2))))))


def test_random_programs() -> None:
    assert_property(folding.run, floats=True, acts=0.5)
    assert_property(folding.run, floats=False, acts=0.5)
