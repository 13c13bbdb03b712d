"""Gradient rules of the user's on tensors: one that cannot run on these, since it calls C or makes numbers of them, is called
on arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar, cast

import numpy as np

from tapenet.autodiff import programs
from tapenet.autodiff.backward import value_of
from tapenet.autodiff.gradients import NO_GRADIENT
from tapenet.autodiff.node import Node, Parents
from tapenet.autodiff.observe.capture import Capture, capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.called_functions import CalledFunction
from tapenet.ops.formula import Derived
from tapenet.ops.functions import OpFunction
from tapenet.ops.op import Rule
from tapenet.ops.rule_calls import Gives, RuleCall
from tapenet.program.arguments import elements, mapped
from tapenet.program.called_ops import Hole
from tapenet.program.low import WIDE, is_low
from tapenet.program.primitives import Spec
from tapenet.typing import Array

T = TypeVar("T")
#: What a rule is given under a name, and the gradient by the output, or those by all of several; None for one without.
Value: TypeAlias = Array | Tensor
Gradient: TypeAlias = Value | Sequence[Value | None]


class _Unread(Exception):
    """A rule cannot run on tensors."""


def gradients(
    node: Node,
    g: Gradient,
    wanted: Sequence[str],
    given: Callable[[str], dict[str, object]],
    reference: Callable[[], Mapping[str, object]] | None,
    lost: str,
) -> Mapping[str, object]:
    """The gradients by some inputs of an op of the user's: by its reference or its rules on tensors, else by rules that are
    called.

    Args:
        node: what is differentiated.
        g: the gradient by its output, or those by all.
        wanted: the inputs.
        given: what a rule names ("": the joint rule).
        reference: gives the gradients by the op's reference, where there is one and a further derivative is wanted.
        lost: why the rules on tensors would lose a further derivative, where they would.
    """
    op = node.op
    if reference is not None and not lost:
        referred = None if capturing() is None else _referred(node, g, wanted, given)
        if referred is not None:
            return referred
        try:
            return _read(reference)
        except _Unread as error:
            lost = f"nor can its reference be read: {error}"

    def by_rule(rule: str, run: Rule) -> object:
        def on_tensors() -> object:
            return run(*given(rule).values())

        if isinstance(run, Derived) and not lost:
            return on_tensors()
        try:
            if lost:
                raise _Unread(lost)
            return _read(on_tensors)
        except _Unread as error:
            return _called(node, rule, [rule] if rule else wanted, given(rule), str(error))

    if op.joint is None:
        return {n: by_rule(n, op.rules[n]) for n in wanted}
    return cast("Mapping[str, object]", by_rule("", op.joint))


def _read(run: Callable[[], T]) -> T:
    """What a rule gives on tensors.

    Raises:
        _Unread: it cannot run on these, or makes Python numbers of them, through which no derivative flows. The tape is as it
            was.
    """
    state = local.state
    nodes: list[Node] = [] if state.tape is None else state.tape.nodes
    count = len(nodes)
    before: list[tuple[Capture, str | None]] = []
    capture = capturing()
    while capture is not None:
        before.append((capture, capture.failure))
        capture = capture.outer
    outside, state.left = state.left, {}
    try:
        found = run()
        lost = [s for s in state.left or () if s.what != ".numpy()"]  # that is said of tensors alone: it is meant
        if not lost:
            if outside is not None:
                outside |= state.left or {}
            return found
        why = f"it takes values out of the graph at {lost[0].file}:{lost[0].line}"
    except Exception as error:  # whatever a rule makes of a tensor
        why = str(error) or type(error).__name__
        if isinstance(error, CaptureError):
            why = why.partition(". ")[0]  # what to write in place of it is another thing in a rule
        error.__traceback__ = None  # who keeps the error must not keep frames, and the tensors in them
    finally:
        state.left = outside
    for capture, failure in before:
        capture.failure = failure
    del nodes[count:]
    raise _Unread(why)


def _called(node: Node, rule: str, wanted: Sequence[str], known: Mapping[str, object], why: str) -> object:
    """The gradient by an input, or those by several by name, by a rule that is called on arrays. It is recorded as one node,
    without a derivative.

    Args:
        node: what is differentiated.
        rule: the input whose rule it is, "" for the joint rule.
        wanted: the inputs.
        known: what the rule names.
        why: why it is not read.
    """
    op = node.op
    template, given = _template(known)
    gives = [each for n in wanted for each in _gives(node, n)]
    call = RuleCall(op, why, rule, tuple(gives), node.shape)
    wide = op.precision not in ("same", "moves")
    if not set(op.residuals).isdisjoint(op.needs[rule]):
        given += _behind(node, op.needs[rule])
    inputs = [_tensor(v, wide) for v in given]
    function = CalledFunction(call, template, [Spec(t.shape, t.dtype) for t in inputs])
    found = _by_name(gives, programs.run(function, inputs))
    return found[rule] if rule else found


def _referred(
    node: Node, g: Gradient, wanted: Sequence[str], given: Callable[[str], dict[str, object]]
) -> Mapping[str, object] | None:
    """The gradients by some inputs, by rules whose derivatives are those of the op's reference: for a program, which reads that
    once. None if it cannot be read, or the rules are derived."""
    op = node.op
    rules: Mapping[str, Rule] = op.rules if op.joint is None else {"": op.joint}
    if any(isinstance(rule, Derived) for rule in rules.values()):
        return None
    template, arguments = _template({a.name: value_of(node, a.name, Tensor) for a in op.arguments})
    shapes = [(node.shape, node.dtype)] if op.outputs == 1 else zip(node.shape, node.dtype, strict=True)
    outputs = [Spec(tuple(shape), dtype) for shape, dtype in shapes]
    function = OpFunction(op, template, _specs(arguments), outputs)
    gs = cast("Sequence[Value | None]", (g,) if op.outputs == 1 else g)
    seeds = [np.zeros(*s) if each is None else each for each, s in zip(gs, outputs, strict=True)]
    found: dict[str, object] = {}
    for rule in wanted if op.joint is None else ("",):
        named, needs = _template(given(rule))
        gives = {function.position(e.name, e.place): e for n in ([rule] if rule else wanted) for e in _gives(node, n)}
        order = sorted(gives)
        run = function.referred(rule, order, named, _specs(needs))
        if run is None:
            return None
        # What a rule names says nothing of derivatives here: the arguments and gradients do.
        ends = [Tensor._of(t._data, None, t._trace) if isinstance(t, Tensor) else t for t in needs]
        found |= _by_name(
            [gives[i] for i in order], programs.run(run, [_tensor(v, False) for v in (*ends, *arguments, *seeds)])
        )
    return found


def _specs(values: Sequence[Value]) -> list[Spec]:
    return [Spec(tuple(v.shape), v.dtype) for v in values]


def _by_name(gives: Sequence[Gives], gradients: Sequence[Tensor]) -> dict[str, object]:
    """Gradients by the inputs that they are by; of a sequence a list."""
    found: dict[str, object] = {}
    lists: dict[str, list[object]] = {}
    for (name, place, _), t in zip(gives, gradients, strict=True):
        if place is None:
            found[name] = t
        else:
            i, count = place
            lists.setdefault(name, [NO_GRADIENT] * count)[i] = t
    return found | lists


def _template(values: Mapping[str, object]) -> tuple[dict[str, object], list[Value]]:
    """Values by name with a `Hole` in place of each array and tensor, and these."""
    given: list[Value] = []

    def hole(value: object) -> object:
        if not isinstance(value, (np.ndarray, Tensor)):
            return value
        given.append(value)
        return Hole(len(given) - 1)

    return {n: mapped(hole, value) for n, value in values.items()}, given


def _behind(node: Node, named: Sequence[str]) -> Iterator[Tensor]:
    """What residuals were computed from, beside what a rule names: further derivatives are to come upon the call."""
    for name in node.op.differentiable:
        parent = getattr(node, name + "_node")
        if parent is None or name in named:
            continue
        if node.call is not None:
            yield from (t for t in elements(value_of(node, name, Tensor)) if isinstance(t, Tensor))
            continue
        for each in parent if type(parent) is Parents else [parent]:
            if each is not None:  # nobody asks for the values
                yield Tensor._of(np.broadcast_to(np.zeros((), each.dtype), each.shape), each)


def _gives(node: Node, name: str) -> Iterator[Gives]:
    """The arrays by which a rule is to give the gradient."""
    parent = getattr(node, name + "_node")
    if type(parent) is not Parents:
        yield Gives(name, None, Spec(tuple(parent.shape), parent.dtype))
        return
    for i, each in enumerate(parent):
        if each is not None:
            yield Gives(name, (i, len(parent)), Spec(tuple(each.shape), each.dtype))


def _tensor(value: Value, wide: bool) -> Tensor:
    """An array or tensor as a rule is given it: rules of ops on low arrays run in float32."""
    tensor = value if isinstance(value, Tensor) else Tensor._of(value)
    return tensor.astype(WIDE) if wide and is_low(tensor.dtype) else tensor
