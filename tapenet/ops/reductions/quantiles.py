"""Medians and quantiles.

Values are NumPy's own. A rule sorts: each result lies between two elements of the sorted slice, and the gradient goes
to these two, at the places a stable sort found them, as a `Scatter`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tapenet.ops.batched_calls import from_the_end
from tapenet.ops.conditions import checked
from tapenet.ops.derived import array_like
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.indexing.adding import add_at
from tapenet.ops.indexing.items import getitem
from tapenet.ops.indexing.sorting import stable_order
from tapenet.ops.op import Op, Rule, Scatter, op
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.typing import Array, Axis

#: The methods that interpolate, with the two parameters of Hyndman and Fan: the quantile q of n elements lies at
#: n q + α + q (1 − α − β) − 1 among the sorted ones, counted from 0.
CONTINUOUS = {
    "linear": (1.0, 1.0),
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}

#: From how many elements on it takes less to find two of them than to sort all.
_LONG = 512


#: The slope of a quantile that does not move with q.
_LEVEL = np.zeros(())


class Spot(NamedTuple):
    """Where a quantile lies in the sorted slice: between two neighbours, a part `between` of the way up."""

    lower: Array
    upper: Array
    between: Array | float
    #: How fast it moves with q.
    slope: Array


def _whole(index: Array, n: Array | int) -> Spot:
    """A quantile that is an element."""
    index = np.clip(index, 0, n - 1).astype(np.int64)
    return Spot(index, index, 0.0, _LEVEL)


def _spot(q: Array, n: Array | int, method: str) -> Spot:
    """Where the quantile `q` of `n` elements lies."""
    if method in CONTINUOUS:
        alpha, beta = CONTINUOUS[method]
        at = (n - 1) * q if method == "linear" else n * q + (alpha + q * (1 - alpha - beta)) - 1
        inside = np.logical_and(at >= 0, at < n - 1)
        below = np.floor(at)
        lower = np.clip(below, 0, n - 1).astype(np.int64)
        return Spot(lower, lower + inside, np.where(inside, at - below, 0), np.where(inside, n + 1 - alpha - beta, 0))
    if method == "averaged_inverted_cdf":
        at = n * q - 1
        whole = at == np.floor(at)
        lower = np.clip(np.floor(at), 0, n - 1).astype(np.int64)
        upper = np.clip(np.floor(at) + 1, 0, n - 1).astype(np.int64)
        return Spot(lower, upper, np.where(whole, 0.5, 1.0), _LEVEL)
    if method == "inverted_cdf":
        return _whole(np.ceil(n * q - 1), n)
    if method == "closest_observation":  # halves go to the odd index, which is the even one counted from 1
        at = n * q - 1.5
        below = np.floor(at)
        return _whole(np.where(np.logical_and(at == below, below % 2 == 1), below, below + 1), n)
    at = (n - 1) * q
    if method == "midpoint":
        return Spot(_whole(np.floor(at), n).lower, _whole(np.ceil(at), n).lower, 0.5, _LEVEL)
    return _whole({"lower": np.floor, "higher": np.ceil, "nearest": np.rint}[method](at), n)


class Rows(NamedTuple):
    """An array as one row for each slice that is reduced."""

    #: (slices, elements of one)
    values: Array
    #: The array's axes in the order in which their elements stand in `values`, and the lengths of these.
    order: tuple[int, ...]
    shape: tuple[int, ...]


class Found(NamedTuple):
    """The two elements that each result lies between, as positions in the rows laid end to end; results are of shape
    (shape of q, number of slices)."""

    lower: Array
    upper: Array
    between: Array | float
    slope: Array
    #: Slices whose result is a number rather than nan.
    live: Array


def _rows(a: Array, axis: Axis) -> Rows:
    axes = range(a.ndim) if axis is None else normalize_axis_tuple(axis, a.ndim)
    order = (*(i for i in range(a.ndim) if i not in axes), *axes)
    shape = tuple(a.shape[i] for i in order)
    return Rows(np.reshape(np.transpose(a, order), (-1, math.prod(a.shape[i] for i in axes))), order, shape)


def _ranked(values: Array, needed: Array) -> Array:
    """For each row the places of its elements in rising order, right at the ranks `needed`; equal ones as they stand."""
    if type(values) is np.ndarray and type(needed) is np.ndarray and values.shape[-1] >= _LONG:
        ranks = np.unique(needed)
        if ranks.size <= 2:  # of more it takes less to sort
            order = np.argpartition(values, ranks, axis=-1)
            found = np.take_along_axis(values, order[:, ranks], -1)
            # Right if no other element equals the one found. A nan equals nothing, so both counts are 0.
            if all(np.count_nonzero(values == v[:, None]) == np.count_nonzero(v == v) for v in found.T):
                return order
    return stable_order(values, -1)


def _live(values: Array, q: Array, skips: bool) -> tuple[Array, Array | int]:
    """Which rows have a number as their quantiles, and how many elements take part in each."""
    nan, n = np.isnan(values), values.shape[-1]
    if not skips:
        return np.logical_not(np.any(nan, axis=-1)), n
    valid = n - np.sum(nan, axis=-1)
    return valid > 0, np.maximum(valid, 1).astype(np.result_type(q.dtype, np.float32))


def _find(rows: Rows, q: Array, method: str, skips: bool, weights: Array | None, out: Array) -> Found:
    values = rows.values
    count, n = values.shape
    starts = np.arange(count) * n
    live, size = _live(values, q, skips)
    if weights is not None:  # an element of the slice: the first that equals the result
        at = starts + np.argmax(values == np.reshape(out, (*q.shape, count, 1)), axis=-1)
        return Found(at, at, 0.0, _LEVEL, live)
    spot = _spot(np.reshape(q, (*q.shape, 1)), size, method)
    one = spot.upper is spot.lower
    needed = spot.lower if one else np.stack([spot.lower, spot.upper])
    order = np.reshape(_ranked(values, needed), -1)
    lower = starts + getitem(order, starts + spot.lower)
    upper = lower if one else starts + getitem(order, starts + spot.upper)
    return Found(lower, upper, spot.between, spot.slope, live)


def _to_elements(g: Array, a: Array, rows: Rows, found: Found, shape: tuple[int, ...]) -> Array | Scatter:
    """The gradient by `a`: of each result to the two elements that it lies between."""
    g = np.where(found.live, np.reshape(g, (*shape, -1)), 0)
    if found.upper is found.lower:
        at, parts = found.lower, g
    else:
        between = found.between if isinstance(found.between, float) else found.between.astype(g.dtype)
        at, parts = np.stack([found.lower, found.upper]), np.stack([g * (1 - between), g * between])
    if not a.ndim:
        return array_like(np.sum(parts))
    index: dict[int, Array] = {}
    for k, n in zip(reversed(rows.order), reversed(rows.shape), strict=True):
        at, index[k] = at // n, at % n
    return Scatter(tuple(index[k] for k in range(a.ndim)), parts)


def _of_many(g: Array, a: Array, rows: Rows, q: Array, method: str) -> Array:
    """The gradient by `a` in plain numbers, where there are about as many results as elements: in the sorted rows first."""
    count, n = rows.values.shape
    live, _ = _live(rows.values, q, False)
    spot = _spot(np.reshape(q, (-1, 1)), n, method)
    g = np.where(live, np.reshape(g, (-1, count)), 0)
    between = np.asarray(spot.between).astype(g.dtype)
    placed = np.zeros((n, count), g.dtype)
    add_at(placed, spot.lower[:, 0], g * (1 - between))
    if spot.upper is not spot.lower:
        add_at(placed, spot.upper[:, 0], g * between)
    made = np.empty((count, n), g.dtype)
    np.put_along_axis(made, stable_order(rows.values, -1), placed.T, -1)
    return np.transpose(np.reshape(made, rows.shape), np.argsort(rows.order))


def _rules(scale: float, skips: bool) -> dict[str, Rule]:
    """The rules of a quantile whose q is counted in parts of `scale`."""

    def level(q: Array) -> Array:
        q = array_like(q)
        if type(q) is not np.ndarray:  # of a gradient alone the forward, which asks too, is not called in a program
            text = f"{'quantile: Quantiles' if scale == 1 else 'percentile: Percentiles'} must be in the range [0, {scale}]"
            q = checked(q, lambda n: np.logical_not((n >= 0) & (n <= scale)), ValueError, text)
        return q / scale if scale != 1 else q

    def by_a(g: Array, out: Array, a: Array, q: Array, axis: Axis, method: str, weights: Array) -> Array | Scatter:
        if a.size == 0 or g.size == 0:
            return np.zeros_like(a)
        q, rows = level(q), _rows(a, axis)
        if 2 * g.size > a.size > 1 and type(g) is np.ndarray and not skips and weights is None:
            return _of_many(g, a, rows, q, method)
        return _to_elements(g, a, rows, _find(rows, q, method, skips, weights, out), q.shape)

    def by_q(g: Array, out: Array, a: Array, q: Array, axis: Axis, method: str, weights: Array) -> Array:
        if method not in CONTINUOUS or a.size == 0 or g.size == 0:
            return np.zeros_like(q)
        q, rows = level(q), _rows(a, axis)
        found = _find(rows, q, method, skips, weights, out)
        flat = np.reshape(rows.values, -1)
        gap = getitem(flat, found.upper) - getitem(flat, found.lower)
        slope = found.slope.astype(g.dtype) * (1 / scale)
        g = np.where(found.live, np.reshape(g, (*q.shape, -1)), 0)
        return array_like(np.sum(safe_mul(safe_mul(g, slope), gap), axis=-1))

    return {"a": by_a, "q": by_q}


_ARGS = """
    Args:
        a: an array.
{q}        axis: an axis, a tuple of axes, or None for all.
        overwrite_input: has no effect, as what a tensor holds is not overwritten.
        keepdims: keep the reduced axes, with length one."""
_Q = """        q: {what}; an array puts its axes first. The gradient by q is the slope between the two
            elements, to the right where q is at one; 0 for methods that do not interpolate.
"""
_METHOD = """
        method: how to place the quantile among the elements, as in NumPy.
        weights: of the elements, for method="inverted_cdf" only; constants."""


def _distinct(r: np.random.Generator, nan: bool, *shape: int) -> Array:
    """Numbers that lie apart, one of which may be nan."""
    a = r.permutation(math.prod(shape)).reshape(shape) + r.uniform(-0.3, 0.3, shape)
    if nan:
        a[(1,) * len(shape)] = np.nan
    return a


def _quantile_samples(scale: float, nan: bool) -> Samples:
    def make(r: np.random.Generator) -> list[Sample]:
        array = functools.partial(_distinct, r, nan)
        # NumPy's nanquantile does not broadcast weights.
        weights = np.array([[2] * 3, [1] * 3]) if nan else [2, 1]
        return [
            sample(array(2, 3), 0.3 * scale),
            sample(array(2, 4), np.array([0.45, 0.7]) * scale, -1),
            sample(array(3, 2, 2), np.array(0.37 * scale), (0, -1), keepdims=True),
            *(sample(array(7), np.array([0.21, 0.66]) * scale, method=method) for method in CONTINUOUS),
            *(sample(array(2, 5), 0.55 * scale, axis=1, method=method) for method in DISCRETE),
            sample(array(5), 0.6 * scale, method="inverted_cdf", weights=[1, 2, 3, 1, 2]),
            sample(array(2, 3), 0.4 * scale, 0, method="inverted_cdf", weights=weights),
            sample(r.normal(size=()), 0.5 * scale),
        ]

    return make


DISCRETE = (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher", "midpoint", "nearest",
)  # fmt: skip


def _quantile(name: str, numpy: Callable[..., object], scale: float, skips: bool, summary: str, example: str) -> Op:
    def lanes_of(
        batched: frozenset[str],
        lanes: int,
        a: Array,
        q: Array,
        axis: Axis,
        method: str,
        keepdims: bool,
        weights: Array | None,
    ) -> object:
        """NumPy puts the axes of q in front, before the lanes."""
        if batched != {"a"} or weights is not None:
            return NotImplemented
        ndim = np.ndim(a) - 1
        axes = from_the_end(tuple(range(ndim)) if axis is None else axis, ndim)
        if not ndim:
            a, axes = a[:, None], -1
        found = made(a, q, axes, method=method, keepdims=keepdims and ndim > 0)
        return np.moveaxis(found, np.ndim(q), 0)

    made: Op = op(
        lambda a, q, axis=None, *, overwrite_input=False, method="linear", keepdims=False, weights=None: numpy(
            a, q, axis, method=method, keepdims=keepdims, weights=weights
        ),
        name=name,
        numpy=numpy,
        nondiff=("weights",),
        gradients="a: g to the two elements around it, by nearness; q: Σ g · their slope",
        doc=f"{summary}\n"
        + _ARGS.format(q=_Q.format(what="from 0 to 1" if scale == 1 else "from 0 to 100"))
        + _METHOD
        + f"\n\n    >>> import numpy as np, tapenet as tn\n    >>> tn.{example}\n    ",
        vmap=lanes_of,
        samples=_quantile_samples(scale, skips),
        grads=_rules(scale, skips),
    )
    made.__module__ = __name__
    return made


_SKIPPING = " Elements that are nan are passed over; of nan alone it is nan, with NumPy's warning and gradient 0."
quantile = _quantile(
    "quantile",
    np.quantile,
    1,
    False,
    "The quantiles `q` of the values over `axis`. A slice with a nan has the quantile nan, and gradient 0.",
    "quantile(tn.tensor([1.0, 2.0, 4.0]), 0.75)\n    Tensor(3.)",
)
percentile = _quantile(
    "percentile",
    np.percentile,
    100,
    False,
    "The percentiles `q` of the values over `axis`. A slice with a nan has the percentile nan, and gradient 0.",
    "percentile(tn.tensor([1.0, 2.0, 4.0]), 75)\n    Tensor(3.)",
)
nanquantile = _quantile(
    "nanquantile",
    np.nanquantile,
    1,
    True,
    "The quantiles `q` of the values over `axis`." + _SKIPPING,
    "nanquantile(tn.tensor([1.0, 2.0, 4.0, np.nan]), 0.75)\n    Tensor(3.)",
)
nanpercentile = _quantile(
    "nanpercentile",
    np.nanpercentile,
    100,
    True,
    "The percentiles `q` of the values over `axis`." + _SKIPPING,
    "nanpercentile(tn.tensor([1.0, 2.0, 4.0, np.nan]), 75)\n    Tensor(3.)",
)


def _median_samples(nan: bool) -> Samples:
    def make(r: np.random.Generator) -> list[Sample]:
        array = functools.partial(_distinct, r, nan)
        return [
            sample(array(5)),
            sample(array(2, 4), axis=-1),
            sample(array(3, 2), axis=0, keepdims=True),
            sample(array(3, 2, 2), axis=(0, -1), overwrite_input=True),
            sample(r.normal(size=())),
        ]

    return make


def _median(name: str, numpy: Callable[..., object], skips: bool, summary: str, example: str) -> Op:
    def by_a(g: Array, a: Array, axis: Axis) -> Array | Scatter:
        if a.size == 0:
            return np.zeros_like(a)
        half = np.full((), 0.5)
        # NumPy's median is the quantile 0.5 of the method that takes the middle of the two neighbours.
        rows = _rows(a, axis)
        return _to_elements(g, a, rows, _find(rows, half, "midpoint", skips, None, half), ())

    made: Op = op(
        lambda a, axis=None, *, overwrite_input=False, keepdims=False: numpy(a, axis, keepdims=keepdims),
        name=name,
        numpy=numpy,
        gradients="a: g at the middle element, g/2 at each of two, else 0",
        doc=f"{summary}\n{_ARGS.format(q='')}\n\n    >>> import numpy as np, tapenet as tn\n    >>> tn.{example}\n    ",
        vmap="axis",
        samples=_median_samples(skips),
        a=by_a,
    )
    made.__module__ = __name__
    return made


median = _median(
    "median",
    np.median,
    False,
    "The median over `axis`. A slice with a nan has the median nan, and gradient 0.",
    "median(tn.tensor([4.0, 1.0, 2.0]))\n    Tensor(2.)",
)
nanmedian = _median(
    "nanmedian",
    np.nanmedian,
    True,
    "The median over `axis`." + _SKIPPING,
    "nanmedian(tn.tensor([4.0, np.nan, 2.0]))\n    Tensor(3.)",
)
