"""The gated recurrent unit over whole sequences: one op, whose gradients are another. Made as `lstm` is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.ops.layers.activations.logistic import sigmoid
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
    times,
)
from tapenet.ops.op import op
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array

#: What may be differentiated by, in the order in which `gru_grad` gives it.
_INPUTS = ("x", "h0", "w_ih", "w_hh", "b_ih", "b_hh")


def _step(gates: Array, shares: Array, bias: Array | None, recurrent: Array, h_before: Array, h: Array) -> None:
    """One turn, elementwise.

    Args:
        gates: (3, batch, units), the inputs' share of the pre-activations with both biases of the first two; becomes the
            gates: reset, update, new.
        shares: (3, batch, units), the recurrent share; is overwritten.
        bias: (units,), the recurrent bias of the third, or None.
        recurrent: (batch, units), written: the recurrent share of the third, with its bias.
        h_before: (batch, units), the states before.
        h: (batch, units), written: the states after.
    """
    logistic = gates[:2]
    np.add(logistic, shares[:2], logistic)
    np.multiply(logistic, 0.5, logistic)  # σ(x) = (tanh(x / 2) + 1) / 2
    np.tanh(logistic, logistic)
    np.multiply(logistic, 0.5, logistic)
    np.add(logistic, 0.5, logistic)
    r, z, new = gates
    np.add(shares[2], 0 if bias is None else bias, recurrent)
    np.multiply(r, recurrent, h)
    np.add(new, h, new)
    np.tanh(new, new)
    np.subtract(h_before, new, h)
    np.multiply(h, z, h)
    np.add(h, new, h)


def _step_back(gates: Array, recurrent: Array, h_before: Array, dh: Array, d: Array, room: Array) -> None:
    """The gradient of one turn, elementwise.

    Args:
        gates, recurrent, h_before: as the turn had or left them.
        dh: (batch, units), the gradient by the states after; becomes their own share of that by the states before.
        d: (4, batch, units), written: the gradient by the pre-activations of new, of reset and of update, and by the
            recurrent share of the first: those by the states' products lie behind each other.
        room: (2, batch, units), overwritten.
    """
    r, z, new = gates
    dnew, dr, dz, drecurrent = d
    np.subtract(h_before, new, dz)
    np.multiply(dz, dh, dz)
    np.subtract(1, z, dnew)
    np.multiply(dnew, dh, dnew)
    np.multiply(dh, z, dh)
    np.multiply(new, new, dr)
    np.subtract(1, dr, dr)
    np.multiply(dnew, dr, dnew)
    np.multiply(dnew, r, drecurrent)
    np.multiply(dnew, recurrent, dr)
    logistic = d[1:3]
    np.multiply(logistic, gates[:2], logistic)
    np.subtract(1, gates[:2], room)
    np.multiply(logistic, room, logistic)


def _turns(turns: Turns, gates: Array, w_hh: Array, bias: Array | None, states: Array, recurrent: Array) -> None:
    """All turns, from the inputs' share of the pre-activations, which become the gates; `bias` is that of the third gate by
    the states, or None."""
    weights = columns(w_hh, 3)
    shares = np.empty((3, *states.shape[1:]), gates.dtype)
    for t, n, before, after in turns.forwards():
        np.matmul(states[before, :n], weights, out=shares[:, :n])
        _step(gates[:, t, :n], shares[:, :n], bias, recurrent[t, :n], states[before, :n], states[after, :n])


def _turns_back(
    turns: Turns, g_out: Array, w_hh: Array, gates: Array, states: Array, recurrent: Array, dh: Array, d: Array
) -> None:
    """All turns backwards: `dh` becomes the gradient by the first states, `d` those that `_step_back` gives."""
    weights = rows(w_hh, 3)
    parts, room = np.empty((3, *dh.shape), d.dtype), np.empty((2, *dh.shape), d.dtype)
    for t, n, before, _ in turns.backwards():
        now = dh[:n]
        if g_out is not None:
            now += g_out[t, :n]
        _step_back(gates[:, t, :n], recurrent[t, :n], states[before, :n], now, d[:, t, :n], room[:, :n])
        np.matmul(d[1:, t, :n], weights, out=parts[:, :n])
        for part in parts[:, :n]:
            np.add(now, part, now)


def _gru_reference(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    lengths: Array | None,
    reverse: bool,
) -> Any:
    h, outs = h0, {}
    units = h0.shape[1]
    for t in times(x, reverse):
        a, b = x[t] @ w_ih.T, h @ w_hh.T
        if b_ih is not None:
            a = a + b_ih
        if b_hh is not None:
            b = b + b_hh
        gates = sigmoid(a[:, : 2 * units] + b[:, : 2 * units])
        r, z = gates[:, :units], gates[:, units:]
        new = np.tanh(a[:, 2 * units :] + r * b[:, 2 * units :])
        new = new + z * (h - new)
        at_work = active(lengths, t)
        outs[t] = chosen(at_work, new, 0.0)
        h = chosen(at_work, new, h)
    return stacked(outs, x, h0), h


def _gru_joint(
    g: Array,
    wanted: Any,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    gates: Array,
    states: Array,
    recurrent: Array,
    lengths: Array | None,
    reverse: bool,
) -> Any:
    by = tuple(n for n in _INPUTS if n in wanted)
    found = gru_grad(g[0], g[1], x, w_ih, w_hh, gates, states, recurrent, lengths, by, reverse)
    return dict(zip(by, found, strict=True))


def _grad_samples(r: np.random.Generator) -> list[Sample]:
    calls = []
    for call in sampled(r, 3)[:2]:
        out, h, *left = gru.forward(*call.args, **call.kwargs)
        x, _, w_ih, w_hh, *_ = call.args
        options = call.kwargs.get("lengths"), _INPUTS, call.kwargs.get("reverse", False)
        calls.append(sample(r.normal(size=out.shape), r.normal(size=h.shape), x, w_ih, w_hh, *left, *options))
    return calls


@op(
    outputs=None,
    nondiff=("g_out", "g_h", "x", "w_ih", "w_hh", "gates", "states", "recurrent", "lengths"),
    opaque=OPAQUE,
    memory=MEMORY,
    label="GRU gradients",
    formula="the gradients of gru by the inputs named",
    samples=_grad_samples,
)
def gru_grad(
    g_out: Array,
    g_h: Array,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    gates: Array,
    states: Array,
    recurrent: Array,
    lengths: Array | None,
    by: Any,
    reverse: bool = False,
) -> Any:
    """The gradients of `gru`, from what it left: an op so that a compiled step can call it. It has no derivative itself;
    second derivatives come from `gru` written in other ops.

    Args:
        g_out, g_h: gradients by the outputs and by the last states, or None.
        x, w_ih, w_hh, lengths, reverse: as `gru` got them.
        gates: (3, time, batch, units), the values of the gates.
        states: (time + 1, batch, units), the states before and after all turns.
        recurrent: (time, batch, units), the recurrent share of the third gate.
        by: the names of the inputs whose gradients are wanted.

    Returns:
        a tuple of the gradients, in the order of `by`.

    >>> import numpy as np, tapenet as tn
    >>> x, w, h = np.ones((2, 1, 1)), np.ones((3, 1)), np.zeros((1, 1))
    >>> (by_x,) = tn.gru_grad(np.ones((2, 1, 1)), None, x, w, w, np.ones((3, 2, 1, 1)) / 2, np.zeros((3, 1, 1)),
    ...                       np.zeros((2, 1, 1)), None, ("x",))
    >>> by_x.shape
    (2, 1, 1)
    """
    turns = Turns(x, lengths, reverse)
    dtype = gates.dtype
    g_out = turns.sorted(g_out, 1)
    dh = end(turns, g_h, states)
    d = turns.room(4, *gates.shape[1:], dtype=dtype)
    found = kernel_dispatch.backward("gru", turns, g_out, x, w_ih, w_hh, gates, states, (recurrent,), d, dh, by)
    if found is None:
        _turns_back(turns, g_out, w_hh, gates, states, recurrent, dh, d)
        found = (None,)
    biases: Any = bias_gradient(d).reshape(4, -1) if {"b_ih", "b_hh"} & {*by} else None
    made: dict[str, Callable[[], Any]] = {
        "x": lambda: turns.restored(input_gradient([d[1:3], d[:1]], w_ih) if found[0] is None else found[0], 1),
        "h0": lambda: first(turns, dh),
        "w_ih": lambda: weight_gradient([d[1:3], d[:1]], turns.inputs(x, dtype)),
        "w_hh": lambda: weight_gradient([d[1:]], turns.before(states)),
        "b_ih": lambda: biases[[1, 2, 0]].reshape(-1),
        "b_hh": lambda: biases[1:].reshape(-1),
    }
    return tuple(made[name]() for name in by)


@op(
    outputs=2,
    tell_unused=True,
    nondiff=("lengths",),
    residuals=("gates", "states", "recurrent"),
    reference=_gru_reference,
    joint=_gru_joint,
    opaque=OPAQUE,
    label=lambda x_shape, h0_shape, reverse: f"GRU {x_shape[-1]} → {h0_shape[-1]}" + (" backwards" if reverse else ""),
    multiply_adds=multiply_adds,
    formula="hₜ = (1 − z) · n + z · hₜ₋₁, r, z = σ(a + b), n = tanh(a + r · b)",
    gradients="x: g_a @ w_ih; h0: z · g_h + g_b @ w_hh at the first turn; w_ih: Σ g_aᵀ @ x; w_hh: Σ g_bᵀ @ hₜ₋₁; "
    "b_ih: Σ g_a; b_hh: Σ g_b",
    samples=lambda r: sampled(r, 3),
)
def gru(
    x: Array,
    h0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
    lengths: Array | None = None,
    reverse: bool = False,
) -> Any:
    """A layer of gated recurrent units over whole sequences. With a = x[t] @ w_ihᵀ + b_ih and b = hₜ₋₁ @ w_hhᵀ + b_hh, in
    three blocks each,

        r = σ(a₁ + b₁)      z = σ(a₂ + b₂)      n = tanh(a₃ + r · b₃)      hₜ = (1 - z) · n + z · hₜ₋₁

    Cho et al., arXiv:1406.1078, in the form that PyTorch and cuDNN compute, with the reset after the product.

    Args:
        x: (time, batch, inputs).
        h0: (batch, units), the states to begin with.
        w_ih: (3 · units, inputs), the blocks for r, z and n.
        w_hh: (3 · units, units).
        b_ih, b_hh: (3 · units,), or None.
        lengths: how long the sequence of each row is, (batch,) integers from 0 to time; None if all are as long as x.
            Beyond its end a row keeps its state and its output is 0; in reverse it begins at its own end.
        reverse: go through time backwards.

    Returns:
        the outputs (time, batch, units), and the states after the last turn of each row (batch, units).

    Raises:
        ValueError: shapes or lengths that do not fit.

    >>> import numpy as np, tapenet as tn
    >>> out, h = tn.gru(np.ones((4, 2, 3)), np.zeros((2, 5)), np.zeros((15, 3)), np.zeros((15, 5)), np.ones(15))
    >>> out.shape, h[0, 0].round(3)
    ((4, 2, 5), np.float64(0.544))
    """
    dtype = check(3, x, h0, w_ih, w_hh, b_ih, b_hh)
    turns = Turns(x, lengths, reverse)
    units = h0.shape[1]
    x, bias, last = turns.inputs(x, dtype), b_ih, None
    if b_hh is not None:
        last = b_hh[2 * units :]
        bias = np.concatenate([b_hh[: 2 * units], np.zeros(units, dtype), last])
        if b_ih is not None:
            bias[: 3 * units] += b_ih
    elif b_ih is not None:
        bias = np.concatenate([b_ih, np.zeros(units, dtype)])
    out = turns.room(*x.shape[:2], units, dtype=dtype)
    states = turns.history(h0, dtype)
    recurrent = turns.room(*x.shape[:2], units, dtype=dtype)
    gates = kernel_dispatch.forward("gru", turns, x, w_ih, w_hh, bias, states, (recurrent,), out)
    if gates is None:
        gates = project(x, w_ih, None if bias is None else bias[: 3 * units], 3, dtype)
        _turns(turns, gates, w_hh, last, states, recurrent)
        turns.outputs(states, out)
    return turns.restored(out, 1), turns.last(states), gates, states, recurrent
