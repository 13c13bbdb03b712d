"""What programs compute, as keys: two programs of one key do the same."""

from __future__ import annotations

from collections.abc import Hashable

from tapenet.program.ir import Constant, Program, Value
from tapenet.program.value_keys import Same, distinct


class Keyed:
    """A function that programs apply (`program.functions`), as far as keys go."""

    def key(self) -> Hashable:
        """What tells it from other functions; None if its program does. By default it is like no other."""
        return Same(self)

    def program(self) -> Program:
        """What it computes."""
        raise NotImplementedError


def key_of(function: Keyed) -> Hashable:
    """A key of what a function computes. Functions that are no programs say their own."""
    return function.key() or program_key(function.program())


def program_key(program: Program) -> Hashable:
    """A key of a program without references, hosts and writes."""
    numbers: dict[Value, Hashable] = {}

    def number(value: Value) -> Hashable:
        if isinstance(value, Constant):
            return value.shape, value.dtype, value.array.tobytes()
        return numbers[value]

    def param(value: object) -> Hashable:
        if isinstance(value, Program):
            return program_key(value)
        if isinstance(value, Keyed):
            return key_of(value)
        return distinct(value)

    for given in program.inputs:
        numbers[given] = len(numbers)
    steps = []
    for i in program.body:
        args = tuple(map(number, i.args))
        for v in i.results:
            numbers[v] = len(numbers)
        steps.append((i.name, args, tuple((n, param(p)) for n, p in i.params.items()), len(i.results)))
    inputs = tuple((v.shape, v.dtype) for v in program.inputs)
    return inputs, tuple(steps), tuple(map(number, program.outputs))
