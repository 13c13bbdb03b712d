"""Special functions. SciPy, which computes them but for large arrays, is loaded at the first call."""

from __future__ import annotations

import functools
from collections.abc import Callable

from tapenet.ops.elementwise.elementary import unary_samples
from tapenet.ops.op import op
from tapenet.program.derivatives import RULES
from tapenet.typing import Array


@functools.cache
def _scipy(name: str) -> Callable[[Array], Array]:
    import scipy.special

    found: Callable[[Array], Array] = getattr(scipy.special, name)
    return found


@op(
    lower="erf",
    grads=RULES["erf"],
    fuse=True,  # SciPy's code has no vectors
    samples=unary_samples(),
)
def erf(x: Array) -> Array:
    """The error function, element by element: 2/√π times the integral of exp(-t²) from 0 to x.

    Args:
        x: an array of floats, of any shape.

    Returns:
        an array of the shape and dtype of `x`. Its derivative is 2/√π exp(-x²). Float32 has a relative error of
        2.5e-7 at most.

    >>> import tapenet as tn
    >>> tn.erf(tn.tensor([0.0, 1.0]))
    Tensor([0.        , 0.84270079])
    """
    return _scipy("erf")(x)


@op(
    lower="normal_cdf",
    label="Φ",
    grads=RULES["normal_cdf"],
    fuse=True,
    samples=unary_samples(),
)
def normal_cdf(x: Array) -> Array:
    """The distribution function of the standard normal distribution, element by element: (1 + erf(x/√2))/2.

    Its absolute error is that of a number close to 1. `tn.special.ndtr` is as exact relative to its small values, far below 0.

    Args:
        x: an array of floats, of any shape.

    Returns:
        an array of the shape and dtype of `x`. Its derivative is exp(-x²/2)/√(2π).

    >>> import tapenet as tn
    >>> from tapenet.ops.elementwise.special import normal_cdf
    >>> normal_cdf(tn.tensor([0.0, 1.0]))
    Tensor([0.5       , 0.84134475])
    """
    return _scipy("ndtr")(x)
