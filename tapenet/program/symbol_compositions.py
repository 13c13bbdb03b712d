"""Functions of NumPy that are, on symbols, compositions of others that symbols know. Written in plain NumPy."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapenet.program import symbol_functions as _functions  # noqa: F401  fills the table of what symbols know
from tapenet.program.called_ops import Resized
from tapenet.program.low import is_inexact, real_of
from tapenet.program.symbols import FUNCTIONS, CannotLower, Sized, Symbol, array_of, builder_of, elementwise, provided
from tapenet.typing import Array, Axis

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike


def _along(axis: int, place: slice | Array) -> tuple[slice | Array, ...]:
    """The index of a place along an axis that is counted from the front."""
    return (*(slice(None),) * axis, place)


def _interleaved(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for pair in zip(first, second, strict=True) for n in pair)


def _tile(A: Array, reps: SupportsIndex | Sequence[int]) -> Array:
    counts = (operator.index(reps),) if isinstance(reps, SupportsIndex) else tuple(map(operator.index, reps))
    ndim = max(A.ndim, len(counts))
    counts, lengths = (1,) * (ndim - len(counts)) + counts, (1,) * (ndim - A.ndim) + A.shape
    apart = np.reshape(A, _interleaved((1,) * ndim, lengths))
    wide = np.broadcast_to(apart, _interleaved(counts, lengths))
    return np.reshape(wide, tuple(c * n for c, n in zip(counts, lengths, strict=True)))


def _repeat(a: Array, repeats: Array | int, axis: int | None = None) -> Array:
    if isinstance(repeats, Symbol):
        raise Sized("values say how many elements np.repeat gives")
    if axis is None or not a.ndim:
        a, axis = np.reshape(a, -1), 0
    axis = normalize_axis_index(axis, a.ndim)
    if np.size(repeats) != 1:
        return np.take(a, np.repeat(np.arange(a.shape[axis]), repeats), axis)
    count = max(int(np.reshape(repeats, ())), 0)
    wide = np.broadcast_to(np.expand_dims(a, axis + 1), (*a.shape[: axis + 1], count, *a.shape[axis + 1 :]))
    return np.reshape(wide, (*a.shape[:axis], a.shape[axis] * count, *a.shape[axis + 1 :]))


def _roll(a: Array, shift: int | Sequence[int], axis: Axis = None) -> Array:
    """Each turn puts the last elements along an axis first."""
    if axis is None:
        return np.reshape(_roll(np.reshape(a, -1), int(np.sum(shift)), 0), a.shape)
    for s, i in np.broadcast(shift, axis):
        i = normalize_axis_index(int(i), a.ndim)
        at = a.shape[i] - int(s) % max(a.shape[i], 1)
        a = np.concatenate([a[_along(i, slice(at, None))], a[_along(i, slice(None, at))]], i)
    return a


def _diagonal(a: Array, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    axis1, axis2 = normalize_axis_index(axis1, a.ndim), normalize_axis_index(axis2, a.ndim)
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    row, column = max(-offset, 0), max(offset, 0)
    places = np.arange(max(min(a.shape[-2] - row, a.shape[-1] - column), 0))
    return a[..., places + row, places + column]


def _take(a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Any:
    if out is not None:
        raise CannotLower("take with out=")
    builder = builder_of(a, indices)
    i: Any = array_of(builder, indices)
    a = array_of(builder, a)
    if axis is None or not a.ndim:
        a, axis = np.reshape(a, -1), 0
    axis = normalize_axis_index(axis, a.ndim)
    i = i.astype(np.intp) if i.dtype.kind == "b" or not i.size else i
    length = a.shape[axis]
    if mode != "raise":
        if not length and i.size:
            raise IndexError("cannot take anything from an axis of length 0")
        i = np.remainder(i, max(length, 1)) if mode == "wrap" else np.clip(i, 0, max(length - 1, 0))
    return a[_along(axis, i)]


def _compress(condition: Array, a: Array, axis: int | None = None, out: None = None) -> Array:
    if isinstance(condition, Symbol):
        raise Sized("values say how many elements np.compress gives")
    if out is not None:
        raise CannotLower("compress with out=")
    return np.take(a, np.flatnonzero(condition), axis)


def _delete(arr: Array, obj: Array, axis: int | None = None) -> Array:
    if isinstance(obj, Symbol):
        raise Sized("values say how many elements np.delete gives")
    if axis is None or not arr.ndim:
        arr, axis = np.reshape(arr, -1), 0
    return np.take(arr, np.delete(np.arange(arr.shape[axis]), obj), axis)


def _take_along_axis(arr: Any, indices: Array, axis: int | None = -1) -> Any:
    builder = builder_of(arr, indices)
    arr = array_of(builder, arr)
    if axis is None:
        arr, axis = np.reshape(arr, -1), 0
    places: list[Array] = list(np.ogrid[tuple(slice(n) for n in arr.shape)])
    places[axis] = indices
    return arr[tuple(places)]


def _diff(a: Array, n: int = 1, axis: int = -1) -> Array:
    axis = normalize_axis_index(axis, a.ndim)
    for _ in range(n):
        later, earlier = a[_along(axis, slice(1, None))], a[_along(axis, slice(None, -1))]
        a = later != earlier if a.dtype.kind == "b" else later - earlier
    return a


def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, *, dtype: DTypeLike | None = None, axis: int = 0
) -> Any:
    builder = builder_of(start, stop)
    inner = np.result_type(0.0, *(v if type(v) in (int, float) else array_of(builder, v).dtype for v in (start, stop)))
    first, last = (array_of(builder, v).astype(inner) for v in (start, stop))
    delta = last - first
    steps = num - 1 if endpoint else num
    counts = np.reshape(np.arange(num), (-1, *(1,) * delta.ndim))
    made = counts.astype(inner) * (delta / steps if steps > 0 else delta) + first
    if endpoint and num > 1:
        made = np.where(counts == num - 1, last, made)  # exactly
    made = np.moveaxis(made, 0, axis)
    if dtype is None:
        return made
    return (np.floor(made) if np.issubdtype(dtype, np.integer) else made).astype(dtype)


def _sliding_window_view(x: Array, window_shape: SupportsIndex | Sequence[int], axis: Axis = None) -> Array:
    """One axis after the other, as rows of neighbours."""
    lengths = (int(window_shape),) if isinstance(window_shape, SupportsIndex) else tuple(map(int, window_shape))
    axes = tuple(range(x.ndim)) if axis is None else normalize_axis_tuple(axis, x.ndim, allow_duplicate=True)
    for length, i in zip(lengths, axes, strict=True):
        neighbours = np.arange(x.shape[i] - length + 1)[:, None] + np.arange(length)
        x = np.moveaxis(np.take(x, neighbours, i), i + 1, -1)
    return x


def _vecdot(x1: Array, x2: Array) -> object:
    return np.sum(_conjugate(x1) * x2, axis=-1)


def _matvec(x1: Array, x2: Array) -> object:
    return np.matmul(x1, np.expand_dims(x2, -1))[..., 0]


def _vecmat(x1: Array, x2: Array) -> object:
    return np.matmul(np.expand_dims(_conjugate(x1), -2), x2)[..., 0, :]


def _vector_norm(x: Array, *, axis: Axis = None, keepdims: bool = False, ord: float = 2) -> Array:
    if ord == 2 and x.dtype.kind == "c":  # as NumPy: |inf + nan i| is infinite, the norm of it nan
        real, imag = _real(x), _imag(x)
        length: Array = np.sqrt(np.sum(real * real + imag * imag, axis=axis, keepdims=keepdims))
        return length
    # Powers of whole numbers may be too large, or no whole numbers.
    found: Array = np.abs(x if is_inexact(x.dtype) else x.astype(np.float64))
    if abs(ord) == math.inf:
        extreme: Array = (np.max if ord > 0 else np.min)(found, axis=axis, keepdims=keepdims)
        return extreme
    powers: Array = found * found if ord == 2 else found**ord if ord else (found != 0).astype(found.dtype)
    found = np.sum(powers, axis=axis, keepdims=keepdims)
    return np.sqrt(found) if ord == 2 else found ** (1 / (ord or 1))


def _conjugate(x: Any) -> Any:
    if x.dtype.kind != "c":
        return x
    return elementwise(x.builder, "conjugate", x) if isinstance(x, Symbol) else np.conjugate(x)


def _adjoint(x: Any) -> Any:
    return np.swapaxes(_conjugate(x), -1, -2)


def _result_type(*operands: Any) -> np.dtype:
    return np.result_type(*(a.dtype if isinstance(a, Symbol) else a for a in operands))


def _real(val: Any) -> Any:
    if val.dtype.kind != "c":
        return val
    return Symbol(val.builder, val.builder.emit("cast", val.value, dtype=real_of(val.dtype)))


def _imag(val: Any) -> Any:
    if val.dtype.kind != "c":
        return np.zeros_like(val)
    return elementwise(val.builder, "imag", val)


#: Elements, or products in a convolution, from which on NumPy's own function takes less time than what it is composed of here.
_MANY = 4096


def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: float | None = None) -> Any:
    """As NumPy computes it, in float64: it steps aside from a nan beside a knot."""
    builder = builder_of(x, xp, fp)
    x, xp, fp = (array_of(builder, a) for a in (x, xp, fp))
    if period is not None or fp.dtype.kind == "c" or not xp.size or xp.shape != fp.shape or x.size > _MANY:
        raise CannotLower("interp with period=, of complex numbers, of no knots or at many places")
    x, xp, fp = (a.astype(np.float64) for a in (x, xp, fp))
    last = len(xp) - 1
    left, right = fp[0] if left is None else left, fp[last] if right is None else right
    if not last:  # of a nan too
        return np.where(x < xp[0], left, np.where(x > xp[0], right, fp[0]))
    j = np.clip(np.searchsorted(xp, x, "right") - 1, 0, last - 1)
    x0, x1, y0, y1 = np.take(xp, j), np.take(xp, j + 1), np.take(fp, j), np.take(fp, j + 1)
    slope = (y1 - y0) / (x1 - x0)
    found = slope * (x - x0) + y0
    found = np.where(np.isnan(found), slope * (x - x1) + y1, found)
    found = np.where((x == x0) | (np.isnan(found) & (y0 == y1)), y0, found)
    found = np.where(x >= xp[last], fp[last], found)
    found = np.where(x > xp[last], right, found)
    found = np.where(x < xp[0], left, found)
    return np.where(np.isnan(x), x, found)


def _digitize(x: Any, bins: Any, right: bool = False) -> Any:
    builder = builder_of(x, bins)
    bins, side = array_of(builder, bins), "left" if right else "right"
    if bins.ndim != 1 or not bins.size or array_of(builder, x).size > _MANY:
        raise CannotLower("digitize without edges, or of many")
    if len(bins) == 1:
        return np.searchsorted(bins, x, side)  # type: ignore[call-overload]
    # As NumPy looks at them, in float64: the first two that differ say whether they rise, and nan is below all.
    edges = bins.astype(np.float64)
    before, here = edges[:-1], edges[1:]
    change = before != here
    rises = ~change.any() | (before < here)[np.argmax(change.astype(np.int8))]
    wrong = np.where(rises, (before > here).any(), (before < here).any())
    bins = provided(bins, wrong, ValueError, "bins must be monotonically increasing or decreasing")
    up, down = np.searchsorted(bins, x, side), np.searchsorted(bins[::-1], x, side)  # type: ignore[call-overload]
    return np.where(rises, up, len(bins) - down)


def _round(a: Any, decimals: int = 0, out: None = None) -> Any:
    if out is not None or a.dtype.kind not in "iuf" or (decimals < 0 and a.dtype.kind != "f"):
        raise CannotLower("round with out=, of truths, or of whole numbers to tens")
    if a.dtype.kind != "f":
        return a
    scale = 10.0 ** abs(decimals)
    if not decimals:
        return np.rint(a)
    return np.rint(a * scale) / scale if decimals > 0 else np.rint(a / scale) * scale


def _times(ufunc: np.ufunc, over: float, under: float, x: Any) -> Any:
    """An angle in another unit, rounded as the ufunc rounds it."""
    dtype = ufunc.resolve_dtypes((array_of(builder_of(x), x).dtype, None))[-1]
    if dtype.char not in "fd":
        raise CannotLower(f"{ufunc.__name__} in {dtype}")
    return x.astype(dtype) * (dtype.type(over) / dtype.type(under))


def _triangle(of_lower: bool, m: Any, k: int = 0) -> Any:
    rows, columns = m.shape[-2:]
    lower = np.tri(rows, columns, k if of_lower else k - 1, bool)
    return np.where(lower if of_lower else ~lower, m, np.zeros((), m.dtype))


def _isclose(a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    # Python's numbers stay what they are, so that they take an array's dtype.
    a, b = (v if type(v) in (int, float, bool) else array_of(builder_of(a, b), v) for v in (a, b))
    if any(isinstance(v, Symbol) and v.dtype.kind == "c" for v in (a, b)):
        raise CannotLower("isclose of complex numbers")
    b = b.astype(np.result_type(b.dtype, 1.0)) if isinstance(b, Symbol) else float(b)
    found = ((np.abs(a - b) <= atol + rtol * abs(b)) & np.isfinite(b)) | (a == b)
    return found | (np.isnan(a) & np.isnan(b)) if equal_nan else found


def _array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> Any:
    if np.shape(a1) != np.shape(a2) or equal_nan:
        raise CannotLower("array_equal of other shapes, or with equal_nan=")
    builder = builder_of(a1, a2)
    return np.all(array_of(builder, a1) == array_of(builder, a2))


def _isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: str | None = None
) -> Any:
    builder = builder_of(element, test_elements)
    element, among = array_of(builder, element), array_of(builder, test_elements).reshape(-1)
    if element.size * among.size > _MANY:
        raise CannotLower("isin of many")
    found = np.any(np.equal(element[..., None], among), axis=-1)
    return ~found if invert else found


def _choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Any:
    builder = builder_of(a, choices)
    a, parts = array_of(builder, a), [array_of(builder, c) for c in choices]
    found: Any = parts[-1]
    if out is not None or mode != "raise":
        raise CannotLower("choose with out= or mode=")
    a = provided(a, (a < 0) | (a >= len(parts)), ValueError, "invalid entry in choice array")
    for k in range(len(parts) - 1)[::-1]:
        found = np.where(a == k, parts[k], found)
    return np.broadcast_to(found, np.broadcast_shapes(a.shape, *(p.shape for p in parts)))


def _lexsort(keys: Any, axis: int = -1) -> Any:
    builder = builder_of(keys)
    first, *others = (array_of(builder, k) for k in keys)
    order = np.argsort(first, axis, stable=True)
    for key in others:
        order = np.take_along_axis(order, np.argsort(np.take_along_axis(key, order, axis), axis, stable=True), axis)
    return order


def _unravel_index(indices: Any, shape: int | Sequence[int], order: str = "C") -> tuple[Any, ...]:
    lengths = [shape] if isinstance(shape, int) else [*shape]
    rest = indices.astype(np.intp)
    beyond = (rest < 0) | (rest >= math.prod(lengths))
    rest = provided(rest, beyond, ValueError, f"an index is out of bounds for array with size {math.prod(lengths)}")
    found = []
    for n in lengths if order == "F" else lengths[::-1]:
        found.append(rest % n)
        rest = rest // n
    return tuple(found if order == "F" else found[::-1])


def _bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """Of a number of places that `minlength` says; where values reach further, the program is for another number."""
    builder = builder_of(x, weights)
    x = array_of(builder, x)
    if not minlength or not x.size:
        raise Sized("values say how many places np.bincount counts in")
    if x.ndim != 1 or x.dtype.kind not in "iub":
        raise CannotLower("np.bincount of what is not one row of whole numbers")
    x = provided(x.astype(np.intp), x < 0, ValueError, "'list' argument must have no negative elements")
    x = provided(x, x >= minlength, Resized, "", sized=True)
    counted: Any = np.ones(x.shape, np.intp) if weights is None else array_of(builder, weights).astype(np.float64)
    counts = array_of(builder, np.zeros(minlength, counted.dtype)).copy()
    np.add.at(counts, x, counted)
    return counts


def _heaviside(x: Any, at_zero: Any) -> Any:
    x = array_of(builder_of(x, at_zero), x)
    if x.dtype.char not in "fd":
        raise CannotLower(f"heaviside of {x.dtype}")
    step = np.where(x < 0, np.zeros((), x.dtype), np.ones((), x.dtype))
    return np.where(np.isnan(x), x, np.where(x == 0, at_zero, step))


def _few(a: Any, axis: int | None, what: str) -> tuple[Any, int, int]:
    """An array, or all of it as one row; the axis along which it is to be sorted, and how many elements lie along that."""
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    axis = normalize_axis_index(axis, a.ndim)
    n = a.shape[axis]
    if n > _MANY:
        raise CannotLower(f"{what} of many")
    return a, axis, n


def _median(
    a: Any, axis: int | None = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    if (
        a.dtype.char not in "fd"
        or not a.size
        or out is not None
        or isinstance(axis, tuple)
        or (keepdims and axis is None)
    ):
        raise CannotLower("median over several axes, with out= or of whole numbers")
    a, axis, n = _few(a, axis, "median")
    rising = np.sort(a, axis)

    def at(i: int) -> Any:
        place: Any = slice(i, i + 1) if keepdims else i
        return rising[(*(slice(None),) * axis, place)]

    middle = at(n // 2) if n % 2 else (at(n // 2 - 1) + at(n // 2)) / 2
    # NumPy's sums begin with 0: none is -0.
    return np.where(np.isnan(at(n - 1)), at(n - 1), middle + 0.0)


def _quantile(
    scale: int, a: Any, q: Any, axis: int | None = None, out: None = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: bool = False, *, weights: None = None,
) -> Any:  # fmt: skip
    """As NumPy interpolates, between two of the sorted elements."""
    if a.dtype.char not in "fd" or not a.size or isinstance(axis, tuple):
        raise CannotLower("quantiles of whole numbers, or over several axes")
    if method != "linear" or weights is not None or out is not None or (keepdims and axis is None):
        raise CannotLower("quantiles by another method, with weights or out=")
    a, axis, n = _few(a, axis, "quantiles")
    if scale == 1 and (q if isinstance(q, Symbol) else np.asarray(q)).dtype.kind != "f":
        raise CannotLower("quantiles by whole numbers")  # these are elements, also beside an infinite one
    if not isinstance(q, Symbol):
        q = np.asarray(q, a.dtype if isinstance(q, (int, float)) else None)
    if scale != 1:
        q = q / a.dtype.type(scale)
    beyond = ~((q >= 0) & (q <= 1))
    if isinstance(q, Symbol):
        name = "quantile: Quantiles" if scale == 1 else "percentile: Percentiles"
        q = provided(q, beyond, ValueError, f"{name} must be in the range [0, {scale}]")
    elif beyond.any():
        raise CannotLower("quantiles beyond the ends")
    at = (n - 1) * q
    lower = np.where(at >= n - 1, -1, np.floor(at)).astype(np.intp)
    upper = np.where(at >= n - 1, -1, lower + 1)
    part = np.reshape((at - lower).astype(at.dtype), (*q.shape, *(1,) * (a.ndim - 1)))
    rising = np.moveaxis(np.sort(a, axis), axis, 0)
    low, high = np.take(rising, lower, 0), np.take(rising, upper, 0)
    step = high - low
    found = np.where(part >= 0.5, high - step * (1 - part), low + step * part)
    found = np.where(np.isnan(rising[-1]), rising[-1].astype(found.dtype), found)
    return np.expand_dims(found, q.ndim + axis) if keepdims else found


def _nanmean(
    a: Any, axis: Axis = None, dtype: None = None, out: None = None, keepdims: bool = False, *, where: Any = True
) -> Any:
    if dtype is not None or out is not None or where is not True or a.dtype.char not in "fd":
        raise CannotLower("nanmean with dtype=, out= or where=, or of whole numbers")
    nan = np.isnan(a)
    count = np.sum(~nan, axis=axis, dtype=np.intp, keepdims=keepdims)
    total: Any = np.sum(np.where(nan, 0, a), axis=axis, keepdims=keepdims)
    return (total / count).astype(a.dtype)


def _nanvar(
    a: Any, axis: Axis = None, dtype: None = None, out: None = None, ddof: float = 0, keepdims: bool = False, *,
    where: Any = True, mean: Any = None, correction: float | None = None,
) -> Any:  # fmt: skip
    if dtype is not None or out is not None or where is not True or a.dtype.char not in "fd":
        raise CannotLower("nanvar with dtype=, out= or where=, or of whole numbers")
    taken = ~np.isnan(a)
    count = np.sum(taken, axis=axis, dtype=np.intp, keepdims=keepdims)
    mean = _nanmean(a, axis, keepdims=True) if mean is None else mean
    apart = np.where(taken, a - mean, 0)
    freedom = count - (ddof if correction is None else correction)
    found = np.sum(apart * apart, axis=axis, keepdims=keepdims) / freedom
    return np.where(freedom > 0, found, math.nan).astype(a.dtype)


def _nan_place(largest: bool, a: Any, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> Any:
    if out is not None or a.dtype.char not in "fd" or a.size > _MANY:
        raise CannotLower("the place of an extreme but for nan with out=, of whole numbers, or of many")
    nan = np.isnan(a)
    found: Any = np.where(nan, -math.inf if largest else math.inf, a)
    found = provided(found, np.all(nan, axis=axis), ValueError, "All-NaN slice encountered")
    return (np.argmax if largest else np.argmin)(found, axis=axis, keepdims=keepdims)


def _nanmedian(
    a: Any, axis: int | None = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:
    if a.dtype.char not in "fd" or not a.size or out is not None or isinstance(axis, tuple) or keepdims:
        raise CannotLower("nanmedian over several axes, with out= or keepdims=, or of whole numbers")
    a, axis, _ = _few(a, axis, "nanmedian")
    count = np.sum(~np.isnan(a), axis=axis, keepdims=True, dtype=np.intp)
    rising = np.sort(a, axis)  # nan behind all others
    low, high = (np.take_along_axis(rising, np.maximum(i, 0), axis) for i in ((count - 1) // 2, count // 2))
    middle = np.where(low == high, low, (low + high) / 2) + 0.0
    return np.squeeze(middle, axis)


def _nan_extreme(
    largest: bool, a: Any, axis: Axis = None, out: None = None, keepdims: bool = False, **other: object
) -> Any:
    if out is not None or other or a.dtype.char not in "fd":
        raise CannotLower("an extreme but for nan with out=, initial= or where=, or of whole numbers")
    nan = np.isnan(a)
    extreme = (np.max if largest else np.min)(
        np.where(nan, -math.inf if largest else math.inf, a), axis=axis, keepdims=keepdims
    )
    return np.where(np.all(nan, axis=axis, keepdims=keepdims), math.nan, extreme)


#: Terms that are written one by one.
_TAPS = 32


def _convolve(a: Any, v: Any, mode: str = "full") -> Any:
    """Sums of products with the windows of the longer one: by taps where there are few, by windows where these are, else as one
    product. Those of a window that reaches beyond the ends are left out, since 0 times what is infinite is nan."""
    builder = builder_of(a, v)
    a, v = (np.reshape(array_of(builder, x), -1) if np.ndim(x) == 0 else array_of(builder, x) for x in (a, v))
    if len(a) < len(v):
        a, v = v, a
    short, windows = len(v), len(a) - len(v) + 1
    if mode not in ("full", "same", "valid") or np.result_type(a.dtype, v.dtype).char not in "fdFD" or not short:
        raise CannotLower("a convolution of whole numbers, or of none")
    large = min(short, windows) > _TAPS and len(a) * short > _MANY
    if large or (mode != "valid" and short * short > _MANY):
        raise CannotLower("a long convolution")

    def begin(a: Any, v: Any) -> Any:
        """The first elements, of which each has one product more."""
        row = np.arange(short - 1)
        back = row[:, None] - row
        return np.sum(np.where(back >= 0, a[: short - 1] * v[np.maximum(back, 0)], 0), axis=1)

    turned = v[::-1]
    if short <= _TAPS:
        middle: Any = sum(a[j : j + windows] * turned[j] for j in range(short))
    elif windows <= _TAPS:
        middle = np.stack([np.sum(a[j : j + short] * turned) for j in range(windows)])
    else:
        middle = np.matmul(_sliding_window_view(a, short), turned)
    middle = middle + 0.0  # none is -0
    if mode == "valid" or short == 1:
        return middle
    whole: Any = 0.0 + np.concatenate([begin(a, v), middle, begin(a[::-1], v[::-1])[::-1]])
    return whole if mode == "full" else whole[short - 1 - short // 2 :][: len(a)]


def _correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    builder = builder_of(a, v)
    a, v = array_of(builder, a), _conjugate(array_of(builder, v))
    if len(a) < len(v):
        return _convolve(v, a[::-1], mode)[::-1]
    return _convolve(a, v[::-1], mode)


def _matrix_norm(x: Any, *, keepdims: bool = False, ord: object = "fro") -> Any:
    if ord != "fro":
        raise CannotLower("another norm of matrices than Frobenius's")
    return _vector_norm(x, axis=(-2, -1), keepdims=keepdims)


def _matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    if A.ndim < 2 or not A.size:
        raise CannotLower("the rank of a vector, or without elements")
    s = np.linalg.svd(A, compute_uv=False, hermitian=hermitian)
    if tol is None:
        rtol = max(A.shape[-2:]) * np.finfo(s.dtype).eps if rtol is None else np.expand_dims(rtol, -1)
        cut = np.max(s, axis=-1, keepdims=True) * rtol
    else:
        cut = np.expand_dims(tol, -1)
    return np.sum(s > cut, axis=-1)


def _pinv(a: Any, rcond: Any = None, hermitian: bool = False) -> Any:
    if not a.size:
        raise CannotLower("pinv of no numbers")
    u, s, vt = np.linalg.svd(a, full_matrices=False, hermitian=hermitian)
    cut = np.expand_dims(1e-15 if rcond is None else rcond, -1) * np.max(s, axis=-1, keepdims=True)
    turned = np.where(s > cut, 1 / s, 0)
    return np.matmul(_adjoint(vt), turned[..., None] * _adjoint(u))


FUNCTIONS |= {
    np.convolve: _convolve,
    np.correlate: _correlate,
    np.array_equal: _array_equal,
    np.allclose: lambda *args, **kwargs: np.all(_isclose(*args, **kwargs)),
    np.bincount: _bincount,
    np.degrees: partial(_times, np.degrees, 180, math.pi),
    np.rad2deg: partial(_times, np.degrees, 180, math.pi),
    np.radians: partial(_times, np.radians, math.pi, 180),
    np.deg2rad: partial(_times, np.radians, math.pi, 180),
    np.isclose: _isclose,
    np.isin: _isin,
    np.choose: _choose,
    np.lexsort: _lexsort,
    np.linalg.matrix_norm: _matrix_norm,
    np.linalg.matrix_rank: _matrix_rank,
    np.linalg.pinv: _pinv,
    np.nanargmax: partial(_nan_place, True),
    np.nanargmin: partial(_nan_place, False),
    np.nanmedian: _nanmedian,
    np.nanstd: lambda *args, **kwargs: np.sqrt(_nanvar(*args, **kwargs)),
    np.nanvar: _nanvar,
    np.unravel_index: _unravel_index,
    np.digitize: _digitize,
    np.heaviside: _heaviside,
    np.interp: _interp,
    np.median: _median,
    np.nanmax: partial(_nan_extreme, True),
    np.nanmean: _nanmean,
    np.nanmin: partial(_nan_extreme, False),
    np.percentile: partial(_quantile, 100),
    np.quantile: partial(_quantile, 1),
    np.round: _round,
    np.conjugate: _conjugate,
    np.imag: _imag,
    np.real: _real,
    np.isneginf: lambda x: x == -math.inf,
    np.isposinf: lambda x: x == math.inf,
    np.result_type: _result_type,
    np.compress: _compress,
    np.delete: _delete,
    np.diagonal: _diagonal,
    np.diff: _diff,
    np.linalg.vector_norm: _vector_norm,
    np.lib.stride_tricks.sliding_window_view: _sliding_window_view,
    np.linspace: _linspace,
    np.matvec: _matvec,
    np.repeat: _repeat,
    np.roll: _roll,
    np.take: _take,
    np.tril: partial(_triangle, True),
    np.triu: partial(_triangle, False),
    np.take_along_axis: _take_along_axis,
    np.tile: _tile,
    np.vecdot: _vecdot,
    np.vecmat: _vecmat,
}
