"""Lists, tuples and NamedTuples as arguments and results."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def refilled(sequence: T, parts: Iterable[object]) -> T:
    """A sequence of the same type with other parts.

    >>> refilled((1, 2), [3, 4])
    (3, 4)
    """
    kind: Callable[..., T] = type(sequence)
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
