"""What a distribution is here: a function that draws, whose parameters are named, checked and differentiated by, with
`log_prob` beside it."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from functools import update_wrapper
from importlib import import_module
from typing import Any, Generic, NamedTuple, ParamSpec, Protocol, TypeAlias, cast

import numpy as np
from numpy.typing import DTypeLike

from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.derived import array_like
from tapenet.ops.masked_arrays import check_unmasked
from tapenet.ops.random import Standard, random_draw
from tapenet.program.low import dtype_of
from tapenet.random.implicit import standard_gamma
from tapenet.typing import Array, DType

P = ParamSpec("P")
Rng = np.random.Generator | int | None
Size = int | tuple[int, ...] | None
#: A number, an array or a tensor.
Value: TypeAlias = Any

_MORE = """

    Args:
        {names}: numbers, arrays or tensors. {by}
        size: the shape; by default that of the parameters.
        {dtype}rng: a generator, or an integer to make one from; by default the generator that `tn.random.seed` seeds.

    Raises:
        ValueError: a parameter is out of its range. It is named.
"""
_DTYPE = "dtype: of floats; by default that of the parameters.\n        "
_ANY_DTYPE = "dtype: that of the result.\n        "
_BY = "Draws have derivatives by those that are tensors."
_NOT_BY = "Draws have no derivatives by them; `log_prob` has."


class Limit(NamedTuple):
    """What a parameter has to be."""

    words: str
    holds: Callable[[Value], Array]


FINITE = Limit("finite", lambda p: abs(p) < np.inf)
POSITIVE = Limit("positive", lambda p: (p > 0) & (p < np.inf))
NOT_NEGATIVE = Limit("0 or more", lambda p: (p >= 0) & (p < np.inf))
PROBABILITY = Limit("a probability, from 0 to 1", lambda p: (p >= 0) & (p <= 1))
CHANCE = Limit("a probability, above 0 and at most 1", lambda p: (p > 0) & (p <= 1))
COUNT = Limit("a whole number of 0 or more", lambda p: (p >= 0) & (p == np.floor(p)))
ABOVE_ONE = Limit("greater than 1", lambda p: (p > 1) & (p < np.inf))
BELOW_ONE = Limit("a probability, from 0 to below 1", lambda p: (p >= 0) & (p < 1))


class Source:
    """Draws the random numbers of one call.

    Attributes:
        size: the shape of the result.
        dtype: its dtype, that of the parameters that are arrays or tensors; or what was asked for.
    """

    def __init__(self, size: tuple[int, ...], dtype: DType, rng: Rng) -> None:
        self.size, self.dtype = size, dtype
        self._rng, self._count = rng, 0

    def rng(self) -> Rng:
        """For the next draw: the generator that was given; of an integer one that begins anew, another for each draw."""
        self._count += 1
        if isinstance(self._rng, (int, np.integer)) and self._count > 1:
            return int(np.random.SeedSequence([int(self._rng), self._count]).generate_state(1)[0])
        return self._rng

    def of_shape(self, size: tuple[int, ...]) -> Source:
        """Draws numbers of another shape for the same call."""
        made = Source(size, self.dtype, None)
        made.rng = self.rng  # type: ignore[method-assign]  # one count of draws
        return made

    def draw(self, sample: Callable[[np.random.Generator, tuple[int, ...]], object]) -> Array:
        """What a function draws with a generator and the shape, on which no parameter has an influence."""
        size, dtype = self.size, self.dtype
        drawn: Array = random_draw(lambda rng: np.asarray(sample(rng, size)).astype(dtype, copy=False), self.rng())
        return drawn

    def standard(self, kind: str, native: bool = False) -> Array:
        """Numbers of a distribution without parameters (`Standard.method`), drawn in float64; with `native` in the dtype of the
        result."""
        dtype = np.dtype(self.native if native else np.float64)
        if dtype != self.dtype:
            return self.draw(lambda rng, size: getattr(rng, kind)(size, dtype.type))
        drawn: Array = random_draw(Standard(self.size, kind, dtype), self.rng())
        return drawn

    @property
    def native(self) -> type[np.float32 | np.float64]:
        """The dtype that NumPy draws in."""
        return np.float32 if self.dtype.itemsize <= 4 else np.float64

    def gammas(self, shape: object) -> Array:
        """Numbers from the gamma distribution with scale 1."""
        found: Array = standard_gamma(self.spread(shape), self.size, self.rng())
        return found

    def log_gammas(self, shape: object) -> Array:
        """Their logarithms, also where they would be 0 to rounding: one with shape a is one with shape a + 1 times U^(1/a).
        Marsaglia and Tsang, ACM Trans. Math. Softw. 26 (2000)."""
        a = self.spread(shape)
        larger = standard_gamma(a + 1, self.size, self.rng())
        return cast("Array", np.log(larger) - self.standard("standard_exponential") / a)

    def array(self, parameter: object) -> Array:
        """A parameter in the dtype of the result."""
        array = array_like(parameter)
        found: Array = array if array.dtype == self.dtype else array.astype(self.dtype)
        return found

    def spread(self, parameter: object) -> Array:
        """A parameter in the shape and dtype of the result."""
        found = self.array(parameter)
        return found if found.shape == self.size else np.broadcast_to(found, self.size)


def drawn_from(rng: object) -> Source:
    """What a distribution's function is given as `rng`."""
    return cast("Source", rng)


class Law(Protocol):
    """The distributions of `tn.scipy.stats`."""

    def __getattr__(self, name: str) -> Value: ...


class Distribution(Generic[P]):
    """A function that draws from a distribution. Of parameters that are tensors it gives a tensor, else an array.

    `name.log_prob(x, ...)`, with the same parameters, is the logarithm of the density at `x`, or of the probability.
    """

    __wrapped__: Callable[P, object]
    __name__: str

    def __init__(
        self,
        function: Callable[..., object],
        limits: dict[str, Limit],
        log_prob: Callable[..., object],
        *,
        event: bool,
        differentiable: bool,
    ) -> None:
        update_wrapper(self, function)
        parameters = inspect.signature(function).parameters
        self.parameters = tuple(n for n in parameters if n not in ("source", "size", "dtype", "rng"))
        what, _, examples = str(function.__doc__).partition("\n\n")
        told = _MORE.format(
            names=", ".join(self.parameters),
            by=_BY if differentiable else _NOT_BY,
            dtype="" if "dtype" not in parameters else _DTYPE if differentiable else _ANY_DTYPE,
        )
        self.__doc__ = f"{what}{told}\n{examples}"
        self._function, self._limits, self._log_prob = function, limits, log_prob
        self._event, self._differentiable = event, differentiable
        self._ordered: tuple[str, ...] = ()
        self._signature = inspect.signature(function)
        self._names, self._known = tuple(parameters), frozenset(parameters)
        self._defaults = {n: p.default for n, p in parameters.items() if p.default is not p.empty}

    def __repr__(self) -> str:
        return f"<tn.random.{self.__name__}({', '.join(self.parameters)})>"

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Value:
        given = {**self._defaults, **dict(zip(self._names, args, strict=False)), **kwargs}
        if given.keys() ^ self._known or len(args) > len(self._names):
            self._signature.bind(*args, **kwargs)  # says what is wrong
        size, rng, dtype = given.pop("size"), given.pop("rng"), given.pop("dtype", None)
        self.check(given)
        if not self._event:
            size = self._shape(size, list(given.values()))
        source = Source(cast("tuple[int, ...]", size), self._dtype(dtype, given), rng)
        given |= {"size": size, "rng": source}
        return self._function(**given)

    def log_prob(self, x: object, *args: object, **kwargs: object) -> Value:
        """The logarithm of the density (of whole numbers, of the probability) at `x`.

        Args:
            x: where.
            *args, **kwargs: the parameters, as they are given to draw.
        """
        given = {n: v for n, v in self._defaults.items() if n in self.parameters}
        given |= dict(zip(self.parameters, args, strict=False))
        unknown = set(kwargs) - set(self.parameters)
        missing = [n for n in self.parameters if n not in given and n not in kwargs]
        if unknown or missing or len(args) > len(self.parameters):
            raise TypeError(f"tn.random.{self.__name__}.log_prob takes x, {', '.join(self.parameters)}")
        given |= kwargs
        self.check(given)
        return self._log_prob(import_module("tapenet.scipy.stats"), x, **given)

    def check(self, given: dict[str, object]) -> None:
        """Raise if a parameter is not what it has to be.

        Raises:
            ValueError: names the parameter, what it has to be, and a value that it is not.
        """
        for name, limit in self._limits.items():
            value = given[name]
            if type(value) is float or type(value) is int:
                if limit.holds(value):
                    continue
            elif type(value) is Tensor:
                if capturing() is not None:
                    continue  # values are not known yet: NumPy looks at those that it draws with
                value = value._data
            else:
                check_unmasked(value)
            if isinstance(value, (list, tuple)):
                value = np.asarray(value)
            elif not isinstance(value, (np.ndarray, np.generic, int, float)):
                continue  # lanes of tn.vmap and the like
            fits = limit.holds(cast("Array", value))
            if not np.all(fits):
                wrong = np.asarray(value)[~np.asarray(fits)].flat[0] if np.ndim(value) else value
                raise ValueError(f"tn.random.{self.__name__}: {name} is {limit.words}, not {wrong}")
        if self._ordered:
            self._in_order(given)

    def ordered(self, *names: str) -> Distribution[P]:
        """The same, whose parameters of these names have to be in ascending order."""
        self._ordered = names
        return self

    def _in_order(self, given: dict[str, object]) -> None:
        values = [v._data if type(v) is Tensor else v for v in (given[name] for name in self._ordered)]
        if capturing() is not None or not all(
            isinstance(v, (np.ndarray, np.generic, int, float, list)) for v in values
        ):
            return
        for (low, first), (high, last) in itertools.pairwise(zip(self._ordered, values, strict=True)):
            if np.any(np.greater(cast("Array", first), cast("Array", last))):
                raise ValueError(f"tn.random.{self.__name__}: {low} is at most {high}, not {first} and {last}")

    def _shape(self, size: int | Sequence[int] | None, parameters: list[object]) -> tuple[int, ...]:
        shapes = [() if type(p) in (float, int) else np.shape(cast("Array", p)) for p in parameters]
        shape = np.broadcast_shapes(*shapes) if any(shapes) else ()
        if size is None:
            return shape
        wanted = tuple(size) if isinstance(size, (tuple, list)) else (cast("int", size),)
        try:
            fits = not shape or np.broadcast_shapes(shape, wanted) == wanted
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"tn.random.{self.__name__}: size={size} does not fit parameters of shape {shape}: leave it out, or give one "
                "they broadcast to"
            )
        return wanted

    def _dtype(self, dtype: DTypeLike | None, given: dict[str, object]) -> DType:
        if dtype is not None:
            wanted = dtype_of(dtype)
            if wanted.kind != "f" and self._differentiable:
                raise TypeError(f"tn.random.{self.__name__}: dtype={wanted}; these are drawn as floats")
            return wanted
        kinds = [
            dtype_of(v.dtype)
            for v in given.values()
            if isinstance(v, (Tensor, np.ndarray, np.generic)) and v.dtype.kind == "f"
        ]
        return np.result_type(*kinds) if kinds else np.dtype(np.float64)


def distribution(
    log_prob: Callable[..., object], *, event: bool = False, differentiable: bool = True, **limits: Limit
) -> Callable[[Callable[P, object]], Distribution[P]]:
    """Make a distribution of a function that draws. It meets `size` as a tuple, and `rng` as a `Source`.

    Args:
        log_prob: a function of `tn.scipy.stats`, x and the parameters.
        event: draws are vectors or matrices: the function itself says of which shape.
        differentiable: draws have derivatives by the parameters.
        **limits: what each parameter has to be.
    """
    return lambda function: Distribution(function, limits, log_prob, event=event, differentiable=differentiable)
