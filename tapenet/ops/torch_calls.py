"""Calls with PyTorch's names, made again in ours, and what its options ask to be done around them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet import ops
from tapenet.ops.derived import Derived, made
from tapenet.ops.signatures import MISSING, parameters
from tapenet.ops.torch_names import Spelt, spelt
from tapenet.program.low import dtype_of

if TYPE_CHECKING:
    from tapenet.ops.op import Op

Call = Callable[[], Any]


def of_op(op: Op, known: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """A call of an op in its own names, if it has some of PyTorch's. `known` are all that it takes."""
    arguments = _arguments(op, known)
    found = spelt(op.name, arguments, args, kwargs)
    return None if found is None else partial(_call, op, arguments, found)


@lru_cache(1024)
def _arguments(op: Op, known: tuple[str, ...]) -> dict[str, Any]:
    own = {a.name: MISSING if a.required else a.default for a in op.arguments}
    return own | {name: MISSING for name in known if name not in own}


def of_derived(function: Derived, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    """The same, of a derived function."""
    known = parameters(function.function) or ()
    arguments = {p.name: p.default for p in known if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
    found = spelt(function.name, arguments, args, kwargs)
    return None if found is None else partial(_call, function, arguments, found)


def _call(function: Op | Derived, arguments: dict[str, Any], found: Spelt) -> Any:
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
        return (made(result) if isinstance(result, np.ndarray) else result).requires_grad_()
    return result


def _in_place(function: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A result in the place of the first argument: behind the handle of a tensor, as by `t += v`, or in an array."""
    x = args[0]
    if hasattr(x, "_augmented"):  # a tensor
        return x._augmented(
            lambda x, _: function(x, *args[1:], **options), None, "inplace=True", "leave inplace=True out"
        )
    result = function(*args, **options)
    return ops.protocol.write("inplace=True", result, x) if hasattr(x, "shape") else result
