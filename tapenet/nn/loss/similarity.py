"""Likeness and distance of vectors, and losses made of them, as layers.

What each computes is documented at the function behind it, `tn.cosine_similarity` and so on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY

from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.op_layer import OpSettings


class CosineSimilarity(OpSettings, op="cosine_similarity"):
    """The cosine of the angle between vectors along the axis `dim`; see `tn.cosine_similarity`."""

    _shows_all = True
    dim: int = 1
    eps: float = 1e-8

    def forward(self, x1: ArrayLike, x2: ArrayLike) -> Tensor:
        return self._op(asarray(x1), asarray(x2), **self._given())


class PairwiseDistance(OpSettings, op="pairwise_distance"):
    """The distances of vectors along the last axis; see `tn.pairwise_distance`."""

    _shows_all = True
    p: float = 2.0
    eps: float = 1e-6
    keepdim: bool = False

    def forward(self, x1: ArrayLike, x2: ArrayLike) -> Tensor:
        return self._op(asarray(x1), asarray(x2), **self._given())


class CosineEmbeddingLoss(OpSettings, op="cosine_embedding_loss"):
    """The loss of pairs of vectors that should be alike or not; see `tn.cosine_embedding_loss`."""

    margin: float = 0.0
    reduction: str = "mean"

    def forward(self, input1: ArrayLike, input2: ArrayLike, target: ArrayLike) -> Tensor:
        return self._op(asarray(input1), asarray(input2), asarray(target), **self._given())


class TripletMarginLoss(OpSettings, op="triplet_margin_loss"):
    """The loss of vectors that should be nearer to a second one than to a third; see `tn.triplet_margin_loss`."""

    margin: float = 1.0
    p: float = 2.0
    eps: float = 1e-6
    swap: bool = False
    reduction: str = "mean"

    def forward(self, anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike) -> Tensor:
        return self._op(asarray(anchor), asarray(positive), asarray(negative), **self._given())


class TripletMarginWithDistanceLoss(OpSettings, op="triplet_margin_with_distance_loss"):
    """The same with a distance of your own; see `tn.triplet_margin_with_distance_loss`."""

    _: KW_ONLY
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None
    margin: float = 1.0
    swap: bool = False
    reduction: str = "mean"

    def forward(self, anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike) -> Tensor:
        return self._op(asarray(anchor), asarray(positive), asarray(negative), **self._given())
