"""What a recurrent layer computes in one step, and its gradient.

A step is one formula: it runs on arrays where there is no kernel, and on tensors for derivatives of higher order. Its gradient
is written by hand, since kernels leave the gates and not the sums that these are made of: a derived one would need those too,
and would compute each tanh again.

Arrays are (gate, batch, units), or (batch, units) where there is one gate.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tapenet.ops.layers.activations.rectifiers import relu
from tapenet.typing import Array, DType


class Turn(NamedTuple):
    """What the gradient of a turn reads, and writes: of the rows that are at work.

    Attributes:
        gates: (gates, batch, units), the values of the gates; of a simple layer there is none.
        before, after: (batch, units), the states before and after the turn.
        cells: (batch, units), of an LSTM the cells before the turn.
        left: (batch, units), the tanh of an LSTM's cells after the turn, the recurrent share of a GRU's third gate.
        dc: (batch, units), the gradient by the cells after the turn, which becomes that by those before.
        d: (gates, batch, units), written: the gradient by the sums. Of a GRU that of the third gate comes first, then
            those of the first two, then that by the recurrent share of the third.
    """

    gates: Array
    before: Array
    after: Array
    cells: Array
    left: Array
    dc: Array
    d: Array


class Step(NamedTuple):
    """One kind of layer.

    Attributes:
        gates: how many blocks of rows its weights have.
        forward: of the inputs' share of the sums with the biases, the states' products with the recurrent weights, the states
            before, and the bias of the last product or None: the states after, and what the gradient needs beside them.
        backward: of a turn, and the gradient by the states after it: the gradient by the states before beside their products,
            if there is one.
    """

    gates: int
    forward: Callable[[Array, Array, list[Array], Array | None], tuple[list[Array], list[Array]]]
    backward: Callable[[Turn, Array], Array | None]


@functools.cache
def _constants(dtype: DType) -> list[Array]:
    """Of the gates of an LSTM all but the third are logistic: σ(x) = (tanh(x / 2) + 1) / 2, so one call of tanh does for all
    four, between a scaling and a shift. The derivatives are (1 - gate) · (gate + slope)."""
    scale, shift, slope = (0.5, 0.5, 1.0, 0.5), (0.5, 0.5, 0.0, 0.5), (0.0, 0.0, 1.0, 0.0)
    return [np.array(values, dtype).reshape(4, 1, 1) for values in (scale, shift, slope)]


def _lstm(shares: Array, products: Array, states: list[Array], bias: Array | None) -> tuple[list[Array], list[Array]]:
    scale, shift, _ = _constants(shares.dtype)
    gates = np.tanh((shares + products) * scale) * scale + shift
    i, f, n, o = gates
    cells = f * states[1] + i * n
    tanh_cells = np.tanh(cells)
    return [o * tanh_cells, cells], [gates, tanh_cells]


def _lstm_back(turn: Turn, dh: Array) -> None:
    gates, tanh_cells, dc, d = turn.gates, turn.left, turn.dc, turn.d
    i, f, g, o = gates
    dc += dh * o * (1 - tanh_cells * tanh_cells)
    np.multiply(dc, g, d[0])
    np.multiply(dc, turn.cells, d[1])
    np.multiply(dc, i, d[2])
    np.multiply(dh, tanh_cells, d[3])
    d *= gates + _constants(gates.dtype)[2]
    d *= 1 - gates
    dc *= f


def _gru(shares: Array, products: Array, states: list[Array], bias: Array | None) -> tuple[list[Array], list[Array]]:
    logistic = np.tanh((shares[:2] + products[:2]) * 0.5) * 0.5 + 0.5
    r, z = logistic
    recurrent = products[2] if bias is None else products[2] + bias
    n = np.tanh(shares[2] + r * recurrent)
    return [n + z * (states[0] - n)], [np.concatenate([logistic, n[None]]), recurrent]


def _gru_back(turn: Turn, dh: Array) -> Array:
    gates, d = turn.gates, turn.d
    r, z, new = gates
    dn = dh * (1 - z) * (1 - new * new)
    d[0] = dn
    np.multiply(dn, turn.left, d[1])
    np.multiply(dh, turn.before - new, d[2])
    d[1:3] *= gates[:2] * (1 - gates[:2])
    np.multiply(dn, r, d[3])
    rest: Array = dh * z
    return rest


def _simple(f: Callable[[Array], Array], slope: Callable[[Array], Array]) -> Step:
    """A layer of one gate, with the slope of f by what f gives."""

    def back(turn: Turn, dh: Array) -> None:
        np.multiply(dh, slope(turn.after), turn.d[0])

    return Step(1, lambda share, product, states, bias: ([f(share + product)], []), back)


#: By kind, as kernels call them.
STEPS = {
    "lstm": Step(4, _lstm, _lstm_back),
    "gru": Step(3, _gru, _gru_back),
    "tanh": _simple(np.tanh, lambda h: 1 - h * h),
    "relu": _simple(relu, lambda h: h > 0),
}
