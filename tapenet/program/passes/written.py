"""What is read of an array where it was just written is what was written, and what is written over need not be written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tapenet.program.called_ops import Hole
from tapenet.program.ir import Answer, Builder, Instruction, Program, Value, rewrite
from tapenet.program.passes.patterns import made_by


class Where(NamedTuple):
    """A place in an array: an index with an entry for each axis, and the numbers that it has holes for."""

    template: tuple[object, ...]
    numbers: tuple[Value, ...]


def run(program: Program) -> Program:
    """Look for reads and writes at one place, by single numbers."""
    if "put" not in program.names:
        return program
    uses = program.uses()

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        write = made_by(args[0], "put") if instruction.name in ("index", "take", "put") else None
        if write is None or _where(instruction, args) != _where(write, write.args):
            return None
        base, value, *_ = write.args
        (result,) = instruction.results
        if instruction.name == "put":  # where others read what it writes over, it is there in any case
            alone = uses[instruction.args[0]] == 1
            return builder.emit("put", base, *args[1:], **instruction.params) if alone else None
        fits = value.dtype == result.dtype and value.ndim <= result.ndim
        return builder.broadcast(value, result.shape) if fits else None

    return rewrite(program, change)


def _where(instruction: Instruction, args: Sequence[Value]) -> Where | Instruction:
    """The place that is read or written; the instruction itself where it is none that can be compared."""
    numbers = tuple(args[2 if instruction.name == "put" else 1 :])
    if any(v.shape for v in numbers):
        return instruction
    if instruction.name == "take":
        template: tuple[object, ...] = (*(slice(None),) * instruction.params["axis"], Hole(0))
    else:
        template = tuple(instruction.params["template"])
    if None in template or Ellipsis in template:
        return instruction
    return Where((*template, *(slice(None),) * (args[0].ndim - len(template))), numbers)


__all__ = ["run"]
