"""Integrals of a log-concave density from a point to one side."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable

import numpy as np

from tapenet.typing import Array

#: Where the density has fallen by this power of e, the integral ends.
_FALL = 42.0


@functools.cache
def nodes() -> tuple[Array, Array]:
    """Those of Gauss and Legendre on [0, 1], and their weights."""
    x, w = np.polynomial.legendre.leggauss(32)
    return (x + 1) / 2, w / 2


def reach(fall: Callable[[Array], tuple[Array, Array]], start: Array) -> Array:
    """The distance at which the density has fallen far enough.

    Args:
        fall: by how much the logarithm of the density falls over a distance, and the derivative of that: a convex function.
        start: a distance that is too long. From there Newton's method comes down step by step.
    """
    u = start
    for _ in range(80):
        value, slope = fall(u)
        step = np.where(value > _FALL + 1, (value - _FALL) / slope, 0)
        u = u - step
        if not np.any(step > 0.01 * u):
            break
    return u


def integral(f: Callable[[Array, Array], Array], start: Array, end: Array, cuts: Array) -> Array:
    """The integral of `f` from `start` to `end`, place by place.

    Args:
        f: takes arguments along a further, last axis, and the numbers of the places that these belong to.
        start: where it begins.
        end: where it ends.
        cuts: rows of places, rising, between which `f` varies on one scale.
    """
    at, weight = nodes()
    edges = [start, *np.clip(cuts, start, end), end]
    total = np.zeros_like(start)
    for low, high in itertools.pairwise(edges):
        some = np.flatnonzero(high > low)
        if some.size:
            below, length = low[some], (high - low)[some]
            total[some] += f(below[:, None] + length[:, None] * at, some) @ weight * length
    return total
