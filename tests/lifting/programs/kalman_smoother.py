"""Kalman's filter and the smoother of Rauch, Tung and Striebel for a level with a trend."""

import numpy as np
from scipy.optimize import minimize


def kalman_smoother(y, level_noise, trend_noise, noise):
    n = len(y)
    a = np.array([[1.0, 1.0], [0.0, 1.0]])
    q = np.zeros((2, 2))
    q[0, 0] = level_noise
    q[1, 1] = trend_noise
    means, covs = np.zeros((n, 2)), np.zeros((n, 2, 2))
    ahead, ahead_covs = np.zeros((n, 2)), np.zeros((n, 2, 2))
    m, p = np.zeros(2), 10 * np.eye(2)
    surprise = 0.0
    for t in range(n):
        if t > 0:
            m = a @ m
            p = a @ p @ a.T + q
        ahead[t], ahead_covs[t] = m, p
        s = p[0, 0] + noise
        error = y[t] - m[0]
        gain = p[:, 0] / s
        m = m + gain * error
        p = p - np.outer(gain, p[0])
        means[t], covs[t] = m, p
        surprise += 0.5 * (np.log(2 * np.pi * s) + error**2 / s)
    for t in range(n - 2, -1, -1):
        back = covs[t] @ a.T @ np.linalg.inv(ahead_covs[t + 1])
        means[t] += back @ (means[t + 1] - ahead[t + 1])
        covs[t] += back @ (covs[t + 1] - ahead_covs[t + 1]) @ back.T
    return means, covs, surprise


PROGRAM, BY = kalman_smoother, (0, 1, 2, 3)


def inputs(large=False):
    r = np.random.default_rng(11)
    n = 1000 if large else 6
    trend = np.cumsum(0.1 * r.normal(size=n))
    return np.cumsum(trend + 0.2 * r.normal(size=n)) + 0.5 * r.normal(size=n), 0.04, 0.01, 0.25


def check():
    # The same by one large Gaussian distribution of all states.
    y, level_noise, trend_noise, noise = inputs()
    n = len(y)
    a = np.array([[1.0, 1.0], [0.0, 1.0]])
    joint = np.zeros((2 * n, 2 * n))
    p = 10 * np.eye(2)
    for t in range(n):
        if t:
            p = a @ p @ a.T + np.diag([level_noise, trend_noise])
        block = p
        for s in range(t, n):
            joint[2 * s : 2 * s + 2, 2 * t : 2 * t + 2] = block
            joint[2 * t : 2 * t + 2, 2 * s : 2 * s + 2] = block.T
            block = a @ block
    seen = joint[::2, ::2] + noise * np.eye(n)
    gain = joint[:, ::2] @ np.linalg.inv(seen)
    means, covs, surprise = kalman_smoother(y, level_noise, trend_noise, noise)
    np.testing.assert_allclose(means.ravel(), gain @ y, atol=1e-11)
    left = joint - gain @ joint[::2]
    np.testing.assert_allclose(covs[2], left[4:6, 4:6], atol=1e-11)
    known = 0.5 * (y @ np.linalg.solve(seen, y) + np.linalg.slogdet(2 * np.pi * seen)[1])
    np.testing.assert_allclose(surprise, known, rtol=1e-11)


def use(value_and_grad):
    """How noisy measurements are, by what is likeliest."""
    r = np.random.default_rng(14)
    y = np.cumsum(0.2 * r.normal(size=20)) + 0.5 * r.normal(size=20)

    def loss(p):
        return kalman_smoother(y, np.exp(p[0]), 1e-4, np.exp(p[1]))[2]

    found = minimize(value_and_grad(loss), np.array([-2.0, 0.0]), jac=True, options={"maxiter": 8})
    assert found.fun < loss(np.array([-2.0, 0.0])) - 1
    assert 0.1 < np.exp(found.x[1]) < 0.6
