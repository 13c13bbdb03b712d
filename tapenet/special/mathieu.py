"""Mathieu functions, each with its derivative by the argument, and their characteristic values.

Angles are in degrees and derivatives by radians, as SciPy has them.

Reference: NIST Digital Library of Mathematical Functions, chapter 28.
"""

from __future__ import annotations

import math

import numpy as np

from tapenet import ops
from tapenet.ops.op import Op
from tapenet.special.definition import special
from tapenet.special.interpolation import slope
from tapenet.typing import Array

_DEGREE = math.pi / 180
_HOW = {"y": "interpolation"}
#: How far from q values are taken: characteristic values and angular functions are analytic around real q.
_WIDTH = 0.25


def _by_q(f: Op, g: tuple[Array, Array], args: tuple[Array, ...], width: Array | float) -> Array:
    """The rule by q of a pair of functions."""
    found: Array = g[0] * slope(f, args, 1, width, 0) + g[1] * slope(f, args, 1, width, 1)
    return found


def _radial_width(q: Array) -> Array:
    """How far from q values are taken: modified functions are analytic in √q."""
    found: Array = np.minimum(_WIDTH, np.abs(ops.stop_gradient(q)) / 5)
    return found


mathieu_a: Op = special(
    "mathieu_a",
    "by y: by interpolation",
    whole="x",
    how=_HOW,
    y=lambda g, x, y: g * slope(mathieu_a, (x, y), 1, _WIDTH),
)
mathieu_b: Op = special(
    "mathieu_b",
    "by y: by interpolation",
    whole="x",
    how=_HOW,
    y=lambda g, x, y: g * slope(mathieu_b, (x, y), 1, _WIDTH),
)


def _angular(name: str, value: Op) -> Op:
    """ce or se."""
    found: Op = special(
        name, "by z, in radians: of the function its derivative, of that (2y cos 2z - a) times the function",
        whole="x", how=_HOW, y=lambda g, x, y, z: _by_q(found, g, (x, y, z), _WIDTH),
        z=lambda g, out, x, y, z: _DEGREE * (
            g[0] * out[1] + g[1] * (2 * y * np.cos(2 * _DEGREE * z) - value(x, y)) * out[0]
        ),
    )  # fmt: skip
    return found


def _radial(name: str, value: Op) -> Op:
    """A modified function."""
    found: Op = special(
        name, "by z: of the function its derivative, of that (a - 2y cosh 2z) times the function",
        whole="x", how=_HOW, y=lambda g, x, y, z: _by_q(found, g, (x, y, z), _radial_width(y)),
        z=lambda g, out, x, y, z: g[0] * out[1] + g[1] * (value(x, y) - 2 * y * np.cosh(2 * z)) * out[0],
    )  # fmt: skip
    return found


mathieu_cem = _angular("mathieu_cem", mathieu_a)
mathieu_sem = _angular("mathieu_sem", mathieu_b)
mathieu_modcem1 = _radial("mathieu_modcem1", mathieu_a)
mathieu_modcem2 = _radial("mathieu_modcem2", mathieu_a)
mathieu_modsem1 = _radial("mathieu_modsem1", mathieu_b)
mathieu_modsem2 = _radial("mathieu_modsem2", mathieu_b)
