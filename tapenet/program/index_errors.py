"""Which index of a program is out of bounds. Native code finds that one is, and does not say which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from tapenet.program.called_ops import Hole
from tapenet.program.ir import Constant, Instruction, Program, Reference, Value
from tapenet.program.primitives import PRIMITIVES
from tapenet.typing import Array

#: Primitives that index by arrays, and the position of the first of these among the arguments.
BY_ARRAYS = {"index": 1, "put": 2, "scatter_add": 1, "add_at": 2}
#: What an index is that must not be negative, but is (`tapenet.ops.indexing.items.nonnegative`).
_NEGATIVE = np.iinfo(np.int64).max


class Index(NamedTuple):
    """An array that an instruction indexes by, and the axis that it leads along."""

    value: Value
    axis: int
    length: int


class Wrong(NamedTuple):
    """An instruction that fails, and why."""

    instruction: Instruction
    text: str


def indices(instruction: Instruction) -> Iterator[Index]:
    """The arrays that an instruction indexes by."""
    args, params = instruction.args, instruction.params
    if instruction.name == "take":
        axis = params["axis"]
        yield Index(args[1], axis, args[0].shape[axis])
    elif instruction.name == "add_rows":
        yield Index(args[2], 0, args[0].shape[0])
    elif instruction.name in BY_ARRAYS:
        first, shape, axis = BY_ARRAYS[instruction.name], params.get("shape", args[0].shape), 0
        for part in params["template"]:
            if isinstance(part, Hole):
                yield Index(args[first + part.position], axis, shape[axis])
            axis += part is not None


def first_wrong(program: Program, given: Mapping[Value, Array]) -> Wrong | None:
    """The first instruction of a program whose index is out of bounds: what indices are made of is computed once more. None
    if that cannot be, or changes something: they are in a loop or a branch, or come from one, from random numbers, from Python,
    from what the program writes.

    Args:
        program: one that failed.
        given: its arguments, and what the host has computed.
    """
    written = [write.target.tensor._data for write in program.writes]  # it may have been before the program failed
    needed = {index.value for instruction in program.body for index in indices(instruction)}
    for instruction in reversed(program.body):
        if not needed.isdisjoint(instruction.results):
            needed.update(instruction.args)
    known = dict(given)

    def array(value: Value) -> Array | None:
        if isinstance(value, Constant):
            return value.array
        if not isinstance(value, Reference):
            return known.get(value)
        found: Array = value.tensor._data
        return None if any(np.may_share_memory(found, other) for other in written) else found

    with np.errstate(all="ignore"):
        for instruction in program.body:
            for value, axis, length in indices(instruction):
                index = array(value)
                if index is None:
                    continue
                outside = index[(index < -length) | (index >= length)]
                if outside.size:
                    return Wrong(instruction, _words(instruction, int(outside.flat[0]), axis, length))
            if needed.isdisjoint(instruction.results) or instruction.kind in ("call", "control") or instruction.effect:
                continue
            args = [a for a in map(array, instruction.args) if a is not None]
            if len(args) < len(instruction.args):
                continue
            try:
                results = PRIMITIVES[instruction.name].evaluate(*args, **instruction.params)
            except Exception:  # of any kind: it is not what is looked for
                continue
            several = results if isinstance(results, tuple) else (results,)
            known.update(zip(instruction.results, map(np.asarray, several), strict=True))
    return None


def _words(instruction: Instruction, index: int, axis: int, length: int) -> str:
    which = f"index {index}" if index != _NEGATIVE else "a negative index, which does not count from the end here,"
    return f"{instruction.name}: {which} is out of bounds for axis {axis} with size {length}"
