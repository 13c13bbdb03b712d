"""A NumPy program as it is: the speeds of layers under the ground, by the echoes that a geophone records.

`record` is a finite-difference program as it stands in a textbook: arrays of zeros, written step by step, whose names are
swapped. `tn.lift` differentiates and compiles it; SciPy's L-BFGS takes the gradient by the speed at each depth.

python examples/lift_waveform.py [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
import pictures
from scipy.optimize import minimize

import tapenet as tn

DEPTHS, STEPS, DT, DX = 120, 500, 1e-3, 5.0  # seconds and metres


def record(speed, source):
    """What is heard at the top over time, for the speed at each depth: waves that start at the top and come back."""
    before, now, after = np.zeros(DEPTHS), np.zeros(DEPTHS), np.zeros(DEPTHS)
    heard = np.zeros(STEPS)
    r = (speed * DT / DX) ** 2
    for t in range(STEPS):
        after[1:-1] = 2 * now[1:-1] - before[1:-1] + r[1:-1] * (now[2:] - 2 * now[1:-1] + now[:-2])
        after[0] = after[1]
        after[-1] = now[-1] - speed[-1] * DT / DX * (now[-1] - now[-2])  # what goes down does not come back
        after[1] += source[t]
        before, now, after = now, after, before
        heard[t] = now[1]
    return heard


def main() -> None:
    """Invert a recording of three layers; check the speeds."""
    folder = pictures.folder(__doc__)
    t = (np.arange(STEPS) - 30) / 12
    source = (1 - 2 * t**2) * np.exp(-(t**2))
    depth = np.arange(DEPTHS) * DX
    truth = np.select([depth < 150, depth < 350], [1500.0, 1800.0], 2200.0)
    heard = record(truth, source)
    start = np.linspace(1450, 2250, DEPTHS)
    layers = np.minimum(np.arange(DEPTHS) // 10, 11)  # of twelve, each ten points thick

    def misfit(found):
        return np.sum((record(1e3 * found[layers], source) - heard) ** 2)

    both = tn.compile(tn.value_and_grad(tn.lift(misfit)))

    def by_scipy(speeds):
        value, slope = both(speeds)
        return value.item(), slope.numpy()

    first = start[5::10] / 1e3
    found = minimize(by_scipy, first, jac=True, method="L-BFGS-B", options={"maxiter": 300})
    speed = 1e3 * found.x[layers]
    # The bottom layer is as good as unheard: its echo would come after the recording.
    error = np.abs(speed - truth)[:-20].max()
    print(f"{found.nfev} runs: misfit from {misfit(first):.3g} to {found.fun:.2g}, speeds within {error:.1f} m/s")
    series = {"truth, km/s": (depth, truth / 1e3), "start": (depth, first[layers]), "found": (depth, speed / 1e3)}
    pictures.lines(folder / "example-lift-waveform.svg", series, "depth in metres")
    assert error < 20, f"a speed is {error:.0f} m/s from the truth"


if __name__ == "__main__":
    main()
