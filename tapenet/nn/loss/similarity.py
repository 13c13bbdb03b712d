"""Likeness and distance of vectors, and losses made of them, as layers.

What each computes is documented at the function behind it, `tn.cosine_similarity` and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapenet import ops
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.loss.base import Loss
from tapenet.nn.module import Module


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along the axis `dim`; see `tn.cosine_similarity`."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Any, x2: Any) -> Any:
        return ops.cosine_similarity(asarray(x1), asarray(x2), self.dim, self.eps)

    def extra_repr(self) -> str:
        return f"dim={self.dim!r}, eps={self.eps!r}"


class PairwiseDistance(Module):
    """The distances of vectors along the last axis; see `tn.pairwise_distance`."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        self.p = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Any, x2: Any) -> Any:
        return ops.pairwise_distance(asarray(x1), asarray(x2), self.p, self.eps, self.keepdim)

    def extra_repr(self) -> str:
        return f"p={self.p!r}, eps={self.eps!r}, keepdim={self.keepdim!r}"


class CosineEmbeddingLoss(Loss):
    """The loss of pairs of vectors that should be alike or not; see `tn.cosine_embedding_loss`."""

    _usual = {"margin": 0.0, "reduction": "mean"}  # noqa: RUF012

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        self.margin = margin
        self.reduction = reduction

    def forward(self, input1: Any, input2: Any, target: Any) -> Any:
        inputs = asarray(input1), asarray(input2)
        return ops.cosine_embedding_loss(*inputs, asarray(target), self.margin, self.reduction)


class TripletMarginLoss(Loss):
    """The loss of vectors that should be nearer to a second one than to a third; see `tn.triplet_margin_loss`."""

    _usual = {"margin": 1.0, "p": 2.0, "eps": 1e-6, "swap": False, "reduction": "mean"}  # noqa: RUF012

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: str = "mean"
    ) -> None:
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap
        self.reduction = reduction

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        vectors = (asarray(v) for v in (anchor, positive, negative))
        return ops.triplet_margin_loss(*vectors, self.margin, self.p, self.eps, self.swap, self.reduction)


class TripletMarginWithDistanceLoss(Loss):
    """The same with a distance of your own; see `tn.triplet_margin_with_distance_loss`."""

    _usual = {"margin": 1.0, "swap": False, "reduction": "mean"}  # noqa: RUF012

    def __init__(
        self,
        *,
        distance_function: Callable[[Any, Any], Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        self.distance_function = distance_function
        self.margin = margin
        self.swap = swap
        self.reduction = reduction

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        return ops.triplet_margin_with_distance_loss(
            asarray(anchor),
            asarray(positive),
            asarray(negative),
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
