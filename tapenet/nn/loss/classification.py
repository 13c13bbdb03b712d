"""Losses of probabilities, of single ones or of classes, as layers.

What each computes is documented at the op behind it, `tn.cross_entropy` and so on.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.loss.op_loss import OpLoss, WeightedLoss
from tapenet.nn.op_layer import OpSettings


class CrossEntropyLoss(WeightedLoss, op="cross_entropy"):
    """The cross entropy of scores (logits) with classes, or with probabilities of classes; see `tn.cross_entropy`.

    Args:
        weight: a weight for each class, kept as a buffer.
        ignore_index: positions whose target is this do not count.
        reduction: "mean", "sum" or "none".
        label_smoothing: how much of each target is spread evenly over all classes.

    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.CrossEntropyLoss()([[0.0, 0.0]], [1]).round(4)
    np.float64(0.6931)
    """

    weight: ArrayLike | None = None
    ignore_index: int = -100
    reduction: str = "mean"
    label_smoothing: float = 0.0


class NLLLoss(WeightedLoss, op="nll_loss"):
    """The negative log likelihood of classes, given log-probabilities; see `tn.nll_loss`.

    Args:
        weight: a weight for each class, kept as a buffer.
        ignore_index: positions whose target is this do not count.
        reduction: "mean", "sum" or "none".
    """

    weight: ArrayLike | None = None
    ignore_index: int = -100
    reduction: str = "mean"


class BCEWithLogitsLoss(WeightedLoss, op="binary_cross_entropy_with_logits"):
    """The binary cross entropy of scores (logits) with probabilities; see `tn.binary_cross_entropy_with_logits`.

    Args:
        weight: weights of the elements, kept as a buffer.
        reduction: "mean", "sum" or "none".
        pos_weight: how much more the positive part counts, kept as a buffer.
    """

    weight: ArrayLike | None = None
    reduction: str = "mean"
    pos_weight: ArrayLike | None = None


class BCELoss(WeightedLoss, op="binary_cross_entropy"):
    """The binary cross entropy of probabilities with probabilities; see `tn.binary_cross_entropy`.

    Args:
        weight: weights of the elements, kept as a buffer.
        reduction: "mean", "sum" or "none".
    """

    weight: ArrayLike | None = None
    reduction: str = "mean"


class KLDivLoss(OpLoss, op="kl_div"):
    """The Kullback-Leibler divergence of log-probabilities from probabilities; see `tn.kl_div`."""

    reduction: str = "mean"
    log_target: bool = False


class CTCLoss(OpSettings, op="ctc_loss"):
    """The loss of labels whose places in time are not known; see `tn.ctc_loss`.

    Args:
        blank: the class that is no label.
        reduction: "mean", "sum" or "none".
        zero_infinity: the loss of labels that have no alignment counts as 0.
    """

    blank: int = 0
    reduction: str = "mean"
    zero_infinity: bool = False

    def forward(
        self, log_probs: ArrayLike, targets: ArrayLike, input_lengths: ArrayLike, target_lengths: ArrayLike
    ) -> Tensor:
        return self._op(*map(asarray, (log_probs, targets, input_lengths, target_lengths)), **self._given())
