"""The code of a C function of arrays: a call for each place in the leading axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.llvm.code import places
from tapenet.program.c_rows import CALLS, lengths
from tapenet.program.ir import Instruction
from tapenet.program.layout import Layouts, alike, c_strides
from tapenet.program.native.functions import Function, Offset
from tapenet.program.native.writer import Family
from tapenet.typing import Shape

_BYTE = np.dtype(np.int8)


class CFunction(Family):
    """What a C function of arrays computes."""

    @classmethod
    def takes(cls, instruction: Instruction) -> bool:
        return instruction.name in CALLS

    @classmethod
    def supports(cls, instruction: Instruction) -> bool:
        return tuple(v.dtype for v in (*instruction.args, *instruction.results)) in CALLS[instruction.name]

    @classmethod
    def scattered(cls, instruction: Instruction, layouts: Layouts) -> list[int]:
        """Of arrays that are not contiguous, each by itself."""
        found = []
        parts = next(iter(CALLS[instruction.name].values())).signature.inputs
        for i, (part, arg) in enumerate(zip(parts, instruction.args, strict=True)):
            lead = arg.ndim - len(part.sizes or ())
            shape = arg.shape[lead:]
            if not alike(shape, layouts[arg].strides[lead:], c_strides(shape)):
                found.append(i)
        return found

    def write(self) -> Function:
        """A call for each place in the leading axes."""
        instruction, layouts, code = self.instruction, self.layouts, self.code
        values = (*instruction.args, *instruction.results)
        function = CALLS[instruction.name][tuple(v.dtype for v in values)]
        signature = function.signature
        sizes = [f"i64 {n}" for n in lengths(function.name, signature, instruction.args).values()]
        lead = instruction.results[0].shape[: instruction.results[0].ndim - len(signature.outputs[0].sizes or ())]
        code.needs.add(function.symbol)
        begins = []
        steps: list[Shape] = []
        for part, value in zip((*signature.inputs, *signature.outputs), values, strict=True):
            place, item = layouts[value], value.dtype.itemsize
            begins.append(self.parameter(Offset.of(self.buffer(place.root), place.offset * item, _BYTE)))
            own = value.ndim - len(part.sizes or ())
            strides = [0 if n == 1 else s * item for n, s in zip(value.shape[:own], place.strides, strict=False)]
            steps.append((*[0] * (len(lead) - own), *strides))

        def one(at: Sequence[str]) -> None:
            code.line(f"  call void @{function.symbol}({', '.join([*(f'ptr {p}' for p in at), *sizes])})")

        places(code, lead, begins, steps, one)
        return self.done()
