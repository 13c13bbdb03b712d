"""The recurrent layers over whole sequences: rnn, gru and lstm, each one op, whose gradients are another.

The forward multiplies all inputs by their weights at once; each turn then is one product with the recurrent weights and a
step (`steps`). The gradient goes through the turns backwards, and leaves the gradient by all sums, from which one product for
each weight and one for the inputs follow. Where there is a kernel that pays, it takes all turns in either direction.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence, Set
from types import ModuleType
from typing import Any

import numpy as np

from tapenet import kernels
from tapenet.ops.layers.recurrent import products
from tapenet.ops.layers.recurrent.sequence import (
    MEMORY,
    OPAQUE,
    Turns,
    check,
    end,
    first,
    multiply_adds,
    sampled,
)
from tapenet.ops.layers.recurrent.steps import STEPS, Turn
from tapenet.ops.op import Op, derive, op
from tapenet.ops.registry import Sample, sample
from tapenet.program import symbol_loops
from tapenet.program.symbols import CannotLower, Symbol, array_of, builder_of, provided
from tapenet.typing import Array, Shape

#: What may be differentiated by.
INPUTS = ("x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh", "w_hr")


#: Multiply-adds from which a kernel pays: a step in NumPy takes 20 µs whatever its size, and 32 units need 2 in a kernel.
WORTH = 50_000
#: Multiply-adds, and bytes of the recurrent weights, up to which turns are loops of a program where it cannot call a kernel by
#: itself. With lengths they take all rows: (30, 16, 64), a GRU of 128 units (35 million) takes 0.9 of the time of a call on one
#: thread and 1.0 on two, (50, 16, 64), an LSTM of 128 (80 million) would 1.0 and 1.3. Without, 256 units take 0.7 to 0.95, and
#: 512 (4 MB) would 1.1.
WITH_LENGTHS, WEIGHTS = 40_000_000, 2_000_000


def _kernel(x: Array, w_ih: Array, w_hh: Array, states: Array) -> ModuleType | None:
    if multiply_adds(x.shape, w_ih.shape, w_hh.shape) < WORTH or not kernels.fit(states, w_ih, w_hh):
        return None
    return kernels.use("recurrent")


# -- forwards ----------------------------------------------------------------------------------------------------


def biases(kind: str, b_ih: Array | None, b_hh: Array | None) -> tuple[Array | None, Array | None]:
    """The bias of the sums, and that of the last product alone, which a GRU has: it multiplies this with a gate."""
    last = None
    if kind == "gru" and b_hh is not None:
        units = b_hh.shape[0] // 3
        b_hh, last = np.concatenate([b_hh[: 2 * units], np.zeros(units, b_hh.dtype)]), b_hh[2 * units :]
    return b_hh if b_ih is None else b_ih if b_hh is None else b_ih + b_hh, last


def _run(
    kind: str, x: Array, initial: Sequence[Array], w_ih: Array, w_hh: Array, b_ih: Array | None, b_hh: Array | None,
    lengths: Array | None, reverse: bool, w_hr: Array | None = None,
) -> tuple[Array, ...]:  # fmt: skip
    """All turns of a layer: the outputs, the last states, and what the gradient needs. On tensors, too.

    Args:
        initial: the states, and of an LSTM the cells, to begin with.
    """
    step = STEPS[kind]
    dtype = check(step.gates, x, initial[0], w_ih, w_hh, b_ih, b_hh, initial[1] if initial[1:] else None, w_hr)
    read = any(isinstance(a, Symbol) for a in (x, *initial, w_ih, w_hh, lengths))
    turns = _lowered_turns(x, w_ih, w_hh, lengths, reverse, *initial) if read else Turns(x, lengths, reverse)
    x, before = turns.sorted(x, 1, dtype), [turns.sorted(s, 0, dtype) for s in initial]
    if read:
        return in_a_program(kind, turns, x, before, w_ih, w_hh, b_ih, b_hh, w_hr)
    plain = products.plain(x, *initial, w_ih, w_hh, b_ih, b_hh, w_hr)
    kernel = _kernel(x, w_ih, w_hh, x) if plain and w_hr is None else None
    if kernel is not None:
        return _run_native(kernel, kind, turns, x, before, w_ih, w_hh, b_ih, b_hh)
    bias, last = biases(kind, b_ih, b_hh)
    shares, weights = products.project(x, w_ih, bias, step.gates), products.columns(w_hh, step.gates)
    by_time = np.swapaxes(shares, 0, 1)
    if step.gates == 1:
        by_time, weights = shares[0], weights[0]
    outs, seen, left = [], [before], []
    for t in turns.times:
        new, kept = step.forward(by_time[t], np.matmul(before[0], weights), before, last)
        if w_hr is not None:
            new[0] = np.matmul(new[0], np.swapaxes(w_hr, 0, 1))
        if lengths is None:
            before = new
        else:
            outs.append(turns.chosen(t, new[0], 0.0))
            before = [turns.chosen(t, *pair) for pair in zip(new, before, strict=True)]
        seen.append(before)
        left.append(kept)
    if lengths is None:
        outs = [s[0] for s in seen[1:]]
    out = turns.restored(turns.joined(outs, np.zeros((0, *before[0].shape), dtype)), 1)
    ends = [turns.restored(s if outs else np.copy(s), 0) for s in before]
    if not plain:  # for a derivative of higher order, without residuals
        return out, *ends
    states, *cells = (turns.joined([s[k] for s in seen], out) for k in range(len(before)))
    if step.gates == 1:
        return out, *ends, states
    gates = turns.joined([kept[0] for kept in left], shares, 1)
    return out, *ends, gates, states, *cells, turns.joined([kept[1] for kept in left], shares[0])


def in_a_program(
    kind: str, turns: Turns, x: Any, before: Sequence[Any], w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any = None
) -> tuple[Any, ...]:  # fmt: skip
    """The same of symbols: the products of all inputs at once, then a loop whose turns are one product and one step."""
    step, count = STEPS[kind], len(before)
    bias, last = biases(kind, b_ih, b_hh)
    steps, batch, ins = x.shape
    if batch == 1 or products.plain(w_ih, w_hh):  # all gates at once; weights are constants in frozen programs
        turned, turned_ih = (np.ascontiguousarray(w.T) if products.plain(w) else w.T for w in (w_hh, w_ih))
        shares = np.matmul(np.reshape(x, (steps * batch, ins)), turned_ih)
        shares = np.reshape(shares if bias is None else shares + bias, (steps, batch, w_ih.shape[0]))
    else:
        turned = products.columns(w_hh, step.gates)
        shares = np.swapaxes(products.project(x, w_ih, bias, step.gates), 0, 1)
        if step.gates == 1:
            shares, turned = shares[:, 0], turned[0]

    def gates(values: Any) -> Any:
        """(gate, batch, units), or (batch, units) of one gate, also of (batch, gates · units)."""
        if step.gates == 1 or values.ndim == 3:
            return values
        return np.swapaxes(np.reshape(values, (batch, step.gates, -1)), 0, 1)

    def turn(states: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        t, share = slices
        new, kept = step.forward(gates(share), gates(np.matmul(states[0], turned)), states, last)
        if w_hr is not None:
            new[0] = np.matmul(new[0], np.swapaxes(w_hr, 0, 1))
        out = turns.chosen(t, new[0], 0.0)
        new = [turns.chosen(t, *pair) for pair in zip(new, states, strict=True)]
        return new, [out, *new, *kept]

    ends, (out, *made) = _over_turns(turn, before, [np.arange(steps), shares], turns.reverse)
    out, ends = turns.restored(out, 1), [turns.restored(s, 0) for s in ends]
    first = [np.expand_dims(s, 0) for s in before]
    pairs = zip(first, made[:count], strict=True)
    states, *cells = (np.concatenate((new, one) if turns.reverse else (one, new)) for one, new in pairs)
    if step.gates == 1:
        return out, *ends, states
    return out, *ends, np.swapaxes(made[count], 0, 1), states, *cells, made[count + 1]


def _over_turns(
    turn: Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]], carry: Sequence[Any], xs: list[Any], reverse: bool
) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """A loop of symbols; of one turn no loop."""
    if len(xs[0]) == 1:
        last, ys = turn([*carry], [x[0] for x in xs])
        return last, [np.expand_dims(y, 0) for y in ys]
    builder = symbol_loops.builder_of([*carry, *xs])
    assert builder is not None
    return symbol_loops.loop(builder, turn, carry, xs, len(xs[0]), reverse)


def _run_native(
    kernel: ModuleType, kind: str, turns: Turns, x: Array, initial: list[Array], w_ih: Array, w_hh: Array,
    b_ih: Array | None, b_hh: Array | None,
) -> tuple[Array, ...]:  # fmt: skip
    """The same by a kernel."""
    units, dtype = w_hh.shape[1], x.dtype
    count = w_hh.shape[0] // units
    shape = *x.shape[:2], units
    out = turns.room(*shape, dtype=dtype)
    others = [*map(turns.history, initial)]
    keeps = count > 1 and kernels.asks(1 + len(initial))
    none = kernels.empty((0, *shape), dtype)
    if count > 1:
        others.append(turns.room(*shape, dtype=dtype) if keeps else none)
    own = kernel.multiplies_inputs(x, w_ih, w_hh)
    if own:
        gates = turns.room(count, *shape, dtype=dtype) if keeps else none
    else:
        gates = products.project(x, w_ih, biases(kind, b_ih, b_hh)[0], count)
    sums = kernel.biases(kind, units, b_ih, b_hh, dtype)
    kernel.forward(
        kind, x if own else None, w_ih, w_hh, sums, gates, others[0], others[1:], out, _rows(kernel, turns), keeps
    )
    ends = [turns.restored(turns.last(s), 0) for s in others[: len(initial)]]
    return turns.restored(out, 1), *ends, *([gates] if count > 1 else []), *others


def _rows(kernel: ModuleType, turns: Turns) -> Any:
    """The turns as kernels take them."""
    if turns.lengths is None:
        return kernel.Turns.of_all(turns.steps, turns.batch, turns.reverse)
    return kernel.Turns(np.array(turns.rows, np.int64), turns.reverse)


# -- samples -----------------------------------------------------------------------------------------------------


def _rnn_samples(r: np.random.Generator) -> list[Sample]:
    return [*sampled(r, 1), sample(*sampled(r, 1)[1].args, nonlinearity="relu")]


def _gru_samples(r: np.random.Generator) -> list[Sample]:
    return sampled(r, 3)


def _lstm_samples(r: np.random.Generator) -> list[Sample]:
    projected = [(2, 2, 1), (2, 1), (2, 2), (8, 1), (8, 1), (8,), (8,), (1, 2)]
    last = sample(*(r.normal(size=shape) for shape in projected), lengths=[2, 1])
    return [*sampled(r, 4, states=2), last]


def _grad_samples(r: np.random.Generator) -> list[Sample]:
    calls = []
    for kind, layer, samples in (
        ("lstm", lstm, _lstm_samples),
        ("gru", gru, _gru_samples),
        ("tanh", rnn, _rnn_samples),
    ):
        for call in samples(r)[:5:4]:
            found = layer.forward(*call.args, **call.kwargs)
            x, w_ih, w_hh = (call.args[[a.name for a in layer.arguments].index(n)] for n in ("x", "w_ih", "w_hh"))
            *gs, gates, states, cells, left = {
                "lstm": found,
                "gru": (*found[:2], None, *found[2:4], None, *found[4:]),
                "tanh": (*found[:2], None, None, found[2], None, None),
            }[kind]
            w_hr = call.args[7] if len(call.args) == 8 else None
            by = [n for n in INPUTS if n in layer.differentiable and (n != "w_hr" or w_hr is not None)]
            gs = [None if g is None else r.normal(size=g.shape) for g in gs]
            options = call.kwargs.get("lengths"), tuple(by), call.kwargs.get("reverse", False)
            calls.append(sample(kind, *gs, x, w_ih, w_hh, w_hr, gates, states, cells, left, *options))
    return calls


# -- backwards ---------------------------------------------------------------------------------------------------


@op(
    outputs=None,
    lower=lambda *args: _grad_lowered(*args),
    nondiff=("g_out", "g_h", "g_c", "x", "w_ih", "w_hh", "w_hr", "gates", "states", "cells", "left", "lengths"),
    memory=MEMORY,
    label=lambda kind: f"{kind.upper() if kind in ('lstm', 'gru') else 'RNN'} gradients",
    formula="the gradients of a recurrent layer by the inputs named",
    samples=_grad_samples,
)
def recurrent_grad(
    kind: str, g_out: Array | None, g_h: Array | None, g_c: Array | None, x: Array, w_ih: Array, w_hh: Array,
    w_hr: Array | None, gates: Array | None, states: Array, cells: Array | None, left: Array | None,
    lengths: Array | None, by: Sequence[str], reverse: bool = False,
) -> tuple[Array, ...]:  # fmt: skip
    """The gradients of `rnn`, `gru` or `lstm`, from what it left: an op so that a compiled step can call it. It has no
    derivative itself; second derivatives come from the layer's formula.

    Args:
        kind: "lstm", "gru", "tanh" or "relu".
        g_out, g_h, g_c: gradients by the outputs, by the last states and by the last cells, or None.
        x, w_ih, w_hh, w_hr, lengths, reverse: as the layer got them.
        gates: (gates, time, batch, units), the values of the gates; None of a simple layer.
        states, cells: (time + 1, batch, ...), the outputs, and of an LSTM the cells, before and after all turns.
        left: (time, batch, units), of an LSTM the tanh of the cells after each turn, of a GRU the recurrent share of its
            third gate.
        by: the names of the inputs whose gradients are wanted.

    Returns:
        a tuple of the gradients, in the order of `by`.

    >>> import numpy as np, tapenet as tn
    >>> x, w, states = np.ones((2, 1, 1)), np.ones((1, 1)), np.zeros((3, 1, 1))
    >>> tn.recurrent_grad("tanh", None, np.ones((1, 1)), None, x, w, w, None, None, states, None, None, None, ("h0",))
    (array([[1.]]),)
    """
    turns = Turns(x, lengths, reverse)
    dtype = states.dtype
    g_out = None if g_out is None else turns.sorted(g_out, 1)
    dh, dc = end(turns, g_h, states), states if cells is None else end(turns, g_c, cells)
    others = [a for a in (cells, left, None if cells is None else dc) if a is not None]
    if gates is None:  # of a simple layer the states say all
        gates = states[None, 1:]
    count = len(gates)
    d = turns.room(4 if kind == "gru" else count, turns.steps, turns.batch, w_hh.shape[0] // count, dtype=dtype)
    dx, dhs = None, dh if w_hr is None else turns.room(*states[1:].shape, dtype=dtype)
    kernel = _kernel(x, w_ih, w_hh, states) if w_hr is None else None
    if kernel is not None:
        if "x" in by and kernel.multiplies_inputs(x, w_ih, w_hh):
            dx = turns.room(*x.shape, dtype=dtype)
        rows = _rows(kernel, turns)
        kernel.backward(kind, g_out, w_ih, w_hh, gates, states, others, d, dh, dx, rows, "h0" in by)
    else:
        arrays = gates, states, states if cells is None else cells, states if left is None else left, dc, d
        _turns_back(kind, turns, arrays, g_out, w_hh, w_hr, dh, dhs)
    gru = kind == "gru"  # the sums of its third gate come first: those by the states' products lie behind each other
    sums, last = ([d[1:3], d[:1]], d[1:]) if gru else ([d], d)
    by_bias = (products if kernel is None else kernel).bias_gradient(d) if {"b_ih", "b_hh"} & {*by} else d
    made: dict[str, Callable[[], Array]] = {
        "x": lambda: turns.restored(products.input_gradient(sums, w_ih) if dx is None else dx, 1),
        "h0": lambda: first(turns, dh),
        "c0": lambda: first(turns, dc),
        "w_ih": lambda: products.weight_gradient(sums, turns.sorted(x, 1, dtype)),
        "w_hh": lambda: products.weight_gradient([last], turns.before(states)),
        "b_ih": lambda: _joined(by_bias, (1, 2, 0) if gru else range(count)),
        "b_hh": lambda: _joined(by_bias, (1, 2, 3) if gru else range(count)),
        "w_hr": lambda: products.weight_gradient([dhs[None]], gates[3] * left),
    }
    return tuple(made[name]() for name in by)


def _joined(rows: Array, order: Sequence[int]) -> Array:
    """Some rows of a matrix, one behind the other."""
    width = rows.shape[1]
    made = kernels.empty((len(order) * width,), rows.dtype)
    for i, row in enumerate(order):
        kernels.write(rows[row], made[i * width : (i + 1) * width])
    return made


def _turns_back(
    kind: str, turns: Turns, arrays: Sequence[Array], g_out: Array | None, w_hh: Array, w_hr: Array | None, dh: Array,
    dhs: Array,
) -> None:  # fmt: skip
    """All turns backwards: `dh` becomes the gradient by the first states, `dhs` that by projected outputs.

    Args:
        arrays: those of `Turn`, of all turns: gates, states, cells, left, dc and d.
    """
    gates, states, cells, left, dc, d = arrays
    count, back = len(gates), STEPS[kind].backward
    weights = products.rows(w_hh, count)
    for t in reversed(turns.times):
        n = turns.rows[t]
        now = dh[:n]
        if g_out is not None:
            now += g_out[t, :n]
        if w_hr is not None:
            dhs[t, :n] = now
        before, after = turns.places(t)
        turn = Turn(
            gates[:, t, :n], states[before, :n], states[after, :n], cells[before, :n], left[t, :n], dc[:n], d[:, t, :n]
        )
        rest = back(turn, now if w_hr is None else now @ w_hr)
        if count == 1:
            np.matmul(d[0, t, :n], weights[0], out=now)
        else:
            np.add.reduce(np.matmul(d[-count:, t, :n], weights), 0, out=now)
        if rest is not None:
            now += rest


def _grad_lowered(
    kind: str, g_out: Array | None, g_h: Array | None, g_c: Array | None, x: Array, w_ih: Array, w_hh: Array,
    w_hr: Array | None, gates: Array | None, states: Array, cells: Array | None, left: Array | None, lengths: Array | None,
    by: Sequence[str], reverse: bool = False,
) -> tuple[Array, ...]:  # fmt: skip
    """`recurrent_grad` as a program computes it: a loop over the turns, then one product for each gradient."""
    if w_hr is not None:
        raise CannotLower(OPAQUE)
    turns = _lowered_turns(x, w_ih, w_hh, lengths, reverse, states)
    x = turns.sorted(x, 1)
    steps, batch, ins = x.shape
    before, after = (slice(1, None), slice(None, -1)) if reverse else (slice(None, -1), slice(1, None))
    nothing = np.zeros_like(states[0])
    every = states[None, after] if gates is None else gates
    of_turns = {"now": states[before], "then": states[after], "gates": np.swapaxes(every, 0, 1)}
    if g_out is not None:
        of_turns["g"] = turns.sorted(g_out, 1)
    if cells is not None:
        of_turns["cells"] = cells[before]
    if left is not None:
        of_turns["left"] = left
    order = ((1, 2, 0), (1, 2, 3)) if kind == "gru" else [range(len(every))] * 2

    def turn(carry: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        dh, dc = carry
        at = dict(zip(("t", *of_turns), slices, strict=True))
        upper, by_cells = dh + at["g"] if "g" in at else dh, np.copy(dc)
        d = np.zeros_like(at["gates"], shape=(4 if kind == "gru" else len(every), *nothing.shape))
        cell, share = (at.get(name, nothing) for name in ("cells", "left"))
        rest = STEPS[kind].backward(Turn(at["gates"], at["now"], at["then"], cell, share, by_cells, d), upper)
        sums = [turns.chosen(at["t"], np.concatenate([d[i] for i in rows], axis=-1), 0.0) for rows in order]
        back = np.matmul(sums[1], w_hh)
        back = back if rest is None else back + rest
        return [turns.chosen(at["t"], *pair) for pair in ((back, dh), (by_cells, dc))], sums

    ends = [nothing if g is None else turns.sorted(g, 0) for g in (g_h, g_c)]
    (dh, dc), sums = _over_turns(turn, ends, [np.arange(steps), *of_turns.values()], not reverse)
    by_inputs, by_states = (np.reshape(s, (steps * batch, -1)) for s in sums)
    made: dict[str, Callable[[], Array]] = {
        "x": lambda: turns.restored(np.reshape(np.matmul(by_inputs, w_ih), x.shape), 1),
        "h0": lambda: turns.restored(dh, 0),
        "c0": lambda: turns.restored(dc, 0),
        "w_ih": lambda: np.matmul(np.swapaxes(by_inputs, 0, 1), np.reshape(x, (steps * batch, ins))),
        "w_hh": lambda: np.matmul(np.swapaxes(by_states, 0, 1), np.reshape(states[before], (steps * batch, -1))),
        "b_ih": lambda: np.sum(by_inputs, axis=0),
        "b_hh": lambda: np.sum(by_states, axis=0),
    }
    return tuple(made[name]() for name in by)


def _formula_pays(x: Any, w_ih: Any, w_hh: Any, lengths: Any) -> bool:
    """Whether turns by the formula are quicker than a kernel, which a program may have to call by Python."""
    work = multiply_adds(x.shape, w_ih.shape, w_hh.shape)
    kernel = kernels.use("recurrent") if work >= WORTH else None
    if kernel is None:
        return work < WORTH
    if lengths is not None:
        return work < WITH_LENGTHS
    # For few rows the formula is as quick, though the kernel's turns multiply their inputs.
    own = x.shape[1] >= kernel.ROWS and kernel.multiplies_inputs(x, w_ih, w_hh)
    return not own and w_hh.size * w_hh.dtype.itemsize <= WEIGHTS


def _lowered_turns(x: Any, w_ih: Any, w_hh: Any, lengths: Any, reverse: bool, *others: Any) -> Turns:
    """The turns of a layer that a program makes of the formula of one."""
    if len(x) == 0 or not (len(x) == 1 or _formula_pays(x, w_ih, w_hh, lengths)):
        raise CannotLower(OPAQUE)
    if lengths is not None:
        lengths = array_of(builder_of(x, w_ih, w_hh, lengths, *others), lengths).astype(np.int64)
        lengths = provided(lengths, (lengths < 0) | (lengths > len(x)), ValueError, f"lengths must be 0 to {len(x)}")
    return Turns(x, lengths, reverse)


# -- the layers --------------------------------------------------------------------------------------------------


def _layer(**options: object) -> Callable[[Callable[..., tuple[Array, ...]]], Op]:
    """`tn.op` with what the layers have in common. Derivatives of higher order run the formula of a step on tensors: what is
    saved for `recurrent_grad` holds none."""

    def define(forward: Callable[..., tuple[Array, ...]]) -> Op:
        made: Op = op(name=None, tell_unused=True, nondiff=("lengths",), reference=derive, **options)(forward)
        return made

    return define


def _gradients(wanted: Set[str], kind: str, *args: Array | None, reverse: bool) -> dict[str, Array]:
    """The joint rule of a layer. `args` are the arrays that `recurrent_grad` takes."""
    by = tuple(n for n in INPUTS if n in wanted)
    # On arrays its forward alone: the call of an op costs as much as two turns of a small layer.
    run = recurrent_grad.forward if products.plain(*args[:-1]) else recurrent_grad
    return dict(zip(by, run(kind, *args, by, reverse), strict=True))


def _label(title: str, x_shape: Shape, state_shape: Shape, reverse: bool) -> str:
    return f"{title} {x_shape[-1]} → {state_shape[-1]}" + (" backwards" if reverse else "")


@_layer(
    outputs=2,
    residuals=("states",),
    joint=lambda g, wanted, x, w_ih, w_hh, states, nonlinearity, lengths, reverse: _gradients(
        wanted, nonlinearity, *g, None, x, w_ih, w_hh, None, None, states, None, None, lengths, reverse=reverse
    ),
    vmap={"x": 1, "h0": 0, "lengths": 0, "out": (1, 0)},
    label=lambda x_shape, h0_shape, nonlinearity, reverse: _label(
        "RNN" if nonlinearity == "tanh" else f"RNN {nonlinearity}", x_shape, h0_shape, reverse
    ),
    multiply_adds=multiply_adds,
    formula="hₜ = tanh(aₜ), aₜ = x[t] @ w_ihᵀ + b_ih + hₜ₋₁ @ w_hhᵀ + b_hh",
    gradients="x: g_a @ w_ih, g_a = (1 − hₜ²) · g_h; h0: g_a @ w_hh at the first turn; w_ih: Σ g_aᵀ @ x; "
    "w_hh: Σ g_aᵀ @ hₜ₋₁; b_ih: Σ g_a; b_hh: Σ g_a",
    samples=_rnn_samples,
)
def rnn(
    x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None,
    nonlinearity: str = "tanh", lengths: Array | None = None, reverse: bool = False,
) -> tuple[Array, ...]:  # fmt: skip
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
    return _run(nonlinearity, x, [h0], w_ih, w_hh, b_ih, b_hh, lengths, reverse)


@_layer(
    outputs=2,
    residuals=("gates", "states", "recurrent"),
    joint=lambda g, wanted, x, w_ih, w_hh, gates, states, recurrent, lengths, reverse: _gradients(
        wanted, "gru", *g, None, x, w_ih, w_hh, None, gates, states, None, recurrent, lengths, reverse=reverse
    ),
    vmap={"x": 1, "h0": 0, "lengths": 0, "out": (1, 0)},
    label=lambda x_shape, h0_shape, reverse: _label("GRU", x_shape, h0_shape, reverse),
    multiply_adds=multiply_adds,
    formula="hₜ = (1 − z) · n + z · hₜ₋₁, r, z = σ(a + b), n = tanh(a + r · b)",
    gradients="x: g_a @ w_ih; h0: z · g_h + g_b @ w_hh at the first turn; w_ih: Σ g_aᵀ @ x; w_hh: Σ g_bᵀ @ hₜ₋₁; "
    "b_ih: Σ g_a; b_hh: Σ g_b",
    samples=_gru_samples,
)
def gru(
    x: Array, h0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None,
    lengths: Array | None = None, reverse: bool = False,
) -> tuple[Array, ...]:  # fmt: skip
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
    return _run("gru", x, [h0], w_ih, w_hh, b_ih, b_hh, lengths, reverse)


@_layer(
    outputs=3,
    residuals=("gates", "states", "cells", "tanh_cells"),
    joint=lambda g, wanted, x, w_ih, w_hh, w_hr, gates, states, cells, tanh_cells, lengths, reverse: _gradients(
        wanted, "lstm", *g, x, w_ih, w_hh, w_hr, gates, states, cells, tanh_cells, lengths, reverse=reverse
    ),
    vmap={"x": 1, "h0": 0, "c0": 0, "lengths": 0, "out": (1, 0, 0)},
    label=lambda x_shape, c0_shape, reverse: _label("LSTM", x_shape, c0_shape, reverse),
    multiply_adds=lambda x_shape, c0_shape, w_ih_shape, w_hh_shape, w_hr_shape: (
        multiply_adds(x_shape, w_ih_shape, w_hh_shape) + (math.prod((*x_shape[:2], *w_hr_shape)) if w_hr_shape else 0)
    ),
    formula="hₜ = o · tanh cₜ, cₜ = f · cₜ₋₁ + i · n, i, f, o = σ(a), n = tanh a",
    gradients="x: g_a @ w_ih; h0: g_a @ w_hh at the first turn; c0: f · g_c at the first turn; w_ih: Σ g_aᵀ @ x; "
    "w_hh: Σ g_aᵀ @ hₜ₋₁; b_ih: Σ g_a; b_hh: Σ g_a; w_hr: Σ g_hᵀ @ (o · tanh cₜ)",
    samples=_lstm_samples,
)
def lstm(
    x: Array, h0: Array, c0: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None,
    w_hr: Array | None = None, lengths: Array | None = None, reverse: bool = False,
) -> tuple[Array, ...]:  # fmt: skip
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
    return _run("lstm", x, [h0, c0], w_ih, w_hh, b_ih, b_hh, lengths, reverse, w_hr)
