"""Losses as layers. What each computes is documented at the op behind it, `tn.mse_loss` and so on."""

from __future__ import annotations

from typing import Any

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.casting import asarray, cast
from tapenet.nn.module import Module
from tapenet.nn.parameter import Buffer


class _Loss(Module):
    """What the losses share: how the elements are reduced, and settings in the repr where they are not the usual."""

    #: The usual value of each setting.
    _usual: dict[str, Any] = {"reduction": "mean"}  # noqa: RUF012  a constant

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = reduction

    def extra_repr(self) -> str:
        changed = {n: getattr(self, n) for n, usual in self._usual.items() if getattr(self, n) != usual}
        return ", ".join(f"{n}={value!r}" for n, value in changed.items())


class MSELoss(_Loss):
    """The squared error; see `tn.mse_loss`."""

    def forward(self, input: Any, target: Any) -> Any:
        return ops.mse_loss(asarray(input), asarray(target), self.reduction)


class L1Loss(_Loss):
    """The absolute error; see `tn.l1_loss`."""

    def forward(self, input: Any, target: Any) -> Any:
        return ops.l1_loss(asarray(input), asarray(target), self.reduction)


class HuberLoss(_Loss):
    """The squared error near 0, the absolute one beyond `delta`; see `tn.huber_loss`."""

    _usual = {"reduction": "mean", "delta": 1.0}  # noqa: RUF012

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self.reduction = reduction
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        return ops.huber_loss(asarray(input), asarray(target), self.reduction, self.delta)


class SmoothL1Loss(_Loss):
    """The Huber loss divided by `beta`; see `tn.smooth_l1_loss`."""

    _usual = {"reduction": "mean", "beta": 1.0}  # noqa: RUF012

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        self.reduction = reduction
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Any:
        return ops.smooth_l1_loss(asarray(input), asarray(target), self.reduction, self.beta)


class CrossEntropyLoss(_Loss):
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
        self.weight = _buffer(weight)
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        input = asarray(input)
        weight = _weights(self.weight, input)
        return ops.cross_entropy(
            input, asarray(target), weight, self.ignore_index, self.reduction, self.label_smoothing
        )


class NLLLoss(_Loss):
    """The negative log likelihood of classes, given log-probabilities; see `tn.nll_loss`.

    Args:
        weight: a weight for each class, kept as a buffer.
        ignore_index: positions whose target is this do not count.
        reduction: "mean", "sum" or "none".
    """

    _usual = {"ignore_index": -100, "reduction": "mean"}  # noqa: RUF012

    weight: Tensor | None

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        self.weight = _buffer(weight)
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        input = asarray(input)
        return ops.nll_loss(input, asarray(target), _weights(self.weight, input), self.ignore_index, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """The binary cross entropy of scores (logits) with probabilities; see `tn.binary_cross_entropy_with_logits`.

    Args:
        weight: weights of the elements, kept as a buffer.
        reduction: "mean", "sum" or "none".
        pos_weight: how much more the positive part counts, kept as a buffer.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        self.weight = _buffer(weight)
        self.pos_weight = _buffer(pos_weight)
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        input = asarray(input)
        weight, pos_weight = _weights(self.weight, input), _weights(self.pos_weight, input)
        return ops.binary_cross_entropy_with_logits(input, asarray(target), weight, pos_weight, self.reduction)


class BCELoss(_Loss):
    """The binary cross entropy of probabilities with probabilities; see `tn.binary_cross_entropy`.

    Args:
        weight: weights of the elements, kept as a buffer.
        reduction: "mean", "sum" or "none".
    """

    weight: Tensor | None

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        self.weight = _buffer(weight)
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        input = asarray(input)
        return ops.binary_cross_entropy(input, asarray(target), _weights(self.weight, input), self.reduction)


class KLDivLoss(_Loss):
    """The Kullback-Leibler divergence of log-probabilities from probabilities; see `tn.kl_div`."""

    _usual = {"reduction": "mean", "log_target": False}  # noqa: RUF012

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction = reduction
        self.log_target = log_target

    def forward(self, input: Any, target: Any) -> Any:
        return ops.kl_div(asarray(input), asarray(target), self.reduction, self.log_target)


def _buffer(weight: Any) -> Tensor | None:
    return None if weight is None else Buffer(weight)


def _weights(weight: Tensor | None, input: Any) -> Any:
    return None if weight is None else cast(weight, input)
