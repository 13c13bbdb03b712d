"""A NumPy program as it is: the volatilities that prices of American puts imply, by Newton's method.

A lattice of 150 steps, folded backwards in place by two loops. `tn.compile(..., lift=True)` makes one program of price and
vega, which is called with every strike.

python examples/lift_smile.py [--out FOLDER]
"""

from __future__ import annotations

import numpy as np
import pictures

import tapenet as tn

SPOT, RATE, MATURITY, STEPS = 100.0, 0.03, 0.5, 150


def put(sigma, strike):
    """The price of an American put (Cox, Ross and Rubinstein 1979)."""
    dt = MATURITY / STEPS
    up = np.exp(sigma * np.sqrt(dt))
    p = (np.exp(RATE * dt) - 1 / up) / (up - 1 / up)
    value = np.zeros(STEPS + 1)
    for i in range(STEPS + 1):
        value[i] = max(strike - SPOT * up ** (2 * i - STEPS), 0.0)
    for t in range(STEPS - 1, -1, -1):
        for i in range(t + 1):
            hold = np.exp(-RATE * dt) * (p * value[i + 1] + (1 - p) * value[i])
            value[i] = max(hold, strike - SPOT * up ** (2 * i - t))
    return value[0]


def main() -> None:
    """Take prices of a smile apart again; check it."""
    folder = pictures.folder(__doc__)
    strikes = np.linspace(80, 120, 21)
    truth = 0.25 + 0.8 * np.log(strikes / SPOT) ** 2 - 0.15 * np.log(strikes / SPOT)
    price_and_vega = tn.compile(tn.value_and_grad(tn.lift(put)))
    found = []
    for strike, sigma in zip(strikes, truth, strict=True):
        price = put(sigma, strike)
        guess = np.float64(0.3)
        for _ in range(8):
            value, vega = price_and_vega(guess, strike)
            guess = guess - (value.numpy() - price) / vega.numpy()
        found.append(float(guess))
    error = np.abs(np.array(found) - truth).max()
    print(f"{len(strikes)} volatilities from {min(found):.3f} to {max(found):.3f}, within {error:.1g}")
    series = {"implied volatility": (strikes, np.array(found))}
    pictures.lines(folder / "example-lift-smile.svg", series, "strike")
    assert error < 1e-8, f"a volatility is {error} off"


if __name__ == "__main__":
    main()
