"""Special functions. SciPy, which computes them, is loaded at the first call."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tapenet.ops.elementwise.basic import unary_samples
from tapenet.ops.op import op


@functools.cache
def _scipy(name: str) -> Any:
    import scipy.special

    return getattr(scipy.special, name)


erf = op(
    lambda x: _scipy("erf")(x),
    name="erf",
    x=lambda g, x: g * (2 / math.sqrt(math.pi) * np.exp(-x * x)),
    formula="2/√π · ∫₀ˣ e^(−t²) dt",
    gradients="x: g · 2/√π · e^(−x²)",
    doc="""The error function, element by element: 2/√π times the integral of exp(-t²) from 0 to x.

    Args:
        x: an array of floats, of any shape.

    Returns:
        an array of the shape and dtype of `x`. Its derivative is 2/√π exp(-x²).

    >>> import tapenet as tn
    >>> tn.erf(tn.tensor([0.0, 1.0]))
    Tensor([0.        , 0.84270079])
    """,
    samples=unary_samples(),
)
