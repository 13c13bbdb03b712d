"""Calls an update rule, and says what is wrong with what it asks for or returns."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import numpy as np

from tapenet.ops.signatures import parameters
from tapenet.typing import Array, Shape

#: What is kept of a parameter, by name.
State = dict[str, Array]
#: The numbers of an update, and what else a rule may branch on.
Scalars = dict[str, Any]
#: A new parameter, and its new state.
Updated = tuple[Array, State]
#: (parameter, gradient, state, scalars) -> (new parameter, new state), of arrays; or of symbols or tensors.
Rule = Callable[..., Updated]


class Shaped(Protocol):
    """An array or a tensor."""

    @property
    def shape(self) -> Shape: ...


def call_rule(rule: Rule, p: object, g: object, state: Mapping[str, object], s: Mapping[str, object]) -> Updated:
    """The new parameter and the new state, by the names of the old.

    Raises:
        TypeError: the rule asks for a state or number that there is not, or returns something else than these two.
    """
    try:
        found = rule(p, g, dict(state), s)
    except KeyError as error:
        name = error.args[0] if error.args else None
        if name in state or name in s:
            raise
        raise TypeError(
            f"{_title(rule)} asks for {name!r}: of states() it has {_listed(state)}, of scalars() {_listed(s)}"
        ) from error
    if not (isinstance(found, (tuple, list)) and len(found) == 2 and isinstance(found[1], dict)):
        entries = ", ".join(f"{name!r}: ..." for name in state)
        raise TypeError(
            f"{_title(rule)} returned {_described(found)}: the rule of an Optimizer or WholeOptimizer returns two things, the "
            f"new parameter and a dict of its new state: return new_p, {{{entries}}}"
        )
    if found[1].keys() != state.keys():
        raise TypeError(
            f"{_title(rule)} returned the states {_listed(found[1])}, and was given {_listed(state)}: they must agree, and "
            "be those that states() names"
        )
    return found[0], found[1]


def check_shapes(rule: Rule, p: Shaped, state: Mapping[str, Shaped], new: object, kept: Mapping[str, object]) -> None:
    """Raise ValueError where a rule returned another shape, which writing it in place would spread in silence."""
    for name, value, place in (("the parameter", new, p), *((name, kept[name], state[name]) for name in state)):
        shape = getattr(value, "shape", ())  # np.shape takes three times as long
        if shape != place.shape:
            raise ValueError(f"{_title(rule)} returned the shape {shape} for {name}, which has {place.shape}")


def check_numbers(title: str, method: str, values: object) -> None:
    """Raise TypeError unless what `states` or `scalars` returned are numbers by name."""
    if not isinstance(values, dict):
        raise TypeError(
            f"{title}.{method} returned {_described(values)}: it returns a dict of numbers by name, such as "
            + ('{"mean": 0.0}' if method == "states" else '{"lr": lr}')
        )
    for name, value in values.items():
        if not isinstance(value, (int, float, np.number)):
            raise TypeError(f"{title}.{method}: {name!r} is a {type(value).__name__}, and must be a number")


def check_rule(rule: Rule) -> None:
    """Raise TypeError for a function that cannot be called as a rule."""
    known = parameters(rule)
    if known is None:
        return
    try:
        inspect.Signature(known).bind(None, None, None, None)
    except TypeError:
        names = ", ".join(map(str, known))
        raise TypeError(
            f"{_title(rule)} takes ({names}): a rule takes the parameter, its gradient, its state and the numbers of the "
            "update, `def rule(p, g, state, s)` under @staticmethod"
        ) from None


def _title(rule: Rule) -> str:
    """The rule by the name it has in its class."""
    return rule.__qualname__.rpartition("<locals>.")[2]


def _described(found: object) -> str:
    if found is None:
        return "None"
    if isinstance(found, (tuple, list)):
        return f"a {type(found).__name__} of {len(found)}" + (
            f" with a {type(found[1]).__name__} in second place" if found[1:] else ""
        )
    return "one value alone"


def _listed(names: Collection[str]) -> str:
    return ", ".join(map(repr, names)) or "none"
