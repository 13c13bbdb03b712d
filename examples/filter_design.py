"""A recursive filter for a template that no table has: two stop bands of different depth, and ripples of a fifth of a percent.

A Butterworth filter is the start. Its sections are moved by the gradient of how far the response is from the template: the
worst deviation, made smooth by a high power of all of them. Poles stay inside the unit circle by how they are parametrised.

python examples/filter_design.py [--out FOLDER]
"""

from __future__ import annotations

import math

import numpy as np
import pictures
import scipy.signal

import tapenet as tn

#: From, to, the gain there, and how far from it the response may be.
TEMPLATE = [(0.0, 0.20, 1.0, 0.002), (0.24, 0.36, 0.0, 0.01), (0.36, 0.5, 0.0, 0.001)]
SECTIONS = 4


def sections(u):
    """Stable sections of second order: |a2| < 1 and |a1| < 1 + a2, for any numbers."""
    a2 = np.tanh(u["a2"])
    a1 = (1 + a2) * np.tanh(u["a1"])
    one = np.ones(SECTIONS)
    sos = np.stack([one, u["b1"], u["b2"], one, a1, a2], 1)
    return np.concatenate([sos[:1] * np.concatenate([np.ones(3) * u["gain"], np.ones(3)]), sos[1:]])


def deviations(sos, points):
    """How far the response is from the template at some points of each band, 1 where it may just be."""
    found = []
    for low, high, gain, tolerance in TEMPLATE:
        _, h = tn.scipy.signal.freqz_sos(sos, np.linspace(low, high, points), fs=1.0)
        found.append((abs(h) - gain) / tolerance)
    return np.concatenate(found)


def main() -> None:
    """Design the filter; check that the template holds, that it is stable, and that the start was far from it."""
    folder = pictures.folder(__doc__)
    start = scipy.signal.butter(2 * SECTIONS, 0.45, output="sos")
    u = {
        "gain": np.array(start[0, 0]),
        "b1": start[:, 1] / start[:, 0] - np.linspace(0.1, 1.2, SECTIONS),
        "b2": np.ones(SECTIONS),
        "a1": np.arctanh(start[:, 4] / (1 + start[:, 5])),
        "a2": np.arctanh(start[:, 5]),
    }

    def far(u, power):
        d = deviations(sections(u), 60)
        return np.mean(np.abs(d) ** power) ** (1 / power)

    for power in (2.0, 4.0, 8.0, 16.0, 40.0):
        found = tn.optimize.minimize(far, u, args=(power,), method="L-BFGS-B", options={"maxiter": 400})
        u = {name: part.numpy() for name, part in found.x.items()}
    sos = np.asarray(sections(u))
    before, after = (float(np.abs(deviations(s, 2000)).max()) for s in (start, sos))
    poles = max(float(np.abs(np.roots(s[3:])).max()) for s in sos)
    print(
        f"the worst deviation, of the one that may be: {before:.2f} before, {after:.3f} after; poles within {poles:.3f}"
    )
    f = np.linspace(0, 0.5, 400)
    series = {}
    for name, s in (("Butterworth", start), ("designed", sos)):
        h = np.abs(scipy.signal.freqz_sos(s, f, fs=1.0)[1])
        series[name] = (f, 20 * np.log10(np.maximum(h, 1e-4)))
    limits = [(x, 20 * math.log10(gain + t)) for low, high, gain, t in TEMPLATE for x in (low, high)]
    series["at most"] = (np.array([x for x, _ in limits]), np.array([y for _, y in limits]))
    pictures.lines(folder / "example-filter-design.svg", series, "cycles from one sample to the next; decibels")
    assert after < 1, f"the template does not hold: {after:.3f}"
    assert poles < 1
    assert before > 10


if __name__ == "__main__":
    main()
