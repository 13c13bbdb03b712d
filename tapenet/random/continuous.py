"""Continuous distributions of numbers. Derivatives by parameters are those of what makes a draw of fixed random numbers; of
gamma's, von Mises' and Wald's they are [implicit](implicit.py).

Names, parameters and what they mean are those of `np.random.Generator`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from tapenet import ops, special
from tapenet.random.distribution import (
    ABOVE_ONE,
    FINITE,
    NOT_NEGATIVE,
    POSITIVE,
    Law,
    Rng,
    Size,
    Source,
    Value,
    distribution,
    drawn_from,
)
from tapenet.random.implicit import standard_von_mises, standard_wald
from tapenet.typing import Array


@distribution(lambda s, x, loc, scale: s.norm.logpdf(x, loc, scale), loc=FINITE, scale=NOT_NEGATIVE)
def normal(
    loc: Value = 0.0, scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Numbers from the normal distribution with mean `loc` and standard deviation `scale`.

    >>> import tapenet as tn
    >>> tn.random.normal(1.0, 2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return loc + scale * source.standard("standard_normal", native=True)


@distribution(lambda s, x, low, high: s.uniform.logpdf(x, low, ops.subtract(high, low)), low=FINITE, high=FINITE)
def uniform(
    low: Value = 0.0, high: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Numbers from the uniform distribution over [low, high).

    >>> import tapenet as tn
    >>> tn.random.uniform(-1.0, 1.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return low + (high - low) * source.standard("random", native=True)


uniform.ordered("low", "high")


@distribution(lambda s, x, scale: s.expon.logpdf(x, scale=scale), scale=NOT_NEGATIVE)
def exponential(scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from the exponential distribution with mean `scale`.

    >>> import tapenet as tn
    >>> tn.random.exponential(2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return scale * source.standard("standard_exponential", native=True)


@distribution(lambda s, x, loc, scale: s.laplace.logpdf(x, loc, scale), loc=FINITE, scale=NOT_NEGATIVE)
def laplace(
    loc: Value = 0.0, scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Numbers from Laplace's distribution.

    >>> import tapenet as tn
    >>> tn.random.laplace(0.0, 2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return loc + scale * source.draw(lambda rng, size: rng.laplace(size=size))


@distribution(lambda s, x, loc, scale: s.logistic.logpdf(x, loc, scale), loc=FINITE, scale=NOT_NEGATIVE)
def logistic(
    loc: Value = 0.0, scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Numbers from the logistic distribution.

    >>> import tapenet as tn
    >>> tn.random.logistic(0.0, 2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return loc + scale * source.draw(lambda rng, size: rng.logistic(size=size))


@distribution(lambda s, x, loc, scale: s.gumbel_r.logpdf(x, loc, scale), loc=FINITE, scale=NOT_NEGATIVE)
def gumbel(
    loc: Value = 0.0, scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Numbers from Gumbel's distribution of largest values.

    >>> import tapenet as tn
    >>> tn.random.gumbel(0.0, 2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return loc + scale * source.draw(lambda rng, size: rng.gumbel(size=size))


@distribution(lambda s, x, loc, scale: s.cauchy.logpdf(x, loc, scale), loc=FINITE, scale=NOT_NEGATIVE)
def cauchy(
    loc: Value = 0.0, scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Numbers from Cauchy's distribution.

    >>> import tapenet as tn
    >>> tn.random.cauchy(0.0, 2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return loc + scale * source.draw(lambda rng, size: rng.standard_cauchy(size))


@distribution(lambda s, x, scale: s.halfnorm.logpdf(x, scale=scale), scale=NOT_NEGATIVE)
def half_normal(scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from the absolute value of a normal number with standard deviation `scale`.

    >>> import tapenet as tn
    >>> tn.random.half_normal(2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return scale * abs(source.standard("standard_normal"))


@distribution(lambda s, x, scale: s.halfcauchy.logpdf(x, scale=scale), scale=NOT_NEGATIVE)
def half_cauchy(scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from the absolute value of Cauchy's distribution.

    >>> import tapenet as tn
    >>> tn.random.half_cauchy(2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return scale * abs(source.draw(lambda rng, size: rng.standard_cauchy(size)))


@distribution(lambda s, x, scale: s.rayleigh.logpdf(x, scale=scale), scale=NOT_NEGATIVE)
def rayleigh(scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from Rayleigh's distribution.

    >>> import tapenet as tn
    >>> tn.random.rayleigh(2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return scale * source.draw(lambda rng, size: rng.rayleigh(size=size))


@distribution(
    lambda s, x, mean, sigma: s.lognorm.logpdf(x, sigma, scale=ops.exp(mean)), mean=FINITE, sigma=NOT_NEGATIVE
)
def lognormal(
    mean: Value = 0.0, sigma: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Numbers from exp of a normal number with this mean and standard deviation.

    >>> import tapenet as tn
    >>> tn.random.lognormal(0.0, 0.5, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return np.exp(mean + sigma * source.standard("standard_normal"))


@distribution(lambda s, x, a: s.weibull_min.logpdf(x, a), a=POSITIVE)
def weibull(a: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from Weibull's distribution with shape `a` and scale 1.

    >>> import tapenet as tn
    >>> tn.random.weibull(2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return _root(source.standard("standard_exponential"), source.spread(a))


@distribution(lambda s, x, a: s.lomax.logpdf(x, a), a=POSITIVE)
def pareto(a: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from Lomax's distribution, which is Pareto's less 1, with shape `a`.

    >>> import tapenet as tn
    >>> tn.random.pareto(2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return np.expm1(source.standard("standard_exponential") / a)


@distribution(lambda s, x, a: s.powerlaw.logpdf(x, a), a=POSITIVE)
def power(a: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from the distribution over [0, 1] with density a x^(a - 1).

    >>> import tapenet as tn
    >>> tn.random.power(2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return _root(-np.expm1(-source.standard("standard_exponential")), source.spread(a))


@distribution(lambda s, x, shape, scale: s.gamma.logpdf(x, shape, scale=scale), shape=POSITIVE, scale=NOT_NEGATIVE)
def gamma(
    shape: Value, scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Numbers from the gamma distribution with shape k and scale θ.

    >>> import tapenet as tn
    >>> tn.random.gamma(2.0, 0.5, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return scale * source.gammas(shape)


@distribution(lambda s, x, shape: s.gamma.logpdf(x, shape), shape=POSITIVE)
def standard_gamma(shape: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from the gamma distribution with scale 1.

    >>> import tapenet as tn
    >>> tn.random.standard_gamma(2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return source.gammas(shape)


@distribution(lambda s, x, shape, scale: s.invgamma.logpdf(x, shape, scale=scale), shape=POSITIVE, scale=NOT_NEGATIVE)
def inverse_gamma(
    shape: Value, scale: Value = 1.0, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Numbers from `scale` over a number from the gamma distribution with scale 1.

    >>> import tapenet as tn
    >>> tn.random.inverse_gamma(2.0, 0.5, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return scale / source.gammas(shape)


@distribution(lambda s, x, df: s.chi2.logpdf(x, df), df=POSITIVE)
def chisquare(df: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from the χ² distribution with `df` degrees of freedom.

    >>> import tapenet as tn
    >>> tn.random.chisquare(3.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return 2 * source.gammas(source.spread(df) / 2)


@distribution(lambda s, x, df, nonc: s.ncx2.logpdf(x, df, nonc), df=ABOVE_ONE, nonc=NOT_NEGATIVE)
def noncentral_chisquare(
    df: Value, nonc: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Numbers from the χ² distribution with `df` degrees of freedom, more than 1, of which one has mean √nonc.

    >>> import tapenet as tn
    >>> tn.random.noncentral_chisquare(3.0, 1.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return _noncentral(source, df, nonc)


@distribution(lambda s, x, dfnum, dfden: s.f.logpdf(x, dfnum, dfden), dfnum=POSITIVE, dfden=POSITIVE)
def f(dfnum: Value, dfden: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from Fisher's F distribution.

    >>> import tapenet as tn
    >>> tn.random.f(3.0, 5.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return _over_gammas(source, dfden) / _over_gammas(source, dfnum)


@distribution(lambda s, x, df: s.t.logpdf(x, df), df=POSITIVE)
def standard_t(df: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from Student's t distribution with `df` degrees of freedom.

    >>> import tapenet as tn
    >>> tn.random.standard_t(3.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return source.standard("standard_normal") * np.sqrt(_over_gammas(source, df))


@distribution(lambda s, x, a, b: s.beta.logpdf(x, a, b), a=POSITIVE, b=POSITIVE)
def beta(a: Value, b: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from the beta distribution over [0, 1].

    >>> import tapenet as tn
    >>> tn.random.beta(2.0, 3.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return special.expit(source.log_gammas(a) - source.log_gammas(b))


@distribution(lambda s, x, mu, kappa: s.vonmises.logpdf(x, kappa, mu), mu=FINITE, kappa=NOT_NEGATIVE)
def vonmises(mu: Value, kappa: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from von Mises' distribution of angles about `mu`, from -π to π.

    >>> import tapenet as tn
    >>> tn.random.vonmises(0.5, 2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return _turned(mu + standard_von_mises(source.spread(kappa), source.size, source.rng()))


@distribution(
    lambda s, x, mean, scale: s.invgauss.logpdf(x, ops.divide(mean, scale), scale=scale), mean=POSITIVE, scale=POSITIVE
)
def wald(mean: Value, scale: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Numbers from Wald's distribution, the inverse Gaussian one.

    >>> import tapenet as tn
    >>> tn.random.wald(1.0, 2.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return scale * standard_wald(source.spread(mean) / scale, source.size, source.rng())


@distribution(
    lambda s, x, left, mode, right: _log_triangle(s, x, left, mode, right), left=FINITE, mode=FINITE, right=FINITE
)
def triangular(
    left: Value,
    mode: Value,
    right: Value,
    size: Size = None,
    dtype: DTypeLike | None = None,
    rng: Rng = None,
) -> object:
    """Numbers from the triangular distribution over [left, right].

    >>> import tapenet as tn
    >>> tn.random.triangular(0.0, 1.0, 3.0, size=3, rng=0).shape
    (3,)
    """
    source = drawn_from(rng)
    return _triangle(source.standard("random"), *map(source.spread, (left, mode, right)))


triangular.ordered("left", "mode", "right")


def _turned(angle: Array) -> Array:
    """An angle in [-π, π)."""
    turns: Array = np.floor((angle + math.pi) / (2 * math.pi))
    return angle - 2 * math.pi * turns


def _root(x: Array, a: Array) -> Array:
    found: Array = x ** (1 / a)
    return found


def _over_gammas(source: Source, df: object) -> Array:
    """The degrees of freedom over a number from their χ² distribution."""
    half: Array = source.spread(df) / 2
    return half / source.gammas(half)


def _noncentral(source: Source, df: object, nonc: object) -> Array:
    first: Array = source.standard("standard_normal") + np.sqrt(source.spread(nonc))
    found: Array = first**2 + 2 * source.gammas((source.spread(df) - 1) / 2)
    return found


def _log_triangle(s: Law, x: object, left: Array, mode: Array, right: Array) -> object:
    width = ops.subtract(right, left)
    return s.triang.logpdf(x, ops.divide(ops.subtract(mode, left), width), left, width)


def _triangle(u: Array, left: Array, mode: Array, right: Array) -> Array:
    """The number below which a part u of a triangular distribution is."""
    base = right - left
    before = u <= (mode - left) / base
    rising = np.where(before, u * base * (mode - left), 1.0)
    falling = np.where(before, 1.0, (1 - u) * base * (right - mode))
    found: Array = np.where(before, left + np.sqrt(rising), right - np.sqrt(falling))
    return found
