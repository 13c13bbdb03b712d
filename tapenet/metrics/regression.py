"""Errors of predicted numbers."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tapenet.metrics import inputs
from tapenet.metrics.metric import Mean, Metric
from tapenet.typing import StateDict


class _MeanError(Mean):
    """The mean of a function of the error, over all entries."""

    def _of(self, error: inputs.Floats) -> inputs.Floats:
        raise NotImplementedError

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        output, target = inputs.numbers(self.name, output, target)
        weight = inputs.weights(self.name, weight, target.shape)
        self._add(self._of(output - target), weight)


class MAE(_MeanError):
    """The mean absolute error, mean |output - target|, over all entries.

    Output and target have one shape; for one number for each sample (N,) and (N, 1) are the same.

    >>> MAE()([1.0, 2.0], [1.5, 4.0])
    1.25
    """

    name = "mae"

    def _of(self, error: inputs.Floats) -> inputs.Floats:
        return np.abs(error)


class MSE(_MeanError):
    """The mean squared error, mean (output - target)², over all entries. Shapes as of `MAE`.

    >>> MSE()([1.0, 2.0], [1.0, 4.0])
    2.0
    """

    name = "mse"

    def _of(self, error: inputs.Floats) -> inputs.Floats:
        return error * error


class RMSE(MSE):
    """The root of the mean squared error over all entries. Shapes as of `MAE`.

    With several numbers for each sample scikit-learn takes the mean of the roots of each instead.

    >>> RMSE()([1.0, 2.0], [1.0, 2.0])
    0.0
    """

    name = "rmse"

    def compute(self) -> float:
        return math.sqrt(super().compute())


class R2(Metric[float]):
    """The share of the targets' variance that is explained: 1 - sum (output - target)² / sum (target - mean target)².

    1 is perfect, 0 no better than always the mean, and there is no worst. Of several numbers for each sample it is the mean
    of the shares of each. Where the targets are all equal it is 1 if the outputs are right and else 0.

    Output and target have one shape; for one number for each sample (N,) and (N, 1) are the same. Two samples at least.

    >>> R2()([2.5, 0.0, 2.0, 8.0], [3.0, -0.5, 2.0, 7.0]).__round__(4)
    0.9486
    """

    name = "r2"
    kept = ("count", "seen", "mean", "spread", "errors")

    def reset(self) -> None:
        self.count = 0
        self.seen = np.zeros(())  # the sum of weights, here and below of each column
        self.mean = np.zeros(())
        self.spread = np.zeros(())
        self.errors = np.zeros(())

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        output, target = inputs.numbers(self.name, output, target)
        if not target.ndim:
            raise ValueError(
                f"{self.name}: the target is one number; give one for each sample, of shape (samples, ...)"
            )
        weight = inputs.weights(self.name, weight, target.shape)
        if not len(target):
            return
        w = np.ones(target.shape) if weight is None else weight
        seen = w.sum(0)
        # By differences from the first, so that equal targets have no spread at all.
        away = target - target[0]
        shift = _ratio((w * away).sum(0), seen)
        spread, errors = (w * (away - shift) ** 2).sum(0), (w * (output - target) ** 2).sum(0)
        self._merge(len(target), seen, target[0] + shift, spread, errors)

    def merge(self, state: StateDict) -> None:
        self._merge(*(state[name] for name in self.kept))

    def _merge(
        self, count: int, seen: inputs.Floats, mean: inputs.Floats, spread: inputs.Floats, errors: inputs.Floats
    ) -> None:
        """As Chan, Golub and LeVeque do ("Updating formulae and a pairwise algorithm for computing sample variances", 1979)."""
        if self.count and count:
            if self.mean.shape != mean.shape:
                raise ValueError(
                    f"{self.name}: the target has shape (n, *{mean.shape}), those before (n, *{self.mean.shape})"
                )
            total = self.seen + seen
            step = mean - self.mean
            spread = self.spread + spread + step**2 * _ratio(self.seen * seen, total)
            mean = np.where(seen > 0, self.mean + step * _ratio(seen, total), self.mean)
            seen = total
        elif not count:
            return
        self.errors = self.errors + errors
        self.seen, self.mean, self.spread = seen, mean, spread
        self.count += count

    def compute(self) -> float:
        if not np.any(self.seen):
            raise self._nothing()
        if self.count < 2:
            raise RuntimeError(f"{self.name}: of one sample there is no variance; it needs two")
        lost = _ratio(self.errors, self.spread)
        return float(np.where(self.spread > 0, 1 - lost, np.where(self.errors > 0, 0.0, 1.0)).mean())


def _ratio(above: inputs.Floats, below: inputs.Floats) -> inputs.Floats:
    """A quotient, 0 where it would be by 0."""
    return np.divide(above, below, out=np.zeros(np.shape(below)), where=below > 0)
