"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from tapenet.drawing.chart import Chart
from tapenet.drawing.forms.matrix import matrix
from tapenet.metrics import inputs
from tapenet.metrics.of_classes import OfClasses
from tapenet.typing import Array

_MOST_CLASSES = 4096


class ConfusionMatrix(OfClasses[Array]):
    """How many samples of each class (rows) are predicted to be of each class (columns).

    `compute()` gives an array (classes, classes): int64, or float64 if it is normalised or samples had weights. `draw()`
    gives a picture, and in notebooks the metric shows itself as one. What outputs and targets may be is as with `Accuracy`.

    Args:
        labels: the names of the classes, for the picture. They also say how many there are; else the output does, or the
            largest class seen.
        normalize: "true": the fractions of each row, that is, of the samples of a class; "predicted": of each column;
            "all": of everything. Where there is nothing the fractions are 0.
        axis: where the classes of scores are; 1 as in `cross_entropy`.
        threshold: for binary outputs, what class 1 is above: 0 for logits, 0.5 for probabilities.
        ignore_index: targets of this number do not count.
        name: what it is called in logs.

    >>> confusion = ConfusionMatrix(["cat", "dog"])
    >>> confusion.update([[2.0, 1.0], [0.3, 0.9], [0.1, 0.2]], [0, 0, 1])
    >>> confusion.compute()
    array([[1, 1],
           [0, 1]])
    """

    name = "confusion"
    kept = ("counts", "weighted")
    adds = True

    def __init__(
        self,
        labels: Sequence[object] | None = None,
        *,
        normalize: Literal["true", "predicted", "all"] | None = None,
        axis: int = 1,
        threshold: float | None = None,
        ignore_index: int | None = None,
        name: str | None = None,
    ) -> None:
        if normalize not in (None, "true", "predicted", "all"):
            raise ValueError(f'ConfusionMatrix: normalize is {normalize!r}; give "true", "predicted", "all" or None')
        self.labels = None if labels is None else [str(label) for label in labels]
        self.normalize = normalize
        super().__init__(axis=axis, threshold=threshold, ignore_index=ignore_index, name=name)

    def reset(self) -> None:
        count = 0 if self.labels is None else len(self.labels)
        self.counts = np.zeros((count, count))
        self.weighted = False

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        found = self._classes(output, target, weight)
        predicted, true, w, count = inputs.counted(self.name, found)
        if found.among is None:
            count = max(count, len(self.counts))
        if self.labels is not None and count != len(self.labels):
            raise ValueError(f"{self.name}: there are {len(self.labels)} labels, but {count} classes in a batch")
        if count > _MOST_CLASSES:
            raise ValueError(f"{self.name}: {count:,} classes; a matrix is kept of {_MOST_CLASSES:,} at most")
        flat = np.bincount(true * count + predicted, w, minlength=count * count)
        self.merge({"counts": flat.reshape(count, count), "weighted": w is not None})

    def compute(self) -> Array:
        if not self.counts.any():
            raise self._nothing()
        if self.normalize is None:
            return self.counts.copy() if self.weighted else self.counts.astype(np.int64)
        axis = {"true": 1, "predicted": 0, "all": None}[self.normalize]
        whole = self.counts.sum(axis, keepdims=True)
        fractions: Array = np.divide(self.counts, whole, out=np.zeros_like(self.counts), where=whole > 0)
        return fractions

    def draw(self, title: str = "") -> Chart:
        """The matrix as a picture: a cell is the darker, the greater its part of its row, that is, of the samples of that
        class. Pointing at a cell tells its numbers.

        Raises:
            RuntimeError: nothing was seen yet.

        >>> confusion = ConfusionMatrix()
        >>> confusion.update([0, 1, 1], [0, 0, 1])
        >>> confusion.draw()
        <Chart 'Confusion matrix: 66.7 % right'; .save('confusion.svg') writes it>
        """
        values = self.compute()
        right = np.trace(self.counts) / self.counts.sum()
        title = title or f"Confusion matrix: {100 * right:.1f} % right"
        labels = self.labels or [str(i) for i in range(len(values))]
        whole = self.counts.sum(1, keepdims=True)
        shares = np.divide(self.counts, whole, out=np.zeros_like(self.counts), where=whole > 0)
        return Chart(matrix(values.tolist(), shares.tolist(), labels, title=title), title, "confusion")

    def _repr_svg_(self) -> str | None:
        return self.draw().svg if self.counts.any() else None
