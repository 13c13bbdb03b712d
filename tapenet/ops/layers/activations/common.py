"""What activations have in common: parts of an array by sign, masked gradients, documentation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul

#: From this size on `np.clip`, whose code for two bounds is vectorised, beats `np.maximum` with a number, whose is not.
_LARGE = 1 << 14
#: The integer type that holds the bits of a float type.
_BITS = {"e": np.int16, "f": np.int32, "d": np.int64}


def _large(x: Any) -> bool:
    return type(x) is np.ndarray and x.size >= _LARGE and x.dtype.kind == "f"


def positive_part(x: Any) -> Any:
    """max(x, 0)."""
    return np.clip(x, 0, math.inf) if _large(x) else np.maximum(x, 0)


def negative_part(x: Any) -> Any:
    """min(x, 0)."""
    return np.clip(x, -math.inf, 0) if _large(x) else np.minimum(x, 0)


def at_most(x: Any, limit: float) -> Any:
    """min(x, limit)."""
    return np.clip(x, -math.inf, limit) if _large(x) else np.minimum(x, limit)


def kept_where(mask: Any, g: Any) -> Any:
    """g where a mask of its shape is true, else 0, whatever g is there. For rules: arrays or tensors."""
    bits = _BITS.get(g.dtype.char) if type(g) is np.ndarray and type(mask) is np.ndarray else None
    if bits is None:
        return safe_mul(mask, g)
    kept = mask.astype(bits)
    np.negative(kept, out=kept)  # true: all bits set
    np.bitwise_and(kept, g.view(bits), out=kept)
    return kept.view(g.dtype)


def over(ufunc: Any, x: Any) -> Any:
    """ufunc(x), written over x where that is an array: one of the caller's own."""
    return ufunc(x, out=x) if type(x) is np.ndarray else ufunc(x)


def documented(summary: str, details: str, example: str) -> str:
    """The documentation of an activation without further arguments to explain."""
    return f"""{summary}, element by element.

    {details}

    >>> import tapenet as tn
    >>> tn.{example}
    """
