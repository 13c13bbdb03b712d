"""Sums, means and spreads of the parts of an image that labels name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.indexing.items import scatter_add
from tapenet.ops.op import Op, op
from tapenet.ops.registry import Samples, sample
from tapenet.scipy.followed import followed
from tapenet.typing import Array

Labels = Array | Sequence[int] | None
Index = int | Sequence[int] | Array | None

_LABELS = [[1, 1, 0], [2, 2, 2], [0, 3, 3]]
_SAMPLES: Samples = lambda r: [
    sample(r.normal(size=(3, 3)), _LABELS, [1, 2, 3]),
    sample(r.normal(size=(3, 3))),
    sample(r.normal(size=(3, 3)), _LABELS),
    sample(r.normal(size=(3, 3)), _LABELS, [3, 1]),
    sample(r.normal(size=(3, 3)), _LABELS, 2),
]


@op(nondiff=("marks", "wanted"), outputs=3, nondiff_outputs=(0, 1, 2))
def _grouped(marks: Array, wanted: Array) -> tuple[Array, Array, Array]:
    """What `_groups` gives for labels and an index."""
    values = np.sort(wanted.ravel())
    at = np.searchsorted(values, marks)
    places = np.where(values[np.minimum(at, len(values) - 1)] == marks, at, len(values))
    counts = np.bincount(places.ravel(), minlength=len(values) + 1)
    return places, counts[: len(values)], np.searchsorted(values, wanted)


def _groups(input: Array, labels: Labels, index: Index) -> tuple[Array, Array, Array]:
    """Which group each number is in, the last one for none; how many numbers each has; and which group each result is of."""
    if labels is None:
        return np.zeros(input.shape, int), np.array([np.prod(input.shape)]), np.zeros((), int)
    marks = np.broadcast_to(array_like(labels), input.shape)
    if index is None:
        inside = marks > 0
        return np.where(inside, 0, 1), np.reshape(np.sum(inside), (1,)), np.zeros((), int)
    found: tuple[Array, Array, Array] = _grouped(marks, array_like(index))
    return found


def _total(x: Array, places: Array, count: int) -> Array:
    found: Array = scatter_add(x.reshape(-1), (np.reshape(places, (-1,)),), (count + 1,))[:count]
    return found


def root(squares: Array) -> Array:
    """The square root of what is 0 only where it does not change, or at a kink: with gradient 0 there, as of NumPy's `std`."""
    zero = squares == 0
    return np.where(zero, 0, np.sqrt(np.where(zero, 1, squares)))


def _measure(name: str, words: str, result: str, what: str) -> Op:
    def measure(input: Array, labels: Labels = None, index: Index = None) -> Array:
        places, counts, back = _groups(input, labels, index)
        count = counts.shape[0]
        found = _total(input, places, count)
        if what != "sum":
            found = found / counts
        if what in ("variance", "deviation"):
            mean = np.concatenate([found, np.zeros(1, found.dtype)])[places]
            centred = np.where(places < count, input - mean, 0)
            found = _total(centred * centred, places, count) / counts
        if what == "deviation":
            found = root(found)
        return found[back]

    measure.__name__ = name
    doc = f"""{words} of the numbers of an image, or of its parts.

    Args:
        input: an array of real numbers.
        labels: integers that broadcast to its shape: the part that each number is in.
        index: the labels of the parts; by default all with labels above 0 together.

    >>> import tapenet as tn
    >>> tn.scipy.ndimage.{name}(tn.tensor([1.0, 2.0, 6.0, 8.0]), [0, 0, 1, 1], [0, 1])
    {result}
    """
    return followed(
        f"ndimage.{name}", "input", doc=doc, samples=_SAMPLES, gradients="that of the sums, part by part"
    )(measure)  # fmt: skip


sum = _measure("sum", "The sum", "Tensor([ 3., 14.])", "sum")
sum_labels = _measure("sum_labels", "The sum", "Tensor([ 3., 14.])", "sum")
mean = _measure("mean", "The mean", "Tensor([1.5, 7. ])", "mean")
variance = _measure("variance", "The variance", "Tensor([0.25, 1.  ])", "variance")
standard_deviation = _measure("standard_deviation", "The standard deviation", "Tensor([0.5, 1. ])", "deviation")
