"""The base of containers that hold entries by name."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Generic, TypeVar

from tapenet.nn.module import Module

V = TypeVar("V")


class NamedEntries(Module, Generic[V]):
    """A module whose attributes are read as a dict."""

    def _entries(self) -> dict[str, V]:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self._entries())

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries())

    def __contains__(self, name: object) -> bool:
        return name in self._entries()

    def __getitem__(self, name: str) -> V:
        return self._entries()[name]

    def __delitem__(self, name: str) -> None:
        self.pop(name)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._entries().keys()

    def values(self) -> ValuesView[V]:
        """What is held."""
        return self._entries().values()

    def items(self) -> ItemsView[str, V]:
        """The names with what is held under them."""
        return self._entries().items()

    def pop(self, name: str) -> V:
        """Take an entry out and return it."""
        value = self._entries()[name]
        delattr(self, name)
        return value

    def clear(self) -> None:
        """Take all entries out."""
        for name in self._entries():
            delattr(self, name)
