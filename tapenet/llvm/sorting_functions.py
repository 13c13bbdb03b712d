"""NumPy's functions that sort a row of numbers, or find its extreme, by address: those that `np.sort`, `np.argsort`,
`np.argmax` and `np.argmin` call for a dtype."""

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
_TABLE, _FIRST = 365, {"argmax": 26, "sort": 33, "argsort": 36, "argmin": 46}
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
    if kind not in _KINDS:
        return None
    arguments = "ptr, i64, ptr" if name == "sort" else "ptr, ptr, i64, ptr"
    return _declared(_FIRST[name] + _KINDS[kind], dtype, arguments, "sorting_function", name, kind, dtype.name)


@functools.cache
def extreme_function(name: str, dtype: DType | str) -> str | None:
    """The symbol of a function by which NumPy finds where the first extreme of a row is; None where it is not known.

    Args:
        name: "argmax" or "argmin": int(numbers, their number, the index that is found, null).
        dtype: of the numbers.
    """
    dtype = np.dtype(dtype)
    return _declared(_FIRST[name], dtype, "ptr, i64, ptr, ptr", "extreme_function", name, dtype.name)


def _declared(place: int, dtype: DType, arguments: str, *origin: str) -> str | None:
    version = tuple(map(int, np.__version__.split(".")[:2]))
    if not _KNOWN[0] <= version < _KNOWN[1] or not (address := _functions(dtype)[place]):
        return None
    symbol = "_".join(("np", *origin[1:]))
    toolchain.symbols[symbol] = address
    toolchain.origins[symbol] = __name__, *origin
    declarations[symbol] = f"declare i32 @{symbol}({arguments}) nounwind\n"
    return symbol


def _functions(dtype: DType) -> Sequence[int | None]:
    capsule = vars(importlib.import_module("numpy._core._multiarray_umath"))["_ARRAY_API"]
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    table = (ctypes.c_void_p * (_TABLE + 1)).from_address(pointer(capsule, None))
    give = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(table[_TABLE] or 0)
    return tuple((ctypes.c_void_p * 47).from_address(give(dtype)))
