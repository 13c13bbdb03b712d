"""Order: sorting, partitioning, searching, and sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.op import array_like, derived, op, sample

argsort = op(
    lambda a, axis=-1, kind=None, *, stable=None: np.argsort(a, axis, kind, stable=stable),
    name="argsort",
    numpy=np.argsort,
    nondiff=("a",),
    formula="the indices that sort a",
    doc="""The indices that sort `a` along an axis (None: all elements in one). Returns a tensor without gradient.

    Args:
        a: an array.
        axis: the axis to sort along.
        kind: "quicksort", "mergesort", "heapsort" or "stable".
        stable: whether equal elements keep their order.

    >>> import tapenet as tn
    >>> tn.argsort(tn.tensor([3.0, 1.0, 2.0])).tolist()
    [1, 2, 0]
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 3)), 0, "stable"),
        sample(np.array([2, 1, 2, 1]), None, stable=True),
    ],
)


@derived(
    numpy=np.sort,
    samples=lambda r: [
        sample(r.normal(size=(2, 3))),
        sample(r.normal(size=(3, 2)), 0, "stable"),
        sample(r.normal(size=(3, 2)), axis=None, kind="heapsort"),
        sample(r.normal(size=4), -1, stable=True),
        sample(r.normal(size=(2, 0))),
    ],
)
def sort(a: Any, axis: int | None = -1, kind: str | None = None, *, stable: bool | None = None) -> Any:
    """The elements in rising order along an axis (None: all elements in one).

    The gradient goes back to where each element came from. Equal elements keep their order, whatever `kind` and
    `stable` are, so each has its own gradient.

    Raises:
        ValueError: there is no such axis.

    >>> import tapenet as tn
    >>> tn.sort(tn.tensor([3.0, 1.0, 2.0]))
    Tensor([1., 2., 3.])
    """
    a = array_like(a)
    if axis is None:
        a, axis = np.reshape(a, -1), -1
    return np.take_along_axis(a, np.argsort(a, axis, kind="stable"), axis)
