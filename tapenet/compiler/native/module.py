"""A whole program as one LLVM module: kernels, products and moves in order, over buffers planned ahead.

Every pointer is in one table: arguments, results, references, constants, numbers from the host, and the arena in which
all that is computed on the way has its place. A program that has to call Python in between (an op that is not
lowered) is cut into segments there.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tapenet.compiler.fusion import Entry, Kernel, fuse, source
from tapenet.compiler.ir import Builder, Instruction, Program, Reference, Result, Value, Write, rewrite
from tapenet.compiler.layout import Layouts, c_strides, materialise
from tapenet.compiler.native import kernels, loops, moves, products
from tapenet.compiler.native.blas import find
from tapenet.compiler.native.kernels import Function, KernelCode, crosses, fusible
from tapenet.compiler.native.scalar import definitions
from tapenet.compiler.primitives import Spec

#: Bytes that a place in the arena is a multiple of: a cache line.
ALIGNMENT = 64


class Slot(NamedTuple):
    """A buffer whose pointer is in the table, at this position."""

    position: int


class Arena(NamedTuple):
    """A buffer inside the arena, by its first byte."""

    offset: int


class Call(NamedTuple):
    """An instruction that is run in Python."""

    instruction: Instruction


class Segment(NamedTuple):
    """Entries that run in one native function."""

    number: int
    entries: list[Entry]


class Module:
    """The native form of one program.

    Attributes:
        text: LLVM IR.
        steps: native segments and calls of Python in the order in which they run.
        table: the values whose pointers the table holds after the first two places (the arena; the status, a number):
            arguments, results, references, constants, numbers from the host.
        arena_bytes: the size of the arena.
        functions: the kernels, products and moves, by name; equal ones are there once.
    """

    def __init__(self, program: Program) -> None:
        self.layouts = Layouts()
        self.program = self._prepare(program)
        self.entries = fuse(self.program, self.layouts, {i for i in self.program.body if fusible(i)})
        self.table: list[Value] = [
            *self.program.inputs,
            *self.program.outputs,
            *self.program.references,
            *(c for c in self.program.constants if c.size > 1),
            *self.program.hosts,
        ]
        self._buffers: dict[Value, Hashable] = {v: Slot(2 + i) for i, v in enumerate(self.table)}
        self.stored: set[Value] = set()
        self.arena_bytes = 0
        self.unshared_bytes = 0
        self._plan()
        self.steps = list(self._segments())
        self.functions: dict[str, Function] = {}
        self._known: dict[str, str] = {}
        self.text = self._write()

    # -- preparation ---------------------------------------------------------------------------------------------

    def _prepare(self, program: Program) -> Program:
        """Copies where memory demands them: each output and each write has a value of its own, and BLAS gets operands
        it can read."""
        builder = Builder()
        builder.body = list(program.body)
        taken: set[Value] = set()

        def own(value: Value) -> Value:
            if isinstance(value, Result) and value.instruction.kind != "view" and value not in taken:
                taken.add(value)
                return value
            made: Value = builder.emit("copy", value)
            return made

        outputs = [own(v) for v in program.outputs]
        writes = [write._replace(value=own(write.value)) for write in program.writes]
        prepared = Program(program.inputs, program.hosts, builder.body, outputs, writes)
        for value in outputs:
            self.layouts.put(value, c_strides(value.shape))
        prepared = materialise(prepared, self.layouts)

        def dense(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Any:
            for arg in args:
                self.layouts[arg]  # in order, so that none is found by a long recursion
            for position in moves.wants_dense(instruction, self.layouts):
                copy = builder.emit("copy", args[position])
                self.layouts.put(copy, c_strides(copy.shape))
                args = (*args[:position], copy, *args[position + 1 :])
            if args == instruction.args:
                return None
            return builder.emit(instruction.name, *args, **instruction.params)

        return rewrite(prepared, dense)

    # -- memory --------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Give every value that lives in memory a buffer."""
        program, layouts = self.program, self.layouts
        defined: dict[Value, int] = {}
        last: dict[Value, int] = {}
        inside: dict[Instruction, int] = {}
        for at, entry in enumerate(self.entries):
            for member in _members(entry):
                inside[member] = at
                for result in member.results:
                    defined[result] = at
        for at, entry in enumerate(self.entries):
            if isinstance(entry, Kernel):
                self.stored |= crosses(entry)
            for member in _members(entry):
                for arg in member.args:
                    root = layouts[arg].root
                    last[root] = at
                    maker = source(arg)
                    if maker is None or inside[maker] != at or not isinstance(entry, Kernel):
                        self.stored.add(root)
                if member.kind == "reduction" and not _in_register(entry, member):
                    self.stored.update(member.results)
                if not isinstance(entry, Kernel):
                    self.stored.update(member.results)
        end = len(self.entries)
        self.stored.update(program.outputs)
        #: Written values that are copied into their tensors at the end.
        self.copies: list[Write] = []
        for target, value in program.writes:
            self.stored.add(value)
            if value in self._buffers or not self._in_place(target, value, defined, last):
                self._copy_at_end(target, value, defined, last)
        self._allocate(defined, last, len(self.entries))

    def _copy_at_end(self, target: Reference, value: Value, defined: dict[Value, int], last: dict[Value, int]) -> None:
        """Add a kernel that copies a value into a tensor when all else has run."""
        copy = Instruction("copy", [value], {}, [Spec(value.shape, value.dtype)])
        (result,) = copy.results
        self.layouts.put(result, self.layouts[target].strides)
        self._buffers[result] = self._buffers[target]
        self.stored.add(result)
        kernel = Kernel(value.shape)
        kernel.members.append(copy)
        defined[result] = last[value] = len(self.entries)
        self.entries.append(kernel)

    def _in_place(self, target: Reference, value: Value, defined: dict[Value, int], last: dict[Value, int]) -> bool:
        """Whether a written value can be computed straight into the tensor it is for; if so, it is."""
        at = defined[value]
        if last.get(target, -1) > at or not self._overwrites(self.entries[at], target, value):
            return False
        strides = self.layouts[target].strides
        if not _dense(target.shape, strides):
            return False
        if not _same(value.shape, strides, self.layouts[value].strides):
            if self.layouts.views(value):
                return False  # views of it count on its strides
            self.layouts.put(value, strides)
        self._buffers[value] = self._buffers[target]
        return True

    def _overwrites(self, entry: Entry, old: Value, new: Value) -> bool:
        """Whether an entry may write `new` over `old`: it reads of `old` nothing but the element it is at, and not
        after it wrote there."""
        readers = [(m, arg) for m in _members(entry) for arg in m.args if self.layouts[arg].root is old]
        if not readers:
            return True
        if not isinstance(entry, Kernel) or new.shape != entry.domain:
            return False
        phases = entry.phases()
        if max(phases.values(), default=0) > 0:
            maker = source(new)
            assert maker is not None
            if phases[maker] < max(phases.values()):
                return False
        own = self.layouts[old].strides if isinstance(old, Reference) else self.layouts[new].strides
        for member, arg in readers:
            place = self.layouts[arg]
            if member in entry.rows or arg.shape != entry.domain or place.offset:
                return False
            if not _same(arg.shape, place.strides, own):
                return False
        return True

    def _allocate(self, defined: dict[Value, int], last: dict[Value, int], end: int) -> None:
        """Places in the arena for what has no buffer yet, reused when its value is no longer needed."""
        born: list[list[Value]] = [[] for _ in range(end)]
        dying: list[list[Value]] = [[] for _ in range(end + 1)]
        for value, at in defined.items():
            if value in self.stored and value not in self._buffers:
                born[at].append(value)
                dying[max(last.get(value, at), at)].append(value)
        free: list[tuple[int, int]] = []  # (offset, bytes)
        held: dict[Value, tuple[int, int]] = {}
        for at in range(end):
            entry = self.entries[at]
            leaving = set(dying[at])
            for value in born[at]:
                size = -(-max(value.nbytes, 1) // ALIGNMENT) * ALIGNMENT
                self.unshared_bytes += size
                place = self._inherit(entry, value, {o for o in leaving if defined[o] != at}, held, size)
                if place is None:
                    place = _take(free, size)
                if place is None:
                    place = (self.arena_bytes, size)
                    self.arena_bytes += size
                held[value] = place
                self._buffers[value] = Arena(place[0])
            for value in dying[at]:
                if value in held:
                    _give(free, held.pop(value))

    def _inherit(
        self, entry: Entry, value: Value, leaving: set[Value], held: dict[Value, tuple[int, int]], size: int
    ) -> tuple[int, int] | None:
        """The place of an operand that is read here for the last time, if the value may be written over it."""
        if not isinstance(entry, Kernel) or value.shape != entry.domain:
            return None
        for old in list(leaving):
            if old not in held or old.nbytes != value.nbytes or old.dtype.itemsize != value.dtype.itemsize:
                continue
            if held[old][1] == size and self._overwrites(entry, old, value):
                return held.pop(old)
        return None

    def buffer(self, root: Value) -> Hashable:
        """The buffer of a value that is no view."""
        return self._buffers[root]

    # -- code ----------------------------------------------------------------------------------------------------

    def _segments(self) -> Iterator[Segment | Call]:
        current: list[Entry] = []
        number = 0
        for entry in self.entries:
            if isinstance(entry, Kernel) or moves.supports(entry):
                current.append(entry)
                continue
            if current:
                yield Segment(number, current)
                number += 1
                current = []
            yield Call(entry)
        if current or not number:
            yield Segment(number, current)

    def _write(self) -> str:
        bodies = []
        for step in self.steps:
            if isinstance(step, Segment):
                bodies.append(self._segment(step))
        needs = {n for f in self.functions.values() for n in f.needs}
        declares = {n for f in self.functions.values() for n in f.declares}
        blas = find()
        integer = "i64" if blas is None else blas.integer
        texts = [definitions(needs)]
        texts.append(loops.declarations(n for n in declares if not n.startswith("tn_")))
        texts.append(products.declarations({n for n in declares if n.startswith("tn_")}, integer))
        for name, function in self.functions.items():
            parameters = ", ".join(f"ptr noalias %b{i}" for i in range(len(function.buffers)))
            body = function.text.replace("INT ", f"{integer} ")
            texts.append(f"define internal void @{name}({parameters}) #0 {{\nentry:\n{body}\n}}")
        return "\n\n".join([*texts, *bodies])

    def _segment(self, segment: Segment) -> str:
        """The function of one segment: it takes the table, and returns 0 or what went wrong."""
        code = loops.Code()
        base = code.emit("load ptr, ptr %table")
        pointers: dict[Hashable, str] = {}

        def pointer(buffer: Hashable) -> str:
            if buffer not in pointers:
                if isinstance(buffer, Arena):
                    pointers[buffer] = loops.offset(code, base, buffer.offset, 1, np.dtype(np.int8))
                elif buffer == moves.STATUS:
                    pointers[buffer] = loops.offset(code, "%table", 1, 1, np.dtype(np.int64))
                else:
                    assert isinstance(buffer, Slot)
                    at = loops.offset(code, "%table", buffer.position, 1, np.dtype(np.int64))
                    pointers[buffer] = code.emit(f"load ptr, ptr {at}")
            return pointers[buffer]

        for entry in segment.entries:
            function = self._function(entry)
            name = self._named(function)
            arguments = ", ".join(f"ptr {pointer(b)}" for b in function.buffers)
            code.line(f"  call void @{name}({arguments})")
            if moves.STATUS in function.buffers:
                status = code.emit(f"load i64, ptr {pointer(moves.STATUS)}")
                fine = code.emit(f"icmp eq i64 {status}, 0")
                following = code.label()
                code.line(f"  br i1 {fine}, label %{following}, label %failed")
                code.begin(following)
        code.line("  ret i64 0")
        tail = ""
        if moves.STATUS in pointers:  # an index out of bounds: nothing more is run
            tail = "\nfailed:\n  %s = getelementptr i64, ptr %table, i64 1\n  store i64 0, ptr %s\n  ret i64 1"
        body = "\n".join(code.lines)
        return f"define i64 @segment{segment.number}(ptr %table) {{\nentry:\n{body}{tail}\n}}"

    def _function(self, entry: Entry) -> Function:
        if isinstance(entry, Kernel):
            return KernelCode(entry, self.layouts, self.stored.__contains__, self.buffer).write()
        if entry.name == "dot":
            return products.write(entry, self.layouts, self.buffer)
        return moves.write(entry, self.layouts, self.buffer)

    def _named(self, function: Function) -> str:
        """The name of a function; one that was written before keeps its name."""
        key = function.text
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = f"k{len(self._known)}"
            self.functions[found] = function
        return found



def _members(entry: Entry) -> list[Instruction]:
    return entry.members if isinstance(entry, Kernel) else [entry]


def _in_register(entry: Entry, member: Instruction) -> bool:
    return isinstance(entry, Kernel) and entry.is_row_reduction(member)


def _dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    expected = 1
    for n, s in sorted(zip(shape, strides, strict=True), key=lambda pair: pair[1]):
        if n == 1:
            continue
        if s != expected:
            return False
        expected *= n
    return True


def _same(shape: tuple[int, ...], a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    return all(n == 1 or x == y for n, x, y in zip(shape, a, b, strict=True))


def _take(free: list[tuple[int, int]], size: int) -> tuple[int, int] | None:
    """The smallest free place that is large enough; what is left of it stays free."""
    best = min((f for f in free if f[1] >= size), key=lambda f: f[1], default=None)
    if best is None:
        return None
    free.remove(best)
    if best[1] > size:
        free.append((best[0] + size, best[1] - size))
    return best[0], size


def _give(free: list[tuple[int, int]], place: tuple[int, int]) -> None:
    """Return a place, merged with free neighbours."""
    offset, size = place
    for other in list(free):
        if other[0] + other[1] == offset or offset + size == other[0]:
            free.remove(other)
            offset, size = min(offset, other[0]), size + other[1]
    free.append((offset, size))
