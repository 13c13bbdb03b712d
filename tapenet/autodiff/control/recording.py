"""What recording a loop or branch takes, whatever its kind: its bodies made right for every turn, what flows through them, what
they leave outside, and their derivatives.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tapenet import ops
from tapenet.autodiff import backward
from tapenet.autodiff.control.body import Body, Flat, Input, zeros
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.gradients import NO_GRADIENT
from tapenet.autodiff.node import Leaf
from tapenet.autodiff.observe.capture import Capture, capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import enable_grad, local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.stack_frames import user_line
from tapenet.program.low import is_inexact
from tapenet.typing import Array

#: Arrays, or tensors where rules run on these; gradients, None for what is not used.
Arrays = Sequence[Array]
Gradients = Sequence[Array | None]


# -- recording ---------------------------------------------------------------------------------------------------


def needs(t: Tensor) -> bool:
    """Whether a gradient flows to a tensor."""
    return local.state.grad and t._node is not None and is_inexact(t.dtype)


@contextmanager
def undone_on_error(*bodies: Body) -> Iterator[None]:
    """Undo what the bodies changed outside if the block fails."""
    try:
        yield
    except BaseException:
        for body in bodies:
            body.discard()
        raise


def steady(function: Flat, given: list[Tensor], flags: list[bool]) -> tuple[Body, dict[Leaf, Tensor]]:
    """The body of a loop, captured so that it is right for every iteration, and the gradients of leaves that it adds
    to. A body that is captured where a gradient is None would be right for the first iteration only."""
    body = Body()
    body.trace(function, given, flags)
    entering = {
        leaf: zeros(leaf) if use.before is None else use.before
        for leaf, use in body.grads.items()
        if use.entry_read and leaf in body.left and (use.before is not None or body.left[leaf] is not None)
    }
    if not entering:
        return body, {}
    updates = body.count_effects()
    body.discard()
    again = Body()
    # A gradient that is in no graph stays out of it, and changes in place.
    again.trace(function, given, flags, entering, [_in_graph(body.left[leaf]) for leaf in entering])
    if again.count_effects() != updates:
        again.discard()
        raise CaptureError(
            f"{user_line()}: the body of a loop looks at .grad before its backward(), and finds None in the first "
            "iteration but not in the others, which a captured loop cannot follow. Call opt.zero_grad() and "
            "loss.backward() before opt.step()"
        )
    return again, entering


def carry_gradients(body: Body, entering: dict[Leaf, Tensor], carries: int) -> dict[Leaf, Tensor]:
    """Have a loop's body carry, behind its other carries, the gradients that it leaves at leaves; what these are before the
    first turn."""
    left = {n: entering.get(n, zeros(n)) for n, g in body.left.items() if g is not None or n in entering}
    given = len(body.inputs) - len(entering)
    stand_ins = dict(zip(entering, body.inputs[given:], strict=True))
    carried = [stand_ins.get(leaf, Input(t._data, body.scope)) for leaf, t in left.items()]
    body.inputs = [*body.inputs[:carries], *carried, *body.inputs[carries:given]]
    count = len(body.results)
    ys = count - len(left)
    body.arrange([*range(carries), *range(ys, count), *range(carries, ys)])
    return left


def save_turns(body: Body, carry: list[Tensor], flows: list[bool]) -> None:
    """Have a loop's body return what its derivative needs of each turn: the carries it begins with, and random numbers."""
    for entered, t in zip(body.inputs, carry, strict=False):
        body.save(entered, 0, t._data)
        flows.append(entered.differentiable)
    for node, index, data in body.draws():
        body.save(node, index, data)
        flows.append(False)


def values_apart(values: Arrays, states: Arrays) -> list[Array]:
    """What a turn hands on, as values: copies of what lies in states, whose storage changes in the next turn."""
    return [v.copy() if any(np.may_share_memory(v, s) for s in states) else v for v in values]


def _in_graph(grad: Tensor | None) -> bool:
    return grad is not None and grad._node is not None


def flows_of(body: Body, live: list[bool]) -> list[bool]:
    """Whether gradients flow through each result of a loop's body, given which of the carries need one at first. A
    carry is differentiable once anything that flows into it is."""
    if not local.state.grad:
        return [False] * len(body.results)
    depends = body.depends()
    mask = ~0 << (len(live) + 1) | 1  # everything but the carries
    for _ in live:
        mask |= sum(2 << k for k, flag in enumerate(live) if flag)
        live = [flag or bool(bits & mask) for flag, bits in zip(live, depends, strict=False)]
    for node, flag in zip(body.inputs, live, strict=False):
        node.differentiable = flag
    mask |= sum(2 << k for k, flag in enumerate(live) if flag)
    return [bool(bits & mask) for bits in depends]


def check_ends(body: Body) -> None:
    """Raise if a backward pass inside a loop's body reached a carry or slice, through which it would go on in an
    uncompiled loop.

    Raises:
        CaptureError: says what to write.
    """
    if any(node.differentiable and node.reached for node in body.inputs):
        raise CaptureError(
            f"{user_line()}: a backward() in the body of a loop goes through its carry, or a slice of xs, to what that was "
            "computed from, which a captured loop cannot do. Cut it off, carry.detach(), or call backward() behind the loop"
        )


def settle(capture: Capture, outs: Sequence[Tensor], bodies: Sequence[Body], left: dict[Leaf, Tensor]) -> None:
    """Give the tensors that were written, and the gradients of leaves, the values of the recorded loop or branch."""
    body = bodies[0]
    for tensor, flag in zip(outs, body.flows, strict=False):
        if not flag:
            tensor._node = None
    count = len(body.results)
    final = {id(t._data): t for t in outs[count:]}
    for each in bodies:
        for tensor in each.written:
            after = final.get(id(tensor._data))
            if after is not None:  # else it was made inside
                capture.touch(tensor)
                tensor._trace = after._trace
    if outs and any(each.effects for each in bodies):
        # It has no derivative. The error should say so, and not that a saved array was written since.
        source: Any = outs[0]._trace
        source.source_node.inputs_saved = source.source_node.out_saved = ()
    for leaf, g in left.items():
        uses = [each.grads[leaf] for each in bodies if leaf in each.grads]
        leaf.grad = uses[0].before
        # Who held it before sees what was added; of one that was set anew there is another tensor.
        if leaf.grad is None or any(use.replaced for use in uses) or not capture.changes_grad(leaf, g):
            leaf.grad = g
    for each in bodies:
        each.keep()


# -- derivatives -------------------------------------------------------------------------------------------------


def refuse(*bodies: Body) -> None:
    """Raise if a body does something beside returning values.

    Raises:
        CaptureError: it does.
    """
    effects = sorted({name for body in bodies for name in body.effects})
    if effects:
        raise CaptureError(
            f"backward through a captured loop or branch whose body has effects ({', '.join(effects)}): it writes tensors "
            "from outside or asks the host for numbers, which cannot be undone to run it backwards. Call backward() inside "
            "of the body, or return what is written as part of the carry"
        )


def as_tensors(values: Sequence[object]) -> list[Any]:
    """What a rule is given, as tensors; None stays so."""
    return [None if v is None else asarray(v) for v in values]


def as_given(gradients: dict[int, Tensor], count: int, gs: Sequence[object]) -> tuple[object, ...]:
    """Gradients of so many inputs, by position, as a rule returns them: arrays where it was given arrays."""
    on_tensors = any(type(g) is Tensor for g in gs)
    found = {k: d if on_tensors else d._data for k, d in gradients.items()}
    return tuple(found.get(k, NO_GRADIENT) for k in range(count))


def reached(body: Body, gs: Sequence[Tensor | None], carries: int, kept: int) -> tuple[list[int], list[int], list[int]]:
    """Through what gradients flow in a loop, from those of its outputs: the ys that have one; the carries whose values at the
    beginning of each turn have one (those of the first `kept` carries are outputs); and the inputs that gradients reach."""
    own = len(body.results) - len(body.saved)
    ys = [k for k in range(carries, own) if gs[k] is not None and body.flows[k]]
    entered = [k for k in range(kept) if gs[own + k] is not None and body.inputs[k].differentiable]
    found = {k for k in range(carries) if gs[k] is not None} | {*entered}
    while not found >= (more := body.inputs_of([*ys, *(k for k in found if k < carries)])):
        found |= more
    return ys, entered, [k for k in sorted(found) if body.inputs[k].differentiable]


def parts(values: list[Tensor], *lengths: int) -> list[list[Tensor]]:
    """A list cut into parts of these lengths and what is left."""
    found = []
    for length in lengths:
        found.append(values[:length])
        values = values[length:]
    return [*found, values]


def pull(
    body: Body, given: list[Tensor], saved: list[Tensor], wanted: list[int], seeded: list[int], gs: list[Tensor]
) -> list[Tensor]:
    """The gradients of a body by some of its inputs, from those by some of its results."""
    outer = local.state.grad
    tensors = list(given)
    for k in wanted:  # a node of its own, at which gradients end
        t = given[k]
        tensors[k] = ops.alias(t) if outer and t._node is not None else t.detach()._require()
    with enable_grad():
        results = body.on_tensors(tensors, saved)
    roots = [(results[k]._node, g) for k, g in zip(seeded, gs, strict=True)]
    ends = [tensors[k]._node for k in wanted]
    on_tensors = outer or capturing() is not None
    found = dict(
        backward.run(
            [(node, g if on_tensors else g._data) for node, g in roots if node is not None],
            tensor=Tensor,
            release=False,
            create_graph=outer,
            only={node for node in ends if node is not None},
        )
    )
    gradients = [None if node is None else found.get(node) for node in ends]
    return [
        zeros(given[k]._data) if g is None else g if isinstance(g, Tensor) else Tensor._of(g)
        for k, g in zip(wanted, gradients, strict=True)
    ]
