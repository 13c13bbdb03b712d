"""The BLAS that NumPy itself uses, by address: one library, one set of threads for both; and how it is kept from using
them."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from threading import get_ident
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tapenet.llvm.emitter import Value, literal, llvm_type, store
from tapenet.locks import lock

if TYPE_CHECKING:
    from tapenet.llvm.code import Code
    from tapenet.typing import DType

_FUNCTIONS = ("sgemm", "dgemm", "sgemv", "dgemv", "dtrsm", "ztrsm")
#: How the functions are called in NumPy's own builds, in those of distributions, and on macOS; with the type of lengths.
_NAMES = (
    ("scipy_cblas_{}64_", "i64"),
    ("cblas_{}64_", "i64"),
    ("cblas_{}$NEWLAPACK$ILP64", "i64"),
    ("scipy_cblas_{}", "i32"),
    ("cblas_{}", "i32"),
)


#: How OpenBLAS's functions for the number of threads are called.
_COUNTS = ("scipy_openblas_{}_num_threads64_", "openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads",
           "openblas_{}_num_threads")  # fmt: skip


#: The letter of a function, by the character of a dtype.
_LETTERS = {"f": "s", "d": "d", "D": "z"}
#: The options of its functions: rows behind each other, a matrix as it lies, a transposed one.
ROW_MAJOR, COLUMN_MAJOR, PLAIN, TRANSPOSED = 101, 102, 111, 112
#: The same for triangles: what is on the left of a product; which one; and whether its diagonal is 1.
LEFT, UPPER, LOWER, GIVEN, UNIT = 141, 121, 122, 131, 132
#: Where a product is cut, blocks have a multiple of so many rows or columns: BLAS computes tiles.
GRAIN = 32
#: A number that is known, or a register.
Length = int | Value


class Matrix(NamedTuple):
    """How BLAS reads an operand: transposed or not, and the distance between its rows."""

    transposed: bool
    leading: int


def matrix(shape: tuple[int, ...], strides: tuple[int, ...]) -> Matrix | None:
    """The last two axes as BLAS reads them in row-major order, or None if no axis is dense; strides count elements."""
    (n, m), (sn, sm) = shape[-2:], strides[-2:]
    if (m == 1 or sm == 1) and (n == 1 or sn >= m):
        return Matrix(False, sn if n > 1 else max(m, 1))
    if (n == 1 or sn == 1) and (m == 1 or sm >= n):
        return Matrix(True, sm if m > 1 else max(n, 1))
    return None


class Blas(NamedTuple):
    """Addresses by name (`sgemm`, ...), and the LLVM type of lengths."""

    addresses: dict[str, int]
    integer: str


@functools.cache
def find() -> Blas | None:
    """NumPy's BLAS, or None where its functions cannot be found by name: then products are called from the plan."""
    handle = _library()
    if handle is None:
        return None
    for pattern, integer in _NAMES:
        try:
            addresses = {f: _address(getattr(handle, pattern.format(f))) for f in _FUNCTIONS}
        except AttributeError:
            continue
        return Blas(addresses, integer)
    return None


@functools.cache
def _library() -> ctypes.CDLL | None:
    module = getattr(getattr(np, "_core", None), "_multiarray_umath", None)
    if module is None:
        return None
    try:
        # The library that the extension module was linked with is searched too.
        return ctypes.CDLL(module.__file__)
    except OSError:
        return None


def call(code: Code, name: str, dtype: DType, options: Sequence[int], *arguments: Length | float | str) -> None:
    """Write the call of a function.

    Args:
        name: without its letter.
        options: its first arguments.
        arguments: the others: lengths, factors as floats, pointers.
    """
    found = find()
    assert found is not None
    given = [f"i32 {option}" for option in options]
    for a in arguments:
        if isinstance(a, Value):
            given.append(
                f"{found.integer} {a.name if a.type == found.integer else a.convert('trunc', found.integer).name}"
            )
        elif isinstance(a, int):
            given.append(f"{found.integer} {a}")
        elif isinstance(a, str):
            given.append(f"ptr {a}")
        elif dtype.kind == "c":  # by address
            place = code.cell(dtype)
            store(code, literal(a, dtype), place, dtype)
            given.append(f"ptr {place}")
        else:
            given.append(f"{llvm_type(dtype)} {literal(a, dtype)}")
    symbol = f"tn_{_LETTERS[dtype.char]}{name}"
    code.declares.add(f"declare void @{symbol}({', '.join(text.split(' ')[0] for text in given)})")
    code.line(f"  call void @{symbol}({', '.join(given)})")


def alone() -> AbstractContextManager[None]:
    """Inside, NumPy's BLAS computes on the thread that calls it, if it is OpenBLAS. Its own threads go on spinning for some
    20 ms after each product, and hold the processors for which the threads of kernels then wait: a convolution on two
    processors takes as long as on one. So what is small, or stands between kernels, is better computed alone."""
    return _limit() or _NOTHING


class _Alone:
    """Limits the number of threads, which two functions say and set, while somebody is inside."""

    def __init__(self, get: Callable[[], int], put: Callable[[int], None]) -> None:
        self._get, self._put = get, put
        self._lock = lock()
        #: The threads that are inside, each as often as it entered.
        self._inside: list[int] = []
        self._before = 1
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def __enter__(self) -> None:
        with self._lock:
            first = not self._inside
            if first:
                self._before = self._get()
            self._inside.append(get_ident())  # a fork that comes between finds somebody inside
            if first:
                self._put(1)

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._left([get_ident()])

    def _left(self, threads: list[int]) -> None:
        if 0 < len(threads) == len(self._inside):
            self._put(self._before)
        for thread in threads:
            self._inside.remove(thread)

    def _forked(self) -> None:
        """Of those inside, the child has but the thread that forked."""
        self._left([thread for thread in self._inside if thread != get_ident()])


@functools.cache
def _limit() -> _Alone | None:
    counts = _counts()
    return None if counts is None else _Alone(*counts)


_NOTHING = contextlib.nullcontext()


def _counts() -> tuple[Callable[[], int], Callable[[int], None]] | None:
    """OpenBLAS's functions that say and set how many threads it uses; None where it is another library, or has one."""
    handle = _library()
    for pattern in _COUNTS if handle is not None else ():
        try:
            get, put = (getattr(handle, pattern.format(which)) for which in ("get", "set"))
        except AttributeError:
            continue
        return (get, put) if get() > 1 else None
    return None


def _address(function: object) -> int:
    address = ctypes.cast(function, ctypes.c_void_p).value  # type: ignore[arg-type]
    assert address is not None
    return address
