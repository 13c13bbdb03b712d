"""Integrals of densities over tails, by the double exponential rule: fixed nodes, so that the integral is a formula of its own.

Reference: H. Takahasi and M. Mori, "Double exponential formulas for numerical integration", 1974.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet import ops
from tapenet.typing import Array

_STEP = 0.045
_AT = np.arange(-3.7, 5.6, _STEP)
#: The nodes, as distances in a scale of which they cover the orders of magnitude from 1e-12 to 1e90, and the derivative of the
#: logarithm of that distance, times the step.
NODES = np.exp(np.pi / 2 * np.sinh(_AT))
_WEIGHTS = np.pi / 2 * np.cosh(_AT) * _STEP
#: Logarithms of densities below this count as densities of 0: derivatives there may overflow.
_LEAST = -600.0


def tail(
    log_density: Callable[..., Array],
    factor: Callable[[Array, Array], Array] | None,
    y: Array,
    size: Array,
    upper: Array,
    base: Array,
    ends: tuple[Array, Array],
    shapes: tuple[Array, ...],
) -> Array:
    """The integral of exp(log_density(t, *shapes) - base) from an end of the support to y, or from y to the other end.

    Args:
        log_density: the logarithm of the density.
        factor: of the integrand: a function of t - y and of the logarithm of the density; None for 1.
        y: where the tail begins.
        size: about how far from y the mass of the tail lies.
        upper: whether it is the tail above y.
        base: a number that is subtracted, so that small tails do not underflow.
        ends: those of the support.
        shapes: further arguments of the density.
    """
    y, size, upper, base, *shapes_ = (v[..., None] for v in (y, size, upper, base, *shapes))
    low, high = (v[..., None] for v in ends)
    end = np.where(upper, high, low)
    finite = np.isfinite(end)
    sign = np.where(upper, 1.0, -1.0)
    end = np.where(finite, end, y + sign)
    length = np.where(end == y, 1.0, sign * (end - y))
    far = size * NODES
    ratio = np.where(finite, far / length, 0.0)
    t = np.where(finite, end - sign * length / (1 + ratio), y + sign * far)
    weight = _WEIGHTS * far / (1 + ratio) ** 2
    known = ops.stop_gradient(log_density(t, *shapes_) - base)
    keep = (known > _LEAST) & (known < -_LEAST) & (t != y) & (t != end)
    t = np.where(keep, t, t[..., len(NODES) // 2 : len(NODES) // 2 + 1])
    log = log_density(t, *shapes_)
    value = np.exp(np.where(keep, log - base, 0.0)) * weight
    if factor is not None:
        value = value * factor(t - y, np.where(keep, log, 0.0))
    found: Array = np.where(keep, value, 0.0).sum(-1)
    return found
