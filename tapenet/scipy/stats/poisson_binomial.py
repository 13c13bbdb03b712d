"""The number of successes in trials of different probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import numpy as np

from tapenet.ops.op import Op, derive
from tapenet.scipy.stats.discrete_distribution import Discrete
from tapenet.typing import Array


def masses(p: Array) -> list[Array]:
    """The probabilities of 0, 1 ... successes, where the first axis of `p` goes over the trials."""
    found = [np.ones_like(p[0])]
    for i in range(p.shape[0]):
        yes, no = p[i], 1 - p[i]
        found = [
            found[0] * no,
            *(found[j] * no + found[j - 1] * yes for j in range(1, len(found))),
            found[-1] * yes,
        ]
    return found


def _part(chosen: Callable[[Array, int], Array], log: bool) -> Callable[..., Array]:
    """A sum of the probabilities of the values that a condition chooses."""

    def formula(k: Array, p: Array, loc: Array) -> Array:
        value = np.floor(k - loc)
        total = cast("Array", sum(np.where(chosen(value, j), m, 0.0) for j, m in enumerate(masses(p))))
        return np.log(total) if log else total

    return formula


def _moments(method: str) -> Callable[..., Array]:
    def formula(p: Array, loc: Array) -> Array:
        every = masses(p)
        mean = p.sum(0)
        var = (p * (1 - p)).sum(0)
        if method == "mean":
            return cast("Array", mean + loc)
        if method == "entropy":
            return cast("Array", -sum(m * np.log(np.where(m > 0, m, 1.0)) for m in every))
        if method in ("var", "std"):
            return cast("Array", var if method == "var" else np.sqrt(var))
        power = 3 if method == "skewness" else 4
        central = sum(m * (j - mean) ** power for j, m in enumerate(every))
        return cast("Array", central / var ** (power / 2) - (3 if power == 4 else 0))

    return formula


class PoissonBinomial(Discrete):
    """SciPy's `poisson_binom`; `p` are the probabilities of the trials, along its first axis."""

    def make(self, method: str) -> Op:
        """The op of a method."""
        if method in ("ppf", "isf"):
            return self.op(
                method, ("q", *self.parameters), nondiff=True, broadcasts=False, vmap=None, opaque="it is SciPy's"
            )
        name = method.removeprefix("log")
        log = name != method
        chosen: dict[str, Callable[[Array, int], Array]] = {
            "pmf": lambda k, j: k == j,
            "cdf": lambda k, j: k >= j,
            "sf": lambda k, j: k < j,
        }
        formula = _part(chosen[name], log) if name in chosen else _moments(method)
        arguments = ("k", *self.parameters) if name in chosen else self.parameters
        fixed = {"k", "loc"} if name in chosen else {"loc"}
        return self.op(
            method, arguments, self.moment_values(method), lower=formula, rules={"p": derive}, nondiff=fixed,
            broadcasts=False, vmap=None,
        )  # fmt: skip


poisson_binom = PoissonBinomial("poisson_binom", lambda k, p: k + math.nan * p)
