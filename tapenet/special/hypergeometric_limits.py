"""The confluent hypergeometric limit function 0F1.

Reference: NIST Digital Library of Mathematical Functions, 10.39 and 16.3.
"""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.special import bessel_series
from tapenet.special.bessel_orders import around
from tapenet.special.definition import scipys, special
from tapenet.typing import Array

#: So many terms of the series are enough where |z| is at most twice v, ten times -v, or 4.
_TERMS = 100
#: From this parameter on there is no pole within the distance of the values that a polynomial goes through.
_AWAY = 2.5


def _interpolated(v: Array, z: Array, n: int) -> Array:
    """The n-th derivative of the polynomial through values at parameters around v, which is far from poles."""
    order = np.abs(v - 1)
    growth = -np.log(np.abs(order + np.sqrt((order * order + 4 * z).astype(complex))) / 2)
    # Freed of Γ(v), the function grows like a power of the saddle of its integral.
    growth = growth + np.log(np.maximum(v, 1))
    f = scipys("hyp0f1")
    return around(lambda v: f(v, z[..., None]), n, v, np.ones(v.shape), growth)


def derivative(v: Array, z: Array, n: int) -> Array:
    """The n-th derivative of 0F1(v; z) by v."""
    f = scipys("hyp0f1")
    v, z = np.asarray(v), np.asarray(z)
    dtype = f(np.ones((), v.dtype), np.ones((), z.dtype)).dtype
    v, z = np.broadcast_arrays(v.astype(float), z.astype(complex if z.dtype.kind == "c" else float))
    near = np.abs(z) <= np.maximum(np.where(v > 0, 2 * v, -10 * v), 4)
    small = np.where(near, z, 0)
    found = 0 * small
    for term in bessel_series.terms(v, small, n, _TERMS):
        found = found + math.factorial(n) * term[n]
    if near.all():
        return found.astype(dtype)
    # Below, F(v) = F(v + 1) + z / (v (v + 1)) F(v + 2), for Taylor coefficients in v.
    up = np.where(near, 0, np.maximum(np.ceil(_AWAY - v), 0))
    large = np.where(near, 1, z)
    at = np.where(near, _AWAY, v + up)
    one, two = ([_interpolated(at + i, large, k) if k else f(at + i, large) for k in range(n + 1)] for i in (0, 1))
    one, two = ([value / math.factorial(k) for k, value in enumerate(values)] for values in (one, two))
    for step in range(int(up.max(initial=0))):
        lower = at - step - 1
        inverse = [(-1) ** k * (lower ** (-k - 1.0) - (lower + 1) ** (-k - 1.0)) for k in range(n + 1)]
        made = [one[k] + large * sum(inverse[i] * two[k - i] for i in range(k + 1)) for k in range(n + 1)]
        moves = step < up
        one, two = ([np.where(moves, a, b) for a, b in zip(*pair, strict=True)] for pair in ((made, one), (one, two)))
    return np.where(near, found, math.factorial(n) * one[n]).astype(dtype)


def _by_argument(g: Array, v: Array, z: Array, n: int) -> Array:
    """The derivative of F by z is F(v + 1; z) / v."""
    found: Array = g * sum(
        (
            math.comb(n, i) * (-1) ** i * math.factorial(i) * v ** (-i - 1.0) * _slope(v + 1, z, n - i)
            for i in range(1, n + 1)
        ),
        _slope(v + 1, z, n) / v,
    )
    return found


def _by_parameter(v: Array, z: Array, n: int = 1) -> Array:
    return derivative(v, z, n) if n else scipys("hyp0f1")(v, z)


_slope: Op = op(
    _by_parameter,
    name="hyp0f1_by_parameter",
    doc="The n-th derivative of `scipy.special.hyp0f1` by its parameter.",
    broadcasts=True,
    vmap="leading",
    v=lambda g, v, z, n: g * _slope(v, z, n + 1),
    z=lambda g, v, z, n: _by_argument(g, v, z, n),
)
hyp0f1: Op = special(
    "hyp0f1",
    "by x: of the series, or of the polynomial through values at parameters around x; by y: hyp0f1(x + 1, y) / x",
    how={"x": "series"},
    x=lambda g, x, y: g * _slope(x, y),
    y=lambda g, x, y: g * hyp0f1(x + 1, y) / x,
)
