"""Losses of probabilities, of single ones or of classes, as layers.

What each computes is documented at the op behind it, `tn.cross_entropy` and so on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray, cast_optional
from tapenet.nn.settings_layer import SettingsLayer

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class CrossEntropyLoss(SettingsLayer):
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

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        input = asarray(input)
        weight = cast_optional(self.weight, input)
        return ops.cross_entropy(
            input, asarray(target), weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(SettingsLayer):
    """The negative log likelihood of classes, given log-probabilities; see `tn.nll_loss`.

    Args:
        weight: a weight for each class, kept as a buffer.
        ignore_index: positions whose target is this do not count.
        reduction: "mean", "sum" or "none".
    """

    weight: ArrayLike | None = None
    ignore_index: int = -100
    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        input = asarray(input)
        return ops.nll_loss(
            input, asarray(target), cast_optional(self.weight, input), self.ignore_index, self.reduction
        )


class BCEWithLogitsLoss(SettingsLayer):
    """The binary cross entropy of scores (logits) with probabilities; see `tn.binary_cross_entropy_with_logits`.

    Args:
        weight: weights of the elements, kept as a buffer.
        reduction: "mean", "sum" or "none".
        pos_weight: how much more the positive part counts, kept as a buffer.
    """

    weight: ArrayLike | None = None
    reduction: str = "mean"
    pos_weight: ArrayLike | None = None

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        input = asarray(input)
        weight, pos_weight = cast_optional(self.weight, input), cast_optional(self.pos_weight, input)
        return ops.binary_cross_entropy_with_logits(input, asarray(target), weight, pos_weight, self.reduction)


class BCELoss(SettingsLayer):
    """The binary cross entropy of probabilities with probabilities; see `tn.binary_cross_entropy`.

    Args:
        weight: weights of the elements, kept as a buffer.
        reduction: "mean", "sum" or "none".
    """

    weight: ArrayLike | None = None
    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        input = asarray(input)
        return ops.binary_cross_entropy(input, asarray(target), cast_optional(self.weight, input), self.reduction)


class KLDivLoss(SettingsLayer):
    """The Kullback-Leibler divergence of log-probabilities from probabilities; see `tn.kl_div`."""

    reduction: str = "mean"
    log_target: bool = False

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        return ops.kl_div(asarray(input), asarray(target), self.reduction, self.log_target)


class CTCLoss(SettingsLayer):
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
        arguments = (asarray(v) for v in (log_probs, targets, input_lengths, target_lengths))
        return ops.ctc_loss(*arguments, self.blank, self.reduction, self.zero_infinity)
