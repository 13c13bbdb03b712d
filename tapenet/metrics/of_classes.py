"""Metrics of classes that are predicted: by the largest score, or by a threshold."""

from __future__ import annotations

from numpy.typing import ArrayLike

from tapenet.metrics import inputs
from tapenet.metrics.metric import Metric, Value


class OfClasses(Metric[Value]):
    """The base of metrics that see which classes are predicted and which are true."""

    def __init__(
        self,
        *,
        axis: int = 1,
        threshold: float | None = None,
        ignore_index: int | None = None,
        name: str | None = None,
    ) -> None:
        self.axis = axis
        self.threshold = threshold
        self.ignore_index = ignore_index
        super().__init__(name=name)

    def _classes(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None) -> inputs.Classes:
        """The classes of a batch."""
        threshold, ignore = self.threshold, self.ignore_index
        return inputs.classes(self.name, output, target, weight, axis=self.axis, threshold=threshold, ignore=ignore)
