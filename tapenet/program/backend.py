"""What a backend is: a module with a function `build`, which makes a `Runner` of a program."""

from __future__ import annotations

from collections.abc import Callable
from types import NotImplementedType
from typing import Protocol

from tapenet.program.groups import Groups
from tapenet.typing import Array


class Runner(Protocol):
    """A program that can be called, with arrays of the shapes and dtypes of its inputs."""

    @property
    def call(self) -> Callable[..., tuple[Array, ...] | NotImplementedType]:
        """Gives a tuple of new arrays, after what the program writes has been written."""

    @property
    def checks(self) -> bool:
        """Whether `call` looks at its arguments: it returns NotImplemented for arrays that it does not take, having done
        nothing."""

    def refresh(self) -> bool:
        """Look up the memory of all references anew. False if its layout has changed: then the program must not be run."""

    def groups(self) -> Groups:
        """What runs in one go."""

    def report(self, full: bool = True) -> str:
        """What was made of the program, in words and, in full, as code."""
