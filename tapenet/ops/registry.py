"""What there is: every op by name, what stands for NumPy's functions on tensors, and calls for the tests."""

from __future__ import annotations

import functools
import importlib
import sys
import weakref
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn, TypeAlias

import numpy as np

from tapenet import plugins
from tapenet.names import home
from tapenet.ops.signatures import signature


class Sample(NamedTuple):
    """Arguments of one call that the tests make: `args` holds arrays and plain values, `kwargs` options."""

    args: tuple[Any, ...]
    kwargs: dict[str, object]


def sample(*args: object, **kwargs: object) -> Sample:
    """Write down one call of an op, for `samples=`."""
    return Sample(args, kwargs)


# A string: naming np.random at import would load it, a seventh of NumPy's own import time.
Samples: TypeAlias = "Callable[[np.random.Generator], Iterable[Sample]]"

#: Every op alive, by qualified name (`tapenet.ops.elementwise.elementary.exp`). The tests walk over it.
registry: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
#: NumPy function -> the op (or derived function) that stands for it under NumPy's two protocols.
numpy_functions: dict[object, Callable[..., object]] = {}


@functools.cache
def everything() -> None:
    """Load every module of ops, so that `registry` and `numpy_functions` hold all that there is."""
    import pkgutil

    for module in pkgutil.walk_packages(sys.modules["tapenet.ops"].__path__, "tapenet.ops."):
        importlib.import_module(module.name)


def stands_for(function: object) -> Callable[..., object] | None:
    """What stands for a NumPy function on tensors, or None if nothing does. The module that has its name is loaded first,
    all others, and the ops of other packages, only if nothing there stands for it."""
    if function not in numpy_functions:
        space = str(getattr(function, "__module__", "")).replace("numpy", "tapenet")
        name = getattr(function, "__name__", "")
        module = home(space if space in ("tapenet.linalg", "tapenet.fft") else "tapenet", name)
        if module is not None and module.startswith("tapenet.ops."):
            importlib.import_module(module)
        # What some functions of SciPy's call has their name with an underscore: `_lambertw`.
        if function not in numpy_functions and (module := home("tapenet.special", name.removeprefix("_"))):
            importlib.import_module(module)
        if function not in numpy_functions:
            everything()
        if function not in numpy_functions:
            plugins.found("tapenet.ops")
    return numpy_functions.get(function)


def numpy_name(function: Callable[..., object]) -> str:
    """What a function is called by those who call it: "np.linalg.inv", "scipy.linalg.expm"."""
    space, name = function.__module__, function.__name__
    public = space.partition("._")[0]  # SciPy's say in which file they are
    if getattr(sys.modules.get(public), name, None) is function:
        space = public
    return f"{space}.{name}".replace("numpy", "np", 1)


def ufunc_name(ufunc: np.ufunc) -> str:
    """What a ufunc is called by those who call it: "np.sin", "scipy.special.erf". Ufuncs do not know where they live."""
    name = ufunc.__name__
    for module, short in (("numpy", "np"), ("scipy.special", "scipy.special")):
        if getattr(sys.modules.get(module), name, None) is ufunc:
            return f"{short}.{name}"
    return name


def is_own(owner: object) -> bool:
    """Whether an op or derived function is one of tapenet's own."""
    return str(owner.__module__).startswith("tapenet.")


def ufunc_method(owner: Any, name: str) -> Any:
    """`reduce` or another method of the ufunc that an op or derived function stands for; or its `__signature__`.

    Raises:
        AttributeError: it stands for none, or the name is no method's.
    """
    if name == "__signature__" and "__wrapped__" in owner.__dict__:
        return signature(owner, owner.__wrapped__)
    if name in ("reduce", "accumulate", "outer", "reduceat", "at"):
        for function in owner.numpy:
            if isinstance(function, np.ufunc):
                return getattr(function, name)
    raise AttributeError(f"op {owner.__dict__.get('name')!r} has no attribute {name!r}")


def refuse(function: Callable[..., object], hint: str) -> None:
    """Say that a NumPy function has no place in a graph, and what to write in its place: called on a tensor it raises
    a TypeError that ends in `hint`."""
    numpy_functions[function] = Refused(numpy_name(function), hint)


class Refused:
    """What a refused NumPy function does with tensors: it raises, and says why and what to use instead."""

    def __init__(self, name: str, hint: str) -> None:
        self.name = name
        self.hint = hint

    def __call__(self, *args: object, **kwargs: object) -> NoReturn:
        raise TypeError(f"{self.name} is not supported on tensors: {self.hint}")


def answer(function: object, plain: Callable[..., object]) -> None:
    """Say what a NumPy function that asks about arrays, their shapes or dtypes, answers about tensors: a plain value."""
    numpy_functions[function] = Question(plain)


class Question:
    """A NumPy function whose answer about tensors is a plain value."""

    def __init__(self, plain: Callable[..., object]) -> None:
        self.function = plain

    def __repr__(self) -> str:
        return "a plain answer"

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self.function(*args, **kwargs)
