"""Kernels read through what is joined of parts: nothing is copied for a shift."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.fusion import Kernel
from tapenet.program.ir import Program, Value
from tests.compiler.lowered import program_of
from tests.program.passes.programs import Build, constant

pytest.importorskip("llvmlite")

from tapenet.program.native import parallel, pieces
from tapenet.program.native.module import Module
from tests.program.native.running import assert_native

RNG = np.random.default_rng(0)


def shift(x: Any) -> Any:
    y = np.concatenate([x[:1], x[:-1]])
    return ((x - y) ** 2 * x).sum()


def differences(x: Any) -> Any:
    d = x[1:] - x[:-1]
    return (d * d / (1 + d * d)).sum()


def rolled(x: Any) -> Any:
    around = np.roll(x, 1, 0) + np.roll(x, -1, 0) + np.roll(x, 1, 1) + np.roll(x, -1, 1)
    return ((x + 0.1 * (around - 4 * x)) ** 3).sum()


def sliced(x: Any) -> Any:
    around = x[2:, 1:-1] + x[:-2, 1:-1] + x[1:-1, 2:] + x[1:-1, :-2]
    return ((x[1:-1, 1:-1] + 0.1 * (around - 4 * x[1:-1, 1:-1])) ** 3).sum()


def padded(x: Any) -> Any:
    p = np.pad(x, 1)
    return ((p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2] - 4 * x) ** 3).sum()


def assert_right(program: Program, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    given = [rng.normal(size=v.shape).astype(np.float32) for v in program.inputs]
    assert_native(program, *given, rtol=1e-5)


def entries(program: Program) -> list[str]:
    """What runs: "kernel", or the name of an instruction."""
    return ["kernel" if isinstance(e, Kernel) else e.name for e in Module(program).entries]


@pytest.mark.parametrize("first", [0, 1])
def test_what_is_broadcast_moves_with_the_part_that_it_is_in(first: int) -> None:
    b = Build()
    product = b.elementwise("multiply", b.input(2, 7), b.input(7))
    zeros = b.broadcast(constant(0.0), (2, 8))
    written = b.emit("update", zeros, product, slices=((0, 2, 1), (first, 7 + first, 1)))
    assert_right(b.program(b.elementwise("add", written, written)))


@pytest.mark.parametrize("f", [shift, differences, rolled, sliced, padded])
@pytest.mark.parametrize("n", [5, 40])
def test_stencils_run_in_kernels_alone(f: Callable[[Any], Any], n: int) -> None:
    x = RNG.normal(size=(n,) if f in (shift, differences) else (n, n + 1)).astype(np.float32)
    plain = tn.value_and_grad(f)
    step = tn.compile(plain)
    step(x)
    (variant,) = step.variants
    for value, expected in zip(step(x), plain(x), strict=True):
        np.testing.assert_allclose(value.numpy(), expected.numpy(), rtol=1e-4, atol=1e-5)
    assert entries(variant.program) in (["kernel"], ["kernel"] * 2)


def test_a_step_of_diffusion_is_one_kernel() -> None:
    program = program_of(lambda x: x + 0.1 * (np.roll(x, 1) + np.roll(x, -1) - 2 * x), RNG.normal(size=50))
    assert entries(program) == ["kernel"]


def join(b: Build, *parts: Value, axis: int = 0) -> Value:
    return b.emit("concatenate", *parts, axis=axis)


def test_parts_are_computed_where_they_are_read() -> None:
    """Each once: nothing is lost by that, however much it costs."""
    b = Build()
    x, y = b.input(4, 3), b.input(6, 3)
    joined = join(b, b.emit("exp", b.emit("sin", x)), b.emit("tanh", y))
    program = b.program(b.emit("multiply", joined, joined))
    assert entries(program) == ["kernel"]
    assert_right(program)


def test_what_costs_much_is_not_computed_for_each_place_that_shows_it() -> None:
    b = Build()
    x = b.input(9)
    y = b.emit("tanh", b.emit("sin", x))
    parts = [join(b, *(b.emit("slice", y, slices=(s,)) for s in ((k, 9, 1), (0, k, 1)))) for k in (1, 2, 3)]
    program = b.program(b.emit("add", b.emit("add", *parts[:2]), parts[2]))
    assert entries(program) == ["kernel"] * 2
    assert_right(program)


def test_joins_of_joins_and_what_is_around_them() -> None:
    b = Build()
    x, y, z = b.input(4, 3), b.input(2, 3), b.input(6, 2)
    rows = join(b, b.emit("negative", x), y)
    whole = join(b, z, rows, z, axis=1)
    around = b.emit("broadcast", constant(2), shape=(8, 9))
    put = b.emit("update", around, whole, slices=((1, 7, 1), (2, 9, 1)))
    program = b.program(b.emit("square", put), b.emit("reduce_add", put, axes=(0,)))
    assert_right(program)


def test_what_is_joined_is_stored_where_others_need_it() -> None:
    b = Build()
    x, y, m = b.input(4, 3), b.input(2, 3), b.input(3, 3)
    joined = join(b, b.emit("exp", x), y)
    program = b.program(b.emit("sin", joined), b.emit("dot", joined, m), joined)
    assert_right(program)


def test_a_part_that_is_a_result_too_is_stored() -> None:
    b = Build()
    x, y = b.input(4), b.input(2)
    part = b.emit("exp", x)
    program = b.program(part, b.emit("sin", join(b, part, y)))
    assert_right(program)


def test_too_many_parts_are_joined_in_memory() -> None:
    b = Build()
    parts = [b.input(1, 3) for _ in range(50)]
    program = b.program(b.emit("exp", join(b, *parts)))
    assert "concatenate" in entries(program)
    assert_right(program)


def test_nothing_is_written_over_what_is_read_elsewhere() -> None:
    b = Build()
    x = b.emit("exp", b.emit("reduce_add", b.input(2, 30), axes=(0,)))
    back = join(b, *(b.emit("slice", x, slices=(s,)) for s in ((7, 30, 1), (0, 7, 1))))
    y = b.emit("dot", b.emit("reshape", b.emit("add", x, back), shape=(5, 6)), b.input(6, 6))
    assert_right(b.program(y))


def test_threads_take_parts_of_the_boxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PART", 1)
    monkeypatch.setattr(parallel, "SUMS", 1e9)
    monkeypatch.setattr(parallel, "BLOCKED", 1)
    b = Build()
    x, y = b.input(20, 6), b.input(11, 6)
    joined = join(b, x, y)
    total = b.emit("multiply", joined, b.emit("exp", join(b, y, x)))
    program = b.program(total, *(b.emit("reduce_add", total, axes=a) for a in ((0,), (1,), (0, 1))))
    module = Module(program)
    (kernel,) = module.entries
    assert isinstance(kernel, Kernel)
    assert parallel.cut(kernel, module.layouts) == (0, 8, 4)
    assert_right(program)


@pytest.mark.parametrize("seed", range(30))
def test_random_joins(seed: int) -> None:
    """Of arrays of two axes: shifted, padded, joined, cut and combined."""
    rng = np.random.default_rng(seed)
    b = Build()
    values: list[Value] = [b.input(int(rng.integers(1, 6)), int(rng.integers(1, 6))) for _ in range(3)]
    for _ in range(14):
        x = values[rng.integers(len(values))]
        kind = rng.integers(5)
        if kind == 0:
            made = b.emit(str(rng.choice(["sin", "negative", "square"])), x)
        elif kind == 1:
            ends = [sorted(map(int, rng.choice(n + 1, 2, replace=False))) for n in x.shape]
            made = b.emit("slice", x, slices=tuple((i, j, 1) for i, j in ends))
        elif kind == 2:
            before, after = rng.integers(0, 3, 2), rng.integers(0, 3, 2)
            shape = tuple(int(n + p + q) for n, p, q in zip(x.shape, before, after, strict=True))
            around = b.emit("broadcast", constant(rng.integers(3)), shape=shape)
            made = b.emit(
                "update", around, x, slices=tuple((int(p), int(p + n), 1) for p, n in zip(before, x.shape, strict=True))
            )
        else:
            axis = int(rng.integers(2))
            fits = [v for v in values if v.shape[1 - axis] == x.shape[1 - axis]]
            made = join(b, *(fits[k] for k in rng.integers(len(fits), size=2)), axis=axis)
        same = [v for v in values if v.shape == made.shape]
        if same:
            made = b.emit("add", made, same[rng.integers(len(same))])
        values.append(made)
    program = b.program(*values[-3:])
    assert_right(program, seed)
