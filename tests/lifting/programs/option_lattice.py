"""An American put by the lattice of Cox, Ross and Rubinstein."""

import numpy as np


def option_lattice(spot, strike, rate, sigma, maturity, steps):
    dt = maturity / steps
    up = np.exp(sigma * np.sqrt(dt))
    down = 1 / up
    p = (np.exp(rate * dt) - down) / (up - down)
    discount = np.exp(-rate * dt)
    value = np.zeros(steps + 1)
    for i in range(steps + 1):
        value[i] = max(strike - spot * up ** (2 * i - steps), 0.0)
    for t in range(steps - 1, -1, -1):
        for i in range(t + 1):
            hold = discount * (p * value[i + 1] + (1 - p) * value[i])
            exercise = strike - spot * up ** (2 * i - t)
            value[i] = max(hold, exercise)
    return value[0]


PROGRAM, BY = option_lattice, (0, 2, 3)


def inputs(large=False):
    return 36.0, 40.0, 0.06, 0.2, 1.0, 200 if large else 8


def check():
    # Longstaff and Schwartz 2001, table 1: 4.478 and 3.250 by finite differences
    assert abs(option_lattice(36.0, 40.0, 0.06, 0.2, 1.0, 200) - 4.478) < 0.01
    assert abs(option_lattice(36.0, 40.0, 0.06, 0.2, 1.0, 200) - option_lattice(36.0, 40.0, 0.06, 0.2, 1.0, 100)) < 0.01
    assert abs(option_lattice(40.0, 40.0, 0.06, 0.2, 1.0, 200) - 2.314) < 0.01


def use(value_and_grad):
    """The volatility that a price implies, by Newton's method with the slope that traders call vega."""
    spot, strike, rate, _, maturity, steps = inputs()
    price = option_lattice(spot, strike, rate, 0.35, maturity, steps)

    def value(p):
        return option_lattice(spot, strike, rate, p[0], maturity, steps)

    sigma = np.array([0.2])
    differentiated = value_and_grad(value)
    for _ in range(6):
        found, vega = differentiated(sigma)
        sigma = sigma - (found - price) / vega
    np.testing.assert_allclose(sigma, 0.35, rtol=1e-9)
