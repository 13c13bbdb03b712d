"""Exponentials, logarithms, and what is made of them."""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.special.definition import on_flat, special
from tapenet.special.exponential_moments import exponential_moment
from tapenet.special.log_concave import nodes
from tapenet.typing import Array

_DEGREE = math.pi / 180

expit: Op = special("expit", "out (1 - out)", x=lambda g, out, x: g * out * expit(-x))
log_expit: Op = special("log_expit", "expit(-x)", x=lambda g, x: g * expit(-x))
logit = special("logit", "1 / (x (1 - x))", x=lambda g, x: g / (x * (1 - x)))
exp10 = special("exp10", "ln 10 · out", x=lambda g, out: g * out * math.log(10))
exp2 = special("exp2", "ln 2 · out", x=lambda g, out: g * out * math.log(2))
expm1 = special("expm1", "exp(x)", x=lambda g, x: g * np.exp(x))
log1p = special("log1p", "1 / (1 + x)", x=lambda g, x: g / (1 + x))
round = special("round", "0", x=lambda g: 0 * g)
cbrt = special("cbrt", "1 / (3 out²)", x=lambda g, out: g / (3 * out * out))
exprel = special("exprel", "(exp(x) - out) / x", x=lambda g, x: g * exponential_moment(x, 1))
entr = special("entr", "-ln x - 1", x=lambda g, x: g * (-np.log(x) - 1))
xlogy = special("xlogy", "ln y; x/y", x=lambda g, y: g * np.log(y), y=lambda g, x, y: g * x / y)
xlog1py = special("xlog1py", "ln(1 + y); x/(1 + y)", x=lambda g, y: g * np.log1p(y), y=lambda g, x, y: g * x / (1 + y))
rel_entr = special(
    "rel_entr", "ln(x/y) + 1; -x/y", x=lambda g, x, y: g * (np.log(x / y) + 1), y=lambda g, x, y: -g * x / y
)
kl_div = special("kl_div", "ln(x/y); 1 - x/y", x=lambda g, x, y: g * np.log(x / y), y=lambda g, x, y: g * ((y - x) / y))
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
    x=lambda g, x, y: g * _pseudo_huber_by_limit(x, y),
    y=lambda g, x, y: g * x * _share(y, x),
)  # fmt: skip


def _pseudo_huber_by_limit(x: Array, y: Array) -> Array:
    """2x (s - 1) - y²/(x s), without a difference that may cancel."""
    part = _share(y, x) ** 2 / (1 + _share(x, y))
    return cast("Array", np.hypot(x, y) * part * part)


@op(
    x=lambda g, x, y: g * _share(y, x) ** 2 / np.hypot(x, y),
    y=lambda g, x, y: -g * _share(x, y) * _share(y, x) / np.hypot(x, y),
    broadcasts=True, vmap="leading", doc="x / √(x² + y²).",
)  # fmt: skip
def _share_of(x: Array, y: Array) -> Array:
    return cast("Array", x / np.hypot(x, y))


def _share(x: Array, y: Array) -> Array:
    return _share_of(x, y)


def _by_power(log: Array, lam: Array) -> Array:
    """The derivative of (exp(lam · log) - 1) / lam by lam."""
    return cast("Array", log * log * exponential_moment(lam * log, 1))


@op(x=lambda g, x, n: _next_root(g, x, n + 1), vmap="leading", doc="The n-th derivative of ln(1 + x) / x.")
def _root_slope(x: Array, n: int) -> Array:
    def slope(x: Array) -> Array:
        found = np.log1p(x) / x
        for k in range(1, n + 1):
            found = (-((-1) ** k) * math.factorial(k - 1) / (1 + x) ** k - k * found) / x
        at, weight = nodes()
        near = np.where(np.abs(x) < 0.5, x, 0)[:, None]
        inner = (math.factorial(n) * (-at) ** n / (1 + near * at) ** (n + 1)) @ weight
        return np.where(np.abs(x) < 0.5, inner, found)

    return on_flat(slope, x)


def _next_root(g: Array, x: Array, n: int) -> Array:
    return cast("Array", g * _root_slope(x, n))


def _by_root(x: Array, lam: Array) -> Array:
    """The derivative of ln(1 + lam · x) / lam by lam."""
    return cast("Array", x * x * _root_slope(lam * x, 1))


boxcox = special(
    "boxcox", "x^(y - 1); that of (x^y - 1)/y",
    x=lambda g, x, y: g * x ** (y - 1), y=lambda g, x, y: g * _by_power(np.log(x), y),
)  # fmt: skip
boxcox1p = special(
    "boxcox1p", "(1 + x)^(y - 1); that of ((1 + x)^y - 1)/y",
    x=lambda g, x, y: g * (1 + x) ** (y - 1), y=lambda g, x, y: g * _by_power(np.log1p(x), y),
)  # fmt: skip
inv_boxcox = special(
    "inv_boxcox", "out / (1 + x y); that of (1 + x y)^(1/y)",
    x=lambda g, out, x, y: g * out / (1 + x * y), y=lambda g, out, x, y: g * out * _by_root(x, y),
)  # fmt: skip
inv_boxcox1p = special(
    "inv_boxcox1p", "(1 + out) / (1 + x y); that of (1 + x y)^(1/y)",
    x=lambda g, out, x, y: g * (1 + out) / (1 + x * y), y=lambda g, out, x, y: g * (1 + out) * _by_root(x, y),
)  # fmt: skip
powm1 = special(
    "powm1", "y x^(y - 1); x^y ln x",
    x=lambda g, x, y: g * y * x ** (y - 1), y=lambda g, x, y: g * x**y * np.log(x),
)  # fmt: skip
radian = special(
    "radian", "π/180; π/180/60; π/180/3600",
    x=lambda g: g * _DEGREE, y=lambda g: g * (_DEGREE / 60), z=lambda g: g * (_DEGREE / 3600),
)  # fmt: skip
