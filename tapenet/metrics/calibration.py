"""Calibration: whether predicted probabilities are the frequencies of what they predict."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tapenet.drawing.chart import Chart
from tapenet.drawing.forms.reliability import reliability
from tapenet.metrics import inputs
from tapenet.metrics.metric import Metric


class Reliability(NamedTuple):
    """What happened where the model said so: for each bin that has samples the mean probability that the model gave, the
    fraction that came true, and the weight of the samples."""

    said: inputs.Floats
    came_true: inputs.Floats
    weight: inputs.Floats


class CalibrationError(Metric[float]):
    """The expected calibration error: how far, in the mean, what a model says is probable is from how often it is true.

    Samples are put in bins by their probability, and in each the mean probability is compared with the fraction that came
    true; the mean of the distances, by the weight of bins. 0 is perfect. For outputs with a score for each class it is the
    probability of the class that is predicted, and whether that is right; for binary ones that of class 1, and whether it
    is (Naeini, Cooper and Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", 2015).

    `draw()` gives the reliability curve, and in notebooks the metric shows itself as it.

    Args:
        from_logits: whether outputs are logits, or probabilities. There is no default: both may look alike.
        bins: how many, of equal width; a bin has its upper end, not its lower.
        axis: where the classes of scores are; 1 as in `cross_entropy`.
        ignore_index: targets of this number do not count.
        name: what it is called in logs.

    >>> CalibrationError(from_logits=False)([0.9, 0.9, 0.9, 0.9], [1, 1, 1, 0]).__round__(3)
    0.15
    """

    name = "calibration_error"
    kept = ("said", "came_true", "weight")
    adds = True

    def __init__(
        self,
        *,
        from_logits: bool,
        bins: int = 15,
        axis: int = 1,
        ignore_index: int | None = None,
        name: str | None = None,
    ) -> None:
        if bins < 1:
            raise ValueError(f"CalibrationError: bins is {bins}; give 1 or more")
        self.from_logits = from_logits
        self.bins = bins
        self.axis = axis
        self.ignore_index = ignore_index
        super().__init__(name=name)

    def reset(self) -> None:
        self.said = self.came_true = self.weight = np.zeros(self.bins)

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        scores, true, weight = inputs.scores_or_one(
            self.name, output, target, weight, axis=self.axis, ignore=self.ignore_index
        )
        said = inputs.probabilities(self.name, scores, from_logits=self.from_logits)
        came_true = true == 1
        if said.ndim == 2:
            predicted = said.argmax(1)
            said, came_true = np.take_along_axis(said, predicted[:, None], 1)[:, 0], predicted == true
        w = np.ones(len(said)) if weight is None else weight
        place = np.searchsorted(np.linspace(0, 1, self.bins + 1)[1:-1], said)
        self.said = self.said + np.bincount(place, w * said, self.bins)
        self.came_true = self.came_true + np.bincount(place, w * came_true, self.bins)
        self.weight = self.weight + np.bincount(place, w, self.bins)

    def compute(self) -> float:
        said, came_true, weight = self.curve()
        return float((weight * np.abs(said - came_true)).sum() / weight.sum())

    def curve(self) -> Reliability:
        """What the reliability curve shows, bin by bin.

        Raises:
            RuntimeError: nothing was seen yet.
        """
        filled = self.weight > 0
        if not filled.any():
            raise self._nothing()
        weight = self.weight[filled]
        return Reliability(self.said[filled] / weight, self.came_true[filled] / weight, weight)

    def draw(self, title: str = "") -> Chart:
        """The reliability curve: on the diagonal a model is as often right as it says.

        Raises:
            RuntimeError: nothing was seen yet.

        >>> error = CalibrationError(from_logits=False)
        >>> error.update([0.9, 0.9, 0.2, 0.2], [1, 1, 0, 1])
        >>> error.draw()
        <Chart 'Calibration error 0.200'; .save('calibration.svg') writes it>
        """
        title = title or f"Calibration error {self.compute():.3f}"
        return Chart(reliability(*self.curve(), title=title), title, "calibration")

    def _repr_svg_(self) -> str | None:
        return self.draw().svg if self.weight.any() else None
