"""Calls with arguments that a function does not have itself: options common to NumPy's functions, PyTorch's names, and
options of PyTorch that are carried out around the call."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import numpy as np

from tapenet import ops
from tapenet.ops.derived import Derived
from tapenet.ops.recorder import installed
from tapenet.ops.registry import is_own
from tapenet.ops.signatures import MISSING, OF_UFUNCS, bind, check_keywords, parameters, unexpected
from tapenet.ops.torch_names import SIZES, Spelt, spelt
from tapenet.ops.tracebacks import hide
from tapenet.program.low import dtype_of
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.ops.op import Op

Call = Callable[[], object]


@lru_cache(1024)
def known_options(op: Op) -> tuple[str, ...] | None:
    """The names of the arguments of an op and of what answers further options; None where that takes any."""
    own = [a.name for a in op.arguments if not a.starred]
    if isinstance(op.more, np.ufunc):
        return (*own, *OF_UFUNCS)
    more = () if op.more is None else parameters(op.more)
    if more is None or any(p.kind is p.VAR_KEYWORD for p in more):
        return None
    return tuple(dict.fromkeys([*own, *(p.name for p in more)]))


def with_options(op: Op, /, *args: object, **kwargs: object) -> object:
    """A call of an op with options that all of NumPy's functions have, PyTorch's names, or others by `more`.

    Raises:
        TypeError: there is an option that it does not take.
    """
    found = ops.protocol.further(op, args, kwargs)
    if found is not NotImplemented:
        return found
    known = known_options(op)  # None: `more` refuses what it does not know
    if known is None or not kwargs.keys() <= set(known):
        call = of_op(op, known or (), args, kwargs) if is_own(op) else None
        if call is not None:
            return call()
        if known is not None:
            raise unexpected(op.name, next(name for name in kwargs if name not in known), known)
    if any(a is MISSING for a in args):
        bind(op, args, {})
    compose = installed.recorder.compose
    assert op.more is not None
    return op.more(*args, **kwargs) if compose is None else compose(op.more, args, kwargs)


def call_derived(function: Derived, /, *args: object, **kwargs: object) -> object:
    """What calling a derived function does."""
    if kwargs and (found := ops.protocol.further(function, args, kwargs)) is not NotImplemented:
        return found
    try:
        compose = installed.recorder.compose
        if compose is None or function.replaces:
            return function.function(*args, **kwargs)
        return compose(function, args, kwargs)
    except Exception as error:
        call = _respelt(function, args, kwargs, error)
        if call is None:
            hide(error)
            raise
    return call()


Derived.__call__ = call_derived  # type: ignore[method-assign, assignment]  # here, above the modules that answer options


def _respelt(function: Derived, args: tuple[object, ...], kwargs: dict[str, object], error: Exception) -> Call | None:
    """The same call in our names, if it failed for one of PyTorch's.

    Raises:
        TypeError: it failed for a name that nobody knows.
    """
    if not isinstance(error, TypeError) or not (kwargs or function.name in SIZES):
        return None
    call = of_derived(function, args, kwargs) if is_own(function) else None
    if call is None:
        check_keywords(function.name, function.function, kwargs)
    return call


def of_op(op: Op, known: tuple[str, ...], args: tuple[object, ...], kwargs: dict[str, object]) -> Call | None:
    """A call of an op in its own names, if it has some of PyTorch's. `known` are all that it takes."""
    arguments = _arguments(op, known)
    found = spelt(op.name, arguments, args, kwargs)
    return None if found is None else partial(_call, op, arguments, found)


@lru_cache(1024)
def _arguments(op: Op, known: tuple[str, ...]) -> dict[str, object]:
    own = {a.name: MISSING if a.required else a.default for a in op.arguments}
    return own | {name: MISSING for name in known if name not in own}


def of_derived(function: Derived, args: tuple[object, ...], kwargs: dict[str, object]) -> Call | None:
    """The same, of a derived function."""
    known = parameters(function.function) or ()
    arguments = {p.name: p.default for p in known if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    found = spelt(function.name, arguments, args, kwargs)
    return None if found is None else partial(_call, function, arguments, found)


def _call(function: Op | Derived, arguments: dict[str, object], found: Spelt) -> object:
    args, options, around = found
    if not around:
        return function(*args, **options)
    first = next(iter(arguments))
    if first in options:
        args = (options[first], *args[1:])
        options = {name: value for name, value in options.items() if name != first}
    if around.get("dtype") is not None:
        args = (ops.astype(args[0], dtype_of(around["dtype"])), *args[1:])
    if around.get("inplace"):
        return _in_place(function, args, options)
    result = function(*args, **options)
    if around.get("out") is not None:
        return ops.protocol.write(function.name, result, around["out"])
    if around.get("requires_grad"):
        tensor = installed.recorder.tensor(result, shared=False) if isinstance(result, np.ndarray) else result
        return tensor.requires_grad_()
    return result


def _in_place(function: Callable[..., Array], args: tuple[object, ...], options: dict[str, object]) -> object:
    """A result in the place of the first argument: behind the handle of a tensor, as by `t += v`, or in an array."""
    x = args[0]
    if hasattr(x, "_augmented"):  # a tensor
        return x._augmented(
            lambda x, _: function(x, *args[1:], **options), None, "inplace=True", "leave inplace=True out"
        )
    result = function(*args, **options)
    return ops.protocol.write("inplace=True", result, x) if hasattr(x, "shape") else result
