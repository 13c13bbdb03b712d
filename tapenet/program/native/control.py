"""The code of loops and branches: native functions that call the native function of a body.

A body is a program of its own with a table of its own, on the stack; its arena is a part of the arena outside. What is
carried lives in the loop's results from the first turn to the last, and the body changes it there. What is small lives on the
stack meanwhile: as bodies become part of their loops, LLVM keeps it in registers. Threads share the turns of a loop of
kernels and convolutions that carries nothing, each with an arena of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.llvm.code import Access, Code, offset
from tapenet.llvm.emitter import load, store
from tapenet.llvm.loops import copy
from tapenet.program.in_place import SMALL, changed
from tapenet.program.ir import Constant, Instruction, Program, Value, Write
from tapenet.program.layout import Layouts
from tapenet.program.native import interrupts, pieces, raising
from tapenet.program.native.functions import Function
from tapenet.program.native.raising import STATUS
from tapenet.program.native.writer import Writer
from tapenet.program.primitives import too_long
from tapenet.typing import Shape

_POINTER = np.dtype(np.int64)  # as wide as a pointer


class Body(NamedTuple):
    """The native form of a body: its function, what its table holds, and the bytes of its arena."""

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    table: list[Value]
    room: int

    def place(self, value: Value) -> int:
        """Where its table holds the pointer to an input or output."""
        return 2 + self.table.index(value)


def program_of(instruction: Instruction, name: str) -> Program:
    """A body as the native form wants it: what is carried, or changed by a branch, is written where it came from."""
    body: Program = instruction.params[name]
    carries = instruction.params.get("carries", 0) if name == "body" else 0
    places = changed(instruction) if instruction.name == "branch" else {i: i for i in range(carries)}
    pairs = [(body.inputs[j], body.outputs[k]) for k, j in places.items()]
    writes = [Write(target, v) for target, v in pairs if v is not target or instruction.name != "branch"]  # type: ignore[arg-type]
    return Program(body.inputs, [], body.body, [v for k, v in enumerate(body.outputs) if k not in places], writes)


def strides(instruction: Instruction, layouts: Layouts, body: Program) -> dict[Value, Shape]:
    """How the inputs of a body lie in memory."""
    found: dict[Value, Shape] = {}
    if instruction.name == "branch":
        lives = {j: instruction.results[k] for k, j in changed(instruction).items()}
        for j, (value, arg) in enumerate(zip(body.inputs, instruction.args[1:], strict=True)):
            found[value] = layouts[lives.get(j, arg)].strides
        return found
    carries, slices = instruction.params["carries"], instruction.params.get("slices", 0)
    for i, (value, arg) in enumerate(zip(body.inputs, instruction.args, strict=True)):
        if i < carries:
            found[value] = layouts[instruction.results[i]].strides
        else:
            found[value] = layouts[arg].strides[1 if i < carries + slices else 0 :]
    return found


class Moving(NamedTuple):
    """A slice of an array that a table points to: at which place; the first one; how far it is to the next."""

    place: int
    pointer: str
    step: int
    dtype: np.dtype


class _Writer(Writer):
    def pointer(self, value: Value) -> str:
        """The first element of a value."""
        place = self.layouts[value]
        return offset(self.code, self.parameter(self.buffer(place.root)), place.offset, 1, value.dtype)

    def table(self, body: Body, name: str, arena: str | None = None) -> str:
        """The table of a body, with what does not change from turn to turn that is no argument."""
        self.code.cells.append(f"  %{name} = alloca [{2 + len(body.table)} x i64]")
        self.put(f"%{name}", 0, arena or self.parameter(self.workspace))
        self.code.line(f"  store i64 0, ptr {offset(self.code, f'%{name}', 1, 1, _POINTER)}")
        for i, value in enumerate(body.table):
            if isinstance(value, Constant):
                self.put(f"%{name}", 2 + i, self.parameter(self.buffer(value)))
        return f"%{name}"

    def put(self, table: str, position: int, pointer: str) -> None:
        self.code.line(f"  store ptr {pointer}, ptr {offset(self.code, table, position, 1, _POINTER)}")

    def carry(self, tables: Sequence[tuple[str, Body]]) -> list[tuple[Value, Access, Access]]:
        """Copy what is carried at first to where it lives, and give the tables what is carried from there.

        Returns:
            what lives on the stack: where, and where it belongs at the end.
        """
        small = []
        for i in range(self.instruction.params["carries"]):
            arg, result = self.instruction.args[i], self.instruction.results[i]
            begins = Access(self.pointer(arg), self.layouts[arg].strides, arg.dtype)
            ends = lives = Access(self.pointer(result), self.layouts[result].strides, arg.dtype)
            if arg.nbytes <= SMALL:
                lives = Access(f"%carry{i}", ends.strides, arg.dtype)
                self.code.cells.append(f"  %carry{i} = alloca [{arg.nbytes} x i8], align 16")
                small.append((arg, lives, ends))
            if begins.pointer != lives.pointer:
                copy(self.code, arg.shape, begins, lives)
            for table, body in tables:
                self.put(table, body.place(body.inputs[i]), lives.pointer)
        return small

    def end(self, small: Sequence[tuple[Value, Access, Access]]) -> None:
        """Give what was carried on the stack."""
        for value, lives, ends in small:
            copy(self.code, value.shape, lives, ends)

    def stacked(self, body: Body) -> list[Moving]:
        """The results of a loop that have a row for each turn."""
        results = self.instruction.results[self.instruction.params["carries"] :]
        return [
            Moving(body.place(value), self.pointer(result), value.size, result.dtype)
            for result, value in zip(results, body.outputs, strict=True)
        ]

    def move(self, table: str, moving: Sequence[Moving], turn: str) -> None:
        """Give a table what is another slice in each turn."""
        for at, pointer, step, dtype in moving:
            self.put(table, at, offset(self.code, pointer, turn, step, dtype))

    def run(self, body: Body, table: str) -> str:
        """Call a body; whether it failed."""
        status = self.code.emit(f"call i64 @{body.name}(ptr {table})")
        failed = self.code.emit(f"icmp ne i64 {status}, 0")
        place = self.parameter(STATUS)
        before = load(self.code, place, _POINTER)
        self.code.line(f"  store i64 {self.code.emit(f'select i1 {failed}, i64 1, i64 {before}')}, ptr {place}")
        return failed


class _Item(_Writer):
    """Writes a function that the pool calls, given pointers in memory."""

    def parameter(self, key: Hashable) -> str:
        if key not in self.pointers:
            place = offset(self.code, "%context", len(self.pointers), 1, _POINTER)
            self.code.line(f"  {super().parameter(key)} = load ptr, ptr {place}")
        return self.pointers[key]


def shared(
    instruction: Instruction, layouts: Layouts, buffer: Callable[[Value], Hashable], workspace: Hashable, body: Body,
    threads: int, name: Callable[[Function], str],
) -> Function:  # fmt: skip
    """The function of a loop whose turns so many threads share."""
    writer = _Item(instruction, layouts, buffer, workspace)
    code = writer.code
    arena = offset(code, writer.parameter(workspace), "%thread", body.room, np.dtype(np.int8))
    table = writer.table(body, "table", arena)
    slices = instruction.params["slices"]
    steps = [layouts[arg].strides[0] if i < slices else 0 for i, arg in enumerate(instruction.args)]
    moving = [
        Moving(body.place(inner), writer.pointer(arg), step, arg.dtype)
        for arg, inner, step in zip(instruction.args, body.inputs, steps, strict=True)
    ]
    writer.move(table, [*moving, *writer.stacked(body)], "%item")
    code.line(f"  call i64 @{body.name}(ptr {table})")
    outer = Code()
    pointers = [f"ptr {p}" for p in writer.pointers.values()]
    pieces.share(outer, name(pieces.called(code)), pointers, instruction.params["length"], threads)
    return Function.of(outer, writer.pointers)


def loop(
    instruction: Instruction, layouts: Layouts, buffer: Callable[[Value], Hashable], workspace: Hashable, body: Body
) -> Function:
    """The function of a loop."""
    writer = _Writer(instruction, layouts, buffer, workspace)
    code = writer.code
    params = instruction.params
    carries, slices, length = params["carries"], params["slices"], params["length"]
    table = writer.table(body, "table")
    small = writer.carry([(table, body)])
    moving: list[Moving] = []
    counters: list[tuple[str, int, int, np.dtype]] = []  # where, the first one, the step
    for i, arg in enumerate(instruction.args[carries:], carries):
        steps = _steps(arg) if i < carries + slices else None
        if steps is not None:
            counters.append((code.cell(arg.dtype), *steps, arg.dtype))
            writer.put(table, body.place(body.inputs[i]), counters[-1][0])
            continue
        pointer = writer.pointer(arg)
        if i < carries + slices:
            moving.append(Moving(body.place(body.inputs[i]), pointer, layouts[arg].strides[0], arg.dtype))
        else:
            writer.put(table, body.place(body.inputs[i]), pointer)
    moving += writer.stacked(body)
    writer.parameter(STATUS)

    often = interrupts.turns(instruction)

    def turn(index: str) -> None:
        done = index
        if params.get("reverse"):
            index = code.emit(f"sub nsw i64 {length - 1}, {index}")
        writer.move(table, moving, index)
        for place, first, step, dtype in counters:
            number = code.emit(f"add nsw i64 {code.emit(f'mul nsw i64 {index}, {step}')}, {first}")
            store(code, number, place, dtype)
        code.leave(writer.run(body, table))
        if often is not None:
            _ask(code, done, often, writer.parameter(STATUS))

    code.loop(length, turn)
    writer.end(small)
    return writer.done()


def _steps(value: Value) -> tuple[int, int] | None:
    """The first of numbers that are equally far apart, and how far: no turn has to read them."""
    if not isinstance(value, Constant) or value.dtype != _POINTER or value.ndim != 1 or not value.size:
        return None
    first, step = int(value.array[0]), int(value.array[1] - value.array[0]) if value.size > 1 else 0
    return (first, step) if np.array_equal(value.array, first + step * np.arange(value.size)) else None


def repeat(
    instruction: Instruction, layouts: Layouts, buffer: Callable[[Value], Hashable], workspace: Hashable,
    test: Body, body: Body,
) -> Function:  # fmt: skip
    """The function of a loop that goes on as long as a test gives true."""
    writer = _Writer(instruction, layouts, buffer, workspace)
    code = writer.code
    carries, length = instruction.params["carries"], instruction.params.get("length")
    tables = [(writer.table(each, name), each) for each, name in ((test, "test"), (body, "table"))]
    small = writer.carry(tables)
    for i, arg in enumerate(instruction.args[carries:], carries):
        pointer = writer.pointer(arg)
        for table, each in tables:
            writer.put(table, each.place(each.inputs[i]), pointer)
    moving = writer.stacked(body)
    status = writer.parameter(STATUS)
    goes_on, done = code.cell(np.dtype(bool)), code.cell(_POINTER)
    writer.put(tables[0][0], test.place(test.outputs[0]), goes_on)
    code.line(f"  store i64 0, ptr {done}")
    often = interrupts.turns(instruction)

    def tested() -> str:
        code.leave(writer.run(test, tables[0][0]))
        return load(code, goes_on, np.dtype(bool))

    def turn() -> None:
        index = load(code, done, _POINTER)
        if length is not None:
            wrong = code.emit(f"icmp eq i64 {index}, {length}")
            raising.write(code, wrong, RuntimeError, too_long(length), status)
        writer.move(tables[1][0], moving, index)
        code.leave(writer.run(body, tables[1][0]))
        if often is not None:
            _ask(code, index, often, status)
        code.line(f"  store i64 {code.emit(f'add i64 {index}, 1')}, ptr {done}")

    code.as_long_as(tested, turn)
    writer.end(small)
    return writer.done()


def _ask(code: Code, index: str, often: int, status: str) -> None:
    """Leave the loop after each so many turns if there is an interrupt."""
    code.declares |= interrupts.CHECK

    def ask() -> None:
        raised = code.emit(f"icmp ne i32 {code.emit('call i32 @tn_PyErr_CheckSignals()')}, 0")
        code.leave(raised, [f"  store i64 1, ptr {status}"])

    code.where(code.emit(f"icmp eq i64 {code.emit(f'and i64 {index}, {often - 1}')}, {often - 1}"), ask)


def branch(
    instruction: Instruction, layouts: Layouts, buffer: Callable[[Value], Hashable], workspace: Hashable,
    true: Body, false: Body,
) -> Function:  # fmt: skip
    """The function of a branch."""
    writer = _Writer(instruction, layouts, buffer, workspace)
    code = writer.code
    condition = load(code, writer.pointer(instruction.args[0]), np.dtype(bool))
    writer.parameter(STATUS)
    places = changed(instruction)
    pointers = [writer.pointer(arg) for arg in instruction.args[1:]]
    for k, j in places.items():
        arg, result = instruction.args[1 + j], instruction.results[k]
        ends = Access(writer.pointer(result), layouts[result].strides, result.dtype)
        if pointers[j] != ends.pointer:
            copy(code, arg.shape, Access(pointers[j], layouts[arg].strides, arg.dtype), ends)
        pointers[j] = ends.pointer
    results = [writer.pointer(result) for k, result in enumerate(instruction.results) if k not in places]
    tables = [writer.table(body, name) for body, name in ((true, "yes"), (false, "no"))]

    def run(body: Body, table: str) -> None:
        for value, pointer in (*zip(body.inputs, pointers, strict=True), *zip(body.outputs, results, strict=True)):
            writer.put(table, body.place(value), pointer)
        writer.run(body, table)

    code.where(condition, lambda: run(true, tables[0]), lambda: run(false, tables[1]))
    return writer.done()


#: What writes the function of an instruction, given it, where values lie, their buffers, the workspace and its bodies.
WRITERS: dict[str, Callable[..., Function]] = {"loop": loop, "while": repeat, "branch": branch}
