"""A plasma of electrons on a line: particles in cells (Birdsall and Langdon), fields by Fourier transforms."""

import numpy as np
from scipy.optimize import minimize


def deposit(x, n, length):
    """The density of the particles, each shared by the two points beside it."""
    density = np.zeros(n)
    place = x / length * n
    left = np.floor(place).astype(int)
    share = place - left
    np.add.at(density, left % n, 1 - share)
    np.add.at(density, (left + 1) % n, share)
    return density * n / len(x)


def particle_in_cell(x, v, strength, n, length, dt, steps):
    x, v = x.copy(), v.copy()
    k = 2 * np.pi / length * np.fft.rfftfreq(n, 1 / n)
    energies = np.zeros(steps)
    for t in range(steps):
        charge = 1 - deposit(x, n, length)
        spectrum = np.fft.rfft(charge)
        field = np.zeros(len(k), dtype=complex)
        field[1:] = spectrum[1:] / (1j * k[1:])
        e = np.fft.irfft(field, n)
        energies[t] = 0.5 * np.mean(e**2)
        place = x / length * n
        left = np.floor(place).astype(int)
        share = place - left
        v -= strength * dt * ((1 - share) * e[left % n] + share * e[(left + 1) % n])
        x += dt * v
        x %= length
    return x, v, energies


PROGRAM, BY = particle_in_cell, (0, 1, 2)


def inputs(large=False):
    particles, n, steps = (20_000, 64, 50) if large else (24, 8, 3)
    length = 2 * np.pi
    x = (np.arange(particles) + 0.37) * length / particles
    return x + 0.05 * np.sin(x), 0.1 * np.cos(x), 1.0, n, length, 0.1, steps


def check():
    x, _, _, n, length, _, _ = inputs()
    np.testing.assert_allclose(deposit(x, n, length).sum(), n, rtol=1e-14)
    # A cold plasma swings at its frequency, 1 here: after half a time the field is what it was, turned round.
    x = (np.arange(2000) + 0.5) * length / 2000
    steps = 63
    _, _, energies = particle_in_cell(x + 0.01 * np.sin(x), np.zeros(2000), 1.0, 32, length, np.pi / 62, steps)
    np.testing.assert_allclose(energies[-1], energies[0], rtol=0.01)
    assert energies[31] < 0.01 * energies[0]


def use(value_and_grad):
    """How strongly particles are pulled, by where they went."""
    x, v, _, n, length, dt, steps = inputs()
    seen = particle_in_cell(x, v, 1.3, n, length, dt, steps)[1]

    def misfit(p):
        return 1e3 * np.sum((particle_in_cell(x, v, p[0], n, length, dt, steps)[1] - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([1.0]), jac=True)
    np.testing.assert_allclose(found.x, 1.3, rtol=1e-3)
