"""What continuous and discrete distributions share: how they are called, and how their methods become ops."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import Op, derive
from tapenet.program import generated
from tapenet.scipy import followed
from tapenet.typing import Array

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

#: What distributions compute in.
_FLOAT = np.dtype(np.float64)
Formula = Callable[..., Array | Tensor]
#: An end of a support: a number, or a function of the shapes.
End = float | Formula
#: Gradients by name.
Gradients = dict[str, Array]


class SciPys(Protocol):
    """A distribution of SciPy's."""

    shapes: str | None

    def support(self, *args: object) -> tuple[Array, Array]:
        """The ends of its support."""
        ...

    def stats(self, *args: object, moments: str) -> Array:
        """Moments."""
        ...

    def rvs(self, *args: object, size: object, random_state: object) -> Array:
        """Random values."""
        ...

    def fit(self, data: object, *args: object, **kwds: object) -> Sequence[float]:
        """The parameters at which data are most likely."""
        ...


def nth_power(k: int, t: Array, log: Array) -> Array:
    """The factor of the k-th moment."""
    found: Array = t**k
    return found


def named(name: str, arguments: Sequence[str], function: Callable[..., object]) -> Callable[..., object]:
    """A function of arguments with these names, as forwards and rules of ops are."""
    given = ", ".join(arguments)
    text = f"def call({given}):\n    return function({given})\n"
    return generated.function("call", text, {"function": function}, name)


def element_wise(name: str, arguments: Sequence[str], formula: Formula, fixed: Collection[str] = ()) -> Op:
    """The op of a formula of arguments with these names, whose derivatives are those of the formula.

    Args:
        name: the op's.
        arguments: the names of the formula's arguments.
        formula: it, in NumPy functions and ops.
        fixed: the arguments without a derivative.
    """
    rules = {n: derive for n in arguments if n not in fixed}
    return Op(
        named(name, arguments, formula), name=name, rules=rules, nondiff=frozenset(fixed), broadcasts=True,
        doc=f"The formula {name}.", module=__name__,
    )  # fmt: skip


def by_formula(formula: Op, g: Array, wanted: Collection[str], *values: object) -> Gradients:
    """The gradients of a formula."""
    chosen = frozenset(n for n in wanted if n in formula.differentiable)
    if formula.joint is None:
        return {n: formula.rules[n](g, *values) for n in chosen}
    return cast("Gradients", formula.joint(g, chosen, *values)) if chosen else {}


class Distribution:
    """A family of distributions, with the methods of SciPy's: on tensors, differentiable by every continuous parameter.

    `norm(loc, scale)` is a frozen distribution, whose methods take no parameters.

    Attributes:
        name: SciPy's name.
        shapes: the names of the shape parameters.
        parameters: the names of all parameters.
    """

    #: Methods of an array and parameters, and what SciPy calls that array.
    variables: Mapping[str, str] = {}
    #: The parameters behind the shapes, and their defaults.
    defaults: Mapping[str, float] = {}

    def __init__(
        self, name: str, formula: Formula, ends: tuple[End, End], valid: Callable[..., Array] | None, integers: str,
        raw: Formula | None, limited: bool, closed: Mapping[str, Formula], names: str | None = None,
    ) -> None:  # fmt: skip
        code = formula.__code__
        self.name = name
        self.shapes = code.co_varnames[1 : code.co_argcount] if names is None else tuple(names.split())
        self.integers = frozenset(integers.split())
        self.parameters = (*self.shapes, *self.defaults)
        self._formula = formula
        self._ends = ends
        self._valid = valid
        self._raw = raw
        self._limited = limited
        self._closed = next(iter(closed.items()), None)
        self._ops: dict[str, Op] = {}
        self.__doc__ = f"`scipy.stats.{name}` on tensors: its methods, with derivatives by the parameters."

    @functools.cached_property
    def scipys(self) -> SciPys:
        """SciPy's distribution."""
        return scipys(self.name)

    def __repr__(self) -> str:
        return f"<distribution tn.scipy.stats.{self.name}({', '.join(self.parameters)})>"

    # -- calls -----------------------------------------------------------------------------------------------

    def bind(self, method: str, args: Sequence[object], kwds: Mapping[str, object]) -> list[object]:
        """The parameters in order.

        Raises:
            TypeError: one is missing, or is none of this distribution's.
        """
        return bound(f"{self.name}.{method}", self.parameters, self.defaults, args, kwds)

    def call(
        self, method: str, first: tuple[object, ...], args: Sequence[object], kwds: Mapping[str, object]
    ) -> Tensor:
        """What a method gives, as a tensor."""
        if kwds or len(args) != len(self.parameters):
            if kwds or len(args) != len(self.shapes):
                args = self.bind(method, args, kwds)
            else:
                args = (*args, *self.defaults.values())
        found = self._ops.get(method)
        if found is None:
            found = self._ops[method] = self.make(method)
        values: Sequence[object] = (*first, *args)
        for v in values:
            if type(v) is not float and (type(v) is not Tensor or v._data.dtype is not _FLOAT):
                values = [wide(v) for v in values]
                break
        if self.integers:
            self._check_whole(method, values)
        out = found(*values)
        return out if type(out) is Tensor else asarray(out)

    def formula_rule(
        self, method: str, variable: str, formula: Formula, fixed: Collection[str]
    ) -> Callable[..., Gradients]:
        """The rule of a method that is the derivative of a formula."""
        op = element_wise(f"{self.name}.{method} formula", (variable, *self.parameters), formula, fixed)

        def rule(g: Array, wanted: Collection[str], out: Array, *values: Array) -> Gradients:
            return by_formula(op, g, wanted, *widened(values, out))

        return rule

    def _check_whole(self, method: str, values: Sequence[object]) -> None:
        """Raise where a gradient is wanted by a parameter that is a whole number."""
        for name, value in zip(self.parameters, values[-len(self.parameters) :], strict=True):
            if name in self.integers and type(value) is Tensor and value.requires_grad:
                raise TypeError(
                    f"tn.scipy.stats.{self.name}.{method} has no derivative by {name}, which is a whole number: give it as a "
                    "number, or detached"
                )

    # -- ops -------------------------------------------------------------------------------------------------

    def make(self, method: str) -> Op:
        """The op of a method."""
        raise NotImplementedError

    def _method(self, method: str) -> Op:
        if method not in self._ops:
            self._ops[method] = self.make(method)
        return self._ops[method]

    def _support(self, y: Array, shapes: Sequence[Array]) -> tuple[Array, Array]:
        """The ends of the support, in the shape of y."""
        zero = np.zeros_like(y)
        low, high = (cast("Array", end(*shapes)) if callable(end) else end for end in self._ends)
        return low + zero, high + zero

    def _allowed(self, *shapes: Array) -> Array:
        """Where the shapes are allowed."""
        parts = [s > 0 for s in shapes] if self._valid is None else [self._valid(*shapes)]
        return functools.reduce(np.logical_and, parts, np.asarray(True))

    def op(
        self, method: str, arguments: Sequence[str], values: Callable[..., object] | None = None, **options: object
    ) -> Op:
        """An op whose values are those of a method of SciPy's.

        Args:
            method: its name.
            arguments: the names of its arguments.
            values: what gives the values (default: the method of that name).
            **options: the op's.
        """
        title = f"{self.name}.{method}"
        known: dict[str, object] = {
            "broadcasts": True, "vmap": "leading", "fuse": False, "module": __name__,
            "doc": f"`scipy.stats.{title}`, element by element.",
        }  # fmt: skip
        forward = named(title, arguments, values or getattr(self.scipys, method))
        return Op(forward, name=title, **(known | options))  # type: ignore[arg-type]

    def moment_values(self, method: str) -> Callable[..., object] | None:
        """What gives the values of a moment that is no method of SciPy's."""
        letter = {"skewness": "s", "kurtosis": "k"}.get(method)
        return functools.partial(self.scipys.stats, moments=letter) if letter else None

    def support(self, *args: object, **kwds: object) -> tuple[Tensor, Tensor]:
        """The ends of the support, without derivatives."""
        low, high = self.scipys.support(*[plain(v) for v in self.bind("support", args, kwds)])
        return asarray(low), asarray(high)

    def interval(self, confidence: object, *args: object, **kwds: object) -> tuple[Tensor, Tensor]:
        """The ends of the interval around the median that has probability `confidence`."""
        outside = ops.divide(ops.subtract(1.0, confidence), 2)
        given = self.bind("interval", args, kwds)
        return self.call("ppf", (outside,), given, {}), self.call("ppf", (1 - outside,), given, {})

    def median(self, *args: object, **kwds: object) -> Tensor:
        """The median."""
        return self.call("ppf", (0.5,), args, kwds)

    def cdf(self, x: object, *args: object, **kwds: object) -> Tensor:
        """The probability of values up to x."""
        return self.call("cdf", (x,), args, kwds)

    def logcdf(self, x: object, *args: object, **kwds: object) -> Tensor:
        """The logarithm of `cdf`, which is exact where that is 0 in floats."""
        return self.call("logcdf", (x,), args, kwds)

    def sf(self, x: object, *args: object, **kwds: object) -> Tensor:
        """The probability of values above x."""
        return self.call("sf", (x,), args, kwds)

    def logsf(self, x: object, *args: object, **kwds: object) -> Tensor:
        """The logarithm of `sf`, which is exact where that is 0 in floats."""
        return self.call("logsf", (x,), args, kwds)

    def ppf(self, q: object, *args: object, **kwds: object) -> Tensor:
        """The quantile: the value whose `cdf` is q."""
        return self.call("ppf", (q,), args, kwds)

    def isf(self, q: object, *args: object, **kwds: object) -> Tensor:
        """The value whose `sf` is q."""
        return self.call("isf", (q,), args, kwds)

    def entropy(self, *args: object, **kwds: object) -> Tensor:
        """The entropy, in nats."""
        return self.call("entropy", (), args, kwds)

    def mean(self, *args: object, **kwds: object) -> Tensor:
        """The mean."""
        return self.call("mean", (), args, kwds)

    def var(self, *args: object, **kwds: object) -> Tensor:
        """The variance."""
        return self.call("var", (), args, kwds)

    def std(self, *args: object, **kwds: object) -> Tensor:
        """The standard deviation."""
        return self.call("std", (), args, kwds)

    def stats(self, *args: object, moments: str = "mv", **kwds: object) -> Tensor | tuple[Tensor, ...]:
        """Mean (`m`), variance (`v`), skewness (`s`) and excess kurtosis (`k`), those that `moments` names, in this order."""
        methods = {"m": "mean", "v": "var", "s": "skewness", "k": "kurtosis"}
        given = self.bind("stats", args, kwds)
        found = tuple(self.call(methods[m], (), given, {}) for m in "mvsk" if m in moments)
        return found[0] if len(found) == 1 else found


def wide(value: object) -> object:
    """A value as SciPy computes with it: tensors in float64."""
    if type(value) is Tensor:
        return value if value.dtype == np.float64 else value.astype(np.float64)
    if type(value) is float or type(value) is int:
        return value
    return np.asarray(value) if isinstance(value, (list, tuple)) and not _holds(value) else value


def bound(
    title: str,
    parameters: Sequence[str],
    defaults: Mapping[str, object],
    args: Sequence[object],
    kwds: Mapping[str, object],
) -> list[object]:
    """Parameters in order.

    Raises:
        TypeError: one is missing, or is none of the distribution's.
    """
    title = f"tn.scipy.stats.{title}"
    if len(args) > len(parameters):
        raise TypeError(f"{title} takes the parameters {', '.join(parameters)}, and was given {len(args)}")
    given = dict(zip(parameters, args, strict=False))
    for name, value in kwds.items():
        if name not in parameters or name in given:
            what = "is given twice" if name in given else f"is none of {', '.join(parameters)}"
            raise TypeError(f"{title}: the parameter {name} {what}")
        given[name] = value
    for name in parameters:
        if name not in given and name not in defaults:
            raise TypeError(f"{title}: the parameter {name} is missing")
    return [given[n] if n in given else defaults[n] for n in parameters]


def scipys(name: str) -> SciPys:
    """SciPy's distribution of this name."""
    return cast("SciPys", followed.scipys(f"stats.{name}"))


def _holds(value: Sequence[object]) -> bool:
    return any(isinstance(v, Tensor) or (isinstance(v, (list, tuple)) and _holds(v)) for v in value)


def plain(value: object) -> object:
    """The values of an argument."""
    return value.detach().numpy() if isinstance(value, Tensor) else value


def widened(values: Sequence[Array], like: Array) -> list[Array]:
    """Arguments in the shape of a result."""
    zero = np.zeros_like(like)
    return [cast("Array", v + zero) for v in values]
