"""A beam by finite elements: stiffness assembled element by element, and its thickness chosen (Bendsøe and Sigmund)."""

import numpy as np


def element(stiffness, length):
    return (
        stiffness
        / length**3
        * np.array(
            [
                [12, 6 * length, -12, 6 * length],
                [6 * length, 4 * length**2, -6 * length, 2 * length**2],
                [-12, -6 * length, 12, -6 * length],
                [6 * length, 2 * length**2, -6 * length, 4 * length**2],
            ]
        )
    )


def finite_elements(thickness, load, length):
    """Deflections of a beam that is clamped on the left, of elements of rectangular cross-section."""
    n = len(thickness)
    k = np.zeros((2 * n + 2, 2 * n + 2))
    for e in range(n):
        k[2 * e : 2 * e + 4, 2 * e : 2 * e + 4] += element(thickness[e] ** 3, length)
    f = np.zeros(2 * n + 2)
    f[::2] = load
    u = np.zeros(2 * n + 2)
    u[2:] = np.linalg.solve(k[2:, 2:], f[2:])
    return u[::2], f @ u


PROGRAM, BY = finite_elements, (0, 1)


def inputs(large=False):
    n = 100 if large else 4
    return np.linspace(1.2, 0.8, n), np.linspace(0.0, 1.0, n + 1), 1.0 / n


def check():
    # A load at the end bends it by P L^3 / 3 E I.
    load = np.zeros(6)
    load[-1] = 2.0
    u, _ = finite_elements(np.full(5, 1.1), load, 0.4)
    np.testing.assert_allclose(u[-1], 2.0 * 2.0**3 / (3 * 1.1**3), rtol=1e-12)


def use(value_and_grad):
    """The stiffest beam of a given weight, by the criterion of optimality: thicker towards the wall."""
    load = np.zeros(5)
    load[-1] = 1.0

    def compliance(h):
        return finite_elements(h, load, 0.25)[1]

    h = np.ones(4)
    differentiated = value_and_grad(compliance)
    first, _ = differentiated(h)
    for _ in range(12):
        _, slope = differentiated(h)
        h = h * (slope / slope.mean()) ** 0.25
        h /= h.mean()
    last, slope = differentiated(h)
    assert last < 0.75 * first
    np.testing.assert_allclose(slope, slope.mean(), rtol=2e-2)  # each gram is worth the same everywhere
    assert (np.diff(h) < 0).all()
