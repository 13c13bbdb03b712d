"""Struve functions and their integrals.

Reference: NIST Digital Library of Mathematical Functions, chapter 11.
"""

from __future__ import annotations

import math

from tapenet.ops.op import Op
from tapenet.special.definition import over, special
from tapenet.typing import Array


def _by_argument(f: Op, g: Array, out: Array, x: Array, y: Array) -> Array:
    found: Array = g * (f(x - 1, y) - over(x * out, y, 0))
    return found


struve: Op = special(
    "struve", "by y: struve(x - 1, y) - x out/y", fixed="x",
    y=lambda g, out, x, y: _by_argument(struve, g, out, x, y),
)  # fmt: skip
modstruve: Op = special(
    "modstruve", "by y: modstruve(x - 1, y) - x out/y", fixed="x",
    y=lambda g, out, x, y: _by_argument(modstruve, g, out, x, y),
)  # fmt: skip
itstruve0 = special("itstruve0", "struve(0, x)", x=lambda g, x: g * struve(0.0, x))
it2struve0 = special("it2struve0", "-struve(0, x)/x", x=lambda g, x: -g * over(struve(0.0, x), x, 2 / math.pi))
itmodstruve0 = special("itmodstruve0", "modstruve(0, x)", x=lambda g, x: g * modstruve(0.0, x))
