"""Bodies that attract each other by gravity, by leapfrog steps, body by body."""

import numpy as np
from scipy.optimize import minimize


def accelerations(x, mass, g, a):
    """Writes into `a`."""
    n = len(x)
    for i in range(n):
        a[i] = 0.0
        for j in range(n):
            if i != j:
                d = x[j] - x[i]
                a[i] += g * mass[j] * d / (d @ d) ** 1.5


def n_body(x, v, mass, g, dt, steps):
    x, v = x.copy(), v.copy()
    a = np.empty_like(x)
    accelerations(x, mass, g, a)
    path = np.empty((steps, *x.shape))
    for t in range(steps):
        v += 0.5 * dt * a
        x += dt * v
        accelerations(x, mass, g, a)
        v += 0.5 * dt * a
        path[t] = x
    return path, v


PROGRAM, BY = n_body, (0, 1, 2)


def inputs(large=False):
    r = np.random.default_rng(14)
    n, steps = (20, 20) if large else (3, 3)
    return 3 * r.normal(size=(n, 3)), r.normal(size=(n, 3)), r.uniform(0.5, 1.5, n), 0.5, 0.01, steps


def check():
    # Around a heavy body: back after Kepler's time, and momentum is kept.
    x, v = np.array([[0.0, 0, 0], [1.0, 0, 0]]), np.array([[0.0, 0, 0], [0.0, 1.0, 0]])
    steps = 400
    path, _ = n_body(x, v, np.array([1.0, 0.0]), 1.0, 2 * np.pi / steps, steps)
    np.testing.assert_allclose(path[-1, 1], x[1], atol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(path[:, 1], axis=1), 1, atol=1e-3)
    x, v, mass, g, dt, _ = inputs()
    _, end = n_body(x, v, mass, g, dt, 50)
    np.testing.assert_allclose(mass @ end, mass @ v, atol=1e-13)


def use(value_and_grad):
    """With what velocity to start, to come to a place at a time."""
    x = np.array([[0.0, 0.0], [1.0, 0.0]])
    mass, target = np.array([1.0, 0.0]), np.array([0.2, 0.9])

    def miss(p):
        v = np.zeros((2, 2))
        v[1] = p
        path, _ = n_body(x, v, mass, 1.0, 0.2, 6)
        return np.sum((path[-1, 1] - target) ** 2)

    found = minimize(value_and_grad(miss), np.array([0.0, 1.0]), jac=True)
    assert found.fun < 1e-8
