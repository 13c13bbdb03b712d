"""Activation functions as layers. What each computes is documented at the op of its name, `tn.relu` and so on.

Where there are no settings, `forward` is the op itself (an op is no function, so it does not bind).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn.layer_inputs import asarray, cast
from tapenet.nn.module import Module
from tapenet.nn.parameter import FLOAT, Parameter, float_type
from tapenet.ops.random import generator


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


class LeakyReLU(Module):
    """x where it is positive, else negative_slope x; see `tn.leaky_relu`."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        return ops.leaky_relu(x, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope!r}"


class ELU(Module):
    """x where it is positive, else alpha (exp(x) - 1); see `tn.elu`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return ops.elu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha!r}"


class CELU(Module):
    """x where it is positive, else alpha (exp(x / alpha) - 1); see `tn.celu`."""

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return ops.celu(x, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha!r}"


class PReLU(Module):
    """x where it is positive, else weight x with a learned weight; see `tn.prelu`.

    Shapes: (n, num_parameters, ...), or any shape for one weight; the same comes out.

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

    def forward(self, x: Any) -> Any:
        return ops.prelu(cast(x, self.weight), self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={len(self.weight)}"


class RReLU(Module):
    """x where it is positive, else a x: in training with a slope a drawn for each element, else with the middle one; see
    `tn.rrelu`.

    Args:
        lower, upper: the limits of the slope.
        rng: a generator, or an integer to make one from; by default the one that `tn.random.seed` seeds.
    """

    def __init__(
        self, lower: float = 1 / 8, upper: float = 1 / 3, *, rng: np.random.Generator | int | None = None
    ) -> None:
        self.lower = lower
        self.upper = upper
        # An integer would begin the same numbers anew at each call.
        self.rng = None if rng is None else generator(rng)

    def forward(self, x: Any) -> Any:
        return ops.rrelu(asarray(x), self.lower, self.upper, self.training, self.rng)

    def extra_repr(self) -> str:
        return f"lower={self.lower!r}, upper={self.upper!r}"


class Threshold(Module):
    """x where it is above the threshold, else value; see `tn.threshold`."""

    def __init__(self, threshold: float, value: float) -> None:
        self.threshold = threshold
        self.value = value

    def forward(self, x: Any) -> Any:
        return ops.threshold(x, self.threshold, self.value)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold!r}, value={self.value!r}"


class Hardshrink(Module):
    """x where |x| > lambd, else 0; see `tn.hardshrink`."""

    def __init__(self, lambd: float = 0.5) -> None:
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        return ops.hardshrink(x, self.lambd)

    def extra_repr(self) -> str:
        return f"{self.lambd!r}"


class Softshrink(Hardshrink):
    """x brought nearer to 0 by lambd; see `tn.softshrink`."""

    def forward(self, x: Any) -> Any:
        return ops.softshrink(x, self.lambd)


class Hardtanh(Module):
    """x limited to [min_val, max_val]; see `tn.hardtanh`."""

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0) -> None:
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, x: Any) -> Any:
        return ops.hardtanh(x, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val!r}, max_val={self.max_val!r}"


class Softplus(Module):
    """ln(1 + exp(beta x)) / beta, a smooth rectifier; see `tn.softplus`."""

    def __init__(self, beta: float = 1.0, threshold: float | None = None) -> None:
        self.beta = beta
        self.threshold = threshold

    def forward(self, x: Any) -> Any:
        return ops.softplus(x, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta!r}, threshold={self.threshold!r}"


class GELU(Module):
    """x Φ(x) with the normal distribution function Φ, or with `approximate="tanh"` close to it; see `tn.gelu`."""

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return ops.gelu(x, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class Softmax(Module):
    """Exponentials divided by their sum along the axis `dim`; see `tn.softmax`."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.softmax(asarray(x), self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim!r}"


class LogSoftmax(Module):
    """The logarithm of the softmax along the axis `dim`; see `tn.log_softmax`."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.log_softmax(asarray(x), self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim!r}"


class Softmin(Softmax):
    """The softmax of -x along the axis `dim`; see `tn.softmin`."""

    def forward(self, x: Any) -> Any:
        return ops.softmin(asarray(x), self.dim)


class Softmax2d(Module):
    """The softmax over the channels of images, (n, channels, height, width) or without n; see `tn.softmax`."""

    def forward(self, x: Any) -> Any:
        x = asarray(x)
        if x.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: x has shape {x.shape}; give (n, channels, height, width), or without n")
        return ops.softmax(x, -3)


class GLU(Module):
    """The first half along the axis `dim` times the sigmoid of the second; see `tn.glu`."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.glu(asarray(x), self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim!r}"
