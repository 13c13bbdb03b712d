"""Spheroidal wave functions, prolate and oblate, each with its derivative by the argument, and their characteristic values.

The functions whose name ends in `_cv` take the characteristic value too, which saves SciPy to compute it. It is a function
of the other arguments, and counts as one: their derivative by `c` is that along it, and by the value itself it is 0. So the
derivative of `pro_ang1_cv(m, n, c, pro_cv(m, n, c), x)` is that of `pro_ang1(m, n, c, x)`.

Reference: NIST Digital Library of Mathematical Functions, chapter 30.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet import ops
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.op import Op
from tapenet.special.definition import special
from tapenet.special.interpolation import slope
from tapenet.typing import Array

#: How far from c values are taken at most.
_WIDTH = 0.25
#: The second derivative of a function from m, c, x, the characteristic value, the function and its derivative.
Curvature = Callable[..., Array]


def _value(name: str) -> Op:
    found: Op = special(
        name, "by z: by interpolation", whole="xy", how={"z": "interpolation"},
        z=lambda g, x, y, z: g * slope(lambda m, n, c: found(m, n, np.abs(c)), (x, y, z), 2, _WIDTH),
    )  # fmt: skip
    return found


pro_cv = _value("pro_cv")
obl_cv = _value("obl_cv")


def _by_c(f: Op, g: tuple[Array, Array], args: tuple[Array, ...]) -> Array:
    """The rule by c of a pair of functions. Angular ones are even in c, as is the value; radial ones have a pole at 0."""
    width = np.minimum(_WIDTH, ops.stop_gradient(args[2]) / 5) if "rad" in f.name else _WIDTH

    def at(m: Array, n: Array, c: Array, x: Array) -> Array:
        found: Array = f(m, n, np.abs(c), x)
        return found

    by_c: Array = g[0] * slope(at, args, 2, width, 0) + g[1] * slope(at, args, 2, width, 1)
    return by_c


def _pair(name: str, value: Op, curvature: Curvature) -> tuple[Op, Op]:
    """A function, and the same given its characteristic value."""
    text = "by the last: of the function its derivative, of that the second one by the differential equation"
    plain: Op = special(
        name, text, whole="xy", how={"z": "interpolation"},
        z=lambda g, x, y, z, w: _by_c(plain, g, (x, y, z, w)),
        w=lambda g, out, x, y, z, w: g[0] * out[1] + safe_mul(g[1], curvature(x, z, w, value(x, y, z), *out)),
    )  # fmt: skip
    given = special(
        f"{name}_cv", text, whole=("x0", "x1"), how={"x2": "interpolation"},
        x2=lambda g, x0, x1, x2, x4: _by_c(plain, g, (x0, x1, x2, x4)),
        x3=lambda g: 0 * g[0],
        x4=lambda g, out, x0, x1, x2, x4: (
            g[0] * out[1] + safe_mul(g[1], curvature(x0, x2, x4, value(x0, x1, x2), *out))
        ),
    )  # fmt: skip
    return plain, given


def _prolate_angular(m: Array, c: Array, x: Array, value: Array, s: Array, ds: Array) -> Array:
    found: Array = (2 * x * ds - (value - (c * x) ** 2 - m * m / (1 - x * x)) * s) / (1 - x * x)
    return found


def _oblate_angular(m: Array, c: Array, x: Array, value: Array, s: Array, ds: Array) -> Array:
    found: Array = (2 * x * ds - (value + (c * x) ** 2 - m * m / (1 - x * x)) * s) / (1 - x * x)
    return found


def _prolate_radial(m: Array, c: Array, x: Array, value: Array, r: Array, dr: Array) -> Array:
    found: Array = ((value - (c * x) ** 2 + m * m / (x * x - 1)) * r - 2 * x * dr) / (x * x - 1)
    return found


def _oblate_radial(m: Array, c: Array, x: Array, value: Array, r: Array, dr: Array) -> Array:
    found: Array = ((value - (c * x) ** 2 - m * m / (x * x + 1)) * r - 2 * x * dr) / (x * x + 1)
    return found


pro_ang1, pro_ang1_cv = _pair("pro_ang1", pro_cv, _prolate_angular)
pro_rad1, pro_rad1_cv = _pair("pro_rad1", pro_cv, _prolate_radial)
pro_rad2, pro_rad2_cv = _pair("pro_rad2", pro_cv, _prolate_radial)
obl_ang1, obl_ang1_cv = _pair("obl_ang1", obl_cv, _oblate_angular)
obl_rad1, obl_rad1_cv = _pair("obl_rad1", obl_cv, _oblate_radial)
obl_rad2, obl_rad2_cv = _pair("obl_rad2", obl_cv, _oblate_radial)
