"""Checks that stay where nobody uses what they check: a gradient without its loss raises what the loss would."""

from __future__ import annotations

from collections.abc import Collection

from tapenet.program.index_errors import BY_ARRAYS, indices
from tapenet.program.ir import Builder, Constant, Instruction, Program, Result, Value
from tapenet.program.primitives import out_of_bounds


def kept(program: Program, known: Collection[Value] = ()) -> Program:
    """The program, with a check beside each instruction whose results nobody uses: whether its index is out of bounds, or its
    value is refused.

    Args:
        program: as it was captured. Of what passes make of it nothing need be asked.
        known: inputs that are the same at each call.
    """
    if program.names.isdisjoint(_MAY_RAISE):
        return program
    # What has no elements is made of nothing: passes drop what it was taken of.
    live = {v for v in (*program.outputs, *(w.value for w in program.writes)) if v.size}
    asked: set[tuple[Value, int]] = set()
    body: list[Instruction] = []
    for instruction in reversed(program.body):
        checks: list[Instruction] = []
        if live.isdisjoint(instruction.results) and not instruction.must_run:
            checks = _checks(instruction, asked, known)
        else:
            live.update(a for a in instruction.args if a.size)
        asked.update(_indices(instruction))
        live.update(a for check in checks for a in check.args)
        body += [*reversed(checks), instruction]
    if len(body) == len(program.body):
        return program
    return Program(program.inputs, program.hosts, reversed(body), program.outputs, program.writes)


def _checks(
    instruction: Instruction, asked: Collection[tuple[Value, int]], known: Collection[Value]
) -> list[Instruction]:
    """Instructions that raise where this one would, but for indices that are checked (`asked`) already."""
    builder = Builder()
    builder.line = instruction.line
    if instruction.name == "provided":
        wrong = instruction.args[1]
        builder.emit("provided", wrong, wrong, **instruction.params, always=True)
    for index, length in dict.fromkeys(_indices(instruction)):
        if (index, length) in asked or not _varies(index, length, known):
            continue
        below = builder.elementwise("less", index, -length)
        wrong = builder.elementwise("logical_or", below, builder.elementwise("greater_equal", index, length))
        if wrong.ndim:
            wrong = builder.emit("reduce_logical_or", wrong, axes=tuple(range(wrong.ndim)))
        text = out_of_bounds(instruction.line)
        builder.emit("provided", wrong, wrong, error=IndexError, text=text, always=True)
    return builder.body


#: Primitives that may raise where nobody uses what they give.
_MAY_RAISE = frozenset({"provided", "take", *BY_ARRAYS})


def _indices(instruction: Instruction) -> list[tuple[Value, int]]:
    """The arrays that an instruction indexes by, with the lengths of the axes."""
    return [(index.value, index.length) for index in indices(instruction)]


#: Primitives that give places along an axis.
_PLACES = frozenset({"argmax", "argmin", "argsort"})


def _varies(index: Value, length: int, known: Collection[Value]) -> bool:
    """Whether an index along an axis so long may be out of bounds at one call and not at another."""
    seen = [index]
    met = set(seen)
    as_found = True  # nothing has been computed of what is walked over
    for value in seen:  # grows while it is walked over
        if not isinstance(value, Result):
            if not isinstance(value, Constant) and value not in known:
                return True
            continue
        made = value.instruction
        if made.kind in ("call", "control"):
            return True
        if as_found and made.name in _PLACES and made.args[0].shape[made.params["axis"]] <= length:
            continue
        as_found = as_found and made.kind == "view"
        new = [a for a in made.args if a not in met]
        met.update(new)
        seen += new
    return False
