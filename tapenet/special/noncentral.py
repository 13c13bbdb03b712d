"""The noncentral distributions χ², F and t.

The first two are mixtures: sums of central ones with shape a + j, where j has Poisson's distribution of mean m. Their
derivatives are sums of those of the central ones, of which all terms have one sign.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.ops.op import flat, op
from tapenet.special.beta_distribution import beta_by_shapes, beta_density, density_by_shapes
from tapenet.special.definition import on_flat
from tapenet.special.gamma_distribution import density_by_shape, gamma_by_shape, gamma_density
from tapenet.special.interpolation import slope
from tapenet.special.laws import Law
from tapenet.typing import Array


def _mixture(term: Callable[..., Array], mean: Array, largest: Array, *args: Array) -> Array:
    """The sum over j of the probability of j, in Poisson's distribution of this mean, times term(j, *args).

    Args:
        term: takes arrays of one length.
        mean: that of j.
        largest: about where the summands are largest.
        *args: for each sum those of the term.
    """
    largest = np.maximum(largest, 0)  # below for a mean below 0, of which all is nan or 0
    reach = 12 * np.sqrt(largest + 1) + 30
    # Summands change over some √largest numbers: of many each h-th is taken, which is the trapezoidal rule, exact for such.
    steps = np.where(np.isfinite(largest), np.maximum(np.floor(np.sqrt(largest) / 32), 1), 1)
    ranges = [
        _numbers(c - r, c + r, h) if np.isfinite(c) else np.zeros(1)
        for c, r, h in zip(largest, reach, steps, strict=True)
    ]
    which = np.repeat(np.arange(len(ranges)), [len(r) for r in ranges])
    found = np.zeros(len(ranges))
    if len(which):
        j = np.concatenate(ranges)
        for some in np.array_split(
            np.arange(len(j)), len(j) // 4096 + 1
        ):  # so many, for the memory that integrals take
            k = which[some]
            weight = gamma_density(j[some] + 1, mean[k])
            summand = np.where(weight == 0, 0, weight * term(j[some], *(a[k] for a in args)))
            found += np.bincount(k, summand, len(ranges))
    return found * steps


def _numbers(low: float, high: float, step: float) -> Array:
    """Whole numbers from `low` to `high`, 0 or above."""
    first = max(0.0, float(np.floor(low)))
    return first + step * np.arange(math.ceil((high - first) / step))


@op(
    a=lambda g, a, x, m, n, density: g * _chi_mixture(a, x, m, n + 1, density),
    x=lambda g, a, x, m, n, density: g * _chi_by_x(a, x, m, n, density),
    m=lambda g, a, x, m, n, density: g * _chi_by_mean(a, x, m, n, density),
    broadcasts=True, vmap="leading",
    doc="The n-th derivative by a of the mixture of gamma distribution functions, or of densities.",
)  # fmt: skip
def chi_mixture(a: Array, x: Array, m: Array, n: int, density: bool) -> Array:
    by_shape = density_by_shape if density else gamma_by_shape

    def mixture(a: Array, x: Array, m: Array) -> Array:
        largest = (np.sqrt(a * a + 4 * m * x) - a) / 2
        return _mixture(lambda j, a, x: by_shape(a + j, x, n), m, largest, a, x)

    return on_flat(mixture, a, x, m)


def _chi_mixture(a: Array, x: Array, m: Array, n: int, density: bool) -> Array:
    return chi_mixture(a, x, m, n, density)


def _chi_by_x(a: Array, x: Array, m: Array, n: int, density: bool) -> Array:
    f = _chi_mixture(a, x, m, n, True)
    if not density:
        return f
    last = n * _chi_mixture(a, x, m, n - 1, True) if n else 0.0
    return cast("Array", ((a - 1 - x) * f + last + m * _chi_mixture(a + 1, x, m, n, True)) / x)


def _chi_by_mean(a: Array, x: Array, m: Array, n: int, density: bool) -> Array:
    """The distribution function of a + 1 is that of a less the density of a + 1."""
    next_one = _chi_mixture(a + 1, x, m, n, True)
    return next_one - _chi_mixture(a, x, m, n, True) if density else -next_one


CHI_SQUARE = Law(
    {
        "x": lambda x, v, c: _chi_mixture(v / 2, x / 2, c / 2, 0, True) / 2,
        "v": lambda x, v, c: _chi_mixture(v / 2, x / 2, c / 2, 1, False) / 2,
        "c": lambda x, v, c: -_chi_mixture(v / 2 + 1, x / 2, c / 2, 0, True) / 2,
    },
    {"x": "series", "v": "quadrature", "c": "series"},
)
_FORMULA = "sums of those of central distributions"
chndtr = CHI_SQUARE.function("chndtr", _FORMULA)
chndtrix = CHI_SQUARE.inverse("chndtrix", "value v c")
chndtridf = CHI_SQUARE.inverse("chndtridf", "x value c")
chndtrinc = CHI_SQUARE.inverse("chndtrinc", "x v value")

#: What is mixed: distribution functions, densities, or by how much a distribution function falls when a rises by 1.
BELOW, DENSITY, STEP = 0, 1, 2


@op(
    a=lambda g, a, b, m, x, y, i, j, kind: g * _beta_by_shape(a, b, m, x, y, i, j, kind, 1, 0),
    b=lambda g, a, b, m, x, y, i, j, kind: g * _beta_by_shape(a, b, m, x, y, i, j, kind, 0, 1),
    m=lambda g, a, b, m, x, y, i, j, kind: g * _next_step(a, b, m, x, y, i, j, kind),
    x=lambda g, a, b, m, x, y, i, j, kind: g * _beta_by_x(a, b, m, x, y, i, j, kind),
    y=lambda g, a, b, m, x, y, i, j, kind: g * _beta_by_y(a, b, m, x, y, i, j, kind) if kind == DENSITY else flat(),
    broadcasts=True, vmap="leading",
    doc="The derivative, i times by a and j times by b, of a mixture of beta distributions.",
)  # fmt: skip
def beta_mixture(a: Array, b: Array, m: Array, x: Array, y: Array, i: int, j: int, kind: int) -> Array:
    def term(k: Array, a: Array, b: Array, x: Array, y: Array) -> Array:
        if kind == BELOW:
            return beta_by_shapes(a + k, b, x, y, i, j)
        if kind == DENSITY:
            return density_by_shapes(a + k, b, x, y, i, j)
        return cast("Array", beta_density(a + k, b, x, y) * x * y / (a + k))

    def mixture(a: Array, b: Array, m: Array, x: Array, y: Array) -> Array:
        p = m * x - a
        largest = np.maximum((p + np.sqrt(p * p + 4 * m * x * (a + b))) / 2, 0)
        return _mixture(term, m, largest, a, b, x, y)

    return on_flat(mixture, a, b, m, x, y)


def _beta(a: Array, b: Array, m: Array, x: Array, y: Array, i: int, j: int, kind: int) -> Array:
    return beta_mixture(a, b, m, x, y, i, j, kind)


def _beta_by_shape(
    a: Array, b: Array, m: Array, x: Array, y: Array, i: int, j: int, kind: int, up_a: int, up_b: int
) -> Array:
    if kind != STEP:
        return _beta(a, b, m, x, y, i + up_a, j + up_b, kind)
    return _beta(a, b, m, x, y, up_a, up_b, BELOW) - _beta(a + 1, b, m, x, y, up_a, up_b, BELOW)


def _next_step(a: Array, b: Array, m: Array, x: Array, y: Array, i: int, j: int, kind: int) -> Array:
    return _beta(a + 1, b, m, x, y, i, j, kind) - _beta(a, b, m, x, y, i, j, kind)


def _beta_by_x(a: Array, b: Array, m: Array, x: Array, y: Array, i: int, j: int, kind: int) -> Array:
    f = _beta(a, b, m, x, y, i, j, DENSITY)
    above = _beta(a + 1, b, m, x, y, i, j, DENSITY) if kind != BELOW else 0.0
    if kind != DENSITY:
        return cast("Array", f - above)
    last = i * _beta(a, b, m, x, y, i - 1, j, DENSITY) if i else 0.0
    return cast("Array", ((a - 1) * f + last + m * above) / x)


def _beta_by_y(a: Array, b: Array, m: Array, x: Array, y: Array, i: int, j: int, kind: int) -> Array:
    last = j * _beta(a, b, m, x, y, i, j - 1, DENSITY) if j else 0.0
    return cast("Array", ((b - 1) * _beta(a, b, m, x, y, i, j, DENSITY) + last) / y)


def _fisher(n: Array, d: Array, c: Array, f: Array, i: int, j: int, kind: int) -> Array:
    return _beta(n / 2, d / 2, c / 2, n * f / (d + n * f), d / (d + n * f), i, j, kind)


def _by_degrees(n: Array, d: Array, c: Array, f: Array, by_n: bool) -> Array:
    moved = _fisher(n, d, c, f, 0, 0, DENSITY) * d * f / (d + n * f) ** 2
    if by_n:
        return cast("Array", _fisher(n, d, c, f, 1, 0, BELOW) / 2 + moved)
    return cast("Array", _fisher(n, d, c, f, 0, 1, BELOW) / 2 - moved * n / d)


FISHER = Law(
    {
        "n": lambda n, d, c, f: _by_degrees(n, d, c, f, True),
        "d": lambda n, d, c, f: _by_degrees(n, d, c, f, False),
        "c": lambda n, d, c, f: -_fisher(n, d, c, f, 0, 0, STEP) / 2,
        "f": lambda n, d, c, f: _fisher(n, d, c, f, 0, 0, DENSITY) * n * d / (d + n * f) ** 2,
    },
    {"n": "quadrature", "d": "quadrature", "c": "series", "f": "series"},
)
ncfdtr = FISHER.function("ncfdtr", _FORMULA)
ncfdtri = FISHER.inverse("ncfdtri", "n d c value")
ncfdtridfn = FISHER.inverse("ncfdtridfn", "value d c f")
ncfdtridfd = FISHER.inverse("ncfdtridfd", "n value c f")
ncfdtrinc = FISHER.inverse("ncfdtrinc", "n d value f")


def _student(by: int) -> Callable[..., Array]:
    """The derivative of nctdtr by an argument, on the side where it is small."""

    def derivative(v: Array, c: Array, t: Array) -> Array:
        spread = ops.sqrt(1 + t * t / (2 * v))
        z = ops.abs(t - c) / spread
        width = (v / (4 + z * z), 0.7 / (1 + z), ops.minimum(ops.sqrt(t * t + v) / 4, spread / (1 + z)))[by]
        below = slope(nctdtr, (v, c, t), by, width)
        above = slope(nctdtr, (v, -c, -t), by, width)
        return cast("Array", ops.where(t < c, below, above if by else -above))

    return derivative


STUDENT = Law({"v": _student(0), "c": _student(1), "t": _student(2)}, dict.fromkeys(["v", "c", "t"], "interpolation"))
nctdtr = STUDENT.function("nctdtr", "of the polynomial through values nearby")
nctdtrit = STUDENT.inverse("nctdtrit", "v c value")
nctdtridf = STUDENT.inverse("nctdtridf", "value c t")
nctdtrinc = STUDENT.inverse("nctdtrinc", "v value t")
