"""Orthogonal polynomials, and the functions that they are for a degree that is no whole number.

By the argument the derivative is a polynomial of one degree less. By degree and parameters it is that of the hypergeometric
function of which they are a multiple.

Reference: NIST Digital Library of Mathematical Functions, chapter 18.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import Op
from tapenet.special.definition import special
from tapenet.special.gamma_functions import binom
from tapenet.special.hypergeometric import hyp2f1, slope_1f1, slope_2f1
from tapenet.special.zeta_functions import psi
from tapenet.typing import Array

#: The parameters a, b and c of the hypergeometric function F(a, b; c; z).
Parameters = tuple[Array, Array, Array | float]


def _by_degree(parameters: Parameters, z: Array) -> Array:
    """The derivative of F by the degree n, in F(-n, n + ...; c; z)."""
    return slope_2f1(1, *parameters, z) - slope_2f1(0, *parameters, z)


def _by_argument(scale: Array | float, parameters: Parameters, z: Array) -> Array:
    """The derivative of F by z, times a scale. Of degree 0 it is 0, also where the factor at a is not finite."""
    a, b, c = parameters
    found: Array = safe_mul(a, scale * b / c * hyp2f1(a + 1, b + 1, c + 1, z))
    return found


def _low(
    n: Array, x: Array, hypergeometric: Callable[[Array, Array], Array], polynomial: Callable[[Array], Array]
) -> Array:
    """The derivative by the argument: of a degree n below 1, and where x is complex, that of F, since not all of SciPy's
    polynomials have degrees below 0; else a polynomial, which is exact for high degrees too.
    """
    if np.iscomplexobj(x):
        return hypergeometric(n, x)
    low = n < 1
    return np.where(low, hypergeometric(np.where(low, n, 0.5), np.where(low, x, 0.5)), polynomial(np.where(low, 1, n)))


def _legendre(n: Array) -> Parameters:
    return -n, n + 1, 1.0


def _chebyt(n: Array) -> Parameters:
    return -n, n, 0.5


def _chebyu(n: Array) -> Parameters:
    return -n, n + 2, 1.5


def _chebyt_n(n: Array, x: Array) -> Array:
    """The derivative of cos(n θ) by n, x = cos θ; near x = 1, where θ has a kink, that of F."""
    near = np.logical_or(np.iscomplexobj(x), np.real(x) > 0.9)
    theta = np.arccos(np.where(near, 0, x))
    return np.where(near, _by_degree(_chebyt(n), (1 - np.where(near, x, 1)) / 2), -theta * np.sin(n * theta))


def _chebyu_n(n: Array, x: Array) -> Array:
    """That of sin((n + 1) θ) / sin θ, or (n + 1) F."""
    near = np.logical_or(np.iscomplexobj(x), np.real(x) > 0.9)
    theta = np.arccos(np.where(near, 0, x))
    z = (1 - np.where(near, x, 1)) / 2
    f = hyp2f1(*_chebyu(n), z) + (n + 1) * _by_degree(_chebyu(n), z)
    found: Array = np.where(near, f, theta * np.cos((n + 1) * theta) / np.sin(theta))
    return found


def _gegenbauer(n: Array, a: Array) -> Parameters:
    return -n, n + 2 * a, a + 0.5


def _jacobi(n: Array, a: Array, b: Array) -> Parameters:
    return -n, n + a + b + 1, a + 1


def _jacobi_by(i: int, out: Array, n: Array, a: Array, b: Array, x: Array) -> Array:
    """The derivative of `eval_jacobi`, a binomial times F, by n, a or b."""
    parameters, z = _jacobi(n, a, b), (1 - x) / 2
    scale = binom(n + a, n)
    by_b: Array = scale * slope_2f1(1, *parameters, z)
    if i == 2:
        return by_b
    inner: Array = scale * _by_degree(parameters, z) if i == 0 else by_b + scale * slope_2f1(2, *parameters, z)
    other: Array = out * (psi(n + a + 1) - psi((n if i == 0 else a) + 1))
    return other + inner


def _sh_jacobi_by(i: int, out: Array, n: Array, p: Array, q: Array, x: Array) -> Array:
    """That of `eval_sh_jacobi`, which is eval_jacobi(n, p - q, q - 1, 2x - 1) by a binomial, by n, p or q."""
    args = (n, p - q, q - 1, 2 * x - 1)
    value, scale = eval_jacobi(*args), binom(2 * n + p - 1, n)
    by: list[Array] = [_jacobi_by(k, value, *args) / scale for k in ((0,), (1,), (1, 2))[i]]
    if i == 2:
        return by[1] - by[0]
    inner: Array = out * (psi(2 * n + p) - psi(n + p) + (psi(2 * n + p) - psi(n + 1) if i == 0 else 0))
    return by[0] - inner


def _of_degree(name: str, formula: str, by_x: Callable[..., Array], by_y: Callable[..., Array]) -> Op:
    """A polynomial of degree x at y."""
    return special(
        name, f"by y: {formula}", how={"x": "interpolation"},
        x=lambda g, x, y: g * by_x(x, y), y=lambda g, x, y: g * by_y(x, y),
    )  # fmt: skip


eval_jacobi: Op = special(
    "eval_jacobi", "by w: (x + y + z + 1)/2 eval_jacobi(x - 1, y + 1, z + 1, w)",
    how=dict.fromkeys("xyz", "interpolation"),
    x=lambda g, out, x, y, z, w: g * _jacobi_by(0, out, x, y, z, w),
    y=lambda g, out, x, y, z, w: g * _jacobi_by(1, out, x, y, z, w),
    z=lambda g, out, x, y, z, w: g * _jacobi_by(2, out, x, y, z, w),
    w=lambda g, x, y, z, w: g * _low(
        x, w, lambda n, v: _by_argument(-binom(n + y, n) / 2, _jacobi(n, y, z), (1 - v) / 2),
        lambda n: (n + y + z + 1) / 2 * eval_jacobi(n - 1, y + 1, z + 1, w),
    ),
)  # fmt: skip
eval_sh_jacobi: Op = special(
    "eval_sh_jacobi", "by w: (x + y) eval_jacobi(x - 1, y - z + 1, z, 2w - 1) / binom(2x + y - 1, x)",
    how=dict.fromkeys("xyz", "interpolation"),
    x=lambda g, out, x, y, z, w: g * _sh_jacobi_by(0, out, x, y, z, w),
    y=lambda g, out, x, y, z, w: g * _sh_jacobi_by(1, out, x, y, z, w),
    z=lambda g, out, x, y, z, w: g * _sh_jacobi_by(2, out, x, y, z, w),
    w=lambda g, x, y, z, w: g / binom(2 * x + y - 1, x) * _low(
        x, w, lambda n, v: _by_argument(-binom(n + y - z, n), _jacobi(n, y - z, z - 1), 1 - v),
        lambda n: (n + y) * eval_jacobi(n - 1, y - z + 1, z, 2 * w - 1),
    ),
)  # fmt: skip
eval_gegenbauer: Op = special(
    "eval_gegenbauer", "by z: 2y eval_gegenbauer(x - 1, y + 1, z)", how=dict.fromkeys("xy", "interpolation"),
    x=lambda g, out, x, y, z: g * (
        out * (psi(x + 2 * y) - psi(x + 1)) + binom(x + 2 * y - 1, x) * _by_degree(_gegenbauer(x, y), (1 - z) / 2)
    ),
    y=lambda g, out, x, y, z: g * (
        2 * out * (psi(x + 2 * y) - psi(2 * y)) + binom(x + 2 * y - 1, x) * (
            2 * slope_2f1(1, *_gegenbauer(x, y), (1 - z) / 2) + slope_2f1(2, *_gegenbauer(x, y), (1 - z) / 2)
        )
    ),
    z=lambda g, x, y, z: g * _low(
        x, z, lambda n, v: _by_argument(-binom(n + 2 * y - 1, n) / 2, _gegenbauer(n, y), (1 - v) / 2),
        lambda n: 2 * y * eval_gegenbauer(n - 1, y + 1, z),
    ),
)  # fmt: skip
eval_genlaguerre: Op = special(
    "eval_genlaguerre", "by z: -eval_genlaguerre(x - 1, y + 1, z)", how=dict.fromkeys("xy", "interpolation"),
    x=lambda g, out, x, y, z: g * (
        out * (psi(x + y + 1) - psi(x + 1)) - binom(x + y, x) * slope_1f1(0, -x, y + 1, z)
    ),
    y=lambda g, out, x, y, z: g * (
        out * (psi(x + y + 1) - psi(y + 1)) + binom(x + y, x) * slope_1f1(1, -x, y + 1, z)
    ),
    z=lambda g, x, y, z: -g * eval_genlaguerre(x - 1, y + 1, z),
)  # fmt: skip
eval_laguerre: Op = _of_degree(
    "eval_laguerre", "-eval_genlaguerre(x - 1, 1, y)",
    lambda x, y: -slope_1f1(0, -x, 1.0, y), lambda x, y: -eval_genlaguerre(x - 1, 1.0, y),
)  # fmt: skip
eval_legendre: Op = _of_degree(
    "eval_legendre", "eval_gegenbauer(x - 1, 3/2, y)", lambda x, y: _by_degree(_legendre(x), (1 - y) / 2),
    lambda x, y: _low(
        x, y, lambda n, v: _by_argument(-0.5, _legendre(n), (1 - v) / 2), lambda n: eval_gegenbauer(n - 1, 1.5, y)
    ),
)  # fmt: skip
eval_sh_legendre: Op = _of_degree(
    "eval_sh_legendre", "2 eval_gegenbauer(x - 1, 3/2, 2y - 1)", lambda x, y: _by_degree(_legendre(x), 1 - y),
    lambda x, y: _low(
        x, y, lambda n, v: _by_argument(-1, _legendre(n), 1 - v), lambda n: 2 * eval_gegenbauer(n - 1, 1.5, 2 * y - 1)
    ),
)  # fmt: skip
eval_chebyt: Op = _of_degree(
    "eval_chebyt", "x eval_chebyu(x - 1, y)", lambda x, y: _chebyt_n(x, y),
    lambda x, y: safe_mul(x, eval_chebyu(x - 1, y)),
)  # fmt: skip
eval_chebyu: Op = _of_degree(
    "eval_chebyu", "2 eval_gegenbauer(x - 1, 2, y)", lambda x, y: _chebyu_n(x, y),
    lambda x, y: _low(
        x, y, lambda n, v: _by_argument(-(n + 1) / 2, _chebyu(n), (1 - v) / 2), lambda n: 2 * eval_gegenbauer(n - 1, 2.0, y)
    ),
)  # fmt: skip
eval_chebyc: Op = _of_degree(
    "eval_chebyc", "x eval_chebys(x - 1, y)", lambda x, y: 2 * _chebyt_n(x, y / 2),
    lambda x, y: safe_mul(x, eval_chebys(x - 1, y)),
)  # fmt: skip
eval_chebys: Op = _of_degree(
    "eval_chebys", "eval_gegenbauer(x - 1, 2, y/2)", lambda x, y: _chebyu_n(x, y / 2),
    lambda x, y: _low(
        x, y, lambda n, v: _by_argument(-(n + 1) / 4, _chebyu(n), (2 - v) / 4), lambda n: eval_gegenbauer(n - 1, 2.0, y / 2)
    ),
)  # fmt: skip
eval_sh_chebyt: Op = _of_degree(
    "eval_sh_chebyt", "2x eval_sh_chebyu(x - 1, y)", lambda x, y: _chebyt_n(x, 2 * y - 1),
    lambda x, y: safe_mul(x, 2 * eval_sh_chebyu(x - 1, y)),
)  # fmt: skip
eval_sh_chebyu: Op = _of_degree(
    "eval_sh_chebyu", "4 eval_gegenbauer(x - 1, 2, 2y - 1)", lambda x, y: _chebyu_n(x, 2 * y - 1),
    lambda x, y: _low(
        x, y, lambda n, v: _by_argument(-(n + 1), _chebyu(n), 1 - v), lambda n: 4 * eval_gegenbauer(n - 1, 2.0, 2 * y - 1)
    ),
)  # fmt: skip
eval_hermite: Op = special(
    "eval_hermite", "by y: 2x eval_hermite(x - 1, y)", whole="x",
    y=lambda g, x, y: g * 2 * x * eval_hermite(np.maximum(x - 1, 0), y),
)  # fmt: skip
eval_hermitenorm: Op = special(
    "eval_hermitenorm", "by y: x eval_hermitenorm(x - 1, y)", whole="x",
    y=lambda g, x, y: g * x * eval_hermitenorm(np.maximum(x - 1, 0), y),
)  # fmt: skip
