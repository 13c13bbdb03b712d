"""Integrals of densities over tails, by the double exponential rule: fixed nodes, so that the integral is a formula of its own.

Reference: H. Takahasi and M. Mori, "Double exponential formulas for numerical integration", 1974.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tapenet import ops
from tapenet.typing import Array


class Rule(NamedTuple):
    """A rule of quadrature.

    Attributes:
        nodes: distances in a scale of which they cover the orders of magnitude from 1e-13 to 1e90.
        weights: derivatives of the logarithm of the distance, times the step.
        middle: the node next to 1.
    """

    nodes: Array
    weights: Array
    middle: int


def _rule(step: float) -> Rule:
    at = np.arange(-3.7, 5.6, step)
    return Rule(np.exp(np.pi / 2 * np.sinh(at)), np.pi / 2 * np.cosh(at) * step, int(np.abs(at).argmin()))


#: For tails, whose densities decrease, and for the whole of a distribution, with a hump and a factor.
_TAIL, _WHOLE = _rule(0.07), _rule(0.045)
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
    rule = _TAIL if factor is None else _WHOLE
    far = size * rule.nodes
    ratio = np.where(finite, far / length, 0.0)
    t = np.where(finite, end - sign * length / (1 + ratio), y + sign * far)
    weight = rule.weights * far / (1 + ratio) ** 2
    known = ops.stop_gradient(log_density(t, *shapes_) - base)
    keep = (known > _LEAST) & (known < -_LEAST) & (t != y) & (t != end)
    t = np.where(keep, t, t[..., rule.middle : rule.middle + 1])
    log = log_density(t, *shapes_)
    value = np.exp(np.where(keep, log - base, 0.0)) * weight
    if factor is not None:
        value = value * factor(t - y, np.where(keep, log, 0.0))
    found: Array = np.where(keep, value, 0.0).sum(-1)
    return found
