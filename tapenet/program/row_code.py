"""The code of programs that work row by row: one function for any number of rows.

Short rows have a length that the code knows; one kernel serves all long rows, and all runs of elements. What a row needs in
several passes stays in the first level cache. Rows that lie side by side are taken in strips, so that vectors are of
neighbouring rows.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from tapenet.llvm.code import Code, declarations, offset
from tapenet.llvm.emitter import literal, llvm_type, load, store
from tapenet.llvm.loops import FEW, MASKS, VECTOR, left_over
from tapenet.llvm.processor import registers
from tapenet.llvm.reductions import Reducing, combiner, identity, long_length, run_length
from tapenet.llvm.scalar import COST, apply, definitions
from tapenet.program.ir import Constant, Instruction, Value
from tapenet.program.row_programs import COLUMN, FULL, ROW, SEGMENT, SINGLE, Rows, is_literal
from tapenet.typing import DType

#: Rows up to this length have code of their own, for which a block of them takes each pass together: so what is computed once
#: per row is a loop over rows, of vectors. It holds so many rows, and about so many elements.
SHORT, ROWS, ELEMENTS = 256, 128, 2048
#: Rows that are added up in the dtype at hand, before what they add up to joins a sum over all rows in double precision, so
#: that rounding does not grow with their number. So are long sums along a row, by runs of `run_length()`.
BLOCK = 64
#: Rows side by side that are taken together at most: fewer where there are so many numbers that threads may share them.
STRIP, SHARED, MANY = 1024, 256, 1 << 21
#: Rows side by side that vectors are taken of, with those of segments that follow.
WIDE = 128
#: Elements that a loop takes in a turn where its length is not known, and of how many left over masks take no less time. What
#: is left over, up to 63 elements, LLVM would compute one by one: by masks softmax of rows of 300 takes 0.8 of the time, and of
#: rows of 63 or 127, where 15 are left, 0.7.
TURN, FEWER = 64, 6
#: Bytes of a run, of the several that a row has, up to which its sums are kept in memory for each place of a run until all runs
#: are added up: of longer ones stores take more time than sums in registers. The gradient of a group norm of 16 x 64 x 16 x 16
#: in 8 groups takes 0.8 of the time so on a Zen 4, which stores 64 bytes every second cycle.
BESIDE = 512
#: Numbers of a row in a strip that are added up, before what they add up to joins a sum in double precision.
RUN = 1024
_DOUBLE = np.dtype(np.float64)


#: Of a program that works on parts of arrays: how many axes count rows, and of arguments and results that are parts how far
#: apart in memory rows are, and where a part begins in one.
Split = tuple[int, Mapping[Value, tuple[int, int]], Sequence[tuple[int, int] | None]]


class BlockSum(Value):
    """What a block of rows adds to a sum over all rows."""

    __slots__ = ("total",)

    def __init__(self, total: Value, length: int) -> None:
        super().__init__((length,), total.dtype)
        self.total = total


class Parts(NamedTuple):
    """What a kernel is called with, in this order.

    Attributes:
        outputs: full and row results.
        sums: what is added up over rows, in double precision.
        inputs: the program's inputs, and its constants that are arrays.
        kept: rows that are kept from pass to pass, and the sums over a block of rows.
        numbers: the constants that the code is given.
    """

    outputs: list[Value]
    sums: list[Value]
    inputs: list[Value]
    kept: list[Value]
    numbers: list[Constant]


class Pass(NamedTuple):
    """One pass over a row.

    Attributes:
        stores: full results, and the pointers to them.
        kept: what is kept for later passes.
        carried: sums that are registers of the innermost loop.
        added: sums that are arrays in memory, of which the innermost loop adds to each number.
        plan: what is computed for each element, in order.
        loads: what is read.
    """

    stores: list[tuple[Value, str]]
    kept: list[Value]
    carried: list[Instruction]
    added: list[Instruction]
    plan: list[Instruction]
    loads: list[Value]


class Place(NamedTuple):
    """Where a run of elements begins in the arrays of each class, and in what is kept."""

    full: str | int
    column: str | int = 0
    segment: str | int = 0
    row: str | int = 0
    kept: str | int = 0

    def at(self, kind: str) -> str | int:
        """In the arrays of a class."""
        return {FULL: self.full, COLUMN: self.column, SEGMENT: self.segment, ROW: self.row, SINGLE: 0}[kind]


def together(rows: Rows) -> int:
    """How many rows take each pass together: 1 if each is done by itself."""
    if rows.across:
        return strip(rows.length, rows.size)
    short = not rows.flat and rows.turns == 1 and 0 < rows.length <= SHORT
    return min(ROWS, max(8, ELEMENTS // rows.length)) if short else 1


def strip(length: int, size: int) -> int:
    """How many rows side by side are taken together: all, or a part of them, of whole vectors."""
    most = SHARED if size >= MANY else STRIP
    if length <= most:
        return length
    return next((n for n in range(most, most // 4, -16) if length % n == 0), most)


def parts_of(rows: Rows) -> Parts:
    """What the kernel of a program is called with."""
    outputs = [rows.program.outputs[i] for i, _ in sorted([*rows.outputs(), *rows.row_outputs()])]
    constants = [c for c in rows.program.constants if not is_literal(c)]
    inputs = [*rows.program.inputs, *(c for c in constants if c.size > 1)]
    numbers = [c for c in constants if c.size == 1 and c.dtype.kind == "f"]
    inputs += [c for c in constants if c.size == 1 and c.dtype.kind != "f"]
    kept: list[Value] = [m.results[0] for m in rows.full() if m.results[0] in rows.kept]
    sums: list[Value] = [r for m in rows.sums for r in m.results]
    if not rows.across:
        kept += [BlockSum(r, math.prod(rows.lengths(rows.table(COLUMN)))) for r in sums if rows.kind[r] == COLUMN]
    return Parts(outputs, sums, inputs, kept, numbers)


class RowCode(Code):
    """The work of writing one kernel."""

    def __init__(self, rows: Rows, split: Split | None = None) -> None:
        super().__init__()
        self.rows = rows
        self.parts = parts_of(rows)
        names = [*self.parts.outputs, *self.parts.sums, *self.parts.inputs, *self.parts.kept]
        #: The parameter that points to each array. An output may be another's too: they are told apart by position.
        self.pointers = [f"%b{i}" for i in range(len(names))]
        n_out, n_sum = len(self.parts.outputs), len(self.parts.sums)
        self.out_pointers = self.pointers[:n_out]
        self.sum_pointers = dict(zip(self.parts.sums, self.pointers[n_out : n_out + n_sum], strict=True))
        self.in_pointers = dict(zip(self.parts.inputs, self.pointers[n_out + n_sum :], strict=False))
        #: Of parts of arrays, how far apart their rows are, and where they begin in one; by pointer.
        self.steps: dict[str, tuple[int, int]] = {}
        if split is not None:
            self.steps = {self.in_pointers[v]: step for v, step in split[1].items()}
            self.steps |= {p: step for p, step in zip(self.out_pointers, split[2], strict=True) if step is not None}
        self.kept_pointers = dict(zip(self.parts.kept, self.pointers[len(names) - len(self.parts.kept) :], strict=True))
        #: The sums over a block of rows that belong to sums over all of them.
        self.block_sums = {v.total: v for v in self.parts.kept if isinstance(v, BlockSum)}
        self.single: dict[Value, str] = {}
        self.row: dict[Value, str] = {}
        #: Where the elements of a strip begin.
        self.strip: str | int = 0
        self.together = together(rows)
        #: The length of what lies side by side: a number if the code knows it.
        self.n: int | str = "%n"
        if not rows.flat and 0 < rows.length <= (self.together if rows.across else SHORT):
            self.n = rows.length
        #: After how many rows columns come again.
        self.period = math.prod(rows.lengths(rows.tiles))
        #: How often the numbers of rows side by side are there, so that vectors are long where rows are few.
        self.copies = 1
        if rows.across and self.n == rows.length:
            self.copies = max(
                u for u in (1, 2, 4, 8, 16) if rows.turns % u == 0 and (u == 1 or u * rows.length <= WIDE)
            )
        #: The numbers of a block of rows, one per row, on the stack.
        self.row_arrays: dict[Value, str] = {}
        #: Sums that are kept for each place in a run, and added up later, when they stand for several runs.
        self.lanes: dict[Value, str] = {}
        #: Totals over all rows, and sums of a row, on the stack; where they are long, in double precision.
        self.cells_of: dict[Value, str] = {}
        elements = rows.turns * (1 if rows.across else rows.length)
        self.long = rows.flat or elements >= (RUN if rows.across else long_length())

    def text(self) -> str:
        """The function `rows(pointers..., numbers, begin, end, n, segments, rows)`."""
        rows = self.rows
        for i, constant in enumerate(self.parts.numbers):
            at = offset(self, "%numbers", i, 1, _DOUBLE)
            number = load(self, at, _DOUBLE)
            if constant.dtype == np.float32:
                number = self.emit(f"fptrunc double {number} to float")
            self.single[constant] = number
            self.numbers.add(number)  # what is not finite is a literal. relu6 takes 0.83 of the time so
        for value in self.parts.inputs:
            if rows.kind[value] == SINGLE:
                self.single[value] = load(self, self.in_pointers[value], value.dtype)
        for member in rows.members:
            if member.kind == "elementwise" and rows.kind[member.results[0]] == SINGLE:
                self.single[member.results[0]] = self._apply(member, {})
        for value in self.parts.sums:
            if rows.kind[value] == SINGLE:
                cell = self.cells_of[value] = self.cell(_DOUBLE)
                store(self, literal(0, _DOUBLE), cell, _DOUBLE)
        if rows.flat:
            work = self._work(0)
            if work is not None:
                self._runs(work, Place("%begin"), self.emit("sub nsw i64 %end, %begin"))
        elif rows.across:
            self._strips()
        else:
            self._blocks()
        for value in self.parts.sums:
            if value in self.cells_of:
                store(self, load(self, self.cells_of[value], _DOUBLE), self.sum_pointers[value], _DOUBLE)
        parameters = ", ".join(f"ptr noalias %b{i}" for i in range(len(self.pointers)))
        parameters += (
            ", " if parameters else ""
        ) + "ptr %numbers, i64 %begin, i64 %end, i64 %n, i64 %segments, i64 %rows"
        body = "\n".join([*self.cells, *self.lines])
        intrinsics = declarations(self.declares)
        kind = "#1" if rows.cost() <= 8 and rows.phases == 1 else "#0"
        return "\n".join(
            [definitions(self.needs), intrinsics,
             f"define void @rows({parameters}) {kind} {{\nentry:\n{body}\n  ret void\n}}"]
        )  # fmt: skip

    def _sum(self, a: str | int, b: str | int) -> str | int:
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self.emit(f"add nsw i64 {a}, {b}")

    def _product(self, a: str | int, b: str | int) -> str | int:
        return 0 if a == 0 else self.emit(f"mul nsw i64 {a}, {b}")

    # -- rows ----------------------------------------------------------------------------------------------------

    def _blocks(self) -> None:
        """All rows, in blocks, after each of which what it adds up to joins the sums over all rows."""
        for value in self.block_sums.values():
            self._clear(value)
        size = self.together if self.together > 1 else BLOCK
        whole = self.emit(f"add nsw i64 {self.emit('sub nsw i64 %end, %begin')}, {size - 1}")

        def block(index: str) -> None:
            first = self.emit(f"add nsw i64 {self.emit(f'mul nuw nsw i64 {index}, {size}')}, %begin")
            count = self.least(self.emit(f"sub nsw i64 %end, {first}"), size)
            if self.together > 1:
                self._short_rows(first, count)
            else:
                self.loop(count, lambda row: self._row(self.emit(f"add nsw i64 {row}, {first}")))
            for total, value in self.block_sums.items():

                def turn(at: str, total: Value = total, value: BlockSum = value) -> None:
                    part = offset(self, self.kept_pointers[value], at, 1, value.dtype)
                    self._gather(
                        offset(self, self.sum_pointers[total], at, 1, _DOUBLE),
                        load(self, part, value.dtype),
                        value.dtype,
                    )
                    store(self, literal(0, value.dtype), part, value.dtype)

                self.loop(self._columns(), turn)

        self.loop(self.emit(f"sdiv i64 {whole}, {size}"), block)

    def _row_length(self) -> str | int:
        """How many elements a row has."""
        return self.n if self.rows.turns == 1 else self._product("%segments", self.n)

    def _columns(self) -> str | int:
        """How many columns there are."""
        return self._product(self.period, self._row_length()) if self.period > 1 else self._row_length()

    def _column(self, at: str | int) -> str | int:
        """The first column of a row."""
        return self._product(self.emit(f"urem i64 {at}, {self.period}"), self.n) if self.period > 1 else 0

    def _clear(self, value: BlockSum) -> None:
        def turn(at: str) -> None:
            place = offset(self, self.kept_pointers[value], at, 1, value.dtype)
            store(self, literal(0, value.dtype), place, value.dtype)

        self.loop(self._columns(), turn)

    def _row(self, at: str) -> None:
        """A row by itself."""
        self.row = {}
        for phase in range(self.rows.phases):
            self._per_row(phase, at)
            work = self._work(phase)
            if work is not None:
                self._along(work, at)
        self._end_row(at)

    def _short_rows(self, first: str, count: str) -> None:
        """A block of rows, pass by pass."""
        self._row_arrays()
        for phase in range(self.rows.phases):
            self._each(first, count, partial(self._per_row, phase))
            work = self._work(phase)
            if work is not None:
                self._each(first, count, partial(self._along, work))
        self._each(first, count, self._end_row)

    def _row_arrays(self) -> None:
        """Have memory on the stack for the numbers of a block of rows."""
        for member in self.rows.members:
            (result,) = member.results
            if self.rows.kind[result] == ROW:
                self.row_arrays[result] = self._array(result.dtype)

    def _array(self, dtype: DType) -> str:
        return self.room(dtype, max(self.together * self.copies, ROWS, SHORT))

    def _each(self, first: str | int, count: str | int, work: Callable[[str, str], None]) -> None:
        """A loop over the rows of a block: `work(row, its number in the block)`."""

        def one(row: str) -> None:
            self.row = {}
            work(self.emit(f"add nsw i64 {row}, {first}"), row)

        self.loop(count, one)

    def _per_row(self, phase: int, at: str, row: str = "") -> None:
        """What is computed once per row, ahead of a pass."""
        for member in self.rows.members:
            (result,) = member.results
            if member.kind != "reduction" and self.rows.kind[result] == ROW and self.rows.phase[result] == phase:
                self._load_row(self.rows.needs(member), at, row)
                self.row[result] = self._read(member, at, row) if member in self.rows.reads else self._apply(member, {})
                self._keep_row(result, row)

    def _read(self, member: Instruction, at: str, row: str) -> str:
        """What is at a place of a row, or of a table: one that there is, whatever the place."""
        place, axis = self.rows.reads[member]
        whole = member.args[0]
        n = "%segments" if self.rows.across else self.n
        last = self.emit(f"sub nsw i64 {whole.size if axis is None else n}, 1")
        index: str | int = self.least(self._operand(place, {}), last)
        if axis is not None and self.rows.across:
            index = self._sum(self._sum(self._product(index, self.n), self.strip), row)
        elif axis is not None:
            index = self._sum(self._product(at, self.n), index)
        return load(self, offset(self, self.in_pointers[whole], index, 1, whole.dtype), whole.dtype)

    def _end_row(self, at: str, row: str = "") -> None:
        """Results of one number per row, and what rows add to totals."""
        for value, pointer in zip(self.parts.outputs, self.out_pointers, strict=True):
            if value.size != self.rows.size:
                place = self.emit(f"udiv i64 {at}, {self.rows.parts}") if self.rows.parts > 1 else at
                self._load_row([value], at, row)
                store(self, self._operand(value, {}), offset(self, pointer, place, 1, value.dtype), value.dtype)
        for member in self.rows.sums:
            (arg,), (result,) = member.args, member.results
            if arg.size != self.rows.size:
                self._load_row([arg], at, row)
                self._gather(self.cells_of[result], self._operand(arg, {}), arg.dtype)

    def _load_row(self, values: Iterable[Value], at: str, row: str) -> None:
        """Have the numbers of a row at hand."""
        for source in map(self.rows.source.__getitem__, values):
            if self.rows.kind[source] == ROW and source not in self.row:
                if source in self.in_pointers:
                    place = offset(self, self.in_pointers[source], self._repeated(source, at), 1, source.dtype)
                else:
                    place = offset(self, self.row_arrays[source], row, 1, source.dtype)
                self.row[source] = load(self, place, source.dtype)

    def _comes_again(self, value: Value) -> bool:
        """Whether what a column is for one segment is the same for the next."""
        rows = self.rows
        found = rows.repeated(value) if rows.kind[value] == COLUMN and value in self.in_pointers else None
        return found is not None and math.prod(found) < rows.turns * rows.length

    def _repeated(self, value: Value, index: str | int) -> str | int:
        """The place of an argument's number for a place in the table of its class."""
        rows = self.rows
        found = None if value.size == rows.size else rows.repeated(value)
        if found is None or index == 0:
            return index
        (size, each), whole = found, math.prod(rows.lengths(rows.table(rows.kind[value])))
        if each > 1:
            index = self.emit(f"udiv i64 {index}, {each}")
        return self.emit(f"urem i64 {index}, {size}") if size * each < whole else index

    def _keep_row(self, result: Value, row: str) -> None:
        """Keep a number of a row for the passes to come, if the rows of a block take turns."""
        if row:
            for place in self._places(result, row, self.copies):
                store(self, self.row[result], place, result.dtype)

    def _gather(self, cell: str, register: str, dtype: DType) -> None:
        """Add a number to a total."""
        if dtype != _DOUBLE:
            register = self.emit(f"fpext {llvm_type(dtype)} {register} to double")
        store(self, self.emit(f"fadd double {load(self, cell, _DOUBLE)}, {register}"), cell, _DOUBLE)

    def _rounded(self, cell: str, dtype: DType) -> str:
        """A total in the dtype of what was added up."""
        total = load(self, cell, _DOUBLE)
        return total if dtype == _DOUBLE else self.emit(f"fptrunc double {total} to {llvm_type(dtype)}")

    # -- a pass --------------------------------------------------------------------------------------------------

    def _work(self, phase: int) -> Pass | None:
        """What a pass does; None if there is nothing to do."""
        rows = self.rows
        stores = [
            (value, pointer)
            for value, pointer in zip(self.parts.outputs, self.out_pointers, strict=True)
            if value.size == rows.size and rows.phase[rows.source[value]] == phase
        ]
        kept = [v for v in self.parts.kept if not isinstance(v, BlockSum) and rows.phase[v] == phase]
        sums = [m for m in rows.members if m.kind == "reduction" and rows.phase[m.results[0]] == phase + 1]
        sums += [m for m in rows.sums if m.args[0].size == rows.size and rows.phase[m.results[0]] == phase]
        added = [m for m in sums if rows.kind[m.results[0]] == (ROW if rows.across else COLUMN)]
        wanted = [v for v, _ in stores] + kept + [m.args[0] for m in sums]
        if not wanted:
            return None
        plan, loads = self._plan(phase, wanted)
        return Pass(stores, kept, [m for m in sums if m not in added], added, plan, loads)

    def _plan(self, phase: int, wanted: list[Value]) -> tuple[list[Instruction], list[Value]]:
        """What a pass computes for each element, in order, and what it loads."""
        rows = self.rows
        makers: dict[Value, Instruction] = {m.results[0]: m for m in rows.full()}
        plan: dict[Instruction, None] = {}
        loads: dict[Value, None] = {}
        stack = [rows.source[v] for v in wanted]
        while stack:
            value = stack.pop()
            maker = makers.get(value)
            if maker is None:
                if rows.kind[value] not in (SINGLE, SINGLE if rows.across else ROW) and not is_literal(value):
                    loads[value] = None
            elif value in rows.kept and rows.phase[value] < phase:
                loads[value] = None
            elif maker not in plan:
                plan[maker] = None
                stack += [rows.source[a] for a in maker.args]
        return [m for m in rows.members if m in plan], list(loads)

    def _along(self, work: Pass, at: str, row: str = "") -> None:
        """A pass over a row, which is the one of that number in a block."""
        rows = self.rows
        values = [*(v for v, _ in work.stores), *work.kept, *(m.args[0] for m in (*work.carried, *work.added))]
        self._load_row([*values, *(a for m in work.plan for a in m.args)], at, row)
        reductions = [m for m in work.carried if rows.kind[m.results[0]] == ROW]
        for member in reductions:
            dtype = _DOUBLE if self._in_runs(member) else member.args[0].dtype
            cell = self.cells_of[member.results[0]] = self.cell(dtype)
            store(self, identity(member.name, dtype), cell, dtype)
        outside = rows.axes[0] in rows.inner  # the rows of a segment lie behind each other
        used = {rows.kind[v] for v in (*work.loads, *(r for m in work.carried for r in m.results))}
        by_segments = outside or SEGMENT in used or any(map(self._comes_again, work.loads))
        if rows.turns == 1 or not by_segments:
            n = self._row_length()
            self._runs(work, Place(self._product(at, n), self._column(at), at, kept=self._product(row or 0, n)), n)
        else:
            some = [m for m in reductions if isinstance(self.n, int) and self.n * m.args[0].dtype.itemsize <= BESIDE]
            apart = [] if self.long else some
            self.lanes |= {m.results[0]: self._array(m.args[0].dtype) for m in apart}
            self._by_lanes(apart, self.n, None)
            each = work._replace(carried=[m for m in work.carried if m not in apart], added=[*work.added, *apart])

            def segment(index: str) -> None:
                column, place = self._product(index, self.n), self._sum(self._product(at, "%segments"), index)
                full = self._sum(self._product(index, "%rows"), at) if outside else place
                self._runs(each, Place(self._product(full, self.n), column, place, kept=column), self.n)

            self.loop("%segments", segment)
            self._by_lanes(apart, self.n, Place(0))
        for member in reductions:
            (arg,), (result,) = member.args, member.results
            cell = self.cells_of[result]
            self.row[result] = self._rounded(cell, arg.dtype) if self._in_runs(member) else load(self, cell, arg.dtype)
            self._keep_row(result, row)

    def _runs(self, work: Pass, place: Place, count: int | str) -> None:
        """A loop over elements side by side: in several runs, if there are long sums of many."""
        if isinstance(count, int) or not (self.long and work.carried):
            self._run(work, place, 0, count)
            return
        size = run_length()
        runs = self.emit(f"sdiv i64 {self.emit(f'add nsw i64 {count}, {size - 1}')}, {size}")

        def one(index: str) -> None:
            begin = self.emit(f"mul nuw nsw i64 {index}, {size}")
            self._run(work, place, begin, self.least(self.emit(f"sub nuw nsw i64 {count}, {begin}"), size))

        self.loop(runs, one)

    def _run(self, work: Pass, place: Place, begin: str | int, length: int | str) -> None:
        """A loop over so many elements from one on."""
        rows = self.rows
        moving, fixed = {}, {}
        for value in work.loads:
            kind = rows.kind[value]
            if value in self.kept_pointers:
                pointer = offset(self, self.kept_pointers[value], place.kept, 1, value.dtype)
            elif value in self.row_arrays:
                pointer = self.row_arrays[value]
            else:
                pointer = self.in_pointers[value]
                first = self._full(pointer, place) if kind == FULL else self._repeated(value, place.at(kind))
                pointer = offset(self, pointer, first, 1, value.dtype)
            if kind in (FULL, ROW if rows.across else COLUMN):
                moving[value] = offset(self, pointer, begin, 1, value.dtype)
            else:
                fixed[value] = load(self, pointer, value.dtype)
        kept = [(v, self.kept_pointers[v], place.kept) for v in work.kept]
        written = [
            (v, offset(self, offset(self, pointer, first, 1, v.dtype), begin, 1, v.dtype))
            for v, pointer, first in [*((v, pointer, self._full(pointer, place)) for v, pointer in work.stores), *kept]
        ]
        added = []
        for member in work.added:
            (arg,), (result,) = member.args, member.results
            if result in self.lanes:
                pointer = self.lanes[result]
            elif rows.across:
                pointer = self.row_arrays[result]
            else:
                pointer = offset(self, self.kept_pointers[self.block_sums[result]], place.column, 1, arg.dtype)
            added.append((member, offset(self, pointer, begin, 1, arg.dtype)))

        def part(first: str | int, count: str | int, masked: bool) -> None:
            carried = {m: Reducing(m.name, m.args[0].dtype) for m in work.carried}

            def turn(index: str) -> None:
                at: str | int = self._sum(index, first)
                known = {v: load(self, offset(self, p, at, 1, v.dtype), v.dtype) for v, p in moving.items()} | fixed
                for member in work.plan:
                    known[member.results[0]] = self._apply(member, known)
                for value, pointer in written:
                    store(self, self._operand(value, known), offset(self, pointer, at, 1, value.dtype), value.dtype)
                for member, pointer in added:
                    (arg,) = member.args
                    to = offset(self, pointer, at, 1, arg.dtype)
                    before, term = load(self, to, arg.dtype), self._operand(arg, known)
                    store(self, combiner(member.name, arg.dtype)(self, before, term), to, arg.dtype)
                for member, c in carried.items():
                    (arg,) = member.args
                    c.take(self, self._operand(arg, known))

            few = isinstance(count, int) and VECTOR <= count <= FEW
            self.loop(count, turn, list(carried.values()), few and not masked, masked=masked)
            for member, c in carried.items():
                self._collect(member, c.total(self), place)

        if rows.flat or registers().bytes < MASKS:
            part(0, length, False)
        elif isinstance(length, int):
            lanes = registers().bytes // max((r.dtype.itemsize for m in work.plan for r in m.results), default=1)
            rest = left_over(length, lanes, sum(COST.get(m.name, 1) for m in work.plan))
            part(0, length - rest, False)
            if rest:
                part(length - rest, rest, True)
        else:
            # A few are done one by one: by masks rows of 257 would take 1.05 to 1.1 of the time.
            last = self.emit(f"and i64 {length}, {TURN - 1}")
            left = self.emit(f"select i1 {self.emit(f'icmp ult i64 {last}, {FEWER}')}, i64 0, i64 {last}")
            whole = self.emit(f"sub nuw nsw i64 {length}, {left}")
            self.where(self.emit(f"icmp ne i64 {whole}, 0"), lambda: part(0, whole, False))
            self.where(self.emit(f"icmp ne i64 {left}, 0"), lambda: part(whole, left, True))

    def _collect(self, member: Instruction, register: str, place: Place) -> None:
        """Add what a loop has added up to where it belongs."""
        (arg,), (result,) = member.args, member.results
        kind = self.rows.kind[result]
        if kind in (COLUMN, SEGMENT):
            self._gather(offset(self, self.sum_pointers[result], place.at(kind), 1, _DOUBLE), register, arg.dtype)
        elif kind == ROW and not self._in_runs(member):
            cell = self.cells_of[result]
            store(self, combiner(member.name, arg.dtype)(self, load(self, cell, arg.dtype), register), cell, arg.dtype)
        else:
            self._gather(self.cells_of[result], register, arg.dtype)

    def _by_lanes(self, members: list[Instruction], count: int | str, place: Place | None) -> None:
        """Begin sums by lanes, or with a place collect them, and begin anew."""
        carried = {m: Reducing(m.name, m.args[0].dtype) for m in members}

        def turn(index: str) -> None:
            for member, c in carried.items():
                dtype = member.args[0].dtype
                at = offset(self, self.lanes[member.results[0]], index, 1, dtype)
                if place is not None:
                    c.take(self, load(self, at, dtype))
                store(self, identity(member.name, dtype), at, dtype)

        if members:
            self.loop(count, turn, list(carried.values()) if place is not None else (), isinstance(count, int))
        if place is not None:
            for member, c in carried.items():
                self._collect(member, c.total(self), place)

    def _full(self, pointer: str, place: Place) -> str | int:
        """Where the elements of a full value begin."""
        if pointer not in self.steps:
            return place.full
        step, first = self.steps[pointer]
        return self._sum(self._product(place.segment, step), first)

    def _in_runs(self, member: Instruction) -> bool:
        """Whether a reduction is a long sum."""
        return self.long and member.name == "reduce_add" and member.args[0].dtype.kind == "f"

    # -- rows side by side ---------------------------------------------------------------------------------------

    def _strips(self) -> None:
        """All rows, in strips of neighbours."""
        rows, n, width = self.rows, self.n, self.together
        self._row_arrays()
        strips = 1 if n == width else self.emit(f"sdiv i64 {self.emit(f'add nsw i64 {n}, {width - 1}')}, {width}")

        def one(index: str) -> None:
            task = self.emit(f"add nsw i64 {index}, %begin")
            outer: str = task
            first: str | int = 0
            count: str | int = n
            if strips != 1:
                outer = self.emit(f"udiv i64 {task}, {strips}")
                first = self._product(self.emit(f"urem i64 {task}, {strips}"), width)
                count = self.least(self.emit(f"sub nsw i64 {n}, {first}"), width) if rows.length % width else width
            at = self._sum(self._product(outer, n), first)
            self.strip = self._sum(self._product(self._product(outer, "%segments"), n), first)
            for phase in range(rows.phases):
                self._each(at, count, partial(self._per_row, phase))
                work = self._work(phase)
                if work is not None:
                    self._across(work, outer, first, at, count)
            self._each(at, count, self._end_row)

        self.loop(self.emit("sub nsw i64 %end, %begin"), one)

    def _across(self, work: Pass, outer: str, first: str | int, at: str | int, count: str | int) -> None:
        """A pass over the rows of a strip."""
        rows = self.rows
        totals = {m: self._array(_DOUBLE) for m in work.added if self._in_runs(m)}
        sums = [m for m in work.carried if rows.kind[m.results[0]] == SEGMENT]
        group = self._group(work)
        if group > 1:
            self.lanes |= {m.results[0]: self._array(m.args[0].dtype) for m in sums}
        else:
            sums = []
        each = work._replace(carried=[m for m in work.carried if m not in sums], added=[*work.added, *sums])
        alone = {v for v in work.loads if rows.kind[v] not in (FULL, SEGMENT) and v not in self.row_arrays}
        alone |= {r for m in work.carried for r in m.results if rows.kind[r] == COLUMN}
        #: How many segments are taken at once, where nothing is asked of one by itself.
        many = 1 if alone else math.gcd(self.copies, group) if group else self.copies
        width = count if many == 1 else rows.length * many
        size = group if group > 1 else RUN

        def begin(row: str) -> None:
            for member in work.added:
                self._fill(member, row, many)
            for pointer in totals.values():
                store(self, literal(0, _DOUBLE), offset(self, pointer, row, 1, _DOUBLE), _DOUBLE)

        def place(start: str | int, segment: str | int) -> Place:
            own = [self._sum(self._product(outer, "%segments"), i) for i in (start, segment)]
            full = self._sum(self._product(own[1], self.n), first)
            return Place(full, segment, own[0 if group > 1 else 1], at, self._product(segment, self.together))

        def turns(start: str | int, length: str | int) -> None:
            def turn(index: str) -> None:
                segment = self._sum(self._product(index, many) if many > 1 else index, start)
                self._run(each, place(start, segment), 0, width)

            self.row = {}
            self.loop(length if many == 1 else self.emit(f"udiv i64 {length}, {many}"), turn)

        def one(index: str) -> None:
            start = self._product(index, size)
            turns(start, group if group > 1 else self.least(self.emit(f"sub nsw i64 %segments, {start}"), size))
            self._by_lanes(sums, width, place(start, start))

            def gather(row: str) -> None:
                for member, pointer in totals.items():
                    (result,) = member.results
                    for part in self._places(result, row, many):
                        number = load(self, part, result.dtype)
                        self._gather(offset(self, pointer, row, 1, _DOUBLE), number, result.dtype)
                    self._fill(member, row, many)

            if totals:
                self.loop(count, gather)

        def end(row: str) -> None:
            for member in work.added:
                (result,) = member.results
                if member in totals:
                    total = self._rounded(offset(self, totals[member], row, 1, _DOUBLE), result.dtype)
                else:
                    parts = [load(self, p, result.dtype) for p in self._places(result, row, many)]
                    total = functools.reduce(partial(combiner(member.name, result.dtype), self), parts)
                for target in self._places(result, row, self.copies):
                    store(self, total, target, result.dtype)

        if work.added:
            self.loop(count, begin)
        self._by_lanes(sums, width, None)
        if totals or group > 1:
            self.loop(self.emit(f"sdiv i64 {self.emit(f'add nsw i64 %segments, {size - 1}')}, {size}"), one)
        else:
            turns(0, "%segments")
        if totals or (work.added and self.copies > 1):
            self.loop(count, end)
        if rows.parts > 1 and work.added:
            self._join(work.added, count)

    def _join(self, members: list[Instruction], count: str | int) -> None:
        """Add up the parts of each row of a strip, and let each have the total."""
        parts = self.rows.parts

        def join(index: str) -> None:
            for member in members:
                (result,) = member.results
                places = [self.emit(f"add nuw nsw i64 {self._product(index, parts)}, {i}") for i in range(parts)]
                pointers = [self._places(result, place, self.copies) for place in places]
                numbers = [load(self, first, result.dtype) for first, *_ in pointers]
                total = functools.reduce(partial(combiner(member.name, result.dtype), self), numbers)
                for pointer in itertools.chain.from_iterable(pointers):
                    store(self, total, pointer, result.dtype)

        self.loop(count // parts if isinstance(count, int) else self.emit(f"udiv i64 {count}, {parts}"), join)

    def _group(self, work: Pass) -> int:
        """How many segments behind each other are alike for what is loaded of one, or added up for one; 0 if there is nothing
        of this kind."""
        rows, size = self.rows, 1
        values = [v for v in (*work.loads, *(r for m in work.carried for r in m.results)) if rows.kind[v] == SEGMENT]
        for axis in reversed(rows.segments):
            if any(axis in rows.over[v] for v in values) or size * rows.domain[axis] > RUN:
                break
            size *= rows.domain[axis]
        return size if values else 0

    def _places(self, result: Value, row: str, many: int) -> list[str]:
        """Where the copies of a row's number are."""
        first = offset(self, self.row_arrays[result], row, 1, result.dtype)
        return [offset(self, first, i * self.rows.length, 1, result.dtype) for i in range(many)]

    def _fill(self, member: Instruction, row: str, many: int) -> None:
        """Set a row's number of a reduction, and its copies, to what changes nothing."""
        (result,) = member.results
        for place in self._places(result, row, many):
            store(self, identity(member.name, result.dtype), place, result.dtype)

    # -- values --------------------------------------------------------------------------------------------------

    def _operand(self, value: Value, registers: dict[Value, str]) -> str:
        source = self.rows.source[value]
        if isinstance(source, Constant) and is_literal(source):
            return literal(source.array.item(), source.dtype)
        for known in (registers, self.row, self.single):
            if source in known:
                return known[source]
        raise AssertionError(source.spec)

    def _apply(self, member: Instruction, registers: dict[Value, str]) -> str:
        operands = [self._operand(a, registers) for a in member.args]
        return apply(self, member.name, tuple(a.dtype for a in member.args), member.results[0].dtype, operands)
