"""The error function of float32: how its polynomial was found, and how accurate it is.

python -m tests.ops.test_erf      # prints the coefficients
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.elementwise.special import ARTANH_ERF

m: Any = pytest.importorskip("mpmath")

from tests.native.minimax import Fit, error, fit  # noqa: E402  it imports mpmath


def _weight(z: m.mpf) -> m.mpf:
    """How much an error of artanh(erf(x))/x, x = √z, changes erf(x), relative to it."""
    x = m.sqrt(z)
    return m.erfc(x) * (1 + m.erf(x)) * x / m.erf(x)


#: artanh(erf(x)) = x p(x²) for |x| < 4, by the relative error this leaves in erf(x).
FIT = Fit(
    lambda z: m.atanh(m.erf(m.sqrt(z))) / m.sqrt(z), 2 / m.sqrt(m.pi), _weight, ((0, 16), None), (6, None), (-23.2, 0.0)
)  # fmt: skip


def test_the_coefficients_are_as_good_as_they_are_said_to_be() -> None:
    assert error(FIT, 0, tuple(float(np.float32(c)) for c in ARTANH_ERF)) < FIT.bounds[0]


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


if __name__ == "__main__":
    print(", ".join(str(np.float32(c)) for c in fit(FIT, 0)))
