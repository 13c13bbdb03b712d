"""C functions with an effect, which compiled programs call where an op says that they do what its forward does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple

from tapenet.program.called_ops import Hole
from tapenet.program.ir import Instruction


class Word(NamedTuple):
    """A number that is given to a C function.

    Attributes:
        bits: how wide it is, 32 or 64 (pointers too).
        value: it.
    """

    bits: int
    value: int


class Where(Enum):
    """A pointer that is given to a C function: to what an op is given, or to what it gives."""

    ARGUMENT = 0
    RESULT = 1


class CCall(NamedTuple):
    """A call of a C function.

    Attributes:
        name: the function's.
        address: where it is. It returns an int, 0 for success, and needs no interpreter.
        arguments: what it is given.
    """

    name: str
    address: int
    arguments: Sequence[Word | Where]


class CEffect(NamedTuple):
    """What C functions do for a call of an op of one argument. Unless they are given `Where.ARGUMENT` they go on in the memory
    of the argument, which becomes the result, of the same shape and dtype.

    Attributes:
        calls: in order, until one fails.
        waits: None for functions that work on the array from now on, also after they have returned. Else they wait until the
            result is there: the address of two numbers, and a label. With each call 1 is added to the first; the second is the
            label as long as it waits, then 0.
        error: what is said where one fails.
        failed: called where the program ends by an error: what was begun may not yet have ended. It may raise a better one.
        keeps: what must stay in memory.
        divisor: what the result is divided by at the end.
    """

    calls: Sequence[CCall]
    waits: tuple[int, int] | None
    error: str
    failed: Callable[[], object]
    keeps: object
    divisor: int = 1

    @property
    def name(self) -> str:
        """Of what is called."""
        return self.calls[-1].name

    @property
    def given(self) -> list[Word | Where]:
        """The arguments of all calls."""
        return [a for call in self.calls for a in call.arguments]

    @property
    def goes_on(self) -> bool:
        """Whether the result is in the memory of the argument."""
        return Where.ARGUMENT not in self.given

    @property
    def words(self) -> list[int]:
        """All that differs from process to process, which code reads in memory."""
        given = [a.value for a in self.given if isinstance(a, Word)]
        return given if self.waits is None else [*given, *self.waits]


def effect_of(instruction: Instruction) -> CEffect | None:
    """What C functions do for a call of an op, if there is that. Its forward has it, or a function that makes it of the
    argument's shape and dtype and the options."""
    if instruction.name != "call" or len(instruction.args) != 1 or len(instruction.results) != 1:
        return None
    found = getattr(getattr(instruction.params["op"], "forward", None), "c_effect", None)
    if callable(found):
        options = {name: given for name, given in instruction.params["template"].items() if not isinstance(given, Hole)}
        found = found(instruction.args[0].shape, instruction.args[0].dtype, **options)
    return found if isinstance(found, CEffect) else None
