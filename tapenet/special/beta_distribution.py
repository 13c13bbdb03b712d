"""The beta distribution, of shapes a and b: its density and distribution function, differentiated by the shapes any number of
times.

As for the gamma distribution, a derivative of the distribution function I is the integral of that of the density, on the side
where it does not change its sign, over ln t - ln(1 - t).

All take x and also y = 1 - x, which x may be too coarse to give. Who computes x and y of something gets the right derivatives
by it, of every order: the density is a function of the two, and the distribution function moves with x.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import flat, op
from tapenet.special.cancellation import (
    expm1_less,
    log1p_less,
    log_gamma_less_stirling,
    polygamma_difference,
)  # fmt: skip
from tapenet.special.definition import on_flat
from tapenet.special.log_concave import integral, reach
from tapenet.special.partial_derivatives import of_exponential
from tapenet.special.zeta_functions import polygamma, psi_gain
from tapenet.typing import Array


@op(
    a=lambda g, out, a, b, x, y: safe_mul(g, safe_mul(out, _relative(a, b, x, y, 1, 0))),
    b=lambda g, out, a, b, x, y: safe_mul(g, safe_mul(out, _relative(a, b, x, y, 0, 1))),
    x=lambda g, out, a, b, x, y: safe_mul(g, _density_over_x(out, a, b, x, y)),
    y=lambda g, out, a, b, x, y: safe_mul(g, _density_over_x(out, b, a, y, x)),
    broadcasts=True, vmap="leading", doc="The density of the beta distribution, x^(a - 1) (1 - x)^(b - 1) / B(a, b).",
)  # fmt: skip
def beta_density(a: Array, b: Array, x: Array, y: Array) -> Array:
    def density(a: Array, b: Array, x: Array, y: Array) -> Array:
        # At the ends: 1 / B(1, b) = b.
        end = np.where(x == 0, a, b)
        at_end = np.where(end < 1, np.inf, np.where(end > 1, 0, a * b))
        return np.where((x == 0) | (y == 0), at_end, _over_logit(a, b, x, y) / (x * y))

    return on_flat(density, a, b, x, y)


def _density_over_x(density: Array, a: Array, b: Array, x: Array, y: Array) -> Array:
    """(a - 1) density / x, also where x = 0."""
    less = (a + b - 1) * beta_density(np.where(a > 1, a - 1, 1), b, x, y)
    return np.where(a > 1, less, density * safe_mul(a - 1, 1 / x))


def _over_logit(a: Array, b: Array, x: Array, y: Array) -> Array:
    """The density of ln(x / y): x^a y^b / B(a, b)."""
    scale = log_gamma_less_stirling(a + b) - log_gamma_less_stirling(a) - log_gamma_less_stirling(b)
    s = a + b
    excess = b * x - a * y  # of x s over a, and of b over y s
    power = a * _log_ratio_less(excess, a, x, s) + b * _log_ratio_less(-excess, b, y, s)
    found = np.sqrt(a / s * b / (2 * math.pi)) * np.exp(power + scale)
    return np.where((a == 0) | (b == 0), 0, found)  # all of it is at an end


def _log_ratio_less(excess: Array, a: Array, x: Array, s: Array) -> Array:
    """ln(x s / a) - excess / a, where excess = x s - a."""
    close = np.abs(excess) < a / 4
    return np.where(close, log1p_less(np.where(close, excess / a, 0)), np.log(x) + np.log(s) - np.log(a) - excess / a)


def _ratio(a: Array, b: Array, i: int, j: int) -> Array | float:
    """The derivative of a b / (a + b), i times by a and j times by b, over a b / (a + b)."""
    if i < 0 or j < 0:
        return 0.0
    s = a + b
    n = i + j
    if n == 0:
        return 1.0
    if n == 1:
        return cast("Array", b / a / s if i else a / b / s)
    if n == 2:
        return cast("Array", 2 / (s * s) if i == j else -2 * b / (a * s * s) if i else -2 * a / (b * s * s))
    found = (-1) ** n * math.factorial(n - 2) / s ** (n - 1)
    return cast("Array", found * (j * (i * b + (1 - j) * a) / a / b - (n - 1) * (i * b - j * a) / a / s))


def _polynomial(a: Array, b: Array, by_a: Array, by_b: Array, i: int, j: int) -> Array:
    """The derivative of the density, i times by a and j times by b, over the density.

    1 / B(a, b) is a b / (a + b) times Γ(a + b + 1) / (Γ(a + 1) Γ(b + 1)). Derivatives of this do not cancel where a or b is
    small.

    Args:
        a, b: the shapes.
        by_a: ln x + psi(a + b + 1) - psi(a + 1).
        by_b: ln y + psi(a + b + 1) - psi(b + 1).
        i, j: how often by each.
    """

    def cumulant(k: int, m: int) -> Array:
        if k + m == 1:
            return by_a if k else by_b
        if k and m:
            return polygamma(k + m - 1, a + b + 1)
        return psi_gain(a + 1, b, k - 1) if k else psi_gain(b + 1, a, m - 1)

    return cast(
        "Array",
        sum(
            math.comb(i, k) * math.comb(j, m) * _ratio(a, b, k, m) * of_exponential(i - k, j - m, cumulant)
            for k in range(i + 1)
            for m in range(j + 1)
        ),
    )


def _relative(a: Array, b: Array, x: Array, y: Array, i: int, j: int) -> Array:
    return _polynomial(a, b, _log(x, y) + psi_gain(a + 1, b), _log(y, x) + psi_gain(b + 1, a), i, j)


@op(
    x=lambda g, x: g / x, y=flat, broadcasts=True, vmap="leading", doc="ln x, where y = 1 - x.",
)  # fmt: skip
def _log(x: Array, y: Array) -> Array:
    return on_flat(_log_of, x, y)


def density_by_shapes(a: Array, b: Array, x: Array, y: Array, i: int, j: int) -> Array:
    """The derivative of the density, i times by a and j times by b."""
    return safe_mul(beta_density(a, b, x, y), _relative(a, b, x, y, i, j))


@op(
    a=lambda g, a, b, x, y, i, j: _next(g, a, b, x, y, i + 1, j),
    b=lambda g, a, b, x, y, i, j: _next(g, a, b, x, y, i, j + 1),
    x=lambda g, a, b, x, y, i, j: g * density_by_shapes(a, b, x, y, i, j),
    y=flat, broadcasts=True, vmap="leading", doc="The derivative of I(a, b, x), i times by a and j times by b.",
)  # fmt: skip
def beta_by_shapes(a: Array, b: Array, x: Array, y: Array, i: int = 0, j: int = 0) -> Array:
    return on_flat(lambda a, b, x, y: _either_side(a, b, x, y, i, j), a, b, x, y)


def _next(g: Array, a: Array, b: Array, x: Array, y: Array, i: int, j: int) -> Array:
    return cast("Array", g * beta_by_shapes(a, b, x, y, i, j))


def _either_side(a: Array, b: Array, x: Array, y: Array, i: int, j: int) -> Array:
    a, b = (np.where(c == 0, 1e-290, c) for c in (a, b))  # the limit
    if i and j:
        below = b * x < a * y
    else:
        by_a, by_b = (
            _log_of(x, y) + polygamma_difference(0, a + 1, b),
            _log_of(y, x) + polygamma_difference(0, b + 1, a),
        )
        below = by_a + b / a / (a + b) < 0 if i else by_b + a / b / (a + b) > 0
    found = np.where(below, _below(a, b, x, y, i, j, below), -_below(b, a, y, x, j, i, ~below))
    return np.where((a >= 0) & (b >= 0) & (x >= 0) & (y >= 0), found, np.nan)


def _below(a: Array, b: Array, x: Array, y: Array, i: int, j: int, where: Array) -> Array:
    """The integral of the derivative from 0 to x."""

    def polynomial(a: Array, b: Array, x: Array, y: Array) -> Callable[[Array, Array, Array], Array]:
        by_a, by_b = (
            _log_of(x, y) + polygamma_difference(0, a + 1, b),
            _log_of(y, x) + polygamma_difference(0, b + 1, a),
        )

        def of(d: Array, left: Array, some: Array) -> Array:
            moved = by_a[some] + rise(x[some], y[some], d)
            return _polynomial(a[some], b[some], moved, by_b[some] - left, i, j)

        return of

    return integral_below(a, b, x, y, polynomial, where)


def integral_below(
    a: Array,
    b: Array,
    x: Array,
    y: Array,
    factor: Callable[[Array, Array, Array, Array], Callable[[Array, Array, Array], Array]],
    where: Array,
) -> Array:
    """The integral from 0 to x of the density times a factor.

    Args:
        a, b, x, y: of one dimension.
        factor: takes these with a further axis, of length 1, and gives a function of d = ln(t / (1 - t)) - ln(x / y), of
            ln(y + x exp(d)), and of the numbers of the places that these belong to. ln t is ln x + d less the second, and
            ln(1 - t) is ln y less it.
        where: where it is wanted; it is 0 elsewhere.
    """
    density = _over_logit(a, b, x, y)
    found = np.zeros_like(density)
    at = np.flatnonzero(where & (density > 0))
    if at.size:
        a, b, x, y = a[at], b[at], x[at], y[at]
        # (1 - t)^b leaves 1 near t = 1 / b, and t^a near 1 - t = 1 / a.
        low, high = -np.log(np.maximum(b, 1)), np.log(np.maximum(a, 1))
        cuts = np.sort([low - 37, low - 3, low + 3, high - 3, high + 3, high + 37], axis=0)

        def fall(u: Array) -> tuple[Array, Array]:
            t = x * np.exp(-u)
            return _fall(a, b, x, y, -u), (a * y - b * t) / (y + t)

        length = reach(fall, (43 - (a + b) * _log_of(y, x)) / a)
        a_, b_, x_, y_ = (c[:, None] for c in (a, b, x, y))
        of = factor(a_, b_, x_, y_)

        def f(d: Array, some: Array) -> Array:
            a, b, x, y = a_[some], b_[some], x_[some], y_[some]
            return np.exp(-_fall(a, b, x, y, d)) * of(d, _log_denominator(x, y, d), some)

        found[at] = density[at] * integral(f, -length, np.zeros_like(x), cuts - _log_of(x, y) + _log_of(y, x))
    return found


def _fall(a: Array, b: Array, x: Array, y: Array, d: Array) -> Array:
    """By how much the logarithm of the density of ln(x / y) falls over d < 0: (a + b) ln(y + x exp(d)) - a d.

    The terms cancel for large shapes; how they are taken together depends on which of x and y is small.
    """
    near = d > -0.5
    e, f = np.expm1(d), np.expm1(np.where(near, -d, 0))
    excess = b * x - a * y
    small_x = np.where(
        near,
        excess * e + a * expm1_less(d) + (a + b) * log1p_less(x * e),
        (a + b) * _log_denominator(x, y, d) - a * d,
    )
    small_y = np.where(
        near,
        -excess * f + b * expm1_less(np.where(near, -d, 0)) + (a + b) * log1p_less(y * f),
        b * d - (a + b) * rise(x, y, d),
    )
    return cast("Array", np.where(y < x, small_y, small_x))


def rise(x: Array, y: Array, d: Array) -> Array:
    """ln t - ln x, where d = ln(t / (1 - t)) - ln(x / y) < 0."""
    return np.where(d > -40, -np.log1p(y * np.expm1(-np.maximum(d, -40))), d - _log_denominator(x, y, d))


def _log_denominator(x: Array, y: Array, d: Array) -> Array:
    """ln(y + x exp(d))."""
    fallen = x * np.expm1(d)
    return cast("Array", np.where(fallen > -0.5, np.log1p(fallen), np.log(y + x * np.exp(d))))


def _log_of(x: Array, y: Array) -> Array:
    """ln x, where y = 1 - x."""
    return np.where(y < x, np.log1p(-y), np.log(x))
