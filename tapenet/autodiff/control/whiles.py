"""Loops of any number of turns on flat lists of tensors: run as Python does, or recorded as one op while a step is captured.

The derivative is such a loop too. It goes back over what each turn began with, which is stacked where there is a bound on the
number of turns; or over what segments of turns began with, which run again before their turns are gone back over.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapenet import ops
from tapenet.autodiff.control.body import Body, Input, check_apart, close, zeros
from tapenet.autodiff.control.by_value import apart
from tapenet.autodiff.control.recording import (
    Arrays,
    Gradients,
    as_given,
    as_tensors,
    carry_gradients,
    check_ends,
    flows_of,
    needs,
    parts,
    pull,
    reached,
    refuse,
    save_turns,
    settle,
    steady,
    undone_on_error,
    values_apart,
)
from tapenet.autodiff.observe.capture import Capture, capturing, sketching
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
#: One turn: what is carried -> (the same after it, what is stacked of it).
Turn = Callable[[list[Tensor]], tuple[list[Tensor], list[Tensor]]]


def repeat(
    test: Test, step: Turn, carry: list[Tensor], most: int | None, recompute: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Run `step` on what is carried as long as `test` gives true.

    Args:
        test, step: see `Test` and `Turn`.
        carry: what is carried at first.
        most: how many turns there may be; needed if something is stacked.
        recompute: whether the derivative runs turns again, to keep less.

    Returns:
        what is carried at the end; what was stacked, in a place for each of `most` turns, or of those that were made. With no
        turn it may be missing.

    Raises:
        RuntimeError: it goes on after `most` turns.
    """

    def tested(values: list[Tensor]) -> Tensor:
        with no_grad():
            return test(values)

    capture = capturing()
    if capture is not None:
        return _record(capture, tested, step, carry, most, recompute)
    done = 0
    rows: list[list[Tensor]] = []
    while tested(carry).item():
        if done == most:
            raise RuntimeError(too_long(done))
        returned = step(carry)
        carry = []  # so that what is carried on as it is belongs to nobody else, and is not copied
        carry, ys = map(apart, returned)
        if ys:
            rows.append(ys)
        done += 1
    return carry, [ops.stack(column) for column in zip(*rows, strict=True)]


def _record(
    capture: Capture, test: Test, step: Turn, carry: list[Tensor], most: int | None, recompute: bool
) -> tuple[list[Tensor], list[Tensor]]:
    given = [zeros(np.zeros((), np.int64)), *carry]  # what is carried first counts the turns
    flags = [local.state.grad and is_inexact(t.dtype) for t in given]

    def function(values: list[Tensor]) -> list[Tensor]:
        after, ys = step(values[1:])
        return [values[0] + 1, *after, *ys]

    tested = Body()
    tested.trace(lambda values: [test(values[1:])], given, [False] * len(given))
    with undone_on_error(tested):
        _check_test(tested)
        goes_on = bool(tested.results[0].data)
        body, entering = steady(function, given, flags)
    with undone_on_error(body):
        if not goes_on:  # it was run to record it
            body.discard()
            body.admit_grads()
        _check_gradients(tested, body)
        count = len(given)
        left = carry_gradients(body, entering, count)
        first = [*given, *left.values()]
        own = len(body.results)
        tested.inputs = [*tested.inputs, *(Input(t._data, tested.scope) for t in left.values())]
        flows = flows_of(body, [needs(t) for t in first])
        for k, t in enumerate(first):  # without a turn it is the result
            flows[k] = flows[k] or needs(t)
        check_ends(body)
        closed, states = close(tested, body)
        for t in carry:
            check_apart(t._data, [s._data for s in states])
        if any(flows) and not body.effects and most is not None:
            save_turns(body, [] if recompute else first, flows)
        body.flows = flows
        outs = while_op(
            [*first, *closed], states, test=tested, body=body, carries=len(first), most=most, recompute=recompute
        )
        found = {leaf: outs[k] for k, leaf in enumerate(left, count) if body.left[leaf] is not None}
        settle(capture, outs, (body, tested), found)
    return list(outs[1:count]), list(outs[len(first) : own])


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


def _while(
    inputs: Arrays, states: Arrays, test: Body, body: Body, carries: int, most: int | None, recompute: bool
) -> tuple[Array, ...]:
    carry, closed = list(inputs[:carries]), inputs[carries:]
    sketch = sketching()  # nobody looks at the values
    empty = [(most or 0, *t.data.shape) for t in body.results[carries:]]
    columns = [
        np.broadcast_to(np.zeros((), t.data.dtype), shape) if sketch else np.zeros(shape, t.data.dtype)
        for t, shape in zip(body.results[carries:], empty, strict=True)
    ]
    done = 0
    while test([*carry, *closed, *states])[0]:
        if done == most:
            raise RuntimeError(too_long(done))
        results = body([*carry, *closed, *states])
        carry = values_apart(results[:carries], states)
        if sketch:
            break
        for column, y in zip(columns, results[carries:], strict=True):
            column[done] = y
        done += 1
    return (*carry, *columns, *states)


def _while_inputs(
    g: Gradients, out: Arrays, inputs: Arrays, test: Body, body: Body, carries: int, most: int | None, recompute: bool
) -> tuple[object, ...]:
    """The derivative of a loop: a loop back over its turns, which takes the gradient of the carry along and adds up those of
    what the body closes over."""
    refuse(body)
    if most is None:
        raise CaptureError(
            "backward through tn.while_loop in a captured step needs what each turn began with, and memory for that is made "
            "ahead: give tn.while_loop(..., max_turns=n), a number of turns that is enough; with recompute=True the memory is "
            "that of 2 * sqrt(n) turns. tn.jvp needs none"
        )
    gs, outs, values = map(as_tensors, (g, out, inputs))
    end = len(body.results)
    own = end - len(body.saved)
    ys, entered, wanted = reached(body, gs, carries, 0 if recompute else carries)
    if not wanted:
        return as_given({}, len(values), g)
    live = [k for k in wanted if k < carries]
    closed = [k for k in wanted if k >= carries]
    saved = [t if flag else t.detach() for t, flag in zip(outs[own:end], body.flows[own:], strict=True)]
    others = values[carries:]

    def pulled(turn: Tensor, before: list[Tensor], gradients: list[Tensor]) -> list[Tensor]:
        """The gradients before a turn, from those after it."""
        rows = [t[turn] for t in saved]
        own_gradients = pull(
            body, [*before, *others], rows, wanted, [*live, *ys], [*gradients[: len(live)], *(gs[k][turn] for k in ys)]
        )
        for k in entered:
            own_gradients[live.index(k)] = own_gradients[live.index(k)] + gs[own + k][turn]
        to_carry, to_closed = parts(own_gradients, len(live))
        return [*to_carry, *(a + b for a, b in zip(gradients[len(live) :], to_closed, strict=True))]

    def advanced(turn: Tensor, carry: list[Tensor]) -> list[Tensor]:
        return body.on_tensors([*carry, *others], [t[turn] for t in saved])[:carries]

    gradients = [
        *(zeros(values[k]._data) if gs[k] is None else gs[k] for k in live),
        *(zeros(values[k]._data) for k in closed),
    ]
    turns = outs[0].detach()
    if recompute:
        gradients = _back_by_segments(turns, most, values[:carries], gradients, advanced, pulled)
    else:
        gradients = _back(turns, most, lambda turn, gs: pulled(turn, [t[turn] for t in saved[:carries]], gs), gradients)
    return as_given(dict(zip([*live, *closed], gradients, strict=True)), len(values), g)


def _back(
    turns: Tensor, most: int, step: Callable[[Tensor, list[Tensor]], list[Tensor]], gradients: list[Tensor]
) -> list[Tensor]:
    """Take gradients from the last of so many turns to the first."""

    def turn(carry: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        at = carry[0] - 1
        return [at, *step(at, carry[1:])], []

    return repeat(lambda carry: carry[0] > 0, turn, [turns, *gradients], most)[0][1:]


def _back_by_segments(
    turns: Tensor,
    most: int,
    first: list[Tensor],
    gradients: list[Tensor],
    advanced: Callable[[Tensor, list[Tensor]], list[Tensor]],
    pulled: Callable[[Tensor, list[Tensor], list[Tensor]], list[Tensor]],
) -> list[Tensor]:
    """The same where nothing is known of the turns but what the first began with. They run again: to learn what each segment
    began with, and, segment by segment, from there."""
    size = math.isqrt(max(most - 1, 0)) + 1
    segments = (turns + (size - 1)) // size
    zero = zeros(np.zeros((), np.int64))

    def run(begin: Tensor, until: Tensor, carry: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """What is carried after these turns, and what each of them began with."""

        def turn(carry: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
            return [carry[0] + 1, *advanced(carry[0], carry[1:])], carry[1:]

        last, rows = repeat(lambda carry: carry[0] < until, turn, [begin, *carry], size)
        return last[1:], rows

    def skip(carry: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        begin = carry[0] * size
        until = ops.where(carry[0] + 1 < segments, begin + size, begin)  # nobody asks for the end of the last
        return [carry[0] + 1, *run(begin, until, carry[1:])[0]], carry[1:]

    _, starts = repeat(lambda carry: carry[0] < segments, skip, [zero, *first], -(-most // size))

    def back(segment: Tensor, gradients: list[Tensor]) -> list[Tensor]:
        begin = segment * size
        until = ops.minimum(begin + size, turns)
        _, rows = run(begin, until, [t[segment] for t in starts])
        return _back(until - begin, size, lambda turn, gs: pulled(begin + turn, [t[turn] for t in rows], gs), gradients)

    return _back(segments, -(-most // size), back, gradients)


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
        body: one turn. Its results are the new carry, then what is stacked, in the end what a derivative needs.
        carries: how many of the inputs are carries.
        most: how many turns there may be; None for any number.
        recompute: whether the derivative runs the turns again, in place of keeping what each began with.

    Returns:
        the last carry, the other results of the turns, stacked along a new first axis of length `most`, the states.

    Raises:
        RuntimeError: there are more turns.
    """,
)
