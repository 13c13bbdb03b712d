"""Shapes and constants of which one is kept for all that are equal.

A node keeps the shape of its output. Shapes repeat, so one tuple per distinct shape is kept: less memory, and one object
less for the collector to walk at each of its passes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Constant(NamedTuple):
    """Stands for an array that entered an op without needing a gradient: its shape and dtype alone."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


SHAPES: dict[Any, Any] = {}
_CONSTANTS: dict[tuple[Any, Any], Constant] = {}
_INTERN_LIMIT = 4096


def intern_shape(shape: Any) -> Any:
    """The one tuple kept for this shape (or these shapes, dtypes, constants). Forgets all when there are too many
    to be worth keeping."""
    if len(SHAPES) >= _INTERN_LIMIT:
        SHAPES.clear()
    return SHAPES.setdefault(shape, shape)


def constant(value: Any) -> Any:
    """What a node remembers of an argument without gradient: plain values as they are, an array's shape and
    dtype."""
    if type(value) is not np.ndarray:
        if isinstance(value, (list, tuple)) and any(isinstance(v, np.ndarray) for v in value):
            parts = tuple(constant(v) for v in value)
            return intern_shape(parts) if all(type(p) is Constant for p in parts) else parts
        return value
    key = (value.shape, value.dtype)
    found = _CONSTANTS.get(key)
    if found is None:
        if len(_CONSTANTS) >= _INTERN_LIMIT:
            _CONSTANTS.clear()
        found = _CONSTANTS[key] = Constant(intern_shape(value.shape), value.dtype)
    return found
