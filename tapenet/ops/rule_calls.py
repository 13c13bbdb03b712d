"""Gradient rules that are called as they stand: those that cannot be read, since they call C or look at values."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, NoReturn, cast

import numpy as np

from tapenet.ops.definitions import Argument
from tapenet.ops.op import FLAT, ONCE, Op, Rule, Scatter
from tapenet.ops.rule_results import joint_entry, parts, settle
from tapenet.ops.tangents import TangentCall
from tapenet.program.arguments import mapped
from tapenet.program.differentiating import NoDerivative
from tapenet.program.functions import Function, inputs_for
from tapenet.program.ir import Builder, Program
from tapenet.program.primitives import Spec
from tapenet.program.quiet import QUIET, get, put
from tapenet.program.value_keys import Same, distinct
from tapenet.typing import Array, Shape

#: What an op says of its forward.
_OF_THE_FORWARD = frozenset({"doc", "formula", "gradients", "label", "memory", "vmap"})


class Gives(NamedTuple):
    """An array by which a rule gives the gradient.

    Attributes:
        name: the input.
        place: where the input is a sequence, the place in it, and how many arrays there are.
        spec: shape and dtype.
    """

    name: str
    place: tuple[int, int] | None
    spec: Spec


@dataclass(frozen=True)
class RuleCall:
    """A gradient rule as a program calls an op: on what it names; it returns arrays of the shapes and dtypes of its inputs.

    Attributes:
        op: whose rule it is.
        rule: the input whose rule it is, "" for the joint rule.
        gives: the gradients that are wanted.
        shape: of the op's output, or those of all.
        reason: why it is not read.
    """

    op: Op
    rule: str
    gives: tuple[Gives, ...]
    shape: Shape | tuple[Shape, ...]
    reason: str

    @property
    def name(self) -> str:
        return f"{self.op.name} gradient"

    @property
    def path(self) -> str:
        return ""

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """What the rule names."""
        return tuple(Argument(n, False, None) for n in self.op.needs[self.rule])

    @cached_property
    def specs(self) -> tuple[Spec, ...]:
        """Shapes and dtypes of the gradients."""
        return tuple(each.spec for each in self.gives)

    def checked(self) -> Callable[..., object]:
        """The rule, as eager passes run it, without NumPy's warnings."""
        op, gives = self.op, self.gives
        rule = op.eager_rules[self.rule]
        if not set(op.residuals).isdisjoint(op.needs[self.rule]):
            rule = _of_objects(rule)
        name, place, spec = gives[0]
        shape, dtype = spec

        def one(*values: object) -> Array:
            before = get()
            try:
                put(QUIET)
                d = rule(*values)
                if type(d) is np.ndarray and d.shape == shape and d.dtype == dtype:  # as most give it
                    return d
                return self._gradient(d, name, None, spec)
            finally:
                put(before)

        def several(*values: object) -> Array | tuple[Array, ...]:
            before = get()
            try:
                put(QUIET)
                found = rule(*values)
                gradients = tuple(self._gradient(found, *each) for each in gives)
            finally:
                put(before)
            return gradients[0] if len(gradients) == 1 else gradients

        return one if self.rule and place is None else several

    def _gradient(self, found: object, name: str, place: tuple[int, int] | None, spec: Spec) -> Array:
        d = found if self.rule else joint_entry(self, cast("Mapping[str, object]", found), name)
        if place is not None:
            i, count = place
            d = parts(self, name, d, count)[i]
        if d is FLAT:
            return np.zeros(*spec)
        if type(d) is Scatter:
            dense = np.zeros(*spec)
            Scatter(d.index, d.g.real if spec.dtype.kind == "f" else d.g).add_to(dense)
            return dense
        return np.asarray(settle(self, name, spec, d))

    def __getattr__(self, name: str) -> object:
        return None if name in _OF_THE_FORWARD else getattr(self.op, name)


class CalledRule(Function):
    """A gradient rule that is called, as a function. It has no derivative: nobody knows what it computes.

    Attributes:
        call: the rule.
        template: what it names, with a `Hole` for each array.
    """

    def __init__(self, call: RuleCall, template: Mapping[str, object], inputs: Sequence[Spec]) -> None:
        self.call, self.template, self.name = call, template, call.name
        self.inputs, self.outputs = tuple(inputs), call.specs

    def key(self) -> Hashable:
        call = self.call
        template = {n: mapped(_content, t) for n, t in self.template.items()}
        return Same(call.op), call.rule, call.gives, distinct(template), self.inputs

    def program(self) -> Program:
        builder = Builder()
        inputs = inputs_for(self.inputs)
        results = builder.several("call", *inputs, op=self.call, template=self.template, specs=self.outputs)
        return Program(inputs, [], builder.body, results, [])

    def pull(self, wanted: Sequence[int]) -> NoReturn:
        raise self._unknown()

    def push(self, active: Sequence[int]) -> NoReturn:
        raise self._unknown()

    def _unknown(self) -> NoDerivative:
        op, rule = self.call.op, self.call.rule
        if op.once:
            return NoDerivative(ONCE.format(op.name))
        whose = f"the gradient rule for {rule!r} of op {op.name!r}" if rule else f"the joint rule of op {op.name!r}"
        given = "a reference= that can be read" if op.reference is not None else "reference="
        return NoDerivative(
            f"{whose} is called as it stands ({self.call.reason}), so that its own derivative is not known. For derivatives of "
            f"higher order, and forward mode, give tn.op {given}, the same function as the forward in NumPy functions and ops; "
            "or make what the rule calls an op with rules of its own"
        )


def _of_objects(rule: Rule) -> Rule:
    """A rule that gets residuals which are no arrays as the forward made them: programs keep them as arrays of objects."""
    return lambda *values: rule(*map(_as_made, values))


def _as_made(value: object) -> object:
    while type(value) is np.ndarray and value.dtype.kind == "O" and not value.ndim:
        value = value.item()
    return value


def rule_calls(program: Program) -> Iterator[RuleCall | TangentCall]:
    """The rules, and functions of tangents, that a program calls, in its loops and branches too."""
    for instruction in program.body:
        op = instruction.params.get("op")
        if isinstance(op, (RuleCall, TangentCall)):
            yield op
        for body in instruction.params.values():
            if isinstance(body, Program):
                yield from rule_calls(body)


def _content(value: object) -> object:
    """An array that is always the same by what is in it, anything else as it is."""
    return (value.shape, value.dtype, value.tobytes()) if isinstance(value, np.ndarray) else value
