"""Parts of what is put together are read where they were, and parts are put together at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import Value
from tapenet.program.passes import dead, joins, simplify
from tests.program.passes.programs import Build, assert_kept, assert_property, assert_same, constant, names


def cut(b: Build, x: Value, *slices: tuple[int, int, int]) -> Value:
    return b.emit("slice", x, slices=slices)


def zeros(b: Build, *shape: int) -> Value:
    return b.emit("broadcast", constant(0), shape=shape)


@pytest.mark.parametrize(
    ("written", "read", "left"),
    [
        ((2, 5, 1), (2, 5, 1), []),  # just what was written
        ((2, 5, 1), (3, 5, 1), ["slice"]),  # some of it
        ((2, 5, 1), (4, 2, -1), ["slice"]),
        ((2, 5, 1), (5, 9, 1), ["slice"]),  # what was there
        ((0, 9, 2), (1, 9, 2), ["slice"]),
        ((0, 9, 2), (0, 9, 2), []),
        ((2, 5, 1), (1, 5, 1), ["update", "slice"]),  # both
        ((0, 9, 2), (2, 5, 2), ["update", "slice"]),
    ],
)
def test_a_slice_of_an_update(written: Any, read: Any, left: list[str]) -> None:
    b = Build()
    x, value = b.input(9, 2), b.input(len(range(*written)), 2)
    whole = b.emit("update", x, value, slices=(written, (0, 2, 1)))
    changed = dead.run(assert_same(joins.run, b.program(cut(b, whole, read, (0, 2, 1)))))
    assert names(changed) == left


@pytest.mark.parametrize(
    ("read", "left"),
    [
        ((0, 3, 1), []),
        ((4, 6, 1), ["slice"]),
        ((6, 4, -1), ["slice"]),
        ((2, 5, 1), ["slice", "slice", "concatenate"]),
        ((0, 9, 2), ["concatenate", "slice"]),
    ],
)
def test_a_slice_of_a_concatenation(read: Any, left: list[str]) -> None:
    b = Build()
    whole = b.emit("concatenate", b.input(2, 3), b.input(2, 4), b.input(2, 2), axis=1)
    changed = dead.run(assert_same(joins.run, b.program(cut(b, whole, (0, 2, 1), read))))
    assert names(changed) == left


def test_parts_that_are_written_one_after_another_are_joined() -> None:
    b = Build()
    whole = b.input(4, 3)
    for i in (2, 0, 3, 1):
        whole = b.emit("update", whole, b.input(1, 3), slices=((i, i + 1, 1), (0, 3, 1)))
    changed = dead.run(assert_same(joins.run, b.program(whole)))
    assert names(changed) == ["concatenate"]
    assert changed.body[0].args == tuple(changed.inputs[k] for k in (2, 4, 1, 3))


def test_what_is_known_between_parts_is_joined_too() -> None:
    b = Build()
    whole = zeros(b, 3, 7)
    for i in (1, 5):
        whole = b.emit("update", whole, b.input(3, 1), slices=((0, 3, 1), (i, i + 1, 1)))
    changed = dead.run(assert_same(joins.run, b.program(whole)))
    assert names(changed) == ["broadcast", "broadcast", "broadcast", "concatenate"]


def test_what_is_not_known_between_parts_is_not_copied() -> None:
    b = Build()
    whole: Value = b.input(7)
    for i in (0, 6):
        whole = b.emit("update", whole, b.input(1), slices=((i, i + 1, 1),))
    assert_kept(joins.run, b.program(whole))


def test_one_part_over_another_stays() -> None:
    b = Build()
    whole: Value = b.input(4)
    for slices in ((0, 3, 1), (1, 4, 1)):
        whole = b.emit("update", whole, b.input(3), slices=(slices,))
    assert_kept(joins.run, b.program(whole))


def test_a_sum_of_parts_of_zeros_is_joined() -> None:
    b = Build()
    ends = [b.emit("update", zeros(b, 5), b.input(len(range(*s))), slices=(s,)) for s in ((2, 5, 1), (0, 2, 1))]
    changed = dead.run(assert_same(joins.run, b.program(b.emit("add", *ends)), zeros=False))
    assert names(changed) == ["concatenate"]


def test_large_parts_that_are_added_to_become_a_sum_of_all_elements() -> None:
    b = Build()
    total: Value = b.input(9)
    for s in ((1, 9, 1), (0, 8, 1)):
        more = b.emit("add", cut(b, total, s), b.input(8))
        total = b.emit("update", total, more, slices=(s,))
    changed = dead.run(assert_same(joins.run, b.program(total), zeros=False))
    assert [n for n in names(changed) if n != "broadcast"] == ["update", "add"] * 2
    assert "slice" not in names(changed)


def test_small_parts_that_are_added_to_are_written_where_they_are() -> None:
    b = Build()
    total = b.input(9)
    more = b.emit("add", cut(b, total, (1, 3, 1)), b.input(2))
    assert_kept(joins.run, b.program(b.emit("update", total, more, slices=((1, 3, 1),))))


@pytest.mark.parametrize("floats", [False, True])
def test_random_programs(floats: bool) -> None:
    assert_property(joins.run, floats=floats, acts=0.02)


def test_the_gradient_of_an_unrolled_loop_is_joined_once() -> None:
    def f(x: Any) -> Any:
        total = 0.0
        for i in range(len(x)):
            total = total + np.sin(x[i])
        return total.sum()

    step = tn.compile(tn.grad(f))
    x = np.random.default_rng(0).normal(size=(30, 4))
    np.testing.assert_allclose(step(x).numpy(), np.cos(x))
    (variant,) = step.variants
    kinds = [n for n in names(variant.program) if n in ("update", "concatenate", "add")]
    assert kinds == ["concatenate"]


def test_what_an_unrolled_loop_writes_is_joined_once() -> None:
    def f(x: Any) -> Any:
        z = x * 0
        for i in range(len(x)):
            z[i] = np.sin(x[i])
        return (z * z).sum()

    step = tn.compile(tn.grad(f))
    x = np.random.default_rng(0).normal(size=(30, 4))
    np.testing.assert_allclose(step(x).numpy(), np.sin(2 * x))
    (variant,) = step.variants
    assert "update" not in names(simplify(variant.program))


def test_a_part_without_elements_is_no_part() -> None:
    b = Build()
    x, nothing, value = b.input(3, 2), b.input(0, 2), b.input(1, 2)
    whole = b.emit("update", x, nothing, slices=((0, 0, 1), (0, 2, 1)))
    whole = b.emit("update", whole, value, slices=((2, 3, 1), (0, 2, 1)))
    assert_same(simplify, b.program(b.emit("update", whole, nothing, slices=((0, 0, 1), (0, 2, 1)))))
