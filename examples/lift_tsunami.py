"""A NumPy program as it is: where a tsunami began, by six gauges on the coast.

The shallow water equations as a NumPy program writes them, with functions that change their arguments. Its gradient by the
first height of the sea at every point is one run back through 120 steps; SciPy's L-BFGS finds the height.

python examples/lift_tsunami.py [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
import pictures
from scipy.optimize import minimize

import tapenet as tn

N, STEPS, COURANT = 40, 120, 0.4
GAUGES = [(0, 8), (0, 30), (39, 12), (39, 33), (18, 0), (25, 39)]


def step(h, u, v, depth):
    """Changes height and velocities."""
    u[1:-1] -= COURANT * (h[1:] - h[:-1])
    v[:, 1:-1] -= COURANT * (h[:, 1:] - h[:, :-1])
    across, along = np.zeros_like(u), np.zeros_like(v)
    across[1:-1] = u[1:-1] * 0.5 * (depth[1:] + depth[:-1] + h[1:] + h[:-1])
    along[:, 1:-1] = v[:, 1:-1] * 0.5 * (depth[:, 1:] + depth[:, :-1] + h[:, 1:] + h[:, :-1])
    h -= COURANT * (across[1:] - across[:-1] + along[:, 1:] - along[:, :-1])


def gauges(start, depth):
    """What the gauges show over time."""
    h = start.copy()
    u, v = np.zeros((N + 1, N)), np.zeros((N, N + 1))
    seen = np.zeros((STEPS, len(GAUGES)))
    for t in range(STEPS):
        step(h, u, v, depth)
        for k, place in enumerate(GAUGES):
            seen[t, k] = h[place]
    return seen


def main() -> None:
    """Find the start of a wave; check its middle."""
    folder = pictures.folder(__doc__)
    x, y = np.meshgrid(np.arange(N), np.arange(N), indexing="ij")
    depth = 0.6 + 0.4 * np.sin(np.pi * x / N) * np.sin(np.pi * y / N)
    truth = 0.05 * np.exp(-((x - 14) ** 2 + (y - 22) ** 2) / 12)
    seen = gauges(truth, depth)

    def misfit(start):
        rough = np.sum((start[1:] - start[:-1]) ** 2) + np.sum((start[:, 1:] - start[:, :-1]) ** 2)
        return np.sum((gauges(start, depth) - seen) ** 2) + 1e-3 * rough

    both = tn.compile(tn.value_and_grad(tn.lift(misfit)))

    def by_scipy(flat):
        value, slope = both(flat.reshape(N, N))
        return value.item(), slope.numpy().ravel()

    found = minimize(by_scipy, np.zeros(N * N), jac=True, method="L-BFGS-B", options={"maxiter": 150, "maxcor": 20})
    height = found.x.reshape(N, N)
    top = np.unravel_index(height.argmax(), height.shape)
    print(f"{found.nfev} runs: highest at {top[0]}, {top[1]}, where the wave began is 14, 22")
    panels = np.stack([truth, height, gauges_at_end(height, depth)])
    pictures.images(folder / "example-lift-tsunami.svg", [0.5 + panels / 0.1], scale=4)
    assert np.hypot(top[0] - 14, top[1] - 22) < 2, f"found at {top}"


def gauges_at_end(start, depth):
    """The sea after all steps."""
    h = start.copy()
    u, v = np.zeros((N + 1, N)), np.zeros((N, N + 1))
    for _ in range(STEPS):
        step(h, u, v, depth)
    return h


if __name__ == "__main__":
    main()
