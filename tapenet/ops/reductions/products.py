"""Products over axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import (
    axis_samples,
    chosen,
    divisible,
    hint,
    like,
    number,
    rare_samples,
)
from tapenet.ops.reductions.sums import spread
from tapenet.ops.registry import sample
from tapenet.typing import Array, Axis

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


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


@op(
    numpy=np.prod,
    a=_prod_a,
    gradients="a: g · Π of the other elements",
    more=_prod_more,
    samples=lambda r: [
        *axis_samples()(r),
        sample(np.array([2.0, 0.0, 3.0])),
        sample(np.array([0.0, 0.0, 3.0])),
        sample(r.normal(size=(2, 3)), axis=()),
        *rare_samples(0.5)(r),
    ],
    hint=hint,
)
def prod(a: Array, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: bool = False) -> Array:
    """The product of the elements over `axis`. The gradient is right with zeros among them.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        initial: a number that takes part in each result.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import tapenet as tn
    >>> tn.prod(tn.tensor([2.0, 3.0]))
    Tensor(6.)
    """
    return array_like(np.prod(a, axis=axis, dtype=dtype, keepdims=keepdims))
