"""Means, variances and standard deviations over axes.

Rules are stated: derived ones take 1.1 times as long on small arrays, over the first axis 2.7 times on large ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import (
    axis_samples,
    chosen,
    conjugate,
    exact,
    hint,
    rare_samples,
    real,
    scaled,
    squared,
    warn_of_none,
)
from tapenet.ops.reductions.sums import count, how_many, spread, sum, sum_more, total
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array, Axis, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def _masked_mean(
    a: Array, axis: Axis, dtype: DTypeLike | None, keepdims: bool, where: ArrayLike
) -> tuple[Array, Array]:
    """The mean of what a mask chooses, and of how many elements it is."""
    kind = a.dtype if dtype is None else np.dtype(dtype)
    made = kind if kind.kind in "fc" or dtype is not None else np.dtype(np.float64)
    wide = np.dtype(np.float32) if made == np.float16 else made  # as NumPy, which rounds once
    n = how_many(a, axis, keepdims, where)
    found = sum_more(a, axis, wide, keepdims=keepdims, where=where) / n.astype(wide)
    return (found if found.dtype == made else found.astype(made)), n


def _mean_more(
    a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: bool = False, where: ArrayLike = True
) -> Array:
    a = array_like(a)
    if where is True:
        return mean(a, axis, dtype, keepdims=keepdims)
    found, n = _masked_mean(a, axis, dtype, keepdims, where)
    warn_of_none(n, "Mean of empty slice")
    return found


@op(
    numpy=np.mean,
    a=lambda g, a_shape, axis, keepdims: spread(g, a_shape, axis, keepdims) / count(a_shape, axis),
    more=_mean_more,
    samples=lambda r: [*axis_samples()(r), sample(r.normal(size=(2, 3)), axis=()), *rare_samples()(r)],
    hint=hint,
)
def mean(a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: Any = False) -> Array:
    """The arithmetic mean over `axis`.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import tapenet as tn
    >>> tn.mean(tn.tensor([1.0, 3.0]))
    Tensor(2.)
    """
    if dtype is None and type(a) is np.ndarray and a.dtype.char in "fd" and a.size and a.shape:
        # What np.mean does, without its detour through Python.
        found: Array = total(a, axis, None, keepdims) / count(a.shape, axis)
    else:
        found = np.mean(a, axis=axis, dtype=dtype, keepdims=keepdims)
    return found


#: Below this a float32 variance is not trusted, nor where it is not finite: squares of deviations that float32 does not hold
#: may be in it.
_LEAST = 2.0**-100


def _variance(a: Array, axis: Axis, dtype: DTypeLike | None, ddof: float, keepdims: Any) -> Array:
    """The variance; of float32 in float64 where squares are beyond float32."""
    if type(a) is not np.ndarray or a.dtype.char != "f" or dtype is not None or not (a.shape and a.size):
        found: Array = np.var(a, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)
        return found
    with np.errstate(over="ignore", invalid="ignore"):  # what np.var does, without its detour through Python
        centred = a - total(a, axis, None, True) / (n := count(a.shape, axis))
        np.multiply(centred, centred, centred)
        squares = total(centred, axis, None, keepdims)
    if n > ddof:
        found = squares / (n - ddof)
        least, most = found, found
        if found.ndim:
            least, most = np.minimum.reduce(found, None, initial=1), np.maximum.reduce(found, None, initial=1)
        if least > _LEAST and most < math.inf:
            return found
    found = np.var(a.astype(np.float64), axis=axis, ddof=ddof, keepdims=keepdims)
    return found


def _lowered(root: Callable[[Array], Array]) -> Callable[..., Array]:
    """The same without looking at the result: squares of float32 numbers always in float64."""

    def lowered(a: Array, axis: Axis, dtype: DType, ddof: float, keepdims: bool) -> Array:
        if a.dtype.char != "f" or dtype is not None:
            return root(np.var(a, axis, dtype, ddof=ddof, keepdims=keepdims))
        centred = (a - np.mean(a, axis, keepdims=True)).astype(np.float64)
        total = np.sum(centred * centred, axis, keepdims=keepdims)
        freedom = count(a.shape, axis) - ddof
        return root(total / (freedom if freedom > 0 else 0)).astype(np.float32)

    return lowered


def _centre(a: Array, axis: Axis) -> Array:
    """The mean, with the axes kept; of float32 numbers whose sum overflows in float64."""
    mean: Array = np.mean(a, axis=axis, keepdims=True)
    if type(a) is np.ndarray and a.dtype.char == "f" and not np.isfinite(mean).all():
        wide: Array = np.mean(a.astype(np.float64), axis=axis, keepdims=True)
        return wide.astype(np.float32)
    return mean


def _var_a(g: Array, a: Array, axis: Axis, ddof: int, keepdims: bool) -> Array:
    n = count(a.shape, axis) - ddof
    g = spread(real(g), a.shape, axis, keepdims)
    if n <= 0:
        return safe_mul(g, math.nan)
    mean = _centre(a, axis)
    return scaled(g * (2 / n), conjugate(a - mean), mean)


def _std_a(g: Array, out: Array, a: Array, axis: Axis, ddof: int, keepdims: bool) -> Array:
    # Where the deviation is 0 the gradient is set to 0, its mean over all directions.
    n = count(a.shape, axis) - ddof
    g = spread(real(g), a.shape, axis, keepdims)
    if n <= 0:
        return safe_mul(g, math.nan)
    mean, out = _centre(a, axis), real(out)
    g = g * (1 / n) / spread(np.where(out > 0, out, 1), a.shape, axis, keepdims)
    return scaled(g, conjugate(a - mean), mean)


def _ddof(ddof: float, correction: float | None) -> float:
    if correction is None:
        return ddof
    if ddof != 0:
        raise ValueError("ddof= and correction= are two names for one number: give one of them")
    return correction


def _var_more(
    a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, ddof: float = 0, keepdims: bool = False,
    where: ArrayLike = True, mean: ArrayLike | None = None, correction: float | None = None,
) -> Array:  # fmt: skip
    a = array_like(a)
    ddof = _ddof(ddof, correction)
    if where is True and mean is None:
        return var(a, axis, dtype, ddof=ddof, keepdims=keepdims)
    if dtype is None and a.dtype.kind in "biu":
        dtype = np.float64
    if mean is None:
        mean, _ = _masked_mean(a, axis, dtype, True, where)
    # Masked before it is squared: the gradient 0 times a nan that is left out would be nan.
    total = sum(squared(chosen("var", a - mean, where, 0)), axis, dtype, keepdims=keepdims)
    dof = how_many(a, axis, keepdims, where) - ddof
    warn_of_none(dof)
    if where is True:
        found: Array = total / (dof if dof > 0 else 0)
    else:
        found = total / np.maximum(dof, 0).astype(total.dtype)
    return found if found.dtype == total.dtype else found.astype(total.dtype)


def _std_more(
    a: Array,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    *,
    ddof: float = 0,
    keepdims: bool = False,
    where: ArrayLike = True,
    mean: ArrayLike | None = None,
    correction: float | None = None,
) -> Array:
    ddof = _ddof(ddof, correction)
    if where is True and mean is None:
        return std(a, axis, dtype, ddof=ddof, keepdims=keepdims)
    squares = _var_more(a, axis, dtype, ddof=ddof, keepdims=keepdims, where=where, mean=mean)
    zero = squares == 0
    return np.where(zero, 0, np.sqrt(np.where(zero, 1, squares)))  # with gradient 0 at 0, as without a mask


def _moment_samples(r: np.random.Generator) -> list[Sample]:
    return [
        sample(r.normal(size=(2, 5)), axis=1, ddof=1),
        sample(r.normal(size=(2, 5)), axis=1, correction=1),
        sample(r.normal(size=(2, 3)), axis=(0, -1), mean=0.25),
        sample(exact(r, 2, 4), axis=0, mean=0.5, keepdims=True, correction=0.5),
        # Means of four or two such elements are exact.
        sample(exact(r, 2, 6), axis=1, where=np.array([True, True, False, True, False, True]), ddof=1),
        sample(exact(r, 2, 3), where=np.array([[True, False, True]])),
    ]


@op(
    numpy=np.var,
    a=_var_a,
    lower=_lowered(lambda variance: variance),
    formula="Σ (a − μ)² / (n − ddof), μ = Σ a / n",
    gradients="a: g · 2 (a − μ)/(n − ddof)",
    more=_var_more,
    samples=lambda r: [*axis_samples()(r), *_moment_samples(r)],
    hint=hint,
)
def var(
    a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, ddof: float = 0, keepdims: bool = False
) -> Array:
    """The variance over `axis`: the mean squared deviation, divided by n - ddof.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        ddof, correction: what the number of elements is lessened by; two names for one number.
        where: a mask that broadcasts to `a`; only what it chooses takes part.
        mean: the mean, if it is known, of a shape as with keepdims.

    >>> import tapenet as tn
    >>> tn.var(tn.tensor([1.0, 3.0]))
    Tensor(1.)
    """
    found = _variance(a, axis, dtype, ddof, keepdims)
    return found if dtype is not None or a.dtype.char != "f" else found.astype(np.float32, copy=False)


@op(
    numpy=np.std,
    a=_std_a,
    lower=_lowered(np.sqrt),
    formula="√(Σ (a − μ)² / (n − ddof)), μ = Σ a / n",
    gradients="a: g · (a − μ)/((n − ddof) · out)",
    more=_std_more,
    samples=lambda r: [*list(axis_samples()(r))[:-1], *_moment_samples(r)],
    hint=hint,
)
def std(
    a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, ddof: float = 0, keepdims: bool = False
) -> Array:
    """The standard deviation over `axis`, the square root of `var`; its gradient is 0 where it is 0.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        ddof, correction: what the number of elements is lessened by; two names for one number.
        where: a mask that broadcasts to `a`; only what it chooses takes part.
        mean: the mean, if it is known, of a shape as with keepdims.

    >>> import tapenet as tn
    >>> tn.std(tn.tensor([1.0, 3.0]))
    Tensor(1.)
    """
    found = np.sqrt(_variance(a, axis, dtype, ddof, keepdims))
    return found if dtype is not None or a.dtype.char != "f" else found.astype(np.float32, copy=False)
