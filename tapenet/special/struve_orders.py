"""Derivatives of Struve functions by their order: those of the polynomial through SciPy's values at orders around it.

Struve's L changes with the order by much less than its value where the argument is large and the order small. It is Bessel's I
there, whose derivatives are right, and an integral.

Reference: NIST Digital Library of Mathematical Functions, 11.2 and 11.5.
"""

from __future__ import annotations

import math

import numpy as np

from tapenet.special import bessel_orders, wright_functions
from tapenet.special.bessel_orders import around, leibniz
from tapenet.special.definition import scipys
from tapenet.typing import Array

_STEPS: Array = np.arange(-72, 73) / 16
#: Places in (0, 1) by the substitution 1 / (1 + exp(-π sinh u)), how far they are from 1, and their weights.
_PLACES: Array = 1 / (1 + np.exp(-np.pi * np.sinh(_STEPS)))
_REST: Array = 1 / (1 + np.exp(np.pi * np.sinh(_STEPS)))
_WEIGHTS: Array = np.pi / 16 * np.cosh(_STEPS) * _PLACES * _REST


def _beside_i(n: int, v: Array, x: Array) -> Array:
    """The n-th derivative of L - I: -2 (x/2)^v / (√π Γ(v + 1/2)) times the integral of exp(-x t) (1 - t²)^(v - 1/2) to 1."""
    log = np.log((1 + _PLACES) * _REST)
    values = np.exp(-x[..., None] * _PLACES + (v[..., None] - 0.5) * log) * _WEIGHTS
    integrals = [(values * log**i).sum(-1) for i in range(n + 1)]
    zero = np.zeros_like(v)
    inverses = [wright_functions.by_order(zero, v + 0.5, zero, i, zero) for i in range(n + 1)]
    powers = [np.log(x / 2) ** i * (x / 2) ** v for i in range(n + 1)]
    factors = [leibniz(i, powers, inverses) for i in range(n + 1)]
    return -2 / math.sqrt(math.pi) * leibniz(n, factors, integrals)


def derivative(name: str, v: Array, x: Array, n: int) -> Array:
    """The n-th derivative by the order v of a Struve function at x."""
    f = scipys(name)
    dtype = f(np.zeros((), np.asarray(v).dtype), np.zeros((), np.asarray(x).dtype)).dtype
    v, x = np.broadcast_arrays(np.asarray(v, float), np.asarray(x, float))
    at = np.where(x == 0, 1, x)
    close = np.where(np.abs(v) < 2, bessel_orders.narrow(at), 1)
    order = np.abs(v) + 1.5
    if name == "struve":
        growth = np.minimum(np.log(np.abs(at) / (2 * order)), 0)
        found = around(lambda v: f(v, at[..., None]), n, v, close, growth)
    else:
        growth = -bessel_orders.log_growth(order, at, 1)
        wide = np.maximum(1, bessel_orders.wide(at) / 2)
        found = around(lambda v: f(v, at[..., None]), n, v, close * wide, growth)
        near = (v > -0.25) & (v < 0.5) & (x > 8)
        if near.any():
            v, at = np.where(near, v, 0), np.where(near, x, 10)
            split = bessel_orders.derivative("iv", v, at, bessel_orders.OF_I, n, 0) + _beside_i(n, v, at)
            found = np.where(near, split, found)
    # At 0 a positive power of x is 0.
    return np.where(x == 0, np.where(v > -1, 0, np.nan), found).astype(dtype)
