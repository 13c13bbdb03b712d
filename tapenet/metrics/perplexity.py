"""The perplexity of models of text."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from tapenet.metrics import inputs
from tapenet.metrics.metric import Mean


class Perplexity(Mean):
    """exp of the mean cross-entropy: among how many equally probable classes the model would be as unsure. At best 1.

    Args:
        axis: where the classes are in outputs (N, C, ...), for targets (N, ...): 1 as in `cross_entropy`, -1 for text of
            shape (N, length, C).
        from_logits: whether outputs are scores, of which the softmax is taken here, or probabilities.
        ignore_index: targets of this number do not count: padding.
        name: what it is called in logs.

    >>> Perplexity()([[0.0, 0.0, 0.0, 0.0]], [2])
    4.0
    """

    name = "perplexity"

    def __init__(
        self, *, axis: int = 1, from_logits: bool = True, ignore_index: int | None = None, name: str | None = None
    ) -> None:
        self.axis = axis
        self.from_logits = from_logits
        self.ignore_index = ignore_index
        super().__init__(name=name)

    def update(self, output: ArrayLike, target: ArrayLike, weight: ArrayLike | None = None) -> None:
        scores, true, weight = inputs.scores(
            self.name, output, target, weight, axis=self.axis, ignore=self.ignore_index
        )
        if self.from_logits:
            inputs.not_probabilities(self.name, scores)
            log = inputs.log_softmax(scores)
        else:
            with np.errstate(divide="ignore"):  # what has probability 0 makes the perplexity infinite
                log = np.log(inputs.probabilities(self.name, scores, from_logits=False))
        losses = -np.take_along_axis(log, true[:, None], 1)[:, 0]
        self._add(losses, weight)

    def compute(self) -> float:
        mean = super().compute()
        return math.exp(mean) if mean < 709 else math.inf
