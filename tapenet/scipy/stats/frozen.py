"""Distributions whose parameters are given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tapenet.autodiff.tensor import Tensor

if TYPE_CHECKING:
    from tapenet.scipy.stats.distribution import Distribution


class Given:
    """A distribution with given parameters, which may be tensors.

    Attributes:
        dist: the family.
        args: the parameters, in order.
    """

    def __init__(self, dist: Any, args: Sequence[object]) -> None:
        self.dist = dist
        self.args = tuple(args)

    def __repr__(self) -> str:
        given = ", ".join(f"{n}={v}" for n, v in zip(self.dist.parameters, self.args, strict=True))
        return f"tn.scipy.stats.{self.dist.name}({given})"


class Frozen(Given):
    """One of a number, with given parameters."""

    dist: Distribution

    def cdf(self, x: object) -> Tensor:
        """The probability of values up to x."""
        return self.dist.cdf(x, *self.args)

    def logcdf(self, x: object) -> Tensor:
        """The logarithm of `cdf`."""
        return self.dist.logcdf(x, *self.args)

    def sf(self, x: object) -> Tensor:
        """The probability of values above x."""
        return self.dist.sf(x, *self.args)

    def logsf(self, x: object) -> Tensor:
        """The logarithm of `sf`."""
        return self.dist.logsf(x, *self.args)

    def ppf(self, q: object) -> Tensor:
        """The quantile: the value whose `cdf` is q."""
        return self.dist.ppf(q, *self.args)

    def isf(self, q: object) -> Tensor:
        """The value whose `sf` is q."""
        return self.dist.isf(q, *self.args)

    def entropy(self) -> Tensor:
        """The entropy, in nats."""
        return self.dist.entropy(*self.args)

    def mean(self) -> Tensor:
        """The mean."""
        return self.dist.mean(*self.args)

    def median(self) -> Tensor:
        """The median."""
        return self.dist.median(*self.args)

    def var(self) -> Tensor:
        """The variance."""
        return self.dist.var(*self.args)

    def std(self) -> Tensor:
        """The standard deviation."""
        return self.dist.std(*self.args)

    def stats(self, moments: str = "mv") -> Tensor | tuple[Tensor, ...]:
        """Mean (`m`), variance (`v`), skewness (`s`) and excess kurtosis (`k`), those that `moments` names."""
        return self.dist.stats(*self.args, moments=moments)

    def interval(self, confidence: object) -> tuple[Tensor, Tensor]:
        """The ends of the interval around the median that has probability `confidence`."""
        return self.dist.interval(confidence, *self.args)

    def support(self) -> tuple[Tensor, Tensor]:
        """The ends of the support."""
        return self.dist.support(*self.args)


class FrozenDiscrete(Frozen):
    """A discrete distribution with given parameters."""

    def pmf(self, k: object) -> Tensor:
        """The probability of the value k."""
        return self.dist.call("pmf", (k,), self.args, {})

    def logpmf(self, k: object) -> Tensor:
        """The logarithm of the probability of the value k."""
        return self.dist.call("logpmf", (k,), self.args, {})
