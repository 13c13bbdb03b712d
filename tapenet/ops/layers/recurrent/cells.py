"""One turn of a recurrent layer, for those who write the loop themselves: a sequence of length one."""

from __future__ import annotations

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.layers.recurrent.layers import gru, lstm, rnn
from tapenet.ops.registry import Sample, Samples, sample
from tapenet.typing import Array


def _sampled(gates: int, states: int = 1) -> Samples:
    def make(r: np.random.Generator) -> list[Sample]:
        shapes = [(2, 3), *[(2, 1)] * states, (gates, 3), (gates, 1), (gates,), (gates,)]
        return [sample(*(r.normal(size=shape) for shape in shapes[: len(shapes) - without])) for without in (0, 2)]

    return make


@derived(samples=_sampled(4, states=2))
def lstm_cell(
    x: Array, h: Array, c: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> Array:
    """One turn of `lstm`.

    Args:
        x: (batch, inputs).
        h, c: (batch, units), outputs and cells before.
        w_ih, w_hh, b_ih, b_hh: as for `lstm`.

    Returns:
        outputs and cells after, (batch, units) each.

    >>> import numpy as np, tapenet as tn
    >>> h, c = tn.lstm_cell(np.ones((2, 3)), np.zeros((2, 5)), np.zeros((2, 5)), np.zeros((20, 3)), np.zeros((20, 5)))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """
    return lstm(x[None], h, c, w_ih, w_hh, b_ih, b_hh)[1:]  # type: ignore[no-any-return]


@derived(samples=_sampled(3))
def gru_cell(
    x: Array, h: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> Array:
    """One turn of `gru`.

    Args:
        x: (batch, inputs).
        h: (batch, units), the states before.
        w_ih, w_hh, b_ih, b_hh: as for `gru`.

    Returns:
        the states after, (batch, units).

    >>> import numpy as np, tapenet as tn
    >>> tn.gru_cell(np.ones((2, 3)), np.zeros((2, 5)), np.zeros((15, 3)), np.zeros((15, 5))).shape
    (2, 5)
    """
    return gru(x[None], h, w_ih, w_hh, b_ih, b_hh)[1]  # type: ignore[no-any-return]


@derived(samples=_sampled(1))
def rnn_tanh_cell(
    x: Array, h: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> Array:
    """One turn of `rnn`: tanh(x @ w_ihᵀ + b_ih + h @ w_hhᵀ + b_hh).

    Args:
        x: (batch, inputs).
        h: (batch, units), the states before.
        w_ih, w_hh, b_ih, b_hh: as for `rnn`.

    Returns:
        the states after, (batch, units).

    >>> import numpy as np, tapenet as tn
    >>> tn.rnn_tanh_cell(np.ones((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), np.ones((1, 1))).round(3)
    array([[0.762]])
    """
    return rnn(x[None], h, w_ih, w_hh, b_ih, b_hh)[1]  # type: ignore[no-any-return]


@derived(samples=_sampled(1))
def rnn_relu_cell(
    x: Array, h: Array, w_ih: Array, w_hh: Array, b_ih: Array | None = None, b_hh: Array | None = None
) -> Array:
    """One turn of `rnn` with relu: max(x @ w_ihᵀ + b_ih + h @ w_hhᵀ + b_hh, 0). Arguments as for `rnn_tanh_cell`.

    >>> import numpy as np, tapenet as tn
    >>> tn.rnn_relu_cell(np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)), np.ones((1, 1)))
    array([[2.]])
    """
    return rnn(x[None], h, w_ih, w_hh, b_ih, b_hh, "relu")[1]  # type: ignore[no-any-return]
