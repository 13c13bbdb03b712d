"""Activation functions as layers. What each computes is documented at the op of its name, `tn.relu` and so on.

Where there are no settings, `forward` is the op itself (an op is no function, so it does not bind).
"""

from __future__ import annotations

from typing import Any

from tapenet import ops
from tapenet.nn.module import Module


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
        return ops.softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim!r}"


class LogSoftmax(Module):
    """The logarithm of the softmax along the axis `dim`; see `tn.log_softmax`."""

    def __init__(self, dim: int = -1) -> None:
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.log_softmax(x, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim!r}"
