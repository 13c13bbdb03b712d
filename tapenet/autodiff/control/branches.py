"""Branches on flat lists of tensors: run as Python does, or recorded as one op each while a step is captured.

The derivative of a branch is a branch, written in terms of the functions here, so that every order follows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.autodiff.control.body import Body, Flat, close, zeros
from tapenet.autodiff.control.by_value import apart
from tapenet.autodiff.control.recording import (
    Arrays,
    Gradients,
    as_given,
    as_tensors,
    parts,
    pull,
    refuse,
    settle,
    undone_on_error,
)
from tapenet.autodiff.node import Leaf
from tapenet.autodiff.observe.capture import Capture, capturing
from tapenet.autodiff.observe.tape import CaptureError
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.op import op
from tapenet.ops.stack_frames import user_line
from tapenet.typing import Array


def branch(pred: object, true: Flat, false: Flat, operands: list[Tensor]) -> list[Tensor]:
    """Run one of two functions, which give as many tensors of the same shapes and dtypes."""
    capture = capturing()
    if capture is not None and isinstance(pred, Tensor):
        return _record_branch(capture, pred, true, false, operands)
    taken = true if np.asarray(pred.item() if isinstance(pred, Tensor) else pred).item() else false
    return apart(taken(operands))


def _record_branch(capture: Capture, pred: Tensor, true: Flat, false: Flat, operands: list[Tensor]) -> list[Tensor]:
    taken = bool(pred._data.item())
    bodies = true_body, false_body = Body(), Body()
    chosen, other = (true_body, false_body) if taken else (false_body, true_body)
    other.sketches = True  # what refuses its values there is not to stop the one that is taken
    # The operands themselves are passed, so that a backward pass inside goes on to the leaves behind them, as
    # uncompiled.
    other.trace(lambda _: (false if taken else true)(operands), [], [])
    other.discard()
    chosen.trace(lambda _: (true if taken else false)(operands), [], [])
    with undone_on_error(chosen):
        other.admit_grads()
        left = _agree_on_gradients(bodies)
        flows = [
            local.state.grad and bool(a | b) for a, b in zip(true_body.depends(), false_body.depends(), strict=True)
        ]
        own = len(flows) - len(left)
        closed, states = close(*bodies)
        if any(flows) and not (true_body.effects or false_body.effects):
            for body, opposite in (bodies, bodies[::-1]):
                for node, index, data in body.draws():
                    body.save(node, index, data)
                    opposite.save(None, 0, zeros(data)._data)
                    flows.append(False)
        for body in bodies:
            body.flows = flows
        outs = cond_op(pred, closed, states, true=true_body, false=false_body)
        settle(capture, outs, bodies, {leaf: outs[k] for k, leaf in enumerate(left, own)})
    return list(outs[:own])


def _agree_on_gradients(bodies: Sequence[Body]) -> list[Leaf]:
    """Have both branches return the gradient of each leaf for which one of them sets it."""
    leaves = {leaf: None for body in bodies for leaf in body.left}
    after: dict[Leaf, list[Tensor | None]] = {}
    for leaf in leaves:
        uses = [body.grads[leaf] for body in bodies if leaf in body.left]
        values = [body.left.get(leaf, uses[0].before) for body in bodies]
        if all(g is None for g in values):
            continue
        if any(g is None for g in values) and not any(use.consumed for use in uses):
            raise CaptureError(
                f"{user_line()}: one branch of tn.cond leaves a gradient at a leaf of shape {leaf.shape}, and the other none, "
                "which a captured branch cannot do. Let both call backward(), or neither: return the loss, and call it "
                "behind the branch"
            )
        after[leaf] = values
    for k, body in enumerate(bodies):
        found = [leaf for leaf, g in body.left.items() if g is not None]
        own = len(body.results) - len(found)
        order = list(range(own))
        for leaf, values in after.items():
            if leaf not in found:
                g = values[k]
                body.append(zeros(leaf) if g is None else g)
            order.append(own + found.index(leaf) if leaf in found else len(body.results) - 1)
        body.arrange(order)
    return list(after)


def _cond(pred: Array, inputs: Arrays, states: Arrays, true: Body, false: Body) -> tuple[Array, ...]:
    taken = true if np.asarray(pred).item() else false
    return (*taken([*inputs, *states]), *states)


def _cond_inputs(
    g: Gradients, out: Arrays, pred: Tensor, inputs: Arrays, true: Body, false: Body
) -> tuple[object, ...]:
    """The derivative of a branch: a branch of the derivatives."""
    refuse(true, false)
    gs, outs, values = map(as_tensors, (g, out, inputs))
    end = len(true.results)
    own = end - len(true.saved)
    seeded = [k for k in range(own) if gs[k] is not None and true.flows[k]]
    entered = true.inputs_of(seeded) | false.inputs_of(seeded)
    wanted = [k for k in sorted(entered) if true.inputs[k].differentiable]
    if not wanted:
        return as_given({}, len(values), g)

    def pulled(body: Body) -> Flat:
        def function(operands: list[Tensor]) -> list[Tensor]:
            given, saved, seeds = parts(operands, len(values), end - own)
            return pull(body, given, saved, wanted, seeded, seeds)

        return function

    saved = [t.detach() for t in outs[own:end]]
    rows = branch(pred, pulled(true), pulled(false), [*values, *saved, *(gs[k] for k in seeded)])
    return as_given(dict(zip(wanted, rows, strict=True)), len(values), g)


cond_op = op(
    _cond,
    name="cond",
    outputs=None,
    nondiff=("pred",),
    inputs=_cond_inputs,
    states=lambda true, false: refuse(true, false),
    effect=True,
    precision="same",
    tell_unused=True,
    formula="true(inputs) where pred, else false(inputs)",
    gradients="inputs: g pulled back through the branch taken; states: none",
    doc="""A captured branch; `tn.cond` records it.

    Args:
        pred: one element; not zero means `true`.
        inputs: the operands, then what the branches read from outside.
        states: the storage of the tensors from outside that they write.
        true, false: the branches. They have the same inputs, and results of the same shapes and dtypes.

    Returns:
        the results, the states.
    """,
)
