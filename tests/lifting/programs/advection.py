"""Advection by a scheme of second order with the limiter minmod, cell by cell (LeVeque 2002, chapter 6)."""

import numpy as np
from scipy.optimize import minimize


def minmod(a, b):
    if a * b <= 0:
        return 0.0
    return a if abs(a) < abs(b) else b


def advection(q, courant, steps):
    n = len(q)
    cells = np.zeros(n + 4)  # two more on either side
    cells[2:-2] = q
    flux = np.zeros(n + 1)
    for _ in range(steps):
        cells[:2] = cells[n : n + 2]
        cells[-2:] = cells[2:4]
        for i in range(n + 1):
            left = cells[i + 1]
            slope = minmod(left - cells[i], cells[i + 2] - left)
            flux[i] = courant * (left + 0.5 * (1 - courant) * slope)
        for i in range(n):
            cells[i + 2] -= flux[i + 1] - flux[i]
    return cells[2:-2].copy()


PROGRAM, BY = advection, (0, 1)


def inputs(large=False):
    n, steps = (200, 100) if large else (8, 3)
    x = np.arange(n) / n
    return np.exp(-20 * (x - 0.4) ** 2) + 0.01 * np.cos(40 * x), 0.6, steps


def check():
    q = np.where(np.abs(np.arange(40) - 15) < 6, 1.0, 0.0)
    found = advection(q, 0.6, 100)
    np.testing.assert_allclose(found.sum(), q.sum(), rtol=1e-13)
    assert np.abs(np.diff(found)).sum() <= np.abs(np.diff(q)).sum() + 1e-12  # no new wiggles
    np.testing.assert_allclose(advection(q, 1.0, 40), q, atol=1e-13)  # once around


def use(value_and_grad):
    """How fast the wind is, by what it has carried."""
    q, _, steps = inputs()
    seen = advection(q, 0.55, steps)

    def misfit(p):
        return np.sum((advection(q, p[0], steps) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([0.4]), jac=True)
    np.testing.assert_allclose(found.x, 0.55, rtol=1e-3)
