"""Maxwell's equations in a plane by Yee's method: the electric field across it, the magnetic field in it."""

import numpy as np
from scipy.optimize import minimize


def maxwell(source, permittivity, courant, probe):
    """A source in the middle of a box of metal; what a probe sees."""
    n, m = permittivity.shape
    ez, hx, hy = np.zeros((n, m)), np.zeros((n, m - 1)), np.zeros((n - 1, m))
    seen = np.zeros(len(source))
    for t in range(len(source)):
        hx -= courant * (ez[:, 1:] - ez[:, :-1])
        hy += courant * (ez[1:, :] - ez[:-1, :])
        curl = hy[1:, 1:-1] - hy[:-1, 1:-1] - hx[1:-1, 1:] + hx[1:-1, :-1]
        ez[1:-1, 1:-1] += courant * curl / permittivity[1:-1, 1:-1]
        ez[n // 2, m // 2] += source[t]
        seen[t] = ez[probe]
    return ez, hx, hy, seen


PROGRAM, BY = maxwell, (0, 1)


def inputs(large=False):
    n, steps = (150, 200) if large else (7, 6)
    permittivity = np.ones((n, n + 1))
    permittivity[: n // 3] = 2.0
    return np.sin(0.6 * np.arange(steps)), permittivity, 0.5, (1, 2)


def check():
    # Without a source: what is kept exactly is the energy of the fields, the magnetic one of two half steps.
    n, courant = 12, 0.5
    source = np.zeros(60)
    source[0] = 1.0
    kept = []
    for steps in (20, 40):
        ez, hx, hy, _ = maxwell(source[:steps], np.ones((n, n)), courant, (2, 2))
        hx2, hy2 = hx - courant * (ez[:, 1:] - ez[:, :-1]), hy + courant * (ez[1:] - ez[:-1])
        kept.append((ez**2).sum() + (hx * hx2).sum() + (hy * hy2).sum())
    np.testing.assert_allclose(kept, kept[0], rtol=1e-12)
    # Nothing is quicker than light: cells further away than steps were made have seen nothing.
    ez = maxwell(source[:3], np.ones((n, n)), courant, (2, 2))[0]
    assert ez[6, 6 + 2] != 0
    assert (ez[6, 6 + 3 :] == 0).all()


def use(value_and_grad):
    """The permittivity of a wall, by what comes back."""
    source = np.sin(0.6 * np.arange(10))

    def record(p):
        permittivity = np.ones((7, 8))
        permittivity[:3] = p[0]
        return maxwell(source, permittivity, 0.5, (2, 4))[3]

    seen = record(np.array([2.5]))

    def misfit(p):
        return np.sum((record(p) - seen) ** 2)

    found = minimize(value_and_grad(misfit), np.array([2.0]), jac=True)
    np.testing.assert_allclose(found.x, 2.5, rtol=1e-3)
