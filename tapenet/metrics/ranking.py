"""How well scores rank samples of a class above the others: areas under curves over all thresholds."""

from __future__ import annotations

import math
import warnings
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from tapenet.metrics import inputs
from tapenet.metrics.metric import Metric
from tapenet.typing import Array, StateDict


class _Ranked(NamedTuple):
    """From the highest score down, samples with equal scores together: weight of those of the class, and of the others."""

    inside: inputs.Floats
    outside: inputs.Floats


class _Ranking(Metric[float]):
    """An area computed for class 1 of binary outputs, or for each class against the others, and averaged."""

    kept = ("columns", "scores", "true", "weights", "bins")
    adds = True

    def __init__(
        self,
        average: Literal["macro", "weighted"] = "macro",
        *,
        axis: int = 1,
        from_logits: bool = True,
        thresholds: int | None = None,
        ignore_index: int | None = None,
        name: str | None = None,
    ) -> None:
        if average not in ("macro", "weighted"):
            raise ValueError(f'{type(self).__name__}: average is {average!r}; give "macro" or "weighted"')
        if thresholds is not None and thresholds < 2:
            raise ValueError(
                f"{type(self).__name__}: thresholds is {thresholds}; give 2 or more, or None to keep all scores"
            )
        self.average = average
        self.axis = axis
        self.from_logits = from_logits
        self.thresholds = thresholds
        self.ignore_index = ignore_index
        super().__init__(name=name)

    def reset(self) -> None:
        self.columns = 0  # of scores; 1: binary
        self.scores: list[Array] = []
        self.true: list[Array] = []
        self.weights: list[inputs.Floats] = []
        self.bins = np.zeros((0, 0, 0))  # of the class or not, class, bin

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        scores, true, weight = inputs.scores_or_one(
            self.name, output, target, weight, axis=self.axis, ignore=self.ignore_index
        )
        columns = self._same(1 if scores.ndim == 1 else scores.shape[1])
        if columns == 2 and self.thresholds is None and self.from_logits:
            # What softmax makes of two scores grows with their difference, which is exact where the softmax is 1.
            inputs.not_probabilities(self.name, scores)
            scores = np.stack([scores[:, 0] * 1.0 - scores[:, 1], scores[:, 1] * 1.0 - scores[:, 0]], 1)
        elif columns > 1 or self.thresholds is not None:
            scores = inputs.probabilities(self.name, scores, from_logits=self.from_logits)
        if self.thresholds is not None:
            bins = self._binned(scores.reshape(-1, columns), true, weight)
            self.bins = self.bins + bins if self.bins.size else bins
        else:
            self.scores = [*self.scores, np.array(scores)]
            self.true = [*self.true, np.array(true)]
            self.weights = [*self.weights, np.ones(len(true)) if weight is None else np.array(weight)]
        self.columns = columns

    def _same(self, columns: int) -> int:
        """The number of columns, which has to be that of all scores before."""
        if self.columns not in (0, columns):
            raise ValueError(f"{self.name}: the output has {columns} classes, those before had {self.columns}")
        return columns

    def merge(self, state: StateDict) -> None:
        columns = self._same(state["columns"]) if state["columns"] else self.columns
        super().merge(state)
        self.columns = columns

    def _binned(self, scores: inputs.Floats, true: Array, weight: inputs.Floats | None) -> inputs.Floats:
        assert self.thresholds is not None
        place = np.minimum((scores * self.thresholds).astype(np.int64), self.thresholds - 1)
        found = np.zeros((2, scores.shape[1], self.thresholds))
        for c, column in enumerate(place.T):
            for k, which in enumerate(self._sides(true, c, scores.shape[1])):
                w = None if weight is None else weight[which]
                found[k, c] = np.bincount(column[which], w, minlength=self.thresholds)
        return found

    @staticmethod
    def _sides(true: Array, c: int, columns: int) -> tuple[Array, Array]:
        inside = true == (1 if columns == 1 else c)
        return inside, ~inside

    def _ranked(self) -> list[_Ranked]:
        if self.thresholds is not None:
            return [_Ranked(inside[::-1], outside[::-1]) for inside, outside in self.bins.transpose(1, 0, 2)]
        true, weight = np.concatenate(self.true), np.concatenate(self.weights)
        scores = np.concatenate(self.scores).reshape(len(true), self.columns)
        return [self._sorted(scores[:, c], self._sides(true, c, self.columns)[0], weight) for c in range(self.columns)]

    @staticmethod
    def _sorted(scores: Array, inside: Array, weight: inputs.Floats) -> _Ranked:
        order = np.argsort(-scores, kind="stable")
        scores, inside, weight = scores[order], inside[order], weight[order]
        starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
        return _Ranked(np.add.reduceat(weight * inside, starts), np.add.reduceat(weight * ~inside, starts))

    def _area(self, ranked: _Ranked) -> float:
        raise NotImplementedError

    def per_class(self) -> inputs.Floats:
        """One area for each class, or the one of binary outputs; nan where it has none.

        Raises:
            RuntimeError: nothing was seen yet.
        """
        return np.array([self._area(ranked) for ranked in self._all()])

    def _all(self) -> list[_Ranked]:
        ranked = self._ranked() if self.columns and (self.thresholds is not None or sum(map(len, self.true))) else []
        if not sum(float(r.inside.sum() + r.outside.sum()) for r in ranked):
            raise self._nothing()
        return ranked

    def compute(self) -> float:
        ranked = self._all()
        if self.columns == 2:
            ranked = ranked[1:]
        areas = np.array([self._area(r) for r in ranked])
        if np.isnan(areas).any():
            warnings.warn(self._undefined(areas), RuntimeWarning, stacklevel=2)
            return math.nan
        if self.average == "macro":
            return float(areas.mean())
        support = np.array([r.inside.sum() for r in ranked])
        return float((areas * support).sum() / support.sum()) if len(areas) > 1 else float(areas[0])

    def _undefined(self, areas: inputs.Floats) -> str:
        if len(areas) == 1:
            return f"{self.name} is nan: it needs samples of both classes"
        lacking = ", ".join(str(c) for c in np.flatnonzero(np.isnan(areas)))
        return f"{self.name} is nan: class {lacking} needs samples that are of it and others that are not"


class AUC(_Ranking):
    """The area under the ROC curve: how probably a sample of the class has a higher score than one of another. Equal scores
    count half.

    Binary outputs have one score for each target, of any scale, or two. Of more classes the mean of the areas of each class
    against the others is taken, with the probabilities as scores. nan, with a warning, where a class has no sample.

    All scores are kept until `reset`; with `thresholds` only counts are, and scores in one bin count as equal.

    Args:
        average: of the areas of classes: their mean, or "weighted" by how often each is in the targets.
        axis: where the classes of scores are; 1 as in `cross_entropy`.
        from_logits: whether outputs are logits, or probabilities. Where only the order counts, as it does with one score for
            each target without `thresholds`, both are the same.
        thresholds: into how many bins of equal width probabilities are put; None keeps them all.
        ignore_index: targets of this number do not count.
        name: what it is called in logs.

    >>> AUC()([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    0.75
    """

    name = "auc"

    def _area(self, ranked: _Ranked) -> float:
        inside, outside = ranked
        both = float(inside.sum() * outside.sum())
        if not both:
            return math.nan
        before = np.cumsum(inside) - inside
        return float((outside * (before + 0.5 * inside)).sum()) / both


class AveragePrecision(_Ranking):
    """The mean of the precision at each threshold, weighted by the recall that it adds; the area under the precision-recall
    curve without interpolation: sum_n (R_n - R_(n-1)) P_n. Arguments as of `AUC`.

    >>> AveragePrecision()([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]).__round__(4)
    0.8333
    """

    name = "average_precision"

    def _area(self, ranked: _Ranked) -> float:
        inside, outside = ranked
        total = inside.sum()
        if not total:
            return math.nan
        above = np.cumsum(inside)
        all_above = above + np.cumsum(outside)
        precision = np.divide(above, all_above, out=np.zeros_like(above), where=all_above > 0)
        return float((inside * precision).sum() / total)
