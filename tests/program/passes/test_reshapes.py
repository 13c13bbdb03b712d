"""Reshapes moved out of the way of fusion."""

from __future__ import annotations

import doctest
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import Program, Reference, Value
from tapenet.program.passes import dead, patterns, reshapes
from tapenet.program.passes.patterns import moved, only_ones, pairs
from tests.program.passes.programs import Build, assert_kept, assert_property, assert_same, constant, names

TOLERANCE = 1e-5


def cleaned(program: Program) -> Program:
    """After the pass, without what it leaves unused."""
    return dead.run(assert_same(reshapes.run, program, rtol=TOLERANCE))


def shapes(program: Program) -> list[tuple[int, ...]]:
    return [i.results[0].shape for i in program.body]


def test_a_sum_of_squares_is_taken_where_the_squares_are() -> None:
    """What `d.ravel().dot(d.ravel())` is made of."""
    b = Build()
    d = b.emit("subtract", b.input(64, 10), b.input(64, 10))
    left, right = (b.emit("reshape", d, shape=(640,)) for _ in range(2))
    program = b.program(b.emit("reduce_add", b.emit("multiply", left, right), axes=(0,)))
    changed = cleaned(program)
    assert names(changed) == ["subtract", "multiply", "reduce_add"]
    assert shapes(changed) == [(64, 10), (64, 10), ()]


@pytest.mark.parametrize("size", [(), (1,), (1, 1)])
def test_numbers_go_along(size: tuple[int, ...]) -> None:
    b = Build()
    flat = b.emit("reshape", b.emit("exp", b.input(6)), shape=(1, 6))
    changed = cleaned(b.program(b.emit("add", flat, b.input(*size))))
    assert shapes(changed)[-2:] == [(6,), (1, 6)]


def test_chains_move_at_once() -> None:
    b = Build()
    x = b.emit("reshape", b.emit("exp", b.input(2, 3)), shape=(6,))
    for name in ("sin", "tanh", "negative"):
        x = b.emit(name, x)
    changed = cleaned(b.program(x))
    assert names(changed) == ["exp", "sin", "tanh", "negative", "reshape"]


def test_an_operand_along_axes_that_stay_goes_along() -> None:
    """A bias after a product of rows."""
    b = Build()
    x = b.emit("reshape", b.emit("exp", b.input(6, 4)), shape=(2, 3, 4))
    bias = b.input(4)
    changed = cleaned(b.program(b.emit("add", x, bias)))
    assert changed.body[1].args == (changed.body[0].results[0], bias)


def test_a_statistic_of_rows_goes_along() -> None:
    """It is reshaped already: from one shape or to another is the same."""
    b = Build()
    rows = b.emit("exp", b.input(6, 4))
    mean = b.emit("reshape", b.emit("reduce_add", rows, axes=(1,)), shape=(2, 3, 1))
    changed = cleaned(b.program(b.emit("subtract", b.emit("reshape", rows, shape=(2, 3, 4)), mean)))
    assert names(changed) == ["exp", "reduce_add", "reshape", "subtract", "reshape"]
    assert shapes(changed)[2:] == [(6, 1), (6, 4), (2, 3, 4)]


@pytest.mark.parametrize("kind", ["input", "host", "constant", "reference"])
def test_an_array_from_outside_is_reshaped_for_nothing(kind: str) -> None:
    b = Build()
    array = np.arange(6, dtype=np.float32)
    makers: dict[str, Any] = {
        "input": lambda: b.input(6),
        "host": lambda: b.host(lambda: array),
        "constant": lambda: constant(array),
        "reference": lambda: Reference(tn.tensor(array)),
    }
    flat = b.emit("reshape", b.emit("exp", b.input(2, 3)), shape=(6,))
    changed = cleaned(b.program(b.emit("add", flat, makers[kind]())))
    assert names(changed) == ["exp", "reshape", "add", "reshape"]
    assert shapes(changed)[2] == (2, 3)


def strided() -> Reference:
    tensor = tn.tensor(np.zeros((2, 3), np.float32))
    tensor._data = np.asfortranarray(tensor._data)
    return Reference(tensor)


@pytest.mark.parametrize("other", ["computed", "strided", "partial"])
def test_what_would_be_copied_or_cut_stays(other: str) -> None:
    """A reshape of something computed is not taken away by one more; that of a strided array is a copy; and what runs
    along part of the axes that become one does not broadcast to that one."""
    b = Build()
    x = b.emit("reshape", b.emit("exp", b.input(6)), shape=(2, 3))
    values: dict[str, Any] = {
        "computed": lambda: b.emit("dot", b.input(2, 2), b.input(2, 3)),
        "strided": strided,
        "partial": lambda: b.input(3),
    }
    assert_kept(reshapes.run, b.program(b.emit("add", x, values[other]())))


def test_axes_of_length_1_are_no_copy_for_a_strided_array() -> None:
    b = Build()
    x = b.emit("reshape", b.emit("exp", b.input(2, 1, 3)), shape=(2, 3))
    changed = cleaned(b.program(b.emit("add", x, strided())))
    assert names(changed) == ["exp", "reshape", "add", "reshape"]


@pytest.mark.parametrize("source", ["input", "product"])
def test_there_must_be_a_loop_to_share(source: str) -> None:
    b = Build()
    x: Value = b.input(2, 3)
    if source == "product":
        x = b.emit("dot", b.input(2, 2), x)
    assert_kept(reshapes.run, b.program(b.emit("exp", b.emit("reshape", x, shape=(6,)))))


def test_what_is_broadcast_by_its_new_axis_stays() -> None:
    """exp(x) - reshape(max): the reshape is what makes them fit."""
    b = Build()
    x = b.emit("exp", b.input(2, 3))
    largest = b.emit("reshape", b.emit("reduce_maximum", x, axes=(1,)), shape=(2, 1))
    assert_kept(reshapes.run, b.program(b.emit("subtract", x, largest)))


def test_leading_axes_of_length_1_are_left_to_numpy() -> None:
    b = Build()
    x, bias = b.input(2, 3), b.input(3)
    changed = cleaned(b.program(b.emit("add", x, b.emit("reshape", bias, shape=(1, 3)))))
    assert changed.body[-1].args == (x, bias)


def test_leading_axes_of_length_1_that_give_the_shape_stay() -> None:
    b = Build()
    x, bias = b.input(3), b.input(3)
    assert_kept(reshapes.run, b.program(b.emit("add", x, b.emit("reshape", bias, shape=(1, 3)))))


@pytest.mark.parametrize(
    ("source", "target", "axes", "expected"),
    [
        ((2, 3), (6,), (0,), (0, 1)),
        ((6,), (2, 3), (0, 1), (0,)),
        ((2, 3, 4), (6, 4), (0,), (0, 1)),
        ((2, 3, 4), (6, 4), (1,), (2,)),
        ((6, 4), (2, 3, 4), (2,), (1,)),
        ((1, 6), (6,), (0,), (0, 1)),
        ((2, 3), (2, 1, 3), (1, 2), (1,)),
        ((4, 3, 1, 2), (12, 2), (1,), (2, 3)),
    ],
)
def test_a_reduction_takes_place_before_the_reshape(source: Any, target: Any, axes: Any, expected: Any) -> None:
    b = Build()
    x = b.input(*source)
    reduced = b.emit("reduce_add", b.emit("reshape", x, shape=target), axes=axes)
    changed = cleaned(b.program(reduced))
    assert changed.body[0].args == (x,)
    assert changed.body[0].params["axes"] == expected


def test_a_reduction_over_axes_of_length_1_is_a_reshape() -> None:
    b = Build()
    x = b.emit("reshape", b.input(2, 3), shape=(6, 1))
    assert names(cleaned(b.program(b.emit("reduce_maximum", x, axes=(1,))))) == ["reshape"]


@pytest.mark.parametrize(("source", "target", "axes"), [((6, 4), (2, 3, 4), (0,)), ((2, 6), (4, 3), (1,))])
def test_a_reduction_over_part_of_an_axis_stays(source: Any, target: Any, axes: Any) -> None:
    b = Build()
    x = b.emit("reshape", b.input(*source), shape=target)
    assert_kept(reshapes.run, b.program(b.emit("reduce_add", x, axes=axes)))


def test_argmax_stays() -> None:
    b = Build()
    assert_kept(reshapes.run, b.program(b.emit("argmax", b.emit("reshape", b.input(2, 3), shape=(6,)), axis=0)))


def test_arrays_without_elements_stay() -> None:
    b = Build()
    x = b.emit("slice", b.emit("exp", b.input(2, 3)), slices=((0, 0, 1), (0, 3, 1)))
    flat = b.emit("reshape", b.emit("exp", x), shape=(0,))
    assert_kept(reshapes.run, b.program(b.emit("sin", flat), b.emit("reduce_add", flat, axes=(0,))))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ((), (), []),
        ((1, 1), (1,), []),
        ((2, 3), (6,), [((0, 1), (0,))]),
        ((2, 3), (3, 2), [((0, 1), (0, 1))]),
        ((4, 6, 5), (2, 2, 6, 5), [((0,), (0, 1)), ((1,), (2,)), ((2,), (3,))]),
        ((0, 3), (3, 0), None),
    ],
)
def test_pairs_of_axes(source: Any, target: Any, expected: Any) -> None:
    assert pairs(source, target) == expected


def test_examples_in_the_documentation() -> None:
    found = doctest.testmod(patterns)
    assert (found.failed, found.attempted > 1) == (0, True)


def test_only_ones() -> None:
    assert only_ones(pairs((2, 1, 3), (1, 2, 3)) or [])
    assert not only_ones(pairs((2, 3), (6,)) or [((), ())])


@pytest.mark.parametrize("seed", range(20))
def test_a_moved_shape_broadcasts_to_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source = tuple(int(n) for n in rng.choice([1, 2, 3], 3))
    target = tuple(int(n) for n in rng.permutation([1, int(np.prod(source[:2])), source[2]]))
    groups = pairs(source, target)
    assert groups is not None
    for lengths in np.ndindex(2, 2, 2):
        shape = tuple(n if keep else 1 for n, keep in zip(target, lengths, strict=True))
        found = moved(shape, target, source, groups)
        if found is None:
            continue
        array = np.arange(np.prod(shape)).reshape(shape)
        expected = np.broadcast_to(array, target).reshape(source)
        np.testing.assert_array_equal(np.broadcast_to(array.reshape(found), source), expected)


def test_random_programs() -> None:
    assert_property(reshapes.run, floats=True, acts=0.3)
    assert_property(reshapes.run, floats=False, acts=0.3)
