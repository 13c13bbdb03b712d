"""The inner loops of ufuncs, by address: the code that NumPy itself runs for arrays of a dtype.

So native code gives what NumPy gives, and refuses what it refuses: NumPy's loops call LAPACK for linear algebra, SciPy's
compute special functions; they take any strides, and run without the interpreter.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tapenet.llvm import toolchain
from tapenet.llvm.code import Code, offset
from tapenet.llvm.functions import declarations
from tapenet.llvm.ufuncs import table

_WORD = np.dtype(np.int64)
#: Where NumPy's table has the function that says which floating-point errors there were, and forgets them.
_ERRORS = 28
#: The bit of an invalid operation in what it says.
INVALID = 8
#: The modules of the ufuncs whose loops are called.
_HOMES = ("numpy", "numpy.linalg._umath_linalg", "numpy.fft._pocketfft_umath", "scipy.special")
#: What code calls it.
ERRORS = "np_floating_point_errors"


class InnerLoop(NamedTuple):
    """A loop: void(pointers to the arrays, numbers of elements, steps in bytes, data).

    Attributes:
        symbol: what code calls it.
        data: the symbol of its data; "null" where it has none.
    """

    symbol: str
    data: str


class _UFunc(ctypes.Structure):
    """The beginning of NumPy's structure of a ufunc, behind that of all objects. It is part of its stable interface."""

    _fields_ = (
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("name", ctypes.c_char_p),
    )


@functools.cache
def inner_loop(ufunc: np.ufunc, types: str) -> InnerLoop | None:
    """The loop of a ufunc for dtypes given by their characters, as "dd->d"; None where there is none by itself."""
    if types not in ufunc.types:
        return None
    place = ufunc.types.index(types)
    found = _UFunc.from_address(id(ufunc) + object.__basicsize__)
    if (found.nin, found.nout, found.nargs, found.ntypes) != (ufunc.nin, ufunc.nout, ufunc.nargs, ufunc.ntypes):
        return None  # another structure than the one that is known
    address = found.functions[place]
    if not address:
        return None
    module = home(ufunc)
    if not module:
        return None
    # NumPy and SciPy each have a log1p, and three more.
    symbol = f"{module.replace('.', '_')}_{ufunc.__name__}_{types.replace('->', '_').replace('?', 'truth')}"
    origin = "named_loop", module, ufunc.__name__, types
    _declare(symbol, address, f"declare void @{symbol}(ptr, ptr, ptr, ptr) nounwind\n", *origin)
    data = found.data[place] if found.data else None
    if not data:
        return InnerLoop(symbol, "null")
    _declare(f"{symbol}_data", data, f"@{symbol}_data = external global i8\n", *origin)
    return InnerLoop(symbol, f"@{symbol}_data")


def home(ufunc: np.ufunc) -> str:
    """The module in which any process finds a ufunc by its name; "" if it is in none that is known."""
    return next((m for m in _HOMES if getattr(sys.modules.get(m), ufunc.__name__, None) is ufunc), "")


def named_loop(module: str, name: str, types: str) -> InnerLoop | None:
    """The loop of a ufunc by its name."""
    return inner_loop(getattr(importlib.import_module(module), name), types)


def call(code: Code, loop: InnerLoop, pointers: Sequence[str], lengths: Sequence[int], steps: Sequence[int]) -> None:
    """Write the call of a loop.

    Args:
        code: where this goes.
        loop: what is called.
        pointers: of the arrays, arguments first.
        lengths: how often, and for loops over matrices the sizes of these.
        steps: in bytes from one element, or matrix, to the next, by array, then inside of matrices.
    """
    code.needs |= {loop.symbol} | ({loop.data.removeprefix("@")} - {"null"})
    tables = []
    for numbers, what in ((lengths, "i64"), (steps, "i64"), (pointers, "ptr")):
        table = f"%cell{len(code.cells)}"
        code.cells.append(f"  {table} = alloca [{len(numbers)} x {what}]")
        for i, number in enumerate(numbers):
            code.line(f"  store {what} {number}, ptr {offset(code, table, i, 1, _WORD)}")
        tables.append(table)
    dims, strides, arrays = tables
    code.line(f"  call void @{loop.symbol}(ptr {arrays}, ptr {dims}, ptr {strides}, ptr {loop.data})")


def errors() -> str:
    """What code calls NumPy's function of the floating-point errors: it returns an int."""
    _declare(ERRORS, table()[_ERRORS], f"declare i32 @{ERRORS}() nounwind\n", "errors")
    return ERRORS


def _declare(symbol: str, address: int, text: str, *origin: str) -> None:
    toolchain.symbols[symbol] = address
    if origin:
        toolchain.origins[symbol] = __name__, *origin
    declarations[symbol] = text
