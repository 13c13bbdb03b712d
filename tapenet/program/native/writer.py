"""What the writers of an instruction's code begin with: where its values lie, and what its function is given."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import ClassVar

from tapenet.llvm.code import Access, Code
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Layouts
from tapenet.program.native.functions import Function, Offset


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


@dataclass(eq=False)
class Family(Writer, ABC):
    """Instructions of one kind that are not fused, and the writer of their code.

    Attributes:
        name: adds a function to the module, and gives its name there.
        kind: that of its instructions, where this tells them.
    """

    name: Callable[[Function], str]
    kind: ClassVar[str] = ""

    @classmethod
    def takes(cls, instruction: Instruction) -> bool:
        """Whether an instruction is one of them."""
        return instruction.kind == cls.kind

    @classmethod
    def supports(cls, instruction: Instruction) -> bool:
        """Whether there is code for one of them."""
        return True

    @classmethod
    def room(cls, instruction: Instruction) -> int:
        """The bytes of its workspace."""
        return 0

    @classmethod
    def scattered(cls, instruction: Instruction, layouts: Layouts) -> list[int]:
        """Positions of the arguments that have to be copied first: they cannot be read where they are."""
        return []

    @abstractmethod
    def write(self) -> Function:
        """The function of the instruction."""
