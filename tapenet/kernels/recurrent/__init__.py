"""Recurrent layers: all turns of a sequence in one call.

A turn multiplies the states by the recurrent weights, a tile of rows and the gates of some units at a time, in registers.
Their sums begin with what the inputs contribute, or with the biases, where the weights of the inputs are small and their
product is part of the same tile. The gates of these units follow at once, while the sums are in the cache. Going backwards
a turn makes the gradient by all sums first, and from it that by the states before, and by the inputs.

Rows of the batch do not depend on one another, so that threads take some each. The code depends on the numbers of units and
inputs alone: it serves any batch and time. Arrays of all turns lie as (gate, time, batch, units).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tapenet.kernels import aligned, dense
from tapenet.kernels.constants import lasting, made_of
from tapenet.kernels.moves import DENSE
from tapenet.kernels.recurrent import backwards, forwards
from tapenet.kernels.recurrent.tiles import Layer
from tapenet.kernels.recurrent.weights import biases as biases
from tapenet.kernels.recurrent.weights import packed
from tapenet.typing import Array

#: Both weights of a layer have at most so many bytes where each turn multiplies its inputs: they stay in the cache.
LARGEST = 800_000
#: Otherwise what BLAS would give costs more to pass on than the weights to read anew: it writes the inputs' share of the sums,
#: biases are added to it, and a turn reads it, so that it goes through memory so many times. Of 128 rows, 256 inputs and an
#: LSTM of 512 units (6 MB) ten turns take 0.8 of the time, with 64, 128 and 256 (1.6 MB) fifty take 0.73.
PASSES = 4
#: A batch from which a turn multiplies its inputs as fast as BLAS those of all turns, and bytes of the weights up to which it
#: does so whatever the batch: they stay in a first level cache, and one call takes the place of several.
ROWS, FEW = 6, 32_768
#: Inputs of a layer at most, whose weight's gradient is not left to BLAS: it packs what is far apart in memory.
WIDEST = 400


class Turns(NamedTuple):
    """What a layer goes through.

    Attributes:
        rows: how many rows of the batch are at work at each time, the first ones: (time,) int64.
        reverse: whether the layer goes from the last time to the first.
    """

    rows: Array
    reverse: bool

    @staticmethod
    def of_all(steps: int, batch: int, reverse: bool) -> Turns:
        """Turns of which each takes all rows."""
        return Turns(lasting(_rows(steps, batch)), reverse)


@functools.lru_cache(maxsize=64)
def _rows(steps: int, batch: int) -> Array:
    return np.full(steps, batch, np.int64)


def multiplies_inputs(x: Array, w_ih: Array, w_hh: Array) -> bool:
    """Whether each turn is to multiply its inputs, or get and give what BLAS multiplies for all turns."""
    _, batch, inputs = x.shape
    size = (w_ih.size + w_hh.size) * w_hh.dtype.itemsize
    if not w_ih.size or batch < ROWS:
        return bool(w_ih.size and size <= FEW)
    return bool(size <= LARGEST or inputs <= PASSES * batch)


def forward(
    kind: str, x: Array | None, w_ih: Array, w_hh: Array, bias: Array, gates: Array, states: Array,
    others: Sequence[Array], out: Array, turns: Turns, keeps: bool,
) -> None:  # fmt: skip
    """All turns.

    Args:
        kind: "lstm", "gru", "tanh" or "relu".
        x: (time, batch, inputs), or None where `gates` has what the inputs contribute.
        w_ih, w_hh: the weights, (gates · units, inputs) and (gates · units, units).
        bias: (gates, units), the sum of both biases; of a GRU (4, units), the third that by the inputs alone, and the
            fourth that by the states.
        gates: (gates, time, batch, units), written; with `x` None it begins with the inputs' share of the sums, biases
            included. Of a simple layer there are none: the array is not written.
        states: (time + 1, batch, units), the states before all turns at its beginning, or with reverse at its end; written.
        others: of an LSTM the cells, like the states, and their tanh (time, batch, units), written; of a GRU the recurrent
            share of the third gate, written.
        out: (time, batch, units), written: the states after each turn.
        keeps: whether what the gradient needs is written: `gates`, and the last of `others`.
    """
    count = w_hh.shape[0] // states.shape[2]
    layer = Layer(kind, states.shape[2], 0 if x is None else x.shape[2], states.dtype.char, keeps=keeps)
    run = forwards.code(layer)
    w_hh = _packed(w_hh, count)
    w_ih = w_hh if x is None else _packed(w_ih, count)
    x = states if x is None else dense(x)
    steps, batch, units = out.shape
    arrays = (x, w_ih, w_hh, bias, gates, states, out, *others, turns.rows)

    room = batch * forwards.scratch(layer) * out.itemsize
    work = steps * batch * count * units * (units + layer.inputs)
    run(batch, work, *arrays, room, steps, batch, int(turns.reverse))


def backward(
    kind: str, g: Array | None, w_ih: Array, w_hh: Array, gates: Array, states: Array, others: Sequence[Array], d: Array,
    dh: Array, dx: Array | None,
    turns: Turns, to_the_end: bool,
) -> None:  # fmt: skip
    """All turns backwards. What the forward pass left may lie in memory as it likes; what is written is C-contiguous.

    Args:
        kind, w_ih, w_hh, gates, states, others: as those of `forward`, or what it left; `others` of an LSTM ends with the
            gradient by the last cells (batch, units), which becomes that by the first.
        g: (time, batch, units), the gradient by the outputs, or None.
        d: (gates, time, batch, units), written: the gradient by the sums. Of a GRU (4, ...): by the sums of the third gate,
            of the first and of the second, and by the recurrent share of the third.
        dh: (batch, units), the gradient by the last states; becomes that by the first.
        dx: (time, batch, inputs), written: the gradient by the inputs; or None.
        to_the_end: whether the gradient by the first states is wanted.
    """
    histories, batch, units = states.shape
    steps = histories - 1
    count = w_hh.shape[0] // units
    layer = Layer(kind, units, 0 if dx is None else dx.shape[2], states.dtype.char, g is not None)
    run = backwards.code(layer)
    w_hh = packed(w_hh.T, 1)
    order = [(2 * units, 3 * units), (0, 2 * units)] if kind == "gru" else []
    w_ih = w_hh if dx is None else packed(w_ih.T, 1, order)
    g = states if g is None else dense(np.asarray(g, states.dtype))
    gates, states, *left = map(dense, (gates, states, *others[:2]))
    arrays = (w_ih, w_hh, g, gates, states, d, dh, dh if dx is None else dx, *left, *others[2:], turns.rows)
    work = steps * batch * count * units * (units + layer.inputs)
    run(batch, work, *arrays, steps, batch, int(turns.reverse), int(to_the_end))


def weight_gradient(d: Array, x: Array, out: Array) -> bool:
    """out[:, g] = Σ xᵀ d[g] over time and batch; False where BLAS is to do it.

    Args:
        d: (gates, time, batch, units), C-contiguous like x.
        x: (time, batch, inputs).
        out: (inputs, gates, units), its rows possibly apart.
    """
    gates, steps, batch, units = d.shape
    inputs = x.shape[2]
    if inputs > WIDEST:
        return False
    run = backwards.weight_gradient(inputs, units, out.strides[0] // out.itemsize, d.dtype.char)
    length = gates * backwards.strips(units, d.dtype.char)
    room = backwards.scratch(d.dtype.char) * d.itemsize
    run(length, gates * steps * batch * inputs * units, x, d, out, room, steps * batch)
    return True


def bias_gradient(d: Array) -> Array:
    """Σ d over time and batch, (gates, units), of d (gates, time, batch, units), C-contiguous."""
    gates, steps, batch, units = d.shape
    out = aligned((gates, units), d.dtype)
    length = gates * backwards.strips(units, d.dtype.char)
    backwards.bias_gradient(units, d.dtype.char)(length, DENSE * d.size, d, out, steps * batch)
    return out


def _packed(weight: Array, count: int) -> Array:
    """A weight as the turns read it."""
    return made_of(weight, ("recurrent", count), lambda: packed(weight, count))
