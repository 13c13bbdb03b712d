"""Complex numbers in compiled loops: moved by native code, computed by NumPy's inner loops, transformed by called ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.native import entry
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(3, 4, 6)) + 1j * RNG.normal(size=(3, 4, 6))
Z[0, 0, :4] = np.nan, np.inf, 1j * np.inf, -0.0
BODIES: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda z: (z + z.T[:1].T) * z - z / (z[0] + 3.0),
    "functions": lambda z: np.abs(np.exp(z) * np.sqrt(z)) + np.tanh(z * 0.1),
    "parts and moves": lambda z: np.where(np.isnan(z), 0, np.concatenate([z[1:], z[:1]]))[::-1, [2, 0, 1]],
    "whole numbers": lambda z: z * np.arange(6),
    "sums": lambda z: np.sum(z, axis=0) + np.matmul(z.T, z)[0, 0],
    "transforms": lambda z: np.fft.ifft(np.fft.fft(z) * 2) + np.fft.rfft(np.abs(z))[:, :1],
}


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize("name", BODIES)
@backends
def test_loops_with_complex_numbers_stay_native(compiled: Compile, name: str, dtype: type) -> None:
    def f(zs: Any) -> Any:
        return tn.scan(lambda c, z: (c * 0.5 + z[1, 5], BODIES[name](z)), dtype(1j), zs)

    step, zs = compiled(f), Z.astype(dtype)
    with np.errstate(all="ignore"):
        for given in (zs, zs, zs[::-1], zs):
            for found, right in zip(step(given), f(given), strict=True):
                assert found.dtype == right.dtype
                np.testing.assert_allclose(found, right, rtol=2e-6 if dtype is np.complex64 else 1e-14)
    runner = step.variants[0].runner
    if hasattr(runner, "module") and entry.usable():
        assert runner.module.native
