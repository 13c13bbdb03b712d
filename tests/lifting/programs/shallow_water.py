"""The shallow water equations in a closed basin, on Arakawa's C grid with forward-backward steps."""

import numpy as np
from scipy.optimize import minimize


def step(h, u, v, depth, g, courant):
    """Changes surface and velocities."""
    u[1:-1] -= g * courant * (h[1:] - h[:-1])
    v[:, 1:-1] -= g * courant * (h[:, 1:] - h[:, :-1])
    flux_x = np.zeros_like(u)
    flux_y = np.zeros_like(v)
    flux_x[1:-1] = u[1:-1] * (depth + 0.5 * (h[1:] + h[:-1]))
    flux_y[:, 1:-1] = v[:, 1:-1] * (depth + 0.5 * (h[:, 1:] + h[:, :-1]))
    h -= courant * (flux_x[1:] - flux_x[:-1] + flux_y[:, 1:] - flux_y[:, :-1])


def shallow_water(h, depth, g, courant, steps):
    h = h.copy()
    n, m = h.shape
    u = np.zeros((n + 1, m))
    v = np.zeros((n, m + 1))
    gauge = np.zeros(steps)
    for t in range(steps):
        step(h, u, v, depth, g, courant)
        gauge[t] = h[n - 1, m - 1]
    return h, gauge


PROGRAM, BY = shallow_water, (0, 1)


def inputs(large=False):
    n, m, steps = (150, 150, 200) if large else (6, 5, 6)
    x, y = np.linspace(-1, 1, n)[:, None], np.linspace(-1, 1, m)
    return 0.1 * np.exp(-8 * ((x + 0.4) ** 2 + (y + 0.3) ** 2)), 1.0, 1.0, 0.3, steps


def check():
    # No water is lost; and a low wave along the basin stands, with the frequency that the scheme has exactly.
    h, depth, g, courant, _ = inputs()
    np.testing.assert_allclose(shallow_water(h, depth, g, courant, 50)[0].sum(), h.sum(), rtol=1e-13)
    n, steps = 16, 40
    mode = 1e-9 * np.cos(np.pi * (np.arange(n) + 0.5) / n)[:, None]
    # h(t+1) - 2 h(t) + h(t-1) = -s h(t), which begins with h(1) = (1 - s) h(0)
    s = 4 * g * depth * courant**2 * np.sin(np.pi / (2 * n)) ** 2
    omega = np.arccos(1 - s / 2)
    expected = np.cos(omega * steps + omega / 2) / np.cos(omega / 2)
    np.testing.assert_allclose(shallow_water(mode, depth, g, courant, steps)[0], expected * mode, atol=1e-16)


def use(value_and_grad):
    """How deep the sea is, by a gauge on its shore."""
    h, _, g, courant, _ = inputs()
    steps = 12
    seen = shallow_water(h, 1.3, g, courant, steps)[1]

    def misfit(p):
        return 1e4 * np.sum((shallow_water(h, p[0], g, courant, steps)[1] - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([1.0]), jac=True)
    np.testing.assert_allclose(found.x, 1.3, rtol=1e-4)
