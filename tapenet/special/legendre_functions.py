"""Associated Legendre functions and spherical harmonics.

Reference: NIST Digital Library of Mathematical Functions, chapter 14.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np

from tapenet import ops
from tapenet.ops.op import Op, op
from tapenet.special.bessel_orders import around
from tapenet.special.definition import scipys, special
from tapenet.typing import Array

#: So many terms of the series around x = 1 are taken.
_TERMS = 40


def _series(m: Array, v: Array, x: Array, n: int) -> Array:
    """The n-th derivative by the degree near x = 1: the series of P of order -|m| there, times a polynomial where m > 0."""
    order, y = np.abs(m), (1 - x) / 2
    term = [np.ones(v.shape), *(np.zeros(v.shape) for _ in range(n))]
    total = [np.zeros(v.shape) for _ in range(n + 1)]
    for k in range(_TERMS):
        total = [a + b for a, b in zip(total, term, strict=True)]
        scale = y / ((1 + order + k) * (k + 1))  # times (k - v)(v + 1 + k), for Taylor coefficients in v
        factors = [(k - v) * (v + 1 + k), -1 - 2 * v, -1.0]
        term = [scale * sum(factors[i] * term[j - i] for i in range(min(j, 2) + 1)) for j in range(n + 1)]
    for j in range(1 - int(order.max(initial=0)), int(order.max(initial=0)) + 1):
        inside = (m > 0) & (j > -m) & (j <= m)  # P of order m is (v - m + 1) ... (v + m) times that of -m
        raised = [(v + j) * total[i] + (total[i - 1] if i else 0) for i in range(n + 1)]
        total = [np.where(inside, a, b) for a, b in zip(raised, total, strict=True)]
    sign = np.where((m > 0) & (order % 2 == 1), -1, 1)
    found: Array = math.factorial(n) * sign * (y / (1 - y)) ** (order / 2) * scipys("rgamma")(order + 1) * total[n]
    return found


def _derivative(m: Array, v: Array, x: Array, n: int = 0) -> Array:
    """The n-th derivative of lpmv by the degree v."""
    f = scipys("lpmv")
    if n == 0:
        return cast("Array", f(m, v, x))
    dtype = np.result_type(*(np.asarray(number).dtype for number in (v, x)))
    m, v, x = (np.asarray(number, float) for number in np.broadcast_arrays(m, v, x))
    inside = np.where(np.abs(x) < 1, x, 0.5)
    found = around(lambda v: f(m[..., None], v, inside[..., None]), n, v, np.full(v.shape, 0.5), np.zeros(v.shape))
    near = (x > 0.9) & (x <= 1) & (v * v * (1 - x) < 10)
    if near.any():
        found = np.where(near, _series(np.where(near, m, 0), np.where(near, v, 0), np.where(near, x, 1), n), found)
    return np.where(np.abs(x) < 1, found, np.where(x == 1, np.where(near, found, np.nan), np.nan)).astype(dtype)


def _by_argument(g: Array, out: Array, upper: Array, m: Array, x: Array) -> Array:
    """-m x out / (1 - x²) - that of order m + 1 / √(1 - x²)."""
    found: Array = -g * (m * x * out / (1 - x * x) + upper / np.sqrt(1 - x * x))
    return found


_slope: Op = op(
    _derivative,
    name="lpmv_by_degree",
    doc="The n-th derivative of `scipy.special.lpmv` by its degree.",
    nondiff=("m",),
    broadcasts=True,
    vmap="leading",
    v=lambda g, m, v, x, n: g * _slope(m, v, x, n + 1),
    x=lambda g, out, m, v, x, n: _by_argument(g, out, _slope(m + 1, v, x, n), m, x),
)
lpmv: Op = special(
    "lpmv",
    "by y: of the polynomial through values at degrees around y, or of the series at 1; "
    "by z: -(x z out + √(1 - z²) lpmv(x + 1, y, z)) / (1 - z²)",
    whole="x",
    how={"y": "interpolation"},
    y=lambda g, x, y, z: g * _slope(x, y, z, 1),
    z=lambda g, out, x, y, z: _by_argument(g, out, lpmv(x + 1, y, z), x, z),
)


def _up(n: Array, m: Array) -> Array:
    """What the function of order m + 1 is multiplied with in the derivative by the polar angle."""
    found: Array = np.sqrt(np.maximum((n - m) * (n + m + 1.0), 0)) / 2
    return found


def _harmonic(n: Array, m: Array, theta: Array, phi: Array) -> Array:
    return cast("Array", scipys("sph_harm_y")(n, m, theta, phi))


_harmonics: Op = op(
    _harmonic,
    name="sph_harm_y",
    doc="`scipy.special.sph_harm_y`, element by element.",
    nondiff=("n", "m"),
    broadcasts=True,
    vmap="leading",
    theta=lambda g, n, m, theta, phi: (
        g
        * (
            _up(n, m) * np.exp(-1j * phi) * _harmonics(n, m + 1, theta, phi)
            - _up(n, -m) * np.exp(1j * phi) * _harmonics(n, m - 1, theta, phi)
        )
    ),
    phi=lambda g, out, m: g * 1j * m * out,
)


def _legendre(n: Array, m: Array, theta: Array) -> Array:
    return cast("Array", scipys("sph_legendre_p")(n, m, theta)[0])


_legendres: Op = op(
    _legendre,
    name="sph_legendre_p",
    doc="`scipy.special.sph_legendre_p`, element by element.",
    nondiff=("n", "m"),
    broadcasts=True,
    vmap="leading",
    theta=lambda g, n, m, theta: (
        g * (_up(n, m) * _legendres(n, m + 1, theta) - _up(n, -m) * _legendres(n, m - 1, theta))
    ),
)


def sph_harm_y(n: Array, m: Array, theta: Array, phi: Array, *, diff_n: int = 0) -> Array:
    """`scipy.special.sph_harm_y`: the spherical harmonic of degree `n` and order `m`, whole numbers, at the polar angle `theta`
    and the azimuth `phi`, element by element.

    SciPy's own derivatives, `diff_n` of 1 or 2, are refused: `tn.jacfwd` and `tn.hessian` give them.

    >>> import tapenet as tn
    >>> tn.special.sph_harm_y(1, 0, tn.tensor(0.0), 0.0)
    Tensor(0.48860251+0.j, dtype=complex128)
    """
    _plain("sph_harm_y", diff_n)
    return cast("Array", _harmonics(n, m, theta, phi))


def sph_legendre_p(n: Array, m: Array, theta: Array, *, diff_n: int = 0) -> Array:
    """`scipy.special.sph_legendre_p`: the spherical Legendre polynomial of degree `n` and order `m`, whole numbers, at the
    polar angle `theta`, element by element, behind an axis of length 1 as SciPy's.

    SciPy's own derivatives, `diff_n` of 1 or 2, are refused: `tn.jacfwd` and `tn.hessian` give them.

    >>> import tapenet as tn
    >>> tn.special.sph_legendre_p(1, 0, tn.tensor(0.0))
    Tensor([0.48860251])
    """
    _plain("sph_legendre_p", diff_n)
    return cast("Array", ops.expand_dims(_legendres(n, m, theta), 0))


def _plain(name: str, diff_n: int) -> None:
    if diff_n:
        raise ValueError(f"tn.special.{name}: diff_n={diff_n} is not there: take derivatives, as tn.jacfwd of it")
