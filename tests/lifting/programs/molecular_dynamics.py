"""Lennard-Jones particles by the steps of Verlet, pair by pair."""

import numpy as np
from scipy.optimize import minimize


def forces(x, epsilon, sigma, f):
    """Writes the forces into `f`; returns the potential energy."""
    n = len(x)
    f[:] = 0
    energy = 0.0
    for i in range(n):
        for j in range(i + 1, n):
            d = x[i] - x[j]
            r2 = np.sum(d * d)
            s6 = (sigma**2 / r2) ** 3
            energy += 4 * epsilon * (s6 * s6 - s6)
            pull = 24 * epsilon * (2 * s6 * s6 - s6) / r2 * d
            f[i] += pull
            f[j] -= pull
    return energy


def molecular_dynamics(x, v, epsilon, sigma, dt, steps):
    x, v = x.copy(), v.copy()
    f = np.zeros_like(x)
    energies = np.zeros(steps)
    forces(x, epsilon, sigma, f)
    for t in range(steps):
        v += 0.5 * dt * f
        x += dt * v
        potential = forces(x, epsilon, sigma, f)
        v += 0.5 * dt * f
        energies[t] = potential + 0.5 * np.sum(v * v)
    return x, v, energies


PROGRAM, BY = molecular_dynamics, (0, 1, 2, 3)


def inputs(large=False):
    n, steps = (6, 20) if large else (2, 3)
    r = np.random.default_rng(7)
    x = 1.2 * np.stack(np.meshgrid(np.arange(n), np.arange(n if large else 2)), axis=-1).reshape(-1, 2)
    return x + 0.02 * r.normal(size=x.shape), 0.3 * r.normal(size=x.shape), 1.0, 1.0, 0.005, steps


def check():
    x, v, epsilon, sigma, dt, _ = inputs()
    _, end, energies = molecular_dynamics(x, v, epsilon, sigma, dt, 200)
    assert np.ptp(energies) < 2e-3 * np.abs(energies).max()
    np.testing.assert_allclose(end.sum(axis=0), v.sum(axis=0), atol=1e-13)
    # Two of them are at rest at 2^(1/6) sigma, with energy -epsilon.
    pair = np.array([[0.0, 0.0], [2 ** (1 / 6), 0.0]])
    still, _, energies = molecular_dynamics(pair, np.zeros((2, 2)), 1.0, 1.0, 0.01, 20)
    np.testing.assert_allclose(still, pair, atol=1e-14)
    np.testing.assert_allclose(energies, -1, rtol=1e-14)


def use(value_and_grad):
    """How deep and how wide the potential is, by where the particles went."""
    x, v, _, _, dt, _ = inputs()
    truth = np.array([1.2, 1.05])
    seen = molecular_dynamics(x, v, truth[0], truth[1], 4 * dt, 4)[0]

    def misfit(p):
        return 1e4 * np.sum((molecular_dynamics(x, v, p[0], p[1], 4 * dt, 4)[0] - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([1.0, 1.0]), jac=True)
    np.testing.assert_allclose(found.x, truth, rtol=1e-3)
