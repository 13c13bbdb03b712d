"""Common subexpressions: what is computed twice is computed once."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from tapenet.program.ir import Answer, Builder, Constant, Instruction, Program, Value, rewrite
from tapenet.typing import Array

#: Constants of more elements are the same only if they are the same memory: comparing them would cost more than it
#: saves.
LIMIT = 4096

#: Primitives that give the same when their two arguments are exchanged. Of two zeros of different sign, `maximum` and
#: `minimum` may give either: NumPy itself does, by the length of the array.
COMMUTATIVE = {
    "add", "multiply", "maximum", "minimum", "fmax", "fmin", "bitwise_and", "bitwise_or", "bitwise_xor", "logical_and",
    "logical_or", "logical_xor", "equal", "not_equal", "safe_mul", "hypot", "logaddexp",
}  # fmt: skip


def run(program: Program) -> Program:
    """Let instructions that apply the same primitive to the same arguments with the same parameters be one.

    Constants with the same elements are the same; instructions with an effect never are.
    """
    constants: dict[Hashable, Constant] = {}
    found: dict[Hashable, tuple[Value, ...]] = {}

    def one(value: Constant) -> Constant:
        return constants.setdefault(_array(value.array), value)

    def change(instruction: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if instruction.effect:
            return None
        same = tuple([one(a) if isinstance(a, Constant) else a for a in args])
        ids = list(map(id, same))
        if instruction.name in COMMUTATIVE:
            ids.sort()
        key = (instruction.name, tuple(ids), _key(instruction.params) if instruction.params else None)
        before = found.get(key)
        if before is not None:
            return before
        changed = same != instruction.args
        found[key] = results = builder.again(instruction, same) if changed else instruction.results
        return results if changed else None

    return rewrite(program, change)


def _array(array: Array) -> Hashable:
    if array.size <= LIMIT:
        return array.dtype, array.shape, array.tobytes()
    where = array.__array_interface__
    return array.dtype, array.shape, array.strides, where["data"]


def _key(value: object) -> Hashable:
    """A parameter as a key: equal only for values that mean the same. What is not known to be plain data is the same
    only as itself."""
    kind = type(value)
    if value is None or kind in (int, bool, str):
        return kind, value
    if isinstance(value, float):
        return kind, value.hex()  # 0.0 is not -0.0
    if isinstance(value, np.dtype):
        return kind, value.str
    if isinstance(value, dict):
        return kind, tuple((_key(k), _key(v)) for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return kind, tuple(map(_key, value))
    if isinstance(value, slice):
        return kind, _key((value.start, value.stop, value.step))
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "biuf":
        return kind, _array(np.asarray(value))
    return kind, id(value)
