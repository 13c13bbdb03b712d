"""Losses of numbers, as layers.

What each computes is documented at the op behind it, `tn.mse_loss` and so on.
"""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.settings_layer import SettingsLayer

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class MSELoss(SettingsLayer):
    """The squared error; see `tn.mse_loss`."""

    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        return ops.mse_loss(asarray(input), asarray(target), self.reduction)


class L1Loss(SettingsLayer):
    """The absolute error; see `tn.l1_loss`."""

    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        return ops.l1_loss(asarray(input), asarray(target), self.reduction)


class HuberLoss(SettingsLayer):
    """The squared error near 0, the absolute one beyond `delta`; see `tn.huber_loss`."""

    reduction: str = "mean"
    delta: float = 1.0

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        return ops.huber_loss(asarray(input), asarray(target), self.reduction, self.delta)


class SmoothL1Loss(SettingsLayer):
    """The Huber loss divided by `beta`; see `tn.smooth_l1_loss`."""

    reduction: str = "mean"
    beta: float = 1.0

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        return ops.smooth_l1_loss(asarray(input), asarray(target), self.reduction, self.beta)


class GaussianNLLLoss(SettingsLayer):
    """The negative log-likelihood under normal distributions of predicted mean and variance; see
    `tn.gaussian_nll_loss`."""

    _: KW_ONLY
    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike, var: ArrayLike) -> Tensor:
        var = var if isinstance(var, (int, float)) else asarray(var)
        return ops.gaussian_nll_loss(asarray(input), asarray(target), var, self.full, self.eps, self.reduction)


class PoissonNLLLoss(SettingsLayer):
    """The negative log-likelihood of counts under Poisson distributions; see `tn.poisson_nll_loss`."""

    log_input: bool = True
    full: bool = False
    eps: float = 1e-8
    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        settings = self.log_input, self.full, self.eps, self.reduction
        return ops.poisson_nll_loss(asarray(input), asarray(target), *settings)
