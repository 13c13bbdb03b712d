"""The variables of a lifted function that a loop or branch changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Final


class Unbound:
    """What a variable holds that has no value yet."""

    def __repr__(self) -> str:
        return "<not assigned>"


UNBOUND: Final = Unbound()


class State:
    """The variables of a function that a loop or branch in it binds, and that are read behind it, in a later turn of the
    loop or in the other branch.

    Attributes:
        names: what they are called in the program.
        after: those that are read behind the loop or branch.
    """

    def __init__(
        self, reader: Callable[[], object], after: Sequence[str] = (), global_names: Sequence[str] = ()
    ) -> None:
        """
        Args:
            reader: a closure over the variables; it is not called.
            after: those that are read behind the loop or branch.
            global_names: variables of its module.
        """
        assert isinstance(reader, FunctionType)
        self.names = (*reader.__code__.co_freevars, *global_names)
        self.after = frozenset(after)
        self._cells = reader.__closure__ or ()
        self._global_names = global_names
        self._globals = reader.__globals__

    def get(self) -> tuple[object, ...]:
        """The values, `UNBOUND` for variables without one."""
        found: list[object] = []
        for cell in self._cells:
            try:
                found.append(cell.cell_contents)
            except ValueError:
                found.append(UNBOUND)
        return (*found, *(self._globals.get(name, UNBOUND) for name in self._global_names))

    def set(self, values: Sequence[object]) -> None:
        """Give the variables these values, or none where it is `UNBOUND`."""
        for cell, value in zip(self._cells, values, strict=False):
            if value is not UNBOUND:
                cell.cell_contents = value
            else:
                del cell.cell_contents
        for name, value in zip(self._global_names, values[len(self._cells) :], strict=True):
            if value is not UNBOUND:
                self._globals[name] = value
            else:
                self._globals.pop(name, None)
