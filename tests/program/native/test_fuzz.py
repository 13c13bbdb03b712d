"""Random programs: the native form gives what the primitives mean, in results and in what is written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tapenet.program.ir import Program
from tapenet.program.passes import simplify
from tests.program.evaluate import evaluate
from tests.program.passes.programs import Random, numbers

pytest.importorskip("llvmlite")

from tapenet.program.native import build


def assert_native(program: Program, seed: int, rtol: float = 1e-6, special: bool = True) -> None:
    """The same results and writes as the primitives give, on two sets of arguments."""
    runner = build(program)
    rng = np.random.default_rng(seed)
    for _ in range(2):
        inputs = [
            numbers(rng, v.shape, v.dtype) if special else rng.normal(size=v.shape).astype(v.dtype)
            for v in program.inputs
        ]
        expected = evaluate(program, inputs)
        before = {w.target.tensor: w.target.tensor._data.copy() for w in program.writes}
        found = runner.call(*inputs)
        if found is NotImplemented:
            raise AssertionError("the arguments were refused")
        for f, e in zip(found, expected.outputs, strict=True):
            _same(f, e, rtol)
        for tensor, value in expected.writes.items():
            _same(tensor._data, value, rtol)
        for tensor, data in before.items():
            np.copyto(tensor._data, data)


def _same(found: Any, expected: Any, rtol: float) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-30)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("seed", range(120))
@pytest.mark.parametrize("floats", [True, False])
def test_random_programs(seed: int, floats: bool) -> None:
    program = Random(seed, floats).program(25)
    assert_native(program, seed)
    assert_native(simplify(program), seed)
