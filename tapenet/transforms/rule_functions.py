"""Rules of whole functions as functions that programs apply, so that forward mode and lanes go by them too."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tapenet.autodiff.attached import Rule
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.program.differentiating import NoDerivative
from tapenet.program.functions import Function, inputs_for
from tapenet.program.ir import Builder, Constant, Input, Program, Value, inline, substitute
from tapenet.program.low import is_inexact
from tapenet.program.primitives import Spec
from tapenet.program.transposing import transposed
from tapenet.transforms.tracing import trace
from tapenet.transforms.whole_calls import zeros
from tapenet.typing import Array


class TracedRule(Rule):
    """A rule that becomes programs by running on tensors, with which it computes and nothing else."""

    #: What pushes tangents of the inputs forward to the inexact values, where the rule says that itself: given the inputs, what
    #: was kept, the values, and the tangents.
    push: Callable[[list[Tensor], list[Tensor], list[Tensor], list[Tensor]], list[Tensor]] | None = None

    def function(self, inputs: Sequence[Array], outs: Sequence[Array], kept: Sequence[Array]) -> Function:
        """The values as a function of what they were computed from, of themselves, and of what was kept."""
        return RuleFunction(self, [[Tensor._of(np.array(a)) for a in part] for part in (inputs, outs, kept)])


class RuleFunction(Function):
    """Values with a rule: it gives those that it is given."""

    def __init__(self, rule: TracedRule, given: Sequence[list[Tensor]]) -> None:
        self.rule = rule
        self.name = rule.name
        #: Examples of the inputs, the values and what was kept.
        self.given = given
        self.outputs = tuple(Spec(t.shape, t.dtype) for t in given[1])
        self.inputs = tuple(Spec(t.shape, t.dtype) for part in given for t in part)

    def program(self) -> Program:
        inputs = inputs_for(self.inputs)
        begin = len(self.given[0])
        return Program(inputs, [], [], inputs[begin : begin + len(self.outputs)], [])

    def parts(self, values: Sequence[Tensor]) -> list[list[Tensor]]:
        """The inputs, the values, what was kept, and what comes after."""
        found = []
        for part in self.given:
            found.append(list(values[: len(part)]))
            values = values[len(part) :]
        return [*found, list(values)]

    def pull(self, wanted: Sequence[int]) -> Program:
        def run(values: list[Tensor]) -> list[Tensor]:
            inputs, outs, kept, gs = self.parts(values)
            given = [g if is_inexact(t.dtype) else None for g, t in zip(gs, outs, strict=True)]
            found = self.rule.pull(inputs, kept, outs, given)
            return [zeros(t) if g is None else g for g, t in zip(found, inputs, strict=True)]

        program = self.traced(run, [Tensor._of(np.ones(t.shape, t.dtype)) for t in self.given[1]])
        builder = Builder()
        inputs = inputs_for([*self.inputs, *self.outputs])
        begin = len(self.inputs)
        found = inline(builder, program, [*self._connected(builder, inputs[:begin]), *inputs[begin:]])
        zero = {i: Constant(np.zeros(*self.inputs[i])) for i in wanted if i >= len(self.given[0])}
        return Program(inputs, [], builder.body, [zero.get(i) or found[i] for i in sorted(wanted)], [])

    def _connected(self, builder: Builder, inputs: Sequence[Value]) -> list[Value]:
        """The inputs, the values as what this function gives, and what was kept: so that a further derivative goes by the
        rule where a rule uses the values."""
        begin = len(self.given[0])
        outs = builder.several("apply", *inputs, function=self)
        return [*inputs[:begin], *outs, *inputs[begin + len(outs) :]]

    def push(self, active: Sequence[int]) -> Program:
        count = len(self.given[0])
        flowing = [i for i in sorted(active) if i < count]
        inputs = inputs_for(self.inputs)
        tangents = {i: Input(*self.inputs[i]) for i in sorted(active)}
        outs = inputs[count : count + len(self.outputs)]
        builder = Builder()
        moved = self.pushed(builder, inputs, {i: tangents[i] for i in flowing}) if flowing else []
        if not flowing:
            moved = [Constant(np.zeros(v.shape, v.dtype)) for v in outs if is_inexact(v.dtype)]
        return Program([*inputs, *tangents.values()], [], builder.body, [*outs, *moved], [])

    def pushed(self, builder: Builder, inputs: Sequence[Value], tangents: dict[int, Input]) -> list[Value]:
        """The tangents of the inexact values, from those of some inputs."""
        count, push = len(self.given[0]), self.rule.push
        if push is not None:
            program = self.traced(lambda values: push(*self._ordered(values)), self.given[0])
            every = [tangents.get(i) or Constant(np.zeros(*self.inputs[i])) for i in range(count)]
            return inline(builder, program, [*self._connected(builder, inputs), *every])
        # What pulls gradients back is linear in them.
        pulled = self.pull(list(tangents))
        begin = len(self.inputs)
        linear = [begin + i for i, spec in enumerate(self.outputs) if is_inexact(spec.dtype)]
        rest = [Constant(np.zeros(*s)) for s in self.outputs if not is_inexact(s.dtype)]
        return inline(builder, transposed(pulled, linear), [*inputs, *rest, *tangents.values()])

    def _ordered(self, values: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
        inputs, outs, kept, tangents = self.parts(values)
        return inputs, kept, outs, tangents

    def traced(self, run: Callable[[list[Tensor]], list[Tensor]], more: Sequence[Tensor]) -> Program:
        """The program of a function of the inputs, the values, what was kept, and more."""
        given = [t for part in self.given for t in part] + list(more)
        traced = trace(self.name, run, given)
        program = traced.function.program()
        if traced.draws or (traced.closed and capturing() is not None):
            what = "draws random numbers" if traced.draws else "reads a tensor beside what it is given"
            raise NoDerivative(f"the rule of {self.name} {what}: make that an argument of the function")
        known: dict[Value, Value] = {
            v: Constant(np.array(t._data)) for v, t in zip(program.inputs[len(given) :], traced.closed, strict=True)
        }
        changed = substitute(program, known)
        return Program(program.inputs[: len(given)], [], changed.body, changed.outputs, [])
