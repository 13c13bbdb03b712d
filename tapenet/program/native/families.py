"""Who writes the code of an instruction that is not fused: of several that might, the first."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from tapenet.llvm.emitter import held
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Layouts
from tapenet.program.native.c_calls import CFunction
from tapenet.program.native.c_effects import CCall
from tapenet.program.native.callbacks import CallBack
from tapenet.program.native.convolutions import Convolution
from tapenet.program.native.draws import Draw
from tapenet.program.native.functions import Function
from tapenet.program.native.indexing import Indexing
from tapenet.program.native.linear_algebra import LinearAlgebra
from tapenet.program.native.moves import Move
from tapenet.program.native.ordering import Extreme, Ordering
from tapenet.program.native.products import MatrixProduct
from tapenet.program.native.transforms import Transform
from tapenet.program.native.ufunc_calls import UfuncCall
from tapenet.program.native.writer import Family

#: Calls, of values of any dtypes and sizes, and those whose elements native code holds.
_CALLS: tuple[type[Family], ...] = (CallBack, Draw, CCall)
_FAMILIES: tuple[type[Family], ...] = (
    *_CALLS, CFunction, UfuncCall, Transform, LinearAlgebra, Move, Indexing, Ordering, Extreme, Convolution, MatrixProduct,
)  # fmt: skip


def of(instruction: Instruction) -> type[Family] | None:
    """The family of an instruction; None if it is of none."""
    return next((family for family in _FAMILIES if family.takes(instruction)), None)


def supports(instruction: Instruction) -> bool:
    """Whether there is code for an instruction."""
    family = of(instruction)
    if family is None:
        return False
    if family not in _CALLS and any(
        v.size == 0 or not held(v.dtype) for v in (*instruction.args, *instruction.results)
    ):
        return False
    return family.supports(instruction)


def write(
    instruction: Instruction,
    layouts: Layouts,
    buffer: Callable[[Value], Hashable],
    workspace: Hashable | None,
    name: Callable[[Function], str],
) -> Function:
    """The function of an instruction that is supported; what it is given is what a `Family` is made of."""
    family = of(instruction)
    assert family is not None, instruction.name
    return family(instruction, layouts, buffer, workspace, name).write()
