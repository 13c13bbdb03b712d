"""What a backend made of a program, as data: which instructions run in one go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tapenet.compiler.ir import Instruction, Program


class Group(NamedTuple):
    """Instructions that run in one go.

    Attributes:
        instructions: in an order in which they can run.
        fused: whether all of them work on an element, or a block, before the next: only what others need is in memory.
        how: how they run, in words; "" where there is nothing to say.
    """

    instructions: tuple[Instruction, ...]
    fused: bool
    how: str


class Groups(NamedTuple):
    """A program as its backend runs it.

    Attributes:
        program: with the copies that the backend adds.
        groups: its instructions in the order in which they run; views that cost nothing are in none.
        bodies: of each loop and branch that runs this way too: those of its bodies. The native body of a loop writes
            what is carried to the inputs it came from, and gives only the other results.
    """

    program: Program
    groups: tuple[Group, ...]
    bodies: Mapping[Instruction, tuple[Groups, ...]]


def single(program: Program) -> Groups:
    """A program of which no backend made anything: each instruction by itself."""
    return Groups(program, tuple(Group((i,), False, "") for i in program.body), {})


__all__ = ["Group", "Groups", "single"]
