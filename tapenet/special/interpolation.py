"""The derivative of a function by a parameter for which there is no formula: that of the polynomial through its values nearby.

The functions are analytic in their parameters, so a polynomial through values at Chebyshev's points is exact to rounding where
these lie within a part of the way to the next singularity. It is no difference quotient with a small step: the error of values
is multiplied by some 13 / width, not divided by a step of 1e-8. The values are those of the op, so that derivatives of every
order follow, and derivatives by other arguments are by their own rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tapenet import ops
from tapenet.typing import Array

_HALF = 7
#: Chebyshev's points of (0, 1); those of (-1, 0) mirror them.
_POINTS = [math.sin((2 * k + 1) * math.pi / (4 * _HALF)) for k in range(_HALF)]
#: The slope at 0 of the polynomial through values at both is the sum of these times f(point) - f(-point).
_WEIGHTS = [
    math.prod(q * q / (q * q - p * p) for q in _POINTS if q != p) / (2 * p) for p in _POINTS
]  # fmt: skip
NODES = np.array([*_POINTS, *(-p for p in _POINTS)])
WEIGHTS = np.array([*_WEIGHTS, *(-w for w in _WEIGHTS)])


def slope(
    function: Callable[..., Array],
    args: Sequence[Array | float],
    i: int,
    width: Array | float,
    output: int | None = None,
) -> Array:
    """The derivative of an elementwise function by its argument i, at `args`.

    Args:
        function: an op that works element by element, or a function of ops that does.
        args: its arguments.
        i: which one.
        width: how far from it values are taken, to both sides; no singularity may be there, nor as close in the complex plane.
        output: of an op of several outputs, which one.
    """
    width = ops.expand_dims(ops.stop_gradient(width), -1)
    given = [ops.expand_dims(a, -1) for a in args]
    given[i] = given[i] + width * NODES
    found = function(*given)
    values = found if output is None else found[output]
    total: Array = np.sum(values * (WEIGHTS / width), axis=-1)
    return total
