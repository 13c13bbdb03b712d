"""Exponential integrals and kin."""

from __future__ import annotations

import numpy as np

from tapenet.ops.op import Op
from tapenet.special.definition import special

exp1 = special("exp1", "-exp(-x)/x", x=lambda g, x: -g * np.exp(-x) / x)
expi = special("expi", "exp(x)/x", x=lambda g, x: g * np.exp(x) / x)
expn: Op = special("expn", "by y: -expn(x - 1, y)", whole="x", y=lambda g, x, y: -g * expn(x - 1, y))
spence = special(
    "spence", "ln x / (1 - x)", x=lambda g, x: g * np.where(x == 1, -1, np.log(x) / np.where(x == 1, 1, 1 - x))
)
