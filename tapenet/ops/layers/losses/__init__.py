"""Losses, each one op: its forward and its gradient in few NumPy calls.

Arguments are named as PyTorch names them. `reduction` is "mean" (of all elements, unless a loss says otherwise), "sum"
or "none". A prediction and a target of different shapes are an error: NumPy would broadcast them to a loss of all
pairs.
"""

from __future__ import annotations

from tapenet.ops.layers.losses.classes import cross_entropy, nll_loss
from tapenet.ops.layers.losses.distances import huber_loss, l1_loss, mse_loss, smooth_l1_loss
from tapenet.ops.layers.losses.probabilities import binary_cross_entropy, binary_cross_entropy_with_logits, kl_div

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "nll_loss",
    "smooth_l1_loss",
]
