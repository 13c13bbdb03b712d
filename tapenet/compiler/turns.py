"""Recurrent layers of frozen programs as loops: the products of all inputs at once, then one product and one step a turn, all
in native code, where a call goes by Python and packs weights anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.layers.recurrent import layers
from tapenet.ops.layers.recurrent.sequence import Turns
from tapenet.ops.op import Op
from tapenet.program.called_ops import filled
from tapenet.program.ir import Answer, Builder, Constant, Instruction, Program, Value, rewrite, substitute
from tapenet.program.passes import simplify
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
        symbols: list[Any] = [Symbol(builder, given[n], shared=True) for n in ("x", "h0", "c0")[:count]]
        x, *initial = symbols
        weights = [None if given[n] is None else given[n].array for n in _WEIGHTS]
        found = layers.in_a_program(kind, Turns(x, None, bool(given["reverse"])), x, initial, *weights)
        return (
            *(s.value for s in found[:count]),
            *(Constant(np.zeros(r.shape, r.dtype)) for r in call.results[count:]),
        )

    return rewrite(program, change)


def closed(program: Program) -> Program:
    """Put constants that loops take into their bodies, where they are known to be some."""

    def change(loop: Instruction, args: tuple[Value, ...], builder: Builder) -> Answer:
        params, first = loop.params, loop.params["carries"] + loop.params["slices"]
        body: Program = params["body"]
        pairs = zip(body.inputs[first:], args[first:], strict=True)
        known: dict[Value, Value] = {v: a for v, a in pairs if isinstance(a, Constant)}
        inner = closed(substitute(body, known) if known else body)
        if inner is body:
            return None
        kept = [i for i, v in enumerate(body.inputs) if v not in known]
        inner = simplify(Program([body.inputs[i] for i in kept], [], inner.body, inner.outputs, []))
        return builder.several("loop", *(args[i] for i in kept), **{**params, "body": inner})

    return rewrite(program, change, {"loop"}) if "loop" in program.names else program
