"""Hinge losses, as layers.

What each computes is documented at the op behind it, `tn.margin_ranking_loss` and so on.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.loss.op_loss import OpLoss, WeightedLoss
from tapenet.nn.op_layer import OpSettings


class HingeEmbeddingLoss(OpLoss, op="hinge_embedding_loss"):
    """The loss of distances of pairs that are alike or not; see `tn.hinge_embedding_loss`."""

    margin: float = 1.0
    reduction: str = "mean"


class MarginRankingLoss(OpSettings, op="margin_ranking_loss"):
    """The loss of two scores that should come in an order; see `tn.margin_ranking_loss`."""

    margin: float = 0.0
    reduction: str = "mean"

    def forward(self, input1: ArrayLike, input2: ArrayLike, target: ArrayLike) -> Tensor:
        return self._op(asarray(input1), asarray(input2), asarray(target), **self._given())


class SoftMarginLoss(OpLoss, op="soft_margin_loss"):
    """The logistic loss of scores for two classes; see `tn.soft_margin_loss`."""

    reduction: str = "mean"


class MultiMarginLoss(WeightedLoss, op="multi_margin_loss"):
    """The hinge loss of scores for classes; see `tn.multi_margin_loss`.

    Args:
        p: 1 or 2, the power of each class's loss.
        margin: by how much the target's score should exceed the others.
        weight: a weight for each class, kept as a buffer.
        reduction: "mean", "sum" or "none".
    """

    p: int = 1
    margin: float = 1.0
    weight: ArrayLike | None = None
    reduction: str = "mean"


class MultiLabelMarginLoss(OpLoss, op="multilabel_margin_loss"):
    """The hinge loss of scores for classes of which several are right; see `tn.multilabel_margin_loss`."""

    reduction: str = "mean"


class MultiLabelSoftMarginLoss(WeightedLoss, op="multilabel_soft_margin_loss"):
    """The binary cross-entropy of scores with each class by itself; see `tn.multilabel_soft_margin_loss`.

    Args:
        weight: a weight for each class, kept as a buffer.
        reduction: "mean", "sum" or "none".
    """

    weight: ArrayLike | None = None
    reduction: str = "mean"
