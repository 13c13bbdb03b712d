"""Loops on flat lists of tensors: run as Python does, or recorded as one op each while a step is captured.

`flow` puts nested structures around them. The derivative of a loop is a loop, written in terms of the functions here, so that
every order follows; and so it is with branches (`branches`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet import ops
from tapenet.autodiff.control.body import Body, check_apart, close, zeros
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
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.program.low import is_inexact
from tapenet.typing import Array

#: One iteration: (carry, slices of xs) -> (carry, ys).
Step = Callable[[list[Tensor], list[Tensor]], tuple[list[Tensor], list[Tensor]]]


def loop(
    step: Step, carry: list[Tensor], xs: list[Tensor], length: int, reverse: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Run `step` over the first axis of `xs`; gives the last carry, and the ys stacked."""
    if length == 0:
        return carry, _no_iteration(step, carry, xs)
    capture = capturing()
    if capture is not None:
        return _record_loop(capture, step, carry, xs, length, reverse)
    # Slices of data need no node of their own.
    plain = [type(x) is Tensor and x._node is None and local.state.tape is None for x in xs]
    columns: list[list[Tensor]] = []
    for i in range(length)[:: -1 if reverse else 1]:
        slices = [Tensor._of(x._data[i, ...]) if p else x[i] for x, p in zip(xs, plain, strict=True)]
        returned = step(carry, slices)
        carry = slices = []  # so that what is carried on as it is belongs to nobody else, and is not copied
        carry, ys = map(apart, returned)
        columns = columns or [[] for _ in ys]
        for column, y in zip(columns, ys, strict=True):
            column.append(y)
    return carry, [ops.stack(column[:: -1 if reverse else 1]) for column in columns]


def _no_iteration(step: Step, carry: list[Tensor], xs: list[Tensor]) -> list[Tensor]:
    """The ys of a loop without iterations. Their shapes are learned from one iteration on zeros, which is undone."""
    body = Body()
    slices = [Tensor._of(np.zeros(x.shape[1:], x.dtype)) for x in xs]
    given = [*carry, *slices]
    count = len(carry)
    try:
        body.trace(lambda values: step(values[:count], values[count:])[1], given, [False] * len(given))
    except CaptureError as error:
        error.add_note("the loop has no iterations; what it returns then is learned by capturing one on zeros")
        raise
    body.discard()
    ys = body.results[: len(body.results) - sum(g is not None for g in body.left.values())]
    return [Tensor._of(np.zeros((0, *t.data.shape), t.data.dtype)) for t in ys]


def _record_loop(
    capture: Capture, step: Step, carry: list[Tensor], xs: list[Tensor], length: int, reverse: bool
) -> tuple[list[Tensor], list[Tensor]]:
    count = len(carry)
    i = length - 1 if reverse else 0
    given = [*carry, *(Tensor._of(x._data[i, ...]) for x in xs)]
    # Assumed for now: an iteration may bring a gradient into a carry that had none.
    flags = [local.state.grad and is_inexact(t.dtype) for t in carry] + [needs(x) for x in xs]

    def function(values: list[Tensor]) -> list[Tensor]:
        after, ys = step(values[:count], values[count:])
        return [*after, *ys]

    body, entering = steady(function, given, flags)
    with undone_on_error(body):
        left = carry_gradients(body, entering, count)
        first = [*carry, *left.values()]
        own = len(body.results)
        flows = flows_of(body, [needs(t) for t in first])
        check_ends(body)
        closed, states = close(body)
        for t in (*carry, *xs):
            check_apart(t._data, [s._data for s in states])
        if any(flows) and not body.effects:
            save_turns(body, first, flows)
        body.flows = flows
        inputs = [*first, *xs, *closed]
        outs = scan_op(inputs, states, body=body, carries=len(first), slices=len(xs), length=length, reverse=reverse)
        found = {leaf: outs[k] for k, leaf in enumerate(left, count) if body.left[leaf] is not None}
        settle(capture, outs, (body,), found)
    return list(outs[:count]), list(outs[len(first) : own])


def _scan(
    inputs: Arrays, states: Arrays, body: Body, carries: int, slices: int, length: int, reverse: bool
) -> tuple[Array, ...]:
    carry, xs, closed = inputs[:carries], inputs[carries : carries + slices], inputs[carries + slices :]
    columns: list[Array] = []
    sketch = sketching()  # nobody looks at the values
    for i in range(length)[:: -1 if reverse else 1]:
        results = body([*carry, *(x[i, ...] for x in xs), *closed, *states])
        carry = values_apart(results[:carries], states)
        if sketch:
            columns = [np.broadcast_to(y, (length, *y.shape)) for y in results[carries:]]
            break
        columns = columns or [np.empty((length, *y.shape), y.dtype) for y in results[carries:]]
        for column, y in zip(columns, results[carries:], strict=True):
            column[i] = y
    return (*carry, *columns, *states)


def _scan_inputs(
    g: Gradients, out: Arrays, inputs: Arrays, body: Body, carries: int, slices: int, length: int, reverse: bool
) -> tuple[object, ...]:
    """The derivative of a loop: a loop in the other direction, which takes the gradient of the carry along and adds up
    those of what the body closes over."""
    refuse(body)
    gs, outs, values = map(as_tensors, (g, out, inputs))
    end = len(body.results)
    own = end - len(body.saved)
    ys, entered, wanted = reached(body, gs, carries, carries)
    if not wanted:
        return as_given({}, len(values), g)
    live = [k for k in wanted if k < carries]
    sliced = [k for k in wanted if carries <= k < carries + slices]
    closed = [k for k in wanted if k >= carries + slices]

    def step(carry: list[Tensor], xs: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        before, draws, rows, g_ys, g_entered = parts(xs, carries, len(body.saved) - carries, slices, len(ys))
        given = [*before, *rows, *values[carries + slices :]]
        own_gradients = pull(body, given, [*before, *draws], wanted, [*live, *ys], [*carry[: len(live)], *g_ys])
        for k, more in zip(entered, g_entered, strict=True):
            own_gradients[live.index(k)] = own_gradients[live.index(k)] + more
        to_carry, to_slices, to_closed = parts(own_gradients, len(live), len(sliced))
        return [*to_carry, *(a + b for a, b in zip(carry[len(live) :], to_closed, strict=True))], to_slices

    first = [
        *(zeros(values[k]._data) if gs[k] is None else gs[k] for k in live),
        *(zeros(values[k]._data) for k in closed),
    ]
    saved = [t if flag else t.detach() for t, flag in zip(outs[own:end], body.flows[own:], strict=True)]
    xs = [*saved, *values[carries : carries + slices], *(gs[k] for k in ys), *(gs[own + k] for k in entered)]
    last, rows = loop(step, first, xs, length, not reverse)
    return as_given(dict(zip([*live, *closed, *sliced], [*last, *rows], strict=True)), len(values), g)


scan_op = op(
    _scan,
    name="scan",
    outputs=None,
    inputs=_scan_inputs,
    states=lambda body: refuse(body),
    effect=True,
    precision="same",
    tell_unused=True,
    label=lambda length, **_: f"scan × {length}",
    formula="carry, ys[i] = body(carry, xs[i]) for each i",
    gradients="inputs: g pulled back through each iteration, last first; states: none",
    doc="""A captured loop; `tn.scan` and `tn.fori` record it.

    Args:
        inputs: the first carry, the xs, then what the body reads from outside.
        states: the storage of the tensors from outside that the body writes.
        body: one iteration. Its results are the new carry, then one slice of each of the ys.
        carries: how many of the inputs are carries.
        slices: how many of them are xs.
        length: number of iterations, at least 1.
        reverse: from the last slice to the first.

    Returns:
        the last carry, the ys stacked along a new first axis, the states.
    """,
)
