"""NumPy's functions that sort a row of numbers, by address: those that `np.sort` and `np.argsort` call for a dtype."""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Sequence

import numpy as np

from tapenet.llvm import toolchain
from tapenet.llvm.functions import declarations
from tapenet.typing import DType

#: The place in NumPy's table of C functions of the one that gives the table of a dtype, and there those of the functions.
_TABLE, _FIRST = 365, {"sort": 33, "argsort": 36}
#: Which of these each kind is. Those of `heapsort` are not the ones that NumPy calls.
_KINDS = {"quicksort": 0, "stable": 2}
#: Versions of NumPy from and before which its tables are known to be so.
_KNOWN = (2, 0), (2, 5)


@functools.cache
def sorting_function(name: str, kind: str, dtype: DType | str) -> str | None:
    """The symbol of a function by which NumPy sorts; None where it is not known.

    Args:
        name: "sort" for int(numbers, their number, null), which sorts them where they are; "argsort" for int(numbers, indices,
            their number, null), which sorts the indices. Both give 0, or something below if there is no memory.
        kind: as NumPy's functions take it.
        dtype: of the numbers.
    """
    dtype = np.dtype(dtype)
    version = tuple(map(int, np.__version__.split(".")[:2]))
    if kind not in _KINDS or not _KNOWN[0] <= version < _KNOWN[1]:
        return None
    address = _functions(dtype)[_FIRST[name] + _KINDS[kind]]
    if not address:
        return None
    symbol = f"np_{name}_{kind}_{dtype.name}"
    arguments = "ptr, i64, ptr" if name == "sort" else "ptr, ptr, i64, ptr"
    toolchain.symbols[symbol] = address
    toolchain.origins[symbol] = __name__, "sorting_function", name, kind, dtype.name
    declarations[symbol] = f"declare i32 @{symbol}({arguments}) nounwind\n"
    return symbol


def _functions(dtype: DType) -> Sequence[int | None]:
    capsule = vars(importlib.import_module("numpy._core._multiarray_umath"))["_ARRAY_API"]
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    table = (ctypes.c_void_p * (_TABLE + 1)).from_address(pointer(capsule, None))
    give = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(table[_TABLE] or 0)
    return tuple((ctypes.c_void_p * 40).from_address(give(dtype)))
