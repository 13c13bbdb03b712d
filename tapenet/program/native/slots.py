"""What is only computed to be joined is computed where it is joined to: into a slot of the result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tapenet.program.fusion import Entry, Kernel, source
from tapenet.program.ir import Instruction, Program, Result, Value
from tapenet.program.layout import Layouts, Place, Strides


def find(program: Program, entries: Iterable[Entry], layouts: Layouts) -> dict[Value, Value]:
    """The results of kernels that have a slot in what is joined of them, with that; they are given their places there."""
    made: dict[Instruction, Kernel] = {}
    users: dict[Instruction, list[Entry]] = {}
    kept = {source(value) for value in program.roots()}
    written = {source(write.value) for write in program.writes}
    found: dict[Value, Value] = {}
    for entry in entries:
        for member in entry.members if isinstance(entry, Kernel) else [entry]:
            for arg in member.args:
                maker = source(arg)
                if maker is not None and made.get(maker) is not entry:
                    users.setdefault(maker, []).append(entry)
            if isinstance(entry, Kernel):
                made[member] = entry
    for entry in entries:
        if isinstance(entry, Kernel) or entry.name != "concatenate" or entry in written:
            continue
        (whole,) = entry.results
        for (offset, strides), arg in zip(_slots(entry, layouts), entry.args, strict=True):
            maker = source(arg)
            if maker not in made or maker in kept or users[maker] != [entry] or maker.kind == "reduction":
                continue
            if maker in made[maker].rows:
                continue
            (result,) = maker.results
            if chain := _chain(arg, result, strides):
                for value, steps in chain.items():
                    layouts.show(value, Place(whole, offset, steps))
                found[result] = whole
    return found


def _slots(joined: Instruction, layouts: Layouts) -> Iterable[tuple[int, Strides]]:
    """Where each part is in the whole, and its strides."""
    axis = joined.params["axis"]
    strides = layouts[joined.results[0]].strides
    first = 0
    for arg in joined.args:
        yield first * strides[axis], strides
        first += arg.shape[axis]


def _chain(arg: Value, result: Value, strides: Strides) -> Mapping[Value, Strides]:
    """A part and what it shows, with their strides in the slot; nothing where it shows more than another number of axes."""
    found = {arg: strides}
    if arg is result:
        return found
    if not isinstance(arg, Result) or arg.instruction.name != "reshape" or arg.instruction.args[0] is not result:
        return {}
    long = iter([s for n, s in zip(arg.shape, strides, strict=True) if n != 1])
    if [n for n in arg.shape if n != 1] != [n for n in result.shape if n != 1]:
        return {}
    return {**found, result: tuple(0 if n == 1 else next(long) for n in result.shape)}


__all__ = ["find"]
