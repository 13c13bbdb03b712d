"""Distributions of statistics of tests: those of Kolmogorov and Smirnov, and Tukey's lambda distribution."""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.special.definition import on_flat, special
from tapenet.special.exponential_moments import exponential_moment
from tapenet.special.partial_derivatives import of_exponential
from tapenet.typing import Array


def _kolmogorov_slope(x: Array) -> Array:
    """The derivative of 2 Σ (-1)^(k - 1) exp(-2 k² x²), by another series, Jacobi's, for small x."""
    large, small = np.where(x > 0.8, x, 1), np.where((x > 0.8) | (x < 0.02), 0.5, x)
    right = sum(8 * (-1) ** k * k * k * large * np.exp(-2 * k * k * large * large) for k in range(1, 8))
    left = 0 * x
    for k in range(1, 8):
        c = ((2 * k - 1) * math.pi) ** 2 / 8
        left = left - math.sqrt(2 * math.pi) * np.exp(-c / (small * small)) * (2 * c / small**4 - 1 / small**2)
    return cast("Array", np.where(x > 0.8, right, np.where(x < 0.02, 0, left)))


kolmogorov = special("kolmogorov", "that of 2 Σ (-1)^(k - 1) exp(-2 k² x²)", x=lambda g, x: g * _kolmogorov_slope(x))
kolmogi = special("kolmogi", "1 / that of kolmogorov", x=lambda g, out: g / _kolmogorov_slope(out))


@op(
    x=lambda g, n, x, order: _next_smirnov(g, n, x, order + 1), nondiff=("n",),
    broadcasts=True, vmap="leading", doc="The derivative of the given order of smirnov(n, x) by x.",
)  # fmt: skip
def smirnov_slope(n: Array, x: Array, order: int = 1) -> Array:
    def slope(n: Array, x: Array) -> Array:
        return np.array([_smirnov_slope(math.floor(m), y, order) for m, y in zip(n, x, strict=True)])

    return on_flat(slope, n, x).astype(np.result_type(x))


def _next_smirnov(g: Array, n: Array, x: Array, order: int) -> Array:
    return cast("Array", g * smirnov_slope(n, x, order))


def _smirnov_slope(n: int, x: float, order: int) -> float:
    """That of Σ x binom(n, j) (x + j/n)^(j - 1) (1 - x - j/n)^(n - j), over j < n (1 - x)."""
    if not 0 < x < 1:
        return 0.0 if order > 1 or x != 0 else -1.0
    from scipy.special import gammaln, xlogy

    j = np.arange(math.ceil(n * (1 - x)))
    left, right = x + j / n, 1 - x - j / n
    log = gammaln(n + 1) - gammaln(j + 1) - gammaln(n - j + 1) + (j - 1) * np.log(left) + xlogy(n - j, right)

    def cumulant(k: int, _: int) -> Array:
        return cast(
            "Array",
            (-1) ** (k - 1) * math.factorial(k - 1) * (x**-k + (j - 1) / left**k)
            - math.factorial(k - 1) * (n - j) / right**k,
        )

    return float(np.sum(x * np.exp(log) * of_exponential(order, 0, cumulant)))


smirnov = special("smirnov", "by y, of the sum that it is", whole="x", y=lambda g, x, y: g * smirnov_slope(x, y))
smirnovi = special("smirnovi", "1 / that of smirnov", whole="x", y=lambda g, out, x: g / smirnov_slope(x, out))


def _tukey_slope(out: Array, x: Array, lam: Array) -> Array:
    """The density: 1 / (p^(lam - 1) + q^(lam - 1)), and 0 beyond the ends."""
    p, q, inside = _tukey(out, x, lam)
    return cast("Array", np.where(inside, 1 / (p ** (lam - 1) + q ** (lam - 1)), 0))


def _tukey(out: Array, x: Array, lam: Array) -> tuple[Array, Array, Array]:
    """p, 1 - p, and where neither is 0. There is a number in their place elsewhere."""
    q = tklmbda(-x, lam)
    inside = (out > 0) & (q > 0)
    return np.where(inside, out, 0.5), np.where(inside, q, 0.5), inside


def _tukey_by_shape(out: Array, x: Array, lam: Array) -> Array:
    """As an implicit function: x is (p^lam - 1) / lam less (q^lam - 1) / lam."""
    p, q, _ = _tukey(out, x, lam)
    return cast("Array", -_tukey_slope(out, x, lam) * (_power_by_shape(p, lam) - _power_by_shape(q, lam)))


def _power_by_shape(p: Array, lam: Array) -> Array:
    """The derivative of (p^lam - 1) / lam by lam."""
    log = np.log(p)
    return cast("Array", log * log * exponential_moment(lam * log, 1))


tklmbda: Op = special(
    "tklmbda", "1 / (p^(y - 1) + (1 - p)^(y - 1)) with p = out; that of an implicit function",
    x=lambda g, out, x, y: g * _tukey_slope(out, x, y), y=lambda g, out, x, y: g * _tukey_by_shape(out, x, y),
)  # fmt: skip
