"""What running a native program takes to know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tapenet.program.ir import Host, Instruction, Reference, Value
from tapenet.program.layout import Strides

if TYPE_CHECKING:
    from tapenet.program.c_effects import CEffect
    from tapenet.program.fusion import Entry


class Call(NamedTuple):
    """An instruction that is run in Python."""

    instruction: Instruction


class Segment(NamedTuple):
    """Entries that run in one native function."""

    number: int
    entries: list[Entry]


@dataclass(eq=False)
class Outline:
    """See above.

    Attributes:
        inputs, outputs: its arguments and results.
        hosts: what the host computes, and whether it is read.
        references: the tensors that it reads or writes.
        written: those that it writes.
        table: the values that its memory's table has pointers to, in order (`memory.Memory`).
        strides: how these lie in memory, in elements.
        brought: what ops give.
        steps: native segments and calls of Python in order; of a program that was kept, segments have no entries.
        segments: those that do something, by name, and whether the interpreter's lock is released while they run.
        arena_bytes: the size of its scratch memory.
        alone: whether BLAS's own threads would be in the way.
        calls: whether Python runs besides native code.
        c_effects: what C functions do in it.
    """

    inputs: Sequence[Value]
    outputs: Sequence[Value]
    hosts: Sequence[tuple[Host, bool]]
    references: Sequence[Reference]
    written: Sequence[Reference]
    table: Sequence[Value]
    strides: Mapping[Value, Strides]
    brought: Sequence[Value]
    steps: Sequence[Segment | Call]
    segments: Mapping[str, bool]
    arena_bytes: int
    alone: bool
    calls: bool
    c_effects: Sequence[CEffect]
