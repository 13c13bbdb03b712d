"""Fisher's F distribution and Student's t distribution, differentiated by degrees of freedom any number of times.

They are beta distributions of a variable that depends on the degrees of freedom. A derivative by that chain would cancel where
these are many. So the derivative of the density is integrated here too. With a = n / 2, b = d / 2 and
e = d (x - 1) / (d + n x), that by a is the density times

    ln(1 + e) - e + (psi(a + b) - ln(a + b)) - (psi(a) - ln a).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import flat, op
from tapenet.special.beta_distribution import beta_density, integral_below
from tapenet.special.cancellation import log1p_less, log_gamma_less_stirling, log_less_digamma_difference
from tapenet.special.definition import on_flat
from tapenet.special.partial_derivatives import of_exponential
from tapenet.special.zeta_functions import polygamma
from tapenet.typing import Array


@op(
    e=lambda g, e, log: -g * e * np.exp(-log), log=flat,
    broadcasts=True, vmap="leading", doc="ln(1 + e) - e, where also ln(1 + e) is known.",
)  # fmt: skip
def _log1p_less(e: Array, log: Array) -> Array:
    return on_flat(lambda e, log: np.where(np.abs(e) < 0.4, log1p_less(e), log - e), e, log)


@op(
    a=lambda g, a, b, n: _next_difference(g, a, b, n),
    b=lambda g, a, b, n: -g * _log_less_digamma(a + b, n + 1),
    broadcasts=True, vmap="leading", doc="The n-th derivative of ln a - psi(a), less that at a + b.",
)  # fmt: skip
def _difference(a: Array, b: Array, n: int = 0) -> Array:
    return on_flat(lambda a, b: log_less_digamma_difference(n, a, b), a, b)


def _next_difference(g: Array, a: Array, b: Array, n: int) -> Array:
    return cast("Array", g * _difference(a, b, n + 1))


def _log_less_digamma(a: Array, n: int) -> Array:
    """The n-th derivative of ln a - psi(a), where n > 0."""
    return (-1.0) ** (n - 1) * math.factorial(n - 1) / a**n - polygamma(n, a)


#: A sum of terms: of each its factor, by the powers of e, a, b and a + b.
Terms = dict[tuple[int, int, int, int], float]


def _derivative(terms: Terms, by_a: bool) -> Terms:
    """That of a sum of terms. The derivative of e by a is -e (1 + e) / (a + b), and that by b -a / b times this."""
    found: Terms = {}
    for (p, q, r, w), factor in terms.items():
        for powers, part in (
            ((p, q, r, w - 1) if by_a else (p, q + 1, r - 1, w - 1), -p if by_a else p),
            ((p + 1, q, r, w - 1) if by_a else (p + 1, q + 1, r - 1, w - 1), -p if by_a else p),
            ((p, q - 1, r, w) if by_a else (p, q, r - 1, w), q if by_a else r),
            ((p, q, r, w - 1), w),
        ):
            if part:
                found[powers] = found.get(powers, 0.0) + factor * part
    return found


def _of_e(i: int, j: int, a: Array, b: Array, e: Array) -> Array | float:
    """What depends on e in the derivative of the logarithm of the density, i times by a and j times by b, i + j > 1."""
    if i > 1:
        terms, left_a, left_b = {(2, 0, 0, -1): 1.0}, i - 2, j
    elif i:
        terms, left_a, left_b = {(2, 1, -1, -1): -1.0}, 0, j - 1
    else:
        terms, left_a, left_b = {(2, 2, -2, -1): 1.0}, 0, j - 2
    for by_a in [True] * left_a + [False] * left_b:
        terms = _derivative(terms, by_a)
    total: Array | float = 0.0
    for (p, q, r, w), factor in terms.items():
        total = total + factor * e**p * a ** float(q) * b ** float(r) * (a + b) ** float(w)
    return total


def _polynomial(a: Array, b: Array, e: Array, log_a: Array, log_b: Array, i: int, j: int) -> Array | float:
    """The derivative of the density, i times by a and j times by b, over the density.

    Args:
        a, b, e: those of the module's beginning.
        log_a, log_b: ln(1 + e) and ln(1 - e a / b).
        i, j: how often by each.
    """

    def cumulant(k: int, m: int) -> Array:
        if k + m == 1:
            found = (
                _log1p_less(e, log_a) + _difference(a, b) if k else _log1p_less(-e * a / b, log_b) + _difference(b, a)
            )
        elif m == 0:
            found = _of_e(k, m, a, b, e) + _difference(a, b, k - 1)
        elif k == 0:
            found = _of_e(k, m, a, b, e) + _difference(b, a, m - 1)
        else:
            found = _of_e(k, m, a, b, e) - _log_less_digamma(a + b, k + m - 1)
        return cast("Array", found)

    return of_exponential(i, j, cumulant)


def _at(n: Array, d: Array, x: Array) -> tuple[Array, Array, Array, Array, Array]:
    """a, b, the variable of the beta distribution, 1 less it, and e."""
    s = d + n * x
    return n / 2, d / 2, n * x / s, d / s, d * (x - 1) / s


def fisher_density(n: Array, d: Array, x: Array) -> Array:
    """The density of Fisher's distribution."""
    a, b, t, u, _ = _at(n, d, x)
    return cast("Array", beta_density(a, b, t, u) * (u * n / (d + n * x)))


def _density_by_degrees(n: Array, d: Array, x: Array, i: int, j: int) -> Array:
    a, b, t, u, e = _at(n, d, x)
    logs = np.log(t * (a + b) / a), np.log(u * (a + b) / b)
    return safe_mul(fisher_density(n, d, x), _polynomial(a, b, e, *logs, i, j) / 2.0 ** (i + j))


@op(
    n=lambda g, n, d, x, i, j: _next(g, n, d, x, i + 1, j),
    d=lambda g, n, d, x, i, j: _next(g, n, d, x, i, j + 1),
    x=lambda g, n, d, x, i, j: safe_mul(g, _density_by_degrees(n, d, x, i, j)),
    broadcasts=True, vmap="leading", doc="The derivative of Fisher's distribution function, i times by n and j times by d.",
)  # fmt: skip
def fisher_by_degrees(n: Array, d: Array, x: Array, i: int = 0, j: int = 0) -> Array:
    return on_flat(lambda n, d, x: _either_side(n, d, x, i, j), n, d, x)


def _next(g: Array, n: Array, d: Array, x: Array, i: int, j: int) -> Array:
    return cast("Array", g * fisher_by_degrees(n, d, x, i, j))


def _either_side(n: Array, d: Array, x: Array, i: int, j: int) -> Array:
    a, b, t, u, e = _at(n, d, x)
    below = e < 0
    found = np.where(below, _below(a, b, t, u, i, j, below), -_below(b, a, u, t, j, i, ~below)) / 2 ** (i + j)
    return np.where(np.isnan(e), np.nan, found)


def _below(a: Array, b: Array, x: Array, y: Array, i: int, j: int, where: Array) -> Array:
    """The integral from 0."""

    def factor(a: Array, b: Array, x: Array, y: Array) -> Callable[[Array, Array, Array], Array]:
        excess = (b * x - a * y) / a
        top, bottom = np.log(x) + np.log((a + b) / a), np.log(y) + np.log((a + b) / b)

        def of(d: Array, left: Array, some: Array) -> Array:
            a_, b_ = a[some], b[some]
            e = (excess[some] + b_ / a_ * x[some] * np.expm1(d)) * np.exp(-left)
            found = _polynomial(a_, b_, e, top[some] + d - left, bottom[some] - left, i, j)
            return np.broadcast_to(found, d.shape)

        return of

    return integral_below(a, b, x, y, factor, where)


def _student_score(v: Array, t: Array, n: int) -> Array | float:
    """The n-th derivative of Student's density by v, over the density."""
    s = v + t * t
    # That of t² has a = 1/2.
    logs = np.log((v + 1) * t * t / s), np.log((v + 1) / s)
    return _polynomial(0.5 + 0 * v, v / 2, v * (t * t - 1) / s, *logs, 0, n) / 2.0**n


@op(
    v=lambda g, out, v, t: g * out * _student_score(v, t, 1),
    t=lambda g, out, v, t: -g * out * ((v + 1) * t / (v + t * t)),
    broadcasts=True, vmap="leading", doc="The density of Student's t distribution.",
)  # fmt: skip
def student_density(v: Array, t: Array) -> Array:
    def density(v: Array, t: Array) -> Array:
        b, s = v / 2, (v + 1) / 2
        power = (
            b * log1p_less(1 / v) + log_gamma_less_stirling(s) - log_gamma_less_stirling(b) - s * np.log1p(t / v * t)
        )
        return np.exp(power) / math.sqrt(2 * math.pi)

    return on_flat(density, v, t)


@op(
    v=lambda g, v, t, n: _next_student(g, v, t, n + 1),
    t=lambda g, v, t, n: g * student_density(v, t) * _student_score(v, t, n),
    broadcasts=True, vmap="leading", doc="The n-th derivative of Student's distribution function by v.",
)  # fmt: skip
def student_by_degrees(v: Array, t: Array, n: int = 1) -> Array:
    # t² has Fisher's distribution.
    return on_flat(lambda v, t: np.sign(t) / 2 * _either_side(np.ones_like(v), v, t * t, 0, n), v, t)


def _next_student(g: Array, v: Array, t: Array, n: int) -> Array:
    return cast("Array", g * student_by_degrees(v, t, n))
