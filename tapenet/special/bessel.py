"""Bessel functions.

Reference: NIST Digital Library of Mathematical Functions, chapter 10.
"""

from __future__ import annotations

import numpy as np

from tapenet.ops.op import Op
from tapenet.special.definition import over, special

i0: Op = special("i0", "i1(x)", x=lambda g, x: g * i1(x))
i1: Op = special("i1", "i0(x) - out/x", x=lambda g, out, x: g * (i0(x) - over(out, x, 0.5)))
i0e = special("i0e", "i1e(x) - sign(x) out", x=lambda g, out, x: g * (i1e(x) - np.sign(x) * out))
i1e: Op = special(
    "i1e", "i0e(x) - (sign(x) + 1/x) out", x=lambda g, out, x: g * (i0e(x) - np.sign(x) * out - over(out, x, 0.5))
)
k0 = special("k0", "-k1(x)", x=lambda g, x: -g * k1(x))
k1: Op = special("k1", "-k0(x) - out/x", x=lambda g, out, x: -g * (k0(x) + out / x))
k0e = special("k0e", "out - k1e(x)", x=lambda g, out, x: g * (out - k1e(x)))
k1e: Op = special("k1e", "out - k0e(x) - out/x", x=lambda g, out, x: g * (out - k0e(x) - out / x))
j0 = special("j0", "-j1(x)", x=lambda g, x: -g * j1(x))
j1: Op = special("j1", "j0(x) - out/x", x=lambda g, out, x: g * (j0(x) - over(out, x, 0.5)))
y0 = special("y0", "-y1(x)", x=lambda g, x: -g * y1(x))
y1: Op = special("y1", "y0(x) - out/x", x=lambda g, out, x: g * (y0(x) - out / x))
