"""Integrals of Bessel functions.

Reference: NIST Digital Library of Mathematical Functions, 10.22 and 10.43.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.special.bessel import i0, j0, k0, y0
from tapenet.special.bessel_series import terms
from tapenet.special.definition import scipys, special
from tapenet.special.wright_functions import by_order
from tapenet.typing import Array

#: So many terms of the series of besselpoly are taken.
_TERMS = 100


def _less_one(f: Op, x: Array, sign: int) -> Array:
    """(f(x) - 1) / x for f = i0, j0 and sign = 1, -1: by their series where x is small."""
    small = np.abs(x) < 2
    near, far = np.where(small, x, 0), np.where(small, 1, x)
    terms = [sign**m / (4**m * math.factorial(m) ** 2) for m in range(1, 14)]
    series = 0 * near
    for term in reversed(terms):
        series = series * near * near + term
    found: Array = np.where(small, near * series, (f(x) - 1) / far)
    return found


itj0y0 = special("itj0y0", "j0(x), y0(x)", x=lambda g, x: g[0] * j0(x) + g[1] * y0(x))
it2j0y0 = special("it2j0y0", "(1 - j0(x))/x, -y0(x)/x", x=lambda g, x: -g[0] * _less_one(j0, x, -1) - g[1] * y0(x) / x)
iti0k0 = special("iti0k0", "i0(x), k0(x)", x=lambda g, x: g[0] * i0(x) + g[1] * k0(x))
it2i0k0 = special("it2i0k0", "(i0(x) - 1)/x, -k0(x)/x", x=lambda g, x: g[0] * _less_one(i0, x, 1) - g[1] * k0(x) / x)


def _product(factors: list[list[Array]], j: int) -> Array:
    """The j-th Taylor coefficient of a product."""
    first, *rest = factors
    return (
        sum((first[k] * _product(rest, j - k) for k in range(1, j + 1)), first[0] * _product(rest, j))
        if rest
        else first[j]
    )


def _derivative(a: Array, lmb: Array, nu: Array, i: int = 0, j: int = 0) -> Array:
    """The derivative of besselpoly, i times by the power lmb and j times by the order nu: of each term of its series.

    That is Σ a^ν / Γ(ν + 1) times a term of 0F1(ν + 1; -a²), by lmb + ν + 1 + 2m.
    """
    if i == j == 0:
        return cast("Array", scipys("besselpoly")(a, lmb, nu))
    dtype = np.result_type(*(np.asarray(number).dtype for number in (a, lmb, nu)))
    a, lmb, nu = (np.asarray(number, float) for number in np.broadcast_arrays(a, lmb, nu))
    zero = np.zeros(nu.shape)
    logs = [np.log(a) ** k * a**nu / math.factorial(k) if k else a**nu for k in range(j + 1)]
    inverses = [by_order(zero, nu + 1, zero, k, zero) / math.factorial(k) for k in range(j + 1)]
    found = zero
    for m, term in enumerate(terms(nu + 1, -a * a, j, _TERMS)):
        under = lmb + nu + 1 + 2 * m
        weights = [(-1) ** (i + k) * math.perm(i + k, i) / under ** (i + k + 1) for k in range(j + 1)]
        found = found + _product([logs, inverses, term, weights], j)
    return (math.factorial(j) * found).astype(dtype)


def _by_scale(g: Array, a: Array, lmb: Array, nu: Array, i: int, j: int) -> Array:
    """By a the derivative is ν/a besselpoly(a, λ, ν) - 2 besselpoly(a, λ + 1, ν + 1)."""
    beside = nu * _slope(a, lmb, nu, i, j)
    if j:
        beside = beside + j * _slope(a, lmb, nu, i, j - 1)
    found: Array = g * (beside / a - 2 * _slope(a, lmb + 1, nu + 1, i, j))
    return found


_slope: Op = op(
    _derivative,
    name="besselpoly_derivative",
    doc="The derivative of `scipy.special.besselpoly`, i times by the power and j times by the order.",
    broadcasts=True,
    vmap="leading",
    a=_by_scale,
    lmb=lambda g, a, lmb, nu, i, j: g * _slope(a, lmb, nu, i + 1, j),
    nu=lambda g, a, lmb, nu, i, j: g * _slope(a, lmb, nu, i, j + 1),
)
besselpoly = special(
    "besselpoly",
    "by x: z out/x - 2 besselpoly(x, y + 1, z + 1); by y and z: of each term of the series",
    how={"y": "series", "z": "series"},
    x=lambda g, x, y, z: _by_scale(g, x, y, z, 0, 0),
    y=lambda g, x, y, z: g * _slope(x, y, z, 1, 0),
    z=lambda g, x, y, z: g * _slope(x, y, z, 0, 1),
)
