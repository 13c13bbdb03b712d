"""Likeness and distance of vectors, and losses made of them, as layers.

What each computes is documented at the function behind it, `tn.cosine_similarity` and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY
from typing import TYPE_CHECKING

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.settings_layer import SettingsLayer

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class CosineSimilarity(SettingsLayer):
    """The cosine of the angle between vectors along the axis `dim`; see `tn.cosine_similarity`."""

    _shows_all = True
    dim: int = 1
    eps: float = 1e-8

    def forward(self, x1: ArrayLike, x2: ArrayLike) -> Tensor:
        return ops.cosine_similarity(asarray(x1), asarray(x2), self.dim, self.eps)


class PairwiseDistance(SettingsLayer):
    """The distances of vectors along the last axis; see `tn.pairwise_distance`."""

    _shows_all = True
    p: float = 2.0
    eps: float = 1e-6
    keepdim: bool = False

    def forward(self, x1: ArrayLike, x2: ArrayLike) -> Tensor:
        return ops.pairwise_distance(asarray(x1), asarray(x2), self.p, self.eps, self.keepdim)


class CosineEmbeddingLoss(SettingsLayer):
    """The loss of pairs of vectors that should be alike or not; see `tn.cosine_embedding_loss`."""

    margin: float = 0.0
    reduction: str = "mean"

    def forward(self, input1: ArrayLike, input2: ArrayLike, target: ArrayLike) -> Tensor:
        inputs = asarray(input1), asarray(input2)
        return ops.cosine_embedding_loss(*inputs, asarray(target), self.margin, self.reduction)


class TripletMarginLoss(SettingsLayer):
    """The loss of vectors that should be nearer to a second one than to a third; see `tn.triplet_margin_loss`."""

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    reduction: str = "mean"

    def forward(self, anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike) -> Tensor:
        vectors = (asarray(v) for v in (anchor, positive, negative))
        return ops.triplet_margin_loss(*vectors, self.margin, self.p, self.eps, self.swap, self.reduction)


class TripletMarginWithDistanceLoss(SettingsLayer):
    """The same with a distance of your own; see `tn.triplet_margin_with_distance_loss`."""

    _: KW_ONLY
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None
    margin: float = 1.0
    swap: bool = False
    reduction: str = "mean"

    def forward(self, anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike) -> Tensor:
        return ops.triplet_margin_with_distance_loss(
            asarray(anchor),
            asarray(positive),
            asarray(negative),
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
