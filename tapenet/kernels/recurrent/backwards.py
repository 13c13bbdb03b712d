"""Turns of recurrent layers backwards, and the gradients by their weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tapenet.kernels.recurrent.tiles import GRAIN, Layer, Spot, Strip, Tiles, Turn, add_product
from tapenet.kernels.recurrent.weights import vectors_of
from tapenet.llvm.emitter import Value
from tapenet.llvm.factories import factory
from tapenet.llvm.gemm import Matrix
from tapenet.llvm.gemm import write as gemm
from tapenet.llvm.kernel import Array, Kernel
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared

#: What a weight's gradient sums at a time: a strip of columns of so many rows, packed, stays in the first level cache.
BLOCK = 96


@factory(64)
def code(layer: Layer) -> Shared:
    """Arguments: w_ih, w_hh, g, gates, states, d, dh, dx, others and rows, as `recurrent.backward` has them, with packed
    weights; time, batch, reverse and `to_the_end`. The range is that of the rows of the batch."""
    k = Kernel(f"{layer.kind}_turns_back", layer.char)
    units, inputs, kind, gates = layer.units, layer.inputs, layer.kind, layer.gates
    w_ih, w_hh, g, found, states, d = (k.array(1) for _ in range(6))
    dh = k.array(1, units)
    dx = k.array(1)
    others = [k.array(1) for _ in range({"lstm": 2, "gru": 1}.get(kind, 0))]
    dc = k.array(1, units) if kind == "lstm" else dh
    rows = k.array(1, dtype=np.int64)
    steps, batch, reverse, to_the_end = (k.integer() for _ in range(4))
    first, last = k.range(GRAIN, 1)
    for step in k.turns(steps):
        turn = Turn(k, units, step, (steps, batch, reverse), True)
        end = rows.load(turn.time).at_most(last)
        values = [turn.now(found, gate) for gate in range(gates)]
        ds = [turn.now(d, i) for i in range(gates + (kind == "gru"))]
        for row in k.turns(end, first):
            for strip in Strip.of(k, units, 1):
                at = Spot(k, row, *strip.parts[0])
                by_h = at.load(dh)
                if layer.seen:
                    by_h = by_h + at.load(turn.now(g))
                if kind == "lstm":
                    cells, tanh_cells = others
                    _lstm_back(at, by_h, values, turn.before(cells), turn.now(tanh_cells), ds, dc)
                elif kind == "gru":
                    at.store(_gru_back(at, by_h, values, turn.now(others[0]), turn.before(states), ds), dh)
                else:
                    _rnn_back(at, kind, by_h, turn.after(states), ds[0])
        skipped = step.eq(steps - 1) & to_the_end.eq(0)
        some = Tiles(k, first, skipped.where(first, end), vectors_of(1))
        _multiply(k, some, ds[1 if kind == "gru" else 0], turn.apart, w_hh, (gates, units), dh, units, kind == "gru")
        if inputs:
            every = Tiles(k, first, end, vectors_of(1))
            own = dx.moved(turn.time * batch * inputs).shaped(1, inputs)
            _multiply(k, every, ds[0], turn.apart, w_ih, (gates, units), own, inputs, False)
    return k.shared()


def _multiply(
    k: Kernel, tiles: Tiles, d: Array, apart: Value, packed: Array, lengths: tuple[int, int], out: Array, columns: int,
    add: bool,
) -> None:  # fmt: skip
    """out = Σ d[gate] weight[gate], or added to it; `lengths` are the gates and the units of each."""
    gates, units = lengths
    zero = k.number(0.0, k.lanes)
    for strip in Strip.of(k, columns, vectors_of(1)):
        for height, row in tiles:
            spots = [[Spot(k, row + r if r else row, *part) for part in strip.parts] for r in range(height)]
            sums = [[spot.load(out) if add else zero for spot in those] for those in spots]
            which = range(len(strip.parts))
            add_product(k, sums, which, d.moved(row), strip.weights(packed, gates * units, 1), units, gates, apart)
            for those, values in zip(spots, sums, strict=True):
                for spot, value in zip(those, values, strict=True):
                    spot.store(value, out)


# -- gates -------------------------------------------------------------------------------------------------------


def _lstm_back(
    at: Spot, by_h: Value, gates: list[Array], c_before: Array, tanh_c: Array, d: list[Array], dc: Array
) -> None:
    """From the gradient by the output, and by the cell from later turns, those by the pre-activations and by the cell
    before."""
    i, f, n, o = (at.load(gate) for gate in gates)
    t = at.load(tanh_c)
    by_c = at.load(dc) + by_h * o * (1.0 - t * t)
    at.store(by_c * f, dc)
    at.store(by_c * n * (i * (1.0 - i)), d[0])
    at.store(by_c * at.load(c_before) * (f * (1.0 - f)), d[1])
    at.store(by_c * i * (1.0 - n * n), d[2])
    at.store(by_h * t * (o * (1.0 - o)), d[3])


def _gru_back(at: Spot, by_h: Value, gates: list[Array], recurrent: Array, h_before: Array, d: list[Array]) -> Value:
    """The same, d being that by the new state, the two gates and the recurrent share; the state's own share."""
    r, z, n = (at.load(gate) for gate in gates)
    by_n = by_h * (1.0 - z) * (1.0 - n * n)
    at.store(by_n, d[0])
    at.store(by_n * at.load(recurrent) * (r * (1.0 - r)), d[1])
    at.store((at.load(h_before) - n) * by_h * (z * (1.0 - z)), d[2])
    at.store(by_n * r, d[3])
    return by_h * z


def _rnn_back(at: Spot, kind: str, by_h: Value, h: Array, d: Array) -> None:
    value = at.load(h)
    slope = 1.0 - value * value if kind == "tanh" else (value > 0.0).where(value.like(1.0), 0.0)
    at.store(by_h * slope, d)


# -- weights -----------------------------------------------------------------------------------------------------


@factory(64)
def weight_gradient(inputs: int, units: int, width: int, char: str) -> Shared:
    """out[:, g] = xᵀ @ d[g]; the rows of out lie `width` numbers apart. The range is that of all gates' strips of units. The
    argument behind out is scratch memory, `scratch` numbers: rows of d lie where few places of a cache take them, and a strip
    is read for each tile of the result."""
    k = Kernel("recurrent_weights", char)
    x, d, out, room = k.array(1, inputs), k.array(1, units), k.array(1, width), k.scratch(1)
    length = k.integer()
    zero = k.number(0.0, k.lanes)
    for g, within in _gates(k, units, k.range()):
        column = g * units
        for strip in Strip.of(k, units, vectors_of(1), within):
            for i in k.turns(inputs):
                for unit, count in strip.parts:
                    out.store(zero, i, column + unit, count=count)
        for start, inner in k.blocks(length, BLOCK):
            source = d.moved(g * length + start)
            for strip in Strip.of(k, units, vectors_of(1), within):
                packed = room.shaped(1, len(strip.parts) * k.lanes)
                for row in k.turns(inner):
                    for v, (unit, count) in enumerate(strip.parts):
                        packed.store(source.load(row, unit, lanes=k.lanes, count=count), row, v * k.lanes)
                columns = sum(count or k.lanes for _, count in strip.parts)
                matrices = [
                    Matrix(x.at(start), 1, inputs),
                    Matrix(packed.at(0), packed.strides[0], 1),
                    Matrix(out.at(0, column + strip.begin), width, 1),
                ]
                gemm(k, (inputs, columns, inner.name), matrices, k.dtype, True)
    return k.shared()


@factory(64)
def bias_gradient(units: int, char: str) -> Shared:
    """out[g] = Σ d[g] over its rows, block by block. The range is that of all gates' strips of units."""
    k = Kernel("recurrent_biases", char, vectors=True)
    d, out, length = k.array(1, units), k.array(1, units), k.integer()
    zero = k.number(0.0, k.lanes)
    for g, within in _gates(k, units, k.range()):
        for strip in Strip.of(k, units, vectors_of(1), within):
            totals = [k.variable(zero) for _ in strip.parts]
            for start, inner in k.blocks(length, BLOCK):
                sums = [k.variable(zero) for _ in strip.parts]
                for row in k.turns(inner):
                    for cell, (unit, count) in zip(sums, strip.parts, strict=True):
                        cell += d.load(g * length + start + row, unit, lanes=k.lanes, count=count)
                for total, cell in zip(totals, sums, strict=True):
                    total += cell.value
            for total, (unit, count) in zip(totals, strip.parts, strict=True):
                out.store(total.value, g, unit, count=count)
    return k.shared()


def _gates(k: Kernel, units: int, part: tuple[Value, Value]) -> Iterator[tuple[Value, tuple[Value, Value]]]:
    """The gates of a part of the range of all gates' strips, and from which strip to which."""
    begin, end = part
    many = strips(units, k.dtype.char)
    last = end + (many - 1)
    for g in k.turns(last.op("udiv", last, many), begin.op("udiv", begin, many)):
        yield g, ((begin - g * many).at_least(0), (end - g * many).at_most(many))


def strips(units: int, char: str) -> int:
    """Into how many strips the code cuts the units of a gate."""
    return -(-units // (vectors_of(1) * registers().bytes // np.dtype(char).itemsize))


def scratch(char: str) -> int:
    """How many numbers of scratch memory a weight's gradient takes."""
    return BLOCK * vectors_of(1) * registers().bytes // np.dtype(char).itemsize
