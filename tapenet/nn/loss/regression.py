"""Losses of numbers, as layers.

What each computes is documented at the op behind it, `tn.mse_loss` and so on.
"""

from __future__ import annotations

from dataclasses import KW_ONLY

from numpy.typing import ArrayLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray
from tapenet.nn.loss.op_loss import OpLoss
from tapenet.nn.op_layer import OpSettings


class MSELoss(OpLoss, op="mse_loss"):
    """The squared error; see `tn.mse_loss`."""

    reduction: str = "mean"


class L1Loss(OpLoss, op="l1_loss"):
    """The absolute error; see `tn.l1_loss`."""

    reduction: str = "mean"


class HuberLoss(OpLoss, op="huber_loss"):
    """The squared error near 0, the absolute one beyond `delta`; see `tn.huber_loss`."""

    reduction: str = "mean"
    delta: float = 1.0


class SmoothL1Loss(OpLoss, op="smooth_l1_loss"):
    """The Huber loss divided by `beta`; see `tn.smooth_l1_loss`."""

    reduction: str = "mean"
    beta: float = 1.0


class GaussianNLLLoss(OpSettings, op="gaussian_nll_loss"):
    """The negative log-likelihood under normal distributions of predicted mean and variance; see
    `tn.gaussian_nll_loss`."""

    _: KW_ONLY
    full: bool = False
    eps: float = 1e-6
    reduction: str = "mean"

    def forward(self, input: ArrayLike, target: ArrayLike, var: ArrayLike) -> Tensor:
        var = var if isinstance(var, (int, float)) else asarray(var)
        return self._op(asarray(input), asarray(target), var, **self._given())


class PoissonNLLLoss(OpLoss, op="poisson_nll_loss"):
    """The negative log-likelihood of counts under Poisson distributions; see `tn.poisson_nll_loss`."""

    log_input: bool = True
    full: bool = False
    eps: float = 1e-8
    reduction: str = "mean"
