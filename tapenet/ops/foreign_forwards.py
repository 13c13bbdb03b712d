"""Functions that are not Python's, or call Python for each element, as forwards of ops: with names for their arguments, on
arrays, and with what an op of such a kind has by itself.

- What `np.vectorize` or `np.frompyfunc` made: results get a dtype from what they hold.
- What Numba's `vectorize` or `guvectorize` made: the latter's outputs are no arguments.
- C functions (ctypes, cffi, `numba.cfunc`), which `tn.native` makes ufuncs of.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Protocol, cast

import numpy as np

from tapenet.ops.definitions import signature_of
from tapenet.program.derivatives import ufunc_arguments
from tapenet.typing import Array

Function = Callable[..., object]


class _Generalised(Protocol):
    """What `numba.guvectorize` makes."""

    @property
    def signature(self) -> str: ...
    @property
    def is_dynamic(self) -> bool: ...
    @property
    def __wrapped__(self) -> Function: ...


def adapted(name: str, forward: Function, options: Mapping[str, object]) -> tuple[Function, dict[str, object]]:
    """A forward that calls a function with named arguments, and options that the op has beside those that it is given.

    Args:
        name, options: the op's.
        forward: any function; a Python function, and whatever else is none of these, is given back as it is.
    """
    if isinstance(forward, FunctionType):
        return forward, {}
    made, known = _adapted(name, forward, options)
    return made, {n: value for n, value in known.items() if n not in options}


def _adapted(name: str, forward: Function, options: Mapping[str, object]) -> tuple[Function, Mapping[str, object]]:
    kind = type(forward)
    if isinstance(forward, np.vectorize):
        return _vectorized(name, forward, options)
    if isinstance(forward, np.ufunc):
        if any(set(types) - set("O->") for types in forward.types):
            return forward, {}
        names = [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ufunc_arguments(forward.nin)]
        return _named(forward, inspect.Signature(names), lambda *args: _numbers(forward(*args), args)), _ELEMENTS
    if kind.__module__.startswith("numba."):
        if kind.__name__ == "DUFunc":
            return forward, _ELEMENTS
        if kind.__name__ == "GUFunc":
            return _generalised(cast(_Generalised, forward)), _ELEMENTS
    if not _C_FUNCTIONS.isdisjoint(f"{base.__module__}.{base.__name__}" for base in kind.__mro__):
        return _by_address(name, forward), {}
    return forward, {}


#: The types of C functions that say what they take.
_C_FUNCTIONS = frozenset({"_ctypes.CFuncPtr", "_cffi_backend._CDataBase", "numba.core.ccallback.CFunc"})
#: What an op has that computes element by element, or for each place in the leading axes.
_ELEMENTS: dict[str, object] = {"broadcasts": True, "vmap": "leading"}


def _named(function: Function, signature: inspect.Signature, call: Function) -> Function:
    """A call with the arguments of a function."""

    @functools.wraps(function, updated=())
    def forward(*args: object, **options: object) -> object:
        return call(*args, **options)

    forward.__signature__ = signature  # type: ignore[attr-defined]
    return forward


def _by_address(name: str, function: Function) -> Function:
    """The ufunc of a C function."""
    try:
        made: Function = importlib.import_module("tapenet.ops.native_functions").native(function, name=name)
    except TypeError as error:
        raise TypeError(
            f"op {name!r}: the forward is a C function by address, of which no ufunc can be made as it is ({error}). Make it "
            "yourself, tn.op(tn.native(f, SIGNATURE), ...), or call it in a function of arrays"
        ) from None
    return made


# -- Python for each element ---------------------------------------------------------------------------------------


def _vectorized(name: str, made: np.vectorize, given: Mapping[str, object]) -> tuple[Function, Mapping[str, object]]:
    """What `np.vectorize` made. It takes the dtype of results from the first of them, unless `otypes=` says it: where that is
    a whole number by chance all are cut off. Here all of them are looked at."""
    function = cast(Function, made.pyfunc)
    options = {**_ELEMENTS, **({} if "lower" in given else {"opaque": "calls Python for each element"})}
    signature = inspect.Signature(signature_of(name, function))
    outputs, residuals = given.get("outputs", 1), given.get("residuals", ())
    if made.otypes is not None or made.signature is not None or not isinstance(outputs, int):
        return _named(function, signature, made), options
    count = outputs + len(cast(Sequence[str], residuals))
    objects = np.vectorize(function, otypes="O" * count, excluded=made.excluded)

    def call(*args: object, **named: object) -> object:
        return _numbers(objects(*args, **named), args)

    return _named(function, signature, call), options


def _numbers(found: object, args: Sequence[object]) -> object:
    """Arrays of objects as arrays of numbers: of the dtype that the arguments have, if that is one of floats and they are
    real numbers, and not all of them booleans; else of that which NumPy gives such a list."""
    if isinstance(found, tuple):
        return tuple(_numbers(each, args) for each in found)
    objects = np.asarray(found, dtype=object)
    numbers: Array = np.array(objects.ravel().tolist())
    if numbers.ndim > 1 or numbers.dtype.kind not in "biufc":
        raise TypeError(f"it gives {type(objects.flat[0]).__name__} for an element, which is no number")
    floats = [a.dtype for a in args if isinstance(a, (np.ndarray, np.generic)) and a.dtype.kind in "fc"]
    if not floats or (numbers.dtype.kind == "b" and numbers.size):
        return numbers.reshape(objects.shape)
    dtype = np.result_type(*floats)
    if numbers.dtype.kind == "c" and dtype.kind == "f":
        dtype = np.result_type(dtype, np.complex64)
    return numbers.astype(dtype).reshape(objects.shape)


# -- Numba ---------------------------------------------------------------------------------------------------------


def _generalised(function: _Generalised) -> Function:
    """What `numba.guvectorize` made: its last arguments are outputs. Where it has no types they are made here, of the sizes
    of the arguments: Numba takes no others."""
    call = cast(Function, function)
    inside, _, outside = function.signature.replace(" ", "").partition("->")
    cores, results = (
        [tuple(filter(None, core.split(","))) for core in part[1:-1].split("),(")] for part in (inside, outside)
    )
    parameters = list(inspect.signature(function.__wrapped__).parameters.values())[: len(cores)]

    def made(*args: object) -> object:
        arrays = [np.asarray(a) for a in args]
        sizes = {
            name: array.shape[array.ndim - len(core) + i]
            for array, core in zip(arrays, cores, strict=True)
            for i, name in enumerate(core)
        }
        lead = np.broadcast_shapes(*(a.shape[: a.ndim - len(core)] for a, core in zip(arrays, cores, strict=True)))
        dtype = np.result_type(*arrays)
        outs = [np.empty((*lead, *(sizes[n] for n in core)), dtype) for core in results]
        call(*arrays, *outs)
        return outs[0] if len(outs) == 1 else tuple(outs)

    return _named(function.__wrapped__, inspect.Signature(parameters), made if function.is_dynamic else call)
