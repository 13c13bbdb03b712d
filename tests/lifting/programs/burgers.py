"""Burgers' equation by upwind differences, point by point (the fourth of Barba's 12 steps to Navier-Stokes)."""

import numpy as np
from scipy.optimize import minimize


def burgers(u, nu, dx, dt, steps):
    u = u.copy()
    n = len(u)
    for _ in range(steps):
        un = u.copy()
        for i in range(1, n - 1):
            u[i] = un[i] - un[i] * dt / dx * (un[i] - un[i - 1]) + nu * dt / dx**2 * (un[i + 1] - 2 * un[i] + un[i - 1])
        u[0] = un[0] - un[0] * dt / dx * (un[0] - un[-2]) + nu * dt / dx**2 * (un[1] - 2 * un[0] + un[-2])
        u[-1] = u[0]
    return u


PROGRAM, BY = burgers, (0, 1)


def sawtooth(x, t, nu):
    """The exact solution by Cole and Hopf that starts as a sawtooth."""
    left, right = x - 4 * t, x - 4 * t - 2 * np.pi
    width = 4 * nu * (t + 1)
    phi = np.exp(-(left**2) / width) + np.exp(-(right**2) / width)
    slope = -2 / width * (left * np.exp(-(left**2) / width) + right * np.exp(-(right**2) / width))
    return -2 * nu * slope / phi + 4


def start(n, nu=0.2):
    x = np.linspace(0, 2 * np.pi, n)
    dx = x[1]
    return x, dx, 0.05 * dx**2 / nu


def inputs(large=False):
    n, steps = (101, 200) if large else (12, 5)
    x, dx, dt = start(n)
    return sawtooth(x, 0.0, 0.2), 0.2, dx, dt, steps


def check():
    errors = []
    for n, steps in ((31, 20), (61, 80)):
        x, dx, dt = start(n, 1.0)
        found = burgers(sawtooth(x, 0.0, 1.0), 1.0, dx, dt, steps)
        errors.append(np.abs(found - sawtooth(x, steps * dt, 1.0)).max())
    assert errors[1] < 0.6 * errors[0] < 0.2  # of first order, as upwind differences are


def use(value_and_grad):
    """The viscosity, by what a wave has become."""
    u, nu, dx, dt, steps = inputs()
    seen = burgers(u, nu, dx, dt, steps)

    def misfit(p):
        return np.sum((burgers(u, p[0], dx, dt, steps) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([0.1]), jac=True)
    np.testing.assert_allclose(found.x, nu, rtol=1e-3)
