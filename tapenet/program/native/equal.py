"""What the code of a kernel or product follows from: of those that are equal in it, as repeated layers have them, one is
written."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import NamedTuple

from tapenet.llvm.emitter import literal
from tapenet.program.fusion import Kernel
from tapenet.program.ir import Constant, Instruction, Value
from tapenet.program.layout import Layouts
from tapenet.program.native.functions import Function, Offset
from tapenet.program.native.memory import Memory, members


class Form(NamedTuple):
    """A kernel or product, but for where in memory it works.

    Attributes:
        key: equal for those whose code is equal but for the buffers.
        numbers: the buffers that it works on, numbered.
    """

    key: Hashable
    numbers: Mapping[Hashable, int]

    def bound(self, function: Function) -> Function:
        """The function of this one, of one that was written for the numbers of buffers."""
        buffers = list(self.numbers)

        def at(number: Hashable) -> Hashable:
            if isinstance(number, Offset):
                return number._replace(buffer=at(number.buffer))
            assert isinstance(number, int)
            return buffers[number]

        return function._replace(buffers=tuple(map(at, function.buffers)))


def form(entry: Kernel | Instruction, layouts: Layouts, memory: Memory) -> Form:
    """The form of a product, or of a kernel that reads nothing that is joined."""
    kernel = entry if isinstance(entry, Kernel) else None
    inside: dict[Instruction | None, int] = {}
    values: dict[Value, int] = {}
    roots: dict[Value, int] = {}
    numbers: dict[Hashable, int] = {}
    told: list[Hashable] = []

    def number(value: Value) -> int:
        found = values.get(value)
        if found is not None:
            return found
        place = layouts[value]
        root = place.root
        maker = inside.get(value.source, -1)
        if kernel is not None and isinstance(root, Constant) and root.size == 1:
            told.append((value.shape, value.dtype, root.dtype, literal(root.array.item(), root.dtype)))
        else:
            buffer = -1
            if maker < 0 or root in memory.stored:
                buffer = numbers.setdefault(memory.buffer(root), len(numbers))
            told.append((
                value.shape, value.dtype, place.offset, place.strides, maker, roots.setdefault(root, len(roots)), root.dtype,
                buffer, value in memory.stored,
            ))  # fmt: skip
        made = values[value] = len(values)
        return made

    written: list[Hashable] = []
    for i, member in enumerate(members(entry)):
        args = tuple(map(number, member.args))
        inside[member] = i
        # Of elementwise instructions the names and dtypes say all.
        params = tuple(member.params.items()) if member.kind == "product" else member.params.get("axes")
        rows = kernel is not None and member in kernel.rows
        written.append((member.name, params, rows, args, tuple(map(number, member.results))))
    shape = None if kernel is None else (kernel.domain, kernel.split)
    space = memory.workspace(entry)
    if space is not None:
        numbers[space] = len(numbers)
    return Form((shape, tuple(written), tuple(told), space is None), numbers)
