"""Discrete distributions. The probability of a value is stated once, as a formula; `cdf`, moments and the entropy are
differentiated as sums of it, or by a formula of their own where there is one. Values, loc and whole numbers among the
parameters have no derivative, and quantiles are whole numbers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op, derive
from tapenet.scipy.stats.distribution import (
    Distribution,
    End,
    Formula,
    Gradients,
    by_formula,
    element_wise,
    named,
    nth_power,
    widened,
)
from tapenet.scipy.stats.frozen import FrozenDiscrete
from tapenet.scipy.stats.moments import by_moments
from tapenet.scipy.stats.sums import summed
from tapenet.typing import Array

#: Values beyond which there is less than this probability are left out of sums without an end.
_LEFT_OUT = 1e-15
#: The most terms of a sum without an end.
_MOST = 200_000


class Discrete(Distribution):
    """A family of discrete distributions.

    Args:
        name: SciPy's name.
        log_mass: the logarithm of the probability of a value of the support, with loc=0: a formula of the value and the
            shapes, whose names are those of its arguments.
        low, high: the ends of the support: numbers, or formulas of the shapes.
        closed: formulas of the distribution function: one of cdf, sf, logcdf, logsf.
        valid: where the shapes are allowed (default: where they are positive).
        integers: shapes that are whole numbers.
        raw: the k-th moment about 0, a formula of k and the shapes (default: a sum).
        limited: the formula is exact in some range alone: compiled programs call SciPy for values too.
    """

    defaults: Mapping[str, float] = {"loc": 0.0}

    def __init__(
        self,
        name: str,
        log_mass: Formula,
        low: End = 0,
        high: End = math.inf,
        *,
        valid: Callable[..., Array] | None = None,
        integers: str = "",
        raw: Formula | None = None,
        limited: bool = False,
        **closed: Formula,
    ) -> None:
        super().__init__(name, log_mass, (low, high), valid, integers, raw, limited, closed)

    def __call__(self, *args: object, **kwds: object) -> FrozenDiscrete:
        return FrozenDiscrete(self, self.bind("__call__", args, kwds))

    # -- formulas, with loc=0 --------------------------------------------------------------------------------

    def _guarded(self, k: Array, *shapes: Array) -> Array:
        low, high = self._support(k, shapes)
        inside = (k >= low) & (k <= high) & (k == np.floor(k))
        safe = np.where(inside, k, ops.stop_gradient(np.where(low > -math.inf, low, np.minimum(high, 0.0))))
        found: Array = np.where(inside, self._formula(safe, *shapes), -math.inf)
        return found

    @functools.cached_property
    def log_mass(self) -> Op:
        """The logarithm of the probability of a value, -inf outside of the support."""
        return element_wise(f"{self.name} log mass", ("k", *self.shapes), self._guarded, {"k", *self.integers})

    def _sum(self, name: str, factor: Callable[[Array, Array], Array]) -> Op:
        def term(j: Array, *shapes: Array) -> Array:
            log = cast("Array", self._formula(j, *shapes))
            return np.exp(log) * factor(j, log)

        op = element_wise(f"{self.name} {name}", ("j", *self.shapes), term, {"j", *self.integers})
        return summed(f"{self.name} sum of {name}", op, self.shapes, self.integers)

    @functools.cached_property
    def _mass_sum(self) -> Op:
        return self._sum("mass", lambda j, log: np.ones_like(j))

    @functools.cached_property
    def _closed_op(self) -> Op:
        assert self._closed is not None
        name, formula = self._closed
        return element_wise(f"{self.name} {name} formula", ("k", *self.shapes), formula, {"k", *self.integers})

    def _range(self, shapes: Sequence[Array]) -> tuple[Array, Array]:
        """The values that sums over the whole support go over."""
        low, high = self._support(np.zeros_like(shapes[0]), shapes)
        if not callable(self._ends[0]) and self._ends[0] == -math.inf:
            low = self._method("ppf")(np.full_like(shapes[0], _LEFT_OUT), *shapes, 0.0)
        if not callable(self._ends[1]) and self._ends[1] == math.inf:
            last = self._method("isf")(np.full_like(shapes[0], _LEFT_OUT), *shapes, 0.0)
            high = np.where(last < low + _MOST, last, low + _MOST)
        return low, high

    @functools.cached_property
    def _powers(self) -> list[Op]:
        """The first four moments about 0, of the ends of sums and the shapes."""

        def power(k: int) -> Op:
            raw = self._raw
            if raw is None:
                return self._sum(f"moment {k}", functools.partial(nth_power, k))
            arguments = ("first", "last", *self.shapes)
            return element_wise(
                f"{self.name} moment {k}", arguments, lambda first, last, *shapes: raw(k, *shapes),
                {"first", "last", *self.integers},
            )  # fmt: skip

        return [power(k) for k in range(1, 5)]

    @functools.cached_property
    def _entropy_sum(self) -> Op:
        return self._sum("entropy", lambda j, log: -log)

    # -- ops -------------------------------------------------------------------------------------------------

    def make(self, method: str) -> Op:
        """The op of a method."""
        arguments = ("k", *self.parameters)
        fixed = frozenset({"k", "loc", *self.integers})
        free = [n for n in self.shapes if n not in fixed]
        if method in ("ppf", "isf"):
            return self.op(method, ("q", *self.parameters), nondiff=True, opaque="it is SciPy's")
        if method in ("logpmf", "pmf") and self._limited:
            return self._ruled(method, arguments, self.formula_rule(method, "k", self._lowered(method), fixed), fixed)
        if method in ("logpmf", "pmf"):
            rules = dict.fromkeys(free, derive)
            return self.op(method, arguments, lower=self._lowered(method), nondiff=fixed if free else True, rules=rules)
        if method in ("cdf", "sf", "logcdf", "logsf"):
            return self._ruled(method, arguments, self._tail_rule(method), fixed if free else True)
        return self._ruled(method, self.parameters, self._integral_rule(method), self.integers)

    def _lowered(self, method: str) -> Formula:
        def formula(k: Array, *parameters: Array) -> Array:
            *shapes, loc = parameters
            y = k - loc + sum(np.zeros_like(s) for s in shapes)
            shapes = widened(shapes, y)
            log = self._guarded(y, *shapes)
            found = log if method == "logpmf" else np.exp(log)
            return cast("Array", np.where(self._allowed(*shapes), found, math.nan))

        return formula

    def _ruled(
        self, method: str, arguments: Sequence[str], rule: Callable[..., Gradients], fixed: Collection[str] | bool
    ) -> Op:
        values = self.moment_values(method)
        if fixed is True:
            return self.op(method, arguments, values, nondiff=True, opaque="it is SciPy's")
        joint = named(f"{self.name}.{method} rule", ("g", "wanted", "out", *arguments), rule)
        return self.op(method, arguments, values, joint=joint, nondiff=fixed, opaque="it is SciPy's")

    def _tail_rule(self, method: str) -> Callable[..., Gradients]:
        sign = 1.0 if method.endswith("cdf") else -1.0

        def rule(g: Array, wanted: Collection[str], out: Array, k: Array, *parameters: Array) -> Gradients:
            *shapes, loc = parameters
            shapes = widened(shapes, out)
            k = np.floor(k - loc + np.zeros_like(g))
            low, high = self._support(k, shapes)
            inside = (k >= low) & (k < high)
            g = np.where(inside, sign * g, 0.0)
            if method.startswith("log"):
                g = g * np.exp(-np.where(inside, out, 0.0))
            if self._closed is not None:
                kind = self._closed[0]
                if kind not in ("cdf", "sf"):
                    g = g * np.exp(np.where(inside, self._method(kind)(k, *shapes, 0.0), 0.0))
                k = np.where(inside, k, np.where(low > -math.inf, low, 0.0))
                return by_formula(self._closed_op, g if kind.endswith("cdf") else -g, wanted, k, *shapes)
            first, last = self._range(shapes)
            upper = ops.stop_gradient(out > (0.5 if sign > 0 else math.inf)) if self._finite() else low > high
            k = np.where(inside, k, first)
            begin = np.where(upper, k + 1, first)
            end = np.where(upper, last, k)
            return by_formula(self._mass_sum, np.where(upper, -g, g), wanted, begin, end, *shapes)

        return rule

    def _finite(self) -> bool:
        return callable(self._ends[1]) or self._ends[1] < math.inf

    def _integral_rule(self, method: str) -> Callable[..., Gradients]:
        of = "var" if method == "std" else method

        def rule(g: Array, wanted: Collection[str], out: Array, *parameters: Array) -> Gradients:
            *shapes, _ = parameters
            g = np.where(np.isfinite(out), g, math.nan)
            found: Gradients = {}
            if any(n in wanted for n in self.shapes):
                shapes = widened(shapes, out)
                weight = g / (2 * out) if method == "std" else g
                values = (*self._range(shapes), *shapes)
                if method == "entropy":
                    found = by_formula(self._entropy_sum, weight, wanted, *values)
                else:
                    found = by_moments(of, self._powers, weight, wanted, *values)
            if "loc" in wanted:
                found["loc"] = g if method == "mean" else 0 * g
            return found

        return rule

    # -- methods ---------------------------------------------------------------------------------------------

    def pmf(self, k: object, *args: object, **kwds: object) -> Tensor:
        """The probability of the value k."""
        return self.call("pmf", (k,), args, kwds)

    def logpmf(self, k: object, *args: object, **kwds: object) -> Tensor:
        """The logarithm of the probability of the value k."""
        return self.call("logpmf", (k,), args, kwds)
