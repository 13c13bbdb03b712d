"""The code of what moves elements about: joining, writing into a part, gathering, scattering, searching a row."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tapenet.llvm import loops
from tapenet.llvm.addresses import LINE
from tapenet.llvm.blas import find, matrix
from tapenet.llvm.emitter import held, literal, llvm_type, load, store, supported
from tapenet.llvm.loops import Access, Code, fill, nest, offset
from tapenet.llvm.scalar import apply
from tapenet.program.c_rows import CALLS
from tapenet.program.called_ops import Hole
from tapenet.program.fusion import aligned
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Layouts, c_strides
from tapenet.program.native import (
    c_calls,
    c_effects,
    callbacks,
    convolutions,
    draws,
    linear_algebra,
    ordering,
    pieces,
    raising,
    transforms,
    ufunc_calls,
)
from tapenet.program.native.kernels import Function, Offset, moving
from tapenet.program.native.products import operands, writes
from tapenet.program.native.raising import STATUS
from tapenet.program.native.writer import Writer
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


#: What there is of complex numbers too, part by part.
_OF_COMPLEX = ("index", "put", "scatter_add", "add_at", "cumsum")


def supports(instruction: Instruction) -> bool:
    """Whether `write` (or a kernel, or `products`) has code for an instruction that is not fused."""
    name, args, results = instruction.name, instruction.args, instruction.results
    if callbacks.calls_back(instruction) or draws.draws(instruction) or c_effects.find(instruction):
        return True
    if name in CALLS:
        return all(v.size for v in (*args, *results)) and tuple(v.dtype for v in (*args, *results)) in CALLS[name]
    if any(v.size == 0 or not held(v.dtype) for v in (*args, *results)):
        return False
    if _is_cast(instruction) or ufunc_calls.loop_of(instruction) is not None:
        return True
    if instruction.kind == "transform":
        return transforms.loop_of(instruction) is not None
    if instruction.kind == "linear algebra":
        return linear_algebra.loops(instruction) is not None
    if name in ("concatenate", "update", "take", "provided"):
        return True
    if any(not supported(v.dtype) for v in (*args, *results)) and name not in _OF_COMPLEX:
        return False
    if instruction.kind == "order":
        return ordering.supports(instruction)
    if instruction.kind == "convolution":
        return convolutions.supports(instruction)
    if name in ("dot", "dot_add"):
        return find() is not None and results[0].dtype.char in "fd"
    if name == "add_rows":
        return True
    if name in ("argmax", "argmin"):
        return args[0].dtype.char in "fd" or args[0].dtype.kind in "iu"
    if name in ("index", "put", "scatter_add", "add_at"):
        if name in ("scatter_add", "add_at") and results[0].dtype.kind == "b":
            return False  # an addition of truth values is another instruction
        shape = args[0].shape if name == "index" else results[0].shape
        found = located(instruction.params["template"], shape)
        return found is not None and all(found.kept.values())
    return False


def _is_cast(instruction: Instruction) -> bool:
    """Whether an instruction makes complex numbers of others, or numbers of complex ones."""
    return instruction.name == "cast" and instruction.results[0].dtype.kind != "b"


def wants_dense(instruction: Instruction, layouts: Layouts) -> list[int]:
    """Positions of the operands that have to be copied first, since BLAS, or a C function, cannot read them where they are."""
    if instruction.name in CALLS:
        return c_calls.scattered(instruction, layouts)
    if instruction.kind == "convolution":
        return convolutions.scattered(instruction, layouts)
    if instruction.kind == "linear algebra":
        return linear_algebra.scattered(instruction, layouts)
    if instruction.kind != "product":
        return []
    if writes(instruction, layouts, c_strides(instruction.results[0].shape)):
        return []
    first = len(instruction.args) - 2
    found = operands(instruction, layouts)
    return [first + i for i, (_, shape, strides) in enumerate(found) if matrix(shape, strides) is None]


def workspace(instruction: Instruction) -> int:
    """Bytes that an instruction needs for itself."""
    if draws.draws(instruction):
        return draws.workspace(instruction)
    if instruction.kind == "linear algebra":
        return linear_algebra.workspace(instruction)
    if instruction.kind == "order":
        return ordering.workspace(instruction)
    if instruction.kind == "convolution":
        return convolutions.workspace(instruction)
    if instruction.name != "add_rows":
        return 0
    table, _, index = instruction.args
    links = (table.shape[0] + index.size) * _INTEGER.itemsize
    return links + max(1, _row_parts(instruction)) * _row_room(instruction)


@dataclass(eq=False)
class _Writer(Writer):
    """What the functions below share."""

    name: Callable[[Function], str]

    def __post_init__(self) -> None:
        self.args = self.instruction.args
        (self.result,) = self.instruction.results

    def copy(
        self, lengths: Sequence[int], source: Access, target: Access, add: bool = False, code: Code | None = None
    ) -> None:
        """Copy elements, or add them: in pieces, or in a part of a work as it is, whose code is given."""
        if code is None or code is self.code:
            pieces.copy(self.code, self.name, lengths, source, target, add)
        else:
            loops.copy(code, lengths, source, target, add)

    # -- one method per primitive --------------------------------------------------------------------------------

    def concatenate(self) -> None:
        """Short runs of parts of one shape are copied side by side, so that each line of memory is written once."""
        axis = self.instruction.params["axis"]
        strides = self.layouts[self.result].strides
        groups: dict[object, list[tuple[Value, int]]] = {}
        start = 0
        for arg in self.args:
            if self.layouts[arg].root is not self.result:
                short = strides[axis] * arg.shape[axis] * arg.dtype.itemsize < LINE
                groups.setdefault(arg.shape if short else start, []).append((arg, start * strides[axis]))
            start += arg.shape[axis]
        for parts in groups.values():
            sources = [self.access(arg) for arg, _ in parts]
            out = self.access(self.result).pointer
            pointers = [offset(self.code, out, at, 1, self.result.dtype) for _, at in parts]
            targets = [Access(pointer, strides, self.result.dtype) for pointer in pointers]

            def body(at: list[Access]) -> list[str]:
                values = [load(self.code, a.pointer, a.dtype) for a in at[: len(at) // 2]]
                for value, target in zip(values, at[len(values) :], strict=True):
                    store(self.code, value, target.pointer, target.dtype)
                return []

            nest(self.code, parts[0][0].shape, [*sources, *targets], body)

    def cast(self) -> None:
        """To or from complex numbers, part by part; what has no imaginary part gets one of zeros."""

        def parts(access: Access) -> list[Access]:
            if access.dtype.kind != "c":
                return [access]
            dtype = np.dtype(access.dtype.char.lower())
            pointers = [access.pointer, offset(self.code, access.pointer, 1, 1, dtype)]
            return [Access(pointer, (), dtype) for pointer in pointers]

        def body(at: list[Access]) -> list[str]:
            given, targets = map(parts, at)
            for i, target in enumerate(targets):
                value = literal(0, target.dtype)
                if i < len(given):
                    number = load(self.code, given[i].pointer, given[i].dtype)
                    value = apply(self.code, "cast", [given[i].dtype], target.dtype, [number])
                store(self.code, value, target.pointer, target.dtype)
            return []

        (x,) = self.args
        nest(self.code, x.shape, [self.access(x), self.access(self.result)], body)

    def provided(self) -> None:
        x, wrong = self.args
        condition = load(self.code, self.access(wrong).pointer, wrong.dtype)
        params = self.instruction.params
        raising.write(self.code, condition, params["error"], params["text"], self.parameter(STATUS))
        self.copy(x.shape, self.access(x), self.access(self.result))

    def update(self) -> None:
        base, value = self.args
        slices = self.instruction.params["slices"]
        out = self.access(self.result)
        first = sum(start * stride for (start, _, _), stride in zip(slices, out.strides, strict=True))
        if self._continues(base):
            pointer = self.parameter(Offset.of(self.buffer(self.result), first, out.dtype))
        else:  # by one pointer: LLVM takes two for different memory
            self.copy(base.shape, self.access(base), out)
            pointer = offset(self.code, out.pointer, first, 1, out.dtype)
        steps = [step * stride for (_, _, step), stride in zip(slices, out.strides, strict=True)]
        self.copy(value.shape, self.access(value), Access(pointer, steps, out.dtype))

    def _continued(self, base: Value) -> Access:
        """The result, with the elements of the base in it."""
        out = self.access(self.result)
        if not self._continues(base):
            self.copy(base.shape, self.access(base), out)
        return out

    def _continues(self, base: Value) -> bool:
        """Whether a base is in the result's memory: it is read for the last time."""
        return self.buffer(self.layouts[base].root) == self.buffer(self.result)

    def take(self) -> None:
        template = (*(slice(None),) * self.instruction.params["axis"], Hole(0))
        self._gather(self.args[0].shape, template, self.args[1:], "read")

    def index(self) -> None:
        self._gather(self.args[0].shape, self.instruction.params["template"], self.args[1:], "read")

    def put(self) -> None:
        self._continued(self.args[0])
        self._gather(self.result.shape, self.instruction.params["template"], self.args[2:], "write")

    def add_at(self) -> None:
        self._continued(self.args[0])
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
        spread = aligned(other.shape, values.strides, where.shape(common))
        assert spread is not None, (other.shape, where.shape(common))
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
        rest = part.emit(f"sub nsw i64 {count}, {first}")
        part.declares.add("declare i64 @llvm.smin.i64(i64, i64)")
        wrong = part.cell(_INTEGER)
        store(part, "0", wrong, _INTEGER)
        part.loop(
            part.emit(f"call i64 @llvm.smin.i64(i64 {rest}, i64 {steps})"),
            lambda i: turn(part, at, "%item", part.emit(f"add nuw nsw i64 {first}, {i}"), wrong),
        )
        some = part.emit(f"icmp ne i64 {load(part, wrong, _INTEGER)}, 0")
        pieces.either(part, some, lambda: store(part, "1", noted, _INTEGER), lambda: None)
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
        write, end = code.label(), code.label()
        fine = code.emit(f"icmp eq i64 {load(code, status, _INTEGER)}, 0")
        code.line(f"  br i1 {fine}, label %{write}, label %{end}")
        code.begin(write)
        out = self._continued(self.args[0])

        def add(code: Code, pointers: list[str], part: str, place: str, status: str) -> None:
            first, following, total_at, index_at, value_at, out_at = pointers
            row = row_of(code, index_at, place, status)
            total = Access(
                offset(code, total_at, part, _row_room(self.instruction), _BYTE), c_strides(tuple(rest)), values.dtype
            )
            given = Access(value_at, values.strides, values.dtype)
            cell = code.cell(_INTEGER)
            sums, turn, more, done, over = (code.label() for _ in range(5))
            head = load(code, offset(code, first, row, 1, _INTEGER), _INTEGER)
            code.line(f"  br i1 {code.emit(f'icmp eq i64 {head}, {place}')}, label %{sums}, label %{over}")
            code.begin(sums)
            self.copy(rest, given.moved(code, 0, place), total, code=code)
            store(code, load(code, offset(code, following, place, 1, _INTEGER), _INTEGER), cell, _INTEGER)
            code.line(f"  br label %{turn}")
            code.begin(turn)
            other = load(code, cell, _INTEGER)
            code.line(f"  br i1 {code.emit(f'icmp slt i64 {other}, 0')}, label %{done}, label %{more}")
            code.begin(more)
            self.copy(rest, given.moved(code, 0, other), total, add=True, code=code)
            store(code, load(code, offset(code, following, other, 1, _INTEGER), _INTEGER), cell, _INTEGER)
            code.line(f"  br label %{turn}")
            code.begin(done)
            self.copy(rest, total, Access(out_at, out.strides, out.dtype).moved(code, 0, row), add=True, code=code)
            code.line(f"  br label %{over}")
            code.begin(over)

        self._turns(
            n, _row_parts(self.instruction), [first, following, totals, index.pointer, values.pointer, out.pointer], add
        )
        code.line(f"  br label %{end}")
        code.begin(end)

    def argmax(self) -> None:
        """The first place of the largest element along an axis; the first nan counts as largest."""
        code = self.code
        (arg,) = self.args
        axis = self.instruction.params["axis"]
        data, out = self.access(arg), self.access(self.result)
        t = llvm_type(arg.dtype)
        larger = self.instruction.name == "argmax"
        if arg.dtype.kind == "f":
            compare = f"fcmp {'ogt' if larger else 'olt'}"
        else:
            sign = "s" if arg.dtype.kind == "i" else "u"
            compare = f"icmp {sign}{'gt' if larger else 'lt'}"
        lengths = [*arg.shape[:axis], *arg.shape[axis + 1 :]]
        rest = [*data.strides[:axis], *data.strides[axis + 1 :]]

        def search(at: list[Access]) -> list[str]:
            row, place = at[0].pointer, at[1].pointer
            best, where = (f"%cell{len(code.cells) + k}" for k in range(2))
            code.cells += [f"  {best} = alloca {t}", f"  {where} = alloca i64"]
            store(code, load(code, row, arg.dtype), best, arg.dtype)
            code.line(f"  store i64 0, ptr {where}")

            def turn(index: str) -> None:
                value = load(code, offset(code, row, index, data.strides[axis], arg.dtype), arg.dtype)
                held = load(code, best, arg.dtype)
                better = code.emit(f"{compare} {t} {value}, {held}")
                if arg.dtype.kind == "f":
                    nan = code.emit(f"fcmp uno {t} {value}, {value}")
                    fine = code.emit(f"fcmp ord {t} {held}, {held}")
                    first = code.emit(f"and i1 {nan}, {fine}")
                    better = code.emit(f"or i1 {better}, {first}")
                store(code, code.emit(f"select i1 {better}, {t} {value}, {t} {held}"), best, arg.dtype)
                before = code.emit(f"load i64, ptr {where}")
                after = code.emit(f"select i1 {better}, i64 {index}, i64 {before}")
                code.line(f"  store i64 {after}, ptr {where}")

            code.loop(arg.shape[axis], turn)
            found = code.emit(f"load i64, ptr {where}")
            code.line(f"  store i64 {found}, ptr {place}")
            return []

        nest(code, lengths, [Access(data.pointer, rest, data.dtype), out], search, order=False)

    argmin = argmax


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
    wanted = min(int(moving(moved) / pieces.PART), pieces.MOST)
    return wanted - wanted % 2 if count >= pieces.MOST else 1


def _row_parts(instruction: Instruction) -> int:
    """Into how many parts rows are cut that are added to a table."""
    _, values, index = instruction.args
    return _parts(index.size, 3 * values.nbytes)


def _row_room(instruction: Instruction) -> int:
    """Bytes for the sum of a row, in lines of memory."""
    table = instruction.args[0]
    return -(-math.prod(table.shape[1:]) * table.dtype.itemsize // LINE) * LINE


def write(
    instruction: Instruction,
    layouts: Layouts,
    buffer: Callable[[Value], Hashable],
    workspace: Hashable | None,
    name: Callable[[Function], str],
) -> Function:
    """The function of one instruction.

    Args:
        instruction: one that is supported.
        layouts: where values lie.
        buffer: of a value that is no view.
        workspace: the buffer of as many bytes as the function of that name says.
        name: adds a function to the module, and gives its name there.
    """
    if callbacks.calls_back(instruction):
        return callbacks.write(instruction, layouts, buffer)
    if draws.draws(instruction):
        return draws.write(instruction, layouts, buffer, workspace)
    if c_effects.find(instruction):
        return c_effects.write(instruction, layouts, buffer)
    if ufunc_calls.loop_of(instruction) is not None:
        return ufunc_calls.write(instruction, layouts, buffer)
    if instruction.kind == "transform":
        return transforms.write(instruction, layouts, buffer)
    if instruction.name in CALLS:
        return c_calls.write(instruction, layouts, buffer)
    if instruction.kind == "linear algebra":
        return linear_algebra.write(instruction, layouts, buffer, workspace)
    if instruction.kind == "order":
        return ordering.write(instruction, layouts, buffer, workspace)
    if instruction.kind == "convolution":
        return convolutions.write(instruction, layouts, buffer, workspace, name)
    writer = _Writer(instruction, layouts, buffer, workspace, name)
    getattr(writer, instruction.name)()
    return writer.done()
