"""The code of loops and branches: native functions that call the native function of a body.

A body is a program of its own with a table of its own, on the stack; its arena is a part of the arena outside. What is
carried lives in the loop's results from the first turn to the last, and the body changes it there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import numpy as np

from tapenet.native.emitter import load
from tapenet.native.loops import Access, Code, copy, offset
from tapenet.program.ir import Constant, Instruction, Program, Value, Write
from tapenet.program.layout import Layouts
from tapenet.program.native import interrupts
from tapenet.program.native.kernels import Function
from tapenet.program.native.moves import STATUS
from tapenet.typing import Shape

_POINTER = np.dtype(np.int64)  # as wide as a pointer


class Body(NamedTuple):
    """The native form of a body: its function, and what its table holds."""

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    table: list[Value]


def program_of(body: Program, carries: int) -> Program:
    """A body as the native form wants it: what is carried is written where it came from."""
    writes = [Write(target, value) for target, value in zip(body.inputs, body.outputs[:carries], strict=False)]  # type: ignore[arg-type]
    return Program(body.inputs, [], body.body, body.outputs[carries:], writes)


def strides(instruction: Instruction, layouts: Layouts, body: Program) -> dict[Value, Shape]:
    """How the inputs of a body lie in memory."""
    found: dict[Value, Shape] = {}
    if instruction.name == "branch":
        for value, arg in zip(body.inputs, instruction.args[1:], strict=True):
            found[value] = layouts[arg].strides
        return found
    carries, slices = instruction.params["carries"], instruction.params["slices"]
    for i, (value, arg) in enumerate(zip(body.inputs, instruction.args, strict=True)):
        if i < carries:
            found[value] = layouts[instruction.results[i]].strides
        else:
            found[value] = layouts[arg].strides[1 if i < carries + slices else 0 :]
    return found


class _Writer:
    def __init__(self, instruction: Instruction, layouts: Layouts, buffer: Callable[[Value], Hashable]) -> None:
        self.instruction = instruction
        self.layouts = layouts
        self.buffer = buffer
        self.code = Code()
        self.pointers: dict[Hashable, str] = {}

    def parameter(self, buffer: Hashable) -> str:
        return self.pointers.setdefault(buffer, f"%b{len(self.pointers)}")

    def pointer(self, value: Value) -> str:
        """The first element of a value."""
        place = self.layouts[value]
        return offset(self.code, self.parameter(self.buffer(place.root)), place.offset, 1, value.dtype)

    def table(self, body: Body, workspace: Hashable, name: str) -> str:
        """The table of a body, with what does not change from turn to turn that is no argument."""
        self.code.cells.append(f"  %{name} = alloca [{2 + len(body.table)} x i64]")
        self.put(f"%{name}", 0, self.parameter(workspace))
        self.code.line(f"  store i64 0, ptr {offset(self.code, f'%{name}', 1, 1, _POINTER)}")
        for i, value in enumerate(body.table):
            if isinstance(value, Constant):
                self.put(f"%{name}", 2 + i, self.parameter(self.buffer(value)))
        return f"%{name}"

    def put(self, table: str, position: int, pointer: str) -> None:
        self.code.line(f"  store ptr {pointer}, ptr {offset(self.code, table, position, 1, _POINTER)}")

    def run(self, body: Body, table: str) -> str:
        """Call a body; whether it failed."""
        status = self.code.emit(f"call i64 @{body.name}(ptr {table})")
        failed = self.code.emit(f"icmp ne i64 {status}, 0")
        place = self.parameter(STATUS)
        before = load(self.code, place, _POINTER)
        self.code.line(f"  store i64 {self.code.emit(f'select i1 {failed}, i64 1, i64 {before}')}, ptr {place}")
        return failed

    def done(self) -> Function:
        return Function.of(self.code, self.pointers)


def loop(
    instruction: Instruction, layouts: Layouts, buffer: Callable[[Value], Hashable], workspace: Hashable, body: Body
) -> Function:
    """The function of a loop."""
    writer = _Writer(instruction, layouts, buffer)
    code = writer.code
    params = instruction.params
    carries, slices, length = params["carries"], params["slices"], params["length"]
    table = writer.table(body, workspace, "table")
    position = {value: 2 + i for i, value in enumerate(body.table)}
    for i in range(carries):
        arg, result = instruction.args[i], instruction.results[i]
        source, target = writer.pointer(arg), writer.pointer(result)
        if source != target:
            one, two = layouts[arg], layouts[result]
            copy(code, arg.shape, Access(source, one.strides, arg.dtype), Access(target, two.strides, arg.dtype))
        writer.put(table, position[body.inputs[i]], target)
    moving: list[tuple[int, str, int, np.dtype]] = []
    for i, arg in enumerate(instruction.args[carries:], carries):
        pointer = writer.pointer(arg)
        if i < carries + slices:
            moving.append((position[body.inputs[i]], pointer, layouts[arg].strides[0], arg.dtype))
        else:
            writer.put(table, position[body.inputs[i]], pointer)
    for result, value in zip(instruction.results[carries:], body.outputs, strict=True):
        moving.append((position[value], writer.pointer(result), value.size, result.dtype))
    writer.parameter(STATUS)

    often = interrupts.turns(instruction)

    def turn(index: str) -> None:
        done = index
        if params.get("reverse"):
            index = code.emit(f"sub i64 {length - 1}, {index}")
        for at, pointer, step, dtype in moving:
            writer.put(table, at, offset(code, pointer, index, step, dtype))
        failed = writer.run(body, table)
        following, stop = code.label(), code.label()
        code.line(f"  br i1 {failed}, label %{stop}, label %{following}")
        code.begin(stop)
        code.line("  ret void")
        code.begin(following)
        if often is not None:
            _ask(code, done, often, writer.parameter(STATUS))

    code.loop(length, turn)
    return writer.done()


def _ask(code: Code, index: str, often: int, status: str) -> None:
    """Leave the loop after each so many turns if there is an interrupt."""
    asks, stop, following = code.label(), code.label(), code.label()
    last = code.emit(f"icmp eq i64 {code.emit(f'and i64 {index}, {often - 1}')}, {often - 1}")
    code.line(f"  br i1 {last}, label %{asks}, label %{following}")
    code.begin(asks)
    code.declares.add(interrupts.CHECK)
    raised = code.emit(f"icmp ne i32 {code.emit('call i32 @PyErr_CheckSignals()')}, 0")
    code.line(f"  br i1 {raised}, label %{stop}, label %{following}")
    code.begin(stop)
    code.line(f"  store i64 1, ptr {status}")
    code.line("  ret void")
    code.begin(following)


def branch(
    instruction: Instruction, layouts: Layouts, buffer: Callable[[Value], Hashable], workspace: Hashable,
    true: Body, false: Body,
) -> Function:  # fmt: skip
    """The function of a branch."""
    writer = _Writer(instruction, layouts, buffer)
    code = writer.code
    condition = load(code, writer.pointer(instruction.args[0]), np.dtype(bool))
    writer.parameter(STATUS)
    pointers = [writer.pointer(arg) for arg in instruction.args[1:]]
    results = [writer.pointer(result) for result in instruction.results]
    tables = [writer.table(body, workspace, name) for body, name in ((true, "yes"), (false, "no"))]
    labels = [code.label(), code.label()]
    code.line(f"  br i1 {condition}, label %{labels[0]}, label %{labels[1]}")
    end = code.label()
    for body, table, label in zip((true, false), tables, labels, strict=True):
        code.begin(label)
        position = {value: 2 + i for i, value in enumerate(body.table)}
        for value, pointer in (*zip(body.inputs, pointers, strict=True), *zip(body.outputs, results, strict=True)):
            writer.put(table, position[value], pointer)
        writer.run(body, table)
        code.line(f"  br label %{end}")
    code.begin(end)
    return writer.done()
