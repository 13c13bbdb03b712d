"""Indexing of symbols: views for basic indices, gathering and scattering for arrays."""

from __future__ import annotations

import operator
from typing import TypeGuard

import numpy as np

from tapenet.program.called_ops import Hole
from tapenet.program.ir import Constant, Result, Value
from tapenet.program.symbols import FUNCTIONS, Operand, Sized, Symbol, array_of, builder_of, elementwise
from tapenet.typing import Array, Shape

#: An index as a tuple: integers, slices, None, `...`, arrays and symbols.
Index = tuple[object, ...]


def _expanded(index: object, ndim: int) -> Index:
    """An index as a tuple without Ellipsis, with one entry per axis beside the None."""
    index = index if isinstance(index, tuple) else (index,)
    used = sum((i.ndim if _boolean(i) else 1) for i in index if i is not None and i is not Ellipsis)
    if used > ndim:
        raise IndexError(f"too many indices: {used} for {ndim} axes")
    rest = (slice(None),) * (ndim - used)
    at = next((k for k, i in enumerate(index) if i is Ellipsis), len(index))
    return (*index[:at], *rest, *index[at + 1 :])


def _boolean(i: object) -> TypeGuard[Array | Symbol]:
    return isinstance(i, (np.ndarray, Symbol)) and i.dtype.kind == "b"


def _basic(index: Index) -> TypeGuard[tuple[int | slice | None, ...]]:
    return all(i is None or (isinstance(i, (int, np.integer, slice)) and not isinstance(i, bool)) for i in index)


def _normalised(index: tuple[int | slice | None, ...], shape: Shape) -> tuple[list[tuple[int, int, int]], list[int]]:
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


def _holes(index: Index) -> tuple[list[Array | Symbol], Index]:
    """The arrays of an index, and a template of the index with holes for them."""
    arrays: list[Array | Symbol] = []
    template: list[object] = []
    for i in index:
        if isinstance(i, list):
            i = np.asarray(i)
        if _boolean(i):
            if isinstance(i, Symbol):
                raise Sized("a mask chooses how many elements there are")
            for part in np.nonzero(i):
                template.append(Hole(len(arrays)))
                arrays.append(part)
        elif isinstance(i, (np.ndarray, Symbol)):
            template.append(Hole(len(arrays)))
            arrays.append(i)
        else:
            template.append(i)
    return arrays, tuple(template)


def getitem(a: Operand, index: object) -> Symbol:
    """a[index] on a symbol, or of an array at a symbol."""
    builder = builder_of(a, index)
    a = array_of(builder, a)
    given, index = index, _expanded(index, a.ndim)
    if _basic(index):
        slices, shape = _normalised(index, a.shape)
        made = a.value
        if any(s != (0, n, 1) for s, n in zip(slices, a.shape, strict=True)):
            made = builder.emit("slice", made, slices=tuple(slices))
        view: Symbol = a.view(builder.reshape(made, tuple(shape)), given)
        return view
    arrays, template = _holes(index)
    values = [array_of(builder, i).value for i in arrays]
    full = [k for k, t in enumerate(template) if t == slice(None)]
    if len(arrays) == 1 and len(full) == len(template) - 1:
        axis = next(k for k, t in enumerate(template) if isinstance(t, Hole))
        return Symbol(builder, builder.emit("take", a.value, values[0], axis=axis))
    return Symbol(builder, builder.emit("index", a.value, *values, template=template))


def setitem(a: Operand, index: object, value: Operand) -> Symbol:
    """A copy of `a` with a value at an index."""
    builder = builder_of(a, index, value)
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


def add_at(a: Symbol, index: object, values: Operand) -> Symbol:
    """A copy of `a` with values added at an index; repeated positions accumulate."""
    if _basic(_expanded(index, a.ndim)):
        return setitem(a, index, getitem(Symbol(a.builder, a.value), index) + values)
    added = scatter_add(values, index, a.shape)
    base = a.value.instruction if isinstance(a.value, Result) else None
    zeros = base is not None and base.name == "broadcast" and _is_zero(base.args[0])
    return added if zeros else elementwise(a.builder, "add", a, added)


def _is_zero(value: Value) -> bool:
    return isinstance(value, Constant) and not np.any(value.array)


def scatter_add(values: Operand, index: object, shape: Shape) -> Symbol:
    """Zeros with values added at an index."""
    builder = builder_of(values, index)
    values = array_of(builder, values)
    index = _expanded(index, len(shape))
    if _basic(index):
        zeros = Symbol(builder, builder.broadcast(Constant(np.zeros((), values.dtype)), tuple(shape)))
        return setitem(zeros, index, values)
    arrays, template = _holes(index)
    holes = [array_of(builder, i).value for i in arrays]
    return Symbol(builder, builder.emit("scatter_add", values.value, *holes, template=template, shape=tuple(shape)))


FUNCTIONS |= {operator.getitem: getitem, operator.setitem: setitem, np.add.at: add_at}
