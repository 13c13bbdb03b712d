"""The wave equation in a layered medium by the leapfrog scheme, and its waveform inverted for the speeds (Tarantola 1984)."""

import numpy as np
from scipy.optimize import minimize


def wave(c, source, receiver, dt, dx):
    n, steps = len(c), len(source)
    before, now, after = np.zeros(n), np.zeros(n), np.zeros(n)
    seen = np.zeros(steps)
    r = (c * dt / dx) ** 2
    for t in range(steps):
        after[1:-1] = 2 * now[1:-1] - before[1:-1] + r[1:-1] * (now[2:] - 2 * now[1:-1] + now[:-2])
        after[0] = source[t]
        before, now, after = now, after, before
        seen[t] = now[receiver]
    return seen


PROGRAM, BY = wave, (0, 1)


def ricker(steps, width):
    t = (np.arange(steps) - 2.5 * width) / width
    return (1 - 2 * t**2) * np.exp(-(t**2))


def inputs(large=False):
    n, steps = (2000, 2000) if large else (12, 20)
    return np.linspace(0.6, 0.9, n), ricker(steps, steps / 8), n // 2, 1.0, 1.0


def check():
    # With a step of time in which a wave goes on by one point, the scheme is exact: the source comes in later.
    source = ricker(60, 6)
    seen = wave(np.ones(50), source, 20, 1.0, 1.0)
    np.testing.assert_allclose(seen[20:], source[:-20], atol=1e-12)
    np.testing.assert_allclose(seen[:20], 0)


def use(value_and_grad):
    """The speeds of two layers, by what a receiver in the second one recorded."""
    source = ricker(40, 8)

    def record(p):
        c = np.empty(16)
        c[:6] = p[0]
        c[6:] = p[1]
        return wave(c, source, 9, 1.0, 1.0)

    truth = np.array([0.8, 0.55])
    seen = record(truth)

    def misfit(p):
        return np.sum((record(p) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([0.75, 0.6]), jac=True)
    np.testing.assert_allclose(found.x, truth, rtol=1e-3)
