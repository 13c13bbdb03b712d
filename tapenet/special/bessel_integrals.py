"""Integrals of Bessel functions.

Reference: NIST Digital Library of Mathematical Functions, 10.22 and 10.43.
"""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.op import Op
from tapenet.special.bessel import i0, j0, k0, y0
from tapenet.special.definition import special
from tapenet.typing import Array


def _less_one(f: Op, x: Array, sign: int) -> Array:
    """(f(x) - 1) / x for f = i0, j0 and sign = 1, -1: by their series where x is small."""
    small = np.abs(x) < 2
    near, far = np.where(small, x, 0), np.where(small, 1, x)
    terms = [sign**m / (4**m * math.factorial(m) ** 2) for m in range(1, 14)]
    series = 0 * near
    for term in reversed(terms):
        series = series * near * near + term
    found: Array = np.where(small, near * series, (f(x) - 1) / far)
    return found


itj0y0 = special("itj0y0", "j0(x), y0(x)", x=lambda g, x: g[0] * j0(x) + g[1] * y0(x))
it2j0y0 = special("it2j0y0", "(1 - j0(x))/x, -y0(x)/x", x=lambda g, x: -g[0] * _less_one(j0, x, -1) - g[1] * y0(x) / x)
iti0k0 = special("iti0k0", "i0(x), k0(x)", x=lambda g, x: g[0] * i0(x) + g[1] * k0(x))
it2i0k0 = special("it2i0k0", "(i0(x) - 1)/x, -k0(x)/x", x=lambda g, x: g[0] * _less_one(i0, x, 1) - g[1] * k0(x) / x)
