"""What converted code calls (`conversion.py`), gathered under the names by which it does."""

from __future__ import annotations

from builtins import slice
from types import FunctionType, MethodType

from tapenet.autodiff.aliasing import Lifted
from tapenet.autodiff.state import local
from tapenet.lifting.control import for_, if_, while_
from tapenet.lifting.folding import folded
from tapenet.lifting.questions import and_, bind, choose, compare, not_, or_
from tapenet.lifting.saying import assert_, formatting, percent, raise_if, text
from tapenet.lifting.subscripts import augmented, getitem, setitem
from tapenet.lifting.variables import State

__all__ = [
    "State", "and_", "assert_", "augmented", "bind", "call", "choose", "compare", "folded", "for_", "getitem", "if_", "not_",
    "or_", "percent", "raise_if", "set_attribute", "setitem", "slice", "text", "while_",
]  # fmt: skip


def call(function: object) -> object:
    """What is called for a function: its copy, or what stands for it."""
    lifted: Lifted | None = local.state.lifted
    if lifted is None:
        return function
    if type(function) is MethodType:
        method = function.__func__
        if type(method) is FunctionType and not str(method.__module__).startswith("tapenet."):
            copied = lifted.replaced(method)
            if copied is not method:
                return MethodType(copied, function.__self__)  # type: ignore[arg-type]
        return function
    if type(getattr(function, "__self__", None)) is str and getattr(function, "__name__", "") == "format":
        return formatting(function)  # type: ignore[arg-type]
    return lifted.replaced(function)


def set_attribute(value: object, a: object, name: str) -> None:
    """`a.name = value`."""
    setattr(a, name, value)
