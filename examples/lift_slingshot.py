"""A NumPy program as it is: when and how fast to leave, to be thrown by one planet to another.

Gravity by two nested loops over bodies, as it is written first. The gradient goes back through 400 steps of flight; Newton's
method of SciPy takes it.

python examples/lift_slingshot.py [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
import pictures
from scipy.optimize import minimize

import tapenet as tn

MASS = np.array([1.0, 2e-3, 1e-3, 0.0])  # a sun, two planets and a probe
STEPS, DT = 400, 0.02


def pull(x, a):
    """Writes the accelerations into `a`."""
    for i in range(len(x)):
        a[i] = 0.0
        for j in range(len(x)):
            if i != j:
                d = x[j] - x[i]
                a[i] += MASS[j] * d / (d @ d + 1e-4) ** 1.5


def flight(launch):
    """The paths of all bodies, for the velocity of the probe at the start."""
    x = np.array([[0.0, 0.0], [1.6, 0.0], [0.7, 2.57], [1.0, 0.0]])
    v = np.zeros((4, 2))
    for i in range(1, 3):  # planets go round
        r = np.sqrt(np.sum(x[i] ** 2))
        v[i, 0] = -x[i, 1] / r**1.5
        v[i, 1] = x[i, 0] / r**1.5
    v[3] = launch
    a = np.zeros((4, 2))
    path = np.zeros((STEPS, 4, 2))
    pull(x, a)
    for t in range(STEPS):
        v += 0.5 * DT * a
        x += DT * v
        pull(x, a)
        v += 0.5 * DT * a
        path[t] = x
    return path


def miss(launch):
    """How far from the outer planet the probe is at the end, and a little for the fuel."""
    path = flight(launch)
    return np.sum((path[-1, 3] - path[-1, 2]) ** 2) + 1e-4 * np.sum(launch**2)


def main() -> None:
    """Find the launch; check that the probe arrives."""
    folder = pictures.folder(__doc__)
    both = tn.compile(tn.value_and_grad(tn.lift(miss)))

    def by_scipy(launch):
        value, slope = both(launch)
        return value.item(), slope.numpy()

    start = np.array([0.0, 1.2])
    found = minimize(by_scipy, start, jac=True, method="BFGS")
    path = flight(found.x)
    off = np.linalg.norm(path[-1, 3] - path[-1, 2])
    print(f"{found.nfev} runs: from {np.sqrt(miss(start)):.2f} away to {off:.4f}, leaving with {found.x}")
    series = {
        name: (path[:, k, 0], path[:, k, 1]) for k, name in ((1, "inner planet"), (2, "outer planet"), (3, "probe"))
    }
    pictures.lines(folder / "example-lift-slingshot.svg", series, size=(420, 420))
    assert off < 0.02, f"the probe passes {off:.2f} away"


if __name__ == "__main__":
    main()
