"""Activation functions.

None of them warns or gives nan at large finite arguments, in the forward or in the rules. Where a mask decides,
`kept_where(mask, g)` keeps what `np.where` promises, whose branches cost ten times as much on a mask without pattern:
where the mask is false the gradient is 0, also if an infinite one arrives.
"""

from __future__ import annotations

from tapenet.ops.layers.activations.exponential import celu, elu, selu
from tapenet.ops.layers.activations.gaussian import gelu
from tapenet.ops.layers.activations.logistic import (
    glu,
    logsigmoid,
    mish,
    sigmoid,
    silu,
    softplus,
    softsign,
    tanhshrink,
)
from tapenet.ops.layers.activations.rectifiers import leaky_relu, prelu, relu, relu6, rrelu
from tapenet.ops.layers.activations.softmax import gumbel_softmax, log_softmax, softmax, softmin
from tapenet.ops.layers.activations.steps import (
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    softshrink,
    threshold,
)

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
    "threshold",
]
