"""Distributions of vectors and matrices. Their parameters may have batches in front; `size` comes before these."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from tapenet import ops
from tapenet.ops.derived import array_like
from tapenet.ops.linalg.factorizations import cholesky
from tapenet.random.discrete import drawn
from tapenet.random.distribution import (
    COUNT,
    FINITE,
    NOT_NEGATIVE,
    POSITIVE,
    PROBABILITY,
    Law,
    Rng,
    Size,
    Source,
    Value,
    distribution,
    drawn_from,
)
from tapenet.typing import Array


def _before(size: Size) -> tuple[int, ...]:
    return () if size is None else (size,) if isinstance(size, (int, np.integer)) else tuple(size)


@distribution(lambda s, x, mean, cov: s.multivariate_normal.logpdf(x, mean, cov), event=True, mean=FINITE, cov=FINITE)
def multivariate_normal(
    mean: Value, cov: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Vectors from the normal distribution with this mean and covariance matrix, which is positive definite: mean + L z with
    L Lᵀ = cov.

    >>> import numpy as np, tapenet as tn
    >>> tn.random.multivariate_normal([0.0, 1.0], np.eye(2), size=3, rng=0).shape
    (3, 2)
    """
    source = drawn_from(rng)
    middle, factor = source.array(mean), cholesky(source.array(cov))
    shape = (*_before(size), *np.broadcast_shapes(middle.shape, factor.shape[:-1]))
    z = source.of_shape(shape).standard("standard_normal")
    return middle + _times(factor, z)


def _times(matrix: Array, vectors: Array) -> Array:
    found: Array = ops.matmul(matrix, vectors[..., None])[..., 0]
    return found


@distribution(
    lambda s, x, loc, shape, df: s.multivariate_t.logpdf(x, loc, shape, df),
    event=True,
    loc=FINITE,
    shape=FINITE,
    df=POSITIVE,
)
def multivariate_t(
    loc: Value, shape: Value, df: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None
) -> object:
    """Vectors from Student's t distribution about `loc`, with shape matrix `shape` and `df` degrees of freedom.

    >>> import numpy as np, tapenet as tn
    >>> tn.random.multivariate_t([0.0, 1.0], np.eye(2), 3.0, size=3, rng=0).shape
    (3, 2)
    """
    source = drawn_from(rng)
    middle, factor = source.array(loc), cholesky(source.array(shape))
    whole = (*_before(size), *np.broadcast_shapes(middle.shape, factor.shape[:-1]))
    z = source.of_shape(whole).standard("standard_normal")
    each = source.of_shape(whole[:-1])
    half = each.spread(df) / 2
    wide = np.sqrt(half / each.gammas(half))
    return middle + _times(factor, z) * wide[..., None]


@distribution(lambda s, x, alpha: _log_dirichlet(s, x, alpha), event=True, alpha=POSITIVE)
def dirichlet(alpha: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Vectors of numbers between 0 and 1 that add up to 1, from Dirichlet's distribution: gamma numbers over their sum.

    >>> import tapenet as tn
    >>> tn.random.dirichlet([2.0, 3.0, 1.0], size=4, rng=0).sum(-1).round(9)
    array([1., 1., 1., 1.])
    """
    source = drawn_from(rng)
    a = source.array(alpha)
    logs = source.of_shape((*_before(size), *a.shape)).log_gammas(a)
    return np.exp(logs - ops.logsumexp(logs, -1, keepdims=True))


def _log_dirichlet(s: Law, x: Array, alpha: Array) -> object:
    return s.dirichlet.logpdf(np.moveaxis(array_like(x), -1, 0), alpha)


@distribution(
    lambda s, x, df, scale: s.wishart.logpdf(np.moveaxis(array_like(x), (-2, -1), (0, 1)), df, scale),
    event=True,
    df=POSITIVE,
    scale=FINITE,
)
def wishart(df: Value, scale: Value, size: Size = None, dtype: DTypeLike | None = None, rng: Rng = None) -> object:
    """Matrices from Wishart's distribution with `df` degrees of freedom and the scale matrix `scale`, by Bartlett's
    decomposition.

    >>> import numpy as np, tapenet as tn
    >>> tn.random.wishart(4.0, np.eye(2), size=3, rng=0).shape
    (3, 2, 2)
    """
    source = drawn_from(rng)
    factor = cholesky(source.array(scale))
    n = factor.shape[-1]
    before = _before(size)
    below = np.tri(n, n, -1, source.dtype) * source.of_shape((*before, n, n)).draw(
        lambda rng, size: rng.standard_normal(size)
    )
    diagonal = source.of_shape((*before, n)).gammas((source.array(df)[..., None] - np.arange(n)) / 2)
    triangle = below + np.sqrt(2 * diagonal)[..., None] * np.eye(n, dtype=source.dtype)
    root = ops.matmul(factor, triangle)
    found: Array = ops.matmul(root, ops.swapaxes(root, -1, -2))
    return found


@distribution(
    lambda s, x, n, pvals: s.multinomial.logpmf(x, n, pvals),
    event=True,
    differentiable=False,
    n=COUNT,
    pvals=PROBABILITY,
)
def multinomial(n: Value, pvals: Value, size: Size = None, rng: Rng = None) -> object:
    """How often each of several outcomes comes in `n` trials; `pvals` are their probabilities, which add up to 1.

    >>> import tapenet as tn
    >>> tn.random.multinomial(10, [0.2, 0.3, 0.5], size=2, rng=0).sum(-1)
    array([10, 10])
    """
    return _counted(rng, size, np.random.Generator.multinomial, n, pvals)


@distribution(
    lambda s, x, colors, nsample: s.multivariate_hypergeom.logpmf(x, colors, nsample),
    event=True,
    differentiable=False,
    colors=COUNT,
    nsample=COUNT,
)
def multivariate_hypergeometric(colors: Value, nsample: int, size: Size = None, rng: Rng = None) -> object:
    """How many of each colour there are among `nsample` that are drawn from so many of each.

    >>> import tapenet as tn
    >>> tn.random.multivariate_hypergeometric([3, 2, 4], 5, size=2, rng=0).sum(-1)
    array([5, 5])
    """
    return _counted(rng, size, np.random.Generator.multivariate_hypergeometric, colors, nsample)


def _counted(rng: object, size: Size, sample: object, *parameters: object) -> Array:
    source: Source = drawn_from(rng)
    given = [ops.stop_gradient(array_like(p)) for p in parameters]
    found: Array = drawn(given, sample, size, source.rng())
    return found


@distribution(lambda s, x, p: _log_categorical(x, p), event=True, differentiable=False, p=NOT_NEGATIVE)
def categorical(p: Value, size: Size = None, rng: Rng = None) -> object:
    """Which of the outcomes comes, a number from 0 on; the last axis of `p` has their probabilities, in any multiple.

    >>> import tapenet as tn
    >>> tn.random.categorical([0.0, 1.0, 0.0], size=3, rng=0)
    array([1, 1, 1])
    """

    def sample(rng: np.random.Generator, p: Array, size: tuple[int, ...]) -> Array:
        ends = np.cumsum(p, -1)
        u = rng.random((*size, *p.shape[:-1])) * ends[..., -1]
        return np.asarray(np.sum(u[..., None] >= ends, axis=-1))

    return _counted(rng, _before(size), sample, p)


def _log_categorical(x: object, p: object) -> Array:
    weights = ops.asarray(p)
    places = ops.broadcast_arrays(ops.asarray(x), weights[..., 0])[0]
    whole = ops.broadcast_to(weights, (*places.shape, weights.shape[-1]))
    picked = ops.take_along_axis(whole, places[..., None], -1)[..., 0]
    found: Array = ops.log(picked) - ops.log(ops.sum(whole, -1))
    return found
