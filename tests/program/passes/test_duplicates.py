"""Common subexpressions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.passes import duplicates
from tests.program.passes.programs import Build, assert_kept, assert_property, assert_same, constant, names


def test_the_same_of_the_same_is_one() -> None:
    b = Build()
    x = b.input(3)
    first, second = (b.emit("exp", b.emit("negative", x)) for _ in range(2))
    changed = assert_same(duplicates.run, b.program(first, second))
    assert names(changed) == ["negative", "exp"]
    assert changed.outputs[0] is changed.outputs[1]


@pytest.mark.parametrize("name", ["add", "multiply", "equal", "hypot", "logaddexp", "maximum", "safe_mul"])
def test_the_order_of_commuting_arguments_does_not_matter(name: str) -> None:
    b = Build()
    x, y = b.input(3), b.input(3)
    program = b.program(b.emit(name, x, y), b.emit(name, y, x))
    assert names(assert_same(duplicates.run, program, zeros=name != "maximum")) == [name]


@pytest.mark.parametrize("name", ["subtract", "divide", "less", "arctan2", "copysign", "power", "floor_divide"])
def test_the_order_of_other_arguments_does(name: str) -> None:
    b = Build()
    x, y = b.input(3), b.input(3)
    assert_kept(duplicates.run, b.program(b.emit(name, x, y), b.emit(name, y, x)))


def test_constants_with_the_same_elements_are_one() -> None:
    b = Build()
    x = b.input(2)
    one, other = constant([1, np.nan]), constant([1, np.nan])
    changed = assert_same(duplicates.run, b.program(b.emit("add", x, one), b.emit("subtract", x, other)))
    assert len(changed.constants) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (constant(0.0), constant(-0.0)),
        (constant([1, 2]), constant([2, 1])),
        (constant([1, 1]), constant(1)),
        (constant([1, 1]), constant([[1, 1]])),
    ],
)
def test_constants_that_differ_are_two(one: Any, other: Any) -> None:
    b = Build()
    x = b.input(2)
    assert_kept(duplicates.run, b.program(b.emit("add", x, one), b.emit("add", x, other)))


def test_constants_of_other_dtypes_are_two() -> None:
    b = Build()
    made = [b.emit("cast", constant(0, dtype), dtype=np.dtype(np.float64)) for dtype in (np.int32, np.float32)]
    assert_kept(duplicates.run, b.program(*made))


def test_large_constants_are_one_if_they_are_the_same_memory() -> None:
    array = np.zeros(duplicates.LIMIT + 1, np.float32)
    b = Build()
    x = b.input(array.size)
    same = [b.emit("add", x, constant(a)) for a in (array, array[:])]
    other = b.emit("add", x, constant(array.copy()))
    assert names(assert_same(duplicates.run, b.program(*same, other))) == ["add", "add"]


def test_parameters_count() -> None:
    b = Build()
    x = b.input(2, 2)
    made = [b.emit("reduce_add", x, axes=axes) for axes in ((0,), (1,))]
    made += [b.emit("reshape", x, shape=shape) for shape in ((4,), (4, 1))]
    assert_kept(duplicates.run, b.program(*made))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        ((1, 2), [1, 2]),
        (np.float32(1), np.float64(1)),
        (np.zeros(2), np.ones(2)),
        (slice(0, 1), slice(0, 2)),
        ({"a": 1}, {"a": 2}),
        (object(), object()),
    ],
)
def test_options_of_calls_are_told_apart(one: Any, other: Any) -> None:
    take = tn.op(lambda x, option: x, name="take_option")
    b = Build()
    x = b.input(3)
    assert_kept(duplicates.run, b.program(b.call(take, x, option=one), b.call(take, x, option=other)))


def test_options_that_cannot_be_hashed_are_compared() -> None:
    take = tn.op(lambda x, option: x, name="take_option")
    b = Build()
    x = b.input(3)
    options = [{"a": [np.arange(3), slice(None), None, "text", 1.5, np.dtype("f")]} for _ in range(2)]
    made = [b.call(take, x, option=o) for o in options]
    assert names(assert_same(duplicates.run, b.program(*made))) == ["call"]


def test_effects_are_never_merged() -> None:
    noise = tn.op(lambda x: x, name="noise", effect=True)
    b = Build()
    x = b.input(3)
    assert_kept(duplicates.run, b.program(b.call(noise, x, effect=True), b.call(noise, x, effect=True)))


def test_hosts_are_never_merged() -> None:
    b = Build()
    x = b.input(3)
    one, other = (b.host(lambda: np.float32(1)) for _ in range(2))
    assert_kept(duplicates.run, b.program(b.emit("add", x, one), b.emit("add", x, other)))


def test_random_programs() -> None:
    assert_property(duplicates.run, floats=True, acts=0.5)
    assert_property(duplicates.run, floats=False, acts=0.5)
