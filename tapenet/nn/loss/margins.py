"""Hinge losses, as layers.

What each computes is documented at the op behind it, `tn.margin_ranking_loss` and so on.
"""

from __future__ import annotations

from typing import Any

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.loss.base import Loss, buffer, weights


class HingeEmbeddingLoss(Loss):
    """The loss of distances of pairs that are alike or not; see `tn.hinge_embedding_loss`."""

    _usual = {"margin": 1.0, "reduction": "mean"}  # noqa: RUF012

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        self.margin = margin
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        return ops.hinge_embedding_loss(asarray(input), asarray(target), self.margin, self.reduction)


class MarginRankingLoss(Loss):
    """The loss of two scores that should come in an order; see `tn.margin_ranking_loss`."""

    _usual = {"margin": 0.0, "reduction": "mean"}  # noqa: RUF012

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        self.margin = margin
        self.reduction = reduction

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        return ops.margin_ranking_loss(asarray(input1), asarray(input2), asarray(target), self.margin, self.reduction)


class SoftMarginLoss(Loss):
    """The logistic loss of scores for two classes; see `tn.soft_margin_loss`."""

    def forward(self, input: Any, target: Any) -> Any:
        return ops.soft_margin_loss(asarray(input), asarray(target), self.reduction)


class MultiMarginLoss(Loss):
    """The hinge loss of scores for classes; see `tn.multi_margin_loss`.

    Args:
        p: 1 or 2, the power of each class's loss.
        margin: by how much the target's score should exceed the others.
        weight: a weight for each class, kept as a buffer.
        reduction: "mean", "sum" or "none".
    """

    _usual = {"p": 1, "margin": 1.0, "reduction": "mean"}  # noqa: RUF012

    weight: Tensor | None

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: str = "mean") -> None:
        self.p = p
        self.margin = margin
        self.weight = buffer(weight)
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        input = asarray(input)
        weight = weights(self.weight, input)
        return ops.multi_margin_loss(input, asarray(target), self.p, self.margin, weight, self.reduction)


class MultiLabelMarginLoss(Loss):
    """The hinge loss of scores for classes of which several are right; see `tn.multilabel_margin_loss`."""

    def forward(self, input: Any, target: Any) -> Any:
        return ops.multilabel_margin_loss(asarray(input), asarray(target), self.reduction)


class MultiLabelSoftMarginLoss(Loss):
    """The binary cross-entropy of scores with each class by itself; see `tn.multilabel_soft_margin_loss`.

    Args:
        weight: a weight for each class, kept as a buffer.
        reduction: "mean", "sum" or "none".
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        self.weight = buffer(weight)
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        input = asarray(input)
        weight = weights(self.weight, input)
        return ops.multilabel_soft_margin_loss(input, asarray(target), weight, self.reduction)
