"""Reshapes moved out of the way of fusion.

A reshape between two elementwise instructions, or between one and a reduction, keeps them in two loops. So reshapes
move towards the results: what is computed from reshaped values is computed from the values as they were, and reshaped
after. A mean of squares written as `d.ravel().dot(d.ravel())` becomes a sum over the axes of `d` itself.
"""

from __future__ import annotations

import numpy as np

from tapenet.program.ir import Builder, Instruction, Program, Reference, Result, Value, rewrite
from tapenet.program.passes.patterns import Pairs, made_by, moved, only_ones, pairs, stripped
from tapenet.program.primitives import REDUCTIONS
from tapenet.typing import Shape


def run(program: Program) -> Program:
    """Move reshapes below elementwise instructions and reductions, wherever that adds no other."""
    if "reshape" not in program.names:
        return program

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        for arg in args:
            if isinstance(arg, Result) and arg.instruction.name == "reshape":
                break
        else:
            return None
        if instruction.name in REDUCTIONS:
            return _reduction(builder, instruction, args[0])
        if instruction.kind != "elementwise":
            return None
        return _sunk(builder, instruction, args) or _aligned(builder, instruction, args)

    return rewrite(program, change)


def _sunk(builder: Builder, instruction: Instruction, args: tuple[Value, ...]) -> Value | None:
    """f(reshape(a), reshape(b), c) as reshape(f(a, b, c)), if `a` is elementwise itself: there is no loop to share with
    anything else."""
    shape = instruction.results[0].shape
    for arg in args:
        reshape = made_by(arg, "reshape")
        if reshape is None or arg.shape != shape or not _elementwise(reshape.args[0]):
            continue
        source = reshape.args[0].shape
        groups = pairs(source, shape)
        found = [None if groups is None else _before(a, source, shape, groups) for a in args]
        if all(f is not None for f in found):
            operands = [builder.reshape(*f) for f in found if f is not None]
            made = builder.emit(instruction.name, *operands, **instruction.params)
            return builder.reshape(made, shape)
    return None


def _elementwise(value: Value) -> bool:
    return isinstance(value, Result) and value.instruction.kind == "elementwise"


def _before(arg: Value, source: Shape, shape: Shape, groups: Pairs) -> tuple[Value, Shape] | None:
    """What to give instead of an operand when the shape becomes the one before the reshape: a value, and the shape to
    give it; None if that would cost a reshape of something computed that is not there yet."""
    wanted = moved(arg.shape, shape, source, groups)
    if wanted is None:
        return None
    inner = made_by(arg, "reshape")
    for value in (inner.args[0], arg) if inner else (arg,):
        if stripped(value.shape) == wanted:
            return value, value.shape
    if inner:
        return inner.args[0], wanted
    return (arg, wanted) if _free(arg, groups) else None


def _free(arg: Value, groups: Pairs) -> bool:
    """Whether reshaping a value from outside copies nothing. (Inputs are nearly always contiguous.)"""
    if isinstance(arg, Reference):
        return only_ones(groups) or bool(arg.tensor._data.flags.c_contiguous)
    return not isinstance(arg, Result)


def _aligned(builder: Builder, instruction: Instruction, args: tuple[Value, ...]) -> Value | None:
    """Operands without the leading axes of length 1 that NumPy's rules of broadcasting add by themselves."""
    shape = instruction.results[0].shape
    found = list(args)
    for i, arg in enumerate(args):
        reshape = made_by(arg, "reshape")
        if reshape is None or reshape.args[0].ndim >= arg.ndim:
            continue
        (source,) = reshape.args
        others = [a.shape for k, a in enumerate(found) if k != i]
        if stripped(source.shape) == stripped(arg.shape) and np.broadcast_shapes(source.shape, *others) == shape:
            found[i] = source
    if all(f is a for f, a in zip(found, args, strict=True)):
        return None
    return builder.emit(instruction.name, *found, **instruction.params)


def _reduction(builder: Builder, instruction: Instruction, x: Value) -> Value | None:
    """A reduction of a reshape whose axes are whole axes of what was reshaped."""
    reshape = made_by(x, "reshape")
    assert reshape is not None
    (source,) = reshape.args
    groups = pairs(source.shape, x.shape)
    if groups is None:
        return None
    axes: set[int] = set()
    for ours, theirs in groups:
        hit = [t in instruction.params["axes"] for t in theirs]
        if all(hit):
            axes.update(ours)
        elif any(hit):
            return None
    shape = instruction.results[0].shape
    if axes and tuple(n for i, n in enumerate(source.shape) if i not in axes) != shape:
        axes |= {i for i, n in enumerate(source.shape) if n == 1}
    made = builder.emit(instruction.name, source, axes=tuple(sorted(axes))) if axes else source
    return builder.reshape(made, shape)
