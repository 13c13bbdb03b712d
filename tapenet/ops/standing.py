"""The functions that ops stand for on tensors. NumPy's ask, by its protocols, what stands for them; a Python function of any
other package, such as `scipy.linalg.expm`, is made to ask here."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from importlib import import_module
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Protocol, TypeGuard

import numpy as np

from tapenet.ops.registry import Refused, is_own, numpy_functions, numpy_name, stands_for, ufunc_name

Function = Callable[..., object]


class _Stands(Protocol):
    """An op or derived function."""

    name: str
    numpy: tuple[Function, ...]
    __module__: str


def check(name: str, functions: Iterable[object], makes: bool = False) -> None:
    """Raise a TypeError if `numpy=` of op `name` holds something that cannot ask what stands for it. Of what `makes` tensors it
    may be NumPy's function in C, which asks for `like=`."""
    for function in functions:
        reason = _mute(function)
        if reason is not None and not (makes and isinstance(function, BuiltinFunctionType)):
            raise TypeError(
                f"op {name!r}: numpy= is {function!r}, {reason}. It takes ufuncs, NumPy's functions and others written in "
                "Python, as numpy=scipy.linalg.expm. For what is none of these leave it out, and call the op by its own name"
            )


def _mute(function: object) -> str | None:
    """Why a function cannot ask; None if it can."""
    if isinstance(function, np.ufunc) or hasattr(function, "_implementation") or type(function) is FunctionType:
        return None
    if isinstance(function, str):
        return "a name: give the function itself"
    if not callable(function):
        return "no function"
    if isinstance(function, type):
        return "a class, whose calls make objects of it"
    if isinstance(function, MethodType):
        return "a method of one object: calls by any other would ask too"
    if isinstance(function, BuiltinFunctionType) or not hasattr(function, "__dict__"):
        return "which is written in C and never asks"
    return f"an object of class {type(function).__name__}, which never asks"


def stand(op: _Stands) -> None:
    """Have an op or derived function stand for the functions that it names by `numpy=`. A warning says so where another one
    did."""
    if not is_own(op):  # of ours only one stands for each
        for function in op.numpy:
            _warn_of_another(op, function)
    for function in op.numpy:
        numpy_functions[function] = op  # type: ignore[assignment]  # it can be called
        if _is_silent(function) and not getattr(op, "makes", False):  # what makes arrays asks for like= alone
            import_module("tapenet.ops.asking").make_ask(function)  # which few programs need


def _is_silent(function: object) -> TypeGuard[FunctionType]:
    """Whether a function asks only if it is made to."""
    return type(function) is FunctionType and not hasattr(function, "_implementation")


def _warn_of_another(op: _Stands, function: Function) -> None:
    """Warn if another op stands for a function already. The same op, defined anew, is no reason to warn."""
    foreign = _is_silent(function) and function.__module__.partition(".")[0] != "numpy"
    other = numpy_functions.get(function) if foreign else stands_for(function)  # which loads all of ours
    if other is None or isinstance(other, Refused):
        return
    if (other.__module__, getattr(other, "name", "")) == (op.__module__, op.name):
        return
    called = ufunc_name(function) if isinstance(function, np.ufunc) else numpy_name(function)
    warnings.warn(
        f"op {op.name!r} takes the place of {other!r}: from now on it stands for {called} wherever that is called on "
        "tensors, also in other ops' rules. If that is not meant, leave numpy= out and call the op by its own name",
        UserWarning,
        stacklevel=5,  # the line of the definition
    )
