"""The gamma distribution, of shape a and scale 1: its density and distribution function, differentiated by the shape any number
of times.

The distribution function P(a, x) is the integral of the density; so its derivative by a is the integral of the density times
ln t - psi(a), from 0 to x or, negative, from x to infinity. It is taken on the side where this factor does not change its
sign, over ln t.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import op
from tapenet.special.cancellation import (
    expm1_less,
    log_gamma_less_stirling,
    log_less_digamma,
    log_ratio,
    log_ratio_less,
)
from tapenet.special.definition import on_flat, scipys
from tapenet.special.log_concave import integral, reach
from tapenet.special.partial_derivatives import of_exponential
from tapenet.special.zeta_functions import polygamma
from tapenet.typing import Array

#: exp(-t) leaves 1 near t = 1.
_CUTS = np.array([[-37.0], [-3.0], [1.0]])


@op(
    a=lambda g, a: -g * polygamma(1, a + 1), x=lambda g, x: g / x,
    broadcasts=True, vmap="leading", doc="ln x - psi(a + 1).",
)  # fmt: skip
def _log_less_psi(a: Array, x: Array) -> Array:
    return on_flat(_log_less_psi_of, a, x)


def _log_less_psi_of(a: Array, x: Array) -> Array:
    return np.where(a < 1, np.log(x) - scipys("psi")(a + 1), log_ratio(x, a) + log_less_digamma(a) - 1 / a)


@op(
    a=lambda g, out, a, x: safe_mul(g, safe_mul(out, _log_less_psi(a, x) + 1 / a)),
    x=lambda g, out, a, x: safe_mul(g, _density_over_x(out, a, x) - out),
    broadcasts=True, vmap="leading", doc="The density of the gamma distribution, x^(a - 1) exp(-x) / Γ(a).",
)  # fmt: skip
def gamma_density(a: Array, x: Array) -> Array:
    def density(a: Array, x: Array) -> Array:
        at_0 = np.where(a < 1, np.inf, np.where(a > 1, 0, 1))
        return np.where(x == 0, at_0, _over_log(a, x) / x)

    return on_flat(density, a, x)


def _density_over_x(density: Array, a: Array, x: Array) -> Array:
    """(a - 1) density / x, also where x = 0."""
    less = gamma_density(np.where(a > 1, a - 1, 1), x)
    return np.where(a > 1, less, density * safe_mul(a - 1, 1 / x))


def _over_log(a: Array, x: Array) -> Array:
    """The density of ln x: x^a exp(-x) / Γ(a)."""
    found: Array = np.exp(a * log_ratio_less(x, a) - log_gamma_less_stirling(a)) * np.sqrt(a / (2 * math.pi))
    return np.where((a == 0) | (x == np.inf), 0, found)


def _polynomial(a: Array, log_less_psi: Array, n: int) -> Array:
    """The n-th derivative of the density by a, divided by the density; given ln x - psi(a + 1).

    1/Γ(a) is a/Γ(a + 1): derivatives of this do not cancel where a is small.
    """

    def cumulant(i: int, _: int) -> Array:
        return log_less_psi if i == 1 else -polygamma(i - 1, a + 1)

    return cast("Array", of_exponential(n, 0, cumulant) + (n / a * of_exponential(n - 1, 0, cumulant) if n else 0))


def density_by_shape(a: Array, x: Array, n: int) -> Array:
    """The n-th derivative of the density by a."""
    return safe_mul(gamma_density(a, x), _polynomial(a, _log_less_psi(a, x), n))


@op(
    a=lambda g, a, x, n: _next(g, a, x, n + 1),
    x=lambda g, a, x, n: g * density_by_shape(a, x, n),
    broadcasts=True, vmap="leading", doc="The n-th derivative of P(a, x) by a.",
)  # fmt: skip
def gamma_by_shape(a: Array, x: Array, n: int = 1) -> Array:
    return on_flat(lambda a, x: _integral(a, x, n), a, x)


def _next(g: Array, a: Array, x: Array, n: int) -> Array:
    return cast("Array", g * gamma_by_shape(a, x, n))


def _integral(a: Array, x: Array, n: int) -> Array:
    a = np.where(a == 0, 1e-290, a)  # the limit
    log_less_psi = _log_less_psi_of(a, x)
    below = log_less_psi + 1 / a < 0
    sign = np.where(below, -1.0, 1.0)

    def fall(u: Array) -> tuple[Array, Array]:
        return _fall(a, x, sign * u), sign * (x * np.exp(sign * u) - a)

    length = reach(fall, np.where(below, (x + 43) / a, np.log1p((5 * x + 50) / x)))
    start, end = np.where(below, -length, 0), np.where(below, 0, length)

    def f(d: Array, some: Array) -> Array:
        a_, x_, log = a[some, None], x[some, None], log_less_psi[some, None]
        return np.exp(-_fall(a_, x_, d)) * _polynomial(a_, log + d, n)

    density = _over_log(a, x)
    return np.where(density == 0, 0, -sign * density * integral(f, start, end, _CUTS - np.log(x)))


def _fall(a: Array, x: Array, d: Array) -> Array:
    """By how much the logarithm of the density of ln x falls over d: x (exp(d) - 1) - a d, which cancels where a is large."""
    e = np.expm1(d)
    return cast("Array", np.where(np.abs(d) < 0.5, (x - a) * e + a * expm1_less(d), x * e - a * d))
