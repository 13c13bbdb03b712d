"""Exponentials, logarithms, and what is made of them."""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.op import Op
from tapenet.special.definition import over, special
from tapenet.typing import Array

_DEGREE = math.pi / 180

expit = special("expit", "out (1 - out)", x=lambda g, out: g * out * (1 - out))
log_expit = special("log_expit", "expit(-x)", x=lambda g, x: g * expit(-x))
logit = special("logit", "1 / (x (1 - x))", x=lambda g, x: g / (x * (1 - x)))
exp10 = special("exp10", "ln 10 · out", x=lambda g, out: g * out * math.log(10))
exp2 = special("exp2", "ln 2 · out", x=lambda g, out: g * out * math.log(2))
cbrt = special("cbrt", "1 / (3 out²)", x=lambda g, out: g / (3 * out * out))
exprel = special("exprel", "(exp(x) - out) / x", x=lambda g, out, x: g * over(np.exp(x) - out, x, 0.5))
entr = special("entr", "-ln x - 1", x=lambda g, x: g * (-np.log(x) - 1))
xlogy = special("xlogy", "ln y; x/y", x=lambda g, y: g * np.log(y), y=lambda g, x, y: g * x / y)
xlog1py = special("xlog1py", "ln(1 + y); x/(1 + y)", x=lambda g, y: g * np.log1p(y), y=lambda g, x, y: g * x / (1 + y))
rel_entr = special(
    "rel_entr", "ln(x/y) + 1; -x/y", x=lambda g, x, y: g * (np.log(x / y) + 1), y=lambda g, x, y: -g * x / y
)
kl_div = special("kl_div", "ln(x/y); 1 - x/y", x=lambda g, x, y: g * np.log(x / y), y=lambda g, x, y: g * (1 - x / y))
cosm1 = special("cosm1", "-sin x", x=lambda g, x: -g * np.sin(x))
cosdg: Op = special("cosdg", "-π/180 sin(x°)", x=lambda g, x: -g * _DEGREE * sindg(x))
sindg: Op = special("sindg", "π/180 cos(x°)", x=lambda g, x: g * _DEGREE * cosdg(x))
tandg = special("tandg", "π/180 (1 + out²)", x=lambda g, out: g * _DEGREE * (1 + out * out))
cotdg = special("cotdg", "-π/180 (1 + out²)", x=lambda g, out: -g * _DEGREE * (1 + out * out))
huber = special(
    "huber", "by the limit x: |y| - x beyond it, else 0; y within the limit, else x sign y",
    x=lambda g, x, y: g * np.maximum(np.abs(y) - x, 0), y=lambda g, x, y: g * np.clip(y, -x, x),
)  # fmt: skip
pseudo_huber = special(
    "pseudo_huber", "with s = √(1 + (y/x)²): 2x (s - 1) - y²/(x s); y/s",
    x=lambda g, x, y: g * (2 * x * (np.sqrt(1 + (y / x) ** 2) - 1) - y * y / (x * np.sqrt(1 + (y / x) ** 2))),
    y=lambda g, x, y: g * y / np.sqrt(1 + (y / x) ** 2),
)  # fmt: skip


def _by_power(log: Array, power: Array, lam: Array) -> Array:
    """The derivative of (power - 1) / lam by lam, where power = exp(lam · log)."""
    return np.where(lam == 0, log * log / 2, (power * (lam * log - 1) + 1) / np.where(lam == 0, 1, lam) ** 2)


def _by_root(x: Array, lam: Array) -> Array:
    """The derivative of ln(1 + lam · x) / lam by lam."""
    one = np.where(lam == 0, 1, lam)
    return np.where(lam == 0, -x * x / 2, x / (one * (1 + lam * x)) - np.log1p(lam * x) / one**2)


boxcox = special(
    "boxcox", "x^(y - 1); that of (x^y - 1)/y",
    x=lambda g, x, y: g * x ** (y - 1), y=lambda g, x, y: g * _by_power(np.log(x), x**y, y),
)  # fmt: skip
boxcox1p = special(
    "boxcox1p", "(1 + x)^(y - 1); that of ((1 + x)^y - 1)/y",
    x=lambda g, x, y: g * (1 + x) ** (y - 1), y=lambda g, x, y: g * _by_power(np.log1p(x), (1 + x) ** y, y),
)  # fmt: skip
inv_boxcox = special(
    "inv_boxcox", "out / (1 + x y); that of (1 + x y)^(1/y)",
    x=lambda g, out, x, y: g * out / (1 + x * y), y=lambda g, out, x, y: g * out * _by_root(x, y),
)  # fmt: skip
inv_boxcox1p = special(
    "inv_boxcox1p", "(1 + out) / (1 + x y); that of (1 + x y)^(1/y)",
    x=lambda g, out, x, y: g * (1 + out) / (1 + x * y), y=lambda g, out, x, y: g * (1 + out) * _by_root(x, y),
)  # fmt: skip
