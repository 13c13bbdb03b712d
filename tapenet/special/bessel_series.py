"""The series 0F1(v; z) = Σ z^m / (m! v (v + 1) ... (v + m - 1)), of which Bessel functions are, and its derivatives by v."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tapenet.typing import Array


def terms(v: Array, z: Array, n: int, most: int) -> Iterator[list[Array]]:
    """The terms one by one, each as its Taylor coefficients in v to order n: the number of the term is its place."""
    term = [np.ones(np.broadcast(v, z).shape, np.result_type(v, z)), *(0 * (v + z) for _ in range(n))]
    for m in range(most):
        yield term
        factor = v + m
        made: list[Array] = []
        for i, coefficient in enumerate(term):  # divided by factor + the change of v
            made.append((coefficient * z / (m + 1) - (made[i - 1] if i else 0)) / factor)
        term = made
