"""The long short-term memory over whole sequences: one op, whose gradients are another.

The forward multiplies all inputs by their weights at once; each turn then is one product with the recurrent weights and
a few elementwise calls in place, `_step`. The gradient goes through the turns backwards, `_step_back`, and leaves the
gradient by all pre-activations, from which one product for each weight and one for the inputs follow.
"""

from __future__ import annotations

import math
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
    summed,
    times,
)
from tapenet.ops.op import op
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array

#: Gates in the order of the weights: input, forget, cell, output. All but the cell's are logistic:
#: σ(x) = (tanh(x / 2) + 1) / 2, so one call of tanh does for all four, between scalings by these.
_SCALE = (0.5, 0.5, 1.0, 0.5)
_SHIFT = (0.5, 0.5, 0.0, 0.5)
#: Their derivatives are (1 - gate) · (gate + these).
_SLOPE = (0.0, 0.0, 1.0, 0.0)
#: What may be differentiated by, in the order in which `lstm_grad` gives it.
_INPUTS = ("x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh", "w_hr")


class Constants:
    """The constants of the gates as arrays that broadcast against (gate, batch, units), by dtype."""

    _made: dict[Any, tuple[Array, Array, Array]] = {}  # noqa: RUF012  shared on purpose

    @classmethod
    def of(cls, dtype: np.dtype[Any]) -> tuple[Array, Array, Array]:
        if dtype not in cls._made:
            scale, shift, slope = (np.array(v, dtype).reshape(4, 1, 1) for v in (_SCALE, _SHIFT, _SLOPE))
            cls._made[dtype] = scale, shift, slope
        return cls._made[dtype]


def _step(gates: Array, shares: Array, c_before: Array, c: Array, tanh_c: Array, h: Array) -> None:
    """One turn, elementwise.

    Args:
        gates: (4, batch, units), the inputs' share of the pre-activations; becomes the gates.
        shares: (4, batch, units), the recurrent share; is overwritten.
        c_before: (batch, units), the cells before.
        c, tanh_c, h: (batch, units), written: the cells, their tanh and the output.
    """
    scale, shift, _ = Constants.of(gates.dtype)
    np.add(gates, shares, gates)
    np.multiply(gates, scale, gates)
    np.tanh(gates, gates)
    np.multiply(gates, scale, gates)
    np.add(gates, shift, gates)
    i, f, g, o = gates
    np.multiply(i, g, h)
    np.multiply(f, c_before, c)
    np.add(c, h, c)
    np.tanh(c, tanh_c)
    np.multiply(o, tanh_c, h)


def _step_back(gates: Array, c_before: Array, tanh_c: Array, dh: Array, dc: Array, d: Array, room: Array) -> None:
    """The gradient of one turn, elementwise.

    Args:
        gates, c_before, tanh_c: as the turn had or left them.
        dh: (batch, units), the gradient by the output.
        dc: (batch, units), the gradient by the cells from later turns; becomes that by the cells before.
        d: (4, batch, units), written: the gradient by the pre-activations.
        room: (4, batch, units), overwritten.
    """
    _, _, slope = Constants.of(gates.dtype)
    i, f, g, o = gates
    di, df, dg, do = d
    np.multiply(tanh_c, tanh_c, do)
    np.subtract(1, do, do)
    np.multiply(do, o, do)
    np.multiply(do, dh, do)
    np.add(dc, do, dc)
    np.multiply(dc, g, di)
    np.multiply(dc, c_before, df)
    np.multiply(dc, i, dg)
    np.multiply(dh, tanh_c, do)
    np.multiply(dc, f, dc)
    np.add(gates, slope, room)
    np.multiply(d, room, d)
    np.subtract(1, gates, room)
    np.multiply(d, room, d)


def _turns(
    turns: Turns, gates: Array, w_hh: Array, w_hr: Array | None, states: Array, cells: Array, tanh_cells: Array
) -> None:
    """All turns, from the inputs' share of the pre-activations, which become the gates."""
    units, dtype = cells.shape[2], gates.dtype
    weights = columns(w_hh, 4)
    shares = np.empty((4, turns.batch, units), dtype)
    wide = None if w_hr is None else np.empty((turns.batch, units), dtype)
    for t, n, before, after in turns.forwards():
        np.matmul(states[before, :n], weights, out=shares[:, :n])
        h = states[after, :n] if wide is None else wide[:n]
        _step(gates[:, t, :n], shares[:, :n], cells[before, :n], cells[after, :n], tanh_cells[t, :n], h)
        if w_hr is not None:
            np.matmul(h, w_hr.T, out=states[after, :n])


def _turns_back(
    turns: Turns,
    g_out: Array,
    w_hh: Array,
    w_hr: Array | None,
    gates: Array,
    cells: Array,
    tanh_cells: Array,
    dh: Array,
    dc: Array,
    d: Array,
    dhs: Any,
) -> None:
    """All turns backwards: `dh` and `dc` become the gradients by the first outputs and cells, `d` that by the
    pre-activations, and `dhs` that by the outputs, where they are projected."""
    weights = rows(w_hh, 4)
    parts, room = np.empty((4, *dh.shape), d.dtype), np.empty((4, *dc.shape), d.dtype)
    for t, n, before, _ in turns.backwards():
        now = dh[:n]
        if g_out is not None:
            now += g_out[t, :n]
        wide = now
        if dhs is not None:
            dhs[t, :n] = now
            wide = now @ w_hr
        _step_back(gates[:, t, :n], cells[before, :n], tanh_cells[t, :n], wide, dc[:n], d[:, t, :n], room[:, :n])
        np.matmul(d[:, t, :n], weights, out=parts[:, :n])
        np.add.reduce(parts[:, :n], 0, out=now)


def _lstm_reference(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None,
    b_hh: Array | None,
    w_hr: Array | None,
    lengths: Array | None,
    reverse: bool,
) -> Any:
    h, c, outs = h0, c0, {}
    bias = summed(b_ih, b_hh)
    units = c0.shape[1]
    for t in times(x, reverse):
        a = x[t] @ w_ih.T + h @ w_hh.T
        if bias is not None:
            a = a + bias
        i, f, g, o = (a[:, k * units : (k + 1) * units] for k in range(4))
        new_c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        new = sigmoid(o) * np.tanh(new_c)
        if w_hr is not None:
            new = new @ w_hr.T
        at_work = active(lengths, t)
        outs[t] = chosen(at_work, new, 0.0)
        h, c = chosen(at_work, new, h), chosen(at_work, new_c, c)
    return stacked(outs, x, h0), h, c


def _lstm_joint(
    g: Array,
    wanted: Any,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    w_hr: Array | None,
    gates: Array,
    states: Array,
    cells: Array,
    tanh_cells: Array,
    lengths: Array | None,
    reverse: bool,
) -> Any:
    names = tuple(n for n in _INPUTS if n in wanted)
    found = lstm_grad(g[0], g[1], g[2], x, w_ih, w_hh, w_hr, gates, states, cells, tanh_cells, lengths, names, reverse)
    return dict(zip(names, found, strict=True))


def _samples(r: np.random.Generator) -> list[Sample]:
    projected = [(2, 2, 1), (2, 1), (2, 2), (8, 1), (8, 1), (8,), (8,), (1, 2)]
    last = sample(*(r.normal(size=shape) for shape in projected), lengths=[2, 1])
    return [*sampled(r, 4, states=2), last]


def _grad_samples(r: np.random.Generator) -> list[Sample]:
    calls = []
    for call in _samples(r)[::4]:
        out, h, c, *left = lstm.forward(*call.args, **call.kwargs)
        gs = (r.normal(size=v.shape) for v in (out, h, c))
        x, _, _, w_ih, w_hh, _, _, *w_hr = call.args
        by = _INPUTS if w_hr else _INPUTS[:-1]
        calls.append(sample(*gs, x, w_ih, w_hh, *(w_hr or [None]), *left, call.kwargs["lengths"], by))
    return calls


@op(
    outputs=None,
    nondiff=("g_out", "g_h", "g_c", "x", "w_ih", "w_hh", "w_hr", "gates", "states", "cells", "tanh_cells", "lengths"),
    opaque=OPAQUE,
    memory=MEMORY,
    label="LSTM gradients",
    formula="the gradients of lstm by the inputs named",
    samples=_grad_samples,
)
def lstm_grad(
    g_out: Array,
    g_h: Array,
    g_c: Array,
    x: Array,
    w_ih: Array,
    w_hh: Array,
    w_hr: Array | None,
    gates: Array,
    states: Array,
    cells: Array,
    tanh_cells: Array,
    lengths: Array | None,
    by: Any,
    reverse: bool = False,
) -> Any:
    """The gradients of `lstm`, from what it left: an op so that a compiled step can call it. It has no derivative itself;
    second derivatives come from `lstm` written in other ops.

    Args:
        g_out, g_h, g_c: gradients by the outputs, by the last states and by the last cells, or None.
        x, w_ih, w_hh, w_hr, lengths, reverse: as `lstm` got them.
        gates: (4, time, batch, units), the values of the gates.
        states, cells: (time + 1, batch, ...), the outputs and cells before and after all turns.
        tanh_cells: (time, batch, units), the tanh of the cells after each turn.
        by: the names of the inputs whose gradients are wanted.

    Returns:
        a tuple of the gradients, in the order of `by`.

    >>> import numpy as np, tapenet as tn
    >>> x, w, gates = np.ones((2, 1, 1)), np.zeros((4, 1)), np.ones((4, 2, 1, 1)) / 2
    >>> states = np.zeros((3, 1, 1))
    >>> tn.lstm_grad(None, None, np.ones((1, 1)), x, w, w, None, gates, states, states, states[1:], None, ("c0",))
    (array([[0.25]]),)
    """
    turns = Turns(x, lengths, reverse)
    dtype = gates.dtype
    g_out = turns.sorted(g_out, 1)
    dh, dc = end(turns, g_h, states), end(turns, g_c, cells)
    d = turns.room(*gates.shape, dtype=dtype)
    dhs = None if w_hr is None else turns.room(*states[1:].shape, dtype=dtype)
    others = (cells, tanh_cells, dc)
    found = (
        None
        if dhs is not None
        else kernel_dispatch.backward("lstm", turns, g_out, x, w_ih, w_hh, gates, states, others, d, dh, by)
    )
    if found is None:
        _turns_back(turns, g_out, w_hh, w_hr, gates, cells, tanh_cells, dh, dc, d, dhs)
        found = (None,)
    bias: Any = bias_gradient(d) if {"b_ih", "b_hh"} & {*by} else None
    made: dict[str, Callable[[], Any]] = {
        "x": lambda: turns.restored(input_gradient([d], w_ih) if found[0] is None else found[0], 1),
        "h0": lambda: first(turns, dh),
        "c0": lambda: first(turns, dc),
        "w_ih": lambda: weight_gradient([d], turns.inputs(x, dtype)),
        "w_hh": lambda: weight_gradient([d], turns.before(states)),
        "b_ih": lambda: bias,
        "b_hh": lambda: bias.copy(),
        "w_hr": lambda: weight_gradient([dhs[None]], gates[3] * tanh_cells),  # type: ignore[index]
    }
    return tuple(made[name]() for name in by)


@op(
    outputs=3,
    tell_unused=True,
    nondiff=("lengths",),
    residuals=("gates", "states", "cells", "tanh_cells"),
    reference=_lstm_reference,
    joint=_lstm_joint,
    opaque=OPAQUE,
    label=lambda x_shape, c0_shape, reverse: f"LSTM {x_shape[-1]} → {c0_shape[-1]}" + (" backwards" if reverse else ""),
    multiply_adds=lambda x_shape, c0_shape, w_ih_shape, w_hh_shape, w_hr_shape: (
        multiply_adds(x_shape, w_ih_shape, w_hh_shape) + (math.prod((*x_shape[:2], *w_hr_shape)) if w_hr_shape else 0)
    ),
    formula="hₜ = o · tanh cₜ, cₜ = f · cₜ₋₁ + i · n, i, f, o = σ(a), n = tanh a",
    gradients="x: g_a @ w_ih; h0: g_a @ w_hh at the first turn; c0: f · g_c at the first turn; w_ih: Σ g_aᵀ @ x; "
    "w_hh: Σ g_aᵀ @ hₜ₋₁; b_ih: Σ g_a; b_hh: Σ g_a; w_hr: Σ g_hᵀ @ (o · tanh cₜ)",
    samples=_samples,
)
def lstm(
    x: Array,
    h0: Array,
    c0: Array,
    w_ih: Array,
    w_hh: Array,
    b_ih: Array | None = None,
    b_hh: Array | None = None,
    w_hr: Array | None = None,
    lengths: Array | None = None,
    reverse: bool = False,
) -> Any:
    """A layer of long short-term memory over whole sequences. With a = x[t] @ w_ihᵀ + b_ih + hₜ₋₁ @ w_hhᵀ + b_hh in four
    blocks,

        i = σ(a₁)      f = σ(a₂)      n = tanh(a₃)      o = σ(a₄)      cₜ = f · cₜ₋₁ + i · n      hₜ = o · tanh(cₜ)

    Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000. With `w_hr` the outputs are
    projected, hₜ = (o · tanh(cₜ)) @ w_hrᵀ: Sak, Senior and Beaufays, arXiv:1402.1128.

    Args:
        x: (time, batch, inputs).
        h0: (batch, units), the outputs to begin with; (batch, outputs) with `w_hr`.
        c0: (batch, units), the cells to begin with.
        w_ih: (4 · units, inputs), the blocks for i, f, n and o.
        w_hh: (4 · units, units); (4 · units, outputs) with `w_hr`.
        b_ih, b_hh: (4 · units,), or None.
        w_hr: (outputs, units), or None.
        lengths: how long the sequence of each row is, (batch,) integers from 0 to time; None if all are as long as x.
            Beyond its end a row keeps its state and its output is 0; in reverse it begins at its own end.
        reverse: go through time backwards.

    Returns:
        the outputs (time, batch, units), and after the last turn of each row the outputs and the cells (batch, units).

    Raises:
        ValueError: shapes or lengths that do not fit.

    >>> import numpy as np, tapenet as tn
    >>> zeros = np.zeros((2, 5))
    >>> out, h, c = tn.lstm(np.ones((4, 2, 3)), zeros, zeros, np.zeros((20, 3)), np.zeros((20, 5)), np.ones(20))
    >>> out.shape, h[0, 0].round(3), c[0, 0].round(3)
    ((4, 2, 5), np.float64(0.659), np.float64(1.479))
    """
    dtype = check(4, x, h0, w_ih, w_hh, b_ih, b_hh, c0, w_hr)
    turns = Turns(x, lengths, reverse)
    units = c0.shape[1]
    x, bias = turns.inputs(x, dtype), summed(b_ih, b_hh)
    out = turns.room(*x.shape[:2], h0.shape[1], dtype=dtype)
    states, cells = turns.history(h0, dtype), turns.history(c0, dtype)
    tanh_cells = turns.room(*x.shape[:2], units, dtype=dtype)
    gates = None
    if w_hr is None:
        gates = kernel_dispatch.forward("lstm", turns, x, w_ih, w_hh, bias, states, (cells, tanh_cells), out)
    if gates is None:
        gates = project(x, w_ih, bias, 4, dtype)
        _turns(turns, gates, w_hh, w_hr, states, cells, tanh_cells)
        turns.outputs(states, out)
    return turns.restored(out, 1), turns.last(states), turns.last(cells), gates, states, cells, tanh_cells
