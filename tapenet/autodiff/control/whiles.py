"""Loops of any number of turns on flat lists of tensors: run as Python does, or recorded as one op while a step is captured.

The derivative is such a loop too. It goes back over what each turn began with, which is stacked where there is a bound on the
number of turns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet.autodiff.control.body import Body, Flat, Input, check_apart, close, zeros
from tapenet.autodiff.control.recording import (
    Arrays,
    Gradients,
    as_given,
    as_tensors,
    check_ends,
    flows_of,
    needs,
    parts,
    pull,
    refuse,
    settle,
    steady,
    undone_on_error,
)
from tapenet.autodiff.gradients import NO_GRADIENT
from tapenet.autodiff.observe.capture import Capture, capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import local, no_grad
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.ops.stack_frames import user_line
from tapenet.program.low import is_inexact
from tapenet.program.primitives import too_long
from tapenet.typing import Array

#: Whether there is another turn: a truth, of what is carried.
Test = Callable[[list[Tensor]], Tensor]


def repeat(test: Test, step: Flat, carry: list[Tensor], most: int | None) -> list[Tensor]:
    """Run `step` on what is carried as long as `test` gives true; gives what is carried at the end.

    Raises:
        RuntimeError: it goes on after `most` turns.
    """

    def tested(values: list[Tensor]) -> Tensor:
        with no_grad():
            return test(values)

    capture = capturing()
    if capture is not None:
        return _record(capture, tested, step, carry, most)
    done = 0
    while tested(carry).item():
        if done == most:
            raise RuntimeError(too_long(done))
        carry = step(carry)
        done += 1
    return carry


def _record(capture: Capture, test: Test, step: Flat, carry: list[Tensor], most: int | None) -> list[Tensor]:
    given = [zeros(np.zeros((), np.int64)), *carry]  # what is carried first counts the turns
    flags = [local.state.grad and is_inexact(t.dtype) for t in given]
    tested = Body()
    tested.trace(lambda values: [test(values[1:])], given, [False] * len(given))
    with undone_on_error(tested):
        _check_test(tested)
        goes_on = bool(tested.results[0].data)
        body, entering = steady(lambda values: [values[0] + 1, *step(values[1:])], given, flags)
    with undone_on_error(body):
        if not goes_on:  # it was run to record it
            body.discard()
            body.admit_grads()
        _check_gradients(tested, body)
        # The gradients that leaves are left with are carried too.
        left = {n: entering.get(n, zeros(n)) for n, g in body.left.items() if g is not None or n in entering}
        first = [*given, *left.values()]
        stand_ins = dict(zip(entering, body.inputs[len(given) :], strict=True))
        carried = [stand_ins.get(leaf, Input(t._data, body.scope)) for leaf, t in left.items()]
        body.inputs = [*body.inputs[: len(given)], *carried]
        tested.inputs = [*tested.inputs, *(Input(t._data, tested.scope) for t in left.values())]
        flows = flows_of(body, [needs(t) for t in first])
        check_ends(body)
        closed, states = close(tested, body)
        for t in carry:
            check_apart(t._data, [s._data for s in states])
        if any(flows) and not body.effects and most is not None:
            for entered, t in zip(body.inputs, first, strict=False):
                body.save(entered, 0, t._data)
                flows.append(entered.differentiable)
            for node, index, data in body.draws():
                body.save(node, index, data)
                flows.append(False)
        body.flows = flows
        outs = while_op([*first, *closed], states, test=tested, body=body, carries=len(first), most=most)
        found = {leaf: outs[k] for k, leaf in enumerate(left, len(given)) if body.left[leaf] is not None}
        settle(capture, outs, (body, tested), found)
    return list(outs[1 : len(given)])


def _check_test(tested: Body) -> None:
    """Raise if what decides about another turn does something beside."""
    if tested.effects or tested.random or tested.left:
        did = ", ".join(tested.effects) or ("random numbers" if tested.random else "a gradient")
        raise CaptureError(
            f"{user_line()}: cond of tn.while_loop has effects ({did}): it only looks at what is carried, and says whether "
            "there is another turn. Do it in body, and carry what cond needs to know"
        )


def _check_gradients(tested: Body, body: Body) -> None:
    """Raise where the gradient of a leaf would be another one if there was no turn, or cond would have to see those of body."""
    for leaf, use in tested.grads.items():
        if use.entry_read and leaf in body.left:
            raise CaptureError(
                f"{user_line()}: cond of tn.while_loop reads .grad of a leaf of shape {leaf.shape}, which body changes: carry "
                "the gradient, or what cond needs to know of it"
            )
    for leaf, g in body.left.items():
        use = body.grads[leaf]
        if (g is None) != (use.before is None) and not use.consumed:
            raise CaptureError(
                f"{user_line()}: body of tn.while_loop leaves {'no' if g is None else 'a'} gradient at a leaf of shape "
                f"{leaf.shape} that had {'none' if use.before is None else 'one'} before, and there may be no turn at all: set "
                "the gradient to None or zeros before the loop, and leave it so at the end of body"
            )


def _while(inputs: Arrays, states: Arrays, test: Body, body: Body, carries: int, most: int | None) -> tuple[Array, ...]:
    carry, closed = list(inputs[:carries]), inputs[carries:]
    columns = [np.zeros((most or 0, *t.data.shape), t.data.dtype) for t in body.results[carries:]]
    done = 0
    while test([*carry, *closed, *states])[0]:
        if done == most:
            raise RuntimeError(too_long(done))
        results = body([*carry, *closed, *states])
        # The storage of a state changes in the next turn; a carry is a value.
        carry = [v.copy() if any(np.may_share_memory(v, s) for s in states) else v for v in results[:carries]]
        for column, y in zip(columns, results[carries:], strict=True):
            column[done] = y
        done += 1
    return (*carry, *columns, *states)


def _while_inputs(
    g: Gradients, out: Arrays, inputs: Arrays, test: Body, body: Body, carries: int, most: int | None
) -> tuple[object, ...]:
    """The derivative of a loop: a loop back over its turns, which takes the gradient of the carry along and adds up those of
    what the body closes over."""
    refuse(body)
    if most is None:
        raise CaptureError(
            "backward through tn.while_loop in a captured step needs what each turn began with, and memory for that is made "
            "ahead: give tn.while_loop(..., max_turns=n), a number of turns that is enough. tn.jvp needs none"
        )
    gs, outs, values = map(as_tensors, (g, out, inputs))
    end = carries + len(body.saved)
    # The carries whose values at the beginning of each turn have gradients.
    entered = [k for k in range(carries) if gs[carries + k] is not None and body.inputs[k].differentiable]
    reached = {k for k in range(carries) if gs[k] is not None} | {*entered}
    while not reached >= (more := body.inputs_of(k for k in reached if k < carries)):
        reached |= more
    wanted = [k for k in sorted(reached) if body.inputs[k].differentiable]
    if not wanted:
        return (NO_GRADIENT,) * len(values)
    live = [k for k in wanted if k < carries]
    closed = [k for k in wanted if k >= carries]
    saved = [t if flag else t.detach() for t, flag in zip(outs[carries:end], body.flows[carries:], strict=True)]
    stacked = [*saved, *(gs[carries + k] for k in entered)]

    def step(carry: list[Tensor]) -> list[Tensor]:
        turn = carry[0] - 1
        rows, g_entered = parts([t[turn] for t in stacked], len(saved))
        own_gradients = pull(body, [*rows[:carries], *values[carries:]], rows, wanted, live, carry[1 : 1 + len(live)])
        for k, more in zip(entered, g_entered, strict=True):
            own_gradients[live.index(k)] = own_gradients[live.index(k)] + more
        to_carry, to_closed = parts(own_gradients, len(live))
        return [turn, *to_carry, *(a + b for a, b in zip(carry[1 + len(live) :], to_closed, strict=True))]

    first = [
        outs[0].detach(),
        *(zeros(values[k]._data) if gs[k] is None else gs[k] for k in live),
        *(zeros(values[k]._data) for k in closed),
    ]
    last = repeat(lambda carry: carry[0] > 0, step, first, most)
    found: list[Tensor | None] = [None] * len(values)
    for k, d in zip([*live, *closed], last[1:], strict=True):
        found[k] = d
    return as_given(found, g)


while_op = op(
    _while,
    name="while",
    outputs=None,
    inputs=_while_inputs,
    states=lambda body: refuse(body),
    effect=True,
    precision="same",
    tell_unused=True,
    formula="carry = body(carry) as long as test(carry)",
    gradients="inputs: g pulled back through each turn that was made, last first; states: none",
    doc="""A captured loop of any number of turns; `tn.while_loop` records it.

    Args:
        inputs: the first carry, whose first entry counts the turns, then what test and body read from outside.
        states: the storage of the tensors from outside that the body writes.
        test: gives one truth, whether there is another turn. It has the inputs of the body.
        body: one turn. Its results are the new carry, then what each turn keeps for a derivative.
        carries: how many of the inputs are carries.
        most: how many turns there may be; None for any number.

    Returns:
        the last carry, what the turns keep, stacked along a new first axis of length `most`, the states.

    Raises:
        RuntimeError: there are more turns.
    """,
)
