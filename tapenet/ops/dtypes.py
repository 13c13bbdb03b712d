"""What can be asked of dtypes: the limits of their numbers, and their kind. As the array API standard has these, for the low
types too, which NumPy's functions of the same names do not know."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tapenet.program.low import dtype_of, is_inexact, is_low
from tapenet.typing import Array, DType

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike


class FloatLimits(NamedTuple):
    """The limits of floating-point numbers, as Python's numbers; of complex ones those of their parts.

    Attributes:
        bits: of one number.
        eps: the gap between 1 and the next larger number.
        max: the largest number.
        min: the smallest, -max.
        smallest_normal: the smallest above 0 of full precision.
        tiny: the same, by its older name.
        resolution: 10 to the power of minus the number of decimal digits that are exact.
        dtype: of the numbers.
    """

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    tiny: float
    resolution: float
    dtype: DType


def finfo(type: DTypeLike | Array, /) -> FloatLimits:
    """The limits of a floating-point dtype, or of that of a tensor or an array.

    Raises:
        TypeError: the numbers are not floating-point.

    >>> import tapenet as tn
    >>> tn.finfo(tn.float32).eps
    1.1920928955078125e-07
    >>> tn.finfo(tn.tensor([1.0])).bits
    64
    """
    dtype = _dtype(type)
    if not is_inexact(dtype):
        raise TypeError(f"finfo: {dtype} holds no floating-point numbers; tn.iinfo has the limits of integers")
    # NumPy does not know bfloat16, and ml_dtypes, which brings it, only that.
    known = np if dtype.kind in "fc" else sys.modules["ml_dtypes"]
    found = known.finfo(dtype)
    eps, largest, smallest, normal, resolution = (
        float(x) for x in (found.eps, found.max, found.min, found.smallest_normal, found.resolution)
    )
    return FloatLimits(found.bits, eps, largest, smallest, normal, normal, resolution, found.dtype)


def iinfo(type: DTypeLike | Array, /) -> np.iinfo:
    """The limits of an integer dtype, or of that of a tensor or an array: `bits`, `max`, `min` and `dtype`.

    Raises:
        TypeError: the numbers are no integers.

    >>> import tapenet as tn
    >>> tn.iinfo(tn.int8).max
    127
    """
    dtype = _dtype(type)
    if dtype.kind not in "iu":
        raise TypeError(f"iinfo: {dtype} holds no integers; tn.finfo has the limits of floating-point numbers")
    return np.iinfo(dtype)


def isdtype(dtype: DTypeLike, kind: DTypeLike | tuple[DTypeLike, ...]) -> bool:
    """Whether a dtype is of a kind, or of one of several.

    Args:
        dtype: the one to be asked of.
        kind: another dtype, or "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating"
            or "numeric".

    Raises:
        ValueError: there is no such kind.

    >>> import tapenet as tn
    >>> tn.isdtype(tn.float32, "real floating"), tn.isdtype(tn.int8, ("bool", "integral"))
    (True, True)
    """
    asked = dtype_of(dtype)
    if is_low(asked):  # to NumPy bfloat16 is none of its own
        kinds = kind if isinstance(kind, tuple) else (kind,)
        return any(np.isdtype(np.dtype(np.float16), k) if isinstance(k, str) else dtype_of(k) == asked for k in kinds)
    return np.isdtype(asked, kind)


def _dtype(given: DTypeLike | Array) -> DType:
    """A dtype, or that of an array or a tensor."""
    own = None if isinstance(given, type) else getattr(given, "dtype", None)
    return own if isinstance(own, np.dtype) else dtype_of(given)
