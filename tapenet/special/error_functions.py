"""The error function, its relatives, and the normal distribution."""

from __future__ import annotations

import math

import numpy as np

from tapenet.special.definition import special

_ROOT = math.sqrt(math.pi)

erf = special("erf", "2/√π exp(-x²)", x=lambda g, x: g * (2 / _ROOT) * np.exp(-x * x))
erfc = special("erfc", "-2/√π exp(-x²)", x=lambda g, x: g * (-2 / _ROOT) * np.exp(-x * x))
erfcx = special("erfcx", "2x out - 2/√π", x=lambda g, out, x: g * (2 * x * out - 2 / _ROOT))
erfi = special("erfi", "2/√π exp(x²)", x=lambda g, x: g * (2 / _ROOT) * np.exp(x * x))
erfinv = special("erfinv", "√π/2 exp(out²)", x=lambda g, out: g * (_ROOT / 2) * np.exp(out * out))
erfcinv = special("erfcinv", "-√π/2 exp(out²)", x=lambda g, out: g * (-_ROOT / 2) * np.exp(out * out))
dawsn = special("dawsn", "1 - 2x out", x=lambda g, out, x: g * (1 - 2 * x * out))
ndtr = special("ndtr", "exp(-x²/2) / √(2π)", x=lambda g, x: g * np.exp(-x * x / 2) * (1 / math.sqrt(2 * math.pi)))
ndtri = special("ndtri", "√(2π) exp(out²/2)", x=lambda g, out: g * math.sqrt(2 * math.pi) * np.exp(out * out / 2))
log_ndtr = special(
    "log_ndtr", "exp(-x²/2 - out) / √(2π)",
    x=lambda g, out, x: g * np.exp(-x * x / 2 - out) * (1 / math.sqrt(2 * math.pi)),
)  # fmt: skip
