"""Functions of LAPACK that NumPy has no loop for, by the addresses that SciPy gives for them (`scipy.linalg.cython_lapack`): so
results are those of SciPy's own functions."""

from __future__ import annotations

import ctypes
import functools
import importlib

from tapenet.llvm import toolchain
from tapenet.llvm.functions import declarations

#: What code calls the factorisation of a matrix of float64 by columns. Its arguments are pointers: to the numbers of rows and
#: columns, the matrix, the distance of its columns, the pivots, and whether it is singular. Integers have 32 bits.
GETRF = "lapack_dgetrf"
_SIGNATURE = b"void (int *, int *, "


@functools.cache
def getrf() -> bool:
    """Whether there is one."""
    try:
        capsule = importlib.import_module("scipy.linalg.cython_lapack").__pyx_capi__["dgetrf"]
    except (ImportError, AttributeError, KeyError):
        return False
    kinds = (ctypes.c_char_p, "PyCapsule_GetName", (ctypes.py_object,)), (
        ctypes.c_void_p, "PyCapsule_GetPointer", (ctypes.py_object, ctypes.c_char_p),
    )  # fmt: skip
    named, pointer = (ctypes.PYFUNCTYPE(gives, *takes)((name, ctypes.pythonapi)) for gives, name, takes in kinds)
    name = named(capsule)
    if not name.startswith(_SIGNATURE):  # of integers of another width
        return False
    toolchain.symbols[GETRF] = pointer(capsule, name)
    toolchain.origins[GETRF] = __name__, "getrf"
    declarations[GETRF] = f"declare void @{GETRF}(ptr, ptr, ptr, ptr, ptr, ptr) nounwind\n"
    return True
