"""The values in the arguments and results of ops: as they are, or in lists and tuples, as those of `concatenate` are.

Ops know no other containers: those of users are in `trees`, and taken apart before an op's call is recorded.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def refilled(sequence: T, parts: Iterable[object]) -> T:
    """A sequence of the same type with other parts.

    >>> refilled((1, 2), [3, 4])
    (3, 4)
    """
    kind: Callable[..., T] = type(sequence)
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)


def elements(value: object, *whole: type) -> list[Any]:
    """The values in nested lists, tuples and dicts of arguments, in order. What is of a type of `whole` is one, though it
    is a tuple.

    >>> elements({"a": (1, None), "b": [2]})
    [1, None, 2]
    """
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)) or isinstance(value, whole):
        return [value]
    return [element for part in value for element in elements(part, *whole)]


def mapped(f: Callable[[Any], object], value: object, *whole: type) -> Any:
    """A value, or nested lists and tuples, with `f` applied to each element: what that leaves as it is stays the same object.

    >>> mapped(abs, [1, (-2, 3)])
    [1, (2, 3)]
    """
    if not isinstance(value, (tuple, list)) or isinstance(value, whole):
        return f(value)
    parts = [mapped(f, part, *whole) for part in value]
    return value if all(map(operator.is_, parts, value)) else refilled(value, parts)
