"""What a backend is: a module with a function `build`, which makes a `Runner` of a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NotImplementedType
from typing import NamedTuple, Protocol

from tapenet.program.groups import Groups
from tapenet.program.ir import Reference
from tapenet.typing import Array


class Inline(NamedTuple):
    """The Python of a program, to be a part of what calls it: a call in between costs a tenth of a small op.

    Attributes:
        inputs, outputs: what its arguments and results are called there.
        lines: the statements.
        space: what else they name, by names that begin with a capital letter or are words.
        note: tells in an error of the statement at a position which line of the user's code it comes from.
    """

    inputs: Sequence[str]
    outputs: Sequence[str]
    lines: Sequence[str]
    space: Mapping[str, object]
    note: Callable[[BaseException, int], None]


class Runner(Protocol):
    """A program that can be called, with arrays of the shapes and dtypes of its inputs."""

    @property
    def call(self) -> Callable[..., tuple[Array, ...] | NotImplementedType]:
        """Gives a tuple of new arrays, after what the program writes has been written."""

    @property
    def inline(self) -> Inline | None:
        """The same as text, where that is short and all there is."""

    @property
    def checks(self) -> bool:
        """Whether `call` looks at its arguments: it returns NotImplemented for arrays that it does not take, having done
        nothing."""

    @property
    def recent(self) -> Sequence[Callable[..., tuple[Array, ...] | NotImplementedType]]:
        """Where it checks: what ran last and is to be tried first, alone: `call`, or code for arguments that lie otherwise."""

    @property
    def otherwise(self) -> Callable[..., tuple[Array, ...] | None] | None:
        """Where it checks: gives the same for arguments that `recent` refused; None where another program is for them."""

    @property
    def references(self) -> Sequence[Reference]:
        """The tensors from outside that the program reads or writes."""

    @property
    def written(self) -> Sequence[Reference]:
        """Those that it writes."""

    def refresh(self) -> bool:
        """Look up the memory of all references anew. False if its layout has changed: then the program must not be run."""

    def groups(self) -> Groups:
        """What runs in one go."""

    def report(self, full: bool = True) -> str:
        """What was made of the program, in words and, in full, as code."""
