"""The code of ufuncs that native code has no formulas for, special functions and those of complex numbers: calls of their inner
loops along the axes that are one in memory. Sums and products of complex numbers are such loops too, with a result that stays
where it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.llvm.code import Access, offset, places
from tapenet.llvm.emitter import literal, llvm_type, load, store
from tapenet.llvm.inner_loops import InnerLoop, call, inner_loop
from tapenet.llvm.loops import nest
from tapenet.llvm.reductions import identity
from tapenet.program.ir import Instruction
from tapenet.program.native.functions import Function
from tapenet.program.native.writer import Family
from tapenet.program.primitives import REDUCTIONS
from tapenet.program.ufunc_rows import UFUNCS
from tapenet.typing import Shape


def loop_of(instruction: Instruction) -> InnerLoop | None:
    """The loop that computes an instruction; None where there is none by itself."""
    if _behind(instruction):
        real = instruction.results[0].dtype.char
        return inner_loop(np.positive, f"{real}->{real}")
    if _sums(instruction):
        kind = instruction.args[0].dtype.char
        return inner_loop(REDUCTIONS[instruction.name], f"{kind}{kind}->{kind}")
    ufunc = UFUNCS.get(instruction.name) or getattr(np, instruction.name, None)
    if _chooses(instruction):
        ufunc = np.multiply
    if instruction.kind != "elementwise" or not isinstance(ufunc, np.ufunc):
        return None
    if instruction.name == "power" and instruction.results[0].dtype.kind == "i":
        return None  # of a negative exponent it raises: nothing that comes behind it is to run then
    types = "".join(a.dtype.char for a in instruction.args)
    return inner_loop(ufunc, f"{types}->{instruction.results[0].dtype.char}")


def _behind(instruction: Instruction) -> bool:
    """Whether it reads the imaginary parts of complex numbers, each of which lies behind a real one."""
    return instruction.name == "imag" and instruction.args[0].dtype.kind == "c"


def _sums(instruction: Instruction) -> bool:
    """Whether it adds up or multiplies complex numbers."""
    return instruction.name in ("reduce_add", "reduce_multiply") and instruction.args[0].dtype.kind == "c"


def _chooses(instruction: Instruction) -> bool:
    """Whether it multiplies complex numbers where neither is 0."""
    return instruction.name == "safe_mul" and instruction.results[0].dtype.kind == "c"


class UfuncCall(Family):
    """What a ufunc's inner loop computes."""

    @classmethod
    def takes(cls, instruction: Instruction) -> bool:
        return loop_of(instruction) is not None

    def write(self) -> Function:
        """Calls of the loop, along the axes that are one in memory."""
        instruction, code = self.instruction, self.code
        (result,) = instruction.results
        loop = loop_of(instruction)
        assert loop is not None
        sums = _sums(instruction)
        shape = instruction.args[0].shape if sums else result.shape
        if sums:
            first = identity(instruction.name, result.dtype)

            def begin(at: Sequence[Access]) -> list[str]:
                store(code, first, at[0].pointer, result.dtype)
                return []

            nest(code, result.shape, [self.access(result)], begin)
        pointers, strides = [], []
        for value in (*[result] * sums, *instruction.args, result):
            access = self.access(value)
            behind = value is not result and _behind(instruction)
            pointers.append(offset(code, access.pointer, 1, 1, result.dtype) if behind else access.pointer)
            own = [0 if n == 1 else s * value.dtype.itemsize for n, s in zip(value.shape, access.strides, strict=True)]
            if sums and value is result:
                for axis in instruction.params["axes"]:
                    own.insert(axis, 0)
            strides.append([0] * (len(shape) - len(own)) + own)
        lengths, steps = merged(shape, strides)

        def run(at: Sequence[str]) -> None:
            call(code, loop, at, lengths[-1:], [s[-1] for s in steps])

        places(code, lengths[:-1], pointers, [s[:-1] for s in steps], run)
        if _chooses(instruction):
            operands = zip((*instruction.args, result), pointers, strides, strict=True)
            accesses = [Access(p, [step // v.dtype.itemsize for step in own], v.dtype) for v, p, own in operands]
            nest(code, shape, accesses, self._choose)
        return self.done()

    def _choose(self, at: Sequence[Access]) -> list[str]:
        """A product becomes 0 where a factor is: infinity times 0 is nan."""
        code, dtype = self.code, self.instruction.results[0].dtype
        part = np.dtype(dtype.char.lower())
        type = llvm_type(part)

        def is_zero(factor: Access) -> str:
            numbers = [load(code, offset(code, factor.pointer, i, 1, part), part) for i in range(2)]
            real, imaginary = (code.emit(f"fcmp oeq {type} {number}, {literal(0, part)}") for number in numbers)
            return code.emit(f"and i1 {real}, {imaginary}")

        *factors, product = at
        first, second = map(is_zero, factors)
        either = code.emit(f"or i1 {first}, {second}")
        whole, bits = load(code, product.pointer, dtype), llvm_type(dtype)
        chosen = code.emit(f"select i1 {either}, {bits} {literal(0, dtype)}, {bits} {whole}")
        store(code, chosen, product.pointer, dtype)
        return []


def merged(shape: Shape, strides: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """A shape and the strides of several arrays in it with fewer axes, at least one: from the slowest of the last array to its
    fastest, those that are one for all of them merged."""
    order = sorted((i for i, n in enumerate(shape) if n != 1), key=lambda i: -abs(strides[-1][i]))
    lengths, steps = [1], [[0] for _ in strides]
    for i in order:
        if all(own[-1] == s[i] * shape[i] for own, s in zip(steps, strides, strict=True)) or lengths == [1]:
            lengths[-1] *= shape[i]
            for own, s in zip(steps, strides, strict=True):
                own[-1] = s[i]
        else:
            lengths.append(shape[i])
            for own, s in zip(steps, strides, strict=True):
                own.append(s[i])
    return lengths, steps
