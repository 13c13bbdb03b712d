"""Exponential linear units: the identity above 0, an exponential that ends in a constant below."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats

if TYPE_CHECKING:
    from tapenet.typing import Array

#: Fixed so that a layer keeps mean 0 and variance 1 of its inputs (Klambauer et al., section 2).
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


def _unit(x: Array, alpha: float, rate: float = 1.0) -> Array:
    """x where x > 0, else alpha (e^(rate x) - 1)."""
    x = floats(x)
    positive = x > 0
    below = np.where(positive, 0, x)
    return np.where(positive, x, alpha * np.expm1(below if rate == 1 else below * rate))


@op(
    label=lambda alpha: "elu" if alpha == 1 else f"elu {alpha:g}",
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.5), sample(r.normal(size=4), alpha=1.7)],
)
def elu(x: Array, alpha: float = 1.0) -> Array:
    """The exponential linear unit: x where x > 0, else alpha (e^x - 1), element by element.

    The derivative is 1 where x > 0, else alpha e^x. Clevert, Unterthiner and Hochreiter, arXiv:1511.07289.

    >>> import tapenet as tn
    >>> tn.elu(tn.tensor([-1.0, 2.0]))
    Tensor([-0.63212056,  2.        ])
    """
    return _unit(x, alpha)


@op(
    samples=unary_samples(),
)
def selu(x: Array) -> Array:
    """The scaled exponential linear unit: 1.0507 x where x > 0, else 1.7581 (e^x - 1), element by element.

    Its two constants are such that layers keep mean 0 and variance 1. Klambauer et al., arXiv:1706.02515.

    >>> import tapenet as tn
    >>> tn.selu(tn.tensor([-1.0, 2.0]))
    Tensor([-1.11133074,  2.10140197])
    """
    return _unit(x, SELU_ALPHA) * SELU_SCALE


def _not_zero(alpha: float) -> None:
    if alpha == 0:
        raise ValueError("alpha=0 divides: give another number")


@op(
    check=_not_zero,
    label=lambda alpha: "celu" if alpha == 1 else f"celu {alpha:g}",
    samples=lambda r: [*unary_samples()(r), sample(r.normal(size=4), 0.5), sample(r.normal(size=4), alpha=1.7)],
)
def celu(x: Array, alpha: float = 1.0) -> Array:
    """The exponential linear unit with a continuous slope: x where x > 0, else alpha (e^(x / alpha) - 1), element by element.

    The derivative is 1 where x > 0, else e^(x / alpha). Barron, arXiv:1704.07483.

    >>> import tapenet as tn
    >>> tn.celu(tn.tensor([-1.0, 2.0]), 0.5)
    Tensor([-0.43233236,  2.        ])
    """
    return _unit(x, alpha, 1 / alpha)
