"""The code of indexing by arrays: reading what they name, writing it, adding to it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.llvm.addresses import LINE
from tapenet.llvm.code import Access, Code, offset
from tapenet.llvm.emitter import llvm_type, load, store, supported
from tapenet.llvm.loops import fill, within
from tapenet.program.called_ops import Hole
from tapenet.program.fusion import aligned
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import c_strides
from tapenet.program.native import (
    pieces,
)
from tapenet.program.native.functions import Function
from tapenet.program.native.kernels import moving
from tapenet.program.native.moves import Mover
from tapenet.program.native.raising import STATUS
from tapenet.typing import Shape

_INTEGER, _BYTE = np.dtype(np.int64), np.dtype(np.int8)


class Located(NamedTuple):
    """What an index selects of an array.

    Attributes:
        holes: by axis, the number of the array that says where along it; None for a slice, or a place that is known.
        starts, steps: by axis, of a slice, or of a place that is known.
        kept: the axes of slices, with how many places each selects.
        before: how many of them are before the axes of the index arrays in what is selected.
    """

    holes: tuple[int | None, ...]
    starts: tuple[int, ...]
    steps: tuple[int, ...]
    kept: dict[int, int]
    before: int

    def shape(self, common: Shape) -> Shape:
        """That of what is selected, by index arrays of a common shape."""
        lengths = tuple(self.kept.values())
        return (*lengths[: self.before], *common, *lengths[self.before :])


def located(template: Sequence[object], shape: Shape) -> Located | None:
    """An index template of holes, slices and numbers, on an array of this shape; None if there is something else in it."""
    if len(template) > len(shape):
        return None
    holes: list[int | None] = []
    starts, steps, kept, places = [], [], {}, []
    for axis, (n, t) in enumerate(zip(shape, (*template, *[slice(None)] * (len(shape) - len(template))), strict=True)):
        start, step = 0, 1
        if isinstance(t, slice):
            start, stop, step = t.indices(n)
            kept[axis] = len(range(start, stop, step))
        elif isinstance(t, (Hole, int, np.integer)) and not isinstance(t, bool):
            places.append(axis)
            start = 0 if isinstance(t, Hole) else int(t) % n
        else:
            return None
        holes.append(t.position if isinstance(t, Hole) else None)
        starts.append(start)
        steps.append(step)
    together = places and places[-1] - places[0] == len(places) - 1
    before = sum(axis < places[0] for axis in kept) if together else 0
    return Located(tuple(holes), tuple(starts), tuple(steps), kept, before)


class Indexing(Mover):
    """What index arrays name: read, written or added to."""

    @classmethod
    def takes(cls, instruction: Instruction) -> bool:
        return instruction.name in ("take", "index", "put", "scatter_add", "add_at", "add_rows")

    @classmethod
    def supports(cls, instruction: Instruction) -> bool:
        name, (result,) = instruction.name, instruction.results
        if name == "add_rows":
            return all(supported(v.dtype) for v in (*instruction.args, result))
        if name == "take":
            return True
        if name in ("scatter_add", "add_at") and result.dtype.kind == "b":
            return False  # an addition of truth values is another instruction
        shape = instruction.args[0].shape if name == "index" else result.shape
        found = located(instruction.params["template"], shape)
        return found is not None and all(found.kept.values())

    @classmethod
    def room(cls, instruction: Instruction) -> int:
        """Of added rows which place names which, and a sum for each part."""
        if instruction.name != "add_rows":
            return 0
        table, _, index = instruction.args
        links = (table.shape[0] + index.size) * _INTEGER.itemsize
        return links + max(1, _row_parts(instruction)) * _row_room(instruction)

    def take(self) -> None:
        template = (*(slice(None),) * self.instruction.params["axis"], Hole(0))
        self._gather(self.args[0].shape, template, self.args[1:], "read")

    def index(self) -> None:
        self._gather(self.args[0].shape, self.instruction.params["template"], self.args[1:], "read")

    def put(self) -> None:
        self.continued(self.args[0])
        self._gather(self.result.shape, self.instruction.params["template"], self.args[2:], "write")

    def add_at(self) -> None:
        self.continued(self.args[0])
        self._gather(self.result.shape, self.instruction.params["template"], self.args[2:], "add")

    def scatter_add(self) -> None:
        out = self.access(self.result)
        pieces.clear(self.code, self.name, out.pointer, self.result.size, out.dtype)
        self._gather(self.result.shape, self.instruction.params["template"], self.args[1:], "add")

    def _gather(self, shape: Shape, template: Sequence[object], index: Sequence[Value], what: str) -> None:
        """For each place that the index arrays name: read it, write it, or add to it."""
        where = located(template, shape)
        assert where is not None
        indexed = self.args[0] if what == "read" else self.result  # what the index leads into
        other = self.result if what == "read" else self.args[len(self.args) - len(index) - 1]
        into, values = self.access(indexed), self.access(other)
        common = np.broadcast_shapes(*(i.shape for i in index))
        arrays = [self.access(i) for i in index]
        steps = [aligned(i.shape, a.strides, common) or () for i, a in zip(index, arrays, strict=True)]
        named = where.shape(common)
        more = max(other.ndim - len(named), 0)  # axes of length 1 in front of what is written, as NumPy allows them
        spread = aligned(other.shape[more:], values.strides[more:], named)
        assert spread is not None, (other.shape, named)
        first, last = where.before, where.before + len(common)
        first_element = sum(start * s for start, s in zip(where.starts, into.strides, strict=True))
        begin = offset(self.code, into.pointer, first_element, 1, into.dtype)
        outer = next((axis for axis, n in enumerate(common) if n > 1), 0)

        def at(code: Code, pointers: list[str], position: list[str], status: str) -> None:
            target, value, *others = pointers
            for axis, hole in enumerate(where.holes):
                if hole is None:
                    continue
                pointer, array = others[hole], arrays[hole]
                for i, stride in zip(position, steps[hole], strict=True):
                    pointer = offset(code, pointer, i, stride, array.dtype)
                place = _bounded(code, load(code, pointer, array.dtype), array.dtype, shape[axis], status)
                target = offset(code, target, place, into.strides[axis], into.dtype)
            for i, stride in zip(position, spread[first:last], strict=True):
                value = offset(code, value, i, stride, values.dtype)
            one = Access(target, [into.strides[k] * where.steps[k] for k in where.kept], into.dtype)
            two = Access(value, [*spread[:first], *spread[last:]], values.dtype)
            source, goal = (one, two) if what == "read" else (two, one)
            self.copy([*where.kept.values()], source, goal, add=what == "add", code=code)

        def turn(code: Code, pointers: list[str], part: str, i: str, status: str) -> None:
            def walk(position: list[str]) -> None:
                axis = len(position)
                if axis == len(common):
                    at(code, pointers, position, status)
                elif axis == outer:
                    walk([*position, i])
                else:
                    code.loop(common[axis], lambda index: walk([*position, index]))

            walk([])

        pointers = [begin, values.pointer, *(a.pointer for a in arrays)]
        if not common:
            at(self.code, pointers, [], self.parameter(STATUS))
        else:
            parts = _parts(common[outer], 2 * other.nbytes) if what == "read" else 1
            self._turns(common[outer], parts, pointers, turn)

    def _turns(
        self, count: int, parts: int, pointers: list[str], turn: Callable[[Code, list[str], str, str, str], None]
    ) -> None:
        """A loop in so many parts. `turn` writes one turn; it is given the code, the pointers there, the number of the part,
        the index, and where to note that an index is out of bounds."""
        status = self.parameter(STATUS)
        if parts < 2:
            self.code.loop(count, lambda i: turn(self.code, pointers, "0", i, status))
            return
        steps = -(-count // parts)
        part = Code()
        *at, noted = [f"%b{i}" for i in range(len(pointers) + 1)]
        first = part.emit(f"mul nuw nsw i64 %item, {steps}")
        wrong = part.cell(_INTEGER)
        store(part, "0", wrong, _INTEGER)
        part.loop(
            within(part, count, first, steps),
            lambda i: turn(part, at, "%item", part.emit(f"add nuw nsw i64 {first}, {i}"), wrong),
        )
        some = part.emit(f"icmp ne i64 {load(part, wrong, _INTEGER)}, 0")
        part.where(some, lambda: store(part, "1", noted, _INTEGER))
        item = Code()
        given = ", ".join(f"ptr {p}" for p in pieces.given(item, ["ptr"] * (len(pointers) + 1)))
        # In a function of its own, of whose arguments LLVM knows that they are different memory.
        item.line(
            f"  call void @{self.name(Function.of(part, range(len(pointers) + 1), 'i64 %item'))}({given}, i64 %item)"
        )
        values = [f"ptr {p}" for p in (*pointers, status)]
        pieces.share(self.code, self.name(pieces.called(item)), values, -(-count // steps))

    def add_rows(self) -> None:
        """Add up what there is for each row, then add that to the row: many small numbers are not lost one by one beside
        a large one. All indices are checked before anything is written. Each row is one thread's."""
        code = self.code
        values, index = (self.access(a) for a in self.args[1:])
        (length, *rest), n = self.args[0].shape, self.args[2].size
        # For each row the first place that names it, for each place the next one; -1 where there is none.
        first = self.parameter(self.workspace)
        following = offset(code, first, length, 1, _INTEGER)
        totals = offset(code, following, n, 1, _INTEGER)
        status = self.parameter(STATUS)

        def row_of(code: Code, pointer: str, place: str, status: str) -> str:
            pointer = offset(code, pointer, place, index.strides[0], index.dtype)
            return _bounded(code, load(code, pointer, index.dtype), index.dtype, length, status)

        def link(turn: str) -> None:
            place = code.emit(f"sub i64 {n - 1}, {turn}")
            head = offset(code, first, row_of(code, index.pointer, place, status), 1, _INTEGER)
            store(code, load(code, head, _INTEGER), offset(code, following, place, 1, _INTEGER), _INTEGER)
            store(code, place, head, _INTEGER)

        fill(code, first, length, "-1", _INTEGER)
        code.loop(n, link)
        out = self.access(self.result)

        def add(code: Code, pointers: list[str], part: str, place: str, status: str) -> None:
            first, following, total_at, index_at, value_at, out_at = pointers
            row = row_of(code, index_at, place, status)
            total = Access(
                offset(code, total_at, part, _row_room(self.instruction), _BYTE), c_strides(tuple(rest)), values.dtype
            )
            given = Access(value_at, values.strides, values.dtype)
            cell = code.cell(_INTEGER)

            def copied(place: str, add: bool) -> None:
                self.copy(rest, given.moved(code, 0, place), total, add, code)
                store(code, load(code, offset(code, following, place, 1, _INTEGER), _INTEGER), cell, _INTEGER)

            def summed() -> None:
                copied(place, False)
                code.as_long_as(
                    lambda: code.emit(f"icmp sge i64 {load(code, cell, _INTEGER)}, 0"),
                    lambda: copied(load(code, cell, _INTEGER), True),
                )
                self.copy(rest, total, Access(out_at, out.strides, out.dtype).moved(code, 0, row), True, code)

            head = load(code, offset(code, first, row, 1, _INTEGER), _INTEGER)
            code.where(code.emit(f"icmp eq i64 {head}, {place}"), summed)

        pointers = [first, following, totals, index.pointer, values.pointer, out.pointer]

        def write() -> None:
            self.continued(self.args[0])
            self._turns(n, _row_parts(self.instruction), pointers, add)

        code.where(code.emit(f"icmp eq i64 {load(code, status, _INTEGER)}, 0"), write)


def _bounded(code: Code, index: str, dtype: np.dtype, length: int, status: str) -> str:
    """An index from 0 to length - 1. One that is out of bounds is noted, and reads element 0 instead."""
    t = llvm_type(dtype)
    if t != "i64":
        index = code.emit(f"{'sext' if dtype.kind == 'i' else 'zext'} {t} {index} to i64")
    below = code.emit(f"icmp slt i64 {index}, 0")
    wrapped = code.emit(f"add i64 {index}, {length}")
    index = code.emit(f"select i1 {below}, i64 {wrapped}, i64 {index}")
    inside = code.emit(f"icmp ult i64 {index}, {length}")
    before = code.emit(f"load i64, ptr {status}")
    after = code.emit(f"select i1 {inside}, i64 {before}, i64 1")
    code.line(f"  store i64 {after}, ptr {status}")
    return code.emit(f"select i1 {inside}, i64 {index}, i64 0")


def _parts(count: int, moved: int) -> int:
    """Into how many parts turns are cut that move so many bytes: of few turns each is cut itself, if any is."""
    wanted = min(int(moving(moved) / pieces.PART), pieces.PARTS)
    return wanted - wanted % 2 if count >= pieces.PARTS else 1


def _row_parts(instruction: Instruction) -> int:
    """Into how many parts rows are cut that are added to a table."""
    _, values, index = instruction.args
    return _parts(index.size, 3 * values.nbytes)


def _row_room(instruction: Instruction) -> int:
    """Bytes for the sum of a row, in lines of memory."""
    table = instruction.args[0]
    return -(-math.prod(table.shape[1:]) * table.dtype.itemsize // LINE) * LINE
