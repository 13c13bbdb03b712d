"""C functions by address, which machine code calls as it calls those of the C library.

Code names a function by a symbol; its address is said when code is loaded (`toolchain`). So code that is kept on disk holds
no address, and is right in every process.
"""

from __future__ import annotations

import ctypes
import itertools
import sys
from _ctypes import CFuncPtr
from types import FunctionType
from typing import NamedTuple

import numpy as np

from tapenet.llvm import functions, toolchain
from tapenet.llvm.c_signatures import Declared, Signature, completed, of_c, of_ctypes, of_numba, of_numbers, parsed
from tapenet.llvm.emitter import llvm_type

#: Of ctypes functions: they are called with the interpreter's lock held.
_NEEDS_LOCK = 4


class CFunction(NamedTuple):
    """A function by address.

    Attributes:
        name: what it is called in reports.
        signature: what it takes and gives, dtypes included.
        address: where it is.
        symbol: what code calls it.
        owner: what keeps it and its library loaded.
    """

    name: str
    signature: Signature
    address: int
    symbol: str
    owner: object


def c_function(function: object, signature: str | None, name: str) -> CFunction:
    """A function by address, with what it takes and gives.

    Args:
        function: of ctypes, cffi, Numba (`cfunc`), Cython (a capsule of `__pyx_capi__`) or SciPy's `LowLevelCallable`, or
            its address.
        signature: as `c_signatures.parsed` takes it; None where the function is declared.
        name: what it is called.

    Raises:
        TypeError: it is no such function, or the signature does not fit.
    """
    try:
        address, declared = _found(function)
        if signature is not None:
            made = completed(parsed(signature), declared)
        elif declared is not None:
            made = of_numbers(declared)
        else:
            raise TypeError("it does not say what it takes and gives: give a signature, such as 'float64(float64)'")
    except TypeError as error:
        raise TypeError(f"tn.native {name!r}: {error}") from None
    return CFunction(name, made, address, _symbol(name, made, address), function)


def _found(function: object) -> tuple[int, Declared | None]:
    """Where a function is, and how it is declared, if it says so."""
    kind = type(function)
    if isinstance(function, (int, np.integer)) and not isinstance(function, bool):
        if function <= 0:
            raise TypeError(f"{function} is the address of nothing")
        return int(function), None
    if isinstance(function, CFuncPtr):
        return _of_ctypes(function)
    if kind.__module__ == "_cffi_backend" and hasattr(kind, "__getitem__"):
        return _of_cffi(function)
    if kind.__module__.startswith("numba.") and hasattr(function, "address"):
        return function.address, of_numba(getattr(function, "_sig", None))
    if kind.__name__ == "LowLevelCallable":
        if getattr(function, "user_data", None) is not None:
            raise TypeError("it is a LowLevelCallable with user_data, which no array is")
        return _found(getattr(function, "function", None))
    if kind.__name__ == "PyCapsule":
        return _of_capsule(function)
    raise TypeError(_refused(function))


def _refused(function: object) -> str:
    """Why something is no function by address, and what to give."""
    kind = type(function)
    if isinstance(function, np.ufunc):
        return f"{function!r} is a ufunc already: tn.op({function.__name__}, x=rule) makes an op of it"
    if isinstance(function, FunctionType):
        return "it is a Python function: give it to tn.op, or compile it first: numba.cfunc(SIGNATURE)(f)"
    if kind.__module__.startswith("numba."):
        return "what numba.njit makes has no address: give what numba.cfunc(SIGNATURE)(f) makes"
    if kind.__name__ == "builtin_function_or_method":
        return (
            "a built function of Python has no address; of a library that cffi compiled give ffi.addressof(lib, 'name')"
        )
    return (
        f"{kind.__name__} is no function of C; give one of ctypes or cffi, a numba.cfunc, a scipy.LowLevelCallable, or an "
        "address as an int"
    )


def _of_ctypes(function: CFuncPtr) -> tuple[int, Declared | None]:
    if getattr(function, "_flags_", 0) & _NEEDS_LOCK:
        raise TypeError(
            "it needs the interpreter's lock (ctypes.PYFUNCTYPE, ctypes.pythonapi); native code does not take it"
        )
    if any(type(kept).__name__ == "CThunkObject" for kept in (function._objects or {}).values()):
        raise TypeError(
            "it is a Python function behind a ctypes callback: calling it runs the interpreter. Give it to tn.op"
        )
    found = ctypes.cast(function, ctypes.c_void_p).value
    if not found:
        raise TypeError("it is a null pointer")
    declared = None if function.argtypes is None else of_ctypes(function.restype, function.argtypes)
    return found, declared


def _of_cffi(function: object) -> tuple[int, Declared | None]:
    ffi = vars(sys.modules["_cffi_backend"])["FFI"]()
    kind = ffi.typeof(function)
    if kind.kind != "function":
        raise TypeError(f"{kind.cname!r} is no function")
    address = int(ffi.cast("uintptr_t", function))
    if not address:
        raise TypeError("it is a null pointer")
    return address, of_c(kind.cname)


def _of_capsule(function: object) -> tuple[int, Declared | None]:
    of_one = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)
    of_two = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    name: bytes | None = of_one(("PyCapsule_GetName", ctypes.pythonapi))(function)
    address: int = of_two(("PyCapsule_GetPointer", ctypes.pythonapi))(function, name)
    return address, None if name is None or b"(" not in name else of_c(name.decode())


def _symbol(name: str, signature: Signature, address: int) -> str:
    """The symbol of a function: the same for one function however often it is named, another for each other one."""
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in f"{name}_{signature}")
    for i in itertools.count():
        symbol = f"c_{plain}_{i}"
        text = declaration(symbol, signature)
        if (
            toolchain.symbols.setdefault(symbol, address) == address
            and functions.declarations.setdefault(symbol, text) == text
        ):
            return symbol
    raise AssertionError


#: What a call of a function of numbers means: its result is a matter of its arguments.
_PURE = "nounwind willreturn memory(none)"


def declaration(symbol: str, signature: Signature) -> str:
    """That of a function in LLVM's language."""
    if signature.of_arrays:
        pointers = ["ptr"] * (len(signature.inputs) + len(signature.outputs))
        return f"declare void @{symbol}({', '.join([*pointers, *['i64'] * len(signature.sizes)])}) nounwind\n"
    *given, result = map(passed, signature.dtypes)
    kind, _, extended = result.partition(" ")
    return f"declare {f'{extended} ' * bool(extended)}{kind} @{symbol}({', '.join(given)}) {_PURE}\n"


def passed(dtype: np.dtype) -> str:
    """The type of an argument. Of short integers all of a register is set, as C's compilers count on."""
    extended = "" if dtype.kind == "f" or dtype.itemsize > 2 else " signext" if dtype.kind == "i" else " zeroext"
    return llvm_type(dtype) + extended


def call_of(symbol: str, signature: Signature, operands: list[str]) -> str:
    """The call of a function of numbers."""
    *given, result = map(passed, signature.dtypes)
    kind, _, extended = result.partition(" ")
    arguments = ", ".join(f"{t} {o}" for t, o in zip(given, operands, strict=True))
    return f"call {f'{extended} ' * bool(extended)}{kind} @{symbol}({arguments})"
