"""Classes of modules whose attributes are computed: made of the class of a module, and picklable."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tapenet.nn.module import Module

Names: TypeAlias = tuple[str, ...]
#: members(base, names) gives what a derived class has beside its base, for the attributes of these names.
Members: TypeAlias = Callable[[type[Module], Names], dict[str, object]]

_made: dict[tuple[str, Members, type[Module], Names], type[Module]] = {}


def derived_class(prefix: str, members: Members, base: type[Module], names: Names) -> type[Module]:
    """The subclass of the class `base` of a module with members for attributes of these names, or `base` itself for none.

    Copies and pickles make it again from these arguments, since it has no import path.
    """
    if not names:
        return base
    key = prefix, members, base, names
    if key not in _made:

        def reduce(self: Module) -> tuple[object, ...]:
            return _blank, key, self.__getstate__()

        own = {**members(base, names), "__reduce__": reduce, "__doc__": base.__doc__}
        _made[key] = type(f"{prefix}{base.__name__}", (base,), own)
    return _made[key]


def _blank(prefix: str, members: Members, base: type[Module], names: Names) -> Module:
    """A module without attributes."""
    made = derived_class(prefix, members, base, names)
    return made.__new__(made)
