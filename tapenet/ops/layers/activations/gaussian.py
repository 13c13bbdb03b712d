"""The Gaussian error linear unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.elementwise.special import normal_cdf
from tapenet.ops.op import op
from tapenet.ops.registry import sample

if TYPE_CHECKING:
    from tapenet.typing import Array

_TANH = math.sqrt(2 / math.pi)


def _check(approximate: str) -> None:
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate={approximate!r}: it is 'none' or 'tanh'")


@op(
    check=_check,
    samples=lambda r: [*unary_samples()(r), *(sample(*s.args, "tanh") for s in unary_samples()(r))],
)
def gelu(x: Array, approximate: str = "none") -> Array:
    """The Gaussian error linear unit x Φ(x), Φ being the normal distribution function, element by element.

    With approximate="tanh": 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))). The derivative of the exact form is
    Φ(x) + x φ(x), φ being the normal density. Hendrycks and Gimpel, arXiv:1606.08415.

    >>> import tapenet as tn
    >>> tn.gelu(tn.tensor([0.0, 1.0]))
    Tensor([0.        , 0.84134475])
    """
    if approximate == "none":
        out: Array = x * normal_cdf(x)
        return out
    return x * (0.5 * (1 + np.tanh(x * (_TANH + 0.044715 * _TANH * (x * x)))))
