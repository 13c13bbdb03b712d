"""Conjugate gradients (Hestenes and Stiefel 1952) for heat flow in a plate, without a matrix."""

import numpy as np
from scipy.optimize import minimize


def flow(conductivity, u, out):
    """Writes what flows out of each cell into `out`; around the plate it is cold."""
    out[:] = 0.1 * u
    across = 0.5 * (conductivity[1:] + conductivity[:-1]) * (u[1:] - u[:-1])
    along = 0.5 * (conductivity[:, 1:] + conductivity[:, :-1]) * (u[:, 1:] - u[:, :-1])
    out[:-1] -= across
    out[1:] += across
    out[:, :-1] -= along
    out[:, 1:] += along


def conjugate_gradient(conductivity, b, tolerance):
    x = np.zeros_like(b)
    r = b.copy()
    p = r.copy()
    ap = np.empty_like(b)
    rr = np.sum(r * r)
    while rr > tolerance:
        flow(conductivity, p, ap)
        alpha = rr / np.sum(p * ap)
        x += alpha * p
        r -= alpha * ap
        new = np.sum(r * r)
        p = r + new / rr * p
        rr = new
    return x


PROGRAM, BY = conjugate_gradient, (0, 1)


def inputs(large=False):
    n = 100 if large else 4
    r = np.random.default_rng(17)
    return r.uniform(0.5, 1.5, (n, n)), r.normal(size=(n, n)), 1e-18


def check():
    conductivity, b, tolerance = inputs()
    x = conjugate_gradient(conductivity, b, tolerance)
    out = np.empty_like(x)
    flow(conductivity, x, out)
    np.testing.assert_allclose(out, b, atol=1e-8)
    np.testing.assert_allclose(0.1 * x.sum(), b.sum(), rtol=1e-8)  # what comes in goes out


def use(value_and_grad):
    """How well two halves of a plate conduct, by temperatures on its edge."""
    _, b, tolerance = inputs()

    def edge(p):
        conductivity = np.empty((4, 4))
        conductivity[:2] = p[0]
        conductivity[2:] = p[1]
        return conjugate_gradient(conductivity, b, tolerance)[:, 0]

    truth = np.array([0.8, 1.3])
    seen = edge(truth)

    def misfit(p):
        return np.sum((edge(p) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.ones(2), jac=True)
    np.testing.assert_allclose(found.x, truth, rtol=1e-3)
