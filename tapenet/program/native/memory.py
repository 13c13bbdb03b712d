"""Which memory each value of a program lives in: planned once, so that a call allocates nothing but its results.

What is read by another entry than the one that computes it gets a buffer; all else stays in registers. A buffer is
reused as soon as its value is no longer needed, and a written tensor is computed straight into its own storage where
nothing reads the old value any more.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from tapenet.llvm.addresses import LINE
from tapenet.program.c_rows import CALLS
from tapenet.program.called_ops import is_users
from tapenet.program.fusion import Entry, Kernel
from tapenet.program.in_place import SMALL, bases
from tapenet.program.ir import Instruction, Program, Value
from tapenet.program.joined import joins
from tapenet.program.layout import Layouts, alike
from tapenet.program.native import c_effects, interrupts, launches, stages
from tapenet.program.native.blocks import Block, place, up
from tapenet.program.native.callbacks import CallBack
from tapenet.program.native.draws import Draw
from tapenet.program.native.kernels import crosses, fusible
from tapenet.program.primitives import Spec
from tapenet.typing import Shape

#: What may find an index out of bounds.
INDEXING = ("take", "index", "put", "scatter_add", "add_at", "add_rows")


@dataclass(frozen=True, slots=True)
class Slot:
    """A buffer whose pointer is in the table, at this position."""

    position: int


@dataclass(frozen=True, slots=True)
class Arena:
    """A buffer inside the arena, by its first byte."""

    offset: int


@dataclass(frozen=True, slots=True)
class Cell:
    """A buffer of its own on the stack, which LLVM keeps in registers: of what a turn of a loop computes one by one."""

    number: int
    bytes: int


class Memory:
    """The memory of one program.

    Attributes:
        table: the values whose pointers the table holds after the first two places (the arena; the status, a number):
            arguments, results, references, constants, numbers from the host, what ops of the user's give.
        stored: the values that live in memory.
        arena_bytes: the size of the arena.
        unshared_bytes: what it would be if no memory were used twice.
    """

    def __init__(
        self,
        program: Program,
        entries: list[Entry],
        layouts: Layouts,
        constants: list[Value],
        workspaces: Mapping[Entry, Value],
        slots: Mapping[Value, Value] = {},
        body: bool = False,
        cells: bool = False,
    ) -> None:
        """Plan.

        Args:
            program: whose memory it is.
            entries: in the order in which they run; kernels that copy what is written at the end are added.
            layouts: where values lie; changed for what is computed into a tensor's storage.
            constants: the arrays among the constants, those of loops' bodies too.
            workspaces: memory that an entry needs for itself, as a value that lives as long as the entry runs.
            slots: values that are computed into parts of others (`slots`).
            body: whether it is the body of a loop: what it writes is carried, and nobody sees it where it fails.
            cells: whether what is small lies on the stack.
        """
        self._body = body
        self._cells = cells
        self.program = program
        self.entries = entries
        self.layouts = layouts
        self.table: list[Value] = [
            *program.inputs,
            *program.outputs,
            *program.references,
            *constants,
            *program.hosts,
        ]
        self._buffers: dict[Value, Hashable] = {v: Slot(2 + i) for i, v in enumerate(self.table)}
        self._workspaces = workspaces
        self._slots = slots
        self._order = {instruction: i for i, instruction in enumerate(program.body)}
        self._failing = self._failures()
        #: What brings its memory.
        self.brought = [value for entry in entries for value in brings(entry)]
        for value in self.brought:
            if value not in self._buffers:
                self._buffers[value] = Slot(2 + len(self.table))
                self.table.append(value)
        #: What is written in place: the layout is that of its storage.
        self._fixed = {write.target for write in program.writes}
        self.stored: set[Value] = set()
        self.arena_bytes = 0
        self.unshared_bytes = 0
        self._plan()

    def buffer(self, root: Value) -> Hashable:
        """The buffer of a value that is no view."""
        return self._buffers[root]

    def owner(self, buffer: Hashable) -> Value:
        """The value that a buffer of the table belongs to."""
        assert isinstance(buffer, Slot)
        return self.table[buffer.position - 2]

    def workspace(self, entry: Entry) -> Hashable | None:
        """The buffer that an entry has for itself: the arena of a loop's body, the sums of parts."""
        space = self._workspaces.get(entry)
        return None if space is None else self._buffers[space]

    # -- planning ------------------------------------------------------------------------------------------------

    def _plan(self) -> None:
        """Give every value that lives in memory a buffer."""
        program, layouts = self.program, self.layouts
        defined: dict[Value, int] = {}
        last: dict[Value, int] = {}
        inside: dict[Instruction, int] = {}
        for at, entry in enumerate(self.entries):
            space = self._workspaces.get(entry)
            if space is not None:
                defined[space] = last[space] = at
                self.stored.add(space)
            for member in members(entry):
                inside[member] = at
                for result in member.results:
                    defined[result] = at
        for at, entry in enumerate(self.entries):
            if isinstance(entry, Kernel):
                self.stored |= crosses(entry)
            for member in members(entry):
                for arg in member.args:
                    root = layouts[arg].root
                    last[root] = at
                    maker = arg.source
                    if maker is None or inside[maker] != at or not isinstance(entry, Kernel):
                        self.stored.add(root)
                if member.kind == "reduction" and not _in_register(entry, member):
                    self.stored.update(member.results)
                if not isinstance(entry, Kernel) and entry.kind != "view":
                    self.stored.update(member.results)
        self.stored.update(program.outputs)
        for part, whole in self._slots.items():
            self.stored.add(part)
            defined[whole] = min(defined[whole], defined.pop(part))
        for target, value in program.writes:
            self.stored.add(value)
            if value in self._buffers or not self._in_place(target, value, defined, last):
                self._copy_at_end(target, value, defined, last)
        self._allocate(defined, last, len(self.entries))
        self._buffers |= {part: self._buffers[whole] for part, whole in self._slots.items()}

    def _copy_at_end(self, target: Value, value: Value, defined: dict[Value, int], last: dict[Value, int]) -> None:
        """Add a kernel that copies a value into a tensor when all else has run."""
        copy = Instruction("copy", [value], {}, [Spec(value.shape, value.dtype)])
        (result,) = copy.results
        self.layouts.put(result, self.layouts[target].strides)
        self._buffers[result] = self._buffers[target]
        self.stored.add(result)
        defined[result] = last[value] = len(self.entries)
        if not fusible(copy):
            self.entries.append(copy)
            return
        kernel = Kernel(value.shape)
        kernel.add(copy)
        self.entries.append(kernel)

    def _in_place(self, target: Value, value: Value, defined: dict[Value, int], last: dict[Value, int]) -> bool:
        """Whether a written value can be computed straight into the tensor it is for; if so, it is."""
        at = defined[value]
        entry = self.entries[at]
        maker = value.source
        assert maker is not None
        whole = not _may_fail(entry) or entry.name in ("call", "add_rows", "provided")
        if _may_fail(entry) and entry.name == "loop":
            whole = interrupts.turns(entry) is None and not _fails_within(entry)  # it is to change nothing
        whole = whole and not _is_sized(entry)
        if not self._body and (self._failing[at] < self._order[maker] or not whole):
            return False  # it would be there, or a part of it, when an instruction before it or its own fails
        if last.get(target, -1) > at or not self._overwrites(entry, target, value):
            return False
        strides = self.layouts[target].strides
        if not _dense(target.shape, strides):
            return False
        if not alike(value.shape, strides, self.layouts[value].strides):
            if not _any_order(entry) or self.layouts.views(value) or self._read_elsewhere(value):
                return False  # others count on its strides
            self.layouts.put(value, strides)
        self._buffers[value] = self._buffers[target]
        before = _continued(entry, value)
        if before is not None:
            root = self.layouts[before].root
            unplaced = root in defined and root not in self._buffers and last[root] == at
            if unplaced and self._overwrites(entry, root, value):
                self._in_place(target, root, defined, last)  # so that nothing is copied
        return True

    def _failures(self) -> list[int]:
        """For each entry, the first of the program's instructions that may still fail when the entry has run."""
        first = len(self.program.body)
        found = []
        for entry in reversed(self.entries):
            found.append(first)
            if _may_fail(entry):
                first = -1 if _is_sized(entry) else min(first, self._order[entry])
        return found[::-1]

    def _read_elsewhere(self, value: Value) -> bool:
        """Whether an entry that is no kernel reads a value."""
        return any(not isinstance(e, Kernel) and value in e.args for e in self.entries)

    def _overwrites(self, entry: Entry, old: Value, new: Value) -> bool:
        """Whether an entry may write `new` over `old`: it reads of `old` nothing but the element it is at, and not
        after it wrote there."""
        readers = [(m, arg) for m in members(entry) for arg in m.args if self.layouts[arg].root is old]
        if not readers:
            return True
        before = _continued(entry, new)
        if before is not None:
            place = self.layouts[before]
            if [arg for _, arg in readers] != [before] or place.offset:
                return False
            strides = (self.layouts[old] if old in self._fixed else self.layouts[new]).strides
            return alike(new.shape, place.strides, strides)
        maker = new.source
        assert maker is not None
        if (
            not isinstance(entry, Kernel)
            or maker not in entry.members
            or new.shape != entry.domain
            or maker.kind not in ("elementwise", "movement")
        ):
            return False
        phases = entry.phases()
        if phases[maker] < max(phases.values()):
            return False
        if len(entry.members) > stages.LONG:
            return False  # a later stage may read `old`
        own = (self.layouts[old] if old in self._fixed else self.layouts[new]).strides
        for member, arg in readers:
            place = self.layouts[arg]
            if member in entry.rows or member in entry.shifted or joins(member):
                return False
            if arg.shape != entry.domain or place.offset:
                return False
            if not alike(arg.shape, place.strides, own):
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
        blocks: list[Block] = []
        held: dict[Value, Block] = {}
        for at in range(end):
            entry = self.entries[at]
            leaving = [old for old in dying[at] if defined[old] != at]
            for value in born[at]:
                size = up(max(value.nbytes, 1), LINE)
                if self._cells and value.nbytes <= SMALL:
                    self._buffers[value] = Cell(len(self._buffers), max(value.nbytes, 1))
                    continue
                self.unshared_bytes += size
                block = self._inherit(entry, value, leaving, held, size)
                if block is None:
                    block = Block(size, at, end)
                    blocks.append(block)
                held[value] = block
                block.values.append(value)
            for value in dying[at]:
                if value in held:
                    held.pop(value).last = at
        self.arena_bytes = place(blocks)
        self._buffers |= {value: Arena(block.offset) for block in blocks for value in block.values}

    def _inherit(
        self, entry: Entry, value: Value, leaving: Iterable[Value], held: dict[Value, Block], size: int
    ) -> Block | None:
        """The block of an operand that is read here for the last time, if the value may be written over it."""
        if isinstance(entry, Kernel):
            if value.shape != entry.domain:
                return None
        elif _continued(entry, value) is None:
            return None
        for old in leaving:
            if old not in held or old.nbytes != value.nbytes or old.dtype.itemsize != value.dtype.itemsize:
                continue
            if held[old].size == size and self._overwrites(entry, old, value):
                return held.pop(old)
        return None


#: Bytes of arguments and results of a call that are little.
LITTLE = 1 << 16


def brings(entry: Entry) -> list[Value]:
    """The results that are of use of a call that gives them in memory of their own: of an op of the user's, and of little.
    On large arrays tapenet's own ops compute where they are told, which saves memory, and takes 10 µs."""
    if isinstance(entry, Kernel) or entry.name != "call" or CallBack.takes(entry) or Draw.takes(entry):
        return []
    if launches.find(entry) or c_effects.find(entry):
        return []
    if not is_users(entry.params["op"]) and sum(v.nbytes for v in (*entry.args, *entry.results)) > LITTLE:
        return []
    return [r for r, spec in zip(entry.results, entry.params["specs"], strict=True) if spec is not None]


def members(entry: Entry) -> list[Instruction]:
    """The instructions of an entry."""
    return entry.members if isinstance(entry, Kernel) else [entry]


def _continued(entry: Entry, value: Value) -> Value | None:
    """The argument that a result of an entry goes on from: what a product is added to, what is written to in part, what a
    loop carries."""
    if isinstance(entry, Kernel) or value not in entry.results:
        return None
    return bases(entry).get(value)


def _may_fail(entry: Entry) -> TypeGuard[Instruction]:
    """Whether an entry may find an index out of bounds, or raise what an op raises. By then a call, `add_rows`
    and `provided` have written nothing, and the others a part."""
    if isinstance(entry, Kernel) or launches.find(entry):
        return False
    return entry.name in (*INDEXING, "provided") or entry.kind in ("control", "call", "linear algebra", "order")


def _fails_within(loop: Instruction) -> bool:
    """Whether a turn of a loop may fail."""
    return any(map(_may_fail, loop.params["body"].body))


def _is_sized(entry: Entry) -> bool:
    """Whether an entry may find that the program is for other sizes: then nothing may have been written."""
    return not isinstance(entry, Kernel) and bool(entry.params.get("sized"))


def _any_order(entry: Entry) -> bool:
    """Whether an entry's result may lie in memory in any order of its axes."""
    if isinstance(entry, Kernel):
        return True
    if launches.find(entry):
        return False  # it was recorded for the order that there was
    if entry.kind == "product":
        return entry.results[0].ndim == 2  # one of the last two axes has to be dense
    # Bodies are compiled for the order there was, and C functions take the usual one.
    return entry.kind != "control" and entry.name not in CALLS and not Draw.takes(entry)


def _in_register(entry: Entry, member: Instruction) -> bool:
    return isinstance(entry, Kernel) and entry.is_row_reduction(member)


def _dense(shape: Shape, strides: Shape) -> bool:
    expected = 1
    for n, s in sorted(zip(shape, strides, strict=True), key=lambda pair: pair[1]):
        if n == 1:
            continue
        if s != expected:
            return False
        expected *= n
    return True
