"""Activation functions as layers. What each computes is documented at the op of its name, `tn.relu` and so on.

Where there are no settings, `forward` is the op itself (an op is no function, so it does not bind).
"""

from __future__ import annotations

from dataclasses import KW_ONLY
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import DTypeLike

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray, cast
from tapenet.nn.module import Module
from tapenet.nn.parameter import FLOAT, Parameter, float_type
from tapenet.nn.settings_layer import SettingsLayer

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


class Tanh(Module):
    """The hyperbolic tangent; see `tn.tanh`."""

    forward = ops.tanh


class Sigmoid(Module):
    """1 / (1 + exp(-x)); see `tn.sigmoid`."""

    forward = ops.sigmoid


class LogSigmoid(Module):
    """The logarithm of the sigmoid; see `tn.logsigmoid`."""

    forward = ops.logsigmoid


class ReLU(Module):
    """max(x, 0); see `tn.relu`."""

    forward = ops.relu


class ReLU6(Module):
    """min(max(x, 0), 6); see `tn.relu6`."""

    forward = ops.relu6


class SiLU(Module):
    """x sigmoid(x), also called swish; see `tn.silu`."""

    forward = ops.silu


class Mish(Module):
    """x tanh(softplus(x)); see `tn.mish`."""

    forward = ops.mish


class Softsign(Module):
    """x / (1 + |x|); see `tn.softsign`."""

    forward = ops.softsign


class Tanhshrink(Module):
    """x - tanh(x); see `tn.tanhshrink`."""

    forward = ops.tanhshrink


class Hardsigmoid(Module):
    """x/6 + 1/2 limited to [0, 1]; see `tn.hardsigmoid`."""

    forward = ops.hardsigmoid


class Hardswish(Module):
    """x hardsigmoid(x); see `tn.hardswish`."""

    forward = ops.hardswish


class SELU(Module):
    """An ELU that keeps mean 0 and variance 1; see `tn.selu`."""

    forward = ops.selu


class _Activation(SettingsLayer):
    """An activation with settings, all of which its repr has."""

    _shows_all = True


class LeakyReLU(_Activation):
    """x where it is positive, else negative_slope x; see `tn.leaky_relu`."""

    negative_slope: float = 0.01

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.leaky_relu(x, self.negative_slope)


class ELU(_Activation):
    """x where it is positive, else alpha (exp(x) - 1); see `tn.elu`."""

    alpha: float = 1.0

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.elu(x, self.alpha)


class CELU(_Activation):
    """x where it is positive, else alpha (exp(x / alpha) - 1); see `tn.celu`."""

    alpha: float = 1.0

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.celu(x, self.alpha)


class PReLU(Module):
    """x where it is positive, else weight x with a learned weight; see `tn.prelu`.

    Shapes: (n, num_parameters, ...), or any shape for one weight; the output has the same shape.

    Args:
        num_parameters: 1, or the number of channels.
        init: the first value of the weights.

    Attributes:
        weight: (num_parameters,).

    >>> from tapenet import nn
    >>> nn.PReLU(2)([[-1.0, -4.0]])
    Tensor([[-0.25, -1.  ]], dtype=float32, op=sloped_relu)
    """

    weight: Tensor

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = FLOAT) -> None:
        self.weight = Parameter(np.full(num_parameters, init, float_type(dtype)))

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.prelu(cast(x, self.weight), self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={len(self.weight)}"


class RReLU(_Activation):
    """x where it is positive, else a x: in training with a slope a drawn for each element, else with the middle one; see
    `tn.rrelu`.

    Args:
        lower, upper: the limits of the slope.
        rng: a generator, or an integer to make one from; by default the one that `tn.random.seed` seeds.
    """

    lower: float = 1 / 8
    upper: float = 1 / 3
    _: KW_ONLY
    rng: np.random.Generator | int | None = None

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.rrelu(asarray(x), self.lower, self.upper, self.training, self.rng)


class Threshold(_Activation):
    """x where it is above the threshold, else value; see `tn.threshold`."""

    threshold: float
    value: float

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.threshold(x, self.threshold, self.value)


class Hardshrink(SettingsLayer):
    """x where |x| > lambd, else 0; see `tn.hardshrink`."""

    lambd: float = 0.5

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.hardshrink(x, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd!r}"


class Softshrink(Hardshrink):
    """x brought nearer to 0 by lambd; see `tn.softshrink`."""

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.softshrink(x, self.lambd)


class Hardtanh(_Activation):
    """x limited to [min_val, max_val]; see `tn.hardtanh`."""

    min_val: float = -1.0
    max_val: float = 1.0

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.hardtanh(x, self.min_val, self.max_val)


class Softplus(_Activation):
    """ln(1 + exp(beta x)) / beta, a smooth rectifier; see `tn.softplus`."""

    beta: float = 1.0
    threshold: float | None = None

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.softplus(x, self.beta, self.threshold)


class GELU(_Activation):
    """x Φ(x) with the normal distribution function Φ, or with `approximate="tanh"` close to it; see `tn.gelu`."""

    approximate: str = "none"

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.gelu(x, self.approximate)


class Softmax(_Activation):
    """Exponentials divided by their sum along the axis `dim`; see `tn.softmax`."""

    dim: int = -1

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.softmax(asarray(x), self.dim)


class LogSoftmax(_Activation):
    """The logarithm of the softmax along the axis `dim`; see `tn.log_softmax`."""

    dim: int = -1

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.log_softmax(asarray(x), self.dim)


class Softmin(Softmax):
    """The softmax of -x along the axis `dim`; see `tn.softmin`."""

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.softmin(asarray(x), self.dim)


class Softmax2d(Module):
    """The softmax over the channels of images, (n, channels, height, width) or without n; see `tn.softmax`."""

    def forward(self, x: ArrayLike) -> Tensor:
        x = asarray(x)
        if x.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: x has shape {x.shape}; give (n, channels, height, width), or without n")
        return ops.softmax(x, -3)


class GLU(_Activation):
    """The first half along the axis `dim` times the sigmoid of the second; see `tn.glu`."""

    dim: int = -1

    def forward(self, x: ArrayLike) -> Tensor:
        return ops.glu(asarray(x), self.dim)
