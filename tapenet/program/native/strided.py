"""Arguments with gaps in memory, reversed or overlapping: which way they lie, and what a program does to read them there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tapenet.program.ir import Builder, Input, Program, Value, shown, substitute
from tapenet.program.layout import Strides, dense_order

#: Ways in which arguments lie, at most, that a program has code for: beyond, they are copied.
WAYS = 8
#: Cycles that a copy made by NumPy takes, and those for each element.
_CALL, _ELEMENT = 15_000, 2
#: The share of a program's time that copies may take.
_SHARE = 0.15
#: What reads arguments wherever they lie.
_READERS = {"elementwise", "reduction", "product", "order"}

#: For each argument its strides in bytes, None where it lies as the program has it.
Way = tuple[Strides | None, ...]


def way(arrays: Sequence[object], inputs: Sequence[Input]) -> Way | None:
    """How arguments lie. None where another program is for them: one of another shape, dtype or order."""
    found: list[Strides | None] = []
    for array, value in zip(arrays, inputs, strict=True):
        if type(array) is not np.ndarray or array.shape != value.shape or array.dtype != value.dtype:
            return None
        dense = (array if value.order is None else array.transpose(value.order)).flags.c_contiguous
        if not dense and (value.order is not None or dense_order(array) is not None):
            return None
        found.append(None if dense else array.strides)
    return tuple(found)


def worth(lying: Way, inputs: Sequence[Input], cycles: float) -> bool:
    """Whether code that reads arguments where they lie saves much of a program that takes so many cycles without copies."""
    copies = [v for v, strides in zip(inputs, lying, strict=True) if strides is not None]
    steps = ((v, s) for v, strides in zip(inputs, lying, strict=True) for s in strides or ())
    if any(s % v.dtype.itemsize for v, s in steps):  # fields of records
        return False
    return sum(_CALL + _ELEMENT * v.size for v in copies) > _SHARE * cycles


def reading(program: Program, strides: Mapping[Value, Strides]) -> Program:
    """The program with a copy of each strided argument that others than its kernels and products read, or that is read for
    each row again and again (a softmax) and has no neighbours in memory: vectors of such are gathered."""
    kinds: dict[Value, set[str]] = {}
    for instruction in program.body:
        if instruction.kind != "view":
            for arg in instruction.args:
                if (root := shown(arg)) in strides:
                    kinds.setdefault(root, set()).add(instruction.kind)
    copies = {}
    builder = Builder()
    for value, read in kinds.items():
        gathered = not any(abs(s) <= 1 for s in strides[value])
        if not read <= _READERS or (gathered and read >= {"elementwise", "reduction"}):
            copied = builder.emit("copy", value, row_major=True)
            copies[value] = builder.emit("barrier", copied, copied)  # or kernels would take the copy in
    if not copies:
        return program
    made = substitute(program, copies)
    return Program(made.inputs, made.hosts, [*builder.body, *made.body], made.outputs, made.writes)
