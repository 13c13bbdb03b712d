"""Recurrent layers of frozen programs as loops: the products of all inputs at once, then one product and one step a turn, all
in native code, where a call goes by Python and packs weights anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tapenet.ops.layers.recurrent import layers
from tapenet.ops.layers.recurrent.steps import STEPS
from tapenet.ops.op import Op
from tapenet.program.called_ops import filled
from tapenet.program.ir import Answer, Builder, Constant, Instruction, Program, Value, rewrite
from tapenet.program.symbol_loops import loop
from tapenet.program.symbols import Symbol

#: The ops that become loops, with the number of their states.
OPS: dict[Op, int] = {layers.rnn: 1, layers.gru: 1, layers.lstm: 2}
#: Rows up to which it is quicker: of more, the product of a turn is large, and the call's kernel makes use of that.
ROWS = 1
_WEIGHTS = ("w_ih", "w_hh", "b_ih", "b_hh")


def run(program: Program, every: bool = False) -> Program:
    """Put loops in the place of layers with constant weights, of few rows, or of `every` number, that are all as long as x."""
    uses = program.uses()

    def change(call: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        if call.name != "call" or call.params["op"] not in OPS:
            return None
        given: dict[str, Any] = {n: filled(t, args) for n, t in call.params["template"].items()}
        count = OPS[call.params["op"]] + 1
        x = given["x"]
        if not isinstance(x, Value) or given["lengths"] is not None or given.get("w_hr") is not None:
            return None
        if (x.shape[1] > ROWS and not every) or not all(isinstance(given[n], (Constant, type(None))) for n in _WEIGHTS):
            return None
        if any(uses.get(r) for r in call.results[count:]) or {r.dtype for r in call.results[:count]} != {x.dtype}:
            return None
        kind = {layers.lstm: "lstm", layers.gru: "gru"}.get(call.params["op"]) or given["nonlinearity"]
        initial = [given["h0"], *([given["c0"]] if count == 3 else [])]
        return (*_loop(kind, x, initial, [None if given[n] is None else given[n].array for n in _WEIGHTS],
                       bool(given["reverse"]), builder),
                *(Constant(np.zeros(r.shape, r.dtype)) for r in call.results[count:]))  # fmt: skip

    return rewrite(program, change)


def _loop(
    kind: str, x: Value, initial: Sequence[Value], weights: list[Any], reverse: bool, builder: Builder
) -> list[Value]:
    """The outputs and the last states."""
    w_ih, w_hh, b_ih, b_hh = weights
    step = STEPS[kind]
    bias, last = layers.biases(kind, b_ih, b_hh)
    length, batch, ins = x.shape
    units = len(w_hh) // step.gates
    turned = np.ascontiguousarray(w_hh.T)
    given: Any = Symbol(builder, x, shared=True)
    shares = np.matmul(np.reshape(given, (length * batch, ins)), np.ascontiguousarray(w_ih.T))
    shares = np.reshape(shares if bias is None else shares + bias, (length, batch, len(w_hh)))

    def gates(values: Any) -> Any:
        """(batch, gates · units) as (gate, batch, units), or (batch, units) of one gate."""
        if step.gates == 1:
            return values
        return np.swapaxes(np.reshape(values, (batch, step.gates, units)), 0, 1)

    def turn(states: list[Any], slices: list[Any]) -> tuple[list[Any], list[Any]]:
        new, _ = step.forward(gates(slices[0]), gates(np.matmul(states[0], turned)), states, last)
        return new, [new[0]]

    carry = [Symbol(builder, s, shared=True) for s in initial]
    after, (out,) = loop(builder, turn, carry, [shares], length, reverse)
    return [s.value for s in (out, *after)]
