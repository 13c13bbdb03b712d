"""The largest and the smallest element over axes, and how far they are apart.

Rules are stated but for `ptp`: derived ones take 1.3 times as long on small arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import (
    axis_samples,
    chosen,
    hint,
    number,
    rare_samples,
)
from tapenet.ops.reductions.sums import count, spread, sum
from tapenet.ops.registry import Sample
from tapenet.typing import Array, Axis, DType

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


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
    """Calls of max or min with initial= and where=: sign is -1 for the largest, 1 for the smallest."""

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


def _samples(r: np.random.Generator) -> list[Sample]:
    return [*axis_samples()(r), *rare_samples(0.1, where=False)(r)]


@op(
    numpy=(np.max, np.amax),
    a=share,
    more=extreme_more("max", np.maximum, -1),
    samples=_samples,
    hint=hint,
)
def max(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The largest element over `axis`; equal ones share the gradient evenly (`initial`, if equal, has half of it).

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        initial: a number that takes part in each result.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import tapenet as tn
    >>> tn.max(tn.tensor([1.0, 3.0]))
    Tensor(3.)
    """
    found: Array = np.max(a, axis=axis, keepdims=keepdims)
    return found


@op(
    numpy=(np.min, np.amin),
    a=share,
    more=extreme_more("min", np.minimum, 1),
    samples=_samples,
    hint=hint,
)
def min(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """The smallest element over `axis`; equal ones share the gradient evenly (`initial`, if equal, has half of it).

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        initial: a number that takes part in each result.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import tapenet as tn
    >>> tn.min(tn.tensor([1.0, 3.0]))
    Tensor(1.)
    """
    found: Array = np.min(a, axis=axis, keepdims=keepdims)
    return found


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
    found: Array = np.subtract(np.max(a, axis=axis, keepdims=keepdims), np.min(a, axis=axis, keepdims=keepdims))
    return found


amax, amin = max, min
