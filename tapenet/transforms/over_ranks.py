"""Lanes split over ranks: what transformations compute for many lanes, each rank computes for its part of them.

Every rank gives the same arguments and gets the whole result. Each takes as many rows, ⌈lanes / ranks⌉, from where its part
begins; the last ones, who have fewer, begin so much earlier, and what they compute twice is left out.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any, TypeGuard

from tapenet.program.called_ops import Hole
from tapenet.program.functions import Batched, Function, Given, inputs_for
from tapenet.program.ir import Builder, Program, Value, inline
from tapenet.program.low import is_inexact
from tapenet.program.primitives import Spec
from tapenet.typing import Ranks


def several(over: Ranks | None, name: str) -> TypeGuard[Ranks]:
    """Whether work is to be split.

    Args:
        over: what the user gave.
        name: of the transformation, for errors.

    Raises:
        TypeError: it exchanges no arrays.
    """
    if over is None:
        return False
    if not all(hasattr(over, needed) for needed in ("rank", "size", "allgather", "allreduce")):
        raise TypeError(f"tn.{name}: over={over!r} is nothing that work can be split over: give over=tn.parallel")
    return over.size > 1


def batched(name: str, function: Function, flags: Sequence[bool], size: int, over: Ranks | None) -> Function:
    """The function of so many lanes, as `Function.batch` gives it; its lanes split over ranks if there are several."""
    if several(over, name) and size:
        return OverRanks(function, tuple(flags), size, over, (False,) * len(function.outputs))
    return function.batch(flags, size)


class Part:
    """One rank's part of so many lanes.

    Attributes:
        rows: how many each rank takes.
        begin: the first that it takes.
        extra: how many of these belong to the rank before it, and come first.
    """

    def __init__(self, size: int, over: Ranks) -> None:
        self.size, self.over = size, over
        self.rows = -(-size // over.size)
        self.begin = min(over.rank * self.rows, size - self.rows)
        self.extra = min(over.rank * self.rows - self.begin, self.rows)

    def take(self, builder: Builder, value: Value) -> Value:
        """Its rows of an array with all lanes."""
        return builder.slice(value, 0, self.begin, self.begin + self.rows)

    def gathered(self, builder: Builder, value: Value) -> Value:
        """All lanes, from the rows of each rank."""
        spec = Spec((self.rows * self.over.size, *value.shape[1:]), value.dtype)
        every = _called(builder, self.over.allgather, value, spec)
        whole = self.size // self.rows * self.rows
        if whole == self.size:
            return builder.slice(every, 0, 0, whole)
        last = whole + self.rows
        ends = builder.slice(every, 0, 0, whole), builder.slice(every, 0, last - (self.size - whole), last)
        return builder.emit("concatenate", *ends, axis=0)

    def summed(self, builder: Builder, value: Value) -> Value:
        """The sum of all lanes, from the rows of each rank."""
        own = builder.emit("reduce_add", builder.slice(value, 0, self.extra, self.rows), axes=(0,))
        return _called(builder, self.over.allreduce, own, Spec(own.shape, own.dtype))


def _called(builder: Builder, op: Any, value: Value, spec: Spec) -> Value:
    """A call of an exchange: it keeps its place among the others, as on all ranks."""
    template = {a.name: a.default for a in op.arguments} | {"x": Hole(0)}
    return builder.emit("call", value, op=op, template=template, specs=[spec], effect=True)


class OverRanks(Batched):
    """A function of many lanes, of which each rank computes its part. Its derivatives are the function's own, split likewise:
    a gradient by what is the same in every lane is the sum of all lanes'.

    Attributes:
        inner: the function of one lane.
        batched: which inputs have lanes.
        sums: which outputs are summed over lanes; the others have them.
    """

    def __init__(
        self, inner: Function, batched: tuple[bool, ...], size: int, over: Ranks, sums: tuple[bool, ...]
    ) -> None:
        super().__init__(inner, batched, size)
        self.over, self.sums = over, sums
        pairs = zip(self.outputs, inner.outputs, sums, strict=True)
        self.outputs = tuple(one if s else laned for laned, one, s in pairs)

    def key(self) -> Hashable:
        return super().key(), self.sums, self.over.rank, self.over.size

    @cached_property
    def _program(self) -> Program:
        part, builder, inputs = Part(self.size, self.over), Builder(), inputs_for(self.inputs)
        own = [part.take(builder, v) if flag else v for v, flag in zip(inputs, self.batched, strict=True)]
        outs = inline(builder, Batched(self.inner, self.batched, part.rows).program(), own)
        ended = [(part.summed if s else part.gathered)(builder, v) for v, s in zip(outs, self.sums, strict=True)]
        return Program(inputs, [], builder.body, ended, [])

    def pull(self, wanted: Sequence[int]) -> Program:
        flags = *self.batched, *(not s for s in self.sums)
        return self._derivative(self.inner.pull(wanted), flags, [not self.batched[i] for i in sorted(wanted)])

    def push(self, active: Sequence[int]) -> Program:
        flags = *self.batched, *(self.batched[i] for i in sorted(active))
        tangents = [s for s, spec in zip(self.sums, self.outputs, strict=True) if is_inexact(spec.dtype)]
        return self._derivative(self.inner.push(active), flags, [*self.sums, *tangents])

    def _derivative(self, program: Program, flags: Sequence[bool], sums: Sequence[bool]) -> Program:
        function = OverRanks(Given(self.name, program), tuple(flags), self.size, self.over, tuple(sums))
        builder, inputs = Builder(), inputs_for(function.inputs)
        return Program(inputs, [], builder.body, builder.several("apply", *inputs, function=function), [])

    def batch(self, batched: Sequence[bool], size: int) -> Function:
        """Of several calls at once each rank computes all."""
        builder, inputs = Builder(), inputs_for(self.inputs)
        outs = builder.several("apply", *inputs, function=Batched(self.inner, self.batched, self.size))
        ended = [builder.emit("reduce_add", v, axes=(0,)) if s else v for v, s in zip(outs, self.sums, strict=True)]
        return Given(self.name, Program(inputs, [], builder.body, ended, [])).batch(batched, size)
