"""What is usually wrong with a gradient, told from its values and the right ones."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tapenet.typing import Array

#: Factors that are forgotten or invented beside 2 and the sizes of arrays, with what they are called.
_CONSTANTS = {
    "3": 3.0, "4": 4.0, "π": math.pi, "2π": 2 * math.pi, "√2": math.sqrt(2), "√π": math.sqrt(math.pi),
    "ln 2": math.log(2), "ln 10": math.log(10), "180/π": 180 / math.pi,
}  # fmt: skip


class Mistake(NamedTuple):
    """What is wrong: its kind, in a word or two, and the kind with what to write instead."""

    kind: str
    words: str


KINK = Mistake("kink", "the function has a kink or jump there; check it at another point")
FORMULA = Mistake("formula", "the rule's formula")
CONSTANT = Mistake(
    "forgotten input",
    "a forgotten input: its part is missing, as where the rule takes something for a constant (tn.stop_gradient, .numpy(), "
    "float(), np.asarray, an op with nondiff=)",
)
SINGULAR = Mistake("singular", "the rule divides by zero or overflows there (see tn.safe_mul for singular rules)")


def close(a: Array, b: Array) -> bool:
    """Whether two gradients are the same but for what finite differences are wrong by."""
    scale = max(1.0, float(np.abs(b).max(initial=0.0)))
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-4, atol=1e-6 * scale))


def of_values(got: Array, expected: Array, sizes: Mapping[str, float] | None = None) -> Mistake | None:
    """What is wrong with a gradient.

    Args:
        got: the gradient.
        expected: the right one.
        sizes: numbers that a rule may forget, or take for each other, by what they are called.

    Returns:
        the mistake; None if it is none of the usual ones.
    """
    if not np.isfinite(got).all():
        return SINGULAR
    if close(got, np.zeros_like(expected)):
        return Mistake("forgotten input", "a forgotten input: its part is missing (detached, or multiplied by zero)")
    if close(got, -expected):
        return Mistake("sign", "the sign: put a minus in front")
    factor = _factor(got, expected, sizes or {})
    if factor:
        return Mistake("factor", factor)
    if got.dtype.kind == "c" and close(got, np.conj(expected)):
        return Mistake("missing conjugate", "a missing conjugate: take np.conj of the result, or leave it out")
    if got.ndim >= 2 and got.shape[-1] == got.shape[-2] and close(got, np.swapaxes(expected, -1, -2)):
        return Mistake("transposed", "transposed: a missing transpose (np.swapaxes(..., -1, -2)), or one too many")
    if close(np.abs(got), np.abs(expected)) and got.dtype.kind == "f":
        return Mistake("sign of some elements", "the sign of some elements")
    return None


def _factor(got: Array, expected: Array, sizes: Mapping[str, float]) -> str:
    """By which number a gradient is too large, in words; empty if by none."""
    large = np.abs(expected) > 1e-3 * np.abs(expected).max(initial=0.0)
    if not large.any():
        return ""
    ratio = complex((got[large] / expected[large]).flat[0])
    if not close(got, np.asarray(expected * (ratio if got.dtype.kind == "c" else ratio.real))):
        return ""
    number = f"{ratio.real:.4g}" if abs(ratio.imag) < 1e-6 * abs(ratio) else f"{ratio:.4g}"
    words = f"a constant factor of {number}"
    for name, size in {"2": 2.0, **sizes, **_CONSTANTS}.items():
        meant = f"{size:.6g}" if name == f"{size:g}" else f"{name}, {size:.6g}"
        if size > 1 and math.isclose(abs(ratio), size, rel_tol=1e-4):
            return f"{words}: divide by {meant}"
        if size > 1 and math.isclose(abs(ratio) * size, 1, rel_tol=1e-4):
            return f"{words}: multiply by {meant}"
    return words if expected.size > 1 else ""  # of one element anything is a factor
