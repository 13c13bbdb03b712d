"""Ufuncs of C functions: NumPy's own broadcasting, casting, `out=` and `where=` around a function by address.

NumPy's C interface makes a ufunc of inner loops. Functions of one or two floats have loops in NumPy itself; those of all other
functions are compiled (`ufunc_loops`), or, without llvmlite, run in Python.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from tapenet.llvm import toolchain, ufunc_loops
from tapenet.llvm.c_functions import CFunction

#: Places in NumPy's table of C functions, which are part of its stable interface.
_FROM_FUNCTIONS, _WITH_SIGNATURE = 1, 31
#: NumPy's own loops, by the characters of what a function takes and gives.
_LOOPS = {"dd": 5, "ff": 6, "fff": 14, "ddd": 15}
#: A loop: the arrays' pointers, how many there are, how far apart elements are, and the loop's own data.
_LOOP = ctypes.CFUNCTYPE(
    None,
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.POINTER(ctypes.c_ssize_t),
    ctypes.POINTER(ctypes.c_ssize_t),
    ctypes.c_void_p,
)
_NO_IDENTITY = -1
#: What ufuncs point to, and the functions and libraries behind it. NumPy keeps none of it, and programs may call any.
_kept: list[object] = []


@functools.cache
def table() -> Sequence[int]:
    """NumPy's table of C functions for ufuncs."""
    capsule = vars(importlib.import_module("numpy._core._multiarray_umath"))["_UFUNC_API"]
    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    found = (ctypes.c_size_t * (_WITH_SIGNATURE + 1)).from_address(pointer(capsule, None))
    return tuple(found)


def ufunc(found: Sequence[CFunction], doc: str) -> np.ufunc:
    """The ufunc of a C function, or of one for each of several dtypes.

    Args:
        found: functions of one signature but for the dtypes; NumPy takes the first that arguments can be cast to.
        doc: its documentation.
    """
    first = found[0]
    count, signature = len(found), first.signature
    loops = [_loop(f) for f in found]
    functions = (ctypes.c_void_p * count)(*(loop for loop, _ in loops))
    data = (ctypes.c_void_p * count)(*(f.address for f in found))
    types = b"".join(dtype.num.to_bytes(1, "little") for f in found for dtype in f.signature.dtypes)
    held = ctypes.create_string_buffer(types, len(types))
    name, text = first.name.encode(), doc.encode()
    _kept.append((functions, data, held, name, text, loops, [f.owner for f in found]))
    arguments: tuple[object, ...] = (
        functions, data, held, count, len(signature.inputs), len(signature.outputs), _NO_IDENTITY, name, text, 0,
    )  # fmt: skip
    kinds = [ctypes.c_void_p] * 3 + [ctypes.c_int] * 4 + [ctypes.c_char_p] * 2 + [ctypes.c_int]
    place = _FROM_FUNCTIONS
    if signature.of_arrays:
        arguments, kinds, place = (*arguments, signature.core.encode()), [*kinds, ctypes.c_char_p], _WITH_SIGNATURE
    make = ctypes.PYFUNCTYPE(ctypes.py_object, *kinds)(table()[place])
    made: np.ufunc = make(*arguments)
    return made


def _loop(function: CFunction) -> tuple[int, object]:
    """The address of the inner loop of a function, and what keeps it there."""
    numpys = _LOOPS.get("".join(dtype.char for dtype in function.signature.dtypes))
    if numpys is not None and not function.signature.of_arrays:
        return table()[numpys], None
    if toolchain.available():
        library = toolchain.build(ufunc_loops.text(function))
        return library.address("loop"), library
    run = _of_arrays(function) if function.signature.of_arrays else _of_numbers(function)
    held = _LOOP(run)
    return ctypes.cast(held, ctypes.c_void_p).value or 0, held


#: What a loop is given: pointers (None for a null pointer), lengths, steps.
Words: TypeAlias = "Sequence[int]"

# -- in Python ---------------------------------------------------------------------------------------------------


def _of_numbers(function: CFunction) -> Callable[..., None]:
    """A loop that calls a function for each element."""
    *kinds, result = [np.ctypeslib.as_ctypes_type(dtype) for dtype in function.signature.dtypes]
    call = ctypes.CFUNCTYPE(result, *kinds)(function.address)
    types = [*kinds, result]

    def loop(args: Words, dims: Words, steps: Words, data: object) -> None:
        starts = [(kind, args[k] or 0, steps[k]) for k, kind in enumerate(types)]
        for i in range(dims[0]):
            *given, out = (kind.from_address(start + i * step) for kind, start, step in starts)
            out.value = call(*(g.value for g in given))

    return loop


class _Memory:
    """Memory by its address, as NumPy reads it."""

    def __init__(self, **interface: object) -> None:
        self.__array_interface__ = {"version": 3, **interface}


def _of_arrays(function: CFunction) -> Callable[..., None]:
    """A loop that calls a function for each place in the leading axes."""
    signature = function.signature
    parts = [*signature.inputs, *signature.outputs]
    sizes = signature.sizes
    kinds: list[type[ctypes.c_void_p] | type[ctypes.c_int64]] = [
        *[ctypes.c_void_p] * len(parts),
        *[ctypes.c_int64] * len(sizes),
    ]
    call = ctypes.CFUNCTYPE(None, *kinds)(function.address)
    inputs = len(signature.inputs)

    def loop(args: Words, dims: Words, steps: Words, data: object) -> None:
        lengths = dict(zip(sizes, dims[1 : len(sizes) + 1], strict=True))
        inner = iter(steps[len(parts) : len(parts) + sum(len(p.sizes or ()) for p in parts)])
        strides = [tuple(itertools.islice(inner, len(p.sizes or ()))) for p in parts]
        for i in range(dims[0]):
            views = []
            for k, (part, dtype) in enumerate(zip(parts, signature.dtypes, strict=True)):
                shape = tuple(lengths[n] for n in part.sizes or ())
                where = ((args[k] or 0) + i * steps[k], False)
                views.append(np.asarray(_Memory(data=where, typestr=dtype.str, shape=shape, strides=strides[k])))
            dense = [np.ascontiguousarray(v).reshape(v.shape) for v in views]
            call(*(d.ctypes.data for d in dense), *lengths.values())
            for view, array in zip(views[inputs:], dense[inputs:], strict=True):
                if array is not view:
                    view[...] = array

    return loop
