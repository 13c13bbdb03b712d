"""Lists, tuples and NamedTuples as arguments and results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def refilled(sequence: Any, parts: Iterable[object]) -> Any:
    """A sequence of the same type with other parts.

    >>> refilled((1, 2), [3, 4])
    (3, 4)
    """
    kind = type(sequence)
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
