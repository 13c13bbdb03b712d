"""Accuracy: the fraction of outputs that are right."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from tapenet.metrics import inputs
from tapenet.metrics.metric import Metric
from tapenet.metrics.of_classes import OfClasses
from tapenet.typing import Array


class _Hits(Metric[float]):
    """The fraction that is right."""

    kept = ("right", "seen")
    adds = True

    def reset(self) -> None:
        self.right = 0.0
        self.seen = 0.0

    def _add(self, right: Array, weight: inputs.Floats | None) -> None:
        if weight is None:
            self.right += float(np.count_nonzero(right))
            self.seen += right.size
        else:
            self.right += float(weight[right].sum())
            self.seen += float(weight.sum())

    def compute(self) -> float:
        if not self.seen:
            raise self._nothing()
        return self.right / self.seen


class Accuracy(_Hits, OfClasses[float]):
    """The fraction of targets whose class the output predicts.

    What outputs and targets may be:

    | output | target | predicted |
    |---|---|---|
    | scores (N, C, ...), logits or probabilities | classes (N, ...) | the largest score along `axis` |
    | scores (N, C, ...) | one-hot, or shares that sum to 1, (N, C, ...) | likewise, for both |
    | numbers (N, ...) or (N, ..., 1), with `threshold` | 0 or 1, (N, ...) | 1 where output > threshold |
    | classes (N, ...), integers | classes (N, ...) | as they are |

    Every entry of the target counts as a sample: a pixel in segmentation, a token in text, a label of several.

    Args:
        axis: where the classes of scores are; 1 as in `cross_entropy`, -1 for (N, length, C).
        threshold: for binary outputs, which have one number for each target, what class 1 is above: 0 for logits, 0.5 for
            probabilities.
        ignore_index: targets of this number do not count.
        name: what it is called in logs.

    >>> Accuracy()([[2.0, -1.0], [0.3, 0.9]], [0, 0])
    0.5
    >>> Accuracy(threshold=0)([1.5, -0.3, 0.2], [1, 0, 0], weight=[1, 1, 2])
    0.5
    """

    name = "accuracy"

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        found = self._classes(output, target, weight)
        self._add(found.predicted == found.true, found.weight)

    def in_step(self) -> Callable[[Array, Array], Array | None] | None:
        """The number of hits among classes, where none is left out."""
        if self.threshold is not None or self.ignore_index is not None:
            return None
        return partial(_hits, self.axis)

    def take(self, found: float, target: Array) -> None:
        """Take in the hits of a batch.

        Raises:
            ValueError: a target is negative, so that it is no class.
        """
        inputs.not_negative(self.name, target)
        self.right += found
        self.seen += target.size


def _hits(axis: int, output: Array, target: Array) -> Array | None:
    """How many of the classes with the largest scores are those of a target of integers."""
    if target.dtype.kind not in "iu" or output.ndim != target.ndim + 1 or not -output.ndim <= axis < output.ndim:
        return None
    found = output.argmax(axis)
    return (found == target).sum() if found.shape == target.shape and output.shape[axis] > 1 else None


class TopK(_Hits):
    """The fraction of targets whose class is among the `k` with the largest scores.

    Of classes with equal scores those with larger numbers come first, as in scikit-learn: equal scores for all do not count
    as right.

    Args:
        k: how many.
        axis: where the classes are in outputs (N, C, ...), for targets (N, ...).
        ignore_index: targets of this number do not count.
        name: what it is called in logs; by default "top5" for `k=5`.

    >>> TopK(2)([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], [1, 0])
    0.5
    """

    def __init__(self, k: int = 5, *, axis: int = 1, ignore_index: int | None = None, name: str | None = None) -> None:
        if k < 1:
            raise ValueError(f"TopK: k is {k}; give 1 or more")
        self.k = k
        self.axis = axis
        self.ignore_index = ignore_index
        super().__init__(name=f"top{k}" if name is None else name)

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        scores, true, weight = inputs.scores(
            self.name, output, target, weight, axis=self.axis, ignore=self.ignore_index
        )
        if self.k >= scores.shape[1]:
            raise ValueError(f"{self.name}: the output has only {scores.shape[1]} classes; take a smaller k")
        its = np.take_along_axis(scores, true[:, None], 1)
        later = np.arange(scores.shape[1]) > true[:, None]
        before = (scores > its) | ((scores == its) & later)
        self._add(np.count_nonzero(before, axis=1) < self.k, weight)
