"""What registering a hook gives: the way to take it away again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self


class Handle:
    """Takes a hook away: by `remove()`, or at the end of a `with` block.

    >>> handle = Handle(lambda: print("gone"))
    >>> handle.remove()
    gone
    >>> handle.remove()
    """

    __slots__ = ("_undo",)

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo: Callable[[], None] | None = undo

    def remove(self) -> None:
        """Take the hook away. Does nothing the second time."""
        undo, self._undo = self._undo, None
        if undo is not None:
            undo()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()
