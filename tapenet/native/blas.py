"""The BLAS that NumPy itself uses, by address: one library, one set of threads for both."""

from __future__ import annotations

import ctypes
import functools
from typing import NamedTuple

import numpy as np

_FUNCTIONS = ("sgemm", "dgemm", "sgemv", "dgemv")
#: How the functions are called in NumPy's own builds, in those of distributions, and on macOS; with the type of lengths.
_NAMES = (
    ("scipy_cblas_{}64_", "i64"),
    ("cblas_{}64_", "i64"),
    ("cblas_{}$NEWLAPACK$ILP64", "i64"),
    ("scipy_cblas_{}", "i32"),
    ("cblas_{}", "i32"),
)


class Blas(NamedTuple):
    """Addresses by name (`sgemm`, ...), and the LLVM type of lengths."""

    addresses: dict[str, int]
    integer: str


@functools.cache
def find() -> Blas | None:
    """NumPy's BLAS, or None where its functions cannot be found by name: then products are called from the plan."""
    core = getattr(np, "_core", None)
    module = getattr(core, "_multiarray_umath", None)
    if module is None:
        return None
    try:
        # The library that the extension module was linked with is searched too.
        handle = ctypes.CDLL(module.__file__)
    except OSError:
        return None
    for pattern, integer in _NAMES:
        try:
            addresses = {f: _address(getattr(handle, pattern.format(f))) for f in _FUNCTIONS}
        except AttributeError:
            continue
        return Blas(addresses, integer)
    return None


def _address(function: object) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
    assert address is not None
    return address
