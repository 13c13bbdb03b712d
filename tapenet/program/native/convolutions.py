"""The code of convolutions with their channels innermost."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from tapenet.kernels import channels_last
from tapenet.llvm.kernel import Array, Kernel
from tapenet.llvm.loops import offset
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Layouts, alike, c_strides
from tapenet.program.native.kernels import Function
from tapenet.program.primitives import Spec
from tapenet.program.windows import shape_of


def shape(instruction: Instruction) -> channels_last.Shape:
    """What it is a convolution of."""
    return shape_of([Spec(a.shape, a.dtype) for a in instruction.args], instruction.params)


def scattered(instruction: Instruction, layouts: Layouts) -> list[int]:
    """Positions of the operands that do not lie in the usual order."""
    return [i for i, a in enumerate(instruction.args) if not alike(a.shape, layouts[a].strides, c_strides(a.shape))]


def workspace(instruction: Instruction) -> int:
    """Bytes that it needs for itself."""
    return shape(instruction).space * instruction.results[0].dtype.itemsize


def write(
    instruction: Instruction, layouts: Layouts, buffer: Callable[[Value], Hashable], workspace: Hashable | None
) -> Function:
    """The function of one convolution."""
    (result,) = instruction.results
    k = Kernel("convolution", result.dtype)
    pointers: dict[Hashable, str] = {}

    def array(value: Value) -> Array:
        place = layouts[value]
        pointer = pointers.setdefault(buffer(place.root), f"%b{len(pointers)}")
        return Array(k, offset(k, pointer, place.offset, 1, value.dtype), c_strides(value.shape), value.dtype)

    x, weight, bias, *more = map(array, instruction.args)
    out = array(result)
    space = out
    if workspace is not None:
        space = Array(k, pointers.setdefault(workspace, f"%b{len(pointers)}"), (1,), result.dtype)
    channels_last.write(k, shape(instruction), x, weight, bias, more[0] if more else None, out, space)
    return Function.of(k, pointers)
