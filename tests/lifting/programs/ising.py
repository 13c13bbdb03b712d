"""The Ising model sampled by Metropolis's method, and its coupling found again by pseudo-likelihood (Besag 1975)."""

import math

import numpy as np
from scipy.optimize import minimize


def sweep(spins, beta, draws):
    """Changes the spins: each is turned over with the probability of Metropolis."""
    n, m = spins.shape
    for i in range(n):
        for j in range(m):
            around = spins[(i + 1) % n, j] + spins[i - 1, j] + spins[i, (j + 1) % m] + spins[i, j - 1]
            if draws[i, j] < math.exp(-2 * beta * spins[i, j] * around):
                spins[i, j] *= -1


def surprise(spins, beta):
    """Minus the mean logarithm of how likely each spin is, given its neighbours."""
    around = np.zeros(spins.shape)
    for shift in (-1, 1):
        for axis in (0, 1):
            around += np.roll(spins, shift, axis)
    return np.mean(np.log1p(np.exp(-2 * beta * spins * around)))


def ising(draws, beta, guess):
    spins = np.ones(draws.shape[1:], dtype=int)
    for t in range(len(draws)):
        sweep(spins, beta, draws[t])
    return spins, surprise(spins, guess)


PROGRAM, BY = ising, (2,)


def inputs(large=False):
    n, sweeps = (60, 10) if large else (5, 3)
    return np.random.default_rng(5).uniform(size=(sweeps, n, n)), 0.3, 0.25


def check():
    draws = np.random.default_rng(5).uniform(1e-3, 1, size=(4, 6, 6))
    assert (ising(draws, 0.0, 0.3)[0] == 1).all()  # at infinite temperature all turn in each of four sweeps
    assert (ising(draws, 10.0, 0.3)[0] == 1).all()  # at low temperature none
    np.testing.assert_allclose(surprise(np.ones((6, 6), int), 0.3), np.log1p(np.exp(-2.4)))


def use(value_and_grad):
    """How strongly spins are coupled, by a sample of them."""
    draws = np.random.default_rng(6).uniform(size=(30, 24, 24))
    spins, _ = ising(draws, 0.3, 0.3)

    def loss(p):
        return surprise(spins, p[0])

    found = minimize(value_and_grad(loss), np.array([0.1]), jac=True)
    np.testing.assert_allclose(found.x, 0.3, atol=0.05)
