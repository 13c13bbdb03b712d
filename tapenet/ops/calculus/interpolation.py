"""Interpolation of sampled functions, and angles made continuous."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.calculus.sampled import part
from tapenet.ops.derived import array_like, array_or_number, derived
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.indexing.items import getitem, scatter_sum
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _interp_rule(
    g: Array, wanted: frozenset[str], x: Array, xp: Array, fp: Array, left: Array, right: Array
) -> dict[str, Array]:
    n = xp.shape[0]
    found = {}
    start = np.clip(np.searchsorted(xp, x, "right") - 1, 0, max(n - 2, 0))
    end = np.minimum(start + 1, n - 1)
    # What belongs to pairs of knots is computed for the points or for all pairs, whichever are fewer.
    few = x.size < n or n == 1
    gap, rise = (getitem(v, end) - getitem(v, start) if few else np.diff(v) for v in (xp, fp))
    jump = gap == 0  # at the last of equal knots, or there is one alone
    gap = np.where(jump, 1, gap)
    inside = (x >= xp[0]) & (x <= xp[-1])
    if not wanted.isdisjoint(("x", "xp")):
        slope = np.where(jump, 0, rise / gap)
        by_x = found["x"] = safe_mul(np.where(inside, g, 0), slope if few else getitem(slope, start))
    if not wanted.isdisjoint(("xp", "fp")):
        first = np.where(jump, -math.inf, getitem(xp, start) if few else xp[:-1])
        first, gap = (first, gap) if few else (getitem(first, start), getitem(gap, start))
        share = np.where(x >= xp[0], np.clip((x - first) / gap, None, 1), 0)
    if "xp" in wanted:
        by_end = by_x * share
        found["xp"] = scatter_sum([by_end - by_x, -by_end], [start, end], xp.shape)
    if "left" in wanted:
        found["left"] = np.sum(np.where(x < xp[0], g, 0))
    if "right" in wanted:
        found["right"] = np.sum(np.where(x > xp[-1], g, 0))
    if "fp" in wanted:
        reads = x == x
        if left is not None:
            reads = reads & (x >= xp[0])
        if right is not None:
            reads = reads & (x <= xp[-1])
        read = np.where(reads, g, 0)
        by_end = read * share
        found["fp"] = scatter_sum([read - by_end, by_end], [start, end], fp.shape)
    return found


def _interp_lanes(
    batched: frozenset[str], x: Array, xp: Array, fp: Array, left: float | None, right: float | None
) -> object:
    return interp_points(x, xp, fp, left, right) if batched == {"x"} else NotImplemented


@op(
    label="interp",
    joint=_interp_rule,
    formula="f₀ + s · (x − x₀), s = (f₁ − f₀)/(x₁ − x₀)",
    gradients="x: s · g; xp: −s · g shared; fp: g shared; left: Σ g; right: Σ g",
    vmap=_interp_lanes,
    samples=lambda r: [
        sample(np.array([[0.3, 1.2], [2.9, 4.0]]), np.array([0.0, 1.0, 1.5, 3.0]), r.normal(size=4)),
        sample(np.array([-1.0, 0.5, 2.0]), np.array([0.0, 1.0]), r.normal(size=2), np.array(3.0), np.array(1.0)),
    ],
)
def interp_points(x: Array, xp: Array, fp: Array, left: float | None = None, right: float | None = None) -> Array:
    """`interp` without a period.

    Args:
        x: where to evaluate, an array of any shape.
        xp: (n,) the knots, rising.
        fp: (n,) the values there.
        left, right: the values below the first knot and above the last.

    >>> import numpy as np, tapenet as tn
    >>> from tapenet.ops.calculus.interpolation import interp_points
    >>> interp_points(tn.tensor([0.5]), np.array([0.0, 1.0]), np.array([10.0, 20.0]))
    Tensor([15.])
    """
    out = np.interp(x, xp, fp, left, right)
    if x.dtype != np.float64:  # NumPy computes in float64 only
        ends = (getattr(v, "dtype", x.dtype) for v in (left, right))
        narrow = np.result_type(x.dtype, xp.dtype, fp.dtype, *ends)
        if narrow.kind in "fc" and narrow.itemsize < out.dtype.itemsize:
            return out.astype(narrow)
    return out


@derived(
    numpy=np.interp,
    samples=lambda r: [
        sample(np.array([[0.3, 1.2], [2.9, 1.7]]), np.array([0.0, 1.0, 1.5, 3.0]), r.normal(size=4)),
        sample(np.array([-1.0, 0.5, 4.0]), np.array([0.0, 1.0, 3.0]), r.normal(size=3)),
        sample(np.array([-1.0, 0.5, 4.0]), np.array([0.0, 1.0, 3.0]), r.normal(size=3), -2.0, np.array(7.0)),
        sample(np.array([-0.3, 0.5, 4.1]), np.array([1.9, 0.4, 1.0]), r.normal(size=3), period=2.0),
        sample(np.array(0.3), np.array([0.0, 1.0]), r.normal(size=2)),
        sample(np.array([0.5, 2.0]), np.array([1.0]), np.array([3.0])),
        sample(np.zeros((0, 2)), np.array([0.0, 1.0]), r.normal(size=2)),
    ],
)
def interp(
    x: Array, xp: Array, fp: Array, left: Array | None = None, right: Array | None = None, period: Array | None = None
) -> Array:
    """Linear interpolation between the points (xp, fp).

    The gradient reaches `x`, `xp`, `fp`, and `left`, `right` and `period` where they are tensors. At a knot the
    derivative by `x` is the slope to its right, at the last one that to its left. A result of float32 alone is float32,
    where NumPy computes float64.

    Args:
        x: where to evaluate, an array of any shape.
        xp: (n,) the knots, rising; with `period` in any order.
        fp: (n,) the values there.
        left, right: the values below the first knot and above the last; by default the first and last of `fp`.
        period: with which the points repeat; `left` and `right` are then without meaning.

    Returns:
        an array of the shape of `x`.

    Raises:
        ValueError: `xp` and `fp` do not have one length of 1 or more, or the period is 0.

    >>> import tapenet as tn
    >>> tn.interp(tn.tensor([0.5, 9.0]), [0.0, 1.0, 3.0], [10.0, 20.0, 0.0])
    Tensor([15.,  0.])
    """
    x, xp, fp = (v if v.dtype.kind in "fc" else v.astype(np.float64) for v in map(array_like, (x, xp, fp)))
    if len(xp.shape) != 1 or xp.shape != fp.shape or not xp.shape[0]:
        raise ValueError(f"interp: xp and fp must both be (n,) with n of 1 or more, not {xp.shape} and {fp.shape}")
    if period is not None:
        if isinstance(period, (int, float, np.ndarray, np.generic)) and period == 0:
            raise ValueError("interp: the period must not be 0")
        left = right = None
        period = abs(period)
        # In the precision of the result: the periods subtracted may be far larger than what is left.
        wide = np.result_type(x.dtype, xp.dtype, np.finfo(fp.dtype).dtype)
        x, xp = (np.astype(v, wide, copy=False) % period for v in (x, xp))
        order = np.argsort(xp)
        xp, fp = getitem(xp, order), getitem(fp, order)
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
    return interp_points(x, xp, fp, left, right)


def _unwrap(p: Array, discont: Array | float | None, axis: int, period: Array | float) -> Array:
    step = np.diff(p, axis=axis)
    dtype = np.result_type(step.dtype, period if isinstance(period, (int, float)) else period.dtype)
    whole = dtype.kind in "iu"
    high = period // 2 if whole else period / 2
    low = -high
    turns = np.floor_divide(step - low, period)
    if not whole or period % 2 == 0:  # a step of exactly half a period: up if it went up
        turns = np.where((np.remainder(step - low, period) == 0) & (step > 0), turns - 1, turns)
    correction = np.where(np.abs(step) < (high if discont is None else discont), 0, -turns * period)
    first, rest = part(p, axis, slice(None, 1)), part(p, axis, slice(1, None)) + np.cumsum(correction, axis)
    return np.concatenate([first.astype(dtype), rest.astype(dtype)], axis)


@op(
    label="unwrap",
    p=lambda g: g,
    vmap="axis",
    samples=lambda r: [
        sample(np.array([[0.1, 3.0], [6.1, 0.3], [0.2, 7.0]]), None, 0, 2 * math.pi),
        sample(np.array([[0.1, 3.0, 3.9], [2.1, 0.3, 0.2]]), 1.5, -1, 2.5),
        sample(np.array([0, 3, 7, 1, 6]), None, 0, 4),
    ],
)
def unwrapped(p: Array, discont: float | None, axis: int, period: float) -> Array:
    """`unwrap` with a period that is a number.

    Args:
        p: the angles.
        discont: the difference above which to correct, if more than half a period; or None.
        axis: the axis to run along.
        period: after which the values repeat.

    >>> import tapenet as tn
    >>> from tapenet.ops.calculus.interpolation import unwrapped
    >>> unwrapped(tn.tensor([0.0, 1.5, 3.0, 0.5]), None, 0, 4)
    Tensor([0. , 1.5, 3. , 4.5])
    """
    return np.unwrap(p, discont, axis, period=period)


@derived(
    numpy=np.unwrap,
    samples=lambda r: [
        sample(np.array([0.1, 3.0, 6.1, 0.3, 1.0])),
        sample(np.array([[0.1, 3.0], [6.1, 0.3], [0.2, 7.0]]), axis=0),
        sample(np.array([[0.1, 3.0, 3.9], [2.1, 0.3, 0.2]]), 1.5, period=2.5),
        sample(np.array([2.0])),
        sample(np.zeros((2, 0))),
        sample(np.array([0, 3, 7, 1, 6]), period=4),
        sample(np.array([0.1, 3.0, 6.1, 0.3, 1.0]), np.array(2.5), period=4.0),
    ],
)
def unwrap(
    p: ArrayLike, discont: Array | float | None = None, axis: int = -1, *, period: Array | float = 2 * math.pi
) -> Array:
    """Angles made continuous: where neighbours differ by more than half a period, periods are added from there on.

    How many is constant between jumps: the gradient by `p` is that of the identity, and a period that is a tensor gets
    that of its multiples.

    Args:
        p: the angles.
        discont: the difference above which to correct, if more than half a period.
        axis: the axis to run along.
        period: after which the values repeat.

    >>> import tapenet as tn
    >>> tn.unwrap(tn.tensor([0.0, 1.5, 3.0, 0.5]), period=4)
    Tensor([0. , 1.5, 3. , 4.5])
    """
    p = array_like(p)
    axis = normalize_axis_index(axis, len(p.shape))
    if type(period) in (int, float) and (discont is None or type(discont) in (int, float)):
        return unwrapped(p, discont, axis, period)
    limit = None if discont is None else array_or_number(discont)
    return _unwrap(p, limit, axis, array_or_number(period))
