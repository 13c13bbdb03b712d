"""A NumPy program as it is: the stiffest bridge of a given weight.

Finite elements as in a first course: stiffness added up element by element in a loop, `np.linalg.solve`, and the work of the
loads. Its gradient by the thickness of each element says where material is worth most.

python examples/lift_beam.py [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
import pictures

import tapenet as tn

N, LENGTH = 60, 1 / 60


def element(stiffness):
    a, b = 6 * LENGTH, LENGTH**2
    rows = [[12, a, -12, a], [a, 4 * b, -a, 2 * b], [-12, -a, 12, -a], [a, 2 * b, -a, 4 * b]]
    return stiffness / LENGTH**3 * np.array(rows)


def compliance(thickness):
    """The work of an even load on a beam that is held at both ends."""
    k = np.zeros((2 * N + 2, 2 * N + 2))
    for e in range(N):
        k[2 * e : 2 * e + 4, 2 * e : 2 * e + 4] += element(thickness[e] ** 3)
    f = np.zeros(2 * N + 2)
    f[::2] = 1 / N
    u = np.zeros(2 * N + 2)
    u[2:-2] = np.linalg.solve(k[2:-2, 2:-2], f[2:-2])
    return f @ u


def main() -> None:
    """Shape the beam by the criterion of optimality; check that it is stiffer, and that material is worth the same all over."""
    folder = pictures.folder(__doc__)
    both = tn.compile(tn.value_and_grad(tn.lift(compliance)))
    h = np.ones(N)
    first = float(compliance(h))
    for _ in range(60):
        value, slope = both(h)
        h = np.maximum(h * (slope / slope.mean()).numpy() ** 0.25, 0.05)
        h /= h.mean()
    print(f"compliance from {first:.5f} to {value.item():.5f}")
    place = (np.arange(N) + 0.5) / N
    series = {"half the thickness, above": (place, h / 2), "and below": (place, -h / 2)}
    pictures.lines(folder / "example-lift-beam.svg", series, "along the beam")
    assert value.item() < 0.6 * first, f"only {value.item() / first:.2f} of what it was"
    np.testing.assert_allclose(h, h[::-1], rtol=1e-3)


if __name__ == "__main__":
    main()
