"""The error function, its relatives, and the normal distribution.

References: NIST Digital Library of Mathematical Functions, chapter 7.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.special.definition import scipys, special
from tapenet.typing import Array

_ROOT = math.sqrt(math.pi)
#: From here on the series by 1/z² has all digits.
_FAR = 7.0


def _slope(name: str, sign: float, constant: complex) -> Op:
    """The op of the n-th derivative of a function with f' = 2 sign z f + constant, such as Dawson's.

    Far from 0 the two terms cancel; there it is the derivative of f ~ -constant / (2 sign z) Σ (2k - 1)!! / (-2 sign z²)^k.
    """

    def slope(x: Array, n: int = 1) -> Array:
        with np.errstate(all="ignore"):
            z = np.asarray(x).astype(np.result_type(x, float))
            last, found = np.zeros_like(z), scipys(name)(z)
            for k in range(n):
                last, found = found, 2 * sign * (z * found + k * last) + (constant if k == 0 else 0)
            total = np.zeros_like(found)
            for k in reversed(range(26)):
                factor = math.prod(range(1, 2 * k, 2)) / (-2 * sign) ** k * math.prod(range(2 * k + 1, 2 * k + 1 + n))
                total = total / (z * z) + factor
            far = -constant / (2 * sign) * (-1) ** n * total / z ** (n + 1)
        # Elsewhere the other solution, exp(sign z²), takes over.
        if z.dtype.kind == "f":
            sector = z > 0 if sign > 0 else True
        else:
            sector = z.real > 0 if sign > 0 else z.imag > 0 if name == "wofz" else (z * z).real > 40
        result: Array = np.where((np.abs(z) > _FAR) & sector, far, found)
        return result.astype(np.asarray(x).dtype)

    found: Op = op(
        slope, name=f"{name}_slope", vmap="leading", doc=f"The n-th derivative of {name}.",
        x=lambda g, x, n: g * found(x, n + 1),
    )  # fmt: skip
    return found


_dawsn_slope = _slope("dawsn", -1.0, 1.0)
_erfcx_slope = _slope("erfcx", 1.0, -2 / _ROOT)
_wofz_slope = _slope("wofz", -1.0, 2j / _ROOT)

erf = special("erf", "2/√π exp(-x²)", x=lambda g, x: g * (2 / _ROOT) * np.exp(-x * x))
erfc = special("erfc", "-2/√π exp(-x²)", x=lambda g, x: g * (-2 / _ROOT) * np.exp(-x * x))
erfcx = special("erfcx", "2x out - 2/√π", x=lambda g, x: g * _erfcx_slope(x))
erfi = special("erfi", "2/√π exp(x²)", x=lambda g, x: g * (2 / _ROOT) * np.exp(x * x))
erfinv = special("erfinv", "√π/2 exp(out²)", x=lambda g, out: g * (_ROOT / 2) * np.exp(out * out))
erfcinv = special("erfcinv", "-√π/2 exp(out²)", x=lambda g, out: g * (-_ROOT / 2) * np.exp(out * out))
dawsn = special("dawsn", "1 - 2x out", x=lambda g, x: g * _dawsn_slope(x))
wofz = special("wofz", "-2x out + 2i/√π", x=lambda g, x: g * _wofz_slope(x))
ndtr = special("ndtr", "exp(-x²/2) / √(2π)", x=lambda g, x: g * np.exp(-x * x / 2) * (1 / math.sqrt(2 * math.pi)))
ndtri = special("ndtri", "√(2π) exp(out²/2)", x=lambda g, out: g * math.sqrt(2 * math.pi) * np.exp(out * out / 2))
# The density over the distribution function: neither underflows in this form.
log_ndtr = special(
    "log_ndtr", "√(2/π) / erfcx(-x/√2)", x=lambda g, x: g * math.sqrt(2 / math.pi) / erfcx(x * -math.sqrt(0.5))
)
ndtri_exp = special(
    "ndtri_exp", "√(π/2) erfcx(-out/√2)", x=lambda g, out: g * math.sqrt(math.pi / 2) * erfcx(out * -math.sqrt(0.5))
)
owens_t = special(
    "owens_t", "-exp(-x²/2) erf(x y/√2) / √(8π); exp(-x² (1 + y²)/2) / (2π (1 + y²))",
    x=lambda g, x, y: g * np.exp(-x * x / 2) * erf(x * y * math.sqrt(0.5)) * (-1 / math.sqrt(8 * math.pi)),
    y=lambda g, x, y: g * np.exp(-x * x * (1 + y * y) / 2) / (2 * math.pi * (1 + y * y)),
)  # fmt: skip


@op(
    x=lambda g, x, s, y, n, k: _next_voigt(g, x, s, y, n + 1, k),
    s=lambda g, x, s, y, n, k: _next_voigt(g * s, x, s, y, n + 2, k),
    y=lambda g, x, s, y, n, k: _next_voigt(g, x, s, y, n + 1, k + 1),
    broadcasts=True, vmap="leading", doc="Re(i^k V^(n)(x + i y)), where the real part of V is Voigt's profile.",
)  # fmt: skip
def voigt_slope(x: Array, s: Array, y: Array, n: int, k: int) -> Array:
    scale = s * math.sqrt(2)
    turned = 1j**k * _wofz_slope((x + 1j * y) / scale, n)
    found: Array = turned.real / (s * math.sqrt(2 * math.pi)) / scale**n
    return found


def _next_voigt(g: Array, x: Array, s: Array, y: Array, n: int, k: int) -> Array:
    return cast("Array", g * voigt_slope(x, s, y, n, k))


# The profile is a normal density, of variance y², smoothed, so that its derivative by the variance is half the second one by x.
voigt_profile = special(
    "voigt_profile", "with V = wofz((x + i z) / (y √2)) / (y √(2π)), the real parts of V', y V'' and i V'",
    x=lambda g, x, y, z: g * voigt_slope(x, y, z, 1, 0), y=lambda g, x, y, z: g * y * voigt_slope(x, y, z, 2, 0),
    z=lambda g, x, y, z: g * voigt_slope(x, y, z, 1, 1),
)  # fmt: skip
