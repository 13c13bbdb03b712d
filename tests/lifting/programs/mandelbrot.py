"""The smooth number of turns that points outside the Mandelbrot set take to escape, computed where they have not yet."""

import numpy as np


def mandelbrot(x, y, turns, horizon):
    c = x + 1j * y[:, None]
    z = np.zeros_like(c)
    count = np.full(c.shape, float(turns))
    alive = np.ones(c.shape, dtype=bool)
    for i in range(turns):
        z[alive] = z[alive] ** 2 + c[alive]
        escaped = alive & (np.abs(z) > horizon)
        count[escaped] = i + 1 - np.log2(np.log(np.abs(z[escaped])))
        alive[escaped] = False
    return count


PROGRAM, BY = mandelbrot, (0, 1)


def inputs(large=False):
    n, turns = (150, 60) if large else (5, 10)
    return np.linspace(-2.1, 0.6, n), np.linspace(-1.1, 1.2, n), turns, 1e3


def check():
    count = mandelbrot(np.array([0.0, -1.0, 0.25, 0.5]), np.array([0.0]), 50, 1e3)[0]
    assert (count[:3] == 50).all()  # points of the set
    assert count[3] < 10
    # The count is a smooth function: the same whatever the horizon.
    further = mandelbrot(np.array([0.5]), np.array([0.3]), 50, 1e8)
    np.testing.assert_allclose(mandelbrot(np.array([0.5]), np.array([0.3]), 50, 1e4), further, rtol=1e-5)


def use(value_and_grad):
    """How far points are from the set, by the slope of the count (Milnor): known to a factor of two."""

    def total(x):
        return np.sum(mandelbrot(x, np.array([0.0]), 40, 1e6))

    x = np.array([-3.0, -2.5, -2.2])  # the set ends at -2
    _, slope = value_and_grad(total)(x)
    potential = 2.0 ** (1 - mandelbrot(x, np.array([0.0]), 40, 1e6)[0])
    estimate = np.sinh(potential) / (np.exp(potential) * potential * np.abs(slope) * np.log(2))
    assert (estimate / 2 < -2 - x).all()
    assert (-2 - x < 2 * estimate).all()
