"""Distributions of which a part is left away."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet import ops, special
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.random import random_draw
from tapenet.random.distribution import FINITE, POSITIVE, Law, Limit, Rng, Size, Value, distribution, drawn_from
from tapenet.typing import Array

NUMBER = Limit("a number or infinite", lambda p: ~np.isnan(p))


@distribution(
    lambda s, x, loc, scale, low, high: _log_normal(s, x, loc, scale, low, high),
    loc=FINITE, scale=POSITIVE, low=NUMBER, high=NUMBER,
)  # fmt: skip
def truncated_normal(
    loc: Value = 0.0,
    scale: Value = 1.0,
    low: Value = -np.inf,
    high: Value = np.inf,
    size: Size = None,
    dtype: DTypeLike | None = None,
    rng: Rng = None,
) -> object:
    """Numbers between `low` and `high` from the normal distribution with mean `loc` and standard deviation `scale` (of the
    whole distribution). Exact far out in the tails too: it computes with the logarithms of their probabilities.

    >>> import tapenet as tn
    >>> bool((tn.random.truncated_normal(0.0, 1.0, 30.0, 31.0, size=3, rng=0) > 30).all())
    True
    """
    source = drawn_from(rng)
    a, b = ((source.spread(end) - loc) / scale for end in (low, high))
    mirrored = a + b > 0  # the lower tail is the one with exact logarithms
    left, right = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    u = source.standard("random")
    with np.errstate(divide="ignore"):
        below, above = special.log_ndtr(left), special.log_ndtr(right)
        chance = np.logaddexp(np.log1p(-u) + below, np.log(u) + above)
    z = np.clip(special.ndtri_exp(chance), left, right)
    return loc + scale * np.where(mirrored, -z, z)


truncated_normal.ordered("low", "high")


def _log_normal(s: Law, x: Array, loc: Array, scale: Array, low: Array, high: Array) -> object:
    a, b = (ops.divide(ops.subtract(end, loc), scale) for end in (low, high))
    return s.truncnorm.logpdf(x, a, b, loc, scale)


class Quantiles(Protocol):
    """What `truncated` asks of a distribution with its parameters."""

    def cdf(self, x: object) -> Tensor: ...
    def sf(self, x: object) -> Tensor: ...
    def ppf(self, q: object) -> Tensor: ...
    def isf(self, q: object) -> Tensor: ...


def truncated(
    law: Quantiles,
    low: ArrayLike = -np.inf,
    high: ArrayLike = np.inf,
    size: Size = None,
    rng: Rng = None,
) -> Tensor:
    """Numbers between `low` and `high` from any continuous distribution, by its distribution function and its quantiles. Draws
    have derivatives by the distribution's parameters and by the bounds.

    Args:
        law: a distribution of `tn.scipy.stats` with its parameters, such as `tn.scipy.stats.gamma(2.0)`.
        low, high: the bounds.
        size: the shape; by default that of the bounds.
        rng: a generator, or an integer to make one from.

    >>> import tapenet as tn
    >>> drawn = tn.random.truncated(tn.scipy.stats.gamma(2.0), 1.0, 3.0, size=5, rng=0)
    >>> bool(((drawn > 1) & (drawn < 3)).all())
    True
    """
    left, right = law.cdf(low), law.cdf(high)
    left_above, right_above = law.sf(low), law.sf(high)
    shape = np.broadcast_shapes(left.shape, right.shape) if size is None else size
    u = random_draw(lambda rng: rng.random(shape), rng)
    upper = left + right > 1  # there the probabilities above are the exact ones
    below = np.where(upper, 0.5, left + u * (right - left))
    above = np.where(upper, left_above + u * (right_above - left_above), 0.5)
    found: Tensor = ops.clip(np.where(upper, law.isf(above), law.ppf(below)), low, high)
    return found
