"""Turns of recurrent layers: the code of all of them in one loop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.kernels.recurrent.tiles import GRAIN, Layer, Spot, Strip, Sums, Tiles, Turn, add_product
from tapenet.kernels.recurrent.weights import vectors_of
from tapenet.llvm.emitter import Value
from tapenet.llvm.factories import factory
from tapenet.llvm.formulas import call
from tapenet.llvm.kernel import Array, Kernel
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared


@factory(64)
def code(layer: Layer) -> Shared:
    """Arguments: x, w_ih, w_hh, bias, gates, states, out, others and rows, as `recurrent.forward` has them, with packed
    weights; scratch memory, `scratch` numbers for each row; time, batch, reverse. The range is that of the batch's rows."""
    k = Kernel(f"{layer.kind}_turns", layer.char)
    units, inputs, kind, gates = layer.units, layer.inputs, layer.kind, layer.gates
    x, w_ih, w_hh = (k.array(1) for _ in range(3))
    bias = k.array(4, units)
    found, states, out = (k.array(1) for _ in range(3))
    others = [k.array(1) for _ in range({"lstm": 2, "gru": 1}.get(kind, 0))]
    rows = k.array(1, dtype=np.int64)
    room = k.scratch(1, len(_sums(layer)), vectors_of(gates) * k.lanes)
    steps, batch, reverse = (k.integer() for _ in range(3))
    first, last = k.range(GRAIN, 1)
    for step in k.turns(steps):
        turn = Turn(k, units, step, (steps, batch, reverse), False)
        end = rows.load(turn.time).at_most(last)
        before, after, result = turn.before(states), turn.after(states), turn.now(out)
        places = [turn.now(found, gate) for gate in range(gates)]
        # What the gradient needs beside the states, if anybody asks for it.
        kept = [*places, turn.now(others[-1])] if layer.keeps and others else []
        own = x.moved(turn.time * batch * inputs).shaped(1, inputs)
        tiles = Tiles(k, first, end, len(_sums(layer)) * vectors_of(gates))
        for strip in Strip.of(k, units, vectors_of(gates)):
            for height, row in tiles:
                tile = _Tile(k, layer, strip, row, height)
                tile.begin(places, bias)
                if inputs:
                    tile.add(range(gates), own, w_ih, inputs)
                tile.add(_by_states(layer), before, w_hh, units)
                tile.end(room.moved(row - first))
            for row in k.turns(end, first):
                for v, (unit, count) in enumerate(strip.parts):
                    at = Spot(k, row, unit, count)
                    sums = [room.load(row - first, i, v * k.lanes, lanes=k.lanes) for i in range(len(_sums(layer)))]
                    if kind == "lstm":
                        _lstm(at, sums, kept, turn.before(others[0]), turn.after(others[0]), after, result)
                    elif kind == "gru":
                        if not inputs:
                            sums.insert(2, at.load(places[2]))
                        _gru(at, sums, kept, before, after, result)
                    else:
                        _rnn(at, kind, sums[0], after, result)
    return k.shared()


def scratch(layer: Layer) -> int:
    """How many numbers of scratch memory the code takes for each row."""
    return len(_sums(layer)) * vectors_of(layer.gates) * registers().bytes // np.dtype(layer.char).itemsize


# -- sums --------------------------------------------------------------------------------------------------------
# A unit has a sum for each gate. Of a GRU's third gate inputs and states are summed apart: the states' share is the fourth.


def _by_states(layer: Layer) -> Sequence[int]:
    """The sums that the states contribute to."""
    return [0, 1, 3] if layer.kind == "gru" else range(layer.gates)


def _sums(layer: Layer) -> Sequence[int]:
    """The sums that the code makes: where the inputs are multiplied elsewhere, the GRU's third is ready."""
    return sorted({*_by_states(layer), *(range(layer.gates) if layer.inputs else [])})


class _Tile:
    """The sums of some rows and of the units of a strip."""

    def __init__(self, k: Kernel, layer: Layer, strip: Strip, row: Value, height: int) -> None:
        self.k, self.layer, self.strip, self.row = k, layer, strip, row
        self.spots = [[Spot(k, row + r if r else row, *part) for part in strip.parts] for r in range(height)]
        self.sums: Sums = []

    def begin(self, places: list[Array], bias: Array) -> None:
        """Begin with the biases, or with the inputs' share where it is ready."""
        for spots in self.spots:
            self.sums.append([])
            for s in _sums(self.layer):
                for spot in spots:
                    if self.layer.inputs or (s == 3 and self.layer.kind == "gru"):
                        self.sums[-1].append(bias.load(s, spot.unit, lanes=self.k.lanes, count=spot.count))
                    else:
                        self.sums[-1].append(spot.load(places[s]))

    def add(self, which: Sequence[int], a: Array, packed: Array, inner: int) -> None:
        """Add the product of a (rows, inner) and weights to some of the sums."""
        vectors = len(self.strip.parts)
        columns = [i * vectors + v for i, s in enumerate(_sums(self.layer)) if s in which for v in range(vectors)]
        add_product(self.k, self.sums, columns, a.moved(self.row), self.strip.weights(packed, inner, len(which)), inner)

    def end(self, room: Array) -> None:
        """Write the sums, (row, sum, vectors)."""
        vectors = len(self.strip.parts)
        for r, row in enumerate(self.sums):
            for i, value in enumerate(row):
                room.store(value, r, i // vectors, i % vectors * self.k.lanes)


# -- gates -------------------------------------------------------------------------------------------------------


def _lstm(at: Spot, sums: list[Value], kept: list[Array], c_before: Array, c: Array, h: Array, out: Array) -> None:
    i, f, n, o = (call("tanh" if s == 2 else "sigmoid", value) for s, value in enumerate(sums))
    cell = f * at.load(c_before) + i * n
    tanh = call("tanh", cell)
    at.store(cell, c)
    for value, place in zip((i, f, n, o, tanh), kept, strict=bool(kept)):
        at.store(value, place)
    at.store(o * tanh, h, out)


def _gru(at: Spot, sums: list[Value], kept: list[Array], h_before: Array, h: Array, out: Array) -> None:
    by_r, by_z, by_inputs, by_states = sums
    r, z = call("sigmoid", by_r), call("sigmoid", by_z)
    n = call("tanh", by_inputs + r * by_states)
    for value, place in zip((r, z, n, by_states), kept, strict=bool(kept)):
        at.store(value, place)
    at.store(n + z * (at.load(h_before) - n), h, out)


def _rnn(at: Spot, kind: str, a: Value, h: Array, out: Array) -> None:
    at.store(call("tanh", a) if kind == "tanh" else a.at_least(0.0), h, out)
