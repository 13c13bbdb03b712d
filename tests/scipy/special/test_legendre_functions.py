"""Spherical harmonics and their derivatives against SciPy's own, which it gives to second order."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import tapenet as tn

THETA, PHI = np.array([0.01, 0.7, 1.5, 3.0]), np.array([-2.0, 0.3, 1.0, 3.0])


@pytest.mark.parametrize(
    ("n", "m"), [(3, 2), *(pytest.param(*nm, marks=pytest.mark.slow) for nm in [(0, 0), (1, -1), (3, 0), (7, -7)])]
)
def test_harmonics(n: int, m: int) -> None:
    value, slopes, curvatures = special.sph_harm_y(n, m, THETA, PHI, diff_n=2)
    np.testing.assert_array_equal(tn.special.sph_harm_y(n, m, tn.tensor(THETA), PHI).numpy(), value)
    for part, of in (np.real, 1), (np.imag, 1j):

        def f(theta: tn.Tensor, phi: tn.Tensor, part=part) -> tn.Tensor:
            return part(tn.special.sph_harm_y(n, m, theta, phi))

        for k in range(2):
            first = tn.vmap(tn.grad(f, k))(THETA, PHI)
            np.testing.assert_allclose(first.numpy(), (slopes[..., k] / of).real, rtol=1e-12, atol=1e-13)
            for j in range(2):
                second = tn.vmap(tn.grad(tn.grad(f, k), j))(THETA, PHI)
                np.testing.assert_allclose(second.numpy(), (curvatures[..., k, j] / of).real, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("n", "m"), [(3, 2), (7, -7)])
def test_polynomials(n: int, m: int) -> None:
    expected = special.sph_legendre_p(n, m, THETA, diff_n=2)
    found = tn.special.sph_legendre_p(n, m, tn.tensor(THETA))
    np.testing.assert_array_equal(found.numpy(), special.sph_legendre_p(n, m, THETA))
    slope = tn.grad(lambda theta: tn.special.sph_legendre_p(n, m, theta).sum())
    np.testing.assert_allclose(slope(THETA).numpy(), expected[1], rtol=1e-12, atol=1e-13)
    curvature = tn.grad(lambda theta: slope(theta).sum())(THETA)
    np.testing.assert_allclose(curvature.numpy(), expected[2], rtol=1e-10, atol=1e-12)


def test_derivatives_are_taken() -> None:
    with pytest.raises(ValueError, match="take derivatives"):
        tn.special.sph_harm_y(1, 0, 0.5, 0.5, diff_n=1)


def test_degrees_near_one() -> None:
    """Beside a value of 1 the derivative by the degree is 1e-6, and right: y is (1 - x) / 2, of which y² is taken along."""
    v, y = np.array([0.3, 2.5]), 5e-7
    found = tn.grad(lambda v: tn.special.lpmv(0, v, 1 - 2 * y).sum())(v)
    np.testing.assert_allclose(
        found.numpy(), -(2 * v + 1) * y + (4 * v**3 + 6 * v**2 - 2 * v - 2) / 4 * y**2, rtol=1e-10
    )
