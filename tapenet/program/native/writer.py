"""What the writers of an instruction's code begin with: where its values lie, and what its function is given."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from tapenet.llvm.loops import Access, Code
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Layouts
from tapenet.program.native.kernels import Function, Offset


@dataclass(eq=False)
class Writer:
    """Writes the function of one instruction.

    Attributes:
        instruction, layouts, buffer: what it computes, and where that lies.
        workspace: the buffer of memory for itself, if it needs some.
        code: what is written.
        pointers: the names of the function's arguments, by what they point to.
    """

    instruction: Instruction
    layouts: Layouts
    buffer: Callable[[Value], Hashable]
    workspace: Hashable | None
    code: Code = field(init=False, default_factory=Code)
    pointers: dict[Hashable, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Each kind of writer notes here what it needs more."""

    def parameter(self, key: Hashable) -> str:
        """The argument that points to something."""
        return self.pointers.setdefault(key, f"%b{len(self.pointers)}")

    def access(self, value: Value) -> Access:
        """How a value is read or written."""
        place = self.layouts[value]
        pointer = self.parameter(Offset.of(self.buffer(place.root), place.offset, value.dtype))
        return Access(pointer, place.strides, value.dtype)

    def done(self) -> Function:
        """What has been written."""
        return Function.of(self.code, self.pointers)
