"""Machine code for programs that work row by row: one kernel for any number of rows.

Short rows have a length that the code knows; one kernel serves all long rows, and all runs of elements. What a row needs in
several passes stays in the first level cache.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from tapenet.kernels import aligned
from tapenet.kernels.threads import WORTH, deal
from tapenet.native.emitter import literal, llvm_type, load, store
from tapenet.native.loops import (
    FEW,
    VECTOR,
    Carried,
    Code,
    combiner,
    declarations,
    identity,
    long_length,
    offset,
    run_length,
)
from tapenet.native.scalar import apply, definitions
from tapenet.native.toolchain import Library, build
from tapenet.program.ir import Constant, Instruction, Program, Value
from tapenet.program.native import entry
from tapenet.program.passes import simplify
from tapenet.program.primitives import PRIMITIVES
from tapenet.program.row_programs import COLUMN, FULL, ROW, SINGLE, Rows, Waits, by_rows, cut, is_literal

Array = np.ndarray[Any, Any]
#: Rows up to this length have code of their own, for which a block of them takes each pass together: so what is computed once
#: per row is a loop over rows, of vectors. It holds so many rows, and about so many elements.
SHORT, ROWS, ELEMENTS = 256, 128, 2048
#: Rows that are added up in the dtype at hand, before what they add up to joins a sum over all rows in double precision, so
#: that rounding does not grow with their number. So are long sums along a row, by runs of `run_length()`.
BLOCK = 64
#: Bytes of a result from which it pays to have it begin with a cache line.
SLOW = 1 << 17
_DOUBLE = np.dtype(np.float64)
_POINTER = np.dtype(np.int64)


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


def together(rows: Rows) -> int:
    """How many rows take each pass together: 1 if each is done by itself."""
    return 1 if rows.flat or not 0 < rows.length <= SHORT else min(ROWS, max(8, ELEMENTS // rows.length))


def parts_of(rows: Rows) -> Parts:
    """What the kernel of a program is called with."""
    outputs = [rows.program.outputs[i] for i, _ in sorted([*rows.outputs(), *rows.row_outputs()])]
    constants = [c for c in rows.program.constants if not is_literal(c)]
    inputs = [*rows.program.inputs, *(c for c in constants if c.size > 1)]
    numbers = [c for c in constants if c.size == 1 and c.dtype.kind == "f"]
    inputs += [c for c in constants if c.size == 1 and c.dtype.kind != "f"]
    kept: list[Value] = [m.results[0] for m in rows.full() if m.results[0] in rows.kept]
    sums: list[Value] = [r for m in rows.sums for r in m.results]
    kept += [BlockSum(r, rows.length) for m in rows.sums for r in m.results if rows.kind[r] == COLUMN]
    return Parts(outputs, sums, inputs, kept, numbers)


class RowCode(Code):
    """The work of writing one kernel."""

    def __init__(self, rows: Rows) -> None:
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
        self.kept_pointers = dict(zip(self.parts.kept, self.pointers[len(names) - len(self.parts.kept) :], strict=True))
        #: The sums over a block of rows that belong to sums over all of them.
        self.block_sums = {v.total: v for v in self.parts.kept if isinstance(v, BlockSum)}
        self.single: dict[Value, str] = {}
        self.row: dict[Value, str] = {}
        self.together = together(rows)
        self.known = self.together > 1
        #: The numbers of a block of rows, one per row, on the stack.
        self.row_arrays: dict[Value, str] = {}
        self.long = rows.flat or rows.length >= long_length()
        #: Totals over all rows, on the stack, in double precision.
        self.cells_of: dict[Value, str] = {}

    def text(self) -> str:
        """The function `rows(pointers..., numbers, begin, end, n)`."""
        rows = self.rows
        for i, constant in enumerate(self.parts.numbers):
            at = offset(self, "%numbers", i, 1, _DOUBLE)
            number = load(self, at, _DOUBLE)
            if constant.dtype == np.float32:
                number = self.emit(f"fptrunc double {number} to float")
            self.single[constant] = number
        for value in self.parts.inputs:
            if rows.kind[value] == SINGLE:
                self.single[value] = load(self, self.in_pointers[value], value.dtype)
        for member in rows.members:
            if member.kind == "elementwise" and rows.kind[member.results[0]] == SINGLE:
                self.single[member.results[0]] = self._apply(member, {})
        for member in rows.sums:
            (result,) = member.results
            if rows.kind[result] == SINGLE:
                cell = self.cells_of[result] = self.cell(_DOUBLE)
                store(self, literal(0, _DOUBLE), cell, _DOUBLE)
        if rows.flat:
            count = self.emit("sub nsw i64 %end, %begin")
            self._pass(0, "%begin", count, "%begin")
        else:
            self._blocks()
        for value, cell in self.cells_of.items():
            store(self, load(self, cell, _DOUBLE), self.sum_pointers[value], _DOUBLE)
        parameters = ", ".join(f"ptr noalias %b{i}" for i in range(len(self.pointers)))
        parameters += (", " if parameters else "") + "ptr %numbers, i64 %begin, i64 %end, i64 %n"
        body = "\n".join([*self.cells, *self.lines])
        intrinsics = declarations(self.declares)
        kind = "#1" if rows.cost() <= 8 and rows.phases == 1 else "#0"
        return "\n".join(
            [definitions(self.needs), intrinsics,
             f"define void @rows({parameters}) {kind} {{\nentry:\n{body}\n  ret void\n}}"]
        )  # fmt: skip

    # -- a row ---------------------------------------------------------------------------------------------------

    def _blocks(self) -> None:
        """All rows, in blocks, after each of which what it adds up to joins the sums over all rows."""
        n: int | str = self.rows.length if self.known else "%n"
        for value in self.block_sums.values():
            self._clear(value, n)
        size = self.together if self.known else BLOCK
        whole = self.emit(f"add nsw i64 {self.emit('sub nsw i64 %end, %begin')}, {size - 1}")

        def block(index: str) -> None:
            first = self.emit(f"add nsw i64 {self.emit(f'mul nuw nsw i64 {index}, {size}')}, %begin")
            self.declares.add("llvm.umin.i64")
            count = self.emit(f"call i64 @llvm.umin.i64(i64 {self.emit(f'sub nsw i64 %end, {first}')}, i64 {size})")
            if self.known:
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

                self.loop(n, turn)

        self.loop(self.emit(f"sdiv i64 {whole}, {size}"), block)

    def _clear(self, value: Value, n: int | str) -> None:
        def turn(at: str) -> None:
            place = offset(self, self.kept_pointers[value], at, 1, value.dtype)
            store(self, literal(0, value.dtype), place, value.dtype)

        self.loop(n, turn)

    def _row(self, at: str) -> None:
        """A row by itself."""
        self.row = {}
        start = self.emit(f"mul nsw i64 {at}, %n")
        for phase in range(self.rows.phases):
            self._per_row(phase, at)
            self._pass(phase, start, "%n", at)
        self._end_row(at)

    def _short_rows(self, first: str, count: str) -> None:
        """A block of rows, pass by pass."""
        rows = self.rows
        for member in rows.members:
            (result,) = member.results
            if rows.kind[result] == ROW:
                self.row_arrays[result] = name = f"%cell{len(self.cells)}"
                self.cells.append(f"  {name} = alloca [{ROWS} x {llvm_type(result.dtype, memory=True)}], align 64")

        def each(work: Callable[[str, str], None]) -> None:
            def one(row: str) -> None:
                self.row = {}
                work(self.emit(f"add nsw i64 {row}, {first}"), row)

            self.loop(count, one)

        def one_pass(at: str, row: str) -> None:
            start = self.emit(f"mul nsw i64 {at}, {rows.length}")
            self._pass(phase, start, str(rows.length), at, row)

        for phase in range(rows.phases):  # read above
            each(partial(self._per_row, phase))
            each(one_pass)
        each(self._end_row)

    def _per_row(self, phase: int, at: str, row: str = "") -> None:
        """What is computed once per row, ahead of a pass."""
        for member in self.rows.members:
            (result,) = member.results
            if member.kind == "elementwise" and self.rows.kind[result] == ROW and self.rows.phase[result] == phase:
                self._load_row(member.args, at, row)
                self.row[result] = self._apply(member, {})
                self._keep_row(result, row)

    def _end_row(self, at: str, row: str = "") -> None:
        """Results of one number per row, and what rows add to totals."""
        for value, pointer in zip(self.parts.outputs, self.out_pointers, strict=True):
            if value.shape != self.rows.domain:
                self._load_row([value], at, row)
                store(self, self._operand(value, {}), offset(self, pointer, at, 1, value.dtype), value.dtype)
        for member in self.rows.sums:
            (arg,), (result,) = member.args, member.results
            if arg.shape != self.rows.domain:
                self._load_row([arg], at, row)
                self._gather(self.cells_of[result], self._operand(arg, {}), arg.dtype)

    def _load_row(self, values: Iterable[Value], at: str, row: str) -> None:
        """Have the numbers of a row at hand."""
        for source in map(self.rows.source.__getitem__, values):
            if self.rows.kind[source] == ROW and source not in self.row:
                pointer, index = self.row_arrays.get(source), row
                if source in self.in_pointers:
                    pointer, index = self.in_pointers[source], at
                assert pointer is not None
                self.row[source] = load(self, offset(self, pointer, index, 1, source.dtype), source.dtype)

    def _keep_row(self, result: Value, row: str) -> None:
        """Keep a number of a row for the passes to come, if the rows of a block take turns."""
        if row:
            store(self, self.row[result], offset(self, self.row_arrays[result], row, 1, result.dtype), result.dtype)

    def _gather(self, cell: str, register: str, dtype: Any) -> None:
        """Add a number to a total."""
        if dtype != _DOUBLE:
            register = self.emit(f"fpext {llvm_type(dtype)} {register} to double")
        store(self, self.emit(f"fadd double {load(self, cell, _DOUBLE)}, {register}"), cell, _DOUBLE)

    def _pass(self, phase: int, start: str, count: str, at: str, row: str = "") -> None:
        """One pass over a row, from the element `start` on."""
        rows = self.rows
        stores = [
            (value, pointer)
            for value, pointer in zip(self.parts.outputs, self.out_pointers, strict=True)
            if value.shape == rows.domain and rows.phase[rows.source[value]] == phase
        ]
        kept = [v for v in self.parts.kept if not isinstance(v, BlockSum) and rows.phase[v] == phase]
        reductions = [m for m in rows.members if m.kind == "reduction" and rows.phase[m.results[0]] == phase + 1]
        columns = [m for m in rows.sums if rows.kind[m.results[0]] == COLUMN and rows.phase[m.results[0]] == phase]
        totals = [
            m for m in rows.sums
            if m.results[0] in self.cells_of and m.args[0].shape == rows.domain and rows.phase[m.results[0]] == phase
        ]  # fmt: skip
        wanted = [v for v, _ in stores] + kept + [m.args[0] for m in (*reductions, *columns, *totals)]
        if not wanted:
            return
        plan, loads = self._plan(phase, wanted)
        self._load_row([*wanted, *(a for m in plan for a in m.args)], at, row)
        own = self.emit(f"mul nsw i64 {row}, {rows.length}") if row else 0
        kept_at = {
            v: offset(self, p, own, 1, v.dtype) for v, p in self.kept_pointers.items() if v in kept or v in loads
        }
        sums = [*reductions, *totals]
        results = {m: self.cell(_DOUBLE if self._in_runs(m) else m.args[0].dtype) for m in reductions}
        for member, cell in results.items():
            dtype = _DOUBLE if self._in_runs(member) else member.args[0].dtype
            store(self, identity(member.name, dtype), cell, dtype)
        full = [v for v in loads if rows.kind[v] == FULL and v in self.in_pointers]
        pointers = {v: offset(self, self.in_pointers[v], start, 1, v.dtype) for v in full}
        targets = [offset(self, pointer, start, 1, value.dtype) for value, pointer in stores]

        def run(begin: str | int, length: int | str) -> None:
            """A loop over so many elements from one on."""
            carried = [Carried(identity(m.name, m.args[0].dtype), llvm_type(m.args[0].dtype)) for m in sums]

            def at_run(pointer: str, dtype: Any) -> str:
                return offset(self, pointer, begin, 1, dtype)

            ins = {v: at_run(p, v.dtype) for v, p in pointers.items()}
            ins |= {v: at_run(self.in_pointers[v], v.dtype) for v in loads if v not in ins and v in self.in_pointers}
            ins |= {v: at_run(kept_at[v], v.dtype) for v in loads if v in kept_at}
            outs = [at_run(p, v.dtype) for (v, _), p in zip(stores, targets, strict=True)]
            keeps = [at_run(kept_at[v], v.dtype) for v in kept]
            adds = [at_run(self.kept_pointers[self.block_sums[m.results[0]]], m.args[0].dtype) for m in columns]

            def turn(index: str) -> None:
                registers = {v: load(self, offset(self, p, index, 1, v.dtype), v.dtype) for v, p in ins.items()}
                for member in plan:
                    registers[member.results[0]] = self._apply(member, registers)
                for (value, _), pointer in zip(stores, outs, strict=True):
                    store(
                        self, self._operand(value, registers), offset(self, pointer, index, 1, value.dtype), value.dtype
                    )
                for value, pointer in zip(kept, keeps, strict=True):
                    store(self, registers[value], offset(self, pointer, index, 1, value.dtype), value.dtype)
                for member, pointer in zip(columns, adds, strict=True):
                    (arg,) = member.args
                    place = offset(self, pointer, index, 1, arg.dtype)
                    total = combiner(member.name, arg.dtype)(
                        self, load(self, place, arg.dtype), self._operand(arg, registers)
                    )
                    store(self, total, place, arg.dtype)
                for member, c in zip(sums, carried, strict=True):
                    (arg,) = member.args
                    c.after = combiner(member.name, arg.dtype)(self, c.register, self._operand(arg, registers))

            vectors = isinstance(length, int) and VECTOR <= length <= FEW
            self.loop(length, turn, carried, vectors)
            for member, c in zip(sums, carried, strict=True):
                (arg,), (result,) = member.args, member.results
                if member in results and not self._in_runs(member):
                    dtype = arg.dtype
                    before = load(self, results[member], dtype)
                    store(self, combiner(member.name, dtype)(self, before, c.register), results[member], dtype)
                else:
                    self._gather(results.get(member) or self.cells_of[result], c.register, arg.dtype)

        if self.long and sums:
            size = run_length()
            whole = self.emit(f"add nsw i64 {count}, {size - 1}")
            runs = self.emit(f"sdiv i64 {whole}, {size}")

            def one(index: str) -> None:
                begin = self.emit(f"mul nuw nsw i64 {index}, {size}")
                rest = self.emit(f"sub nuw nsw i64 {count}, {begin}")
                self.declares.add("llvm.umin.i64")
                run(begin, self.emit(f"call i64 @llvm.umin.i64(i64 {rest}, i64 {size})"))

            self.loop(runs, one)
        else:
            run(0, self.rows.length if self.known else count)
        for member, cell in results.items():
            (arg,), (result,) = member.args, member.results
            if self._in_runs(member) and arg.dtype != _DOUBLE:
                total = load(self, cell, _DOUBLE)
                self.row[result] = self.emit(f"fptrunc double {total} to {llvm_type(arg.dtype)}")
            else:
                self.row[result] = load(self, cell, arg.dtype)
            self._keep_row(result, row)

    def _in_runs(self, member: Instruction) -> bool:
        """Whether a reduction is a long sum."""
        return self.long and member.name == "reduce_add" and member.args[0].dtype.kind == "f"

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
                if rows.kind[value] in (FULL, COLUMN) and not is_literal(value):
                    loads[value] = None
            elif value in rows.kept and rows.phase[value] < phase:
                loads[value] = None
            elif maker not in plan:
                plan[maker] = None
                stack += [rows.source[a] for a in maker.args]
        return [m for m in rows.members if m in plan], list(loads)

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


# -- calling it --------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=512)
def _library(text: str) -> Library:
    return build(text)


def kernel(program: Program) -> RowKernel | Stages:
    """The kernel of a simplified program, or several that run one after the other.

    Raises:
        NotByRows: it does not work row by row.
    """
    try:
        return RowKernel(by_rows(program))
    except Waits:
        return Stages(*cut(program))


class Stages:
    """Kernels of a program whose rows use sums over all of them: those of the sums, and then the rest."""

    def __init__(self, first: Program, rest: Program) -> None:
        self.first = RowKernel(by_rows(first))
        self.rest = kernel(simplify(rest))

    def __call__(self, *arrays: Array) -> list[Array]:
        return self.rest(*arrays, *self.first(*arrays))


class RowKernel:
    """The kernel of one program: `kernel(*arrays)` gives the list of its results as new arrays.

    Arguments lie in row-major order, or are copied. Where there are no rows they may all lie in another order, and then the
    results do.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        program = rows.program
        code = RowCode(rows)
        self.parts = code.parts
        text = code.text()
        self.quick = entry.usable()
        parts = self.parts
        sizes = len(parts.outputs), len(parts.sums), len(parts.inputs), len(parts.kept)
        if self.quick:
            text += "\n" + entry.direct(*sizes)
        self._code = _library(text)
        self._numbers = np.array([float(n.array.item()) for n in parts.numbers] or [0.0])
        types = [ctypes.c_void_p] * (sum(sizes) + 1) + [ctypes.c_int64] * 3
        self._run = ctypes.CFUNCTYPE(None, *types)(self._code.address("rows"))
        self.end = rows.length if rows.flat else rows.count
        self._cost = int(rows.cost() * max(1, rows.count * rows.length) * 2)
        self._constants = [np.ascontiguousarray(v.array) for v in parts.inputs if isinstance(v, Constant)]
        self._outputs = [(v.shape, v.dtype) for v in parts.outputs]
        self._makers = [aligned if v.nbytes >= SLOW else np.empty for v in parts.outputs]
        self._sums = [v.size for v in parts.sums]
        self._kept = [(rows.length * (1 if isinstance(v, BlockSum) else code.together), v.dtype) for v in parts.kept]
        bare = not (self._constants or self._sums or self._kept)
        if self.quick:
            checked = [v.dtype for v in parts.inputs]
            table = [id(o) for o in entry.OBJECTS] + [self._numbers.ctypes.data, self.end, rows.length]
            self._table = np.array([*table, *map(id, checked)], np.uint64)
            self._checked = checked
            self._call, self._alive = entry.builtin("direct", self._code.address("direct"), self._table)
        #: The positions of the results that the kernel writes.
        self._written = [i for i, _ in sorted([*rows.outputs(), *rows.row_outputs()])]
        self._simple = self._written == list(range(len(program.outputs)))
        self._plain = bare and self._simple

    def __call__(self, *arrays: Array) -> list[Array]:
        outs = [make(shape, dtype) for make, (shape, dtype) in zip(self._makers, self._outputs, strict=True)]
        return self._filled(outs, arrays) or self._arranged(arrays)

    def _filled(self, outs: list[Array], arrays: Sequence[Array]) -> list[Array] | None:
        """All results, written to `outs`; None if the arguments are not in row-major order."""
        if self.quick and self._cost < WORTH:
            if self._plain:
                return outs if self._call(*outs, *arrays) is True else None
            sums = [np.zeros(n) for n in self._sums]
            kept = [np.empty(n, dtype) for n, dtype in self._kept]
            if self._call(*outs, *sums, *arrays, *self._constants, *kept) is not True:
                return None
        elif all(map(_fits, arrays, self.rows.program.inputs)):
            sums = self._dealt(outs, arrays)
        else:
            return None
        return outs if self._simple else self._finished(outs, sums, arrays)

    def _arranged(self, arrays: Sequence[Array]) -> list[Array]:
        """The results for arguments that lie in another way."""
        inputs, domain = self.rows.program.inputs, self.rows.domain
        first = next((a for a, v in zip(arrays, inputs, strict=True) if v.shape == domain), None)
        order = None if first is None or not self.rows.flat else _order(first)
        if order is None:
            outs = [aligned(shape, dtype) for shape, dtype in self._outputs]
        else:
            outs = [aligned(shape, dtype, order if shape == domain else None) for shape, dtype in self._outputs]
            arrays = [np.transpose(a, order) if v.shape == domain else a for a, v in zip(arrays, inputs, strict=True)]
        found = self._filled(outs, list(map(_dense, arrays, inputs)))
        assert found is not None
        return found

    def _dealt(self, outs: list[Array], arrays: Sequence[Array]) -> list[Array]:
        """Run on as many threads as pay; each adds up sums of its own."""
        fixed = [a.ctypes.data for a in (*arrays, *self._constants)]
        results = [a.ctypes.data for a in outs]
        numbers, n = self._numbers.ctypes.data, self.rows.length
        own: dict[int, list[Array]] = {}

        def work(first: int, last: int) -> None:
            sums = own[first] = [np.zeros(size) for size in self._sums]
            kept = [np.empty(size, dtype) for size, dtype in self._kept]
            pointers = [*results, *(a.ctypes.data for a in sums), *fixed, *(a.ctypes.data for a in kept)]
            self._run(*pointers, numbers, first, last, n)

        if self.end:
            deal(work, self.end, self._cost)
        parts = [own[first] for first in sorted(own)]
        return [np.add.reduce(list(column), axis=0) for column in zip(*parts, strict=True)]

    def _finished(self, outs: list[Array], sums: list[Array], arrays: Sequence[Array]) -> list[Array]:
        """All results, with those that are known when all rows are done."""
        rows = self.rows
        known: dict[Value, Any] = dict(zip(rows.program.inputs, arrays, strict=True))
        for value, total in zip(self.parts.sums, sums, strict=True):
            known[value] = total.astype(value.dtype).reshape(value.shape)

        def array(v: Value) -> Any:
            return v.array if isinstance(v, Constant) else known[v]

        for instruction in rows.late:
            found = PRIMITIVES[instruction.name].evaluate(*map(array, instruction.args), **instruction.params)
            known[instruction.results[0]] = np.asarray(found)
        made = dict(zip(self._written, outs, strict=True))
        return [made[i] if i in made else np.array(array(v)) for i, v in enumerate(rows.program.outputs)]


def _fits(array: Array, value: Value) -> bool:
    flags = array.flags
    return type(array) is np.ndarray and array.dtype == value.dtype and flags.c_contiguous and flags.aligned


def _dense(array: Array, value: Value) -> Array:
    """An argument in row-major order."""
    return array if _fits(array, value) and array.dtype is value.dtype else np.array(array, value.dtype, order="C")


def _order(array: Array) -> tuple[int, ...] | None:
    """The axes of an array that is dense in another order than the usual one, from the slowest in memory to the fastest."""
    axes = tuple(sorted(range(array.ndim), key=lambda i: -array.strides[i]))
    return axes if not array.flags.c_contiguous and np.transpose(array, axes).flags.c_contiguous else None
