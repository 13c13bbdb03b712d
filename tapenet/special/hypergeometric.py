"""Hypergeometric functions, by all parameters.

Reference: NIST Digital Library of Mathematical Functions, chapters 13, 15 and 16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tapenet import ops
from tapenet.ops.op import Op
from tapenet.special.definition import special
from tapenet.special.gamma_functions import rgamma
from tapenet.special.interpolation import slope
from tapenet.special.zeta_functions import psi
from tapenet.typing import Array

#: How many summands of the series are taken, and up to which argument.
_TERMS, _NEAR = 30, 0.25


def _less_one(above: Sequence[Array], below: Sequence[Array], z: Array) -> Array:
    """The sum of the series without its first summand, 1, for small z."""
    n = np.arange(_TERMS)
    ratio = ops.expand_dims(z, -1) / (n + 1)
    for a in above:
        ratio = ratio * (ops.expand_dims(a, -1) + n)
    for b in below:
        ratio = ratio / (ops.expand_dims(b, -1) + n)
    total: Array = np.sum(np.cumprod(ratio, axis=-1), axis=-1)
    return total


def _by_parameter(f: Op, series: Callable[..., Array], args: tuple[Array | float, ...], i: int, width: Array) -> Array:
    """The derivative by the parameter i: near z = 0, where the function is 1 and more, that of the series without the 1."""
    *parameters, z = args
    near = np.abs(z) < _NEAR
    small = slope(series, (*parameters, np.where(near, z, 0)), i, width)
    found: Array = np.where(near, small, slope(f, (*parameters, np.where(near, _NEAR, z)), i, width))
    return found


def _from_poles(b: Array) -> Array:
    """A fifth of the way from a parameter to the next pole, at 0, -1, -2, ..., at most 0.4."""
    distance = np.where(b > 0, b, np.abs(b - np.round(b)))
    return np.minimum(distance / 5, 0.4)


def _smooth(z: Array) -> Array:
    """How far from an exponent of z a polynomial follows the power."""
    return np.minimum(0.5, 2 / (1 + np.abs(np.log(np.maximum(np.abs(z), 1e-30)))))


def _f1_width(z: Array) -> Array:
    return _smooth(np.maximum(np.abs(z), _NEAR))


def slope_1f1(i: int, x: Array, y: Array | float, z: Array) -> Array:
    """The derivative of `hyp1f1` by its parameter i."""
    x0, y0, z0 = (ops.stop_gradient(v) for v in (x, y, z))
    width = _f1_width(z0) + 0 * x0 if i == 0 else np.minimum(_from_poles(y0), _f1_width(z0))
    return _by_parameter(hyp1f1, lambda a, b, z: _less_one([a], [b], z), (x, y, z), i, width)


hyp1f1: Op = special(
    "hyp1f1", "by z: x/y hyp1f1(x + 1, y + 1, z)", how={"x": "interpolation", "y": "interpolation"},
    x=lambda g, x, y, z: g * slope_1f1(0, x, y, z), y=lambda g, x, y, z: g * slope_1f1(1, x, y, z),
    z=lambda g, x, y, z: g * x / y * hyp1f1(x + 1, y + 1, z),
)  # fmt: skip


def slope_2f1(i: int, x: Array, y: Array, z: Array | float, w: Array) -> Array:
    """The derivative of `hyp2f1` by its parameter i."""
    z0, w0 = ops.stop_gradient(z), ops.stop_gradient(w)
    # Widths differ, so that c - a - b is no whole number by chance, near which SciPy's values are bad.
    width = np.minimum(_f1_width(w0), _smooth(1 - w0)) * (1, 0.93, 0.87)[i]
    if i == 2:
        width = np.minimum(_from_poles(z0), width)
    return _by_parameter(hyp2f1, lambda a, b, c, z: _less_one([a, b], [c], z), (x, y, z, w), i, width)


hyp2f1: Op = special(
    "hyp2f1", "by w: x y/z hyp2f1(x + 1, y + 1, z + 1, w)", how=dict.fromkeys("xyz", "interpolation"),
    x=lambda g, x, y, z, w: g * slope_2f1(0, x, y, z, w), y=lambda g, x, y, z, w: g * slope_2f1(1, x, y, z, w),
    z=lambda g, x, y, z, w: g * slope_2f1(2, x, y, z, w),
    w=lambda g, x, y, z, w: g * x * y / z * hyp2f1(x + 1, y + 1, z + 1, w),
)  # fmt: skip


def _u_terms(x: Array, y: Array, z: Array) -> tuple[Array, Array, Array]:
    """The summands of hyperu's integral over t = exp(u), u in equal steps, with u and ln(1 + t)."""
    step, count = 0.25, 600
    u = np.minimum(-np.log(ops.stop_gradient(z)), 0)[..., None] - 80 + step * np.arange(count)
    x, y, z = (ops.expand_dims(v, -1) for v in (x, y, z))
    far = np.logaddexp(0, u)
    return step * np.exp(x * u - z * np.exp(u) + (y - x - 1) * far), u, far


def _hyperu_x(x: Array, y: Array, z: Array, out: Array) -> Array:
    """The derivative of hyperu by x: of its integral, and for low x, where that converges slowly or not, by its values."""
    low = x < 0.5
    terms, u, far = _u_terms(np.where(low, 0.5, x), y, z)
    integral = np.sum(terms * (u - far), axis=-1) * rgamma(x) - psi(np.where(low, 0.5, x)) * out
    width = _smooth(ops.stop_gradient(z))
    return np.where(low, slope(hyperu, (np.where(low, x, 0), y, z), 0, width), integral)


def _hyperu_y(x: Array, y: Array, z: Array) -> Array:
    """That by y, likewise."""
    low = x < 0.5
    terms, _, far = _u_terms(np.where(low, 0.5, x), y, z)
    width = _smooth(ops.stop_gradient(z))
    values = slope(hyperu, (np.where(low, x, 0), y, z), 1, width)
    return np.where(low, values, np.sum(terms * far, axis=-1) * rgamma(x))


hyperu: Op = special(
    "hyperu", "by z: -x hyperu(x + 1, y + 1, z)", how={"x": "quadrature", "y": "quadrature"},
    x=lambda g, out, x, y, z: g * _hyperu_x(x, y, z, out), y=lambda g, x, y, z: g * _hyperu_y(x, y, z),
    z=lambda g, x, y, z: -g * x * hyperu(x + 1, y + 1, z),
)  # fmt: skip
