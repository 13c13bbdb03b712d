"""C functions with an effect, which compiled programs call where an op says that they do what its forward does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from tapenet.program.ir import Instruction


class Word(NamedTuple):
    """A number that is given to a C function.

    Attributes:
        bits: how wide it is, 32 or 64 (pointers too).
        value: it.
    """

    bits: int
    value: int


class CEffect(NamedTuple):
    """A C function that goes on in the memory of an op's one argument, which becomes its result, of the same shape and dtype.

    Attributes:
        name: the function's.
        address: where it is. It returns an int, 0 for success, and needs no interpreter.
        arguments: what it is given; None stands for the pointer to the array.
        waits: None for a function that works on the array from now on, also after it has returned. Else it waits until the
            array is there: the address of two numbers, and a label. 1 is added to the first; the second is the label as long as
            it waits, then 0.
        error: what is said where it fails.
        failed: called where the program ends by an error, with what the function began not yet ended.
        keeps: what must stay in memory.
    """

    name: str
    address: int
    arguments: Sequence[Word | None]
    waits: tuple[int, int] | None
    error: str
    failed: Callable[[], object]
    keeps: object

    @property
    def words(self) -> list[int]:
        """All that differs from process to process, which code reads in memory."""
        given = [a.value for a in self.arguments if a is not None]
        return given if self.waits is None else [*given, *self.waits]


def effect_of(instruction: Instruction) -> CEffect | None:
    """The C function that does what a call of an op does, if there is one that fits."""
    if instruction.name != "call" or len(instruction.args) != 1 or len(instruction.results) != 1:
        return None
    found = getattr(getattr(instruction.params["op"], "forward", None), "c_effect", None)
    return found if isinstance(found, CEffect) else None
