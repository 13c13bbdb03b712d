"""Poisson's equation by Gauss-Seidel sweeps: each point is made the mean of its neighbours, the new ones and the old ones."""

import numpy as np
from scipy.optimize import minimize


def sweep(u, f, h):
    """Changes `u`."""
    n, m = u.shape
    for i in range(1, n - 1):
        for j in range(1, m - 1):
            u[i, j] = 0.25 * (u[i - 1, j] + u[i + 1, j] + u[i, j - 1] + u[i, j + 1] + h**2 * f[i, j])


def gauss_seidel(f, h, sweeps):
    u = np.zeros(f.shape)
    for _ in range(sweeps):
        sweep(u, f, h)
    return u


PROGRAM, BY = gauss_seidel, (0,)


def inputs(large=False):
    n, sweeps = (60, 20) if large else (6, 4)
    x = np.linspace(0, 1, n)
    return np.outer(np.exp(x), np.cos(2 * x)), 1 / (n - 1), sweeps


def check():
    # -u" = f with u = sin(pi x) sin(pi y), of which differences take the factor exactly
    n = 9
    h = 1 / (n - 1)
    mode = np.sin(np.pi * np.linspace(0, 1, n))
    u = np.outer(mode, mode)
    f = 4 / h**2 * (1 - np.cos(np.pi * h)) * u
    np.testing.assert_allclose(gauss_seidel(f, h, 250), u, atol=1e-13)


def use(value_and_grad):
    """How strong two sources of heat are, by temperatures away from them."""

    def field(p):
        f = np.zeros((6, 6))
        f[1, 2] = p[0]
        f[4, 3] = p[1]
        return gauss_seidel(f, 0.2, 6)

    truth = np.array([3.0, 5.0])
    seen = field(truth)[2:4, 1:5]

    def misfit(p):
        return 1e3 * np.sum((field(p)[2:4, 1:5] - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.zeros(2), jac=True)
    np.testing.assert_allclose(found.x, truth, rtol=1e-4)
