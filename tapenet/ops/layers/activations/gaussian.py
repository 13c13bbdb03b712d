"""The Gaussian error linear unit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.elementwise.blocks import blockwise
from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.elementwise.special import erf
from tapenet.ops.layers.activations import machine
from tapenet.ops.layers.activations.common import documented, over
from tapenet.ops.op import op
from tapenet.ops.registry import sample

_ROOT = math.sqrt(0.5)
_DENSITY = 1 / math.sqrt(2 * math.pi)
_TANH = math.sqrt(2 / math.pi)
_CUBIC = 0.044715 * _TANH


def _gelu_share(x: Any, approximate: str) -> Any:
    """The factor c of gelu(x) = x c: the normal distribution function, or its approximation."""
    if approximate == "none":
        return 0.5 * (1 + erf(x * _ROOT))
    if approximate == "tanh":
        return 0.5 * (1 + np.tanh(x * (_TANH + _CUBIC * (x * x))))
    raise ValueError(f"approximate={approximate!r}: it is 'none' or 'tanh'")


#: The names of the kernels.
_KERNELS = {"none": "gelu", "tanh": "gelu_tanh"}


def _gelu(x: Any, approximate: str = "none") -> Any:
    found = machine.elementwise(_KERNELS[approximate], x) if approximate in _KERNELS else None
    return _gelu_in_blocks(x, approximate) if found is None else found


@blockwise(1)
def _gelu_in_blocks(x: Any, approximate: str) -> Any:
    share = _gelu_share(x, approximate)
    return x * share, share


def _gelu_x(g: Any, x: Any, share: Any, approximate: str) -> Any:
    found = machine.elementwise(_KERNELS[approximate] + "_grad", g, x, share)
    return _gelu_x_in_blocks(g, x, share, approximate) if found is None else found


@blockwise(3)
def _gelu_x_in_blocks(g: Any, x: Any, share: Any, approximate: str) -> Any:
    if approximate == "none":
        slope = over(np.exp, x * x * -0.5) * _DENSITY
    else:
        slope = 2 * share * (1 - share) * (_TANH + 3 * _CUBIC * (x * x))
    return (slope * x + share) * g


gelu = op(
    _gelu,
    name="gelu",
    formula="x · Φ(x), Φ the normal distribution function",
    gradients="x: g · (Φ(x) + x · φ(x)), φ the normal density",
    residuals=("share",),  # erf is dear: not computed twice
    reference=lambda x, approximate: x * _gelu_share(x, approximate),
    x=_gelu_x,
    samples=lambda r: [*unary_samples()(r), *(sample(*s.args, "tanh") for s in unary_samples()(r))],
    doc=documented(
        "The Gaussian error linear unit x Φ(x), Φ being the normal distribution function",
        """With approximate="tanh": 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))). The derivative of the exact form is
    Φ(x) + x φ(x), φ being the normal density. Hendrycks and Gimpel, arXiv:1606.08415.""",
        "gelu(tn.tensor([0.0, 1.0]))\n    Tensor([0.        , 0.84134475])",
    ),
)
