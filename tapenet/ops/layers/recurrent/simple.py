"""The simple recurrent layer over whole sequences: one op, whose gradients are another. Made as `lstm` is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.ops.layers.activations.rectifiers import relu
from tapenet.ops.layers.recurrent import kernel_dispatch
from tapenet.ops.layers.recurrent.products import (
    bias_gradient,
    columns,
    input_gradient,
    project,
    rows,
    weight_gradient,
)
from tapenet.ops.layers.recurrent.sequence import (
    MEMORY,
    OPAQUE,
    Turns,
    active,
    check,
    chosen,
    end,
    first,
    multiply_adds,
    sampled,
    stacked,
    summed,
    times,
)
from tapenet.ops.op import op
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array, Shape

#: What may be differentiated by, in the order in which `rnn_grad` gives it.
_INPUTS = ("x", "h0", "w_ih", "w_hh", "b_ih", "b_hh")


def _step(shares: Array, h: Array, nonlinearity: str) -> None:
    """One turn, elementwise.

    Args:
        shares: (batch, units), the inputs' share of the pre-activations.
        h: (batch, units), the recurrent share; becomes the states after.
    """
    np.add(h, shares, h)
    if nonlinearity == "tanh":
        np.tanh(h, h)
    else:
        np.maximum(h, 0, out=h)


def _step_back(h: Array, dh: Array, d: Array, nonlinearity: str) -> None:
    """The gradient of one turn, elementwise.

    Args:
        h: (batch, units), the states after.
        dh: (batch, units), the gradient by them.
        d: (batch, units), written: the gradient by the pre-activations.
    """
    if nonlinearity == "tanh":
        np.multiply(h, h, d)
        np.subtract(1, d, d)
        np.multiply(d, dh, d)
    else:
        np.multiply(dh, h > 0, d)


def _turns_back(turns: Turns, g_out: Array, w_hh: Array, states: Array, dh: Array, d: Array, nonlinearity: str) -> None:
    """All turns backwards: `dh` becomes the gradient by the first states, `d` that by the pre-activations."""
    (weight,) = rows(w_hh, 1)
    for t, n, _, after in turns.backwards():
        now = dh[:n]
        if g_out is not None:
            np.add(now, g_out[t, :n], now)
        _step_back(states[after, :n], now, d[0, t, :n], nonlinearity)
        np.matmul(d[0, t, :n], weight, out=now)


def _rnn_reference(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    nonlinearity: str,
    lengths: Array | None,
    reverse: bool,
) -> Any:
    h, outs = h0, {}
    bias = summed(b_ih, b_hh)
    for t in times(x, reverse):
        new = x[t] @ w_ih.T + h @ w_hh.T
        if bias is not None:
            new = new + bias
        new = np.tanh(new) if nonlinearity == "tanh" else relu(new)
        at_work = active(lengths, t)
        outs[t] = chosen(at_work, new, 0.0)
        h = chosen(at_work, new, h)
    return stacked(outs, x, h0), h


def _rnn_joint(
    g: Array,
    wanted: Any,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    states: Array,
    nonlinearity: str,
    lengths: Array | None,
    reverse: bool,
) -> Any:
    by = tuple(n for n in _INPUTS if n in wanted)
    found = rnn_grad(g[0], g[1], x, w_ih, w_hh, states, lengths, by, nonlinearity, reverse)
    return dict(zip(by, found, strict=True))


def _label(x_shape: Shape, h0_shape: Shape, nonlinearity: str, reverse: bool) -> str:
    name = "RNN" if nonlinearity == "tanh" else f"RNN {nonlinearity}"
    return f"{name} {x_shape[-1]} → {h0_shape[-1]}" + (" backwards" if reverse else "")


def _grad_samples(r: np.random.Generator) -> list[Sample]:
    calls = []
    for call in sampled(r, 1)[:2]:
        out, h, states = rnn.forward(*call.args, **call.kwargs)
        x, _, w_ih, w_hh, *_ = call.args
        options = call.kwargs.get("lengths"), _INPUTS, "tanh", call.kwargs.get("reverse", False)
        calls.append(sample(r.normal(size=out.shape), r.normal(size=h.shape), x, w_ih, w_hh, states, *options))
    return calls


@op(
    outputs=None,
    nondiff=("g_out", "g_h", "x", "w_ih", "w_hh", "states", "lengths"),
    opaque=OPAQUE,
    memory=MEMORY,
    label="RNN gradients",
    formula="the gradients of rnn by the inputs named",
    samples=_grad_samples,
)
def rnn_grad(
    g_out: Array,
    g_h: Array,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    states: Array,
    lengths: Array | None,
    by: Any,
    nonlinearity: str = "tanh",
    reverse: bool = False,
) -> Any:
    """The gradients of `rnn`, from what it left: an op so that a compiled step can call it. It has no derivative itself;
    second derivatives come from `rnn` written in other ops.

    Args:
        g_out, g_h: gradients by the outputs and by the last states, or None.
        x, w_ih, w_hh, lengths, nonlinearity, reverse: as `rnn` got them.
        states: (time + 1, batch, units), the states before and after all turns.
        by: the names of the inputs whose gradients are wanted.

    Returns:
        a tuple of the gradients, in the order of `by`.

    >>> import numpy as np, tapenet as tn
    >>> x, w, states = np.ones((2, 1, 1)), np.ones((1, 1)), np.zeros((3, 1, 1))
    >>> tn.rnn_grad(None, np.ones((1, 1)), x, w, w, states, None, ("h0",))
    (array([[1.]]),)
    """
    turns = Turns(x, lengths, reverse)
    dtype = states.dtype
    g_out = turns.sorted(g_out, 1)
    dh = end(turns, g_h, states)
    d = turns.room(1, *states[1:].shape, dtype=dtype)
    found = kernel_dispatch.backward(nonlinearity, turns, g_out, x, w_ih, w_hh, d, states, (), d, dh, by)
    if found is None:
        _turns_back(turns, g_out, w_hh, states, dh, d, nonlinearity)
        found = (None,)
    bias: Any = bias_gradient(d) if {"b_ih", "b_hh"} & {*by} else None
    made: dict[str, Callable[[], Any]] = {
        "x": lambda: turns.restored(input_gradient([d], w_ih) if found[0] is None else found[0], 1),
        "h0": lambda: first(turns, dh),
        "w_ih": lambda: weight_gradient([d], turns.inputs(x, dtype)),
        "w_hh": lambda: weight_gradient([d], turns.before(states)),
        "b_ih": lambda: bias,
        "b_hh": lambda: bias.copy(),
    }
    return tuple(made[name]() for name in by)


@op(
    outputs=2,
    tell_unused=True,
    nondiff=("lengths",),
    residuals=("states",),
    reference=_rnn_reference,
    joint=_rnn_joint,
    opaque=OPAQUE,
    label=_label,
    multiply_adds=multiply_adds,
    formula="hₜ = tanh(aₜ), aₜ = x[t] @ w_ihᵀ + b_ih + hₜ₋₁ @ w_hhᵀ + b_hh",
    gradients="x: g_a @ w_ih, g_a = (1 − hₜ²) · g_h; h0: g_a @ w_hh at the first turn; w_ih: Σ g_aᵀ @ x; "
    "w_hh: Σ g_aᵀ @ hₜ₋₁; b_ih: Σ g_a; b_hh: Σ g_a",
    samples=lambda r: [*sampled(r, 1), sample(*sampled(r, 1)[1].args, nonlinearity="relu")],
)
def rnn(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
    nonlinearity: str = "tanh",
    lengths: Array | None = None,
    reverse: bool = False,
) -> Any:
    """A simple recurrent layer over whole sequences: hₜ = tanh(x[t] @ w_ihᵀ + b_ih + hₜ₋₁ @ w_hhᵀ + b_hh). Elman 1990,
    "Finding structure in time".

    Args:
        x: (time, batch, inputs).
        h0: (batch, units), the states to begin with.
        w_ih: (units, inputs).
        w_hh: (units, units).
        b_ih, b_hh: (units,), or None.
        nonlinearity: "tanh", or "relu" in its place.
        lengths: how long the sequence of each row is, (batch,) integers from 0 to time; None if all are as long as x.
            Beyond its end a row keeps its state and its output is 0; in reverse it begins at its own end.
        reverse: go through time backwards.

    Returns:
        the outputs (time, batch, units), and the states after the last turn of each row (batch, units).

    Raises:
        ValueError: shapes or lengths that do not fit, or another nonlinearity.

    >>> import numpy as np, tapenet as tn
    >>> out, h = tn.rnn(np.ones((3, 1, 1)), np.zeros((1, 1)), np.ones((1, 1)), np.ones((1, 1)), nonlinearity="relu")
    >>> out[:, 0, 0], h
    (array([1., 2., 3.]), array([[3.]]))
    """
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"nonlinearity={nonlinearity!r} is neither 'tanh' nor 'relu'")
    dtype = check(1, x, h0, w_ih, w_hh, b_ih, b_hh)
    turns = Turns(x, lengths, reverse)
    x, bias = turns.inputs(x, dtype), summed(b_ih, b_hh)
    out = turns.room(*x.shape[:2], h0.shape[1], dtype=dtype)
    states = turns.history(h0, dtype)
    if kernel_dispatch.forward(nonlinearity, turns, x, w_ih, w_hh, bias, states, (), out) is None:
        (shares,) = project(x, w_ih, bias, 1, dtype)
        (weight,) = columns(w_hh, 1)
        for t, n, before, after in turns.forwards():
            h = np.matmul(states[before, :n], weight, out=states[after, :n])
            _step(shares[t, :n], h, nonlinearity)
        turns.outputs(states, out)
    return turns.restored(out, 1), turns.last(states), states
