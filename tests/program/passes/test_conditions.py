"""Choices, negations and casts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.passes import conditions, simplify
from tests.program.passes.programs import Build, assert_kept, assert_property, assert_same, constant, names


@pytest.mark.parametrize("chosen", [True, False])
def test_a_known_condition_chooses(chosen: bool) -> None:
    b = Build()
    x, y = b.input(3), b.input(2, 1)
    changed = assert_same(conditions.run, b.program(b.emit("where", constant(chosen, bool), x, y)))
    assert names(changed) == ["broadcast"]


def test_a_mask_of_several_values_stays() -> None:
    b = Build()
    assert_kept(conditions.run, b.program(b.emit("where", constant([True, False], bool), b.input(2), b.input(2))))


def test_the_same_on_both_sides_needs_no_condition() -> None:
    b = Build()
    x, mask = b.input(3), b.input(3, dtype=bool)
    assert names(assert_same(conditions.run, b.program(b.emit("where", mask, x, x)))) == []


def test_a_negated_condition_exchanges_the_sides() -> None:
    b = Build()
    x, y, mask = b.input(3), b.input(3), b.input(3, dtype=bool)
    changed = assert_same(conditions.run, b.program(b.emit("where", b.emit("logical_not", mask), x, y)))
    assert changed.body[-1].args == (mask, y, x)


def test_a_negated_number_is_no_negated_condition() -> None:
    b = Build()
    x = b.input(20)
    assert_kept(conditions.run, b.program(b.emit("where", b.emit("logical_not", x), x, b.input(20))))


def test_a_choice_that_is_made_again_behind_a_sum() -> None:
    """As of a row times what counts of a matrix: columns that do not count are not looked at. Those that others use, and sums
    along the axis of the condition, stay."""
    for more in range(3):  # another choice alike in the second, another reader of the product in the third
        b = Build()
        x, weights, mask = b.input(4, 3), b.input(4, 1), b.input(3, dtype=bool)
        product = b.emit("multiply", weights, b.emit("where", mask, x, constant(0)))
        total = b.emit("reduce_add", product, axes=(0,))
        choices = [b.emit("where", mask, total, b.input(3)) for _ in range(2 if more == 1 else 1)]
        program = b.program(*choices, *([product] if more == 2 else []))
        if more == 2:
            assert_kept(conditions.run, program)
        else:
            changed = simplify(assert_same(conditions.run, program))
            assert names(changed) == ["multiply", "reduce_add", *["where"] * len(choices)]
    b = Build()
    x, mask = b.input(3, 3), b.input(3, dtype=bool)
    total = b.emit("reduce_add", b.emit("where", mask, x, constant(0)), axes=(1,))
    assert_kept(conditions.run, b.program(b.emit("where", mask, total, b.input(3))))


@pytest.mark.parametrize("dtype", [bool, np.float32])
def test_not_not_asks_whether_it_is_zero(dtype: Any) -> None:
    b = Build()
    x = b.input(20, dtype=dtype)
    changed = assert_same(conditions.run, b.program(b.emit("logical_not", b.emit("logical_not", x))))
    assert names(changed)[1:] == ([] if dtype is bool else ["cast"])


def test_not_equal() -> None:
    b = Build()
    x, y = b.input(30), b.input(30)
    made = [b.emit("logical_not", b.emit(name, x, y)) for name in ("equal", "not_equal")]
    assert names(assert_same(conditions.run, b.program(*made))) == ["equal", "not_equal", "not_equal", "equal"]


def test_not_less_is_not_greater_or_equal() -> None:
    """Of NaN neither holds."""
    b = Build()
    assert_kept(conditions.run, b.program(b.emit("logical_not", b.emit("less", b.input(3), b.input(3)))))


def casts(*dtypes: Any) -> Any:
    b = Build()
    value: Any = b.input(30, dtype=dtypes[0])
    for dtype in dtypes[1:]:
        value = b.emit("cast", value, dtype=np.dtype(dtype))
    return b.program(value)


def test_a_cast_to_the_same_dtype_goes() -> None:
    assert names(assert_same(conditions.run, casts("f4", "f4"))) == []


@pytest.mark.parametrize(
    "dtypes",
    [
        "f4 f8 f4",
        "f2 f4 f2",
        "i4 f8 i4",
        "i2 f4 i2",
        "i1 i8 i1",
        "u1 i2 u1",
        "? f4 ?",
        "? i8 ?",
        "u4 i8 u4",
        "i8 i8 i8",
    ],
)
def test_there_and_back_goes(dtypes: str) -> None:
    changed = assert_same(conditions.run, casts(*dtypes.split()))
    assert changed.outputs == changed.inputs


@pytest.mark.parametrize("dtypes", ["f4 f8 f2", "f4 f8 ?", "i4 i8 f4", "i1 f4 f8", "i4 i8 i1", "? i4 f4", "? f4 i4"])
def test_a_stop_that_loses_nothing_is_left_out(dtypes: str) -> None:
    first, _, last = dtypes.split()
    changed = assert_same(conditions.run, casts(*dtypes.split()))
    assert changed.body[-1].args == changed.inputs
    assert (changed.inputs[0].dtype, changed.outputs[0].dtype) == (first, last)


@pytest.mark.parametrize(
    "dtypes",
    [
        "f8 f4 f8",
        "f4 f2 f4",
        "i8 f8 i8",
        "i4 f4 i4",
        "f4 i4 f4",
        "f4 ? f4",
        "i4 i1 i4",
        "i4 u4 i8",
        "f4 f8 i4",
        "i4 f8 i1",
    ],
)
def test_a_stop_that_loses_something_stays(dtypes: str) -> None:
    """NumPy takes int64 to be safe in float64, which has 53 bits; and floats out of an integer's range become something
    else for each pair of dtypes."""
    assert_kept(conditions.run, casts(*dtypes.split()))


def test_random_programs() -> None:
    assert_property(conditions.run, floats=True, acts=0.2)
    assert_property(conditions.run, floats=False, acts=0.15)
