"""Gaussian elimination in place with partial pivoting, and the logarithm of the determinant (Golub and Van Loan)."""

import numpy as np


def decompose(a):
    """Writes both factors into `a`; returns where each row came from and the sign of these swaps."""
    n = len(a)
    rows = np.arange(n)
    sign = 1.0
    for k in range(n - 1):
        p = k + np.argmax(np.abs(a[k:, k]))
        if p != k:
            a[[k, p]] = a[[p, k]]
            rows[[k, p]] = rows[[p, k]]
            sign = -sign
        for i in range(k + 1, n):
            a[i, k] /= a[k, k]
            a[i, k + 1 :] -= a[i, k] * a[k, k + 1 :]
    return rows, sign


def lu(a):
    a = a.copy()
    _, sign = decompose(a)
    total = 0.0
    for i in range(len(a)):
        sign *= np.sign(a[i, i])
        total += np.log(np.abs(a[i, i]))
    return a, sign, total


PROGRAM, BY = lu, (0,)


def inputs(large=False):
    n = 120 if large else 5
    return (np.random.default_rng(1).normal(size=(n, n)),)


def check():
    (a,) = inputs()
    factors = a.copy()
    rows, _ = decompose(factors)
    lower, upper = np.tril(factors, -1) + np.eye(len(a)), np.triu(factors)
    np.testing.assert_allclose(lower @ upper, a[rows], atol=1e-14)
    np.testing.assert_allclose(lu(a)[1:], np.linalg.slogdet(a), rtol=1e-12)


def use(value_and_grad):
    """Where to measure a parabola on [-1, 1], so that its coefficients are known best: both ends and the middle, a third each.

    The weights are multiplied by the gradient of the determinant of their information (Titterington 1976).
    """
    x = np.linspace(-1, 1, 5)
    v = np.stack([np.ones(5), x, x**2], axis=1)

    def information(w):
        return lu(v.T @ (w[:, None] * v))[2]

    w = np.full(5, 1 / 5)
    differentiated = value_and_grad(information)
    for _ in range(20):
        _, slope = differentiated(w)
        np.testing.assert_allclose((w * slope).sum(), 3, rtol=1e-7)  # of degree 3 in the weights
        w = w * slope / 3
    np.testing.assert_allclose(w, [1 / 3, 0, 1 / 3, 0, 1 / 3], atol=0.02)
