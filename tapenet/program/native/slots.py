"""What is only computed to be joined, or given back in another order, is computed where it is to be: into a slot of that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tapenet.program.fusion import Entry, Kernel
from tapenet.program.ir import Instruction, Program, Result, Value
from tapenet.program.layout import Layouts, Place, Strides, c_strides
from tapenet.program.native.products import writes
from tapenet.typing import Shape


def find(program: Program, entries: Iterable[Entry], layouts: Layouts) -> dict[Value, Value]:
    """The results of kernels and products that have a slot in what is joined of them, or are shown by it (a transpose that is
    given back), with that; they are given their places there."""
    made: dict[Instruction, Entry] = {}
    users: dict[Instruction, list[Entry]] = {}
    kept = {value.source for value in program.roots()}
    written = {write.value.source for write in program.writes}
    found: dict[Value, Value] = {}
    entries = list(entries)
    for entry in entries:
        for member in entry.members if isinstance(entry, Kernel) else [entry]:
            for arg in member.args:
                maker = arg.source
                if maker is not None and made.get(maker) is not entry:
                    users.setdefault(maker, []).append(entry)
            made[member] = entry
    for entry in entries:
        joined = _joined(entry)
        if joined is None or joined in written or (joined.name == "copy" and joined.results[0] not in program.outputs):
            continue
        (whole,) = joined.results
        for offset, arg in zip(_offsets(joined, layouts), joined.args, strict=True):
            strides, reader = layouts[whole].strides, entry
            while (maker := arg.source) is not None:
                if maker in kept or users[maker] != [reader] or not _fits(made[maker], maker):
                    break
                (result,) = maker.results
                chain = _chain(arg, result, strides)
                if not chain or (maker.name == "dot" and not writes(maker, layouts, chain[result])):
                    break
                for value, steps in chain.items():
                    layouts.show(value, Place(whole, offset, steps))
                found[result] = whole
                # What is copied there, as a gradient in another order, is computed there if nothing else reads it.
                reader = made[maker]
                if maker.name != "copy" or _joined(reader) is not maker:
                    break
                (arg,), strides = maker.args, chain[result]
    return found


def empty(entry: Entry, layouts: Layouts) -> bool:
    """Whether all of what an entry joins, or copies, is there by then."""
    joined = _joined(entry)
    return joined is not None and all(layouts[arg].root is layouts[joined.results[0]].root for arg in joined.args)


def _joined(entry: Entry) -> Instruction | None:
    """What joins or copies, by itself."""
    if isinstance(entry, Kernel):
        return entry.members[0] if [m.name for m in entry.members] == ["copy"] else None
    return entry if entry.name == "concatenate" else None


def _fits(entry: Entry, maker: Instruction) -> bool:
    """Whether what an instruction gives may lie among others."""
    if isinstance(entry, Kernel):
        return maker.kind != "reduction" and maker not in entry.rows and len(maker.results) == 1
    return maker.name == "dot" and maker.results[0].ndim == 2 and 1 not in maker.results[0].shape


def _offsets(joined: Instruction, layouts: Layouts) -> Iterable[int]:
    """Where each part is in the whole."""
    axis = joined.params.get("axis", 0)
    strides = layouts[joined.results[0]].strides
    first = 0
    for arg in joined.args:
        yield first * strides[axis] if first else 0
        first += arg.shape[axis] if arg.ndim else 0


def _chain(arg: Value, result: Value, strides: Strides) -> Mapping[Value, Strides]:
    """A part and what it shows, with their strides in the slot; nothing where it shows more than other axes of length one, axes
    in another order, or all elements in a row."""
    found = {arg: strides}
    value = arg
    while value is not result and isinstance(value, Result):
        instruction = value.instruction
        (before,) = instruction.args
        if instruction.name == "transpose":
            axes = instruction.params["axes"]
            strides = tuple(strides[axes.index(i)] for i in range(before.ndim))
        elif instruction.name == "reshape" and value.ndim == 1:
            strides = tuple(s * strides[0] for s in c_strides(before.shape))
        elif instruction.name == "reshape" and _long(value.shape) == _long(before.shape):
            long = iter([s for n, s in zip(value.shape, strides, strict=True) if n != 1])
            strides = tuple(0 if n == 1 else next(long) for n in before.shape)
        else:
            return {}
        value = before
        found[value] = strides
    return found


def _long(shape: Shape) -> list[int]:
    return [n for n in shape if n != 1]


__all__ = ["empty", "find"]
