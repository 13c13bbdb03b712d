"""Sums, means, extremes and products over axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import Op, Rule, op
from tapenet.ops.reductions.masking import (
    ARGS,
    INITIAL,
    WHERE,
    axis_samples,
    chosen,
    conjugate,
    divisible,
    exact,
    hint,
    like,
    number,
    rare_samples,
    real,
    scaled,
    squared,
    warn_of_none,
)
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.typing import Array, Axis, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def spread(g: Array, shape: tuple[int, ...], axis: Axis, keepdims: bool = False) -> Array:
    """Bring a reduced array to a shape that broadcasts against what was reduced."""
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


def how_many(a: Array, axis: Axis, keepdims: bool, where: ArrayLike) -> Array:
    """How many elements each reduction takes in: a number, or where there is a mask an array."""
    if where is True:
        return count(a.shape, axis)
    return np.sum(np.broadcast_to(array_like(where), a.shape), axis=axis, keepdims=keepdims)


def _reduction(
    forward: Callable[..., object], numpy: object, name: str, summary: str, example: str,
    samples: Samples, more: Callable[..., Array], options: str, lower: Callable[..., Array] | None = None,
    formula: str | None = None, gradients: str | None = None, **rules: Rule,
) -> Op:  # fmt: skip
    made: Op = op(
        forward,
        name=name,
        numpy=numpy,
        doc=f"{summary}\n{ARGS}{options}\n\n    >>> import tapenet as tn\n    >>> tn.{example}\n    ",
        samples=samples,
        hint=hint,
        more=more,
        lower=lower,
        formula=formula,
        gradients=gradients,
        grads=rules,
    )
    made.__module__ = __name__
    return made


# -- sums and means ----------------------------------------------------------------------------------------------


def _sum_more(
    a: Array,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    *,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike = True,
) -> Array:
    a = array_like(a)
    total = sum(chosen("sum", a, where, 0), axis, dtype, keepdims=keepdims)
    return total if initial is None else total + number(initial, total.dtype)


sum = _reduction(
    lambda a, axis=None, dtype=None, *, keepdims=False: np.add.reduce(a, axis=axis, dtype=dtype, keepdims=keepdims),
    np.sum,
    "sum",
    "The sum of the elements over `axis`; `dtype` is that of the result.",
    "sum(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)\n    Tensor([4., 6.])",
    lambda r: [*axis_samples()(r), sample(r.normal(size=(2, 3)), axis=()), *rare_samples(0.5)(r)],
    _sum_more,
    INITIAL + WHERE,
    a=lambda g, a_shape, axis, keepdims: spread(g, a_shape, axis, keepdims),
)


def _mean(a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: Any = False) -> Array:
    if dtype is None and type(a) is np.ndarray and a.dtype.char in "fd" and a.size and a.shape:
        # What np.mean does, without its detour through Python.
        return np.add.reduce(a, axis=axis, keepdims=keepdims) / count(a.shape, axis)
    return np.mean(a, axis=axis, dtype=dtype, keepdims=keepdims)


def _mean_more(
    a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: bool = False, where: ArrayLike = True
) -> Array:
    a = array_like(a)
    if where is True:
        return mean(a, axis, dtype, keepdims=keepdims)
    found, n = _masked_mean(a, axis, dtype, keepdims, where)
    warn_of_none(n, "Mean of empty slice")
    return found


def _masked_mean(
    a: Array, axis: Axis, dtype: DTypeLike | None, keepdims: bool, where: ArrayLike
) -> tuple[Array, Array]:
    """The mean of what a mask chooses, and of how many elements it is."""
    kind = a.dtype if dtype is None else np.dtype(dtype)
    made = kind if kind.kind in "fc" or dtype is not None else np.dtype(np.float64)
    wide = np.dtype(np.float32) if made == np.float16 else made  # as NumPy, which rounds once
    n = how_many(a, axis, keepdims, where)
    found = _sum_more(a, axis, wide, keepdims=keepdims, where=where) / n.astype(wide)
    return (found if found.dtype == made else found.astype(made)), n


mean = _reduction(
    _mean,
    np.mean,
    "mean",
    "The arithmetic mean over `axis`.",
    "mean(tn.tensor([1.0, 3.0]))\n    Tensor(2.)",
    lambda r: [*axis_samples()(r), sample(r.normal(size=(2, 3)), axis=()), *rare_samples()(r)],
    _mean_more,
    WHERE,
    a=lambda g, a_shape, axis, keepdims: spread(g, a_shape, axis, keepdims) / count(a_shape, axis),
)


#: Below this a float32 variance is not trusted, nor where it is not finite: squares of deviations that float32 does not hold
#: may be in it.
_LEAST = 2.0**-100


def _variance(a: Array, axis: Axis, dtype: DTypeLike | None, ddof: float, keepdims: Any) -> Array:
    """The variance; of float32 in float64 where squares are beyond float32."""
    if type(a) is not np.ndarray or a.dtype.char != "f" or dtype is not None or not (a.shape and a.size):
        return np.var(a, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims)
    with np.errstate(over="ignore", invalid="ignore"):  # what np.var does, without its detour through Python
        centred = a - np.add.reduce(a, axis=axis, keepdims=True) / (n := count(a.shape, axis))
        np.multiply(centred, centred, centred)
        total = np.add.reduce(centred, axis=axis, keepdims=keepdims)
    if n > ddof:
        found = total / (n - ddof)
        least, most = found, found
        if found.ndim:
            least, most = np.minimum.reduce(found, None, initial=1), np.maximum.reduce(found, None, initial=1)
        if least > _LEAST and most < math.inf:
            return found
    return np.var(a.astype(np.float64), axis=axis, ddof=ddof, keepdims=keepdims)


def _var(
    a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, ddof: float = 0, keepdims: bool = False
) -> Array:
    found = _variance(a, axis, dtype, ddof, keepdims)
    return found if dtype is not None or a.dtype.char != "f" else found.astype(np.float32, copy=False)


def _std(
    a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, ddof: float = 0, keepdims: bool = False
) -> Array:
    found = np.sqrt(_variance(a, axis, dtype, ddof, keepdims))
    return found if dtype is not None or a.dtype.char != "f" else found.astype(np.float32, copy=False)


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
    # At zero deviation the gradient is taken as 0, its mean over directions.
    n = count(a.shape, axis) - ddof
    g = spread(real(g), a.shape, axis, keepdims)
    if n <= 0:
        return safe_mul(g, math.nan)
    mean, out = _centre(a, axis), real(out)
    g = g * (1 / n) / spread(np.where(out > 0, out, 1), a.shape, axis, keepdims)
    return scaled(g, conjugate(a - mean), mean)


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
    # Masked before it is squared: a nan that is left out must not meet the gradient 0 in a product.
    total = sum(squared(chosen("var", a - mean, where, 0)), axis, dtype, keepdims=keepdims)
    dof = how_many(a, axis, keepdims, where) - ddof
    warn_of_none(dof)
    if where is True:
        found = total / (dof if dof > 0 else 0)
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


def _ddof(ddof: float, correction: float | None) -> float:
    if correction is None:
        return ddof
    if ddof != 0:
        raise ValueError("ddof= and correction= are two names for one number: give one of them")
    return correction


_DDOF = """
        ddof, correction: what the number of elements is lessened by; two names for one number."""
_MEAN = """
        mean: the mean, if it is known, of a shape as with keepdims."""


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


var = _reduction(
    _var,
    np.var,
    "var",
    "The variance over `axis`: the mean squared deviation, divided by n - ddof.",
    "var(tn.tensor([1.0, 3.0]))\n    Tensor(1.)",
    lambda r: [*axis_samples()(r), *_moment_samples(r)],
    _var_more,
    _DDOF + WHERE + _MEAN,
    _lowered(lambda variance: variance),
    a=_var_a,
    formula="Σ (a − μ)² / (n − ddof), μ = Σ a / n",
    gradients="a: g · 2 (a − μ)/(n − ddof)",
)
std = _reduction(
    _std,
    np.std,
    "std",
    "The standard deviation over `axis`, the square root of `var`; its gradient is 0 where it is 0.",
    "std(tn.tensor([1.0, 3.0]))\n    Tensor(1.)",
    lambda r: [*list(axis_samples()(r))[:-1], *_moment_samples(r)],
    _std_more,
    _DDOF + WHERE + _MEAN,
    _lowered(np.sqrt),
    a=_std_a,
    formula="√(Σ (a − μ)² / (n − ddof)), μ = Σ a / n",
    gradients="a: g · (a − μ)/((n − ddof) · out)",
)


# -- extremes ----------------------------------------------------------------------------------------------------


def share(g: Array, out: Array, a: Array, axis: Axis, keepdims: bool) -> Array:
    """The gradient of an extreme, spread evenly over the elements that equal it."""
    equal = a == spread(out, a.shape, axis, keepdims)
    ties = np.sum(equal, axis=axis, keepdims=True).astype(g.dtype)
    return np.where(equal, spread(g, a.shape, axis, keepdims) / ties, 0)


def bound(dtype: DType, sign: int) -> complex:
    """The number that no other is less than (for sign 1: greater than)."""
    if dtype.kind == "b":
        return sign > 0
    if dtype.kind in "iu":
        return int(np.iinfo(dtype).max if sign > 0 else np.iinfo(dtype).min)
    return complex(sign * math.inf, sign * math.inf) if dtype.kind == "c" else sign * math.inf


def extreme_more(name: str, of_two: Callable[[Array, Array], Array], sign: int) -> Callable[..., Array]:
    """What answers the calls of an extreme with first values and masks: sign is -1 for the largest, 1 for the smallest."""

    def more(
        a: Array,
        axis: Axis = None,
        *,
        keepdims: bool = False,
        initial: ArrayLike | None = None,
        where: ArrayLike = True,
    ) -> Array:
        a = array_like(a)
        reduction = max if sign < 0 else min
        if where is not True:
            if initial is None:
                raise ValueError(f"{name}: where= needs initial=, the result where nothing is chosen")
            a = chosen(name, a, where, bound(a.dtype, sign))
        if initial is None:
            return reduction(a, axis, keepdims=keepdims)
        initial = number(initial, a.dtype)
        if count(a.shape, axis) == 0:
            return sum(a, axis, a.dtype, keepdims=keepdims) + initial
        return of_two(reduction(a, axis, keepdims=keepdims), initial)

    return more


max = _reduction(
    lambda a, axis=None, *, keepdims=False: np.max(a, axis=axis, keepdims=keepdims),
    (np.max, np.amax),
    "max",
    "The largest element over `axis`; equal ones share the gradient evenly (`initial`, if equal, has half of it).",
    "max(tn.tensor([1.0, 3.0]))\n    Tensor(3.)",
    lambda r: [*axis_samples()(r), *rare_samples(0.1, where=False)(r)],
    extreme_more("max", np.maximum, -1),
    INITIAL + WHERE,
    a=share,
)
min = _reduction(
    lambda a, axis=None, *, keepdims=False: np.min(a, axis=axis, keepdims=keepdims),
    (np.min, np.amin),
    "min",
    "The smallest element over `axis`; equal ones share the gradient evenly (`initial`, if equal, has half of it).",
    "min(tn.tensor([1.0, 3.0]))\n    Tensor(1.)",
    lambda r: [*axis_samples()(r), *rare_samples(0.1, where=False)(r)],
    extreme_more("min", np.minimum, 1),
    INITIAL + WHERE,
    a=share,
)


@op(
    numpy=np.ptp,
    gradients="a: g/k at each of the k largest, −g/k at each of the k smallest",
    samples=axis_samples(),
    hint=lambda a, *_: "Of no elements there is no range" if 0 in np.shape(a) else hint(a),
)
def ptp(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The range of the values over `axis`: the largest less the smallest, each with its gradient.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.

    >>> import tapenet as tn
    >>> tn.ptp(tn.tensor([1.0, 4.0, 2.0]))
    Tensor(3.)
    """
    return np.subtract(np.max(a, axis=axis, keepdims=keepdims), np.min(a, axis=axis, keepdims=keepdims))


# -- products ----------------------------------------------------------------------------------------------------


def _others(a: Array) -> Array:
    """For each element along the last axis, the product of all the others.

    Halves are multiplied pairwise, and their own others found in turn: no division, so zeros are no exception,
    and n elements cost about 3n multiplications.
    """
    n = a.shape[-1]
    if n <= 1:
        return np.ones_like(a)
    half = n // 2
    low, high, rest = a[..., :half], a[..., half : 2 * half], a[..., 2 * half :]
    pairs = _others(np.concatenate([low * high, rest], axis=-1))
    shared = pairs[..., :half]
    return np.concatenate([shared * high, shared * low, pairs[..., half:]], axis=-1)


def _prod_a(g: Array, out: Array, a: Array, axis: Axis, keepdims: bool) -> Array:
    a = like(a, g)
    if divisible(out):
        whole = g * out
        if np.isfinite(whole).all():
            return spread(whole, a.shape, axis, keepdims) / a
    axes = tuple(range(a.ndim)) if axis is None else axis if isinstance(axis, (tuple, list)) else (axis,)
    axes = tuple(i % a.ndim for i in axes) if a.ndim else ()
    order = tuple(i for i in range(a.ndim) if i not in axes) + axes
    moved = np.transpose(a, order)
    lead = moved.shape[: a.ndim - len(axes)]
    others = np.reshape(_others(np.reshape(moved, (*lead, math.prod(a.shape[i] for i in axes)))), moved.shape)
    back = np.transpose(others, tuple(int(i) for i in np.argsort(order)))
    return safe_mul(spread(g, a.shape, axis, keepdims), back)


def _prod_more(
    a: Array,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    *,
    keepdims: bool = False,
    initial: ArrayLike | None = None,
    where: ArrayLike = True,
) -> Array:
    a = array_like(a)
    product = prod(chosen("prod", a, where, 1), axis, dtype, keepdims=keepdims)
    return product if initial is None else product * number(initial, product.dtype)


prod = _reduction(
    lambda a, axis=None, dtype=None, *, keepdims=False: np.prod(a, axis=axis, dtype=dtype, keepdims=keepdims),
    np.prod,
    "prod",
    "The product of the elements over `axis`. The gradient is right with zeros among them.",
    "prod(tn.tensor([2.0, 3.0]))\n    Tensor(6.)",
    lambda r: [
        *axis_samples()(r),
        sample(np.array([2.0, 0.0, 3.0])),
        sample(np.array([0.0, 0.0, 3.0])),
        sample(r.normal(size=(2, 3)), axis=()),
        *rare_samples(0.5)(r),
    ],
    _prod_more,
    INITIAL + WHERE,
    a=_prod_a,
    gradients="a: g · Π of the other elements",
)


def _logsumexp(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    top: Array | float = 0.0
    if count(a.shape, axis):  # of no elements it is ln 0
        top = np.max(np.real(a) if a.dtype.kind == "c" else a, axis=axis, keepdims=True)
        top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):  # a row of -inf alone: log 0
        out = np.log(np.sum(np.exp(a - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis=None if axis is None or a.ndim == 0 else axis)


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


logsumexp = _reduction(
    _logsumexp,
    (),
    "logsumexp",
    "The logarithm of the sum of exponentials over `axis`, without overflow; -inf of no elements. The gradient of a row of\n"
    "-inf alone is 0.",
    "logsumexp(tn.tensor([0.0, 0.0]))\n    Tensor(0.69314718)",
    lambda r: [*axis_samples()(r), *list(rare_samples(0.5)(r))[:-1]],
    _logsumexp_more,
    """
        initial: the logarithm of a further summand."""
    + WHERE,
    a=_logsumexp_a,
    formula="ln Σ eᵃ",
)

amax, amin = max, min
