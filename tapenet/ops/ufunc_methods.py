"""The methods of ufuncs, which NumPy's protocol passes on: `np.add.reduce`, `np.maximum.accumulate`, `np.subtract.at`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapenet.ops.derived import Derived, array_like, is_tensor
from tapenet.ops.indexing.items import index_add, raw_index
from tapenet.ops.op import Op
from tapenet.ops.protocol import UNSET, call, refuse_array, repeats_to, write
from tapenet.ops.reductions import counting, cumulative, extremes, folds, products, sums
from tapenet.ops.reductions.masking import chosen, number
from tapenet.ops.registry import numpy_functions, ufunc_name
from tapenet.program.low import is_float, is_inexact, is_low
from tapenet.typing import Array, Axis, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike

#: What `out=` is where the method of a ufunc is given it.
Out: TypeAlias = Array | tuple[Array] | None

#: Reductions that are functions of their own.
_REDUCTIONS: dict[np.ufunc, Callable[..., Array]] = {
    np.add: sums.sum,
    np.multiply: products.prod,
    np.maximum: extremes.max,
    np.minimum: extremes.min,
    np.fmax: folds.largest,
    np.fmin: folds.smallest,
    np.logaddexp: sums.logsumexp,
    np.logical_and: counting.all,
    np.logical_or: counting.any,
}
_ACCUMULATIONS: dict[np.ufunc, Callable[..., Array]] = {
    np.add: cumulative.cumsum,
    np.multiply: cumulative.cumprod,
    np.maximum: cumulative.cumulative_max,
    np.minimum: cumulative.cumulative_min,
    np.fmax: folds.running_largest,
    np.fmin: folds.running_smallest,
    np.logaddexp: cumulative.logcumsumexp,
}


def _given(name: str, result: Array, out: Out) -> Array:
    """A result of a ufunc's method, or the tensor it was to be written to; NumPy passes that as a tuple."""
    if isinstance(out, tuple):
        (out,) = out
    return result if out is None else write(name, result, out)


def _is_step(ufunc: np.ufunc) -> bool:
    """Whether a ufunc has no derivative."""
    stands = numpy_functions[ufunc]
    return isinstance(stands, (Op, Derived)) and not stands.differentiable


def _method(ufunc: np.ufunc, method: str) -> str:
    """The name of a ufunc's method.

    Raises:
        ValueError: the ufunc has none, as it has not two arguments and one result.
    """
    name = f"{ufunc_name(ufunc)}.{method}"
    if ufunc.nin != 2 or ufunc.nout != 1 or ufunc.signature is not None:
        raise ValueError(f"{name}: only ufuncs of two numbers with one result have this method")
    return name


def _in_loop_dtype(name: str, ufunc: np.ufunc, array: Array, dtype: DTypeLike | None) -> Array:
    """An array in the dtype that a ufunc combines its elements in."""
    if is_low(array.dtype) and dtype is None:
        return array
    try:
        kind = ufunc.reduce(np.ones(2, array.dtype), dtype=dtype).dtype
    except TypeError as error:
        raise TypeError(f"{name} of {array.dtype}{'' if dtype is None else f' in dtype={dtype}'}: {error}") from None
    return array if array.dtype == kind else np.astype(array, kind)


def _kept_dtype(ufunc: np.ufunc, array: Array) -> dict[str, DType]:
    """The option that keeps sums and products in the dtype of the array, where a small integer type was asked for."""
    return {"dtype": array.dtype} if ufunc in (np.add, np.multiply) else {}


def reduce(
    ufunc: np.ufunc, array: ArrayLike, axis: Axis = 0, dtype: DTypeLike | None = None, out: Out = None,
    keepdims: bool = False, initial: Any = UNSET, where: ArrayLike = True,
) -> Array:  # fmt: skip
    """`ufunc.reduce(array, axis, ...)`: by the op that is this reduction, or element after element."""
    name = _method(ufunc, "reduce")
    array = array_like(array)
    if not array.ndim and axis in (0, -1):
        axis = None
    options: dict[str, Any] = {"keepdims": keepdims}
    if initial is None and not array.size:
        raise ValueError(f"{name} has nothing to start from: give initial=")
    if initial is not UNSET and initial is not None:
        options["initial"] = initial
    if where is not True:
        options["where"] = where
    own = _REDUCTIONS.get(ufunc)
    # logsumexp takes complex numbers, but no empty arrays; and makes no float16 of small integers.
    if ufunc is np.logaddexp and not (array.size and is_float(array.dtype)):
        own = None
    if own is not None and not (_is_step(ufunc) and (dtype is not None or "initial" in options)):
        if dtype is not None:
            array = _in_loop_dtype(name, ufunc, array, dtype)
            options |= _kept_dtype(ufunc, array)
        result = own(array, axis, **options)
    elif _is_step(ufunc) or not is_inexact(array.dtype):
        result = folds.reduced(array, ufunc, axis, dtype=dtype, **options)
    else:
        result = _fold(name, ufunc, _in_loop_dtype(name, ufunc, array, dtype), axis, **options)
    return _given(name, result, out)


def _fold(
    name: str, ufunc: np.ufunc, a: Array, axis: Axis, keepdims: bool, initial: ArrayLike | None = None, where: ArrayLike = True
) -> Array:  # fmt: skip
    axes = tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)
    if len(axes) > 1 and ufunc.identity is None:
        raise ValueError(f"{name} depends on the order of its elements: it takes one axis, not {axes}")
    kept = tuple(1 if i in axes else n for i, n in enumerate(a.shape))
    if ufunc.identity is not None:
        a, where = chosen(name, a, where, ufunc.identity), True
    if len(axes) == 1:
        (axis,) = axes
    else:  # as one axis, the first
        a, axis = np.moveaxis(a, axes, range(len(axes))), 0
        a = np.reshape(a, (math.prod(a.shape[: len(axes)]), *a.shape[len(axes) :]))
    if initial is None and (where is not True or not a.shape[axis]):
        initial = ufunc.identity
        if initial is None:
            raise ValueError(f"{name} has nothing to start from: give initial=")
    if initial is not None:
        lines = tuple(1 if i == axis else n for i, n in enumerate(a.shape))
        a = np.concatenate([np.broadcast_to(number(initial, a.dtype), lines), a], axis)
    result = folds.folded(a, ufunc, axis) if where is True else folds.masked_fold(a, ufunc, axis, where)
    return np.reshape(result, kept) if keepdims else result


def accumulate(
    ufunc: np.ufunc, array: ArrayLike, axis: Axis = 0, dtype: DTypeLike | None = None, out: Out = None
) -> Array:
    """`ufunc.accumulate(array, axis, ...)`."""
    name = _method(ufunc, "accumulate")
    array = array_like(array)
    axis = _one_axis(name, axis, array)
    if ufunc in _ACCUMULATIONS:
        options = {}
        if dtype is not None:
            array = _in_loop_dtype(name, ufunc, array, dtype)
            options = _kept_dtype(ufunc, array)
        result = _ACCUMULATIONS[ufunc](array, axis, **options)
    elif _is_step(ufunc) or not is_inexact(array.dtype):
        result = folds.accumulated(array, ufunc, axis, dtype=dtype)
    else:
        result = folds.running_fold(_in_loop_dtype(name, ufunc, array, dtype), ufunc, axis)
    return _given(name, result, out)


def _one_axis(name: str, axis: Axis, array: Array) -> int:
    """The axis that a method goes along. None means the only axis, as in NumPy."""
    if not array.ndim:
        raise TypeError(f"{name}: a number has no elements to go along: give an array of one axis or more")
    if isinstance(axis, tuple) and len(axis) == 1:
        (axis,) = axis
    if axis is None and array.ndim == 1:
        return 0
    if axis is None or isinstance(axis, tuple):
        raise ValueError(f"{name} goes along one axis, not {'all' if axis is None else axis}")
    return normalize_axis_index(axis, array.ndim)


def outer(ufunc: np.ufunc, a: Array, b: Array, **options: Any) -> object:
    """`ufunc.outer(a, b)`: the ufunc of each element of `a` with each of `b`."""
    a, b = array_like(a), array_like(b)
    return call(ufunc, (np.reshape(a, (*a.shape, *(1 for _ in b.shape))), b), **options)


def reduceat(
    ufunc: np.ufunc,
    array: ArrayLike,
    indices: ArrayLike,
    axis: int = 0,
    dtype: DTypeLike | None = None,
    out: Out = None,
) -> Array:
    """`ufunc.reduceat(array, indices, axis, ...)`: reductions of slices."""
    name = _method(ufunc, "reduceat")
    array = array_like(array)
    axis = _one_axis(name, axis, array)
    starts = np.asarray(raw_index(indices)).astype(np.intp)
    if starts.ndim != 1:
        raise ValueError(f"{name}: indices must have one axis, not shape {starts.shape}")
    length = array.shape[axis]
    if starts.size and not (starts.min() >= 0 and starts.max() < length):
        raise IndexError(f"{name}: indices must lie within the {length} elements of axis {axis}")
    ends = np.append(starts[1:], length)
    result = _segments(ufunc, np.moveaxis(array, axis, 0), starts, np.maximum(ends - starts, 1), dtype)
    return _given(name, np.moveaxis(result, 0, axis), out)


def _segments(ufunc: np.ufunc, rows: Array, starts: Array, lengths: Array, dtype: DTypeLike | None = None) -> Array:
    """Reductions of `rows[start : start + length]`, those of equal length together."""
    order = np.argsort(lengths, kind="stable")
    counts = np.bincount(lengths, minlength=2)
    parts, begin = [], 0
    for length in np.flatnonzero(counts) if lengths.size else [1]:
        places = starts[order[begin : begin + counts[length]]]
        parts.append(reduce(ufunc, rows[places[:, None] + np.arange(length)], 1, dtype))
        begin += counts[length]
    if len(parts) == 1:
        return parts[0]
    turn = np.empty_like(order)
    turn[order] = np.arange(order.size)
    return np.concatenate(parts)[turn]


def at(ufunc: np.ufunc, a: Array, indices: ArrayLike, *b: ArrayLike) -> None:
    """`ufunc.at(a, indices, b)`: `a[indices] = ufunc(a[indices], b)` on a tensor, each time an element is named.

    Raises:
        TypeError: `a` is an array, or its dtype cannot hold what the ufunc gives.
        ValueError: too many or too few arguments, or those of `b` do not broadcast to what is named.
    """
    name = f"{ufunc_name(ufunc)}.at"
    if isinstance(a, np.ndarray):
        refuse_array(name)
    if len(b) != ufunc.nin - 1 or ufunc.nout != 1 or ufunc.signature is not None:
        raise ValueError(
            f"{name}: a ufunc of one or two numbers with one result takes the tensor, indices and, of two, the other one"
        )
    adds = ufunc in (np.add, np.subtract)  # these take indices that are not known yet, while a step is captured
    index = _placeholder(indices) if adds else raw_index(indices)
    shape = np.broadcast_to(False, a.shape)[index].shape
    values = [array_like(v) for v in b]
    for v in values:
        if not repeats_to(v.shape, shape):
            raise ValueError(f"{name}: values of shape {v.shape} do not broadcast to {shape}, the shape of a[indices]")
    kinds = [a.dtype, *(v.dtype for v in values)]
    low = any(map(is_low, kinds))
    loop = kinds if low else ufunc.resolve_dtypes((*kinds, None))
    if not low and not np.can_cast(loop[-1], a.dtype, "same_kind"):
        raise TypeError(f"{name}: a tensor of {a.dtype} cannot hold results of {loop[-1]}: cast it with .astype")
    values = [np.broadcast_to(v, shape) for v in values]
    if adds:
        a[...] = index_add(a, values[0] if ufunc is np.add else -values[0], indices)
        return
    places = np.arange(a.size).reshape(a.shape)[index].reshape(-1)
    flat = np.reshape(np.copy(a), (-1,))  # a tensor of its own, which is assigned to
    _combine(ufunc, flat, places, [np.reshape(v, (-1,)) for v in values], len(set(loop)) == 1)
    a[...] = np.reshape(flat, a.shape)


def _placeholder(index: ArrayLike) -> object:
    """An index of the same shape, in which zeros stand for integers of tensors."""
    if isinstance(index, tuple):
        return tuple(map(_placeholder, index))
    if is_tensor(type(index)):
        found = array_like(index)
        return np.zeros(found.shape, np.intp) if found.dtype.kind in "iu" else raw_index(index)
    return raw_index(index)


def _combine(ufunc: np.ufunc, flat: Array, places: Array, values: list[Array], one_dtype: bool) -> None:
    """`flat[places] = ufunc(flat[places], *values)` on a tensor of one axis, each time a place is named. `one_dtype`:
    whether elements, values and results have one dtype."""
    counts = np.bincount(places, minlength=flat.shape[0])
    if counts.max(initial=0) <= 1:
        flat[places] = ufunc(flat[places], *values)
        return
    order = np.argsort(places, kind="stable")
    named = np.flatnonzero(counts)
    times = counts[named]
    begins = np.cumsum(times) - times
    if not (values and one_dtype):  # in each round every element once
        turn = np.arange(order.size) - np.repeat(begins, times)
        for n in range(times.max()):
            now = order[turn == n]
            flat[places[now]] = ufunc(flat[places[now]], *(v[now] for v in values))
        return
    # In one row: each element, followed by all the values that it is combined with.
    begins += np.arange(named.size)
    source = np.empty(named.size + order.size, np.intp)
    is_element = np.zeros(source.size, bool)
    is_element[begins] = True
    source[begins] = np.arange(named.size)
    source[~is_element] = named.size + order
    rows = np.concatenate([flat[named], values[0]])[source]
    flat[named] = _segments(ufunc, rows, begins, times + 1)


METHODS: dict[str, Callable[..., object]] = {
    "reduce": reduce,
    "accumulate": accumulate,
    "outer": outer,
    "reduceat": reduceat,
    "at": at,
}
