"""The parameters that a user hands over, with names for errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from tapenet.autodiff.tensor import Tensor

#: Tensors, (name, tensor) pairs, or anything with `named_parameters()`, such as a module.
Parameters: TypeAlias = "Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Any"


class Position(str):
    """What stands for the name of a parameter that was given without one."""

    __slots__ = ()


def named_parameters(params: Parameters, who: str) -> list[tuple[str, Tensor]]:
    """Each parameter with its name, or with its position and shape where it has none.

    Raises:
        TypeError: something that is no tensor.
        ValueError: there is none at all.
    """
    if isinstance(params, Tensor):
        raise TypeError(f"{who} takes several parameters, and got one tensor: put it in a list, [tensor]")
    if isinstance(params, (set, frozenset)):
        raise TypeError(f"{who} numbers its parameters, and a set has no order: give a list")
    if isinstance(params, dict):
        params = params.items()
    elif hasattr(params, "named_parameters") and not isinstance(params, type):
        params = params.named_parameters()
    if isinstance(params, str) or not isinstance(params, Iterable):
        if callable(params):
            name = getattr(params, "__name__", type(params).__name__)
            what = f"{name} itself; call it: {name}()"
        elif isinstance(params, (int, float)):
            what = f"the number {params}; options go by name, as in lr={params}"
        else:
            what = (
                f"{type(params).__name__} {params!r}; give net.parameters(), a list of tensors, or (name, tensor) pairs"
            )
        raise TypeError(f"{who} takes parameters first, and got {what}")
    found = []
    for i, entry in enumerate(params):
        name, tensor = entry if isinstance(entry, tuple) and len(entry) == 2 else (None, entry)
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"{who}: parameter {i if name is None else repr(name)} is of type {type(tensor).__name__}, "
                "not a tensor; give net.parameters(), a list of tensors, or (name, tensor) pairs"
            )
        if name is None:
            name = Position(f"parameter {i} of shape {tensor.shape}")
        found.append((name if isinstance(name, str) else str(name), tensor))
    if not found:
        raise ValueError(
            f"{who} got no parameters. Did you pass net.parameters()? Does the module have attributes that "
            "are parameters? (A generator is empty after its first use: list(net.parameters()) is not)"
        )
    return found
