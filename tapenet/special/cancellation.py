"""Differences of nearly equal functions, to all digits. They take and give arrays of float64."""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet.special.definition import scipys
from tapenet.typing import Array

#: The coefficients of ln x - psi(x) - 1/(2x) by powers of 1/x², and those of ln Γ(x) less Stirling's formula, times x.
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12)
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)
#: Those of 1/x - polygamma(1, x) + 1/(2x²), times x³.
_TRIGAMMA = tuple(-2 * (k + 1) * c for k, c in enumerate(_DIGAMMA))
#: From here on these series have all digits.
_LARGE = 10.0


def polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """The sum of coefficients[k] x^k."""
    found = np.full_like(x, coefficients[-1])
    for c in coefficients[-2::-1]:
        found = found * x + c
    return found


def log1p_less(x: Array) -> Array:
    """ln(1 + x) - x."""
    w = np.where(np.abs(x) < 0.4, x, 0) / (2 + np.where(np.abs(x) < 0.4, x, 0))
    series = 2 * w**3 * polynomial(tuple(1 / (2 * k + 3) for k in range(12)), w * w) - w * x
    return np.where(np.abs(x) < 0.4, series, np.log1p(x) - x)


def expm1_less(x: Array) -> Array:
    """exp(x) - 1 - x."""
    small = np.where(np.abs(x) < 0.5, x, 0)
    series = small * small * polynomial(tuple(1 / math.factorial(k + 2) for k in range(13)), small)
    return np.where(np.abs(x) < 0.5, series, np.expm1(x) - x)


def log_ratio(x: Array, a: Array) -> Array:
    """ln(x / a)."""
    return np.where(np.abs(x - a) < a / 2, np.log1p((x - a) / a), np.log(x) - np.log(a))


def log_ratio_less(x: Array, a: Array) -> Array:
    """ln(x / a) - x / a + 1."""
    close = np.abs(x - a) < a / 4
    return np.where(close, log1p_less(np.where(close, (x - a) / a, 0)), np.log(x) - np.log(a) - (x - a) / a)


def log_less_digamma(a: Array) -> Array:
    """ln a - psi(a)."""
    large = np.maximum(a, _LARGE)
    return np.where(
        a < _LARGE, np.log(a) - scipys("psi")(a), 0.5 / large + polynomial(_DIGAMMA, large**-2.0) / large / large
    )


def log_gamma_less_stirling(a: Array) -> Array:
    """ln Γ(a) - (a - 1/2) ln a + a - ln(2π) / 2."""
    large = np.maximum(a, _LARGE)
    direct = scipys("gammaln")(a) - (a - 0.5) * np.log(a) + a - 0.5 * math.log(2 * math.pi)
    return np.where(a < _LARGE, direct, polynomial(_STIRLING, large**-2.0) / large)


def polygamma_difference(n: int, a: Array, b: Array) -> Array:
    """polygamma(n, a + b) - polygamma(n, a), for b of 0 or more."""

    def polygamma(n: int, a: Array) -> Array:
        return cast("Array", scipys("polygamma")(n, a))

    near = b < 0.01 * a
    step = np.where(near, b, 0)
    series = sum(polygamma(n + k, a) * step**k / math.factorial(k) for k in range(1, 9))
    if n:
        direct = polygamma(n, a + b) - polygamma(n, a)
    else:
        large = np.log1p(b / a) + log_less_digamma(a) - log_less_digamma(a + b)
        direct = np.where(a < _LARGE, polygamma(0, a + b) - polygamma(0, a), large)
    return np.where(near, series, direct)


def log_less_digamma_difference(n: int, a: Array, b: Array) -> Array:
    """The n-th derivative of ln a - psi(a), less that at a + b, for b of 0 or more."""
    c, large = a + b, np.maximum(a, _LARGE)
    far = large + b
    if n == 0:
        direct = polygamma_difference(0, a, b) - np.log1p(b / a)
        first = b / (2 * large * far)
        rest = [polynomial(_DIGAMMA, x**-2.0) / x / x for x in (large, far)]
    elif n == 1:
        direct = b / (a * c) + polygamma_difference(1, a, b)
        first = -b * (large + far) / (2 * (large * far) ** 2)
        rest = [polynomial(_TRIGAMMA, x**-2.0) / x**3 for x in (large, far)]
    else:
        powers = (-1) ** (n - 1) * math.factorial(n - 1) * (a ** -float(n) - c ** -float(n))
        return cast("Array", powers + polygamma_difference(n, a, b))
    return np.where(a < _LARGE, direct, first + rest[0] - rest[1])
