"""The heat equation on a plate by forward differences in time (Crank and Nicolson 1947 call it the classical method)."""

import numpy as np
from scipy.optimize import minimize


def heat(u, alpha, steps):
    u = u.copy()
    for _ in range(steps):
        u[1:-1, 1:-1] += alpha * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1])
    return u


PROGRAM, BY = heat, (0, 1)


def inputs(large=False):
    n, steps = (200, 200) if large else (8, 6)
    x = np.linspace(0, 1, n)
    return np.outer(x * (1 - x), np.sin(3 * x)), 0.2, steps


def check():
    # A mode of sines stays what it is and decays by the same factor in each step.
    n, steps, alpha = 21, 30, 0.2
    mode = np.sin(np.pi * np.arange(n) / (n - 1))
    u = np.outer(mode, mode)
    factor = 1 - 4 * alpha * (1 - np.cos(np.pi / (n - 1)))
    np.testing.assert_allclose(heat(u, alpha, steps), factor**steps * u, atol=1e-14)


def use(value_and_grad):
    """The diffusivity of a plate, by its temperatures at the end."""
    u, alpha, steps = inputs()
    seen = heat(u, alpha, steps)

    def misfit(p):
        return 1e4 * np.sum((heat(u, p[0], steps) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([0.1]), jac=True)
    np.testing.assert_allclose(found.x, alpha, rtol=1e-4)
