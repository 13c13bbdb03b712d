"""Continuous distributions. The density is stated once, as a formula; everything else follows from it, or from a formula of the
distribution function where there is one:

- the derivative of `cdf` by x is the density, that by a shape is of the formula, or is the integral of the density's derivative
  over the smaller tail;
- quantiles are differentiated by the implicit function theorem;
- entropy and moments are differentiated as integrals.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import Op, derive
from tapenet.ops.random import generator
from tapenet.scipy.stats.distribution import (
    Distribution,
    End,
    Formula,
    Gradients,
    by_formula,
    element_wise,
    named,
    nth_power,
    plain,
    wide,
    widened,
)
from tapenet.scipy.stats.fitting import fit
from tapenet.scipy.stats.frozen import Frozen
from tapenet.scipy.stats.moments import by_moments
from tapenet.scipy.stats.quadrature import tail
from tapenet.typing import Array


class Continuous(Distribution):
    """A family of continuous distributions.

    Args:
        name: SciPy's name.
        log_density: the logarithm of the density with loc=0 and scale=1, inside of the support: a formula of x and the
            shapes, whose names are those of its arguments.
        low, high: the ends of the support.
        closed: formulas of the distribution function, inside of the support: one of cdf, sf, logcdf, logsf.
        valid: where the shapes are allowed (default: where they are positive).
        integers: shapes that are whole numbers.
        split: a point inside of the support at which the density is not smooth, if there is one: a formula of the shapes.
        names: SciPy's names of the shapes, where they are not those of the formula's arguments.
        period: of a density that has no ends: that of its mass around 0.
        raw: the k-th moment about 0, a formula of k and the shapes (default: an integral).
        entropy: the entropy, a formula of the shapes (default: an integral).
        limited: the formula of the density is exact in some range alone: compiled programs call SciPy for values too.
    """

    defaults: Mapping[str, float] = {"loc": 0.0, "scale": 1.0}

    def __init__(
        self,
        name: str,
        log_density: Formula,
        low: End = -math.inf,
        high: End = math.inf,
        *,
        valid: Callable[..., Array] | None = None,
        integers: str = "",
        split: End | None = None,
        names: str | None = None,
        period: float = math.inf,
        raw: Formula | None = None,
        entropy: Formula | None = None,
        limited: bool = False,
        **closed: Formula,
    ) -> None:
        super().__init__(name, log_density, (low, high), valid, integers, raw, limited, closed, names)
        self._split = split
        self._half = period / 2
        self._entropy = entropy

    def __call__(self, *args: object, **kwds: object) -> FrozenContinuous:
        return FrozenContinuous(self, self.bind("__call__", args, kwds))

    # -- formulas, with loc=0 and scale=1 --------------------------------------------------------------------

    def _inside(self, y: Array, shapes: Sequence[Array]) -> tuple[Array, Array]:
        """Where y is in the support, and y moved into it."""
        low, high = self._support(y, shapes)
        bounded, ended = np.isfinite(low), np.isfinite(high)
        first, last = np.where(bounded, low, 0.0), np.where(ended, high, 0.0)
        middle = np.where(
            bounded & ended, (first + last) / 2, np.where(bounded, first + 1, np.where(ended, last - 1, 0.0))
        )
        inside = (y >= low) & (y <= high) & np.isfinite(y)
        return inside, np.where(inside, y, ops.stop_gradient(middle))

    def _guarded(self, formula: Formula, outside: float) -> Formula:
        def guarded(y: Array, *shapes: Array) -> Array:
            shapes = tuple(widened(shapes, y)) if shapes else shapes
            inside, safe = self._inside(y, shapes)
            found: Array = np.where(inside, formula(safe, *shapes), outside)
            return found

        return guarded

    @functools.cached_property
    def log_density(self) -> Op:
        """The logarithm of the density, -inf outside of the support."""
        formula = self._guarded(self._formula, -math.inf)
        return element_wise(f"{self.name} log density", ("x", *self.shapes), formula, self.integers)

    @functools.cached_property
    def _closed_op(self) -> Op:
        assert self._closed is not None
        return element_wise(
            f"{self.name} {self._closed[0]} formula",
            ("x", *self.shapes),
            self._guarded(self._closed[1], 0.0),
            self.integers,
        )

    def _tail_op(self, factor: Callable[[Array, Array], Array] | None, name: str) -> Op:
        def formula(y: Array, size: Array, upper: Array, base: Array, *shapes: Array) -> Array:
            low, high = self._support(y, shapes)
            ends = np.maximum(low, -self._half), np.minimum(high, self._half)
            return tail(self.log_density, factor, y, size, upper, base, ends, shapes)

        arguments = ("y", "size", "upper", "base", *self.shapes)
        return element_wise(f"{self.name} {name}", arguments, formula, {"size", "upper", *self.integers})

    @functools.cached_property
    def _mass(self) -> Op:
        return self._tail_op(None, "tail")

    def _by_shapes(
        self, y: Array, shapes: Sequence[Array], g: Array, base: Array, wanted: Collection[str]
    ) -> Gradients:
        """g exp(-base) times the derivatives of the distribution function by the shapes that are wanted."""
        chosen = [n for n in self.shapes if n in wanted]
        if not chosen:
            return {}
        shapes = widened(shapes, g)
        inside, y = self._inside(y + np.zeros_like(g), shapes)
        inside = inside & (base > -math.inf)
        base = np.where(inside, base, 0.0)
        g = np.where(inside, g, 0.0)
        ones = [0.0, 1.0]
        if self._closed is not None:
            kind = self._closed[0]
            if kind in ("cdf", "sf"):
                weight = np.exp(-base)
            else:
                weight = np.exp(self._method(kind)(y, *shapes, *ones) - base)
            return by_formula(self._closed_op, g * weight * (1.0 if kind.endswith("cdf") else -1.0), chosen, y, *shapes)
        below, above = (ops.stop_gradient(self._method(m)(y, *shapes, *ones)) for m in ("logcdf", "logsf"))
        upper = above < below
        size = np.exp(np.where(upper, above, below) - ops.stop_gradient(self.log_density(y, *shapes)))
        size = np.where((size > 0) & (size < 1e100), size, 1.0)
        return by_formula(self._mass, np.where(upper, -g, g), chosen, y, size, upper, base, *shapes)

    def _split_at(self, shapes: Sequence[Array]) -> tuple[Array, Array, Array]:
        """Where integrals over the support are split, and about how far the mass lies from there, below and above."""
        zero = np.zeros_like(shapes[0]) if shapes else np.zeros(())
        if self._split is None:
            point = self._method("ppf")(0.5 + zero, *shapes, 0.0, 1.0)
        else:
            point = (self._split(*shapes) if callable(self._split) else self._split) + zero
        apart = [self._method("ppf")(q + zero, *shapes, 0.0, 1.0) - point for q in (0.1, 0.9)]
        sizes = [np.where(abs(d) > 0, abs(d), 1.0) for d in apart]
        return ops.stop_gradient(point), ops.stop_gradient(sizes[0]), ops.stop_gradient(sizes[1])

    def _expectation(self, name: str, factor: Callable[[Array, Array], Array]) -> Formula:
        """The mean of a factor, as a formula of a split point, the sizes of both sides, and the shapes."""
        part = self._tail_op(factor, name)

        def formula(point: Array, below: Array, above: Array, *shapes: Array) -> Array:
            no, zero = np.zeros(point.shape, bool), np.zeros_like(point)
            return cast(
                "Array", part(point, below, no, zero, *shapes) + part(point, above, np.logical_not(no), zero, *shapes)
            )

        return formula

    def _integral(self, name: str, formula: Formula) -> Op:
        """The op of a formula of a split point, the sizes of both sides, and the shapes."""
        arguments = ("point", "below", "above", *self.shapes)
        return element_wise(f"{self.name} {name}", arguments, formula, {"point", "below", "above", *self.integers})

    @functools.cached_property
    def _powers(self) -> list[Op]:
        """The first four moments about one point."""

        def power(k: int) -> Formula:
            raw = self._raw
            if raw is None:
                return self._expectation(f"moment {k}", functools.partial(nth_power, k))
            return lambda point, below, above, *shapes: raw(k, *shapes)

        return [self._integral(f"moment {k}", power(k)) for k in range(1, 5)]

    @functools.cached_property
    def _entropy_integral(self) -> Op:
        closed = self._entropy
        if closed is None:
            return self._integral("entropy", self._expectation("entropy", lambda t, log: -log))
        return self._integral("entropy", lambda point, below, above, *shapes: closed(*shapes))

    # -- ops -------------------------------------------------------------------------------------------------

    def make(self, method: str) -> Op:
        """The op of a method."""
        if method in ("logpdf", "pdf") and self._limited:
            return self._ruled(method, "x", self.formula_rule(method, "x", self._lowered(method), self.integers))
        if method in ("logpdf", "pdf"):
            rules = {n: derive for n in ("x", *self.parameters) if n not in self.integers}
            return self.op(
                method, ("x", *self.parameters), lower=self._lowered(method), nondiff=self.integers, rules=rules
            )
        if method in ("cdf", "sf", "logcdf", "logsf"):
            return self._ruled(method, "x", self._tail_rule(method))
        if method in ("ppf", "isf"):
            return self._ruled(method, "q", self._quantile_rule(1.0 if method == "ppf" else -1.0))
        return self._ruled(method, None, self._integral_rule(method))

    def _lowered(self, method: str) -> Formula:
        def formula(x: Array, *parameters: Array) -> Array:
            *shapes, loc, scale = parameters
            y = (x - loc) / scale
            log = self.log_density(y + sum(np.zeros_like(s) for s in shapes), *shapes) - np.log(scale)
            scale, *shapes = widened([scale, *shapes], y)
            allowed = np.logical_and(scale > 0, self._allowed(*shapes))
            return cast("Array", np.where(allowed, log if method == "logpdf" else np.exp(log), math.nan))

        return formula

    def _ruled(self, method: str, variable: str | None, rule: Callable[..., Gradients]) -> Op:
        arguments = self.parameters if variable is None else (variable, *self.parameters)
        joint = named(f"{self.name}.{method} rule", ("g", "wanted", "out", *arguments), rule)
        return self.op(method, arguments, self.moment_values(method), joint=joint, opaque="it is SciPy's")

    def _tail_rule(self, method: str) -> Callable[..., Gradients]:
        sign = 1.0 if method.endswith("cdf") else -1.0

        def rule(g: Array, wanted: Collection[str], out: Array, x: Array, *parameters: Array) -> Gradients:
            *shapes, loc, scale = parameters
            y = (x - loc) / scale + np.zeros_like(out)
            base = out if method.startswith("log") else np.zeros_like(out)
            log = self.log_density(y, *shapes)
            none = log == -math.inf
            slope = np.where(none, 0.0, sign * g * np.exp(np.where(none, 0.0, log - base)) / scale)
            found = self._by_shapes(y, shapes, sign * g, base, wanted)
            if "x" in wanted:
                found["x"] = slope
            if "loc" in wanted:
                found["loc"] = -slope
            if "scale" in wanted:
                found["scale"] = -safe_mul(slope, y)
            return found

        return rule

    def _quantile_rule(self, sign: float) -> Callable[..., Gradients]:
        def rule(g: Array, wanted: Collection[str], out: Array, q: Array, *parameters: Array) -> Gradients:
            *shapes, loc, scale = parameters
            y = (out - loc) / scale
            log = self.log_density(y, *shapes)
            found = self._by_shapes(y, shapes, -g * scale, log, wanted)
            if "q" in wanted:
                found["q"] = sign * g * scale * np.exp(-log)
            if "loc" in wanted:
                found["loc"] = g
            if "scale" in wanted:
                found["scale"] = g * y
            return found

        return rule

    def _integral_rule(self, method: str) -> Callable[..., Gradients]:
        degree = {"mean": 1, "std": 1, "var": 2}.get(method, 0)
        of = "var" if method == "std" else method

        def rule(g: Array, wanted: Collection[str], out: Array, *parameters: Array) -> Gradients:
            *shapes, loc, scale = parameters
            g = np.where(np.isfinite(out), g, math.nan)
            found: Gradients = {}
            if any(n in wanted for n in self.shapes):
                shapes = widened(shapes, out)
                weight = g * scale**degree
                if method == "std":
                    weight = weight * scale / (2 * out)
                values = (*self._split_at(shapes), *shapes)
                if method == "entropy":
                    found = by_formula(self._entropy_integral, weight, wanted, *values)
                else:
                    found = by_moments(of, self._powers, weight, wanted, *values)
            if "loc" in wanted:
                found["loc"] = g if method == "mean" else 0 * g
            if "scale" in wanted and method == "entropy":
                found["scale"] = g / scale
            elif "scale" in wanted:
                found["scale"] = g * degree * (out - loc if method == "mean" else out) / scale
            return found

        return rule

    # -- methods ---------------------------------------------------------------------------------------------

    def pdf(self, x: object, *args: object, **kwds: object) -> Tensor:
        """The density."""
        return self.call("pdf", (x,), args, kwds)

    def logpdf(self, x: object, *args: object, **kwds: object) -> Tensor:
        """The logarithm of the density."""
        return self.call("logpdf", (x,), args, kwds)

    def rvs(
        self, *args: object, size: int | Sequence[int] | None = None, random_state: object = None, **kwds: object
    ) -> Tensor:
        """Random values, differentiable by the parameters: each moves as the quantile that it is.

        Args:
            *args, **kwds: the parameters.
            size: the shape (default: that of the parameters).
            random_state: NumPy's generator or a seed (default: the generator that `tn.random.seed` seeds).

        >>> import tapenet as tn
        >>> scale = tn.tensor(2.0, requires_grad=True)
        >>> x = tn.scipy.stats.gamma.rvs(3.0, scale=scale, size=5, random_state=0)
        >>> x.sum().backward()
        >>> bool(abs(scale.grad - x.sum() / 2) < 1e-9)
        True
        """
        given = [wide(v) for v in self.bind("rvs", args, kwds)]
        state = generator() if random_state is None else random_state
        drawn = self.scipys.rvs(*map(plain, given), size=size, random_state=state)
        if "rvs" not in self._ops:
            arguments = ("q", *self.parameters)
            joint = named(f"{self.name}.rvs rule", ("g", "wanted", "out", *arguments), self._quantile_rule(1.0))
            self._ops["rvs"] = self.op(
                "rvs", arguments, _first, joint=joint, nondiff=frozenset({"q"}), opaque="the values are drawn"
            )
        return asarray(self._ops["rvs"](asarray(drawn), *given))

    def fit(self, data: object, *args: object, **kwds: object) -> tuple[Tensor, ...]:
        """The parameters at which data are most likely: shapes, loc and scale.

        SciPy's fit is the start; from there the gradient of the likelihood is brought to 0. The result has derivatives by the
        data.

        Args:
            data: values, of any shape.
            *args, **kwds: as SciPy's: where to begin, and what is held (`floc=0`, `f0=1`, `fscale=2`). Of another `method` than
                "MLE" the values are SciPy's, without a derivative.

        Raises:
            TypeError: the data need a gradient, and the gradient of the likelihood is not 0 at the maximum: it is at an end of
                what is allowed, such as the scale of `pareto`, or at a kink.

        >>> import tapenet as tn
        >>> loc, scale = tn.scipy.stats.norm.fit(tn.tensor([1.0, 2.0, 6.0]))
        >>> f"{loc.item():.6f} {scale.item():.6f}"
        '3.000000 2.160247'
        """
        return fit(self.name, self.parameters, self.logpdf, self.scipys.fit, data, args, kwds)

    def nnlf(self, theta: Sequence[object], x: object) -> Tensor:
        """The negative logarithm of the likelihood of data.

        Args:
            theta: the parameters: shapes, loc, scale.
            x: the data.
        """
        return -self.logpdf(x, *theta).sum()


class FrozenContinuous(Frozen):
    """A continuous distribution with given parameters."""

    dist: Continuous

    def pdf(self, x: object) -> Tensor:
        """The density."""
        return self.dist.call("pdf", (x,), self.args, {})

    def logpdf(self, x: object) -> Tensor:
        """The logarithm of the density."""
        return self.dist.call("logpdf", (x,), self.args, {})

    def rvs(self, size: int | Sequence[int] | None = None, random_state: object = None) -> Tensor:
        """Random values, differentiable by the parameters."""
        return self.dist.rvs(*self.args, size=size, random_state=random_state)


def _first(q: Array, *parameters: Array) -> Array:
    return q
