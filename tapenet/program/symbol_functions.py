"""What NumPy's functions do with symbols: the primitives each of them is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapenet.program.ir import Constant
from tapenet.program.symbol_indexing import setitem
from tapenet.program.symbols import (
    FUNCTIONS,
    CannotLower,
    Operand,
    Sized,
    Symbol,
    array_of,
    axes_of,
    builder_of,
    elementwise,
    reduce,
    value_of,
)
from tapenet.typing import Axis, Number, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike

#: Several arrays, or one that is taken apart along its first axis.
Operands = Symbol | Sequence[Operand]


def _reshape(a: Symbol, shape: int | Sequence[int], order: str = "C", **other: object) -> Symbol:
    if order != "C" or other:
        raise CannotLower("reshape with order= or copy=")
    lengths = _lengths(shape)
    rest = math.prod(n for n in lengths if n != -1)
    return a.view(a.builder.reshape(a.value, tuple(a.size // rest if n == -1 else n for n in lengths)))


def _lengths(shape: int | Sequence[int]) -> Shape:
    """A shape as NumPy takes it."""
    return tuple(int(n) for n in (shape if isinstance(shape, (tuple, list)) else (shape,)))


def _transpose(a: Symbol, axes: Sequence[int] | None = None) -> Symbol:
    order = tuple(range(a.ndim))[::-1] if axes is None else tuple(normalize_axis_index(int(i), a.ndim) for i in axes)
    return a.view(a.builder.transpose(a.value, order))


def _swapaxes(a: Symbol, axis1: int, axis2: int) -> Symbol:
    order = list(range(a.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return _transpose(a, order)


def _moveaxis(a: Symbol, source: int | Shape, destination: int | Shape) -> Symbol:
    source, destination = normalize_axis_tuple(source, a.ndim), normalize_axis_tuple(destination, a.ndim)
    order = [i for i in range(a.ndim) if i not in source]
    for d, s in sorted(zip(destination, source, strict=True)):
        order.insert(d, s)
    return _transpose(a, order)


def _squeeze(a: Symbol, axis: Axis = None) -> Symbol:
    axes = tuple(i for i, n in enumerate(a.shape) if n == 1) if axis is None else normalize_axis_tuple(axis, a.ndim)
    if any(a.shape[i] != 1 for i in axes):
        raise ValueError("cannot squeeze an axis of length other than 1")
    return _reshape(a, tuple(n for i, n in enumerate(a.shape) if i not in axes))


def _expand_dims(a: Symbol, axis: int | Sequence[int]) -> Symbol:
    given = _lengths(axis)
    axes = normalize_axis_tuple(given, a.ndim + len(given))
    lengths = iter(a.shape)
    return _reshape(a, tuple(1 if i in axes else next(lengths) for i in range(a.ndim + len(axes))))


def _broadcast_to(a: Symbol, shape: int | Sequence[int], subok: bool = False) -> Symbol:
    return a.view(a.builder.broadcast(a.value, _lengths(shape)))


def _concatenate(arrays: Operands, axis: int | None = 0, **other: object) -> Symbol:
    if other:
        raise CannotLower("concatenate with out= or dtype=")
    builder = builder_of(arrays)
    parts = list(arrays) if isinstance(arrays, Symbol) else [array_of(builder, a) for a in arrays]
    if axis is None:
        parts, axis = [_reshape(p, -1) for p in parts], 0
    dtype = np.result_type(*(p.dtype for p in parts))
    values = [builder.cast(p.value, dtype) for p in [p for p in parts if p.size] or parts]
    return Symbol(builder, builder.emit("concatenate", *values, axis=normalize_axis_index(axis, parts[0].ndim)))


def _stack(arrays: Operands, axis: int = 0, **other: object) -> Symbol:
    builder = builder_of(arrays)
    parts = list(arrays) if isinstance(arrays, Symbol) else [array_of(builder, a) for a in arrays]
    if len({p.shape for p in parts}) != 1:
        raise ValueError("all input arrays must have the same shape")
    return _concatenate([_expand_dims(p, axis) for p in parts], axis, **other)


def _where(condition: Operand, *branches: Operand) -> Symbol:
    if len(branches) != 2:
        raise Sized("np.where without branches depends on the values")
    builder = builder_of(condition, *branches)
    chosen = builder.cast(array_of(builder, condition).value, bool)
    x, y = (value_of(b) for b in branches)
    return Symbol(builder, builder.elementwise("where", chosen, x, y))


def _clip(a: Operand, a_min: Operand | None = None, a_max: Operand | None = None, **other: object) -> Symbol:
    if other:
        raise CannotLower("clip with out=")
    builder = builder_of(a, a_min, a_max)
    made = array_of(builder, a)
    if a_min is not None:
        made = elementwise(builder, "maximum", made, a_min)
    return made if a_max is None else elementwise(builder, "minimum", made, a_max)


def _count(a: Symbol, axis: Axis) -> int:
    return math.prod(a.shape[i] for i in axes_of(axis, a.ndim))


def _mean(
    a: Symbol, axis: Axis = None, dtype: DTypeLike | None = None, out: object = None, keepdims: object = False
) -> Symbol:
    if out is not None or a.dtype.char == "e":
        raise CannotLower("mean with out= or of float16")
    if dtype is None and a.dtype.kind in "biu":
        dtype = np.dtype(np.float64)
    total = reduce(np.add, a, axis=axis, dtype=dtype, keepdims=bool(keepdims))
    return elementwise(a.builder, "divide", total, _count(a, axis))


def _var(
    a: Symbol,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    out: object = None,
    ddof: int = 0,
    keepdims: object = False,
    **other: object,
) -> Symbol:
    if out is not None or dtype is not None or other or a.dtype.kind != "f":
        raise CannotLower("var with out=, dtype= or of integers")
    centred = a - _mean(a, axis=axis, keepdims=True)
    total = reduce(np.add, centred * centred, axis=axis, keepdims=bool(keepdims))
    return elementwise(a.builder, "divide", total, max(_count(a, axis) - ddof, 0))


def _reduction(ufunc: np.ufunc) -> Callable[..., Symbol]:
    def run(a: Symbol, axis: Axis = None, *args: object, keepdims: object = False, **kwargs: Any) -> Symbol:
        dtype = kwargs.pop("dtype", None)
        if args:
            dtype, *rest = args if ufunc in (np.add, np.multiply) else (None, *args)
            if any(r is not None for r in rest):
                raise CannotLower("a reduction with out=")
        if kwargs.keys() - {"initial"}:
            raise CannotLower(f"a reduction with {', '.join(kwargs)}=")
        return reduce(ufunc, a, axis=axis, dtype=dtype, keepdims=bool(keepdims), **kwargs)

    return run


def _arg(name: str, a: Symbol, axis: int | None = None, keepdims: object = False) -> Symbol:
    keepdims = keepdims is True
    source = a
    if axis is None:
        source, axis = _reshape(a, -1), 0
        kept: Shape = (1,) * a.ndim
    else:
        axis = normalize_axis_index(axis, a.ndim)
        kept = tuple(1 if i == axis else n for i, n in enumerate(a.shape))
    if 0 in a.shape:
        raise CannotLower("an array without elements")
    made = a.builder.emit(name, source.value, axis=axis)
    return Symbol(a.builder, a.builder.reshape(made, kept) if keepdims else made)


def _dot(a: Operand, b: Operand) -> Symbol:
    builder = builder_of(a, b)
    a, b = array_of(builder, a), array_of(builder, b)
    if not a.ndim or not b.ndim:
        return elementwise(builder, "multiply", a, b)
    if b.ndim > 2:
        raise CannotLower("dot with more than two axes")
    return _matmul(a, b)


def _matmul(x: Operand, y: Operand) -> Symbol:
    builder = builder_of(x, y)
    a, b = array_of(builder, x), array_of(builder, y)
    if not a.ndim or not b.ndim:
        raise ValueError("matmul takes no scalars")
    dtype = np.result_type(a.dtype, b.dtype)
    if dtype.char not in "fdFD" or 0 in a.shape or 0 in b.shape:
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
    product = "matmul" if dtype.kind == "c" else "dot"
    if b.ndim == 2:  # one matrix for all batches: they are rows of one product
        lead = a.shape[:-2]
        made = builder.emit(product, _reshape(a, (-1, a.shape[-1])).value, b.value)
    else:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        left = builder.broadcast(a.value, (*lead, *a.shape[-2:]))
        right = builder.broadcast(b.value, (*lead, *b.shape[-2:]))
        made = builder.emit(product, left, right)
    shape = (*lead, *(() if row else (n,)), *(() if column else (m,)))
    return Symbol(builder, builder.reshape(made, shape))


def _flip(a: Symbol, axis: Axis = None) -> Symbol:
    axes = axes_of(axis, a.ndim)
    return a[tuple(slice(None, None, -1) if i in axes else slice(None) for i in range(a.ndim))]


def _pad(a: Symbol, pad_width: ArrayLike, mode: str = "constant", constant_values: Number = 0) -> Symbol:
    if mode != "constant" or np.ndim(constant_values):
        raise CannotLower("pad in another mode, or with several values")
    pairs = np.broadcast_to(np.asarray(pad_width), (a.ndim, 2))
    shape = tuple(n + int(b) + int(e) for n, (b, e) in zip(a.shape, pairs, strict=True))
    base = Symbol(a.builder, a.builder.broadcast(Constant(np.asarray(constant_values).astype(a.dtype)), shape))
    inner = tuple(slice(int(b), int(b) + n) for n, (b, _) in zip(a.shape, pairs, strict=True))
    return setitem(base, inner, a)


def _full_like(value: Number | Symbol) -> Callable[..., Symbol]:
    def run(
        a: Symbol, dtype: DTypeLike | None = None, shape: int | Sequence[int] | None = None, **other: object
    ) -> Symbol:
        full = a.shape if shape is None else _lengths(shape)
        if isinstance(value, Symbol):
            return Symbol(a.builder, a.builder.broadcast(value.astype(a.dtype if dtype is None else dtype).value, full))
        constant = Constant(np.asarray(value, a.dtype if dtype is None else dtype))
        return Symbol(a.builder, a.builder.broadcast(constant, full))

    return run


FUNCTIONS |= {
    np.reshape: _reshape,
    np.transpose: _transpose,
    np.swapaxes: _swapaxes,
    np.moveaxis: _moveaxis,
    np.squeeze: _squeeze,
    np.expand_dims: _expand_dims,
    np.broadcast_to: _broadcast_to,
    np.ravel: lambda a, order="C": a.ravel(order),
    np.copy: lambda a, order="K", subok=False: a.copy(),
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
    np.matmul: _matmul,
    np.flip: _flip,
    np.pad: _pad,
    np.zeros_like: _full_like(0),
    np.ones_like: _full_like(1),
    np.empty_like: _full_like(0),
    np.full_like: lambda a, value, dtype=None, **other: _full_like(value)(a, dtype, **other),
    np.shape: lambda a: a.shape,
    np.ndim: lambda a: a.ndim,
    np.size: lambda a, axis=None: a.size if axis is None else a.shape[axis],
}
