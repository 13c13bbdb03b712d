"""Loops and branches inside of formulas: what `tn.while_loop`, `tn.scan` and `tn.cond` become where one is read on symbols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tapenet.program.ir import Builder, Constant, Input, Program, Value, substitute
from tapenet.program.primitives import Spec
from tapenet.program.symbols import CannotLower, Symbol, array_of

#: Symbols, for a function that is written for tensors.
Symbols: TypeAlias = list[Any]
#: A function of several symbols, which gives several.
Function = Callable[[Symbols], Sequence[object]]


def builder_of(leaves: Iterable[object]) -> Builder | None:
    """What appends to the program that is being read, if there is a symbol among the leaves."""
    return next((leaf.builder for leaf in leaves if isinstance(leaf, Symbol)), None)


def repeat(
    builder: Builder, test: Callable[[Symbols], object], turn: Function, carry: Sequence[object], most: int | None
) -> Symbols:
    """`carry = turn(carry)` as long as `test(carry)` is true, `most` times at most."""
    given = _values(builder, carry)
    specs = [Spec(v.shape, v.dtype) for v in given]
    tested = _program(builder, lambda values: [test(values)], specs)
    (tested, body), outside = _closed(tested, _program(builder, turn, specs))
    more: dict[str, object] = {} if most is None else {"length": most}
    outs = builder.several("while", *given, *outside, test=tested, body=body, carries=len(given), **more)
    return _symbols(builder, outs)


def loop(
    builder: Builder,
    step: Callable[[Symbols, Symbols], tuple[Sequence[object], Sequence[object]]],
    carry: Sequence[object],
    xs: Sequence[object],
    length: int,
    reverse: bool,
) -> tuple[Symbols, Symbols]:
    """`carry, ys = step(carry, slices)` over the first axis of `xs`; gives the last carry, and the ys stacked."""
    given, slices = _values(builder, carry), _values(builder, xs)
    count = len(given)

    def turn(values: Symbols) -> list[object]:
        after, ys = step(values[:count], values[count:])
        return [*after, *ys]

    specs = [Spec(v.shape, v.dtype) for v in given] + [Spec(x.shape[1:], x.dtype) for x in slices]
    (body,), outside = _closed(_program(builder, turn, specs))
    more = {"reverse": True} if reverse else {}
    outs = builder.several(
        "loop", *given, *slices, *outside, body=body, carries=count, slices=len(slices), length=length, **more
    )
    return _symbols(builder, outs[:count]), _symbols(builder, outs[count:])


def branch(builder: Builder, condition: object, true: Function, false: Function, operands: Sequence[object]) -> Symbols:
    """What one of two functions gives for the operands."""
    given = _values(builder, operands)
    specs = [Spec(v.shape, v.dtype) for v in given]
    programs, outside = _closed(*(_program(builder, f, specs) for f in (true, false)))
    decides = builder.reshape(builder.cast(array_of(builder, condition).value, np.dtype(bool)), ())
    outs = builder.several("branch", decides, *given, *outside, true=programs[0], false=programs[1])
    return _symbols(builder, outs)


def _values(builder: Builder, leaves: Iterable[object]) -> list[Value]:
    """Symbols, tensors and arrays as values."""
    return [array_of(builder, getattr(leaf, "_data", leaf)).value for leaf in leaves]


def _symbols(builder: Builder, values: Iterable[Value]) -> Symbols:
    return [Symbol(builder, v, shared=True) for v in values]


def _program(builder: Builder, function: Function, specs: Iterable[Spec]) -> Program:
    """A function of symbols, read by itself. It may use values from outside.

    Raises:
        CannotLower: it changes one of these in place.
    """
    inputs = [Input(*spec) for spec in specs]
    around, builder.body, outside, builder.changed = builder.body, [], builder.changed, []
    try:
        outputs = _values(builder, function(_symbols(builder, inputs)))
        if any(symbol() is not None for symbol in builder.changed):  # its own are gone with the function
            raise CannotLower("a loop or branch changes in place what is made outside of it: carry it, and return it")
        return Program(inputs, [], builder.body, outputs, [])
    finally:
        builder.body, builder.changed = around, outside


def _closed(*programs: Program) -> tuple[list[Program], list[Value]]:
    """The programs, all with what any of them uses from outside as further inputs; and these values."""
    outside: dict[Value, None] = {}
    for program in programs:
        known: set[Value] = {*program.inputs}
        for instruction in program.body:
            outside |= dict.fromkeys(v for v in instruction.args if v not in known and not isinstance(v, Constant))
            known |= {*instruction.results}
        outside |= dict.fromkeys(v for v in program.outputs if v not in known and not isinstance(v, Constant))
    closed = []
    for program in programs:
        inner: dict[Value, Value] = {v: Input(v.shape, v.dtype) for v in outside}
        inputs = [*program.inputs, *(v for v in inner.values() if isinstance(v, Input))]
        closed.append(substitute(Program(inputs, [], program.body, program.outputs, []), inner))
    return closed, [*outside]
