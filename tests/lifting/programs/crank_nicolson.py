"""Heat in a rod of varying conductivity by Crank and Nicolson, with Thomas's algorithm for the equations of each step."""

import numpy as np
from scipy.optimize import minimize


def thomas(lower, diagonal, upper, right):
    """Solves tridiagonal equations; writes the solution into `right`."""
    n = len(right)
    c = np.zeros(n)
    c[0] = upper[0] / diagonal[0]
    right[0] /= diagonal[0]
    for i in range(1, n):
        pivot = diagonal[i] - lower[i] * c[i - 1]
        c[i] = upper[i] / pivot
        right[i] = (right[i] - lower[i] * right[i - 1]) / pivot
    for i in range(n - 2, -1, -1):
        right[i] -= c[i] * right[i + 1]


def crank_nicolson(u, k, r, steps):
    """`k` is the conductivity between the points of `u`, whose ends are held."""
    u = u.copy()
    n = len(u)
    lower, diagonal, upper = np.zeros(n), np.ones(n), np.zeros(n)
    lower[1:-1] = -0.5 * r * k[:-1]
    upper[1:-1] = -0.5 * r * k[1:]
    diagonal[1:-1] += 0.5 * r * (k[:-1] + k[1:])
    for _ in range(steps):
        right = u.copy()
        right[1:-1] += 0.5 * r * (k[1:] * (u[2:] - u[1:-1]) - k[:-1] * (u[1:-1] - u[:-2]))
        thomas(lower, diagonal, upper, right)
        u[:] = right
    return u


PROGRAM, BY = crank_nicolson, (0, 1)


def inputs(large=False):
    n, steps = (300, 50) if large else (7, 3)
    x = np.linspace(0, 1, n)
    return np.sin(3 * x) + x, 1 + 0.5 * np.cos(5 * x[:-1]), 0.8, steps


def check():
    from scipy.linalg import solve_banded

    r = np.random.default_rng(13)
    lower, upper, right = r.normal(size=(3, 9))
    diagonal = 4 + r.uniform(size=9)
    known = solve_banded((1, 1), np.array([np.r_[0, upper[:-1]], diagonal, np.r_[lower[1:], 0]]), right)
    thomas(lower, diagonal, upper, right)
    np.testing.assert_allclose(right, known, rtol=1e-12)
    # A mode decays by the same factor in each step.
    n, r = 12, 0.7
    mode = np.sin(np.pi * np.arange(n) / (n - 1))
    s = r * (1 - np.cos(np.pi / (n - 1)))
    np.testing.assert_allclose(crank_nicolson(mode, np.ones(n - 1), r, 9), ((1 - s) / (1 + s)) ** 9 * mode, atol=1e-14)


def use(value_and_grad):
    """How conductivity changes along a rod, by temperatures in it."""
    u, _, r, steps = inputs()
    x = np.linspace(-1, 1, len(u) - 1)
    truth = np.array([1.2, 0.3])
    seen = crank_nicolson(u, truth[0] + truth[1] * x, r, steps)

    def misfit(p):
        return 1e2 * np.sum((crank_nicolson(u, p[0] + p[1] * x, r, steps) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([1.0, 0.0]), jac=True)
    np.testing.assert_allclose(found.x, truth, rtol=1e-2)
