"""Derivatives of exp(f): polynomials in those of f (Bell's)."""

from __future__ import annotations

import math
from collections.abc import Callable

from tapenet.typing import Array


def of_exponential(i: int, j: int, cumulant: Callable[[int, int], Array]) -> Array | float:
    """The derivative of exp(f(a, b)), i times by a and j times by b, divided by exp(f); 0 for a number below 0.

    Args:
        i: how often by a.
        j: how often by b.
        cumulant: gives the derivative of f itself.
    """
    if i < 0 or j < 0:
        return 0.0
    if i == j == 0:
        return 1.0
    total: Array | float = 0.0
    if i == 0:
        for m in range(j):
            total = total + math.comb(j - 1, m) * cumulant(0, m + 1) * of_exponential(0, j - 1 - m, cumulant)
        return total
    for k in range(i):
        for m in range(j + 1):
            part = cumulant(k + 1, m) * of_exponential(i - 1 - k, j - m, cumulant)
            total = total + math.comb(i - 1, k) * math.comb(j, m) * part
    return total
