"""Precision, recall and F1: how predictions and targets of a class meet."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tapenet.metrics import inputs
from tapenet.metrics.of_classes import OfClasses
from tapenet.typing import Array

Average = Literal["auto", "binary", "micro", "macro", "weighted"]
_AVERAGES = ("auto", "binary", "micro", "macro", "weighted")


class _Positives(OfClasses[float]):
    """A ratio of counts of each class: predicted and true, predicted, true."""

    kept = ("both", "predicted", "true", "occurred")
    adds = True

    def __init__(
        self,
        average: Average = "auto",
        *,
        axis: int = 1,
        threshold: float | None = None,
        ignore_index: int | None = None,
        zero_division: float = 0.0,
        name: str | None = None,
    ) -> None:
        if average not in _AVERAGES:
            raise ValueError(f"{type(self).__name__}: average is {average!r}; give one of {', '.join(_AVERAGES)}")
        self.average = average
        self.zero_division = zero_division
        super().__init__(axis=axis, threshold=threshold, ignore_index=ignore_index, name=name)

    def reset(self) -> None:
        self.both = self.predicted = self.true = self.occurred = np.zeros(0)

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        found = self._classes(output, target, weight)
        predicted, true, w, count = inputs.counted(self.name, found)
        right = predicted == true

        def counts(which: Array, weight: inputs.Floats | None) -> Array:
            return np.bincount(which, weight, minlength=count)

        state = {
            "both": counts(true[right], None if w is None else w[right]),
            "predicted": counts(predicted, w),
            "true": counts(true, w),
            "occurred": counts(predicted, None) + counts(true, None),
        }
        self.merge(state)

    def _ratio(self, both: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        raise NotImplementedError

    def _of(self, both: Array, predicted: Array, true: Array) -> inputs.Floats:
        above, below = self._ratio(both, predicted, true)
        ratio: inputs.Floats = np.full(np.shape(below), float(self.zero_division))
        np.divide(above, below, out=ratio, where=below > 0)
        return ratio

    def per_class(self) -> inputs.Floats:
        """One value for each class; `zero_division` where there is none.

        Raises:
            RuntimeError: nothing was seen yet.
        """
        if not self.occurred.any():
            raise self._nothing()
        return self._of(self.both, self.predicted, self.true)

    def compute(self) -> float:
        each = self.per_class()
        average = self.average
        if average == "auto":
            average = "macro" if self.threshold is None else "binary"
        if average == "binary":
            if len(each) > 2:
                raise ValueError(f'{self.name}: average="binary" is for 2 classes, here are {len(each)}; try "macro"')
            return float(each[1]) if len(each) == 2 else float(self.zero_division)
        if average == "micro":
            return float(self._of(self.both.sum(), self.predicted.sum(), self.true.sum()))
        if average == "macro":
            return float(each[self.occurred > 0].mean())
        total = self.true.sum()
        return float((each * self.true).sum() / total) if total else float(self.zero_division)


class Precision(_Positives):
    """Of the samples that are predicted to be of a class, the fraction that is.

    What outputs and targets may be is as with `Accuracy`. With `threshold` every entry counts as a sample, so that of several
    labels that are on or off it is what others call the micro average. `per_class()` gives a value for each class.

    Args:
        average: of the classes.

            - "binary": class 1 alone, of two.
            - "micro": of the counts summed over the classes.
            - "macro": the mean over the classes that occur, in targets or predictions.
            - "weighted": the mean by how often each class is in the targets.
            - "auto": "binary" with `threshold`, else "macro".
        axis: where the classes of scores are; 1 as in `cross_entropy`.
        threshold: for binary outputs, what class 1 is above: 0 for logits, 0.5 for probabilities.
        ignore_index: targets of this number do not count.
        zero_division: the value of a class where it would be 0 / 0.
        name: what it is called in logs.

    >>> Precision()([0, 0, 1, 1], [0, 1, 1, 1])
    0.75
    """

    name = "precision"

    def _ratio(self, both: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        return both, predicted


class Recall(_Positives):
    """Of the samples of a class, the fraction that is predicted to be. Arguments as of `Precision`.

    >>> Recall(threshold=0.5)([0.9, 0.2, 0.8, 0.3], [1, 1, 0, 0])
    0.5
    """

    name = "recall"

    def _ratio(self, both: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        return both, true


class F1(_Positives):
    """The harmonic mean of precision and recall, 2 both / (predicted + true). Arguments as of `Precision`.

    >>> F1("weighted")([0, 0, 1, 1], [0, 1, 1, 1]).__round__(4)
    0.7667
    """

    name = "f1"

    def _ratio(self, both: Array, predicted: Array, true: Array) -> tuple[Array, Array]:
        return 2 * both, predicted + true
