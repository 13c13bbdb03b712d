"""Which arrays from outside a captured step has written, and whether an array shows the memory of one.

A program has no memory: a view is a value like any other. In the step itself a view of a parameter shows what an optimizer
writes there later, so what is read of it after the write has to be computed again.
"""

from __future__ import annotations

from typing import Any

from tapenet.autodiff.observe.mutation import share
from tapenet.typing import Array


class Stores:
    """The arrays that have been written, and when.

    Attributes:
        now: how many writes there were.
    """

    def __init__(self) -> None:
        self.now = 0
        #: By what their memory belongs to: parameters often lie in one piece.
        self._written: dict[int, dict[int, tuple[Array, int]]] = {}

    def write(self, array: Array) -> None:
        """Note a write."""
        self.now += 1
        self._written.setdefault(id(_owner(array)), {})[id(array)] = array, self.now

    def changed(self, array: Array, since: int) -> bool:
        """Whether an array shows memory that was written later than `since`."""
        written = self._written.get(id(_owner(array)))
        if written is None:
            return False
        found = written.get(id(array))
        if found is not None:
            return found[1] > since
        return any(when > since and share(array, other, 1000) for other, when in written.values())


def _owner(array: Any) -> Any:
    """What the memory of an array belongs to; it lives as long as the array does."""
    while (base := getattr(array, "base", None)) is not None:
        array = base
    return array
