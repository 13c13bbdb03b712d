"""Poisson's equation on a line by multigrid: a V-cycle that calls itself on the coarser grid (Brandt 1977)."""

import numpy as np
from scipy.optimize import minimize


def smooth(u, f, h, sweeps):
    """Changes `u`: red points, then black ones."""
    for _ in range(sweeps):
        u[1:-1:2] = 0.5 * (u[:-2:2] + u[2::2] + h**2 * f[1:-1:2])
        u[2:-1:2] = 0.5 * (u[1:-2:2] + u[3::2] + h**2 * f[2:-1:2])


def cycle(u, f, h):
    """Changes `u`."""
    n = len(u)
    if n == 3:
        u[1] = 0.5 * (u[0] + u[2] + h**2 * f[1])
        return
    smooth(u, f, h, 2)
    rest = np.zeros(n)
    rest[1:-1] = f[1:-1] + (u[:-2] - 2 * u[1:-1] + u[2:]) / h**2
    coarse = np.zeros(n // 2 + 1)
    coarse[1:-1] = 0.25 * (rest[1:-3:2] + 2 * rest[2:-2:2] + rest[3:-1:2])
    change = np.zeros_like(coarse)
    cycle(change, coarse, 2 * h)
    u[::2] += change
    u[1::2] += 0.5 * (change[:-1] + change[1:])
    smooth(u, f, h, 2)


def multigrid(f, cycles):
    u = np.zeros(len(f))
    for _ in range(cycles):
        cycle(u, f, 1 / (len(f) - 1))
    return u


PROGRAM, BY = multigrid, (0,)


def inputs(large=False):
    n, cycles = (2**12 + 1, 8) if large else (9, 1)
    x = np.linspace(0, 1, n)
    return np.exp(x) * np.cos(7 * x), cycles


def check():
    n = 65
    mode = np.sin(np.pi * np.linspace(0, 1, n))
    f = 2 * (n - 1) ** 2 * (1 - np.cos(np.pi / (n - 1))) * mode
    np.testing.assert_allclose(multigrid(f, 10), mode, atol=1e-12)


def use(value_and_grad):
    """What weighs on a string, by how it hangs."""
    x = np.linspace(0, 1, 9)

    def load(p):
        f = np.zeros(9)
        f[1:-1] = p[0] + p[1] * x[1:-1]
        return f

    truth = np.array([2.0, -3.0])
    seen = multigrid(load(truth), 2)

    def misfit(p):
        return 1e2 * np.sum((multigrid(load(p), 2) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.zeros(2), jac=True)
    np.testing.assert_allclose(found.x, truth, rtol=1e-3)
