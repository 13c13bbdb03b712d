"""Small helpers that programs import from `autograd.util`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


def func(f: T) -> T:
    """The function of a method: itself.

    >>> func(len) is len
    True
    """
    return f


def subvals(x: Iterable[object], ivs: Iterable[tuple[int, object]]) -> tuple[object, ...]:
    """A tuple with other values at some places.

    >>> subvals((1, 2, 3), [(0, "a")])
    ('a', 2, 3)
    """
    given = dict(ivs)
    return tuple(given.get(i, value) for i, value in enumerate(x))


def subval(x: Iterable[object], i: int, v: object) -> tuple[object, ...]:
    """A tuple with another value at one place.

    >>> subval((1, 2, 3), 1, "b")
    (1, 'b', 3)
    """
    return subvals(x, [(i, v)])
