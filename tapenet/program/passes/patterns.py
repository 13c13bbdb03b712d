"""What several passes ask of values and shapes."""

from __future__ import annotations

import numpy as np

from tapenet.program.ir import Constant, Instruction, Result, Value
from tapenet.typing import Shape

#: Pairs of axes of two shapes of one size that hold the same elements in the same order, axes of length 1 left out.
Pairs = list[tuple[Shape, Shape]]


def made_by(value: Value, name: str) -> Instruction | None:
    """The instruction that computes a value, if it applies the primitive of this name."""
    if isinstance(value, Result) and value.instruction.name == name:
        return value.instruction
    return None


def plain(value: Value) -> Value:
    """What a value is a reshape of, or itself."""
    while (reshape := made_by(value, "reshape")) is not None:
        (value,) = reshape.args
    return value


def views_of(value: Value) -> list[Instruction]:
    """The views through which a value shows what lies behind them, that closest to it first."""
    found: list[Instruction] = []
    while isinstance(value, Result) and value.instruction.seen_through:
        found.append(value.instruction)
        (value,) = value.instruction.args
    return found[::-1]


def number(value: Value) -> np.generic | None:
    """The NumPy scalar that every element of a value is, where that is known; None elsewhere."""
    while isinstance(value, Result) and value.instruction.name in ("broadcast", "reshape"):
        value = value.instruction.args[0]
    found: np.generic | None = value.array.flat[0] if isinstance(value, Constant) and value.size == 1 else None
    return found


def is_number(value: Value, wanted: float) -> bool:
    """Whether all elements of a value are known to be a number, to the sign of a zero. Complex ones are not: 1 times what is
    infinite is nan there."""
    found = number(value)
    if found is None or found != wanted or found.dtype.kind == "c":
        return False
    return found.dtype.kind != "f" or bool(np.signbit(found) == np.signbit(wanted))


def stripped(shape: Shape) -> Shape:
    """A shape without its leading axes of length 1: what counts when it broadcasts."""
    for i, n in enumerate(shape):
        if n != 1:
            return shape[i:]
    return ()


def padded(shape: Shape, ndim: int) -> Shape:
    """A shape with leading axes of length 1 up to a number of axes."""
    return (1,) * (ndim - len(shape)) + shape


def pairs(source: Shape, target: Shape) -> Pairs | None:
    """How a reshape regroups axes: the smallest runs of axes of both shapes that correspond, without axes of length 1.
    None if there are no elements.

    >>> pairs((6, 1, 4), (2, 3, 4))
    [((0,), (0, 1)), ((2,), (2,))]
    """
    if 0 in source:
        return None
    a = [i for i, n in enumerate(source) if n != 1]
    b = [i for i, n in enumerate(target) if n != 1]
    found = []
    i = j = 0
    while i < len(a):
        first, second = i, j
        left, right = source[a[i]], target[b[j]]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left *= source[a[i]]
                i += 1
            else:
                right *= target[b[j]]
                j += 1
        found.append((tuple(a[first:i]), tuple(b[second:j])))
    return found


def only_ones(groups: Pairs) -> bool:
    """Whether a reshape only adds and removes axes of length 1."""
    return all(len(s) == len(t) == 1 for s, t in groups)


def moved(shape: Shape, target: Shape, source: Shape, groups: Pairs) -> Shape | None:
    """The shape, without leading axes of length 1, that broadcasts to `source` as `shape` does to `target`; None if
    there is none. `groups` are the pairs of source and target.

    >>> moved((4,), (2, 3, 4), (6, 4), pairs((6, 4), (2, 3, 4)))
    (4,)
    """
    full = padded(shape, len(target))
    found = [1] * len(source)
    for ours, theirs in groups:
        lengths = [full[t] for t in theirs]
        if all(n == 1 for n in lengths):
            continue
        if lengths != [target[t] for t in theirs]:
            return None
        for s in ours:
            found[s] = source[s]
    return stripped(tuple(found))
