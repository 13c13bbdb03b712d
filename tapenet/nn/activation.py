"""Activation functions as layers. What each computes is documented at the op of its name, `tn.relu` and so on."""

from __future__ import annotations

from dataclasses import KW_ONLY

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet.autodiff.tensor import Tensor
from tapenet.nn import functional as F
from tapenet.nn.layer_inputs import asarray, cast
from tapenet.nn.module import Module
from tapenet.nn.op_layer import OpLayer
from tapenet.nn.parameter import FLOAT, Parameter, float_type


class Tanh(OpLayer, op="tanh"):
    """The hyperbolic tangent; see `tn.tanh`."""


class Sigmoid(OpLayer, op="sigmoid"):
    """1 / (1 + exp(-x)); see `tn.sigmoid`."""


class LogSigmoid(OpLayer, op="logsigmoid"):
    """The logarithm of the sigmoid; see `tn.logsigmoid`."""


class ReLU(OpLayer, op="relu"):
    """max(x, 0); see `tn.relu`."""


class ReLU6(OpLayer, op="relu6"):
    """min(max(x, 0), 6); see `tn.relu6`."""


class SiLU(OpLayer, op="silu"):
    """x sigmoid(x), also called swish; see `tn.silu`."""


class Mish(OpLayer, op="mish"):
    """x tanh(softplus(x)); see `tn.mish`."""


class Softsign(OpLayer, op="softsign"):
    """x / (1 + |x|); see `tn.softsign`."""


class Tanhshrink(OpLayer, op="tanhshrink"):
    """x - tanh(x); see `tn.tanhshrink`."""


class Hardsigmoid(OpLayer, op="hardsigmoid"):
    """x/6 + 1/2 limited to [0, 1]; see `tn.hardsigmoid`."""


class Hardswish(OpLayer, op="hardswish"):
    """x hardsigmoid(x); see `tn.hardswish`."""


class SELU(OpLayer, op="selu"):
    """An ELU that keeps mean 0 and variance 1; see `tn.selu`."""


class _Activation(OpLayer):
    """An activation with settings, all of which its repr has."""

    _shows_all = True


class LeakyReLU(_Activation, op="leaky_relu"):
    """x where it is positive, else negative_slope x; see `tn.leaky_relu`."""

    negative_slope: float = 0.01


class ELU(_Activation, op="elu"):
    """x where it is positive, else alpha (exp(x) - 1); see `tn.elu`."""

    alpha: float = 1.0


class CELU(_Activation, op="celu"):
    """x where it is positive, else alpha (exp(x / alpha) - 1); see `tn.celu`."""

    alpha: float = 1.0


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
    Tensor([[-0.25, -1.  ]], dtype=float32, op=prelu)
    """

    weight: Tensor

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = FLOAT) -> None:
        self.weight = Parameter(np.full(num_parameters, init, float_type(dtype)))

    def forward(self, x: ArrayLike) -> Tensor:
        return F.prelu(cast(x, self.weight), self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={len(self.weight)}"


class RReLU(_Activation, op="rrelu"):
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


class Threshold(_Activation, op="threshold"):
    """x where it is above the threshold, else value; see `tn.threshold`."""

    threshold: float
    value: float


class Hardshrink(OpLayer, op="hardshrink"):
    """x where |x| > lambd, else 0; see `tn.hardshrink`."""

    lambd: float = 0.5

    def extra_repr(self) -> str:
        return f"{self.lambd!r}"


class Softshrink(Hardshrink, op="softshrink"):
    """x brought nearer to 0 by lambd; see `tn.softshrink`."""


class Hardtanh(_Activation, op="hardtanh"):
    """x limited to [min_val, max_val]; see `tn.hardtanh`."""

    min_val: float = -1.0
    max_val: float = 1.0


class Softplus(_Activation, op="softplus"):
    """ln(1 + exp(beta x)) / beta, a smooth rectifier; see `tn.softplus`."""

    beta: float = 1.0
    threshold: float | None = None


class GELU(_Activation, op="gelu"):
    """x Φ(x) with the normal distribution function Φ, or with `approximate="tanh"` close to it; see `tn.gelu`."""

    approximate: str = "none"


class Softmax(_Activation, op="softmax"):
    """Exponentials divided by their sum along the axis `dim`; see `tn.softmax`."""

    dim: int = -1


class LogSoftmax(_Activation, op="log_softmax"):
    """The logarithm of the softmax along the axis `dim`; see `tn.log_softmax`."""

    dim: int = -1


class Softmin(Softmax, op="softmin"):
    """The softmax of -x along the axis `dim`; see `tn.softmin`."""


class Softmax2d(Module):
    """The softmax over the channels of images, (n, channels, height, width) or without n; see `tn.softmax`."""

    def forward(self, x: ArrayLike) -> Tensor:
        x = asarray(x)
        if x.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: x has shape {x.shape}; give (n, channels, height, width), or without n")
        return F.softmax(x, -3)


class GLU(_Activation, op="glu"):
    """The first half along the axis `dim` times the sigmoid of the second; see `tn.glu`."""

    dim: int = -1
