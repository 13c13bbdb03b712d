"""Symbols: stand-ins for arrays that write down what NumPy code does with them.

An op is lowered by running its own forward on symbols, so one definition says both what it computes and what its
program is. A symbol knows its shape and dtype, never its elements: code that branches on a value, or writes through a
view, raises `CannotLower`, and the op is called from the program as it stands.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple
from numpy.lib.mixins import NDArrayOperatorsMixin

from tapenet.program.ir import Builder, Constant, Value
from tapenet.program.primitives import ALIASES, PRIMITIVES
from tapenet.typing import Shape

#: What NumPy's functions, and indexing, do with symbols. Filled by `symbol_functions` and `symbol_indexing`.
FUNCTIONS: dict[Any, Callable[..., Any]] = {}


class CannotLower(Exception):
    """Code does something with a symbol that is no primitive."""


class Sized(CannotLower):
    """Values say how many elements there are: a program has fixed shapes."""


#: NumPy's functions of which that is true. (`repeat` is, if the numbers are a symbol.)
_SIZED = frozenset(
    {np.argwhere, np.bincount, np.compress, np.extract, np.flatnonzero, np.nonzero, np.repeat, np.trim_zeros, np.unique,
     np.unique_all, np.unique_counts, np.unique_inverse, np.unique_values}
)  # fmt: skip


class Symbol(NDArrayOperatorsMixin):
    """Stands for an array while an op's forward is being read.

    Attributes:
        value: the program's value; another one after an operation in place.
        shared: whether another array may have its memory (an argument, a view, what has views), so that an operation
            in place would be seen elsewhere.
    """

    __slots__ = ("builder", "shared", "value")
    __hash__ = object.__hash__  # the mixin's == would take it away

    def __init__(self, builder: Builder, value: Value, shared: bool = False) -> None:
        self.builder = builder
        self.value = value
        self.shared = shared

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
    def T(self) -> Any:
        return self.transpose()

    @property
    def mT(self) -> Any:
        return np.swapaxes(self, -1, -2)

    @property
    def real(self) -> Symbol:
        if self.dtype.kind == "c":
            raise CannotLower("complex numbers")
        return self

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of an array without axes")
        return self.shape[0]

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        raise CannotLower("branches on a value")

    __float__ = __int__ = __complex__ = __index__ = __bool__

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise CannotLower("asks for the elements")

    def reshape(self, *shape: Any) -> Any:
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Any:
        return np.transpose(self, None if not axes else axes[0] if len(axes) == 1 else axes)

    def swapaxes(self, a: int, b: int) -> Any:
        return np.swapaxes(self, a, b)

    def astype(self, dtype: Any, **options: Any) -> Symbol:
        return Symbol(self.builder, self.builder.cast(self.value, dtype))

    def ravel(self, order: str = "C") -> Any:
        if order not in ("C", "K"):
            raise CannotLower(f"ravel(order={order!r})")
        return np.reshape(self, (-1,))

    flatten = ravel

    def copy(self, order: str = "C") -> Symbol:
        return Symbol(self.builder, self.value)

    def dot(self, other: Any) -> Any:
        return np.dot(self, other)

    def sum(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Symbol:
        return reduce(np.add, self, axis=axis, dtype=dtype, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce(np.maximum, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce(np.minimum, self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce(np.logical_and, self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce(np.logical_or, self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.argmax(self, axis, keepdims=keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> Any:
        return np.argmin(self, axis, keepdims=keepdims)

    def squeeze(self, axis: Any = None) -> Any:
        return np.squeeze(self, axis)

    def __getitem__(self, index: Any) -> Any:
        return FUNCTIONS[operator.getitem](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.become(FUNCTIONS[operator.setitem](self, index, value))

    def become(self, other: Symbol) -> None:
        """Take another value, as an operation in place does."""
        if self.shared:
            raise CannotLower("writes in place to memory that may be seen elsewhere")
        if other.shape != self.shape:
            raise ValueError(f"output of shape {self.shape} for {other.shape}")
        self.value = self.builder.cast(other.value, self.dtype)

    def view(self, value: Value) -> Symbol:
        """A symbol for a view of this one's memory."""
        if value is self.value:
            return self
        self.shared = True
        return Symbol(self.builder, value, shared=True)

    # -- NumPy's protocols ---------------------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = (), **kwargs: Any) -> Any:
        if method == "at" and ufunc is np.add and isinstance(inputs[0], Symbol):
            inputs[0].become(FUNCTIONS[np.add.at](*inputs))
            return None
        if method == "reduce":
            result = reduce(ufunc, *inputs, **kwargs)
        elif method == "__call__" and not kwargs.keys() - {"dtype", "casting"} and ufunc.nout == 1:
            result = _ufunc(self.builder, ufunc, inputs, kwargs.get("dtype"))
        else:
            raise CannotLower(f"np.{ufunc.__name__}.{method} with {', '.join(kwargs) or 'several results'}")
        if not out or out[0] is None:
            return result
        (target,) = out
        if not isinstance(target, Symbol):
            raise CannotLower("writes into an array")
        target.become(result)
        return target

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        handler = FUNCTIONS.get(func)
        if handler is None:
            raise (Sized if func in _SIZED else CannotLower)(f"np.{getattr(func, '__name__', func)} is no primitive")
        try:
            return handler(*args, **kwargs)
        except TypeError as error:
            raise CannotLower(f"np.{func.__name__}: {error}") from error


# -- helpers -----------------------------------------------------------------------------------------------------


def builder_of(*arrays: Any) -> Builder:
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


def value_of(operand: Any) -> Any:
    """The program's value behind an operand; Python numbers stay what they are."""
    if isinstance(operand, Symbol):
        return operand.value
    if type(operand) in (int, float, bool):
        return operand
    if isinstance(operand, complex) and not isinstance(operand, np.generic):
        raise CannotLower("complex numbers")
    array = np.asarray(operand)
    if array.dtype.kind not in "biuf":
        raise CannotLower(f"an operand of {array.dtype}")
    return Constant(array)


def array_of(builder: Builder, operand: Any) -> Symbol:
    """An operand as a symbol."""
    if isinstance(operand, Symbol):
        return operand
    array = np.asarray(operand)
    if array.dtype.kind not in "biufc":
        raise CannotLower(f"an array of {array.dtype}")
    return Symbol(builder, Constant(array), shared=True)


def elementwise(builder: Builder, name: str, *operands: Any) -> Symbol:
    """Apply an elementwise primitive."""
    return Symbol(builder, builder.elementwise(name, *map(value_of, operands)))


def _ufunc(builder: Builder, ufunc: np.ufunc, inputs: tuple[Any, ...], dtype: Any) -> Symbol:
    name = ALIASES.get(ufunc.__name__, ufunc.__name__)
    if name == "matmul":
        return FUNCTIONS[np.matmul](*inputs)  # type: ignore[no-any-return]
    if name not in PRIMITIVES or PRIMITIVES[name].kind != "elementwise":
        raise CannotLower(f"{ufunc.__name__} is no primitive")
    made = elementwise(builder, name, *inputs)
    return made if dtype is None else made.astype(dtype)


def axes_of(axis: Any, ndim: int) -> Shape:
    """`axis=` as NumPy takes it, as rising axes from 0."""
    return tuple(range(ndim)) if axis is None else tuple(sorted(normalize_axis_tuple(axis, ndim)))


def reduce(
    ufunc: np.ufunc, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: Any = False,
    initial: Any = None, where: Any = True,
) -> Symbol:  # fmt: skip
    """`ufunc.reduce` on a symbol."""
    name = f"reduce_{ufunc.__name__}"
    if name not in PRIMITIVES or out is not None or where is not True or keepdims not in (True, False):
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
    if 0 in value.shape:
        raise CannotLower("an array without elements")
    made: Value = builder.emit(name, value, axes=axes) if axes else value
    if initial is not None and not (ufunc is np.add and initial == 0):
        made = builder.elementwise(ufunc.__name__, made, value_of(initial))
    if keepdims:
        made = builder.reshape(made, tuple(1 if i in axes else n for i, n in enumerate(value.shape)))
    return Symbol(builder, made)
