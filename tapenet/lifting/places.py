"""What a body changes that has no name of its own: what is in lists, in dicts and in attributes of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, cast

from tapenet.lifting.variables import UNBOUND
from tapenet.lifting.watching import Change


class Variables(Protocol):
    """Variables, as `State` has them."""

    @property
    def names(self) -> tuple[str, ...]: ...
    def get(self) -> tuple[object, ...]: ...
    def set(self, values: Sequence[object]) -> None: ...


class Places:
    """Variables, and places in containers that are changed as they are.

    Attributes:
        lists: those that grow at each turn, by `id`.
    """

    def __init__(self, state: Variables) -> None:
        self._state = state
        self._places: list[tuple[dict[object, object] | list[object], object]] = []
        self.lists: dict[int, list[object]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return (*self._state.names, *(f"[{key!r}]" for _, key in self._places))

    def get(self) -> tuple[object, ...]:
        found = [
            place.get(key, UNBOUND) if isinstance(place, dict) else place[cast("int", key)]
            for place, key in self._places
        ]
        return (*self._state.get(), *found)

    def set(self, values: Sequence[object]) -> None:
        count = len(self._state.names)
        self._state.set(values[:count])
        for (place, key), value in zip(self._places, values[count:], strict=True):
            if isinstance(place, list):
                place[cast("int", key)] = value
            elif value is not UNBOUND:
                place[key] = value
            else:
                place.pop(key, None)

    def take_in(self, change: Change, grows: bool) -> bool:
        """Take in what was changed of a container; gives whether that can be done.

        Args:
            grows: whether a list may have become longer.
        """
        container, before, after = change
        if isinstance(container, dict) and isinstance(before, dict) and isinstance(after, dict):
            keys = [key for key in {**before, **after} if before.get(key, UNBOUND) is not after.get(key, UNBOUND)]
            self._places += [(container, key) for key in keys]
            return bool(keys)
        if not isinstance(container, list) or not isinstance(before, list) or not isinstance(after, list):
            return False
        if len(after) == len(before):
            self._places += [(container, k) for k, value in enumerate(before) if after[k] is not value]
            return True
        if not grows or len(after) < len(before) or any(a is not b for a, b in zip(before, after, strict=False)):
            return False
        self.lists[id(container)] = container
        return True
