"""Functions that an op states beside its forward, gradient rules and `jvp=`, where a program calls them as they stand: those
that cannot be read, since they call C or look at values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn

import numpy as np

from tapenet.ops.definitions import Argument
from tapenet.ops.op import Op
from tapenet.program.arguments import mapped
from tapenet.program.differentiating import NoDerivative
from tapenet.program.functions import Function, inputs_for
from tapenet.program.ir import Builder, Program
from tapenet.program.primitives import Spec
from tapenet.program.quiet import QUIET, get, put
from tapenet.program.value_keys import distinct

#: What an op says of its forward.
_OF_THE_FORWARD = frozenset({"doc", "formula", "gradients", "label", "memory", "vmap"})


@dataclass(frozen=True)
class StatedCall:
    """Such a function as a program calls an op: on what it names; it returns arrays.

    Attributes:
        op: whose function it is.
        reason: why it is not read.
    """

    op: Op
    reason: str

    @property
    def name(self) -> str:
        """What to call it."""
        raise NotImplementedError

    @property
    def needs(self) -> tuple[str, ...]:
        """What it names."""
        raise NotImplementedError

    @property
    def specs(self) -> tuple[Spec, ...]:
        """Shapes and dtypes of what it returns."""
        raise NotImplementedError

    def function(self) -> Callable[..., object]:
        """It, as a function of what it names that returns an array, or several."""
        raise NotImplementedError

    def unknown(self) -> str:
        """The error of its derivative, in words."""
        raise NotImplementedError

    @property
    def ordered(self) -> Callable[..., object] | None:
        """What the op says of its order: a rule of it has others in it."""
        return self.op.ordered

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """What it names, as the arguments of an op."""
        return tuple(Argument(n, False, None) for n in self.needs)

    def checked(self) -> Callable[..., object]:
        """The function, without NumPy's warnings, as eager passes run it."""
        run = self.function()

        def call(*values: object) -> object:
            before = get()
            try:
                put(QUIET)
                return run(*values)
            finally:
                put(before)

        return call

    def __getattr__(self, name: str) -> object:
        return None if name in _OF_THE_FORWARD else getattr(self.op, name)


class CalledFunction(Function):
    """Such a call, as a function that is applied. It has no derivative: nobody knows what it computes.

    Attributes:
        call: what is called.
        template: what it names, with a `Hole` for each array.
    """

    def __init__(self, call: StatedCall, template: Mapping[str, object], inputs: Sequence[Spec]) -> None:
        self.call, self.template, self.name = call, template, call.name
        self.inputs, self.outputs = tuple(inputs), call.specs

    def key(self) -> Hashable:
        template = {n: mapped(content, t) for n, t in self.template.items()}
        return replace(self.call, reason=""), distinct(template), self.inputs

    def program(self) -> Program:
        builder = Builder()
        inputs = inputs_for(self.inputs)
        results = builder.several("call", *inputs, op=self.call, template=self.template, specs=self.outputs)
        return Program(inputs, [], builder.body, results, [])

    def pull(self, wanted: Sequence[int]) -> NoReturn:
        raise NoDerivative(self.call.unknown())

    def push(self, active: Sequence[int]) -> NoReturn:
        raise NoDerivative(self.call.unknown())


def stated_calls(program: Program) -> Iterator[StatedCall]:
    """The calls of such functions in a program, in its loops and branches too."""
    for instruction in program.body:
        op = instruction.params.get("op")
        if isinstance(op, StatedCall):
            yield op
        for body in instruction.params.values():
            if isinstance(body, Program):
                yield from stated_calls(body)


def content(value: object) -> object:
    """An array that is always the same by what is in it, anything else as it is."""
    return (value.shape, value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else value
