"""Reductions without a derivative: where extremes are, whether elements are true, and how many."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import op
from tapenet.ops.reductions.masking import chosen, hint, mask_of
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array, Axis

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _truth_more(name: str, neutral: bool) -> Callable[..., Array]:
    def more(a: Array, axis: Axis = None, *, keepdims: bool = False, where: ArrayLike = True) -> Array:
        return (all if neutral else any)(chosen(name, array_like(a), where, neutral), axis, keepdims=keepdims)

    return more


def _index_samples(r: np.random.Generator) -> list[Sample]:
    return [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3)), axis=1, keepdims=True),
        sample(r.normal(size=())),
    ]


def _truth_samples(r: np.random.Generator) -> list[Sample]:
    a = np.array([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]])
    return [
        *_index_samples(r),
        sample(a, axis=(0, -1)),
        sample(a, axis=1),
        sample(a == 0, axis=-1, where=mask_of(2, 3)),
        sample(a, where=np.array([[False], [True]]), axis=0, keepdims=True),
        sample(r.normal(size=(0, 2)), axis=0),
    ]


@op(
    numpy=np.argmax,
    nondiff=True,
    samples=_index_samples,
    hint=hint,
)
def argmax(a: Array, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The index of the largest element along `axis`. Returns a tensor without gradient.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.

    >>> import tapenet as tn
    >>> tn.argmax(tn.tensor([1.0, 3.0])).item()
    1
    """
    return array_like(np.argmax(a, axis, keepdims=keepdims))


@op(
    numpy=np.argmin,
    nondiff=True,
    samples=_index_samples,
    hint=hint,
)
def argmin(a: Array, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The index of the smallest element along `axis`. Returns a tensor without gradient.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.

    >>> import tapenet as tn
    >>> tn.argmin(tn.tensor([1.0, 3.0])).item()
    0
    """
    return array_like(np.argmin(a, axis, keepdims=keepdims))


@op(
    numpy=np.all,
    nondiff=True,
    more=_truth_more("all", True),
    samples=_truth_samples,
    hint=hint,
)
def all(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """Whether all elements over `axis` are true. Returns a tensor without gradient.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import tapenet as tn
    >>> tn.all(tn.tensor([True, False])).item()
    False
    """
    return array_like(np.all(a, axis, keepdims=keepdims))


@op(
    numpy=np.any,
    nondiff=True,
    more=_truth_more("any", False),
    samples=_truth_samples,
    hint=hint,
)
def any(a: Array, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """Whether any element over `axis` is true. Returns a tensor without gradient.

    Args:
        a: an array.
        axis: an axis, a tuple of axes, or None for all.
        keepdims: keep the reduced axes, with length one.
        where: a mask that broadcasts to `a`; only what it chooses takes part.

    >>> import tapenet as tn
    >>> tn.any(tn.tensor([True, False])).item()
    True
    """
    return array_like(np.any(a, axis, keepdims=keepdims))


@derived(
    numpy=np.count_nonzero,
    nondiff=True,
    samples=lambda r: [
        sample(np.array([[0.0, 1.0, 2.0], [0.0, 0.0, -1.0]]), -1, keepdims=True),
        sample(r.normal(size=(2, 3)), (0, 1)),
        sample(np.array([True, False])),
    ],
)
def count_nonzero(a: ArrayLike, axis: Axis = None, *, keepdims: bool = False) -> Array:
    """How many elements over `axis` are not zero. Returns a tensor without gradient.

    >>> import tapenet as tn
    >>> tn.count_nonzero(tn.tensor([0.0, 3.0, 4.0])).item()
    2
    """
    return array_like(np.sum(array_like(a) != 0, axis=axis, keepdims=keepdims))
