"""Functions of LAPACK that NumPy has no loop for, by the addresses that SciPy gives for them (`scipy.linalg.cython_lapack`): so
results are those of SciPy's own functions."""

from __future__ import annotations

import ctypes
import functools
import importlib

from tapenet.llvm import toolchain
from tapenet.llvm.functions import declarations

#: The letter of a function, by the character of a dtype.
_LETTERS = {"d": "d", "D": "z"}
_SIGNATURE = b"void (int *, int *, "


@functools.cache
def getrf(kind: str) -> str | None:
    """What code calls the factorisation of a matrix by columns, by the character of its dtype; None where there is none. Its
    arguments are pointers: to the numbers of rows and columns, the matrix, the distance of its columns, the pivots, and
    whether it is singular. Integers have 32 bits."""
    name = f"{_LETTERS[kind]}getrf"
    try:
        capsule = importlib.import_module("scipy.linalg.cython_lapack").__pyx_capi__[name]
    except (ImportError, AttributeError, KeyError):
        return None
    kinds = (ctypes.c_char_p, "PyCapsule_GetName", (ctypes.py_object,)), (
        ctypes.c_void_p, "PyCapsule_GetPointer", (ctypes.py_object, ctypes.c_char_p),
    )  # fmt: skip
    named, pointer = (ctypes.PYFUNCTYPE(gives, *takes)((what, ctypes.pythonapi)) for gives, what, takes in kinds)
    signature = named(capsule)
    if not signature.startswith(_SIGNATURE):  # of integers of another width
        return None
    symbol = f"lapack_{name}"
    toolchain.symbols[symbol] = pointer(capsule, signature)
    toolchain.origins[symbol] = __name__, "getrf", kind
    declarations[symbol] = f"declare void @{symbol}(ptr, ptr, ptr, ptr, ptr, ptr) nounwind\n"
    return symbol
