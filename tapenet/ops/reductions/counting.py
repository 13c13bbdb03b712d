"""Reductions without a derivative: where extremes are, whether elements are true, and how many."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import Op, op
from tapenet.ops.reductions.masking import ARGS, WHERE, chosen, hint, mask_of
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.typing import Array, Axis

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


def _truth_more(name: str, neutral: bool) -> Callable[..., Array]:
    def more(a: Array, axis: Axis = None, *, keepdims: bool = False, where: ArrayLike = True) -> Array:
        return (all if neutral else any)(chosen(name, array_like(a), where, neutral), axis, keepdims=keepdims)

    return more


def _plain(
    forward: Callable[..., object],
    numpy: Callable[..., object],
    name: str,
    summary: str,
    example: str,
    samples: Samples,
    more: Callable[..., Array] | None = None,
) -> Op:
    made: Op = op(
        forward,
        name=name,
        numpy=numpy,
        nondiff=("a",),
        doc=f"{summary} Returns a tensor without gradient.\n{ARGS}{WHERE if more else ''}\n\n"
        f"    >>> import tapenet as tn\n    >>> tn.{example}\n    ",
        samples=samples,
        hint=hint,
        more=more,
    )
    made.__module__ = __name__
    return made


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


argmax = _plain(lambda a, axis=None, *, keepdims=False: np.argmax(a, axis, keepdims=keepdims), np.argmax, "argmax",
                "The index of the largest element along `axis`.", "argmax(tn.tensor([1.0, 3.0])).item()\n    1",
                _index_samples)  # fmt: skip
argmin = _plain(lambda a, axis=None, *, keepdims=False: np.argmin(a, axis, keepdims=keepdims), np.argmin, "argmin",
                "The index of the smallest element along `axis`.", "argmin(tn.tensor([1.0, 3.0])).item()\n    0",
                _index_samples)  # fmt: skip
all = _plain(lambda a, axis=None, *, keepdims=False: np.all(a, axis, keepdims=keepdims), np.all, "all",
             "Whether all elements over `axis` are true.", "all(tn.tensor([True, False])).item()\n    False",
             _truth_samples, _truth_more("all", True))  # fmt: skip
any = _plain(lambda a, axis=None, *, keepdims=False: np.any(a, axis, keepdims=keepdims), np.any, "any",
             "Whether any element over `axis` is true.", "any(tn.tensor([True, False])).item()\n    True",
             _truth_samples, _truth_more("any", False))  # fmt: skip


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
    return np.sum(array_like(a) != 0, axis=axis, keepdims=keepdims)
