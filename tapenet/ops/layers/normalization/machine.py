"""Normalisation in machine code, where there is a kernel that pays."""

from __future__ import annotations

from typing import Any

from tapenet import kernels

#: Elements from which a kernel is quicker than NumPy's passes. Its code is for all lengths, and compiled once.
WORTH = 8192


def kernel(x: Any, *others: Any) -> Any:
    """The kernels, if there are any for these arrays, else None."""
    if x.size < WORTH or x.dtype.char not in "fd":
        return None
    if any(a is not None and a.dtype is not x.dtype for a in others) or not x.flags.c_contiguous:
        return None
    return kernels.use("normalization")
