"""Losses of numbers, as layers.

What each computes is documented at the op behind it, `tn.mse_loss` and so on.
"""

from __future__ import annotations

from typing import Any

from tapenet import ops
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.loss.base import Loss


class MSELoss(Loss):
    """The squared error; see `tn.mse_loss`."""

    def forward(self, input: Any, target: Any) -> Any:
        return ops.mse_loss(asarray(input), asarray(target), self.reduction)


class L1Loss(Loss):
    """The absolute error; see `tn.l1_loss`."""

    def forward(self, input: Any, target: Any) -> Any:
        return ops.l1_loss(asarray(input), asarray(target), self.reduction)


class HuberLoss(Loss):
    """The squared error near 0, the absolute one beyond `delta`; see `tn.huber_loss`."""

    _usual = {"reduction": "mean", "delta": 1.0}  # noqa: RUF012

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        self.reduction = reduction
        self.delta = delta

    def forward(self, input: Any, target: Any) -> Any:
        return ops.huber_loss(asarray(input), asarray(target), self.reduction, self.delta)


class SmoothL1Loss(Loss):
    """The Huber loss divided by `beta`; see `tn.smooth_l1_loss`."""

    _usual = {"reduction": "mean", "beta": 1.0}  # noqa: RUF012

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        self.reduction = reduction
        self.beta = beta

    def forward(self, input: Any, target: Any) -> Any:
        return ops.smooth_l1_loss(asarray(input), asarray(target), self.reduction, self.beta)


class GaussianNLLLoss(Loss):
    """The negative log-likelihood under normal distributions of predicted mean and variance; see
    `tn.gaussian_nll_loss`."""

    _usual = {"full": False, "eps": 1e-6, "reduction": "mean"}  # noqa: RUF012

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        self.full = full
        self.eps = eps
        self.reduction = reduction

    def forward(self, input: Any, target: Any, var: Any) -> Any:
        var = var if isinstance(var, (int, float)) else asarray(var)
        return ops.gaussian_nll_loss(asarray(input), asarray(target), var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(Loss):
    """The negative log-likelihood of counts under Poisson distributions; see `tn.poisson_nll_loss`."""

    _usual = {"log_input": True, "full": False, "eps": 1e-8, "reduction": "mean"}  # noqa: RUF012

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean") -> None:
        self.log_input = log_input
        self.full = full
        self.eps = eps
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        settings = self.log_input, self.full, self.eps, self.reduction
        return ops.poisson_nll_loss(asarray(input), asarray(target), *settings)
