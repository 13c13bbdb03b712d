"""Cholesky's decomposition row by row, and the likelihood of a Gaussian process by it (Rasmussen and Williams, alg. 2.1)."""

import numpy as np
from scipy.optimize import minimize


def cholesky(a):
    n = len(a)
    lower = np.zeros_like(a)
    for i in range(n):
        for j in range(i):
            lower[i, j] = (a[i, j] - lower[i, :j] @ lower[j, :j]) / lower[j, j]
        lower[i, i] = np.sqrt(a[i, i] - lower[i, :i] @ lower[i, :i])
    return lower


def forward(lower, b):
    x = np.zeros(len(b))
    for i in range(len(b)):
        x[i] = (b[i] - np.dot(lower[i, :i], x[:i])) / lower[i, i]
    return x


def surprise(kernel, y):
    """Minus the logarithm of the likelihood of `y`."""
    lower = cholesky(kernel)
    z = forward(lower, y)
    return 0.5 * z @ z + np.sum(np.log(np.diag(lower))) + 0.5 * len(y) * np.log(2 * np.pi)


PROGRAM, BY = surprise, (0, 1)


def squares(x, length, noise):
    return np.exp(-0.5 * ((x[:, None] - x) / length) ** 2) + noise * np.eye(len(x))


def inputs(large=False):
    n = 120 if large else 6
    x = np.linspace(0, 1, n)
    return squares(x, 0.2, 0.1), np.sin(9 * x)


def check():
    kernel, y = inputs()
    np.testing.assert_allclose(cholesky(kernel), np.linalg.cholesky(kernel), atol=1e-14)
    known = 0.5 * (y @ np.linalg.solve(kernel, y) + np.linalg.slogdet(2 * np.pi * kernel)[1])
    np.testing.assert_allclose(surprise(kernel, y), known, rtol=1e-12)


def use(value_and_grad):
    """The length over which a function varies, by what is likeliest."""
    x = np.linspace(0, 1, 8)
    y = np.sin(9 * x)

    def loss(p):
        return surprise(squares(x, np.exp(p[0]), 0.01), y)

    found = minimize(value_and_grad(loss), np.array([-2.5]), jac=True)
    around = [loss(found.x + step) for step in (-0.01, 0.0, 0.01)]
    assert around[1] < around[0]
    assert around[1] < around[2]
    assert 0.1 < np.exp(found.x[0]) < 0.4
