"""Parabolic cylinder functions, each with its derivative by the argument.

Reference: NIST Digital Library of Mathematical Functions, chapter 12.
"""

from __future__ import annotations

from tapenet.ops.op import Op
from tapenet.special.definition import special
from tapenet.special.interpolation import slope
from tapenet.typing import Array


def _by_parameter(f: Op, g: tuple[Array, Array], x: Array, y: Array, width: float = 0.25) -> Array:
    """The rule by the parameter: D and V are entire functions of it, W has singularities at ±i/2."""
    found: Array = g[0] * slope(f, (x, y), 0, width, 0) + g[1] * slope(f, (x, y), 0, width, 1)
    return found


pbdv: Op = special(
    "pbdv", "by y: of D its derivative, of that (y²/4 - x - 1/2) D", how={"x": "interpolation"},
    x=lambda g, x, y: _by_parameter(pbdv, g, x, y),
    y=lambda g, out, x, y: g[0] * out[1] + g[1] * (y * y / 4 - x - 0.5) * out[0],
)  # fmt: skip
pbvv: Op = special(
    "pbvv", "by y: of V its derivative, of that (y²/4 - x - 1/2) V", how={"x": "interpolation"},
    x=lambda g, x, y: _by_parameter(pbvv, g, x, y),
    y=lambda g, out, x, y: g[0] * out[1] + g[1] * (y * y / 4 - x - 0.5) * out[0],
)  # fmt: skip
pbwa: Op = special(
    "pbwa", "by y: of W its derivative, of that (x - y²/4) W", how={"x": "interpolation"},
    x=lambda g, x, y: _by_parameter(pbwa, g, x, y, 0.125),
    y=lambda g, out, x, y: g[0] * out[1] + g[1] * (x - y * y / 4) * out[0],
)  # fmt: skip
