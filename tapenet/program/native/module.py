"""A whole program as one LLVM module: kernels, products, moves and loops in order, over memory planned ahead.

Every pointer is in one table: arguments, results, references, constants, numbers from the host, and the arena in which
all that is computed on the way has its place. A program that has to call Python in between (an op that is not
lowered) is cut into segments there.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

import numpy as np

from tapenet.llvm.code import Code, offset
from tapenet.llvm.emitter import held
from tapenet.llvm.scalar import COST
from tapenet.program.c_effects import CEffect
from tapenet.program.fusion import Entry, Kernel, fuse
from tapenet.program.ir import (
    Constant,
    Instruction,
    Program,
    Value,
)
from tapenet.program.layout import Layouts, Order
from tapenet.program.native import (
    boxes,
    c_effects,
    callbacks,
    control,
    copies,
    costs,
    equal,
    families,
    launches,
    parallel,
    pieces,
    products,
    reading_order,
    series,
    slots,
)
from tapenet.program.native.functions import Function, Functions, Offset
from tapenet.program.native.kernels import fusible, weight
from tapenet.program.native.memory import Arena, Cell, Memory, Slot, brings, members
from tapenet.program.native.outline import Call, Segment
from tapenet.program.native.raising import STATUS
from tapenet.program.primitives import BODIES
from tapenet.typing import Shape

#: Entries that one function calls, at most.
PART = 100


class Module:
    """The native form of one program.

    Attributes:
        program: the program as it is compiled, with copies where memory demands them.
        layouts: where its values lie.
        entries: its kernels and other instructions in the order in which they run.
        memory: where they keep their values.
        steps: native segments and calls of Python in the order in which they run.
        written: the function of each entry that is native, with its name.
        functions: the code.
    """

    def __init__(
        self,
        program: Program,
        functions: Functions | None = None,
        strides: dict[Value, Shape] | None = None,
        orders: Sequence[Order | None] = (),
    ) -> None:
        """Write the code.

        Args:
            program: what to compile.
            functions: those of the module that this program is a loop's body in.
            strides: how its inputs lie in memory; row-major by default.
            orders: how the results of a loop lie in memory that it is the body of, if not row by row.
        """
        self.functions = functions or Functions()
        self.layouts = Layouts(strides)
        # What a loop's turn computes becomes a row of what all of them do.
        body = functions is not None
        self.program = copies.run(program, self.layouts, body, orders)
        writers = reading_order.overwriting(self.program) if body else {}
        self.entries = fuse(self.program, self.layouts, {i for i in self.program.body if fusible(i)}, weight, writers)
        self.memory: Memory
        self.bodies: dict[Instruction, list[Module]] = {}
        self._cuts: dict[Kernel, parallel.Cut | None] = {}
        for entry in self.entries:
            if isinstance(entry, Instruction) and entry.kind == "control":
                self._bodies(entry)
        # Single numbers are literals in kernels; all else reads them in memory.
        read = {self.layouts[a].root for e in self.entries if isinstance(e, Instruction) for a in e.args}
        constants: dict[Value, None] = {c: None for c in self.program.constants if c.size > 1 or c in read}
        for modules in self.bodies.values():
            constants |= {c: None for m in modules for c in m.memory.table if isinstance(c, Constant)}
        #: The loops whose turns threads share, with the number of these.
        self.threads = {i: min(pieces.threads(), i.params["length"]) for i in self.bodies if self._is_shared(i)}
        spaces: dict[Entry, int] = {}
        for i, ms in self.bodies.items():
            spaces[i] = max(m.memory.arena_bytes for m in ms) * self.threads.get(i, 1)
        for entry in self.entries:
            if plan := launches.find(entry):
                constants |= dict.fromkeys(plan.constants)
                spaces[entry] = plan.workspace
            if isinstance(entry, Kernel) and (room := parallel.workspace(entry, self.cut(entry))):
                spaces[entry] = room
            if isinstance(entry, Instruction) and (family := families.of(entry)) and (room := family.room(entry)):
                spaces[entry] = room
        workspaces = {entry: Value((room,), np.dtype(np.uint8)) for entry, room in spaces.items()}
        parts = slots.find(self.program, self.entries, self.layouts)
        cells = body and len(self.entries) <= PART  # else they would belong to several functions
        self.memory = Memory(self.program, self.entries, self.layouts, list(constants), workspaces, parts, body, cells)
        # A barrier has told the others where they run.
        self.entries = [e for e in self.entries if isinstance(e, Kernel) or e.kind != "view"]
        self.steps = list(self._segments())
        self.written: dict[Entry, tuple[str, Function]] = {}
        self.prefix = f"body{self.functions.number()}_" if functions is not None else "segment"
        if functions is None or self.native:
            for step in self.steps:
                if isinstance(step, Segment):
                    self.functions.bodies.append(self._segment(step))

    def cut(self, kernel: Kernel) -> parallel.Cut | None:
        """The parts of a kernel: the same whenever it is asked, though memory is planned and layouts change meanwhile."""
        if kernel not in self._cuts:
            self._cuts[kernel] = parallel.cut(kernel, self.layouts)
        return self._cuts[kernel]

    @property
    def native(self) -> bool:
        """Whether no Python stands between segments."""
        return not any(isinstance(step, Call) for step in self.steps)

    def instructions(self, entries: Iterable[Entry] | None = None) -> Iterator[Instruction]:
        """What runs beside kernels, also in native loops and branches: in all of the module, or in some entries of it."""
        for entry in self.entries if entries is None else entries:
            if isinstance(entry, Instruction):
                yield entry
                for body in self.bodies.get(entry, ()):
                    yield from body.instructions()

    @property
    def called_back(self) -> list[callbacks.Back]:
        """The ops in loops and branches that are called back."""
        return [i.params["back"] for i in self.instructions() if callbacks.CallBack.takes(i)]

    @property
    def c_effects(self) -> list[CEffect]:
        """What C functions do in it."""
        return [found for i in self.instructions() if (found := c_effects.find(i))]

    @property
    def alone(self) -> bool:
        """Whether BLAS's own threads would be in the way: its products are cut into blocks, or kernels that have threads are
        called, by tapenet's own ops."""
        called = any(isinstance(step, Call) and not brings(step.instruction) for step in self.steps)
        called = called or bool(self.called_back) or self.launches
        return called or any(products.in_blocks(f) for f in self.functions.by_name.values())

    @property
    def launches(self) -> bool:
        """Whether kernels of called ops run in it."""
        bodies = (m for modules in self.bodies.values() for m in modules)
        return any(map(launches.find, self.entries)) or any(m.launches for m in bodies)

    def _bodies(self, entry: Instruction) -> None:
        """Compile the bodies of a loop or branch, unless they have to call Python: then the loop is run there."""
        if (
            any(v.size == 0 or not held(v.dtype) for v in (*entry.args, *entry.results))
            or entry.params.get("length") == 0
        ):
            return
        programs = [control.program_of(entry, name) for name in BODIES[entry.name]]
        orders = entry.params.get("orders", ())
        modules = [Module(p, self.functions, control.strides(entry, self.layouts, p), orders) for p in programs]
        if all(m.native for m in modules):
            self.bodies[entry] = modules

    def _is_shared(self, entry: Instruction) -> bool:
        """Whether threads share the turns of a loop: of kernels and convolutions, which cannot fail, and carrying nothing."""
        if entry.name != "loop" or entry.params["carries"]:
            return False
        (body,) = self.bodies[entry]
        alone = all(isinstance(e, Kernel) or e.kind == "convolution" or launches.find(e) for e in body.entries)
        return alone and costs.of_all([entry], self.bodies) >= 2 * pieces.PART

    # -- code ----------------------------------------------------------------------------------------------------

    def _segments(self) -> Iterator[Segment | Call]:
        current: list[Entry] = []
        number = 0
        for entry in self.entries:
            if not isinstance(entry, Kernel) and entry.name == "copy" and not entry.results[0].size:
                continue  # there is nothing to copy into such a result
            if isinstance(entry, Kernel) or entry in self.bodies or launches.find(entry) or families.supports(entry):
                current.append(entry)
                continue
            if current:
                yield Segment(number, current)
                number += 1
                current = []
            yield Call(entry)
        if current or not number:
            yield Segment(number, current)

    @property
    def text(self) -> str:
        """The whole module as LLVM IR."""
        return self.functions.text()

    def _segment(self, segment: Segment) -> str:
        """The function of one segment: it takes the table, and returns 0 or what went wrong. A long one is cut into
        functions of bounded length, since LLVM's time for one grows faster than its length."""
        name = f"{self.prefix}{segment.number}"
        visible = "internal " if self.prefix != "segment" else ""
        if len(segment.entries) <= PART:
            return f"define {visible}i64 @{name}(ptr %table) {{\n{self._calls(segment.entries)}\n}}"
        code = Code()
        for i in range(0, len(segment.entries), PART):
            part = self._calls(segment.entries[i : i + PART])
            self.functions.bodies.append(f"define internal i64 @{name}_{i}(ptr %table) #0 {{\n{part}\n}}")
            _go_on_if_zero(code, code.emit(f"call i64 @{name}_{i}(ptr %table)"))
        body = "\n".join(code.lines)
        return f"define {visible}i64 @{name}(ptr %table) {{\nentry:\n{body}\n  ret i64 0\nfailed:\n  ret i64 1\n}}"

    def _calls(self, entries: list[Entry]) -> str:
        """The body of a function that calls those of entries."""
        code = Code()
        base = code.emit("load ptr, ptr %table")
        pointers: dict[Hashable, str] = {}

        def pointer(buffer: Hashable) -> str:
            if buffer not in pointers:
                if isinstance(buffer, Offset):
                    pointers[buffer] = offset(code, pointer(buffer.buffer), buffer.elements, 1, buffer.dtype)
                elif isinstance(buffer, Cell):
                    pointers[buffer] = f"%cell{buffer.number}"
                    code.cells.append(f"  {pointers[buffer]} = alloca [{buffer.bytes} x i8], align 16")
                elif isinstance(buffer, Arena):
                    pointers[buffer] = offset(code, base, buffer.offset, 1, np.dtype(np.int8))
                elif buffer == STATUS:
                    pointers[buffer] = offset(code, "%table", 1, 1, np.dtype(np.int64))
                else:
                    assert isinstance(buffer, Slot)
                    at = offset(code, "%table", buffer.position, 1, np.dtype(np.int64))
                    pointers[buffer] = code.emit(f"load ptr, ptr {at}")
            return pointers[buffer]

        for entry in entries:
            function = series.found(self._function(entry))
            if not function.buffers:  # all parts are where they are to be
                self.written[entry] = "nothing to do", function
                continue
            name = self.functions.name(function, inlined=self.prefix != "segment")
            self.written[entry] = name, function
            arguments = ", ".join(f"ptr {pointer(function.buffers[i])}" for i in function.given)
            code.line(f"  call void @{name}({arguments})")
            if STATUS in function.buffers:
                _go_on_if_zero(code, code.emit(f"load i64, ptr {pointer(STATUS)}"))
        code.line("  ret i64 0")
        tail = ""
        if STATUS in pointers:  # an index out of bounds: nothing more is run
            tail = "\nfailed:\n  %s = getelementptr i64, ptr %table, i64 1\n  store i64 0, ptr %s\n  ret i64 1"
        body = "\n".join([*code.cells, *code.lines])
        return f"entry:\n{body}{tail}"

    def _function(self, entry: Entry) -> Function:
        layouts, buffer = self.layouts, self.memory.buffer
        if slots.empty(entry, layouts):
            return Function.of(Code(), [])
        space = self.memory.workspace(entry)
        if isinstance(entry, Kernel) and entry.joins:
            return self._computed(entry, buffer, space)
        if isinstance(entry, Kernel) or entry.kind == "product":
            form = equal.form(entry, layouts, self.memory)
            key = form.key, self.cut(entry) if isinstance(entry, Kernel) else None
            function = self.functions.forms.get(key)
            if function is None:
                numbers = form.numbers
                number = None if space is None else numbers[space]
                function = self._computed(entry, lambda root: numbers[buffer(root)], number)
                self.functions.forms[key] = function
            return form.bound(function)
        if plan := launches.find(entry):
            return launches.write(entry, plan, layouts, buffer, space)
        if entry.kind == "control":
            bodies = [
                control.Body(f"{m.prefix}0", m.program.inputs, m.program.outputs, m.memory.table, m.memory.arena_bytes)
                for m in self.bodies[entry]
            ]
            if entry in self.threads:
                return control.shared(
                    entry, layouts, buffer, space, bodies[0], self.threads[entry], self.functions.name
                )
            write = control.WRITERS[entry.name]
            return write(entry, layouts, buffer, space, *bodies)
        return families.write(entry, layouts, buffer, space, self.functions.name)

    def _computed(self, entry: Entry, buffer: Callable[[Value], Hashable], space: Hashable | None) -> Function:
        """The function of a kernel or product."""
        if isinstance(entry, Instruction):
            return families.write(entry, self.layouts, buffer, space, self.functions.name)
        stored = self.memory.stored.__contains__
        cut = self.cut(entry)
        if cut is None:
            return boxes.code(entry, self.layouts, stored, buffer).write()
        return parallel.write(entry, cut, self.layouts, stored, buffer, space, self.functions.name)


def _go_on_if_zero(code: Code, status: str) -> None:
    """Leave for the label `failed` unless a status is 0."""
    fine = code.emit(f"icmp eq i64 {status}, 0")
    following = code.label()
    code.line(f"  br i1 {fine}, label %{following}, label %failed")
    code.begin(following)


def mostly_called(module: Module) -> bool:
    """Whether most of what a module computes is computed by what it calls from Python, by the numbers of elements."""
    called = native = 0.0
    for step in module.steps:
        if isinstance(step, Call):
            called += sum(result.size for result in step.instruction.results)
            continue
        for entry in step.entries:
            if isinstance(entry, Instruction) and entry.kind in ("product", "control"):
                return False
            for member in members(entry):
                read = () if member.kind == "movement" else member.args
                elements = max((value.size for value in (*read, *member.results)), default=0)
                native += elements * float(COST.get(member.name, 1))
    return called >= native
