"""Airy functions and their integrals.

Reference: NIST Digital Library of Mathematical Functions, chapter 9.
"""

from __future__ import annotations

import numpy as np

from tapenet.ops.op import Op
from tapenet.special.definition import special
from tapenet.typing import Array

Four = tuple[Array, Array, Array, Array]

airy: Op = special(
    "airy", "of Ai, Ai', Bi and Bi': Ai', x Ai, Bi' and x Bi",
    x=lambda g, out, x: g[0] * out[1] + g[1] * x * out[0] + g[2] * out[3] + g[3] * x * out[2],
)  # fmt: skip


def _scaled(g: Four, out: Four, x: Array) -> Array:
    """Ai and Ai' are multiplied with exp(2/3 x^(3/2)), Bi and Bi' with exp(-|Re 2/3 x^(3/2)|)."""
    if x.dtype.kind == "c":
        root = np.sqrt(x)
        first = g[0] * (out[1] + root * out[0]) + g[1] * (x * out[0] + root * out[1])
        shrinks = np.sign(np.real(x * root)) * root * np.real(g[2] * out[2] + g[3] * out[3])
        found: Array = first + g[2] * out[3] + g[3] * x * out[2] - shrinks
        return found
    there = x >= 0  # below, Ai is nan and Bi is as it is
    root = np.where(there, np.sqrt(np.where(there, x, 1)), 0)
    ai, slope = np.where(there, out[0], 0), np.where(there, out[1], 0)
    first = g[0] * (slope + root * ai) + g[1] * (x * ai + root * slope)
    found = first + g[2] * (out[3] - root * out[2]) + g[3] * (x * out[2] - root * out[3])
    return found


airye = special("airye", "those of airy, and of what scales them: √x out, of Bi and Bi' less |Re √x| out", x=_scaled)


def _integrals(g: Four, x: Array) -> Array:
    up, down = airy(x), airy(-x)
    found: Array = g[0] * up[0] + g[1] * up[2] + g[2] * down[0] + g[3] * down[2]
    return found


itairy = special("itairy", "Ai(x), Bi(x), Ai(-x), Bi(-x)", x=_integrals)
