"""Functions of the user's that a module or an optimizer calls at certain times."""

from __future__ import annotations

from typing import Generic, TypeVar

from tapenet.autodiff.node import next_number
from tapenet.autodiff.observe.epoch import bump
from tapenet.ops.hook_handle import Handle

H = TypeVar("H")


class HookTable(Generic[H]):
    """Hooks by kind, in the order in which they are called."""

    __slots__ = ("_by_kind",)

    def __init__(self) -> None:
        self._by_kind: dict[str, dict[int, H]] = {}

    def __bool__(self) -> bool:
        return any(self._by_kind.values())

    def add(self, kind: str, hook: H, first: bool = False) -> Handle:
        """Add a hook behind those of its kind, or before them; returns the handle that removes it."""
        key = next_number()
        hooks = self._by_kind.get(kind, {})
        self._by_kind[kind] = {key: hook, **hooks} if first else {**hooks, key: hook}
        bump()  # a program that was captured without it does not call it

        def remove() -> None:
            self._by_kind[kind] = {k: h for k, h in self._by_kind[kind].items() if k != key}
            bump()

        return Handle(remove)

    def of(self, kind: str) -> list[H]:
        """The hooks of a kind, in the order in which they are called."""
        return list(self._by_kind.get(kind, {}).values())
