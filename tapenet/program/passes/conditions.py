"""Choices, negations and casts: what is chosen whatever the condition, not not, and casts there and back."""

from __future__ import annotations

from collections import ChainMap, Counter
from collections.abc import Callable, Mapping

import numpy as np

from tapenet.program.ir import Builder, Instruction, Program, Result, Value, rewrite
from tapenet.program.passes.patterns import made_by, number
from tapenet.program.primitives import ADDED, REDUCTIONS


def run(program: Program) -> Program:
    """Simplify `where`, `logical_not` and `cast`."""
    if program.names.isdisjoint(RULES):
        return program
    uses = program.uses()
    #: How many choices by a condition take a value, by value, condition and side.
    asked = Counter(
        (v, i.args[0], side) for i in program.body if i.name == "where" for side, v in enumerate(i.args[1:])
    )

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Value | None:
        found = RULES[instruction.name](builder, *args, **instruction.params)
        if found is None and instruction.name == "where":
            condition, *branches = args
            decided = []
            for i, v in enumerate(branches):
                old = instruction.args[1 + i]
                shared = uses[old] > 1 and uses[old] == asked[old, instruction.args[0], i]  # by equal choices alone
                decided.append(_decided(builder, v, condition, i, ChainMap({v: 1}, uses) if shared else uses))
            if decided != branches:
                found = builder.emit("where", condition, *decided)
        return found and builder.broadcast(found, instruction.results[0].shape)

    return rewrite(program, change, RULES, uses)


#: How far behind a branch the same choice is looked for.
_FAR = 6


def _decided(
    builder: Builder, value: Value, condition: Value, i: int, uses: Mapping[Value, int], far: int = _FAR
) -> Value:
    """A value where a condition holds (`i` is 0) or does not: a choice by the same condition behind it has been made, also
    where it was repeated along further axes and these are summed over. What others use too is not computed anew for that."""
    lead = value.ndim - condition.ndim
    if not isinstance(value, Result) or lead < 0 or value.shape[lead:] != condition.shape:
        return value
    name, args = value.instruction.name, value.instruction.args
    if name in REDUCTIONS:
        if any(axis >= args[0].ndim - condition.ndim for axis in value.instruction.params["axes"]):
            return value
    elif value.instruction.kind != "elementwise" or name in ADDED:
        return value  # of what others add the derivative may be nan at what the choice keeps away, even times 0
    if name == "where" and args[0] is condition:
        return _decided(builder, args[1 + i], condition, i, uses, far - 1)
    if not far or uses.get(value) != 1:
        return value
    new = [_decided(builder, a, condition, i, uses, far - 1) for a in args]
    if all(a is b for a, b in zip(new, args, strict=True)):
        return value
    return builder.broadcast(builder.emit(name, *new, **value.instruction.params), value.shape)


def _where(builder: Builder, condition: Value, x: Value, y: Value) -> Value | None:
    if x is y:
        return x
    chosen = number(condition)
    if chosen is not None:
        return x if chosen else y
    negated = made_by(condition, "logical_not")
    if negated is None or negated.args[0].dtype != bool:
        return None
    (condition,) = negated.args
    return builder.emit("where", condition, y, x)


def _logical_not(builder: Builder, x: Value) -> Value | None:
    if inner := made_by(x, "logical_not"):
        return builder.cast(inner.args[0], bool)
    for name, other in (("equal", "not_equal"), ("not_equal", "equal")):
        if compared := made_by(x, name):
            return builder.emit(other, *compared.args)
    return None


def lossless(source: np.dtype, target: np.dtype) -> bool:
    """Whether every value of a dtype is one of the other. NumPy's own `can_cast` takes int64 to be safe in float64."""
    if source.kind in "iu" and target.kind == "f":
        return bool(int(np.iinfo(source).max).bit_length() <= np.finfo(target).nmant + 1)
    return source.kind in "biuf" and target.kind in "biuf" and np.can_cast(source, target)


def _cast(builder: Builder, x: Value, dtype: np.dtype) -> Value | None:
    if x.dtype == dtype:
        return x
    inner = made_by(x, "cast")
    if inner is None or not lossless(inner.args[0].dtype, x.dtype):
        return None
    (source,) = inner.args
    # A float that an integer cannot hold becomes something else for each pair of dtypes.
    if dtype.kind in "iu" and "f" in (source.dtype.kind, x.dtype.kind) and not lossless(source.dtype, dtype):
        return None
    return builder.cast(source, dtype)


RULES: dict[str, Callable[..., Value | None]] = {"where": _where, "logical_not": _logical_not, "cast": _cast}
