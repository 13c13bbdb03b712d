"""Symbols: stand-ins for arrays that write down what NumPy code does with them.

An op is lowered by running its own forward on symbols, so one definition says both what it computes and what its
program is. A symbol knows its shape and dtype, never its elements: code that branches on a value, or writes through a
view, raises `CannotLower`, and the op is called from the program as it stands.
"""

from __future__ import annotations

import operator
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.lib.mixins import NDArrayOperatorsMixin

from tapenet.program.ir import Builder, Constant, Value
from tapenet.program.primitives import ALIASES, PRIMITIVES, REDUCTIONS
from tapenet.typing import Array, Axis, Number, Shape

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike

#: What an op's formula computes with.
Operand: TypeAlias = "Symbol | Array | Number"
#: What NumPy's functions, and indexing, do with symbols. Filled by `symbol_indexing`, `symbol_functions` and
#: `symbol_compositions`.
FUNCTIONS: dict[Callable[..., object], Callable[..., Any]] = {}
#: The same by module and name, of those that NumPy loads at their first use.
BY_NAME: dict[str, Callable[..., Any]] = {}


class CannotLower(Exception):
    """Code does something with a symbol that is no primitive."""


class Sized(CannotLower):
    """Values say how many elements there are: a program has fixed shapes."""


#: NumPy's functions of which that is true. (`repeat` is, if the numbers are a symbol.)
_SIZED = frozenset(
    {np.argwhere, np.bincount, np.compress, np.extract, np.flatnonzero, np.nonzero, np.repeat, np.trim_zeros, np.unique,
     np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values}
)  # fmt: skip


def _method(func: Callable[..., object]) -> Callable[..., Symbol]:
    """The method of an array that does what a function of NumPy does."""

    def method(self: Symbol, *args: object, **kwargs: object) -> Symbol:
        made: Symbol = self.__array_function__(func, (), (self, *args), kwargs)
        return made

    return method


_reshape, _transpose = _method(np.reshape), _method(np.transpose)


class Symbol(NDArrayOperatorsMixin):
    """Stands for an array while an op's forward is being read.

    Attributes:
        value: the program's value; another one after an operation in place.
        shared: whether others have its memory, as that of an argument, so that they would see an operation in place.
        whole, index: of a view, the array whose memory it shows, and where, if that is a basic index. `x[i] += v` writes
            through a view, as long as no other one is alive.
    """

    __slots__ = ("__weakref__", "_views", "builder", "index", "shared", "value", "whole")
    __hash__ = object.__hash__  # the mixin's == would take it away

    def __init__(self, builder: Builder, value: Value, shared: bool = False) -> None:
        self.builder = builder
        self.value = value
        self.shared = shared
        self.whole: Symbol | None = None
        self.index: object = None
        self._views: list[weakref.ref[Symbol]] = []

    # -- what an ndarray answers ---------------------------------------------------------------------------------

    @property
    def shape(self) -> Shape:
        return self.value.shape

    @property
    def dtype(self) -> np.dtype:
        return self.value.dtype

    @property
    def ndim(self) -> int:
        return self.value.ndim

    @property
    def size(self) -> int:
        return self.value.size

    @property
    def T(self) -> Symbol:
        return self.transpose()

    @property
    def mT(self) -> Symbol:
        return self.swapaxes(-1, -2)

    @property
    def real(self) -> Symbol:
        made: Symbol = FUNCTIONS[np.real](self)
        return made

    @property
    def imag(self) -> Symbol:
        made: Symbol = FUNCTIONS[np.imag](self)
        return made

    def conjugate(self) -> Symbol:
        made: Symbol = FUNCTIONS[np.conjugate](self)
        return made

    conj = conjugate

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self) -> Iterator[Symbol]:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        raise CannotLower("branches on a value")

    __float__ = __int__ = __complex__ = __index__ = __bool__

    def __array__(self, *args: object, **kwargs: object) -> NoReturn:
        raise CannotLower("asks for the elements")

    @property
    def _numba_type_(self) -> NoReturn:
        # Numba asks for this first. It would compile for a Python object in vain, and keep the error with all its frames.
        raise CannotLower("calls Numba")

    def reshape(self, *shape: int | Shape) -> Symbol:
        return _reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: int | Shape | None) -> Symbol:
        return _transpose(self, None if not axes else axes[0] if len(axes) == 1 else axes)

    def astype(self, dtype: DTypeLike, **options: object) -> Symbol:
        return Symbol(self.builder, self.builder.cast(self.value, dtype))

    def ravel(self, order: str = "C") -> Symbol:
        if order not in ("C", "K"):
            raise CannotLower(f"ravel(order={order!r})")
        return self.reshape(-1)

    flatten = ravel

    def copy(self, order: str = "C") -> Symbol:
        return Symbol(self.builder, self.value)

    swapaxes, squeeze, dot = _method(np.swapaxes), _method(np.squeeze), _method(np.dot)
    sum, mean, max, min = _method(np.sum), _method(np.mean), _method(np.max), _method(np.min)
    argsort, cumprod, cumsum = _method(np.argsort), _method(np.cumprod), _method(np.cumsum)
    searchsorted = _method(np.searchsorted)
    all, any, argmax, argmin = _method(np.all), _method(np.any), _method(np.argmax), _method(np.argmin)

    def __getitem__(self, index: object) -> Symbol:
        made: Symbol = FUNCTIONS[operator.getitem](self, index)
        return made

    def __setitem__(self, index: object, value: Operand) -> None:
        # `x[1:] += v` makes a slice to read and another, equal one to write.
        if (
            isinstance(value, Symbol)
            and value.whole is self
            and (value.index is index or (type(index) is slice and value.index == index))
        ):
            return  # it is there already
        self.become(FUNCTIONS[operator.setitem](self, index, value))

    def become(self, other: Symbol) -> None:
        """Take another value, as an operation in place does."""
        if other.shape != self.shape:
            raise ValueError(f"output of shape {self.shape} for {other.shape}")
        if self.builder.changed is not None:
            self.builder.changed.append(weakref.ref(self))
        whole = self.whole
        if self._seen() or (whole is not None and (self.index is None or whole.whole is not None or whole._seen(self))):
            raise CannotLower("writes in place to memory that may be seen elsewhere")
        if whole is not None:
            before = Symbol(self.builder, whole.value)
            whole.value = FUNCTIONS[operator.setitem](before, self.index, other).value
        self.value = self.builder.cast(other.value, self.dtype)

    def _seen(self, by: Symbol | None = None) -> bool:
        """Whether others than `by` would see an operation in place."""
        return self.shared or any((view := each()) is not None and view is not by for each in self._views)

    def view(self, value: Value, index: object = None) -> Symbol:
        """A symbol for a view of this one's memory, that at a basic index if one is given."""
        if value is self.value:
            return self
        made = Symbol(self.builder, value)
        made.whole, made.index = self, index
        self._views.append(weakref.ref(made))
        return made

    # -- NumPy's protocols ---------------------------------------------------------------------------------------

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Sequence[object] = (), **kwargs: Any
    ) -> Symbol | None:
        if method == "at" and ufunc is np.add and isinstance(inputs[0], Symbol):
            inputs[0].become(FUNCTIONS[np.add.at](*inputs))
            return None
        if method == "reduce":
            result = reduce(ufunc, *inputs, **kwargs)
        elif method == "accumulate" and ufunc.accumulate in FUNCTIONS:
            result = FUNCTIONS[ufunc.accumulate](*inputs, **kwargs)
        elif method == "__call__" and not kwargs.keys() - {"dtype", "casting"}:
            try:
                result = _ufunc(self.builder, ufunc, inputs, kwargs.get("dtype"))
            except CannotLower:
                stands = self.builder.stands_for(ufunc)
                if stands is None:
                    raise
                made: Any = stands(*inputs, **kwargs)
                result = made
        else:
            raise CannotLower(f"np.{ufunc.__name__}.{method} with {', '.join(kwargs) or 'several results'}")
        if not out or out[0] is None:
            return result
        (target,) = out
        if not isinstance(target, Symbol):
            raise CannotLower("writes into an array")
        target.become(result)
        return target

    def __array_function__(
        self, func: Callable[..., object], types: object, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> Any:
        handler = FUNCTIONS.get(func) or BY_NAME.get(f"{func.__module__}.{getattr(func, '__name__', '')}")
        stands = self.builder.stands_for(func)
        try:
            if handler is not None:
                return handler(*args, **kwargs)
        except Sized:
            raise
        except (CannotLower, TypeError) as error:
            if stands is None:
                raise (
                    error if isinstance(error, CannotLower) else CannotLower(f"np.{func.__name__}: {error}")
                ) from error
        # An op in its place would have the size for values that stand in for others; `minlength` says the right one.
        if stands is None or (func in _SIZED and not kwargs.get("minlength")):
            name = getattr(func, "__name__", func)
            numpys = str(getattr(func, "__module__", "numpy")).startswith("numpy")
            raise (Sized if func in _SIZED else CannotLower)(f"{'np.' if numpys else ''}{name} is no primitive")
        return stands(*args, **kwargs)


# -- helpers -----------------------------------------------------------------------------------------------------


def builder_of(*arrays: object) -> Builder:
    """The builder of the first symbol among arrays, and among sequences of them.

    Raises:
        CannotLower: there is none.
    """
    for a in arrays:
        if isinstance(a, Symbol):
            return a.builder
        if isinstance(a, (list, tuple)):
            try:
                return builder_of(*a)
            except CannotLower:
                continue
    raise CannotLower("no symbol among the arguments")


def value_of(operand: Operand) -> Value | Array | Number:
    """The program's value behind an operand; Python numbers stay what they are."""
    if isinstance(operand, Symbol):
        return operand.value
    if type(operand) in (int, float, bool, complex):
        return operand
    array = np.asarray(operand)
    if array.dtype.kind not in "biufc":
        raise CannotLower(f"an operand of {array.dtype}")
    return Constant(array)


def array_of(builder: Builder, operand: object) -> Symbol:
    """An operand as a symbol."""
    if isinstance(operand, Symbol):
        return operand
    array = np.asarray(operand)
    if array.dtype.kind not in "biufc":
        raise CannotLower(f"an array of {array.dtype}")
    return Symbol(builder, Constant(array), shared=True)


def elementwise(builder: Builder, name: str, *operands: Operand) -> Symbol:
    """Apply an elementwise primitive."""
    return Symbol(builder, builder.elementwise(name, *map(value_of, operands)))


def provided(x: Operand, wrong: Operand, error: type[Exception], text: str, sized: bool = False) -> Symbol:
    """An array, in a program that raises where one of some truth values holds; with `sized`, where values say how many elements
    there are."""
    builder = builder_of(x, wrong)
    truths = array_of(builder, wrong)
    one = reduce(np.logical_or, truths, axis=None) if truths.ndim else truths
    more = {"sized": True} if sized else {}
    made = builder.emit("provided", array_of(builder, x).value, one.value, error=error, text=text, **more)
    return Symbol(builder, made)


def refuse(wrong: Any, error: type[Exception], text: str, array: Any = 0) -> None:
    """Raise where a truth value holds: at once for numbers, for symbols when the program runs. In the kernel of a single op the
    check is dead code and left out: the op has made it with numbers before.

    Args:
        wrong: a truth value, of numbers or of symbols.
        error, text: what is raised. In the text `{low}` and `{high}` are the least and the largest number of the `array`;
            programs do not say them.
    """
    if isinstance(wrong, Symbol):
        provided(wrong, wrong, error, text.format(low="...", high="..."))
    elif wrong:
        raise error(text.format(low=f"{np.nanmin(array):.3g}", high=f"{np.nanmax(array):.3g}"))


def _ufunc(builder: Builder, ufunc: np.ufunc, inputs: Sequence[Operand], dtype: DTypeLike | None) -> Symbol:
    if ufunc in FUNCTIONS:
        if dtype is not None:
            raise CannotLower(f"{ufunc.__name__} with dtype=")
        return FUNCTIONS[ufunc](*inputs)  # type: ignore[no-any-return]
    name = ALIASES.get(ufunc.__name__, ufunc.__name__)
    if name not in PRIMITIVES or PRIMITIVES[name].kind != "elementwise":
        raise CannotLower(f"{ufunc.__name__} is no primitive")
    made = elementwise(builder, name, *inputs)
    return made if dtype is None else made.astype(dtype)


def axes_of(axis: Axis, ndim: int) -> Shape:
    """`axis=` as NumPy takes it, as rising axes from 0."""
    if axis is None or (ndim == 0 and axis in (0, -1)):  # as reductions do, that of no axes may be named
        return tuple(range(ndim))
    return tuple(sorted(normalize_axis_tuple(axis, ndim)))


def reduce(
    ufunc: np.ufunc, a: Symbol, axis: Axis = 0, dtype: DTypeLike | None = None, out: object = None, keepdims: object = False,
    initial: Number | None = None, where: object = True,
) -> Symbol:  # fmt: skip
    """`ufunc.reduce` on a symbol."""
    name = f"reduce_{ufunc.__name__}"
    if REDUCTIONS.get(name) is not ufunc or out is not None or where is not True or keepdims not in (True, False):
        raise CannotLower(f"np.{ufunc.__name__}.reduce with out= or where=, or not a known reduction")
    builder = builder_of(a)
    value = a.value
    if ufunc in (np.logical_and, np.logical_or):
        value = builder.cast(value, bool)
    elif dtype is not None:
        value = builder.cast(value, dtype)
    elif ufunc in (np.add, np.multiply):  # small integers grow
        value = builder.cast(value, ufunc.reduce(np.empty(0, value.dtype)).dtype)
    axes = axes_of(axis, value.ndim)
    if initial is None and ufunc in (np.maximum, np.minimum) and 0 in value.shape:
        raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
    made: Value
    if 0 in value.shape:
        rest = tuple(n for i, n in enumerate(value.shape) if i not in axes)
        if ufunc is not np.add:
            raise CannotLower("an array without elements")
        made = builder.broadcast(Constant(np.zeros((), value.dtype)), rest)
    else:
        made = builder.emit(name, value, axes=axes) if axes else value
    if initial is not None and not (ufunc is np.add and initial == 0):
        made = builder.elementwise(ufunc.__name__, made, value_of(initial))
    if keepdims:
        made = builder.reshape(made, tuple(1 if i in axes else n for i, n in enumerate(value.shape)))
    return Symbol(builder, made)
