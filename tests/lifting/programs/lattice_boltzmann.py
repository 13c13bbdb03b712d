"""Flow by the lattice Boltzmann method: nine velocities, collisions after Bhatnagar, Gross and Krook (Qian 1992)."""

import numpy as np
from scipy.optimize import minimize

C = np.array([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1], [1, 1], [-1, 1], [-1, -1], [1, -1]])
W = np.array([4 / 9, 1 / 9, 1 / 9, 1 / 9, 1 / 9, 1 / 36, 1 / 36, 1 / 36, 1 / 36])


def equilibrium(rho, ux, uy, out):
    """Writes the distribution of a fluid at rest in itself into `out`."""
    square = ux**2 + uy**2
    for i in range(9):
        cu = C[i, 0] * ux + C[i, 1] * uy
        out[i] = rho * W[i] * (1 + 3 * cu + 4.5 * cu**2 - 1.5 * square)


def lattice_boltzmann(ux, uy, tau, steps):
    n, m = ux.shape
    rho = np.ones((n, m))
    f = np.empty((9, n, m))
    feq = np.empty((9, n, m))
    equilibrium(rho, ux, uy, f)
    for _ in range(steps):
        rho = f.sum(axis=0)
        ux = (f[1] + f[5] + f[8] - f[3] - f[6] - f[7]) / rho
        uy = (f[2] + f[5] + f[6] - f[4] - f[7] - f[8]) / rho
        equilibrium(rho, ux, uy, feq)
        f += (feq - f) / tau
        for i in range(9):
            f[i] = np.roll(f[i], C[i], axis=(0, 1))
    return ux, uy


PROGRAM, BY = lattice_boltzmann, (0, 2)


def inputs(large=False):
    n, steps = (64, 60) if large else (4, 3)
    y = np.arange(n) * 2 * np.pi / n
    ux = 0.02 * np.sin(y) + 0.01 * np.cos(y)[:, None]
    return ux, 0.01 * np.sin(y + 1)[:, None] + np.zeros((n, n)), 0.8, steps


def check():
    # A shear wave decays by the viscosity (tau - 1/2) / 3.
    n, steps, tau = 32, 101, 0.8
    k = 2 * np.pi / n
    ux = 1e-3 * np.sin(k * np.arange(n)) + np.zeros((n, n))
    found, across = lattice_boltzmann(ux, np.zeros((n, n)), tau, steps)
    decay = np.exp(-(tau - 0.5) / 3 * k**2 * (steps - 1))
    np.testing.assert_allclose(found, decay * ux, atol=2e-3 * 1e-3)
    np.testing.assert_allclose(across, 0, atol=1e-12)


def use(value_and_grad):
    """The time of relaxation, which is the viscosity, by what a flow has become."""
    ux, uy, _, steps = inputs()
    seen, _ = lattice_boltzmann(ux, uy, 0.9, steps)

    def misfit(p):
        return 1e6 * np.sum((lattice_boltzmann(ux, uy, p[0], steps)[0] - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([0.8]), jac=True)
    np.testing.assert_allclose(found.x, 0.9, rtol=1e-3)
