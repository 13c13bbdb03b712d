"""Elliptic integrals and functions, and the arithmetic-geometric mean.

Derivatives are in Carlson's symmetric integrals, which have no cancellation where Legendre's have: at m = 0, or where
arguments are equal. Those of the symmetric integrals themselves are quadratures.

References: NIST Digital Library of Mathematical Functions, chapters 19 and 22. B. C. Carlson, "Numerical computation of real or
complex elliptic integrals", Numerical Algorithms 10 (1995).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np

from tapenet import ops
from tapenet.ops.op import Op
from tapenet.special.definition import special
from tapenet.typing import Array


def _symmetric(args: Sequence[Array], powers: Sequence[float]) -> Array:
    """∫ over t from 0 to ∞ of the product of (t + x)^-p over arguments x and powers p, of which the sum is above 1.

    With t = exp(u) the integrand falls exponentially to both sides, and has singularities where u = ln x ± iπ alone: the sum
    over u in equal steps is exact to rounding. With complex arguments t goes along the ray in the middle of them.
    """
    fixed = [ops.stop_gradient(x) for x in args]
    sizes = [np.where(x == 0, math.inf, np.abs(x)) for x in fixed]
    least = functools.reduce(np.minimum, sizes)
    start = ops.expand_dims(np.log(np.where(least < math.inf, least, 1)), -1) - 75
    if any(np.iscomplexobj(x) for x in args):
        angles = [np.arctan2(np.imag(x), np.real(x)) for x in fixed]
        ray = (functools.reduce(np.minimum, angles) + functools.reduce(np.maximum, angles)) / 2
        start, step, count = start + 1j * ops.expand_dims(ray, -1), 0.25, 600
    else:
        step, count = 0.5, 300
    t = np.exp(start + step * np.arange(count))
    terms = t
    for x, p in zip(args, powers, strict=True):
        terms = terms * (t + ops.expand_dims(x, -1)) ** -p
    total: Array = step * np.sum(terms, axis=-1)
    for x, p in zip(args, powers, strict=True):
        if p > 1:  # at 0 there is none
            total = np.where(x == 0, math.inf, total)
    return total


def _negative(x: Array) -> Array:
    """Where an integral is a principal value."""
    found: Array = np.logical_and(np.imag(x) == 0, np.real(x) < 0)
    return found


def _rc_x(out: Array, x: Array, y: Array) -> Array:
    """The derivative of `elliprc` by x: of principal values by partial fractions."""
    principal = _negative(y)
    found = -_symmetric([x, np.where(principal, 1, y)], [1.5, 1]) / 4
    here, below = np.where(principal, x, 1), np.where(principal, y, -1)
    return np.where(principal, (out - 1 / np.sqrt(here)) / (2 * (below - here)), found)


def _rc_y(out: Array, x: Array, y: Array) -> Array:
    """That by y: of principal values by homogeneity, x ∂x + y ∂y = -1/2."""
    principal = _negative(y)
    found = -_symmetric([x, np.where(principal, 1, y)], [0.5, 2]) / 2
    return np.where(principal, -(out / 2 + x * _rc_x(out, x, y)) / y, found)


def _rj_x(out: Array, x: Array, y: Array, z: Array, p: Array) -> Array:
    """The derivative of `elliprj` by x: of principal values by partial fractions."""
    principal = _negative(p)
    found = -0.75 * _symmetric([x, y, z, np.where(principal, 1, p)], [1.5, 0.5, 0.5, 1])
    here, below = np.where(principal, x, 1), np.where(principal, p, -1)
    return np.where(principal, (out - elliprd(y, z, here)) / (2 * (below - here)), found)


def _rj_p(out: Array, x: Array, y: Array, z: Array, p: Array) -> Array:
    """That by p: of principal values by homogeneity, x ∂x + y ∂y + z ∂z + p ∂p = -3/2."""
    principal = _negative(p)
    found = -1.5 * _symmetric([x, y, z, np.where(principal, 1, p)], [0.5, 0.5, 0.5, 2])
    moved = x * _rj_x(out, x, y, z, p) + y * _rj_x(out, y, z, x, p) + z * _rj_x(out, z, x, y, p)
    return np.where(principal, -(1.5 * out + moved) / p, found)


def _rg_x(x: Array, y: Array, z: Array) -> Array:
    """The derivative of `elliprg` by x. At x = 0, where R_D is infinite, x R_D is 0."""
    found: Array = (elliprf(x, y, z) - x * elliprd(y, z, np.where(x == 0, 1, x)) / 3) / 4
    return found


elliprc: Op = special(
    "elliprc", "integrals over t of 1 / ((t + x)^(3/2) (t + y)) and of 1 / ((t + x)^(1/2) (t + y)²)",
    how={"x": "quadrature", "y": "quadrature"},
    x=lambda g, out, x, y: g * _rc_x(out, x, y), y=lambda g, out, x, y: g * _rc_y(out, x, y),
)  # fmt: skip
elliprd: Op = special(
    "elliprd", "by x: -3/4 the integral over t of 1 / ((t + x)^(3/2) (t + y)^(1/2) (t + z)^(3/2))",
    how={"x": "quadrature", "y": "quadrature", "z": "quadrature"},
    x=lambda g, x, y, z: -0.75 * g * _symmetric([x, y, z], [1.5, 0.5, 1.5]),
    y=lambda g, x, y, z: -0.75 * g * _symmetric([x, y, z], [0.5, 1.5, 1.5]),
    z=lambda g, x, y, z: -2.25 * g * _symmetric([x, y, z], [0.5, 0.5, 2.5]),
)  # fmt: skip
elliprf: Op = special(
    "elliprf", "-R_D / 6, the argument last",
    x=lambda g, x, y, z: -g / 6 * elliprd(y, z, x), y=lambda g, x, y, z: -g / 6 * elliprd(z, x, y),
    z=lambda g, x, y, z: -g / 6 * elliprd(x, y, z),
)  # fmt: skip
elliprg = special(
    "elliprg", "by x: (R_F - x R_D(y, z, x)/3) / 4",
    x=lambda g, x, y, z: g * _rg_x(x, y, z), y=lambda g, x, y, z: g * _rg_x(y, z, x),
    z=lambda g, x, y, z: g * _rg_x(z, x, y),
)  # fmt: skip
elliprj = special(
    "elliprj", "by x: -3/4 the integral over t of 1 / ((t + x)^(3/2) (t + y)^(1/2) (t + z)^(1/2) (t + p))",
    how=dict.fromkeys("xyzw", "quadrature"),
    x=lambda g, out, x, y, z, w: g * _rj_x(out, x, y, z, w), y=lambda g, out, x, y, z, w: g * _rj_x(out, y, z, x, w),
    z=lambda g, out, x, y, z, w: g * _rj_x(out, z, x, y, w), w=lambda g, out, x, y, z, w: g * _rj_p(out, x, y, z, w),
)  # fmt: skip

ellipe = special("ellipe", "-R_D(0, 1 - x, 1) / 6", x=lambda g, x: -g / 6 * elliprd(0.0, 1 - x, 1.0))
ellipk = special("ellipk", "R_D(0, 1, 1 - x) / 6", x=lambda g, x: g / 6 * elliprd(0.0, 1.0, 1 - x))
ellipkm1 = special("ellipkm1", "-R_D(0, 1, x) / 6", x=lambda g, x: -g / 6 * elliprd(0.0, 1.0, x))


def _turns(phi: Array) -> Array:
    """How many half turns lie between an angle and the same one within a quarter turn."""
    found: Array = np.round(ops.stop_gradient(phi) / math.pi)
    return found


def _kinc_m(phi: Array, m: Array) -> Array:
    """The derivative of `ellipkinc` by m."""
    n = _turns(phi)
    s, c = np.sin(phi - n * math.pi), np.cos(phi - n * math.pi)
    whole = elliprd(0.0, 1.0, np.where(n == 0, 1, 1 - m))
    found: Array = (s**3 * elliprd(c * c, 1.0, 1 - m * s * s) + np.where(n == 0, 0, 2 * n * whole)) / 6
    return found


def _einc_m(phi: Array, m: Array) -> Array:
    """The derivative of `ellipeinc` by m."""
    n = _turns(phi)
    s, c = np.sin(phi - n * math.pi), np.cos(phi - n * math.pi)
    whole = elliprd(0.0, np.where(n == 0, 1, 1 - m), 1.0)
    found: Array = -(s**3 * elliprd(c * c, 1 - m * s * s, 1.0) + np.where(n == 0, 0, 2 * n * whole)) / 6
    return found


ellipkinc = special(
    "ellipkinc", "with s = sin x: 1 / √(1 - y s²); for |x| ≤ π/2 s³ R_D(1 - s², 1, 1 - y s²) / 6",
    x=lambda g, x, y: g / np.sqrt(1 - y * np.sin(x) ** 2), y=lambda g, x, y: g * _kinc_m(x, y),
)  # fmt: skip
ellipeinc = special(
    "ellipeinc", "with s = sin x: √(1 - y s²); for |x| ≤ π/2 -s³ R_D(1 - s², 1 - y s², 1) / 6",
    x=lambda g, x, y: g * np.sqrt(1 - y * np.sin(x) ** 2), y=lambda g, x, y: g * _einc_m(x, y),
)  # fmt: skip


def _ellipj_m(g: tuple[Array, ...], out: tuple[Array, ...], m: Array) -> Array:
    """The rule of `ellipj` by m: the amplitude stays where F(amplitude, m) does."""
    sn, cn, dn, ph = out
    by_m = -dn * _kinc_m(ph, m)
    along = g[0] * cn - g[1] * sn - g[2] * m * sn * cn / dn + g[3]
    found: Array = along * by_m - g[2] * sn * sn / (2 * dn)
    return found


ellipj = special(
    "ellipj", "by x: cn dn, -sn dn, -y sn cn, dn; by y: the amplitude's is -dn times that of ellipkinc",
    x=lambda g, out, y: (
        (g[0] * out[1] - g[1] * out[0] + g[3]) * out[2] - g[2] * y * out[0] * out[1]
    ),
    y=lambda g, out, y: _ellipj_m(g, out, y),
)  # fmt: skip

_PI_3 = 3 * math.pi
agm = special(
    "agm", "by x: 2x out² R_D(0, y², x²) / 3π; the same by y",
    x=lambda g, out, x, y: g * (2 / _PI_3) * np.abs(x) * out * out * elliprd(0.0, y * y, x * x),
    y=lambda g, out, x, y: g * (2 / _PI_3) * np.abs(y) * out * out * elliprd(0.0, x * x, y * y),
)  # fmt: skip
