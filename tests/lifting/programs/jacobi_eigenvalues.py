"""Eigenvalues of a symmetric matrix by Jacobi's rotations (1846), in place, until it is diagonal."""

import math

import numpy as np


def rotate(a, p, q):
    """Makes `a[p, q]` zero; changes `a`."""
    if abs(a[p, q]) < 1e-100:
        return
    ratio = (a[q, q] - a[p, p]) / (2 * a[p, q])
    t = math.copysign(1, ratio) / (abs(ratio) + math.sqrt(1 + ratio**2))
    c = 1 / math.sqrt(1 + t**2)
    s = t * c
    row = a[p].copy()
    a[p] = c * row - s * a[q]
    a[q] = s * row + c * a[q]
    column = a[:, p].copy()
    a[:, p] = c * column - s * a[:, q]
    a[:, q] = s * column + c * a[:, q]


def off_diagonal(a):
    return np.sum(np.tril(a, -1) ** 2)


def jacobi_eigenvalues(a, tolerance):
    a = 0.5 * (a + a.T)
    n = len(a)
    while off_diagonal(a) > tolerance:
        for p in range(n - 1):
            for q in range(p + 1, n):
                rotate(a, p, q)
    return np.sort(np.diag(a))


PROGRAM, BY = jacobi_eigenvalues, (0,)


def inputs(large=False):
    n = 24 if large else 4
    a = np.random.default_rng(16).normal(size=(n, n))
    return (a + a.T) / 2, 1e-20


def check():
    a, tolerance = inputs()
    np.testing.assert_allclose(jacobi_eigenvalues(a, tolerance), np.linalg.eigvalsh(a), atol=1e-12)


def use(value_and_grad):
    """Which spring of a chain raises its lowest frequency most: the one that this oscillation stretches most."""

    def chain(springs):
        n = len(springs)
        k = np.zeros((n, n))
        for i in range(n):
            k[i, i] += springs[i]
            if i > 0:
                k[i - 1, i - 1] += springs[i]
                k[i - 1, i] -= springs[i]
                k[i, i - 1] -= springs[i]
        return k

    def lowest(springs):
        return jacobi_eigenvalues(chain(springs), 1e-20)[0]

    springs = np.array([1.0, 1.5, 0.8, 1.2])
    value, slope = value_and_grad(lowest)(springs)
    known, modes = np.linalg.eigh(chain(springs))
    np.testing.assert_allclose(value, known[0], rtol=1e-12)
    np.testing.assert_allclose(slope, np.diff(modes[:, 0], prepend=0) ** 2, atol=1e-10)
