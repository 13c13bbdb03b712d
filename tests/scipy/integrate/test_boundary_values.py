"""Boundary value problems: SciPy's solutions, and derivatives beside closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate

import tapenet as tn
from tapenet.autodiff.observe.tape import CaptureError

solve_bvp = tn.scipy.integrate.solve_bvp
NODES = np.linspace(0, 1, 5)


def middle(k, value=1.0):
    """y'' = -k² y with y(0) = 0 and y(1) = value, at 1/2: value / (2 cos(k / 2))."""

    def fun(x, y):
        return [y[1], -(k**2) * y[0]]

    def bc(a, b):
        return [a[0], b[0] - value]

    return solve_bvp(fun, bc, NODES, np.zeros((2, 5)), tol=1e-6).sol(0.5)[0]


def test_derivatives_in_closed_form() -> None:
    def exact(k, value):
        return value / (2 * np.cos(k / 2))

    at = (2.0, 1.5)
    np.testing.assert_allclose(middle(*at), exact(*at), rtol=1e-7)
    np.testing.assert_allclose(tn.grad(middle, (0, 1))(*at), tn.grad(exact, (0, 1))(*at), rtol=1e-6)
    k = tn.tensor(2.0, requires_grad=True)
    middle(k).backward()
    np.testing.assert_allclose(k.grad, tn.grad(exact)(2.0, 1.0), rtol=1e-6)


def test_a_parameter_that_is_found() -> None:
    """The first eigenvalue of a string of length L is (π / L)²: by derivatives of two orders."""

    def wave_number(length):
        def fun(x, y, p):
            return np.stack([y[1] * length, -(p[0] ** 2) * y[0] * length])

        def bc(a, b, p):
            return np.stack([a[0], b[0], a[1] - 1.0])

        guess = np.stack([np.sin(np.pi * NODES), np.cos(np.pi * NODES)])
        return solve_bvp(fun, bc, NODES, guess, p=[3.0], tol=1e-4).p[0]

    at = 1.3
    found = [wave_number(at), tn.grad(wave_number)(at), tn.grad(tn.grad(wave_number))(at)]
    np.testing.assert_allclose(found, np.pi * np.array([1 / at, -1 / at**2, 2 / at**3]), rtol=1e-4)


def test_a_singular_end_gives_what_scipy_gives() -> None:
    """Emden's equation, y'' + 2 y' / x + y⁵ = 0."""
    S, guess = np.array([[0, 0], [0, -2.0]]), np.stack([np.full(5, 0.8), np.zeros(5)])

    def fun(x, y):
        return np.stack([y[1], -(y[0] ** 5)])

    def solve(library, end):
        return library.solve_bvp(fun, lambda a, b: np.stack([a[1], b[0] - end]), NODES, guess, S=S, tol=1e-6)

    theirs, plain = solve(integrate, 0.75**0.5), solve(tn.scipy.integrate, 0.75**0.5)
    np.testing.assert_array_equal(plain.sol([0.1, 0.3], 1), theirs.sol([0.1, 0.3], 1))
    ours = solve(tn.scipy.integrate, tn.tensor(0.75**0.5))
    assert list(ours) == list(theirs)
    np.testing.assert_array_equal(ours.x, theirs.x)
    np.testing.assert_array_equal(ours.y, theirs.y)
    np.testing.assert_allclose(ours.yp, theirs.yp, atol=1e-14)
    for nu in range(4):
        np.testing.assert_allclose(
            ours.sol([0.1, 0.3, 1.0], nu), theirs.sol([0.1, 0.3, 1.0], nu), rtol=1e-9, atol=1e-12
        )
    h = 1e-4
    slope = (solve(integrate, 0.75**0.5 + h).y[0, 0] - solve(integrate, 0.75**0.5 - h).y[0, 0]) / (2 * h)
    np.testing.assert_allclose(tn.grad(lambda end: solve(tn.scipy.integrate, end).y[0, 0])(0.75**0.5), slope, rtol=1e-5)


def test_errors() -> None:
    with pytest.raises(ValueError, match="`x` must be strictly increasing"):
        solve_bvp(lambda x, y: y, lambda a, b: a, [0, 0, 1], np.zeros((1, 3)))
    with pytest.raises(ValueError, match="nu=4"):
        solve_bvp(lambda x, y: -y, lambda a, b: a - tn.tensor(1.0), NODES, np.ones((1, 5))).sol(0.5, 4)
    with pytest.raises(CaptureError):
        tn.compile(middle)(tn.tensor(2.0))
