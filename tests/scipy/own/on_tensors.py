"""SciPy's own tests on tensors: a plugin of pytest's that gives SciPy's test files tapenet's functions under SciPy's names.

While a test file of SciPy's is imported, `scipy` and its modules are stand-ins, whose functions are tapenet's wherever it has
one of that name. Arrays of numbers go in as tensors that need gradients, results come back as the arrays SciPy would give.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import scipy
from scipy._lib import _array_api

import tapenet as tn

MODULES = ("special", "linalg", "fft", "signal", "ndimage", "interpolate", "integrate", "sparse", "optimize", "stats")
#: Where tapenet has the module's namespace inside another one.
INNER = ("sparse.linalg", "spatial.distance")

#: The functions that said that they have no gradient by an argument.
REFUSED: set[str] = set()

#: SciPy's own modules, which tapenet asks for at use.
THEIRS: dict[str, types.ModuleType] = {}


@contextlib.contextmanager
def modules(wanted: dict[str, types.ModuleType]) -> Iterator[None]:
    """With other modules under the names of these."""
    before = {name: sys.modules[name] for name in wanted}
    sys.modules.update(wanted)
    try:
        yield
    finally:
        sys.modules.update(before)


def tensors(value: Any) -> Any:
    """The argument with every array of real or complex floating-point numbers as a tensor that needs gradients."""
    if type(value) is np.ndarray and value.dtype.kind in "fc" and value.dtype in (np.float64, np.complex128):
        return tn.tensor(value, requires_grad=True)
    if isinstance(value, OnTensors) and value.theirs is None:
        return value.ours
    if type(value) in (tuple, list):
        return type(value)(map(tensors, value))
    if type(value) is dict:
        return {name: tensors(v) for name, v in value.items()}
    return value


def arrays(value: Any) -> Any:
    """The result with every tensor as an array, and what else tapenet made as what its methods give on tensors."""
    if isinstance(value, tn.Tensor):
        return value.detach().numpy()[()]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(arrays, value))
    if type(value) in (tuple, list):
        return type(value)(map(arrays, value))
    if isinstance(value, dict):
        for key in value:
            value[key] = arrays(value[key])
        return value
    if type(value).__module__.startswith("tapenet") and not isinstance(value, type):
        return OnTensors(value, None)
    return value


class OnTensors:
    """What tapenet has for something of SciPy's, called with arrays: tensors inside."""

    def __init__(self, ours: Any, theirs: Any) -> None:
        self.ours = ours
        self.theirs = theirs
        self.__name__ = getattr(theirs, "__name__", type(ours).__name__)
        self.__doc__ = theirs.__doc__
        with contextlib.suppress(TypeError, ValueError):
            self.__signature__ = inspect.signature(theirs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if any(type(value).__module__.startswith("tapenet") for value in (*args, *kwargs.values())):
            return self.ours(*args, **kwargs)  # inside of a function that is differentiated
        with modules(THEIRS):
            return self.called(args, kwargs)

    def called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        names = list(getattr(self, "__signature__", inspect.Signature()).parameters)
        if "output" in names[: len(args)]:
            place = names.index("output")
            args, kwargs = args[:place], kwargs | dict(zip(names[place:], args[place:], strict=False))
        written = kwargs.get("output")
        if isinstance(written, np.ndarray):  # tensors are not written into: a result is made anew in its dtype
            written[...] = self.called(args, kwargs | {"output": written.dtype})
            return written
        kwargs = {
            name: value for name, value in kwargs.items() if name not in ("xp", "device")
        }  # tensors are of one kind
        try:
            return self.said(args, kwargs)
        except Exception as error:
            if "needs a gradient" not in str(error):
                raise
            REFUSED.add(self.__name__)
        with tn.no_grad():
            return self.said(args, kwargs)

    def said(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The result; of an error what SciPy says, before which we say the kinds of the arguments."""
        given = {name: value if name in ("out", "output") else tensors(value) for name, value in kwargs.items()}
        try:
            return arrays(self.ours(*tensors(args), **given))
        except Exception as error:
            _, failed, said = str(error).partition(") failed: ")
            if failed:
                raise type(error)(said) from error
            raise

    def __getattr__(self, name: str) -> Any:
        mine, their = getattr(self.ours, name, None), getattr(self.theirs, name, None)
        if mine is None or (self.theirs is not None and their is None):
            return getattr(self.ours if self.theirs is None else self.theirs, name)
        return OnTensors(mine, their) if callable(mine) else arrays(mine)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self.theirs,)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance.ours if isinstance(instance, OnTensors) else instance, (self.ours, self.theirs))

    def __reduce__(self) -> tuple[Any, ...]:
        return OnTensors, (self.ours, self.theirs)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("ours", "theirs", "__name__", "__doc__", "__signature__"):
            object.__setattr__(self, name, value)
        else:
            setattr(self.ours if self.theirs is None else self.theirs, name, value)


class StandIn(types.ModuleType):
    """A module of SciPy's with tapenet's functions under the names of SciPy's."""

    def __init__(self, theirs: types.ModuleType, replaced: dict[str, Any]) -> None:
        super().__init__(theirs.__name__)
        self.__dict__.update({k: v for k, v in vars(theirs).items() if k.startswith("__")})
        self.__dict__.update(replaced, __theirs__=theirs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["__theirs__"], name)

    def __setattr__(self, name: str, value: Any) -> None:  # such as a submodule that is loaded meanwhile
        setattr(self.__dict__["__theirs__"], name, value)


def replacements(module: str) -> dict[str, Any]:
    """tapenet's functions in place of those of one of SciPy's modules."""
    theirs = importlib.import_module(f"scipy.{module}")
    ours: Any = tn.scipy
    for part in module.split("."):
        ours = getattr(ours, part)
    found = {}
    for name in dir(ours):
        their = getattr(theirs, name, None)
        mine = getattr(ours, name)
        if name.startswith("_") or not callable(their) or isinstance(mine, types.ModuleType) or mine is their:
            continue
        found[name] = OnTensors(mine, their)
        with contextlib.suppress(KeyError, TypeError):
            _array_api.xp_capabilities_table[found[name]] = _array_api.xp_capabilities_table[their]
    return found


class Plugin:
    """What pytest asks while it collects SciPy's test files."""

    def __init__(self) -> None:
        # Tensors do not tell an array without axes from a number.
        strict = _array_api._strict_check
        _array_api._strict_check = lambda *args, **kwargs: strict(*args, **(kwargs | {"check_0d": False}))
        self.stand_ins: dict[str, types.ModuleType] = {}
        self.by_theirs: dict[int, Any] = {}
        for module in (*INNER, *MODULES):
            names = replacements(module)
            self.by_theirs.update({id(value.theirs): value for value in names.values()})
            inner = {i.split(".")[1]: self.stand_ins[f"scipy.{i}"] for i in INNER if i.startswith(f"{module}.")}
            self.stand_ins[f"scipy.{module}"] = StandIn(importlib.import_module(f"scipy.{module}"), names | inner)
        spatial = importlib.import_module("scipy.spatial")
        self.stand_ins["scipy.spatial"] = StandIn(spatial, {"distance": self.stand_ins["scipy.spatial.distance"]})
        whole = {name.split(".")[1]: module for name, module in self.stand_ins.items() if name.count(".") == 1}
        self.stand_ins["scipy"] = StandIn(scipy, whole)
        THEIRS.update({name: sys.modules[name] for name in self.stand_ins})

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Any:
        if not isinstance(collector, pytest.Module):
            return (yield)
        with modules(self.stand_ins):
            report = yield
        if report.passed:
            for name, value in list(vars(collector.obj).items()):
                if id(value) in self.by_theirs and value is self.by_theirs[id(value)].theirs:
                    setattr(collector.obj, name, self.by_theirs[id(value)])
        return report
