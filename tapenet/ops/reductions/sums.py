"""Sums over axes, plain and of exponentials; and what reductions make of axes.

Rules are stated: derived ones take up to 1.5 times as long, for `logsumexp` twice as long.
"""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet import kernels
from tapenet.ops.derived import array_like
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import (
    axis_samples,
    chosen,
    hint,
    number,
    rare_samples,
    scaled,
)
from tapenet.ops.registry import sample
from tapenet.program.rehearsal import captures
from tapenet.typing import Array, Axis

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def spread(g: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool = False) -> Array:
    """A reduced array in a shape that broadcasts against the array that was reduced."""
    if keepdims or axis is None or g.ndim == len(shape):
        return g
    return np.reshape(g, kept_shape(shape, axis))


def kept_shape(shape: tuple[int, ...], axis: int | tuple[int, ...]) -> tuple[int, ...]:
    """`shape` with the reduced axes at length one."""
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    reduced = {a % len(shape) for a in axes}
    return tuple(1 if i in reduced else n for i, n in enumerate(shape))


def count(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements of `shape` one reduction over `axis` takes in."""
    if axis is None or not shape:
        return math.prod(shape)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    return math.prod(shape[a] for a in axes)


#: A kernel's sum of so many elements takes as long as NumPy's, for which each row counts as `ROW` more of them.
WORTH, ROW = 1 << 15, 128
LEAST = WORTH // ROW


def total(a: Array, axis: Axis = None, dtype: DTypeLike | None = None, keepdims: Any = False) -> Array:
    """`np.add.reduce`; along rows of large arrays by a kernel, whose rounding errors are like NumPy's. Of 1,024 x 1,024 float32
    numbers it takes 0.3 of NumPy's time, of 100,000 x 3 0.2."""
    if type(a) is np.ndarray and a.size > LEAST and a.size + ROW * (a.size // a.shape[-1]) >= WORTH and dtype is None:
        by_kernel = _by_kernel(a, axis, keepdims)
        if by_kernel is not None:
            return by_kernel
    found: Array = np.add.reduce(a, axis=axis, dtype=dtype, keepdims=keepdims)
    return found


def _by_kernel(a: Array, axis: Axis, keepdims: Any) -> Array | None:
    """The sum over the last axes, where it pays."""
    axes = tuple(range(a.ndim)) if axis is None else axis if type(axis) is tuple else (axis,)
    first = a.ndim - len(axes)
    if not axes or first < 0 or any(type(i) is not int or i not in (n, n - a.ndim) for n, i in enumerate(axes, first)):
        return None
    rows = math.prod(a.shape[:first])
    fit = a.flags.c_contiguous and kernels.fit(a) and type(keepdims) is bool
    if a.size + ROW * rows < WORTH or not fit or captures() or not kernels.on():
        return None
    found: Array = importlib.import_module("tapenet.kernels.sums").along_rows(a.reshape(rows, -1))
    if not np.logical_and.reduce(np.isfinite(found)):
        return None  # NumPy, which adds up again, warns of what overflows
    shape = a.shape[:first] + (1,) * (len(axes) * keepdims)
    kept: Array = found.reshape(shape)[()]  # a number, as NumPy's, of all axes
    return kept


def how_many(a: Array, axis: Axis, keepdims: bool, where: ArrayLike) -> Array:
    """How many elements each reduction takes in: a number, or where there is a mask an array."""
    if where is True:
        return count(a.shape, axis)
    found: Array = np.sum(np.broadcast_to(array_like(where), a.shape), axis=axis, keepdims=keepdims)
    return found


def sum_more(
    a: Array,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    *,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike = True,
) -> Array:
    """Calls of `sum` with initial= and where=."""
    a = array_like(a)
    total = sum(chosen("sum", a, where, 0), axis, dtype, keepdims=keepdims)
    return total if initial is None else total + number(initial, total.dtype)


@op(
    numpy=np.sum,
    a=lambda g, a_shape, axis, keepdims: spread(g, a_shape, axis, keepdims),
    more=sum_more,
    samples=lambda r: [*axis_samples()(r), sample(r.normal(size=(2, 3)), axis=()), *rare_samples(0.5)(r)],
    hint=hint,
)
def sum(a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: Any = False) -> Array:
    """The sum of the elements over `axis`; `dtype` is that of the result.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        initial: a number that takes part in each result.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import tapenet as tn
    >>> tn.sum(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([4., 6.])
    """
    return total(a, axis, dtype, keepdims)


def _logsumexp_more(
    a: Array,
    axis: Axis = None,
    *,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike = True,
) -> Array:
    a = array_like(a)
    found = logsumexp(chosen("logsumexp", a, where, -math.inf), axis, keepdims=keepdims)
    return found if initial is None else np.logaddexp(found, number(initial, found.dtype))


def _logsumexp_a(g: Array, out: Array, a: Array, axis: Axis, keepdims: bool) -> Array:
    out = spread(out, a.shape, axis, keepdims)
    return scaled(spread(g, a.shape, axis, keepdims), np.exp(a - np.where(out == -math.inf, 0, out)), out)


@op(
    numpy=(),
    fuse=True,
    a=_logsumexp_a,  # by the result, in half the time of the derived rule
    formula="ln Σ eᵃ",
    more=_logsumexp_more,
    samples=lambda r: [*axis_samples()(r), *list(rare_samples(0.5)(r))[:-1]],
    hint=hint,
)
def logsumexp(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The logarithm of the sum of exponentials over `axis`, without overflow; -inf of no elements. The gradient of a row of
    -inf alone is 0.

        Args:
            a: an array.
            axis: an axis, a tuple of axes, or None for all.
            keepdims: keep the reduced axes, with length one.
            initial: the logarithm of a further summand.
            where: a mask that broadcasts to `a`; only what it chooses takes part.

        >>> import tapenet as tn
        >>> tn.logsumexp(tn.tensor([0.0, 0.0]))
        Tensor(0.69314718)
    """
    top: Array | float = 0.0
    if count(a.shape, axis):  # of no elements it is ln 0
        top = np.max(np.real(a) if a.dtype.kind == "c" else a, axis=axis, keepdims=True)
        top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # a row of -inf alone: log 0
        out: Array = np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis=None if axis is None or a.ndim == 0 else axis)
