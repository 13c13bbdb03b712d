"""Losses of probabilities, of single ones or of classes, as layers.

What each computes is documented at the op behind it, `tn.cross_entropy` and so on.
"""

from __future__ import annotations

from typing import Any

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.loss.base import Loss, buffer, weights


class CrossEntropyLoss(Loss):
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

    _usual = {"ignore_index": -100, "reduction": "mean", "label_smoothing": 0.0}  # noqa: RUF012

    weight: Tensor | None

    def __init__(
        self,
        weight: Any = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self.weight = buffer(weight)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        input = asarray(input)
        weight = weights(self.weight, input)
        return ops.cross_entropy(
            input, asarray(target), weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(Loss):
    """The negative log likelihood of classes, given log-probabilities; see `tn.nll_loss`.

    Args:
        weight: a weight for each class, kept as a buffer.
        ignore_index: positions whose target is this do not count.
        reduction: "mean", "sum" or "none".
    """

    _usual = {"ignore_index": -100, "reduction": "mean"}  # noqa: RUF012

    weight: Tensor | None

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        self.weight = buffer(weight)
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        input = asarray(input)
        return ops.nll_loss(input, asarray(target), weights(self.weight, input), self.ignore_index, self.reduction)


class BCEWithLogitsLoss(Loss):
    """The binary cross entropy of scores (logits) with probabilities; see `tn.binary_cross_entropy_with_logits`.

    Args:
        weight: weights of the elements, kept as a buffer.
        reduction: "mean", "sum" or "none".
        pos_weight: how much more the positive part counts, kept as a buffer.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        self.weight = buffer(weight)
        self.pos_weight = buffer(pos_weight)
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        input = asarray(input)
        weight, pos_weight = weights(self.weight, input), weights(self.pos_weight, input)
        return ops.binary_cross_entropy_with_logits(input, asarray(target), weight, pos_weight, self.reduction)


class BCELoss(Loss):
    """The binary cross entropy of probabilities with probabilities; see `tn.binary_cross_entropy`.

    Args:
        weight: weights of the elements, kept as a buffer.
        reduction: "mean", "sum" or "none".
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        self.weight = buffer(weight)
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        input = asarray(input)
        return ops.binary_cross_entropy(input, asarray(target), weights(self.weight, input), self.reduction)


class KLDivLoss(Loss):
    """The Kullback-Leibler divergence of log-probabilities from probabilities; see `tn.kl_div`."""

    _usual = {"reduction": "mean", "log_target": False}  # noqa: RUF012

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        return ops.kl_div(asarray(input), asarray(target), self.reduction, self.log_target)


class CTCLoss(Loss):
    """The loss of labels whose places in time are not known; see `tn.ctc_loss`.

    Args:
        blank: the class that is no label.
        reduction: "mean", "sum" or "none".
        zero_infinity: the loss of labels that have no alignment counts as 0.
    """

    _usual = {"blank": 0, "reduction": "mean", "zero_infinity": False}  # noqa: RUF012

    def __init__(self, blank: int = 0, reduction: str = "mean", zero_infinity: bool = False) -> None:
        self.blank = blank
        self.reduction = reduction
        self.zero_infinity = zero_infinity

    def forward(self, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any) -> Any:
        arguments = (asarray(v) for v in (log_probs, targets, input_lengths, target_lengths))
        return ops.ctc_loss(*arguments, self.blank, self.reduction, self.zero_infinity)
