"""Running sums, products and extremes: along an axis, what has come so far."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.indexing.selecting import along
from tapenet.ops.op import Op, Scatter, op
from tapenet.ops.reductions.masking import divisible, like, without_nan
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.program.derivatives import without_minus_inf
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike


def _last(a: Array, axis: int | None) -> Array:
    """`a` with the axis of the running sum moved to the end; flattened if it is None."""
    return np.reshape(a, (-1,)) if axis is None or a.ndim == 0 else np.moveaxis(a, axis, -1)


def _back(d: Array, shape: tuple[int, ...], axis: int | None) -> Array:
    """Undo `_last`."""
    return np.reshape(d, shape) if axis is None or not shape else np.moveaxis(d, -1, axis)


def _from_the_end(a: Array) -> Array:
    """Sums along the last axis from each element to the end."""
    return np.flip(np.cumsum(np.flip(a, -1), -1), -1)


def recurrence(g: Array, a: Array) -> Array:
    """Solve s[i] = g[i] + a[i] · s[i+1] along the last axis, where s is 0 beyond the end.

    Neighbours are put together, the recurrence of half the length solved, and what lies between filled in: n elements
    cost about 3n products in log n steps, and no division. Products of `a` may overflow where plain recursion would
    meet a zero first, hence `safe_mul`.
    """
    n = g.shape[-1]
    if n <= 1:
        return g
    if n % 2:
        return recurrence(shifted_in(g), shifted_in(a))[..., :n]
    first, second = a[..., ::2], a[..., 1::2]
    odd = g[..., 1::2]
    even = recurrence(g[..., ::2] + safe_mul(odd, first), safe_mul(first, second))
    odd = odd + safe_mul(shifted_in(even[..., 1:]), second)
    return np.reshape(np.stack([even, odd], -1), g.shape)


def shifted_in(a: Array) -> Array:
    """`a` with one more zero at the end of its last axis."""
    return np.concatenate([a, np.zeros((*a.shape[:-1], 1), a.dtype)], -1)


def _samples(*, positive: bool = False, flat: bool = True) -> Samples:
    """Calls over every kind of axis, and over arrays of no element and of one."""

    def make(r: np.random.Generator) -> list[Sample]:
        def array(*shape: int) -> Array:
            return r.uniform(0.5, 2.0, shape) if positive else r.normal(size=shape)

        calls = [sample(array(5), 0), sample(array(2, 3), axis=-1), sample(array(2, 2, 2), 1), sample(array(0, 2), 0)]
        return (
            [*calls, sample(array(2, 3)), sample(array(4)), sample(array())] if flat else [*calls, sample(array(3, 2))]
        )

    return make


@op(
    numpy=np.cumsum,
    a=lambda g, a_shape, axis: _back(_from_the_end(_last(g, axis)), a_shape, axis),
    gradients="a: the sum of g from each element to the end",
    vmap="axis",
    samples=_samples(),
    hint=lambda a, axis, dtype: f"axis must be one of the {np.ndim(a)} axes of a, or None",
)
def cumsum(a: Array, axis: int | None = None, dtype: DTypeLike | None = None) -> Array:
    """The running sum: each element and all before it.

    Args:
        a: an array.
        axis: the axis to run along; None flattens `a` first.
        dtype: that of the result, in which it is computed.

    Returns:
        an array of the shape of `a`; one-dimensional if `axis` is None.

    >>> import tapenet as tn
    >>> tn.cumsum(tn.tensor([1.0, 2.0, 3.0]))
    Tensor([1., 3., 6.])
    """
    return np.cumsum(a, axis, dtype)


def _cumprod_a(g: Array, out: Array, a: Array, axis: int | None) -> Array:
    # The elements before i multiply all that follow; what follows is g[i] + a[i+1] · (g[i+1] + a[i+2] · (...)).
    shape = a.shape
    g, out, a = (_last(v, axis) for v in (g, out, like(a, g)))
    if divisible(out):  # that is out[i] / a[i] times what follows
        sums = _from_the_end(g * out)
        if np.isfinite(sums[..., :1]).all():  # which all of them are part of
            return _back(sums / a, shape, axis)
    before = np.concatenate([np.ones((*a.shape[:-1], min(a.shape[-1], 1)), out.dtype), out[..., :-1]], -1)
    after = recurrence(g, shifted_in(a[..., 1:]))
    return _back(safe_mul(after, before), shape, axis)


@op(
    numpy=np.cumprod,
    a=_cumprod_a,
    gradients="a: Σ over j ≥ i of g[j] · Π of the others of a[0] … a[j]",
    vmap="axis",
    samples=lambda r: [
        *_samples()(r),
        sample(np.array([2.0, 0.0, 3.0, 0.5])),
        sample(np.array([[0.0, 0.0, 3.0], [1.0, 2.0, 0.0]]), 1),
    ],
    hint=lambda a, axis, dtype: f"axis must be one of the {np.ndim(a)} axes of a, or None",
)
def cumprod(a: Array, axis: int | None = None, dtype: DTypeLike | None = None) -> Array:
    """The running product: each element times all before it. The gradient is right with zeros among them, and takes
    a number of steps that is linear in the length. It is infinite where the product of what follows alone overflows.

    Args:
        a: an array.
        axis: the axis to run along; None flattens `a` first.
        dtype: that of the result, in which it is computed.

    Returns:
        an array of the shape of `a`; one-dimensional if `axis` is None.

    >>> import tapenet as tn
    >>> tn.cumprod(tn.tensor([1.0, 2.0, 3.0]))
    Tensor([1., 2., 6.])
    """
    return np.cumprod(a, axis, dtype)


@derived(
    numpy=np.nancumsum,
    samples=lambda r: [*_samples()(r), sample(np.array([[1.0, np.nan, 2.0], [np.nan, 3.0, 4.0]]), 1)],
)
def nancumsum(a: Array, axis: int | None = None, dtype: DTypeLike | None = None) -> Array:
    """The running sum where nan counts as 0; its gradient there is 0. Arguments as for `cumsum`.

    >>> import tapenet as tn
    >>> tn.nancumsum(tn.tensor([1.0, float("nan"), 3.0]))
    Tensor([1., 1., 4.])
    """
    return np.cumsum(without_nan(a, 0), axis, dtype)


@derived(
    numpy=np.nancumprod,
    samples=lambda r: [*_samples()(r), sample(np.array([[1.5, np.nan, 2.0], [np.nan, 3.0, 4.0]]), 1)],
)
def nancumprod(a: Array, axis: int | None = None, dtype: DTypeLike | None = None) -> Array:
    """The running product where nan counts as 1; its gradient there is 0. Arguments as for `cumprod`.

    >>> import tapenet as tn
    >>> tn.nancumprod(tn.tensor([2.0, float("nan"), 3.0]))
    Tensor([2., 2., 6.])
    """
    return np.cumprod(without_nan(a, 1), axis, dtype)


def _initial_samples(r: np.random.Generator) -> list[Sample]:
    return [
        sample(r.normal(size=4)),
        sample(r.normal(size=3), include_initial=True),
        sample(r.normal(size=(2, 3)), axis=-1, include_initial=True),
        sample(r.normal(size=(2, 3)), axis=0),
        sample(r.normal(size=0), include_initial=True),
    ]


def _cumulative(
    function: Callable[..., Array], name: str, x: Array, axis: int | None, dtype: DTypeLike | None, first: int | None
) -> Array:
    """What `cumulative_sum` and `cumulative_prod` share; `first` is what to begin with, or None."""
    x = array_like(x)
    if not x.shape:
        x = np.reshape(x, (1,))
    if axis is None:
        if len(x.shape) != 1:
            raise ValueError(f"{name}: x has shape {x.shape}: give axis=, which may be left out of one axis only")
        axis = 0
    out = function(x, axis, dtype)
    if first is None:
        return out
    shape = list(x.shape)
    shape[axis] = 1
    return np.concatenate([np.full(shape, first, out.dtype), out], axis)


@derived(numpy=np.cumulative_sum, samples=_initial_samples)
def cumulative_sum(
    x: Array, /, *, axis: int | None = None, dtype: DTypeLike | None = None, include_initial: bool = False
) -> Array:
    """The running sum as the array API has it.

    Args:
        x: an array.
        axis: the axis to run along; may be left out if there is one only.
        dtype: that of the result.
        include_initial: begin with 0, so that the result is one longer than `x`.

    Raises:
        ValueError: several axes, and none given.

    >>> import tapenet as tn
    >>> tn.cumulative_sum(tn.tensor([1.0, 2.0]), include_initial=True)
    Tensor([0., 1., 3.])
    """
    return _cumulative(np.cumsum, "cumulative_sum", x, axis, dtype, 0 if include_initial else None)


@derived(numpy=np.cumulative_prod, samples=_initial_samples)
def cumulative_prod(
    x: Array, /, *, axis: int | None = None, dtype: DTypeLike | None = None, include_initial: bool = False
) -> Array:
    """The running product as the array API has it.

    Args:
        x: an array.
        axis: the axis to run along; may be left out if there is one only.
        dtype: that of the result.
        include_initial: begin with 1, so that the result is one longer than `x`.

    Raises:
        ValueError: several axes, and none given.

    >>> import tapenet as tn
    >>> tn.cumulative_prod(tn.tensor([2.0, 3.0]), include_initial=True)
    Tensor([1., 2., 6.])
    """
    return _cumulative(np.cumprod, "cumulative_prod", x, axis, dtype, 1 if include_initial else None)


# -- extremes ----------------------------------------------------------------------------------------------------


def _running_array(g: Array, out: Array, axis: int) -> Array | Scatter:
    """The gradient of each output to the first element that equals it: where the run of equal outputs begins."""
    ordered = np.moveaxis(out, axis, -1)
    before, here = ordered[..., :-1], ordered[..., 1:]
    kept = (before == here) | ((before != before) & (here != here))  # nan stays the one that came first
    if type(g) is np.ndarray and g.size:
        begins = np.concatenate([np.ones((*kept.shape[:-1], 1), bool), ~kept], -1)
        places = np.flatnonzero(begins)
        made = np.zeros(begins.shape, g.dtype)
        made.reshape(-1)[places] = np.add.reduceat(np.moveaxis(g, axis, -1).reshape(-1), places)
        return np.moveaxis(made, -1, axis)
    later = np.where(kept, 0, np.arange(1, ordered.shape[-1]))
    first = np.zeros((*kept.shape[:-1], min(ordered.shape[-1], 1)), later.dtype)
    places = cumulative_max(np.concatenate([first, later], -1), -1)
    return Scatter(along(out.shape, np.moveaxis(places, -1, axis), axis), g)


def _extreme(ufunc: np.ufunc, name: str, word: str, example: str) -> Op:
    made: Op = op(
        lambda array, axis=0, dtype=None: ufunc.accumulate(array, axis, dtype),
        name=name,
        label=f"running {ufunc.__name__[:3]}",
        array=_running_array,
        gradients=f"array: the sum of g where the element was the {word} so far",
        doc=f"""The {word} element so far, as `np.{ufunc.__name__}.accumulate` gives it.

    The gradient of each output goes to the element that it is; of equal ones, to the first. From the first nan on the
    output is nan, and its gradient goes there.

    Args:
        array: an array of one axis or more.
        axis: the axis to run along.
        dtype: that of the result.

    >>> import tapenet as tn
    >>> tn.{example}
    """,
        vmap="axis",
        samples=_samples(flat=False),
        hint=lambda array, axis, dtype: f"axis must be one of the {np.ndim(array)} axes of array",
    )
    made.__module__ = __name__
    return made


cumulative_max = _extreme(
    np.maximum, "cumulative_max", "largest", "cumulative_max(tn.tensor([1.0, 3.0, 2.0]))\n    Tensor([1., 3., 3.])"
)
cumulative_min = _extreme(
    np.minimum, "cumulative_min", "smallest", "cumulative_min(tn.tensor([3.0, 1.0, 2.0]))\n    Tensor([3., 1., 1.])"
)

# -- logarithms --------------------------------------------------------------------------------------------------


def _logcumsumexp_array(g: Array, out: Array, array: Array, axis: int) -> Array:
    # Σ over j ≥ i of g[j] · e^(array[i] − out[j]), put together from steps of e^(out[i] − out[i+1]), none above 1.
    g, out, array = (np.moveaxis(v, axis, -1) for v in (g, out, array))
    steps = np.exp(out[..., :-1] - without_minus_inf(out[..., 1:]))
    later = recurrence(g, shifted_in(steps) if out.shape[-1] else out)
    return np.moveaxis(safe_mul(later, np.exp(array - without_minus_inf(out))), -1, axis)


@op(
    array=_logcumsumexp_array,
    gradients="array: Σ over j ≥ i of g[j] · e^(array[i] − out[j])",
    vmap="axis",
    samples=_samples(flat=False),
    hint=lambda array, axis, dtype: f"axis must be one of the {np.ndim(array)} axes of array",
)
def logcumsumexp(array: Array, axis: int = 0, dtype: DTypeLike | None = None) -> Array:
    """The logarithm of the running sum of exponentials, as `np.logaddexp.accumulate` gives it, without overflow.

    The gradient at -inf is 0; from the first +inf on it is nan.

    Args:
        array: an array of one axis or more.
        axis: the axis to run along.
        dtype: that of the result.

    >>> import tapenet as tn
    >>> tn.logcumsumexp(tn.tensor([0.0, 0.0]))
    Tensor([0.        , 0.69314718])
    """
    return np.logaddexp.accumulate(array, axis, dtype)
