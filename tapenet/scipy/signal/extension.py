"""How signals go on beyond their ends."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tapenet.ops.shapes.reshaping import along_axis
from tapenet.typing import Array

Extension = Literal["odd", "even", "constant", "zeros"] | None


def part(x: Array, place: slice, axis: int) -> Array:
    """A part of an array along one axis."""
    found: Array = x[along_axis(axis % x.ndim, place)]
    return found


def extended(x: Array, n: int, how: Extension, axis: int = -1) -> Array:
    """A signal with n samples more at both ends: turned about these ("odd"), mirrored ("even"), the same ("constant") or zeros.

    >>> extended(np.array([1.0, 2.0, 4.0]), 1, "odd")
    array([0., 1., 2., 4., 6.])
    """
    if n < 1 or how is None:
        return x
    length = x.shape[axis]
    if how == "zeros":
        shape = list(x.shape)
        shape[axis] = n
        before = after = np.zeros(shape, x.dtype)
    elif how == "constant":
        before, after = (np.repeat(part(x, place, axis), n, axis) for place in (slice(0, 1), slice(length - 1, length)))
    else:
        before = np.flip(part(x, slice(1, n + 1), axis), axis)
        after = np.flip(part(x, slice(length - 1 - n, length - 1), axis), axis)
        if how == "odd":
            before = 2 * part(x, slice(0, 1), axis) - before
            after = 2 * part(x, slice(length - 1, length), axis) - after
    return np.concatenate([before, x, after], axis)
