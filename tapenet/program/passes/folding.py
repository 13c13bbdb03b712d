"""Constant folding: what is known when the program is made is computed then."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from tapenet.program.ir import Answer, Builder, Constant, Instruction, Program, Value, rewrite
from tapenet.program.primitives import PRIMITIVES
from tapenet.typing import Array

#: The most elements of a folded result: larger ones are cheaper to compute than to keep.
LIMIT = 4096

#: Kinds of primitives without anything else to them than their result.
KINDS = frozenset({"elementwise", "reduction", "view", "product", "movement"})


def run(program: Program) -> Program:
    """Evaluate instructions whose arguments are all constants, or whose results have no elements.

    A broadcast stays: it costs nothing, and its operand is easier to reason about. For the same reason a constant
    array whose elements are all one number becomes a broadcast of that number where it is an operand of an elementwise
    instruction or a reduction.
    """
    numbers: dict[Constant, Constant | None] = {}

    def one(value: Value) -> Constant | None:
        if not isinstance(value, Constant) or value.size <= 1:
            return None
        if value not in numbers:
            numbers[value] = _uniform(value.array)
        return numbers[value]

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        nothing = _without_elements(instruction, args, builder)
        if nothing is not None:
            return nothing
        for arg in args:
            if isinstance(arg, Constant):
                break
        else:
            return None
        if instruction.kind not in KINDS or instruction.name == "broadcast":
            return None
        if all(_is_constant(a) for a in args):
            folded = _evaluate(instruction, args)
            if folded is not None:
                return folded
        if instruction.kind not in ("elementwise", "reduction"):
            return None
        found = [one(a) for a in args]
        if not any(found):
            return None
        shown = [a if n is None else builder.broadcast(n, a.shape) for a, n in zip(args, found, strict=True)]
        return builder.several(instruction.name, *shown, **instruction.params)

    return rewrite(program, change)


def _without_elements(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
    """What has no elements, which native code has no loops over, and what is the same without such an argument."""
    if instruction.kind in KINDS and instruction.name != "provided":
        (result,) = instruction.results
        if 0 in result.shape:
            return Constant(np.zeros(result.shape, result.dtype))
        if instruction.name not in ("concatenate", "update", "scatter_add"):
            return None
        some = [a for a in args if a.size]
        if len(some) == len(args):
            return None
        if instruction.name == "concatenate":
            return builder.emit("concatenate", *some, **instruction.params) if some[1:] else some[0]
        if instruction.name == "update":
            return args[0]
        return builder.broadcast(Constant(np.zeros((), result.dtype)), result.shape)
    return None


def _is_constant(value: Value) -> bool:
    return isinstance(value, Constant)


def _evaluate(instruction: Instruction, args: Iterable[Value]) -> Constant | None:
    (result,) = instruction.results
    if result.size > LIMIT:
        return None
    try:
        with np.errstate(all="ignore"):
            made = PRIMITIVES[instruction.name].evaluate(
                *(a.array for a in args if isinstance(a, Constant)), **instruction.params
            )
    except (ValueError, IndexError):
        return None  # an error when it is run, if it is ever run
    return Constant(np.array(made))  # not a view: that would keep the whole of a larger array


def _uniform(array: Array) -> Constant | None:
    """The first element, if all others are the same, to the sign of a zero."""
    flat = array.reshape(-1) if array.flags.c_contiguous else array.ravel()
    if flat[0] != flat[-1] or not (flat == flat[0]).all():
        return None
    parts = (flat.real, flat.imag) if array.dtype.kind == "c" else (flat,) if array.dtype.kind == "f" else ()
    if not all((np.signbit(part) == np.signbit(part[0])).all() for part in parts):
        return None
    return Constant(np.array(flat[0]))
