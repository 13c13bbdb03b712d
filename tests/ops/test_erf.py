"""The error function of float32: how accurate it is."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn


def test_the_error_of_float32_is_small_everywhere() -> None:
    x = np.concatenate([np.geomspace(1e-38, 1e-3, 2000), np.linspace(1e-3, 6, 200000), np.geomspace(6, 3e38, 2000)])
    x = np.concatenate([x, -x]).astype(np.float32)
    expected = tn.erf(x.astype(np.float64))
    found = tn.erf(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2.5e-7, atol=0)
    assert np.abs(tn.gelu(x[np.abs(x) < 10]) - tn.gelu(x[np.abs(x) < 10].astype(np.float64))).max() < 1e-6


def test_what_is_no_usual_number() -> None:
    x = np.tile(np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30], np.float32), 100)
    found = tn.erf(x)[:7]
    np.testing.assert_array_equal(found, [0, 0, 1, -1, np.nan, 1, -1])
    assert np.signbit(found).tolist()[:4] == [False, True, False, True]


@pytest.mark.parametrize("order", ["C", "F"])
def test_every_order_of_memory(order: str) -> None:
    x = np.array(np.random.default_rng(0).normal(size=(30, 40)).astype(np.float32), order=order)  # type: ignore[call-overload]
    np.testing.assert_array_equal(tn.erf(x), tn.erf(x.copy("C")))
    np.testing.assert_array_equal(tn.erf(x[::2]), tn.erf(x)[::2])
