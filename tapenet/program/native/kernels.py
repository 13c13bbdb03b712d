"""The code of a fused kernel: one LLVM function over the pointers of the buffers it touches."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

import numpy as np

from tapenet.llvm.code import Access, Code, offset
from tapenet.llvm.emitter import literal, load, store, supported
from tapenet.llvm.loops import VECTOR, Body, Run, Stage, backwards, fill, nest
from tapenet.llvm.processor import registers
from tapenet.llvm.reductions import Accumulator, identity, reducible
from tapenet.llvm.scalar import COST, apply, can
from tapenet.program.fusion import Kernel, aligned
from tapenet.program.ir import Constant, Instruction, Value
from tapenet.program.joined import joins
from tapenet.program.layout import Layouts
from tapenet.program.native import stages
from tapenet.program.native.functions import Function, Offset
from tapenet.typing import Shape

#: An expression is computed again in a later phase rather than kept in memory if it costs no more than this.
CHEAP = 3
#: What a kernel computes per element, at most, so that it is the memory that it waits for.
LIGHT = 8


#: A pointer moved to the row at hand, and the strides inside the row: of strides, a pointer and its dtype.
AtRow = Callable[[Shape, str, np.dtype], tuple[str, Shape]]


class KernelCode:
    """The work of writing one kernel."""

    def __init__(
        self,
        kernel: Kernel,
        layouts: Layouts,
        stored: Callable[[Value], bool],
        buffer: Callable[[Value], Hashable],
        part: tuple[int, int] | None = None,
    ) -> None:
        """Write a kernel, or the part of it that takes along an axis so many steps, from `%begin` on. A part adds to what it
        sums up, and leaves it to its caller to set that to its first value."""
        self.part = part
        self.kernel = kernel
        self.layouts = layouts
        self.stored = stored
        self.buffer = buffer
        self.code = Code()
        self.pointers: dict[Hashable, str] = {}
        self.inside = dict.fromkeys(kernel.members)
        self.ready = kernel.phases()
        self.split = len(kernel.domain) if kernel.split is None else kernel.split
        walked = kernel.domain
        if part is not None:
            axis, steps = part
            walked = (*walked[:axis], steps, *walked[axis + 1 :])
        self.row_lengths = walked[: self.split] if kernel.split is not None else ()
        self.lengths = walked[self.split :] if kernel.split is not None else walked
        self.full = [m for m in kernel.members if m not in kernel.rows and m.kind in ("elementwise", "movement")]
        self.row_sums = [m for m in kernel.members if kernel.is_row_reduction(m)]
        self.sums = [m for m in kernel.members if m.kind == "reduction" and m not in set(self.row_sums)]
        #: Of results that are parts of one memory, where the first of them begins: by one pointer LLVM sees that they lie side
        #: by side.
        self.firsts = self._firsts()
        #: Registers of what is computed once per row.
        self.rows: dict[Value, str] = {}

    def write(self) -> Function:
        """The kernel's function."""
        if self.part is None:
            self._begin_sums()
        if self.kernel.split is None:
            self._phase(0, lambda strides, pointer, dtype: (pointer, strides))
        else:
            self._outer(list(self.row_lengths), [])
        return self._function("" if self.part is None else "i64 %begin")

    def _begin_sums(self) -> None:
        for member in self.sums:
            (result,) = member.results
            fill(self.code, self.pointer(result), result.size, identity(member.name, result.dtype), result.dtype)

    def _function(self, more: str) -> Function:
        return Function.of(self.code, self.pointers, more, per_element(self.kernel) <= LIGHT)

    # -- memory --------------------------------------------------------------------------------------------------

    def pointer(self, root: Value, count: int = 0) -> str:
        """The parameter that points to a root's buffer, from so many elements on."""
        at = Offset.of(self.buffer(root), count, root.dtype)
        return self.pointers.setdefault(at, f"%b{len(self.pointers)}")

    def _firsts(self) -> dict[Value, int]:
        found: dict[Value, list[tuple[Value, int]]] = {}
        for result in self.kernel.results():
            place = self.layouts[result]
            if place.root is not result and self.stored(result):
                found.setdefault(place.root, []).append((result, place.offset))
        several = {root: parts for root, parts in found.items() if len(parts) > 1}
        firsts = {root: min(at for _, at in parts) for root, parts in several.items()}
        return {part: firsts[root] for root, parts in several.items() for part, _ in parts}

    def _base(self, value: Value, domain: Shape) -> tuple[str, Shape]:
        """Pointer to the first element of a value, and its strides by the axes of the domain."""
        place = self.layouts[value]
        strides = aligned(value.shape, place.strides, domain)
        assert strides is not None, (value.shape, domain)
        first = self.firsts.get(value, place.offset)
        pointer = offset(self.code, self.pointer(place.root, first), place.offset - first, 1, value.dtype)
        return self._begin(pointer, strides, value.dtype), strides

    def _begin(self, pointer: str, strides: Shape, dtype: np.dtype) -> str:
        """A pointer moved to where the part begins."""
        if self.part is None or not strides:
            return pointer
        return offset(self.code, pointer, "%begin", strides[self.part[0]], dtype)

    # -- rows ----------------------------------------------------------------------------------------------------

    def _outer(self, lengths: list[int], indices: list[str]) -> None:
        """Loops over the rows."""
        if lengths:

            def turn(index: str) -> None:
                if self._backwards(len(indices)):
                    index = self.code.emit(f"sub nuw nsw i64 {lengths[0] - 1}, {index}")
                self._outer(lengths[1:], [*indices, index])

            self.code.loop(lengths[0], turn)
            return
        self.rows = {}

        def at_row(strides: Shape, pointer: str, dtype: np.dtype) -> tuple[str, Shape]:
            for index, stride in zip(indices, strides, strict=False):
                pointer = offset(self.code, pointer, index, stride, dtype)
            return pointer, strides[self.split :]

        last = max(self.ready.values())
        for phase in range(last + 1):
            for member in self.kernel.members:
                if member in self.kernel.rows and self.ready[member] == phase:
                    self._row(member, at_row)
            self._phase(phase, at_row)

    def _backwards(self, axis: int) -> bool:
        """Whether rows are walked over from their end along an axis, as those of a nest are: variances of 1,024 x 1,024 float32
        with rows in reverse take 0.77 to 0.9 of the time so."""
        read = (a for m in self.kernel.members for a in m.args if a.source not in self.inside)
        values = dict.fromkeys([*read, *filter(self.stored, self.kernel.results())])
        strides = {v: aligned(v.shape, self.layouts[v].strides, self.kernel.domain) for v in values}
        return backwards((v.nbytes, steps[axis]) for v, steps in strides.items() if steps)

    def _row(self, member: Instruction, at_row: AtRow) -> None:
        """What is computed once per row."""
        (result,) = member.results
        domain = self.kernel.row_shape + (1,) * (result.ndim - self.split)
        operands = []
        for arg in member.args:
            register = self._literal(arg)
            if register is None:
                maker = arg.source
                if maker in self.inside:
                    register = self.rows[maker.results[0]]
                else:
                    pointer, strides = self._base(arg, domain)
                    pointer, _ = at_row(strides, pointer, arg.dtype)
                    register = load(self.code, pointer, arg.dtype)
            operands.append(register)
        self.rows[result] = self._apply(member, operands)
        if self.stored(result):
            pointer, strides = self._base(result, domain)
            pointer, _ = at_row(strides, pointer, result.dtype)
            store(self.code, self.rows[result], pointer, result.dtype)

    # -- phases --------------------------------------------------------------------------------------------------

    def _phase(self, phase: int, at_row: AtRow) -> None:
        """One loop nest over the elements of a row, or of the domain where there are no rows."""
        kernel = self.kernel
        sums = [m for m in self.sums if self.ready[m] == phase]
        row_sums = [m for m in self.row_sums if self.ready[m] == phase + 1]
        stores = [m for m in self.full if self.ready[m] == phase and self.stored(m.results[0])]
        # What the loop has to compute: stored results and what reductions take in, with all that they need.
        plan: dict[Instruction, None] = {}
        loads: dict[Value, None] = {}
        wanted: list[Value] = [m.results[0] for m in stores] + [m.args[0] for m in (*sums, *row_sums)]
        stack = list(reversed(wanted))
        while stack:
            value = stack.pop()
            maker = value.source
            if self._literal(value) is not None or (maker in self.inside and self._per_row(maker)):
                continue
            if maker in self.inside and (self.ready[maker] == phase or not self.stored(maker.results[0])):
                if maker not in plan:
                    plan[maker] = None
                    stack += reversed(maker.args)
            else:
                loads[value] = None
        if not wanted:
            return
        order = [m for m in kernel.members if m in plan]
        accesses = []
        for value in (*loads, *(m.results[0] for m in stores)):
            pointer, strides = self._base(value, kernel.domain)
            pointer, strides = at_row(strides, pointer, value.dtype)
            accesses.append(Access(pointer, strides, value.dtype))
        accumulators = []
        for member in sums:
            (result,) = member.results
            axes = iter(self.layouts[result].strides)
            strides = tuple(0 if i in member.params["axes"] else next(axes) for i in range(len(kernel.domain)))
            pointer = self._begin(self.pointer(result), strides, result.dtype)
            pointer, strides = at_row(strides, pointer, result.dtype)
            accumulators.append(Accumulator(member.name, Access(pointer, strides, result.dtype)))
        cells = []
        for member in row_sums:
            (result,) = member.results
            cells.append(self.code.cell(result.dtype))
            accumulators.append(Accumulator(member.name, Access(cells[-1], (0,) * len(self.lengths), result.dtype)))
            accumulators[-1].begin(self.code)

        taken = [m.args[0] for m in (*sums, *row_sums)]
        nest(self.code, self.lengths, accesses, self._run(order, list(loads), stores, taken), accumulators)
        for member, cell in zip(row_sums, cells, strict=True):
            (result,) = member.results
            self.rows[result] = load(self.code, cell, result.dtype)
            if self.stored(result):
                pointer, strides = self._base(result, kernel.row_shape)
                pointer, _ = at_row(strides, pointer, result.dtype)
                store(self.code, self.rows[result], pointer, result.dtype)

    def _run(self, order: list[Instruction], loads: list[Value], stores: list[Instruction], taken: list[Value]) -> Run:
        """What a loop does at each element: it loads values, computes, stores results, and gives what sums take in."""
        results = [m.results[0] for m in stores]
        parts = stages.split(order, [*results, *taken]) if math.prod(self.lengths) >= VECTOR else []
        if len(parts) < 2:
            parts = [stages.Stage(order, [], [])]
        rows = stages.rows(parts)
        homes: dict[Value, int] = {m.results[0]: i for i, part in reversed([*enumerate(parts)]) for m in part.members}
        made = []
        for i, part in enumerate(parts):
            stored = [k for k, value in enumerate(results) if homes[value] == i]
            sums = [k for k, value in enumerate(taken) if homes.get(value, 0) == i]
            read = {a for m in part.members for a in m.args} | {taken[k] for k in sums}
            loaded = [k for k, value in enumerate(loads) if value in read]
            made.append(
                Stage(
                    self._stage(
                        part,
                        [loads[k] for k in loaded],
                        [results[k] for k in stored],
                        [taken[k] for k in sums],
                    ),
                    [*loaded, *(len(loads) + k for k in stored)],
                    [rows[v] for v in (*part.reads, *part.keeps)],
                    sums,
                )
            )
        dtypes = {row: value.dtype for value, row in rows.items()}
        work = sum(float(COST.get(m.name, 1)) for m in order)
        return Run(made, [dtypes[row] for row in range(len(dtypes))], len(loads), work)

    def _stage(self, part: stages.Stage, loads: list[Value], stored: list[Value], taken: list[Value]) -> Body:
        """What a loop does at each element in one of its stages."""

        def body(at: list[Access]) -> list[str]:
            registers: dict[Value, str] = {}
            reads, others = [*loads, *part.reads], [*stored, *part.keeps]
            given = [*at[: len(loads)], *at[len(loads) + len(stored) :]]
            for value, access in zip(reads, given, strict=False):
                registers[value] = load(self.code, access.pointer, value.dtype)
            for member in part.members:
                operands = [self._operand(arg, registers) for arg in member.args]
                registers[member.results[0]] = self._apply(member, operands)
            to = [*at[len(loads) : len(loads) + len(stored)], *given[len(reads) :]]
            for value, access in zip(others, to, strict=True):
                store(self.code, registers[value], access.pointer, value.dtype)
            return [self._operand(value, registers) for value in taken]

        return body

    def _per_row(self, maker: Instruction | None) -> bool:
        return maker is not None and (maker in self.kernel.rows or maker in self.row_sums)

    def _operand(self, arg: Value, registers: dict[Value, str]) -> str:
        found = self._literal(arg)
        if found is not None:
            return found
        if arg in registers:
            return registers[arg]
        maker = arg.source
        assert maker is not None
        return self.rows[maker.results[0]]

    def _literal(self, value: Value) -> str | None:
        """A single number that is known, also behind views."""
        root = self.layouts[value].root
        if isinstance(root, Constant) and root.size == 1:
            return literal(root.array.item(), root.dtype)
        return None

    def _apply(self, member: Instruction, operands: list[str]) -> str:
        (result,) = member.results
        return apply(self.code, member.name, tuple(a.dtype for a in member.args), result.dtype, operands)


def fusible(instruction: Instruction) -> bool:
    """Whether a kernel can contain an instruction."""
    if instruction.kind == "reduction":
        (arg,) = instruction.args
        return arg.size > 0 and "axes" in instruction.params and reducible(instruction.name, arg.dtype)
    if instruction.kind == "movement":
        return joins(instruction) and all(supported(v.dtype) for v in instruction.results)
    if instruction.kind != "elementwise" or "plan" in instruction.params:
        return False
    (result,) = instruction.results
    return result.size > 0 and can(instruction.name, tuple(a.dtype for a in instruction.args), result.dtype)


def weight(instruction: Instruction) -> float:
    """How much code an instruction is in a kernel, beside an addition: an exponential is two, a sine five."""
    return 1 + float(COST.get(instruction.name, 0)) / 20


#: Bytes that a core reads or writes in a cycle, from its second level cache and from beyond, and what that holds.
_NEAR, _FAR, _CACHE = 32, 12, 1 << 20


def moving(bytes: int) -> float:
    """Roughly how many cycles it takes to read or write so many bytes."""
    return bytes / (_NEAR if bytes <= _CACHE else _FAR)


def cycles(kernel: Kernel) -> float:
    """Roughly how many cycles a kernel takes: those of its operations on vectors, or those that memory takes."""
    inside = set(kernel.members)
    read = {a: None for m in kernel.members for a in m.args if a.source not in inside}
    size = max((r.dtype.itemsize for m in kernel.members for r in m.results), default=4)
    operations = math.prod(kernel.domain) * per_element(kernel) * size / registers().bytes
    moved = sum(v.nbytes for v in (*read, *_leaving(kernel)))
    return max(operations, moving(moved))


def _leaving(kernel: Kernel) -> list[Value]:
    """A guess at the results that a kernel writes to memory: those that no other member reads."""
    used = {a.source for m in kernel.members for a in m.args}
    return [r for m in kernel.members if m not in used for r in m.results]


def per_element(kernel: Kernel) -> float:
    """The cost of a kernel's operations for one element, where an addition has 1."""
    return sum(float(COST.get(m.name, 1)) for m in kernel.members if m not in kernel.rows)


def crosses(kernel: Kernel) -> set[Value]:
    """Results that are used in a later phase than the one they are computed in, and cost too much to be computed
    again: they are kept in memory."""
    ready = kernel.phases()
    inside = set(kernel.members)
    price: dict[Instruction, float] = {}
    found: set[Value] = set()
    for member in kernel.members:
        if member.kind != "elementwise" or member in kernel.rows:
            continue
        total = float(COST.get(member.name, 1))
        for arg in member.args:
            maker = arg.source
            if maker in inside and maker.kind == "elementwise" and maker not in kernel.rows:
                total += price[maker]
        price[member] = total
    for member in kernel.members:
        phase = ready[member] - (1 if kernel.is_row_reduction(member) else 0)
        for arg in member.args:
            maker = arg.source
            if maker in price and ready[maker] < phase and price[maker] > CHEAP:
                found.add(maker.results[0])
    return found
