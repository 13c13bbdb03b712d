"""Gradient rules of tapenet's own ops while a step is captured: a rule runs on arrays, as in an eager pass, and is one node of
the tape (`recorded_functions`).

On tensors each op that a rule calls is a node: two for a sine, fifteen for a layer norm.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff import recorded_functions
from tapenet.autodiff.backward import COMPUTING, release
from tapenet.autodiff.gradients import Gradients
from tapenet.autodiff.node import Node, Output, Parents, Traced
from tapenet.autodiff.observe.capture import Capture
from tapenet.autodiff.observe.layer import PullStep
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.indexing.items import Cleared
from tapenet.ops.op import FLAT, Rule, Scatter
from tapenet.ops.rule_results import joint_entry, settle
from tapenet.program.ir import Program
from tapenet.program.symbols import CannotLower
from tapenet.program.value_keys import distinct
from tapenet.typing import Array

ndarray = np.ndarray
#: Types of what rules are given beside arrays that say all by their values.
_PLAIN = frozenset({int, float, complex, bool, str, slice, type(None), type(Ellipsis), type})
#: What no program of a rule gives: the driver knows what to do with it.
_SPARSE = (Scatter, Cleared, type(FLAT))


class _Given(NamedTuple):
    """What a rule is given.

    Attributes:
        values: arrays and plain values.
        told: what is alike of calls that have the same program.
        inputs: the arrays as the tape knows them.
    """

    values: list[Any]
    told: list[Hashable]
    inputs: list[object]


class _Found(NamedTuple):
    """The gradients by some inputs, and what gives them."""

    names: Sequence[str]
    gradients: list[Array]
    given: _Given
    program: Program


def on_arrays(tape: Capture, otherwise: PullStep) -> PullStep:
    """What runs a node's rules on arrays, and leaves those that cannot be read as a whole to another step, on tensors."""

    def pull(node: Node, g: Any, grads: Gradients) -> None:
        parents = _parents(node, grads)
        found = None if parents is None else _found(tape, node, g, parents)
        if parents is None or found is None:
            otherwise(node, g, grads)
            return
        for each in found:
            gradients = [g] * len(each.names)
            if each.program.body or any(d is not g._data for d in each.gradients):
                title = f"{node.op.name} gradient"
                values, _, inputs = each.given
                gradients = recorded_functions.record(tape, title, each.program, values, inputs, each.gradients)
            for name, gradient in zip(each.names, gradients, strict=True):
                grads.add(parents[name], gradient)
        release(node, grads)

    return pull


def _parents(node: Node, grads: Gradients) -> dict[str, Node] | None:
    """The nodes that gradients are wanted of, by input; None where the rules are not read as a whole."""
    op = node.op
    if op.outputs != 1 or not op.module.startswith(COMPUTING):
        return None
    found: dict[str, Node] = {}
    for name in op.differentiable:
        parent = getattr(node, name + "_node")
        if type(parent) is Parents:
            return None
        if grads.wants(parent):
            found[name] = parent
    return found


def _found(tape: Capture, node: Node, g: Tensor, parents: dict[str, Node]) -> list[_Found] | None:
    """The gradients by the rules; None where one cannot be read."""
    op = node.op
    found = []
    for rule, names in [("", tuple(parents))] if op.joint is not None else [(n, (n,)) for n in parents]:
        given = _given(tape, node, rule, g, names)
        if given is None:
            return None
        run = op.rules[rule] if rule else op.joint
        assert run is not None
        key = op, rule, names, *[(parents[n].shape, parents[n].dtype) for n in names], *given.told
        if key not in tape.rules:
            tape.rules[key] = _program(node, rule, run, parents, names, given.values)
        program = tape.rules[key]
        if program is None:
            return None
        gradients = []
        result: Any = run(*given.values)  # not by a kernel for eager mode alone
        for name in names:
            d, parent = result if rule else joint_entry(node, result, name), parents[name]
            if not (type(d) is ndarray and d.shape == parent.shape and d.dtype is parent.dtype):
                if isinstance(d, _SPARSE):
                    return None
                d = np.asarray(settle(node, name, parent, d))
            gradients.append(d)
        found.append(_Found(names, gradients, given, program))
    return found


def _given(tape: Capture, node: Node, rule: str, g: Tensor, names: tuple[str, ...]) -> _Given | None:
    """What a rule is given, by what the tape knows of the call (`backward.value_of`); None for what is no array or plain
    value."""
    op, call = node.op, node.call
    if call is None:  # recorded before the capture
        return None
    values: list[Any] = []
    told: list[Hashable] = []
    inputs: list[object] = []
    for need in op.needs[rule]:
        value: Any
        if need in call:
            value = call[need]
        elif need == op.special.g:
            value = Traced(g, g._trace, g._data)
        elif need == op.special.out:
            value = Traced(None, node, getattr(node, need + "_saved"))
        elif need == op.special.wanted:
            value = frozenset(names)
        elif need in op.residuals:
            saved = getattr(node, need + "_saved")
            if type(saved) is not ndarray:
                return None
            pick = Output(node, 1 + op.residuals.index(need), saved)
            tape.records(pick)
            value = Traced(None, pick, saved)
        else:  # NAME_shape, NAME_dtype
            value = getattr(node, need)
            values.append(value)
            told.append(value)
            continue
        kind = type(value)
        if kind is Traced or kind is ndarray:
            array = value.data if kind is Traced else value
            values.append(array)
            told.append((array.shape, array.dtype))
            inputs.append(recorded_functions.given(tape, value))
        elif _is_plain(value):
            values.append(value)
            told.append(distinct(value))
        else:
            return None
    return _Given(values, told, inputs)


def _is_plain(value: object) -> bool:
    if type(value) in (tuple, list, frozenset):
        return all(map(_is_plain, value))  # type: ignore[call-overload]
    return type(value) in _PLAIN or isinstance(value, (np.dtype, np.generic))


def _program(
    node: Node, rule: str, run: Rule, parents: Mapping[str, Node], names: Sequence[str], values: Sequence[Any]
) -> Program | None:
    """What a rule computes of the arrays that it is given; None where it cannot be read as a whole."""

    def gradients(*given: object) -> list[object]:
        found = run(*given)
        each = [found if rule else joint_entry(node, found, name) for name in names]
        if any(isinstance(d, _SPARSE) for d in each):
            raise CannotLower("gives a gradient that is no array")
        return [settle(node, n, parents[n], d) for n, d in zip(names, each, strict=True)]

    return recorded_functions.read(gradients, values)
