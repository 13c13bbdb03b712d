"""Arrays that are put together of parts: a part of one is what it was made of, and parts written one after another, or
added to zeros, are joined at once.

The gradient by an array that is read in parts is made by adding to parts of zeros, `update(g, slice(g) + d)`. Where a part
is small it is written to its place; a large one is added up with all others, element by element, in one pass.

Of the sign of zeros this pass takes no care: 0.0 + x is x.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from tapenet.program.ir import Builder, Constant, Instruction, Program, Result, Value, rewrite
from tapenet.program.passes.patterns import made_by, number
from tapenet.program.passes.views import Slice, normal
from tapenet.typing import Shape

Slices = tuple[Slice, ...]

#: A part is large if all that it is added to is at most so many times as large.
LARGE = 4


class Part(NamedTuple):
    """A run of places along an axis, and what is there."""

    axis: int
    first: int
    end: int
    value: Value


def run(program: Program) -> Program:
    """Read parts of what was put together where they were, and put together at once."""
    if program.names.isdisjoint(("update", "concatenate")):
        return program
    return _all_read(_all_written(program))


def _all_written(program: Program) -> Program:
    """Before anything is read elsewhere: what is added to a part is told by the slice of it."""
    uses = program.uses()
    #: What another update writes on to, and nothing else reads.
    continued = {i.args[0] for i in program.body if i.name == "update" and uses[i.args[0]] == 1}

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        if instruction.name == "add":
            return _summed(builder, *args)
        base, value = args
        slices = instruction.params["slices"]
        if over := _overwritten(base, slices):
            return builder.emit("update", over, value, slices=slices)
        found = _accumulated(builder, base, value, slices)
        if found is None and instruction.results[0] not in continued:
            found = _chained(builder, base, value, slices, uses)
        return found

    return rewrite(program, change, ("add", "update"), uses)


def _all_read(program: Program) -> Program:
    uses = program.uses()

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        return _read(builder, args[0], instruction.params["slices"], uses)

    return rewrite(program, change, ("slice",), uses)


# -- reading -----------------------------------------------------------------------------------------------------


def _read(builder: Builder, x: Value, slices: Slices, uses: Mapping[Value, int]) -> Value | None:
    """A slice of what was put together, as one of what it was made of."""
    begin = x
    wanted = [range(*s) for s in slices]
    if not all(wanted):
        return None
    alone = True  # whether nobody else needs any of it
    while True:
        alone = alone and uses.get(x) == 1
        if update := made_by(x, "update"):
            base, value = update.args
            there = [range(*s) for s in update.params["slices"]]
            if any(map(_apart, wanted, there)):
                x = base
                continue
            if all(map(_inside, wanted, there)):
                wanted = [_within(w, t) for w, t in zip(wanted, there, strict=True)]
                x = value
                continue
            if padded := _of_padded(builder, update, wanted):
                return padded
        elif joined := made_by(x, "concatenate"):
            axis = joined.params["axis"]
            hit = [p for p in _parts(joined) if not _apart(wanted[axis], range(p.first, p.end))]
            if len(hit) == 1:
                wanted[axis] = _within(wanted[axis], range(hit[0].first, hit[0].end))
                x = hit[0].value
                continue
            if wanted[axis].step == 1 and uses.get(x) == 1:
                values = []
                for p in hit:
                    part = range(max(wanted[axis][0], p.first) - p.first, min(wanted[axis][-1] + 1, p.end) - p.first)
                    values.append(_slice(builder, p.value, [*wanted[:axis], part, *wanted[axis + 1 :]]))
                return builder.emit("concatenate", *values, axis=axis)
        elif isinstance(x, Result) and x.instruction.kind == "elementwise" and alone:
            return _of_elements(builder, x.instruction, wanted)
        break
    return None if x is begin else _slice(builder, x, wanted)


def _slice(builder: Builder, x: Value, wanted: Iterable[range]) -> Value:
    wanted = list(wanted)
    if wanted == [range(n) for n in x.shape]:
        return x
    known = number(x)
    if known is not None:
        return builder.broadcast(Constant(known), tuple(map(len, wanted)))
    return builder.emit("slice", x, slices=tuple(map(normal, wanted)))


def _parts(joined: Instruction) -> list[Part]:
    found, axis, first = [], joined.params["axis"], 0
    for arg in joined.args:
        found.append(Part(axis, first, first + arg.shape[axis], arg))
        first += arg.shape[axis]
    return found


def _apart(a: range, b: range) -> bool:
    """Whether two ranges have no place in common, as far as their ends tell, or the steps of two that have one step."""
    if not a or not b:
        return True
    if max(a[0], a[-1]) < min(b[0], b[-1]) or max(b[0], b[-1]) < min(a[0], a[-1]):
        return True
    return a.step == b.step and (a[0] - b[0]) % a.step != 0


def _inside(a: range, b: range) -> bool:
    """Whether all of one range is in another that is the same or has a step of 1."""
    return a == b or not a or (b.step == 1 and min(a[0], a[-1]) >= b[0] and max(a[0], a[-1]) <= b[-1])


def _within(a: range, b: range) -> range:
    """The places in a range that is inside another, from the beginning of that."""
    return range(len(b)) if a == b else range(a.start - b.start, a.stop - b.start, a.step)


def _of_padded(builder: Builder, update: Instruction, wanted: list[range]) -> Value | None:
    """A run of places of an array with one number around it, as such an array."""
    base, value = update.args
    known, slices = number(base), update.params["slices"]
    if known is None or any(r.step != 1 for r in wanted) or any(step != 1 for _, _, step in slices):
        return None
    there = [range(max(w[0], first), min(w[-1] + 1, end)) for w, (first, end, _) in zip(wanted, slices, strict=True)]
    inside = [range(t.start - first, t.stop - first) for t, (first, _, _) in zip(there, slices, strict=True)]
    around = builder.broadcast(Constant(known), tuple(map(len, wanted)))
    put = tuple((t.start - w[0], t.stop - w[0], 1) for t, w in zip(there, wanted, strict=True))
    return builder.emit("update", around, _slice(builder, value, inside), slices=put)


def _of_elements(builder: Builder, instruction: Instruction, wanted: list[range]) -> Value:
    """A part of what is computed element by element, as computed from parts."""
    args = []
    for arg in instruction.args:
        ours = wanted[len(wanted) - arg.ndim :]
        args.append(_slice(builder, arg, [range(1) if n == 1 else w for n, w in zip(arg.shape, ours, strict=True)]))
    made = builder.emit(instruction.name, *args, **instruction.params)
    return builder.broadcast(made, tuple(map(len, wanted)))


# -- writing -----------------------------------------------------------------------------------------------------


def _overwritten(base: Value, slices: Slices) -> Value | None:
    """What is left of a base that was written to, where all that was written is written over."""
    update = made_by(base, "update")
    over = [range(*s) for s in slices]
    if update and all(over) and all(map(_inside, (range(*s) for s in update.params["slices"]), over)):
        return update.args[0]
    return None


def _accumulated(builder: Builder, base: Value, value: Value, slices: Slices) -> Value | None:
    """What is added to a part: of zeros, what is there then; of others, a sum of all elements where the part is large."""
    inner = _behind(value)
    if not (total := made_by(inner, "add")):
        return None
    for before, more in (total.args, total.args[::-1]):
        if more.shape != inner.shape:
            continue
        if _is_zero(before):
            return builder.emit("update", base, builder.reshape(more, value.shape), slices=slices)
        read = made_by(_behind(before), "slice")
        large = LARGE * more.size >= base.size or _is_sum(base)
        if large and read and read.args[0] is base and read.params["slices"] == slices:
            zeros = builder.broadcast(Constant(base.dtype.type(0)), base.shape)
            part = builder.emit("update", zeros, builder.reshape(more, value.shape), slices=slices)
            return builder.emit("add", base, part)
    return None


def _is_sum(value: Value) -> bool:
    """Whether a value is a large part of zeros, or something and that."""
    if total := made_by(value, "add"):
        return _is_sum(total.args[1])
    update = made_by(value, "update")
    return update is not None and _is_zero(update.args[0]) and LARGE * update.args[1].size >= value.size


def _behind(value: Value) -> Value:
    """What a value is, perhaps in another shape."""
    reshape = made_by(value, "reshape")
    return value if reshape is None else reshape.args[0]


def _is_zero(value: Value) -> bool:
    return number(value) == 0


def _run(shape: Shape, slices: Slices, value: Value) -> Part | None:
    """What is written to a run of places along one axis, if that is all that is written."""
    cut = [i for i, (s, n) in enumerate(zip(slices, shape, strict=True)) if s != (0, n, 1)]
    if len(cut) != 1 or slices[cut[0]][2] != 1:
        return None
    first, end, _ = slices[cut[0]]
    return Part(cut[0], first, end, value)


def _chained(builder: Builder, base: Value, value: Value, slices: Slices, uses: Mapping[Value, int]) -> Value | None:
    """Parts written one after another, none over another, as one array: if they are all of it, or the rest is known."""
    shape = base.shape
    parts = [_run(shape, slices, value)]
    while parts[-1] is not None and uses.get(base) == 1 and (update := made_by(base, "update")):
        base, value = update.args
        parts.append(_run(shape, update.params["slices"], value))
    found = [p for p in parts if p is not None]
    if len(found) < len(parts) or len(found) < 2:
        return None
    return _joined(builder, base if number(base) is not None else None, shape, found)


def _joined(builder: Builder, base: Value | None, shape: Shape, parts: list[Part]) -> Value | None:
    """Parts along one axis, and between them those of a base, if there is one; None if they do not fit."""
    axis = parts[0].axis
    parts = sorted(parts, key=lambda p: p.first)
    values, at = [], 0
    for part in (*parts, None):
        first = shape[axis] if part is None else part.first
        if first < at or (first > at and base is None) or (part is not None and part.axis != axis):
            return None
        if first > at:
            known = number(base) if base is not None else None
            assert known is not None
            values.append(builder.broadcast(Constant(known), (*shape[:axis], first - at, *shape[axis + 1 :])))
        if part is not None:
            values.append(part.value)
            at = part.end
    return builder.emit("concatenate", *values, axis=axis)


def _summed(builder: Builder, x: Value, y: Value) -> Value | None:
    """A sum of parts of zeros that are all of an array, none of them where another is."""
    if x.shape != y.shape:
        return None
    parts = []
    for value in (x, y):
        update = made_by(value, "update")
        part = _run(value.shape, update.params["slices"], update.args[1]) if update else None
        if update is None or part is None or not _is_zero(update.args[0]):
            return None
        parts.append(part)
    return _joined(builder, None, x.shape, parts)


__all__ = ["run"]
