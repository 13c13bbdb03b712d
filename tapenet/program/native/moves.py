"""The code of what moves elements about: joining, writing into a part, to and from complex numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tapenet.llvm import loops
from tapenet.llvm.addresses import LINE
from tapenet.llvm.code import Access, Code, offset
from tapenet.llvm.emitter import literal, load, store
from tapenet.llvm.loops import nest
from tapenet.llvm.scalar import apply
from tapenet.program.ir import Instruction, Value
from tapenet.program.native import pieces, raising
from tapenet.program.native.functions import Function, Offset
from tapenet.program.native.raising import STATUS
from tapenet.program.native.writer import Family


@dataclass(eq=False)
class Mover(Family):
    """What the writers of moved elements share."""

    def __post_init__(self) -> None:
        self.args = self.instruction.args
        (self.result,) = self.instruction.results

    def write(self) -> Function:
        """By the method of the instruction's name."""
        getattr(self, self.instruction.name)()
        return self.done()

    def copy(
        self, lengths: Sequence[int], source: Access, target: Access, add: bool = False, code: Code | None = None
    ) -> None:
        """Copy elements, or add them: in pieces, or in a part of a work as it is, whose code is given."""
        if code is None or code is self.code:
            pieces.copy(self.code, self.name, lengths, source, target, add)
        else:
            loops.copy(code, lengths, source, target, add)

    def continued(self, base: Value) -> Access:
        """The result, with the elements of the base in it."""
        out = self.access(self.result)
        if not self.continues(base):
            self.copy(base.shape, self.access(base), out)
        return out

    def continues(self, base: Value) -> bool:
        """Whether a base is in the result's memory: it is read for the last time."""
        return self.buffer(self.layouts[base].root) == self.buffer(self.result)


class Move(Mover):
    """Joined arrays, arrays with a part of their own, complex numbers from real ones and the reverse."""

    @classmethod
    def takes(cls, instruction: Instruction) -> bool:
        of_complex = instruction.name == "cast" and instruction.results[0].dtype.kind != "b"
        return of_complex or instruction.name in ("concatenate", "update", "provided")

    def concatenate(self) -> None:
        """Short runs of parts of one shape are copied side by side, so that each line of memory is written once."""
        axis = self.instruction.params["axis"]
        strides = self.layouts[self.result].strides
        groups: dict[object, list[tuple[Value, int]]] = {}
        start = 0
        for arg in self.args:
            if self.layouts[arg].root is not self.result:
                short = strides[axis] * arg.shape[axis] * arg.dtype.itemsize < LINE
                groups.setdefault(arg.shape if short else start, []).append((arg, start * strides[axis]))
            start += arg.shape[axis]
        for parts in groups.values():
            sources = [self.access(arg) for arg, _ in parts]
            out = self.access(self.result).pointer
            pointers = [offset(self.code, out, at, 1, self.result.dtype) for _, at in parts]
            targets = [Access(pointer, strides, self.result.dtype) for pointer in pointers]

            def body(at: list[Access]) -> list[str]:
                values = [load(self.code, a.pointer, a.dtype) for a in at[: len(at) // 2]]
                for value, target in zip(values, at[len(values) :], strict=True):
                    store(self.code, value, target.pointer, target.dtype)
                return []

            nest(self.code, parts[0][0].shape, [*sources, *targets], body)

    def cast(self) -> None:
        """To or from complex numbers, part by part; what has no imaginary part gets one of zeros."""

        def parts(access: Access) -> list[Access]:
            if access.dtype.kind != "c":
                return [access]
            dtype = np.dtype(access.dtype.char.lower())
            pointers = [access.pointer, offset(self.code, access.pointer, 1, 1, dtype)]
            return [Access(pointer, (), dtype) for pointer in pointers]

        def body(at: list[Access]) -> list[str]:
            given, targets = map(parts, at)
            for i, target in enumerate(targets):
                value = literal(0, target.dtype)
                if i < len(given):
                    number = load(self.code, given[i].pointer, given[i].dtype)
                    value = apply(self.code, "cast", [given[i].dtype], target.dtype, [number])
                store(self.code, value, target.pointer, target.dtype)
            return []

        (x,) = self.args
        nest(self.code, x.shape, [self.access(x), self.access(self.result)], body)

    def provided(self) -> None:
        x, wrong = self.args
        condition = load(self.code, self.access(wrong).pointer, wrong.dtype)
        params = self.instruction.params
        raising.write(self.code, condition, params["error"], params["text"], self.parameter(STATUS))
        self.copy(x.shape, self.access(x), self.access(self.result))

    def update(self) -> None:
        base, value = self.args
        slices = self.instruction.params["slices"]
        out = self.access(self.result)
        first = sum(start * stride for (start, _, _), stride in zip(slices, out.strides, strict=True))
        if self.continues(base):
            pointer = self.parameter(Offset.of(self.buffer(self.result), first, out.dtype))
        else:  # by one pointer: LLVM takes two for different memory
            self.copy(base.shape, self.access(base), out)
            pointer = offset(self.code, out.pointer, first, 1, out.dtype)
        steps = [step * stride for (_, _, step), stride in zip(slices, out.strides, strict=True)]
        self.copy(value.shape, self.access(value), Access(pointer, steps, out.dtype))
