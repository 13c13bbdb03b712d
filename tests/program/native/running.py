"""Runs a program's native form and holds it against what the primitives mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tapenet.kernels import aligned
from tapenet.program.fusion import Kernel
from tapenet.program.ir import Program
from tapenet.program.native import Runner, build, entry
from tests.program.evaluate import evaluate

Array = np.ndarray[Any, Any]


@pytest.fixture(params=["builtin", "Python"])
def entered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How arguments get into programs that a test builds: by the builtin, or as where that is not possible."""
    if request.param == "Python":
        monkeypatch.setattr(entry, "usable", lambda: False)
    elif not entry.usable():
        pytest.skip("array objects have another layout here")
    kind: str = request.param
    return kind


def poisoned(shape: Any, dtype: Any = np.float64) -> Array:
    """An array of bytes that nobody would take for a result: nan in floats, -1 in integers."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    return np.full(size, 255, np.uint8).view(dtype).reshape(shape)


def poisoned_in_order(shape: Any, dtype: Any, order: Any = None) -> Array:
    """The same in a memory order, and where results are laid."""
    made: Array = aligned(shape, dtype, order)
    made[...] = poisoned((1,) * len(shape), dtype)
    return made


def compiled(program: Program) -> Runner:
    """A program, ready to run. All memory that it might take for granted is full of nan."""
    runner = build(program)
    runner._scratch.take()
    runner._scratch.bytes.fill(255)
    runner._scratch.give()
    runner.call.__globals__.update(empty=poisoned, aligned=poisoned_in_order)  # type: ignore[attr-defined]
    return runner


def entries(runner: Runner) -> list[str]:
    """The names of what runs in order: "kernel", or that of an instruction."""
    return ["kernel" if isinstance(e, Kernel) else e.name for e in runner.module.entries]


def kernels(runner: Runner) -> list[Kernel]:
    """The kernels in order."""
    return [e for e in runner.module.entries if isinstance(e, Kernel)]


def called(runner: Runner) -> list[str]:
    """What is run by Python rather than by native code."""
    return [s.instruction.name for s in runner.module.steps if hasattr(s, "instruction")]


def assert_same(found: Any, expected: Any, rtol: float = 0.0) -> None:
    """The same values within a tolerance, of the same shape and dtype."""
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if expected.dtype.kind != "f":
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * 1e-2)


def assert_native(program: Program, *inputs: Any, rtol: float = 0.0, times: int = 2) -> Runner:
    """The native form gives and writes what the primitives give, several times over, and leaves its arguments alone."""
    runner = compiled(program)
    assert_runs(runner, program, inputs, rtol, times)
    return runner


def assert_runs(runner: Runner, program: Program, inputs: Sequence[Any], rtol: float = 0.0, times: int = 1) -> None:
    """The same for a runner that there is."""
    given = [np.array(x) for x in inputs]
    before = {r.tensor: r.tensor._data.copy() for r in program.references}
    for _ in range(times):
        expected = evaluate(program, inputs)
        found = runner.call(*inputs)
        assert found is not NotImplemented
        for f, e in zip(found, expected.outputs, strict=True):
            assert_same(f, e, rtol)
        for tensor, data in before.items():
            assert_same(tensor._data, expected.writes.get(tensor, data), rtol)
            np.copyto(tensor._data, data)
    for x, y in zip(inputs, given, strict=True):
        np.testing.assert_array_equal(x, y)
