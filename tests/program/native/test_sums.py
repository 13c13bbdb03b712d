"""Sums that are added become one of what is added."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.fusion import Kernel
from tapenet.program.ir import Program, Value
from tapenet.program.native.module import Module
from tapenet.program.native.sums import run
from tests.compiler.lowered import program_of
from tests.program.passes.programs import Build, assert_kept, assert_same, constant, names


def terms(b: Build, *shape: int, count: int = 3, dtype: Any = np.float32) -> list[Value]:
    """Values computed with one array."""
    x = b.input(*shape, dtype=dtype)
    return [b.emit("multiply", x, b.input(*shape, dtype=dtype)) for _ in range(count)]


def summed(b: Build, value: Value, axes: tuple[int, ...] = (0,), shape: tuple[int, ...] | None = None) -> Value:
    made = b.emit("reduce_add", value, axes=axes)
    return b.reshape(made, shape) if shape else made


@pytest.mark.parametrize("first", ["add", "subtract"])
@pytest.mark.parametrize("second", ["add", "subtract"])
@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_added_sums_become_one(first: str, second: str, dtype: Any) -> None:
    """With a value between them that is no sum, and behind views."""
    b = Build()
    one, two, three = terms(b, 5, 4, dtype=dtype)
    small = b.input(1, 4, dtype=dtype)
    total = b.emit(first, summed(b, one, shape=(1, 4)), small)
    scaled = b.emit("multiply", summed(b, three), constant(3, dtype))
    total = b.emit(second, total, b.emit(first, summed(b, two, shape=(1, 4)), b.emit("negative", scaled)))
    found = assert_same(run, b.program(total, one), rtol=1e-5 if dtype == np.float32 else 0.0)
    assert names(found).count("reduce_add") == 1


def test_sums_are_subtracted_from_nothing() -> None:
    b = Build()
    one, two, three = terms(b, 5, 4)
    small = b.emit("subtract", b.input(4), summed(b, one))
    found = assert_same(run, b.program(b.emit("subtract", small, summed(b, two)), three), rtol=1e-5)
    assert names(found).count("reduce_add") == 1


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_nan_and_infinities_come_to_the_same(special: float) -> None:
    b = Build()
    one, two, three = terms(b, 6, 3)
    total = b.emit("subtract", b.emit("add", summed(b, one), summed(b, two)), summed(b, three))
    program = b.program(total)
    arrays = [np.ones((6, 3), np.float32) for _ in range(4)]
    arrays[1][2, 0] = special
    arrays[2][4, 0] = arrays[2][1, 1] = -np.inf
    arrays[3][0, 2] = special
    changed = run(program)
    assert names(changed).count("reduce_add") == 1
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(changed.evaluate(arrays)[0], program.evaluate(arrays)[0])


def test_zeros_keep_their_sign() -> None:
    """What is subtracted first is no reason to change that of the sum."""
    b = Build()
    one, two, three = terms(b, 6, 3)
    first = b.emit("add", b.emit("negative", summed(b, one)), summed(b, two))
    program = b.program(first, b.emit("negative", summed(b, three)))
    changed = run(program)
    assert names(changed).count("reduce_add") == 2
    zeros = [np.zeros((6, 3), np.float32) for _ in range(4)]
    for found, expected in zip(changed.evaluate(zeros), program.evaluate(zeros), strict=True):
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def far(kind: str) -> Program:
    """Two sums that are added, which are to stay two."""
    b = Build()
    x = b.input(8, 8)
    one = b.emit("multiply", x, x)
    if kind == "a product lies between":  # `one` would be held until then
        first = summed(b, one)
        return b.program(b.emit("add", first, summed(b, b.emit("dot", x, x))))
    if kind == "one is of a sum":
        second = b.emit("multiply", x, summed(b, x, (1,), (8, 1)))
        return b.program(b.emit("add", summed(b, one), summed(b, second)))
    if kind == "of arrays that have nothing to do with each other":
        y = b.input(8, 8)
        return b.program(b.emit("add", summed(b, one), summed(b, b.emit("multiply", y, y))))
    if kind == "over other axes":
        return b.program(b.emit("add", summed(b, one), summed(b, b.emit("negative", one), (1,))))
    first = summed(b, one)
    return b.program(b.emit("add", first, summed(b, x)), first)  # read elsewhere


@pytest.mark.parametrize(
    "kind",
    ["a product lies between", "one is of a sum", "of arrays that have nothing to do with each other", "over other axes",
     "read elsewhere"],
)  # fmt: skip
def test_others_stay(kind: str) -> None:
    assert_kept(run, far(kind))


@pytest.mark.parametrize("seed", range(20))
def test_random_sums(seed: int) -> None:
    """Of integers, which wrap around: the same to the last bit."""
    r = np.random.default_rng(seed)
    b = Build()
    values = [
        *terms(b, 3, 4, dtype=np.int8 if seed % 2 else np.int32),
        b.input(4, dtype=np.int8 if seed % 2 else np.int32),
    ]
    large, small = values[:3], values[3:]
    for _ in range(30):
        kind = r.integers(6)
        if kind == 0:
            large.append(b.emit("multiply", *(large[int(i)] for i in r.integers(len(large), size=2))))
        elif kind == 1:
            small.append(summed(b, large[int(r.integers(len(large)))], shape=(1, 4) if r.random() < 0.5 else None))
        elif kind == 2:
            small.append(b.emit("negative", small[-1]))
        elif kind == 3:
            small.append(b.emit("multiply", constant(int(r.integers(-3, 4)), small[-1].dtype), small[-1]))
        else:
            last = [small.pop(), small.pop(int(r.integers(len(small))))] if len(small) > 2 else [small[0], small[-1]]
            small.append(b.emit(str(r.choice(["add", "subtract"])), *last))
    assert_same(run, b.program(*small))


def test_the_gradient_of_what_broadcasts_is_one_sum_for_each_value() -> None:
    """Not one for each place that reads it."""

    def f(x: Any, z: Any) -> Any:
        scale = z * 0.5
        for _ in range(10):
            x = x * scale + np.sqrt(x * x + z)
        return x.sum()

    x, z = np.full((40, 8, 4), 0.5), np.full((1, 1, 4), 0.1)
    pytest.importorskip("llvmlite")
    module = Module(program_of(tn.grad(f, argnums=(0, 1)), x, z))
    large = [m for e in module.entries if isinstance(e, Kernel) for m in e.members if m.kind == "reduction"]
    assert len(large) == 1
    step = tn.compile(tn.value_and_grad(f, argnums=(0, 1)))
    expected = step(x, z)
    found = step(x, z)
    np.testing.assert_allclose(found[0].numpy(), expected[0].numpy(), rtol=1e-12)
    for a, e in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a.numpy(), e.numpy(), rtol=1e-12)
