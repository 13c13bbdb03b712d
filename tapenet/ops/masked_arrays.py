"""Masked arrays, which are refused: as arrays they would lose their masks."""

from __future__ import annotations

import sys

import numpy as np

#: Why a masked array is refused, and what to give.
MASKED = (
    "a masked array would lose its mask: give its .data and its .mask, and compute with np.where or where=, or give its "
    ".filled(value)"
)


def check_unmasked(value: object) -> None:
    """Refuse a masked array, also in a list, tuple or dict: computed with as an array it would lose its mask in silence.

    Raises:
        TypeError: it is one.
    """
    # Not imported here: who has a masked array has imported it. Another thread may be just about to.
    kind = getattr(sys.modules.get("numpy.ma"), "MaskedArray", None)
    if kind is not None and (_holds(value, kind) if isinstance(value, _HOLDERS) else isinstance(value, kind)):
        raise TypeError(MASKED)


#: Types of values in which arrays may be.
_HOLDERS = (list, tuple, dict)
_NUMBERS = (int, float, complex, np.generic)


def _holds(value: object, kind: type) -> bool:
    """Whether a value is of a type, or a list, tuple or dict with one in it."""
    if not isinstance(value, _HOLDERS):
        return isinstance(value, kind)
    if isinstance(value, dict):
        return any(_holds(part, kind) for part in value.values())
    if not value or isinstance(value[0], _NUMBERS):  # NumPy takes no arrays beside numbers
        return False
    if {*map(type, value)} <= {list, tuple} and value[0] and isinstance(value[0][0], _NUMBERS):
        return False  # rows of numbers, which may be many
    return any(_holds(part, kind) for part in value)
