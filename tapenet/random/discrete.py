"""Distributions of whole numbers. A draw has no derivative by the parameters; `log_prob` has, which is what estimates of
gradients by scores and by enumeration need.

Names, parameters and what they mean are those of `np.random.Generator`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapenet import ops
from tapenet.ops.derived import array_like
from tapenet.ops.op import op
from tapenet.ops.random import Chances, Standard, chances, generator, random_draw
from tapenet.random.distribution import (
    ABOVE_ONE,
    BELOW_ONE,
    CHANCE,
    COUNT,
    NOT_NEGATIVE,
    POSITIVE,
    PROBABILITY,
    Rng,
    Size,
    Source,
    Value,
    distribution,
    drawn_from,
)
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike


@op(random=True, nondiff=("parameters",), sequences=("parameters",), label="random draw")
def drawn(
    parameters: tuple[Array, ...],
    sample: Callable[..., object],
    size: tuple[int, ...] | None,
    rng: np.random.Generator | int | None = None,
) -> Array:
    """What `sample(generator, *parameters, size)` draws."""
    return np.asarray(sample(generator(rng), *parameters, size))


def _draw(rng: object, sample: Callable[..., object], *parameters: object) -> Array:
    source: Source = drawn_from(rng)
    found: Array = drawn([ops.stop_gradient(array_like(p)) for p in parameters], sample, source.size, source.rng())
    return found


def _truths(rng: np.random.Generator, p: Array, size: tuple[int, ...]) -> Array:
    return rng.random(size) < p if p.ndim else chances(rng, size, float(p))


@distribution(lambda s, x, p: s.bernoulli.logpmf(x, p), differentiable=False, p=PROBABILITY)
def bernoulli(p: Value = 0.5, size: Size = None, dtype: DTypeLike = np.bool_, rng: Rng = None) -> object:
    """True (or 1, in another dtype) with probability `p`, else False.

    >>> import tapenet as tn
    >>> tn.random.bernoulli(1.0, 3)
    array([ True,  True,  True])
    >>> tn.random.bernoulli.log_prob([0, 1], 0.25).round(4)
    Tensor([-0.2877, -1.3863])
    """
    source = drawn_from(rng)
    if type(p) is float or type(p) is int:
        found = random_draw(Chances(source.size, p), source.rng())
    elif type(p) is np.ndarray and p.ndim:
        found = random_draw(Standard(source.size, "random", np.dtype(float)), source.rng()) < p
    else:
        found = _draw(rng, _truths, p)
    return np.astype(found, source.dtype)


@distribution(lambda s, x, n, p: s.binom.logpmf(x, n, p), differentiable=False, n=COUNT, p=PROBABILITY)
def binomial(n: Value, p: Value, size: Size = None, rng: Rng = None) -> object:
    """Whole numbers: the number of successes in `n` trials that succeed with probability `p`.

    >>> import tapenet as tn
    >>> tn.random.binomial(10, 0.3, size=3, rng=0).dtype.kind
    'i'
    """
    return _draw(rng, np.random.Generator.binomial, n, p)


@distribution(lambda s, x, lam: s.poisson.logpmf(x, lam), differentiable=False, lam=NOT_NEGATIVE)
def poisson(lam: Value = 1.0, size: Size = None, rng: Rng = None) -> object:
    """Whole numbers: Poisson's distribution with mean `lam`.

    >>> import tapenet as tn
    >>> tn.random.poisson(2.5, size=3, rng=0).dtype.kind
    'i'
    """
    return _draw(rng, np.random.Generator.poisson, lam)


@distribution(lambda s, x, p: s.geom.logpmf(x, p), differentiable=False, p=CHANCE)
def geometric(p: Value, size: Size = None, rng: Rng = None) -> object:
    """Whole numbers: the number of trials up to the first success.

    >>> import tapenet as tn
    >>> tn.random.geometric(0.3, size=3, rng=0).dtype.kind
    'i'
    """
    return _draw(rng, np.random.Generator.geometric, p)


@distribution(lambda s, x, n, p: s.nbinom.logpmf(x, n, p), differentiable=False, n=POSITIVE, p=CHANCE)
def negative_binomial(n: Value, p: Value, size: Size = None, rng: Rng = None) -> object:
    """Whole numbers: the number of failures before `n` successes.

    >>> import tapenet as tn
    >>> tn.random.negative_binomial(3.5, 0.4, size=3, rng=0).dtype.kind
    'i'
    """
    return _draw(rng, np.random.Generator.negative_binomial, n, p)


@distribution(
    lambda s, x, ngood, nbad, nsample: s.hypergeom.logpmf(x, ops.add(ngood, nbad), ngood, nsample),
    differentiable=False,
    ngood=COUNT,
    nbad=COUNT,
    nsample=COUNT,
)
def hypergeometric(ngood: Value, nbad: Value, nsample: Value, size: Size = None, rng: Rng = None) -> object:
    """Whole numbers: the number of good ones among `nsample` of `ngood` good and `nbad` bad ones.

    >>> import tapenet as tn
    >>> tn.random.hypergeometric(5, 7, 4, size=3, rng=0).dtype.kind
    'i'
    """
    return _draw(rng, np.random.Generator.hypergeometric, ngood, nbad, nsample)


@distribution(lambda s, x, p: s.logser.logpmf(x, p), differentiable=False, p=BELOW_ONE)
def logseries(p: Value, size: Size = None, rng: Rng = None) -> object:
    """Whole numbers: the logarithmic series distribution.

    >>> import tapenet as tn
    >>> tn.random.logseries(0.3, size=3, rng=0).dtype.kind
    'i'
    """
    return _draw(rng, np.random.Generator.logseries, p)


@distribution(lambda s, x, a: s.zipf.logpmf(x, a), differentiable=False, a=ABOVE_ONE)
def zipf(a: Value, size: Size = None, rng: Rng = None) -> object:
    """Whole numbers: Zipf's distribution.

    >>> import tapenet as tn
    >>> tn.random.zipf(3.0, size=3, rng=0).dtype.kind
    'i'
    """
    return _draw(rng, np.random.Generator.zipf, a)
