"""Elliptic integrals."""

from __future__ import annotations

import math

from tapenet.ops.op import Op
from tapenet.special.definition import over, special

ellipe = special(
    "ellipe", "(out - ellipk(x)) / (2x)", x=lambda g, out, x: g * over(out - ellipk(x), 2 * x, -math.pi / 8)
)
ellipk: Op = special(
    "ellipk", "(ellipe(x) / (1 - x) - out) / (2x)",
    x=lambda g, out, x: g * over(ellipe(x) / (1 - x) - out, 2 * x, math.pi / 8),
)  # fmt: skip
ellipkm1 = special(
    "ellipkm1", "-(ellipe(1 - x) / x - out) / (2 (1 - x))",
    x=lambda g, out, x: -g * over(ellipe(1 - x) / x - out, 2 * (1 - x), math.pi / 8),
)  # fmt: skip
