"""Exponential, trigonometric and Fresnel integrals, and kin.

Reference: NIST Digital Library of Mathematical Functions, chapters 6 and 7.
"""

from __future__ import annotations

import cmath
import functools
import math

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import Op
from tapenet.special.definition import special
from tapenet.typing import Array


def _polynomial(x: Array, coefficients: list[float]) -> Array:
    """The polynomial with these coefficients, that of the highest power first."""
    return functools.reduce(lambda total, c: total * x + c, coefficients[1:], coefficients[0] + 0 * x)


def _sinh_over(x: Array) -> Array:
    """sinh(x) / x: near 0 by its series, whose derivatives have no cancellation."""
    near = np.abs(x) < 1
    series = _polynomial(np.where(near, x, 0) ** 2, [1 / math.factorial(2 * k + 1) for k in reversed(range(10))])
    far = np.where(near, 1, x)
    return np.where(near, series, np.sinh(far) / far)


def _log_over(x: Array) -> Array:
    """ln(x) / (1 - x): near 1 by its series."""
    near = np.abs(x - 1) < 0.125
    series = -_polynomial(np.where(near, 1 - x, 0), [1 / (k + 1) for k in reversed(range(18))])
    far = np.where(near, 2, x)
    return np.where(near, series, np.log(far) / (1 - far))


def _expn_slope(x: Array, y: Array) -> Array:
    """The derivative of expn(x, y) by y, -E(x - 1, y), of which SciPy has none below order 0."""
    low = np.where(x == 0, 1 + 1 / y, 1) * np.exp(-y) / y
    return np.where(x > 1, -expn(np.maximum(x - 1, 1), y), -low)


exp1 = special("exp1", "-exp(-x)/x", x=lambda g, x: -g * np.exp(-x) / x)
expi = special("expi", "exp(x)/x", x=lambda g, x: g * np.exp(x) / x)
expn: Op = special("expn", "by y: -expn(x - 1, y)", whole="x", y=lambda g, x, y: g * _expn_slope(x, y))
spence = special("spence", "ln x / (1 - x)", x=lambda g, x: g * _log_over(x))
sici = special(
    "sici", "of Si: sin x / x; of Ci: cos x / x",
    x=lambda g, x: g[0] * np.sinc(x / math.pi) + safe_mul(g[1], np.cos(x) / x),
)  # fmt: skip
shichi = special(
    "shichi",
    "of Shi: sinh x / x; of Chi: cosh x / x",
    x=lambda g, x: g[0] * _sinh_over(x) + safe_mul(g[1], np.cosh(x) / x),
)
fresnel = special(
    "fresnel", "of S: sin(π/2 x²); of C: cos(π/2 x²)",
    x=lambda g, x: g[0] * np.sin(math.pi / 2 * x * x) + g[1] * np.cos(math.pi / 2 * x * x),
)  # fmt: skip


def _modified(g: tuple[Array, Array], out: tuple[Array, Array], x: Array, sign: int) -> Array:
    """The rule of the modified Fresnel integrals; those with a minus are the conjugates of the others."""
    root = cmath.exp(-0.25j * sign * math.pi) / math.sqrt(math.pi)
    return -g[0] * np.exp(1j * sign * x * x) - g[1] * (2j * sign * x * out[1] + root)


modfresnelp = special(
    "modfresnelp", "of F: -exp(i x²); of K: -2i x K - exp(-i π/4)/√π", x=lambda g, out, x: _modified(g, out, x, 1)
)
modfresnelm = special(
    "modfresnelm", "of F: -exp(-i x²); of K: 2i x K - exp(i π/4)/√π", x=lambda g, out, x: _modified(g, out, x, -1)
)
