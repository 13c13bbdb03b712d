"""Wright's generalised Bessel function W(a, b, x) = Σ x^k / (k! Γ(a k + b)).

It is the integral of exp(w + x w^-a) w^-b / (2π i) over a path around the negative numbers (1 / Γ by Hankel). A derivative by b
brings a factor -ln w, one by x adds a to b, and one by a is x times those by b and x.

Reference: E. M. Wright, The asymptotic expansion of the generalized Bessel function, 1935.
"""

from __future__ import annotations

import numpy as np

from tapenet.ops.op import Op, op
from tapenet.special.definition import special
from tapenet.typing import Array

_NODES = 240
#: How many elements are computed at once.
_BLOCK = 4096


def _saddle(a: Array, b: Array, x: Array) -> Array:
    """The w with w = b + a x w^-a, or 1 where that is larger, by Newton's method for its logarithm."""
    log = np.log(np.maximum(b + a * x, 1)) / (1 + a * (b < a * x))
    for _ in range(30):
        w, turn = np.exp(log), a * x * np.exp(-a * log)
        log = np.maximum(log - (w - b - turn) / (w + a * turn), 0)
    found: Array = np.exp(log)
    return found


def _integral(a: Array, b: Array, x: Array, n: int, scale: Array) -> Array:
    """The n-th derivative by b, times exp(-scale), of b from 1 on.

    By the trapezoidal rule on the parabola w = m (1 + i p)² through the saddle, where the integrand falls as exp(-m p²).
    """
    a, b, x, scale = (np.asarray(number, float) for number in np.broadcast_arrays(a, b, x, scale))
    shape = a.shape
    a, b, x, scale = (number.ravel()[:, None] for number in (a, b, x, scale))
    found = np.empty(shape)
    for block in range(0, found.size, _BLOCK):  # that memory stays small
        part = slice(block, block + _BLOCK)
        found.flat[part] = _sum(a[part], b[part], x[part], scale[part], n)
    return found


def _sum(a: Array, b: Array, x: Array, scale: Array, n: int) -> Array:
    """The sum over the nodes, which are in a last axis."""
    m = _saddle(a, b, x)
    step = 6.5 / np.sqrt(m) / _NODES
    p = step * np.arange(_NODES + 1)
    w = m * (1 + 1j * p) ** 2
    log = np.log(w)
    values = np.exp(w + x * np.exp(-a * log) - b * log - scale) * (-log) ** n * (2 * m * (1 + 1j * p))
    values[..., 0] /= 2
    found: Array = np.real(values).sum(-1) * step[..., 0] / np.pi
    return found


def by_order(a: Array, b: Array, x: Array, n: int, scale: Array) -> Array:
    """The n-th derivative by b, times exp(-scale), of b from 0 on.

    Where b is less than 1 the integral may be much smaller than what is integrated. There it is
    b W(a, b + 1, x) + a x W(a, a + b + 1, x).
    """
    small = np.asarray(b < 1)
    up = np.where(small, b + 1, b)
    found = _integral(a, up, x, n, scale)
    if not small.any():
        return found
    below = _integral(a, up, x, n - 1, scale) if n else 0
    return np.where(small, b * found + n * below + a * x * _integral(a, a + b + 1, x, n, scale), found)


def _by_order(a: Array, b: Array, x: Array, scale: Array, n: int = 0) -> Array:
    dtype = np.result_type(*(np.asarray(number).dtype for number in (a, b, x, scale)))
    return by_order(a, b, x, n, scale).astype(dtype)


_slope: Op = op(
    _by_order,
    name="wright_bessel_by_order",
    doc="The n-th derivative of `scipy.special.wright_bessel` by b, times exp(-scale).",
    broadcasts=True,
    vmap="leading",
    a=lambda g, a, b, x, scale, n: g * x * _slope(a, a + b, x, scale, n + 1),
    b=lambda g, a, b, x, scale, n: g * _slope(a, b, x, scale, n + 1),
    x=lambda g, a, b, x, scale, n: g * _slope(a, a + b, x, scale, n),
    scale=lambda g, out: -g * out,
)
wright_bessel: Op = special(
    "wright_bessel",
    "by x: x times that by b of wright_bessel(x, x + y, z); by y: of the integral; by z: wright_bessel(x, x + y, z)",
    how={"x": "quadrature", "y": "quadrature"},
    x=lambda g, x, y, z: g * z * _slope(x, x + y, z, 0 * z, 1),
    y=lambda g, x, y, z: g * _slope(x, y, z, 0 * z, 1),
    z=lambda g, x, y, z: g * wright_bessel(x, x + y, z),
)
log_wright_bessel: Op = special(
    "log_wright_bessel",
    "those of wright_bessel by wright_bessel",
    how={"x": "quadrature", "y": "quadrature", "z": "quadrature"},
    x=lambda g, out, x, y, z: g * z * _slope(x, x + y, z, out, 1),
    y=lambda g, out, x, y, z: g * _slope(x, y, z, out, 1),
    z=lambda g, out, x, y, z: g * _slope(x, x + y, z, out),
)
