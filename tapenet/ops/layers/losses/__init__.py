"""Losses, nearly each one op: its forward and its gradient in few NumPy calls.

Arguments are named as PyTorch names them. `reduction` is "mean" (of all elements, unless a loss says otherwise), "sum"
or "none". A prediction and a target of different shapes are an error: NumPy would broadcast them to a loss of all
pairs.
"""

from __future__ import annotations

from tapenet.ops.layers.losses.classes import nll_loss
from tapenet.ops.layers.losses.distances import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from tapenet.ops.layers.losses.entropy import cross_entropy
from tapenet.ops.layers.losses.likelihoods import gaussian_nll_loss, poisson_nll_loss
from tapenet.ops.layers.losses.margins import (
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
)
from tapenet.ops.layers.losses.outputs import linear_cross_entropy
from tapenet.ops.layers.losses.probabilities import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    kl_div,
    sigmoid_focal_loss,
)
from tapenet.ops.layers.losses.sequences import ctc_loss, ctc_posterior
from tapenet.ops.layers.losses.vectors import (
    cosine_embedding_loss,
    cosine_similarity,
    pairwise_distance,
    pdist,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "ctc_posterior",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "linear_cross_entropy",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "pairwise_distance",
    "pdist",
    "poisson_nll_loss",
    "sigmoid_focal_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
