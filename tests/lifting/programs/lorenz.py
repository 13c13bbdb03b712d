"""Lorenz's equations by Runge and Kutta's method of fourth order."""

import numpy as np
from scipy.optimize import minimize


def slope(s, sigma, rho, beta):
    x, y, z = s
    return np.array([sigma * (y - x), x * (rho - z) - y, x * y - beta * z])


def lorenz(start, sigma, rho, beta, dt, steps):
    path = np.empty((steps + 1, 3))
    path[0] = start
    for t in range(steps):
        s = path[t]
        k1 = slope(s, sigma, rho, beta)
        k2 = slope(s + dt / 2 * k1, sigma, rho, beta)
        k3 = slope(s + dt / 2 * k2, sigma, rho, beta)
        k4 = slope(s + dt * k3, sigma, rho, beta)
        path[t + 1] = s + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return path


PROGRAM, BY = lorenz, (0, 1, 2, 3)


def inputs(large=False):
    return np.array([1.0, 2.0, 20.0]), 10.0, 28.0, 8 / 3, 0.002 if large else 0.01, 2000 if large else 4


def check():
    from scipy.integrate import solve_ivp

    start, sigma, rho, beta, _, _ = inputs()
    known = solve_ivp(lambda t, s: slope(s, sigma, rho, beta), (0, 0.4), start, rtol=1e-11, atol=1e-11).y[:, -1]
    errors = [np.abs(lorenz(start, sigma, rho, beta, 0.4 / n, n)[-1] - known).max() for n in (20, 40)]
    assert 12 < errors[0] / errors[1] < 20  # of fourth order


def use(value_and_grad):
    """All three parameters, by a path."""
    start, _, _, _, dt, _ = inputs()
    truth = np.array([10.0, 28.0, 8 / 3])
    seen = lorenz(start, *truth, 4 * dt, 6)

    def misfit(p):
        return np.sum((lorenz(start, p[0], p[1], p[2], 4 * dt, 6) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([9.0, 25.0, 3.0]), jac=True)
    np.testing.assert_allclose(found.x, truth, rtol=1e-4)
