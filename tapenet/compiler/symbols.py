"""Symbols: stand-ins for arrays that write down what NumPy code does with them.

An op is lowered by running its own forward on symbols, so one definition says both what it computes and what its
program is. A symbol knows its shape and dtype, never its elements: code that branches on a value, or writes through a
view, raises `CannotLower`, and the op is called from the program as it stands.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple
from numpy.lib.mixins import NDArrayOperatorsMixin

from tapenet.compiler.ir import Builder, Constant, Result, Value
from tapenet.compiler.primitives import ALIASES, PRIMITIVES, Hole


class CannotLower(Exception):
    """Code does something with a symbol that is no primitive."""


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
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
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
        return _swapaxes(self, -1, -2)

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

    def reshape(self, *shape: Any) -> Symbol:
        return _reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Symbol:
        return _transpose(self, None if not axes else axes[0] if len(axes) == 1 else axes)

    def swapaxes(self, a: int, b: int) -> Symbol:
        return _swapaxes(self, a, b)

    def astype(self, dtype: Any, **options: Any) -> Symbol:
        return Symbol(self.builder, self.builder.cast(self.value, dtype))

    def ravel(self, order: str = "C") -> Symbol:
        if order not in ("C", "K"):
            raise CannotLower(f"ravel(order={order!r})")
        return _reshape(self, (-1,))

    flatten = ravel

    def copy(self, order: str = "C") -> Symbol:
        return Symbol(self.builder, self.value)

    def dot(self, other: Any) -> Symbol:
        return _dot(self, other)

    def sum(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Symbol:
        return reduce(np.add, self, axis=axis, dtype=dtype, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return _mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce(np.maximum, self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce(np.minimum, self, axis=axis, keepdims=keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce(np.logical_and, self, axis=axis, keepdims=keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return reduce(np.logical_or, self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return _arg("argmax", self, axis, keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return _arg("argmin", self, axis, keepdims)

    def squeeze(self, axis: Any = None) -> Symbol:
        return _squeeze(self, axis)

    def __getitem__(self, index: Any) -> Symbol:
        return getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        self.become(setitem(self, index, value))

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
            inputs[0].become(add_at(*inputs))
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
            raise CannotLower(f"np.{getattr(func, '__name__', func)} is no primitive")
        try:
            return handler(*args, **kwargs)
        except TypeError as error:
            raise CannotLower(f"np.{func.__name__}: {error}") from error


# -- helpers -----------------------------------------------------------------------------------------------------


def _some(*arrays: Any) -> Builder:
    for a in arrays:
        if isinstance(a, Symbol):
            return a.builder
        if isinstance(a, (list, tuple)):
            try:
                return _some(*a)
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
    value = value_of(operand)
    return Symbol(builder, value if isinstance(value, Value) else Constant(np.asarray(operand)), shared=True)


def elementwise(builder: Builder, name: str, *operands: Any) -> Symbol:
    """Apply an elementwise primitive."""
    return Symbol(builder, builder.elementwise(name, *map(value_of, operands)))


def _ufunc(builder: Builder, ufunc: np.ufunc, inputs: tuple[Any, ...], dtype: Any) -> Symbol:
    name = ALIASES.get(ufunc.__name__, ufunc.__name__)
    if name == "matmul":
        return _matmul(*inputs)
    if name not in PRIMITIVES or PRIMITIVES[name].kind != "elementwise":
        raise CannotLower(f"{ufunc.__name__} is no primitive")
    made = elementwise(builder, name, *inputs)
    return made if dtype is None else made.astype(dtype)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    return tuple(range(ndim)) if axis is None else tuple(sorted(normalize_axis_tuple(axis, ndim)))


def reduce(
    ufunc: np.ufunc, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: Any = False,
    initial: Any = None, where: Any = True,
) -> Symbol:  # fmt: skip
    """`ufunc.reduce` on a symbol."""
    name = f"reduce_{ufunc.__name__}"
    if name not in PRIMITIVES or out is not None or where is not True or keepdims not in (True, False):
        raise CannotLower(f"np.{ufunc.__name__}.reduce with out= or where=, or not a known reduction")
    builder = _some(a)
    value = a.value
    if ufunc in (np.logical_and, np.logical_or):
        value = builder.cast(value, bool)
    elif dtype is not None:
        value = builder.cast(value, dtype)
    elif ufunc in (np.add, np.multiply):  # small integers grow
        value = builder.cast(value, ufunc.reduce(np.empty(0, value.dtype)).dtype)
    axes = _axes(axis, value.ndim)
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


# -- NumPy functions ---------------------------------------------------------------------------------------------


def _reshape(a: Symbol, shape: Any, order: str = "C", **other: Any) -> Symbol:
    if order != "C" or other:
        raise CannotLower("reshape with order= or copy=")
    if not isinstance(shape, (tuple, list)):
        shape = (shape,)
    shape = tuple(int(n) for n in shape)
    if -1 in shape:
        rest = math.prod(n for n in shape if n != -1)
        shape = tuple(a.size // rest if n == -1 else n for n in shape)
    return a.view(a.builder.reshape(a.value, shape))


def _transpose(a: Symbol, axes: Any = None) -> Symbol:
    order = tuple(range(a.ndim))[::-1] if axes is None else tuple(normalize_axis_index(int(i), a.ndim) for i in axes)
    return a.view(a.builder.transpose(a.value, order))


def _swapaxes(a: Symbol, axis1: int, axis2: int) -> Symbol:
    order = list(range(a.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return _transpose(a, order)


def _moveaxis(a: Symbol, source: Any, destination: Any) -> Symbol:
    source, destination = normalize_axis_tuple(source, a.ndim), normalize_axis_tuple(destination, a.ndim)
    order = [i for i in range(a.ndim) if i not in source]
    for d, s in sorted(zip(destination, source, strict=True)):
        order.insert(d, s)
    return _transpose(a, order)


def _squeeze(a: Symbol, axis: Any = None) -> Symbol:
    axes = tuple(i for i, n in enumerate(a.shape) if n == 1) if axis is None else normalize_axis_tuple(axis, a.ndim)
    if any(a.shape[i] != 1 for i in axes):
        raise ValueError("cannot squeeze an axis of length other than 1")
    return _reshape(a, tuple(n for i, n in enumerate(a.shape) if i not in axes))


def _expand_dims(a: Symbol, axis: Any) -> Symbol:
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = normalize_axis_tuple(axes, a.ndim + len(axes))
    lengths = iter(a.shape)
    return _reshape(a, tuple(1 if i in axes else next(lengths) for i in range(a.ndim + len(axes))))


def _broadcast_to(a: Symbol, shape: Any, subok: bool = False) -> Symbol:
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    return a.view(a.builder.broadcast(a.value, shape))


def _concatenate(arrays: Any, axis: Any = 0, **other: Any) -> Symbol:
    if other:
        raise CannotLower("concatenate with out= or dtype=")
    builder = _some(arrays)
    parts = list(arrays) if isinstance(arrays, Symbol) else [array_of(builder, a) for a in arrays]
    if axis is None:
        parts, axis = [_reshape(p, -1) for p in parts], 0
    dtype = np.result_type(*(p.dtype for p in parts))
    values = [builder.cast(p.value, dtype) for p in parts if p.size] or [builder.cast(parts[0].value, dtype)]
    return Symbol(builder, builder.emit("concatenate", *values, axis=normalize_axis_index(axis, parts[0].ndim)))


def _stack(arrays: Any, axis: int = 0, **other: Any) -> Symbol:
    builder = _some(arrays)
    parts = list(arrays) if isinstance(arrays, Symbol) else [array_of(builder, a) for a in arrays]
    if len({p.shape for p in parts}) != 1:
        raise ValueError("all input arrays must have the same shape")
    return _concatenate([_expand_dims(p, axis) for p in parts], axis, **other)


def _where(condition: Any, *branches: Any) -> Symbol:
    if len(branches) != 2:
        raise CannotLower("np.where without branches depends on the values")
    builder = _some(condition, *branches)
    condition = builder.cast(array_of(builder, condition).value, bool)
    x, y = (value_of(b) for b in branches)
    return Symbol(builder, builder.elementwise("where", condition, x, y))


def _clip(a: Any, a_min: Any = None, a_max: Any = None, **other: Any) -> Symbol:
    if other:
        raise CannotLower("clip with out=")
    builder = _some(a, a_min, a_max)
    made = array_of(builder, a)
    if a_min is not None:
        made = elementwise(builder, "maximum", made, a_min)
    return made if a_max is None else elementwise(builder, "minimum", made, a_max)


def _count(a: Symbol, axis: Any) -> int:
    return math.prod(a.shape[i] for i in _axes(axis, a.ndim))


def _mean(a: Symbol, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = False) -> Symbol:
    if out is not None or a.dtype.char == "e":
        raise CannotLower("mean with out= or of float16")
    if dtype is None and a.dtype.kind in "biu":
        dtype = np.dtype(np.float64)
    total = reduce(np.add, a, axis=axis, dtype=dtype, keepdims=bool(keepdims))
    return elementwise(a.builder, "divide", total, _count(a, axis))


def _var(
    a: Symbol, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: Any = False, **other: Any
) -> Symbol:
    if out is not None or dtype is not None or other or a.dtype.kind != "f":
        raise CannotLower("var with out=, dtype= or of integers")
    centred = a - _mean(a, axis=axis, keepdims=True)
    total = reduce(np.add, centred * centred, axis=axis, keepdims=bool(keepdims))
    return elementwise(a.builder, "divide", total, max(_count(a, axis) - ddof, 0))


def _reduction(ufunc: np.ufunc) -> Callable[..., Symbol]:
    def run(a: Any, axis: Any = None, *args: Any, keepdims: Any = False, **kwargs: Any) -> Symbol:
        dtype = kwargs.pop("dtype", None)
        if args:
            dtype, *rest = args if ufunc in (np.add, np.multiply) else (None, *args)
            if any(r is not None for r in rest):
                raise CannotLower("a reduction with out=")
        if kwargs.keys() - {"initial"}:
            raise CannotLower(f"a reduction with {', '.join(kwargs)}=")
        return reduce(ufunc, a, axis=axis, dtype=dtype, keepdims=bool(keepdims), **kwargs)

    return run


def _arg(name: str, a: Symbol, axis: Any = None, keepdims: Any = False) -> Symbol:
    keepdims = keepdims is True
    source = a
    if axis is None:
        source, axis = _reshape(a, -1), 0
        kept: tuple[int, ...] = (1,) * a.ndim
    else:
        axis = normalize_axis_index(axis, a.ndim)
        kept = tuple(1 if i == axis else n for i, n in enumerate(a.shape))
    if 0 in a.shape:
        raise CannotLower("an array without elements")
    made = a.builder.emit(name, source.value, axis=axis)
    return Symbol(a.builder, a.builder.reshape(made, kept) if keepdims else made)


def _dot(a: Any, b: Any) -> Symbol:
    builder = _some(a, b)
    a, b = array_of(builder, a), array_of(builder, b)
    if not a.ndim or not b.ndim:
        return elementwise(builder, "multiply", a, b)
    if b.ndim > 2:
        raise CannotLower("dot with more than two axes")
    return _matmul(a, b)


def _matmul(x: Any, y: Any) -> Symbol:
    builder = _some(x, y)
    a, b = array_of(builder, x), array_of(builder, y)
    if not a.ndim or not b.ndim:
        raise ValueError("matmul takes no scalars")
    dtype = np.result_type(a.dtype, b.dtype)
    if dtype.char not in "fd" or 0 in a.shape or 0 in b.shape:
        raise CannotLower(f"a matrix product of {dtype}, or without elements")
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not fit")
    a, b = a.astype(dtype), b.astype(dtype)
    if a.ndim == 1 and b.ndim == 1:
        return reduce(np.add, a * b)
    row, column = a.ndim == 1, b.ndim == 1
    if row:
        a = _reshape(a, (1, -1))
    if column:
        b = _reshape(b, (-1, 1))
    n, m = a.shape[-2], b.shape[-1]
    if b.ndim == 2:  # one matrix for all batches: they are rows of one product
        lead = a.shape[:-2]
        made = builder.emit("dot", _reshape(a, (-1, a.shape[-1])).value, b.value)
    else:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        left = builder.broadcast(a.value, (*lead, *a.shape[-2:]))
        right = builder.broadcast(b.value, (*lead, *b.shape[-2:]))
        made = builder.emit("dot", left, right)
    shape = (*lead, *(() if row else (n,)), *(() if column else (m,)))
    return Symbol(builder, builder.reshape(made, shape))


def _flip(a: Symbol, axis: Any = None) -> Symbol:
    axes = _axes(axis, a.ndim)
    return a[tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(a.ndim))]


def _pad(a: Symbol, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Symbol:
    if mode != "constant" or np.ndim(constant_values):
        raise CannotLower("pad in another mode, or with several values")
    pairs = np.broadcast_to(np.asarray(pad_width), (a.ndim, 2))
    shape = tuple(n + int(b) + int(e) for n, (b, e) in zip(a.shape, pairs, strict=True))
    base = Symbol(a.builder, a.builder.broadcast(Constant(np.asarray(constant_values).astype(a.dtype)), shape))
    inner = tuple(slice(int(b), int(b) + n) for n, (b, _) in zip(a.shape, pairs, strict=True))
    return setitem(base, inner, a)


def _full_like(value: Any) -> Callable[..., Symbol]:
    def run(a: Symbol, dtype: Any = None, shape: Any = None, **other: Any) -> Symbol:
        constant = Constant(np.asarray(value, a.dtype if dtype is None else dtype))
        return Symbol(a.builder, a.builder.broadcast(constant, a.shape if shape is None else tuple(shape)))

    return run


def _take(a: Any, indices: Any, axis: Any = None, **other: Any) -> Symbol:
    if other:
        raise CannotLower("take with out= or mode=")
    builder = _some(a, indices)
    a, i = array_of(builder, a), array_of(builder, indices)
    if axis is None:
        a, axis = _reshape(a, -1), 0
    return Symbol(builder, builder.emit("take", a.value, i.value, axis=normalize_axis_index(axis, a.ndim)))


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.reshape: _reshape,
    np.transpose: _transpose,
    np.swapaxes: _swapaxes,
    np.moveaxis: _moveaxis,
    np.squeeze: _squeeze,
    np.expand_dims: _expand_dims,
    np.broadcast_to: _broadcast_to,
    np.ravel: lambda a, order="C": a.ravel(order),
    np.copy: lambda a, **_: a.copy(),
    np.astype: lambda a, dtype, **_: a.astype(dtype),
    np.concatenate: _concatenate,
    np.stack: _stack,
    np.where: _where,
    np.clip: _clip,
    np.sum: _reduction(np.add),
    np.prod: _reduction(np.multiply),
    np.max: _reduction(np.maximum),
    np.min: _reduction(np.minimum),
    np.all: _reduction(np.logical_and),
    np.any: _reduction(np.logical_or),
    np.mean: _mean,
    np.var: _var,
    np.std: lambda a, *args, **kwargs: np.sqrt(_var(a, *args, **kwargs)),
    np.argmax: lambda a, axis=None, out=None, keepdims=False: _arg("argmax", a, axis, keepdims),
    np.argmin: lambda a, axis=None, out=None, keepdims=False: _arg("argmin", a, axis, keepdims),
    np.dot: _dot,
    np.flip: _flip,
    np.pad: _pad,
    np.take: _take,
    np.zeros_like: _full_like(0),
    np.ones_like: _full_like(1),
    np.empty_like: _full_like(0),
    np.full_like: lambda a, value, dtype=None, **_: _full_like(value)(a, dtype),
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: a.size if axis is None else a.shape[axis],
}

# -- indexing ----------------------------------------------------------------------------------------------------


def _expanded(index: Any, ndim: int) -> tuple[Any, ...]:
    """An index as a tuple without Ellipsis, with one entry per axis beside the None."""
    index = index if isinstance(index, tuple) else (index,)
    used = sum((i.ndim if _boolean(i) else 1) for i in index if i is not None and i is not Ellipsis)
    if used > ndim:
        raise IndexError(f"too many indices: {used} for {ndim} axes")
    rest = (slice(None),) * (ndim - used)
    at = next((k for k, i in enumerate(index) if i is Ellipsis), len(index))
    return (*index[:at], *rest, *index[at + 1 :])


def _boolean(i: Any) -> bool:
    return isinstance(i, (np.ndarray, Symbol)) and i.dtype.kind == "b"


def _basic(index: tuple[Any, ...]) -> bool:
    return all(i is None or (isinstance(i, (int, np.integer, slice)) and not isinstance(i, bool)) for i in index)


def _normalised(index: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[list[tuple[int, int, int]], list[int]]:
    """A basic index as one (start, stop, step) per axis, and the shape of the result."""
    slices, result = [], []
    axis = 0
    for i in index:
        if i is None:
            result.append(1)
            continue
        n = shape[axis]
        if isinstance(i, slice):
            start, stop, step = i.indices(n)
            length = len(range(start, stop, step))
            # A slice that selects nothing is written as one that starts at 0.
            slices.append((start, stop, step) if length else (0, 0, 1))
            result.append(length)
        else:
            if not -n <= i < n:
                raise IndexError(f"index {i} is out of bounds for axis {axis} with size {n}")
            at = int(i) % n
            slices.append((at, at + 1, 1))
        axis += 1
    return slices, result


def _holes(index: tuple[Any, ...]) -> tuple[list[Any], tuple[Any, ...]]:
    """The arrays of an index, and a template of the index with holes for them."""
    arrays: list[Any] = []
    template: list[Any] = []
    for i in index:
        if isinstance(i, list):
            i = np.asarray(i)
        if _boolean(i):
            if isinstance(i, Symbol):
                raise CannotLower("a mask chooses how many elements there are")
            for part in np.nonzero(i):
                template.append(Hole(len(arrays)))
                arrays.append(part)
        elif isinstance(i, (np.ndarray, Symbol)):
            template.append(Hole(len(arrays)))
            arrays.append(i)
        else:
            template.append(i)
    return arrays, tuple(template)


def getitem(a: Any, index: Any) -> Symbol:
    """a[index] on a symbol, or of an array at a symbol."""
    builder = _some(a, index)
    a = array_of(builder, a)
    index = _expanded(index, a.ndim)
    if _basic(index):
        slices, shape = _normalised(index, a.shape)
        made = a.value
        if any(s != (0, n, 1) for s, n in zip(slices, a.shape, strict=True)):
            made = builder.emit("slice", made, slices=tuple(slices))
        view: Symbol = a.view(builder.reshape(made, tuple(shape)))
        return view
    arrays, template = _holes(index)
    values = [array_of(builder, i).value for i in arrays]
    full = [k for k, t in enumerate(template) if t == slice(None)]
    if len(arrays) == 1 and len(full) == len(template) - 1:
        axis = next(k for k, t in enumerate(template) if isinstance(t, Hole))
        return Symbol(builder, builder.emit("take", a.value, values[0], axis=axis))
    return Symbol(builder, builder.emit("index", a.value, *values, template=template))


def setitem(a: Any, index: Any, value: Any) -> Symbol:
    """A copy of `a` with a value at an index."""
    builder = _some(a, index, value)
    a, value = array_of(builder, a), array_of(builder, value)
    given = builder.cast(value.value, a.dtype)
    if _boolean(index) and isinstance(index, Symbol) and index.shape == a.shape and not value.shape:
        return Symbol(builder, builder.elementwise("where", index.value, given, a.value))
    index = _expanded(index, a.ndim)
    if _basic(index):
        slices, shape = _normalised(index, a.shape)
        given = builder.broadcast(given, tuple(shape)) if given.ndim <= len(shape) else given
        place = tuple(len(range(*s)) for s in slices)
        return Symbol(builder, builder.emit("update", a.value, builder.reshape(given, place), slices=tuple(slices)))
    arrays, template = _holes(index)
    values = [array_of(builder, i).value for i in arrays]
    return Symbol(builder, builder.emit("put", a.value, given, *values, template=template))


def add_at(a: Symbol, index: Any, values: Any) -> Symbol:
    """A copy of `a` with values added at an index; repeated positions accumulate."""
    if _basic(_expanded(index, a.ndim)):
        return setitem(a, index, getitem(Symbol(a.builder, a.value), index) + values)
    added = scatter_add(values, index, a.shape)
    base = a.value.instruction if isinstance(a.value, Result) else None
    zeros = base is not None and base.name == "broadcast" and _is_zero(base.args[0])
    return added if zeros else elementwise(a.builder, "add", a, added)


def _is_zero(value: Value) -> bool:
    return isinstance(value, Constant) and not np.any(value.array)


def scatter_add(values: Any, index: Any, shape: tuple[int, ...]) -> Symbol:
    """Zeros with values added at an index."""
    builder = _some(values, index)
    values = array_of(builder, values)
    index = _expanded(index, len(shape))
    if _basic(index):
        zeros = Symbol(builder, builder.broadcast(Constant(np.zeros((), values.dtype)), tuple(shape)))
        return setitem(zeros, index, values)
    arrays, template = _holes(index)
    holes = [array_of(builder, i).value for i in arrays]
    return Symbol(builder, builder.emit("scatter_add", values.value, *holes, template=template, shape=tuple(shape)))
