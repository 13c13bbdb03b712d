"""Exponential linear units: the identity above 0, an exponential that ends in a constant below."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.elementwise.blocks import blockwise
from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.layers.activations.common import documented, negative_part, over, positive_part
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats

#: Fixed so that a layer keeps mean 0 and variance 1 of its inputs (Klambauer et al., section 2).
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


@blockwise(1)
def _unit(x: Any, alpha: float, scale: float = 1.0, rate: float = 1.0) -> Any:
    """scale · x where x > 0, else scale · alpha (e^(rate x) - 1)."""
    x = floats(x)
    below = negative_part(x)
    out = positive_part(x)
    if rate != 1:
        below *= rate
    below = over(np.expm1, below)
    if alpha != 1:
        below *= alpha
    out += below
    return out if scale == 1 else out * scale


@blockwise(2)
def _slope(g: Any, x: Any, alpha: float, scale: float = 1.0, rate: float = 1.0) -> Any:
    """The rule of that: g · scale where x > 0, else g · scale · alpha · rate · e^(rate x)."""
    below = negative_part(x)
    slope = over(np.exp, below if rate == 1 else below * rate)
    steep = alpha * rate
    if steep == 1 and scale == 1:
        return g * slope
    return g * (slope * (steep * scale) + (x > 0).astype(g.dtype) * (scale - steep * scale))


elu = op(
    lambda x, alpha=1.0: _unit(x, alpha),
    name="elu",
    label=lambda alpha: "elu" if alpha == 1 else f"elu {alpha:g}",
    formula="x where x > 0, else α · (eˣ − 1)",
    gradients="x: g where x > 0, else g · α · eˣ",
    x=lambda g, x, alpha: _slope(g, x, alpha),
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.5), sample(r.normal(size=4), alpha=1.7)],
    doc=documented(
        "The exponential linear unit: x where x > 0, else alpha (e^x - 1)",
        "The derivative is 1 where x > 0, else alpha e^x. Clevert, Unterthiner and Hochreiter, arXiv:1511.07289.",
        "elu(tn.tensor([-1.0, 2.0]))\n    Tensor([-0.63212056,  2.        ])",
    ),
)

selu = op(
    lambda x: _unit(x, SELU_ALPHA, SELU_SCALE),
    name="selu",
    formula="λ · (x where x > 0, else α · (eˣ − 1)), λ = 1.0507, α = 1.6733",
    gradients="x: g · λ where x > 0, else g · λ · α · eˣ",
    x=lambda g, x: _slope(g, x, SELU_ALPHA, SELU_SCALE),
    samples=unary_samples(),
    doc=documented(
        "The scaled exponential linear unit: 1.0507 x where x > 0, else 1.7581 (e^x - 1)",
        "Its two constants are such that layers keep mean 0 and variance 1. Klambauer et al., arXiv:1706.02515.",
        "selu(tn.tensor([-1.0, 2.0]))\n    Tensor([-1.11133074,  2.10140197])",
    ),
)


def _celu(x: Any, alpha: float = 1.0) -> Any:
    if alpha == 0:
        raise ValueError("alpha=0 divides: give another number")
    return _unit(x, alpha, rate=1 / alpha)


celu = op(
    _celu,
    name="celu",
    label=lambda alpha: "celu" if alpha == 1 else f"celu {alpha:g}",
    formula="x where x > 0, else α · (e^(x/α) − 1)",
    gradients="x: g where x > 0, else g · e^(x/α)",
    x=lambda g, x, alpha: _slope(g, x, alpha, rate=1 / alpha),
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.5), sample(r.normal(size=4), alpha=1.7)],
    doc=documented(
        "The exponential linear unit with a continuous slope: x where x > 0, else alpha (e^(x / alpha) - 1)",
        "The derivative is 1 where x > 0, else e^(x / alpha). Barron, arXiv:1704.07483.",
        "celu(tn.tensor([-1.0, 2.0]), 0.5)\n    Tensor([-0.43233236,  2.        ])",
    ),
)
