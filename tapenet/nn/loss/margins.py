"""Hinge losses, as layers.

What each computes is documented at the op behind it, `tn.margin_ranking_loss` and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray, cast_optional
from tapenet.nn.settings_layer import SettingsLayer

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class HingeEmbeddingLoss(SettingsLayer):
    """The loss of distances of pairs that are alike or not; see `tn.hinge_embedding_loss`."""

    margin: float = 1.0
    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        return ops.hinge_embedding_loss(asarray(input), asarray(target), self.margin, self.reduction)


class MarginRankingLoss(SettingsLayer):
    """The loss of two scores that should come in an order; see `tn.margin_ranking_loss`."""

    margin: float = 0.0
    reduction: str = "mean"

    def forward(self, input1: ArrayLike, input2: ArrayLike, target: ArrayLike) -> Tensor:
        return ops.margin_ranking_loss(asarray(input1), asarray(input2), asarray(target), self.margin, self.reduction)


class SoftMarginLoss(SettingsLayer):
    """The logistic loss of scores for two classes; see `tn.soft_margin_loss`."""

    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        return ops.soft_margin_loss(asarray(input), asarray(target), self.reduction)


class MultiMarginLoss(SettingsLayer):
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

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        input = asarray(input)
        weight = cast_optional(self.weight, input)
        return ops.multi_margin_loss(input, asarray(target), self.p, self.margin, weight, self.reduction)


class MultiLabelMarginLoss(SettingsLayer):
    """The hinge loss of scores for classes of which several are right; see `tn.multilabel_margin_loss`."""

    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        return ops.multilabel_margin_loss(asarray(input), asarray(target), self.reduction)


class MultiLabelSoftMarginLoss(SettingsLayer):
    """The binary cross-entropy of scores with each class by itself; see `tn.multilabel_soft_margin_loss`.

    Args:
        weight: a weight for each class, kept as a buffer.
        reduction: "mean", "sum" or "none".
    """

    weight: ArrayLike | None = None
    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        input = asarray(input)
        weight = cast_optional(self.weight, input)
        return ops.multilabel_soft_margin_loss(input, asarray(target), weight, self.reduction)
