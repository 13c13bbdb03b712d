"""Gradient rules that a program calls as they stand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np

from tapenet.ops.called_functions import StatedCall
from tapenet.ops.op import FLAT, ONCE, Rule, Scatter
from tapenet.ops.rule_results import joint_entry, parts, settle
from tapenet.program.primitives import Spec
from tapenet.typing import Array, Shape


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
class RuleCall(StatedCall):
    """A gradient rule; it gives arrays of the shapes and dtypes of its inputs.

    Attributes:
        rule: the input whose rule it is, "" for the joint rule.
        gives: the gradients that are wanted.
        shape: of the op's output, or those of all.
    """

    rule: str
    gives: tuple[Gives, ...]
    shape: Shape | tuple[Shape, ...]

    @property
    def name(self) -> str:
        return f"{self.op.name} gradient"

    @property
    def path(self) -> str:
        """The module that the op was called in, which nobody knows here."""
        return ""

    @property
    def needs(self) -> tuple[str, ...]:
        return self.op.needs[self.rule]

    @property
    def specs(self) -> tuple[Spec, ...]:
        return tuple(each.spec for each in self.gives)

    def function(self) -> Callable[..., object]:
        gives, rule = self.gives, self.op.eager_rules[self.rule]
        if not set(self.op.residuals).isdisjoint(self.needs):
            rule = _of_objects(rule)
        name, place, spec = gives[0]
        shape, dtype = spec

        def one(*values: object) -> Array:
            d = rule(*values)
            if type(d) is np.ndarray and d.shape == shape and d.dtype == dtype:  # as most give it
                return d
            return self._gradient(d, name, None, spec)

        def several(*values: object) -> Array | tuple[Array, ...]:
            found = rule(*values)
            gradients = tuple(self._gradient(found, *each) for each in gives)
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
            Scatter(d.index, d.g if spec.dtype.kind == "c" else d.g.real).add_to(dense)
            return dense
        return np.asarray(settle(self, name, spec, d))

    def unknown(self) -> str:
        op, rule = self.op, self.rule
        if op.once:
            return ONCE.format(op.name)
        whose = f"the gradient rule for {rule!r} of op {op.name!r}" if rule else f"the joint rule of op {op.name!r}"
        given = "a reference= that can be read" if op.reference is not None else "reference="
        return (
            f"{whose} is called as it stands ({self.reason}), so that its own derivative is not known. For derivatives of "
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
