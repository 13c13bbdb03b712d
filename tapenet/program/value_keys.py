"""What tells apart the values that a program was made for: more than equality, for which 1, 1.0 and True are the same."""

from __future__ import annotations

from collections.abc import Hashable
from types import MemberDescriptorType, MethodType
from typing import Any

#: Types whose equal values are alike.
_EXACT = frozenset({int, str, bool, bytes, type(None)})


class Same:
    """Stands for an object that is compared by identity, and keeps it alive."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return type(other) is Same and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)

    def __repr__(self) -> str:
        return f"<the same {type(self.value).__name__}>"


def distinct(value: object) -> Hashable:
    """Something hashable that is equal for two values only if nothing tells them apart: numbers of one type and sign;
    tuples, sets and objects that are compared by what is in them, with such contents; else one and the same object."""
    return _distinct(value, ())


def _distinct(value: Any, around: tuple[int, ...]) -> Hashable:
    kind = type(value)
    if kind in _EXACT:
        return kind, value
    if kind is float:
        return kind, value.hex()  # tells 0.0 from -0.0, and takes nan for nan
    if kind is complex:
        return kind, value.real.hex(), value.imag.hex()
    if kind is MethodType:
        return kind, Same(value.__self__), Same(value.__func__)
    if kind is slice:
        return kind, tuple(_distinct(v, around) for v in (value.start, value.stop, value.step))
    if id(value) in around or _by_identity(kind) or isinstance(value, type):  # in `around`: it holds itself
        return Same(value)
    around = *around, id(value)
    if isinstance(value, (tuple, list)):
        return kind, tuple(_distinct(v, around) for v in value)
    if isinstance(value, (frozenset, set)):
        return kind, frozenset(_distinct(v, around) for v in value)
    if isinstance(value, dict):
        return kind, tuple((_distinct(k, around), _distinct(v, around)) for k, v in value.items())
    try:
        hash(value)
    except TypeError:
        return Same(value)
    attributes = _attributes(value)
    if not attributes:
        return kind, value, repr(value)
    return kind, value, tuple((name, _distinct(v, around)) for name, v in attributes.items())


def _by_identity(kind: type) -> bool:
    equal: object = kind.__eq__
    return equal is object.__eq__


def _attributes(value: object) -> dict[str, object]:
    """What an object consists of: a dataclass of its fields, whatever it caches beside."""
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is not None:
        return {name: getattr(value, name, None) for name in fields}
    kind = type(value)
    if kind.__module__.partition(".")[0] == "pathlib":
        return {}  # its text is all; parts of that are kept in slots once somebody has asked for them
    return {n: getattr(value, n) for n in slots(kind) if hasattr(value, n)} | getattr(value, "__dict__", {})


def slots(kind: type) -> list[str]:
    """The names of the slots that objects of a class have."""
    found = [v for base in kind.__mro__ if "__slots__" in vars(base) for v in vars(base).values()]
    return [v.__name__ for v in found if isinstance(v, MemberDescriptorType)]
