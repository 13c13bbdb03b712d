"""Classes of modules whose attributes are computed: made of the class of a module, and picklable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapenet.nn.module import Module


def derived_class(
    make: Callable[..., Any], base: Any, names: tuple[str, ...], prefix: str, members: dict[str, Any]
) -> Any:
    """A subclass of the class `base` of a module with these members.

    Args:
        make: make(base, names) gives this class again, for copies and pickles: it has no import path.
    """

    def reduce(self: Module) -> tuple[object, ...]:
        return _blank, (make, base, names), self.__getstate__()

    return type(f"{prefix}{base.__name__}", (base,), members | {"__reduce__": reduce, "__doc__": base.__doc__})


def _blank(make: Callable[..., Any], base: Any, names: tuple[str, ...]) -> Any:
    """A module without attributes."""
    made = make(base, names)
    return made.__new__(made)
