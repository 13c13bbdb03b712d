"""Single time steps of recurrent layers, for loops written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from tapenet import ops
from tapenet.autodiff.tensor import Tensor
from tapenet.nn import cards
from tapenet.nn.layer_arguments import whole
from tapenet.nn.layer_inputs import asarray, cast, here
from tapenet.nn.parameter import FLOAT
from tapenet.nn.recurrent import each_state, initial
from tapenet.nn.shared_docstring import SharedDocstring
from tapenet.nn.utils.rnn import States
from tapenet.ops.random import generator


class _Cell(SharedDocstring):
    """One time step of `nn.{layer}`; see `tn.{op}`.

    Args:
        input_size: length of the inputs.
        hidden_size: number of units.
        bias: add b_ih and b_hh.
        dtype: of the parameters.
        rng: a generator, or an integer to make one from, for the initial values.{argument}

    A call takes x, (batch, input_size) or (input_size,), and hx, the states before, zeros by default: {states}. It returns
    the states after.

    Attributes:
        weight_ih, weight_hh: ({gates}hidden_size, input_size) and ({gates}hidden_size, hidden_size), in Fortran order.
        bias_ih, bias_hh: ({gates}hidden_size,), or None.

    All begin as U(-k, k) with k = 1 / √hidden_size.

    Raises:
        ValueError: inputs or states of other shapes.
    """

    _op: ClassVar[Callable[..., States]]
    #: How many blocks of rows the weights have, and how many states are carried on.
    _gates: int
    _states = 1

    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        whole(self, input_size=input_size)
        whole(self, 1, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rng = generator(rng)
        rows = self._gates * hidden_size
        self.weight_ih = initial((rows, input_size), hidden_size, dtype, rng)
        self.weight_hh = initial((rows, hidden_size), hidden_size, dtype, rng)
        self.bias_ih = initial((rows,), hidden_size, dtype, rng) if bias else None
        self.bias_hh = initial((rows,), hidden_size, dtype, rng) if bias else None

    def forward(self, x: ArrayLike, hx: States | None = None) -> States:
        x = cast(x, self.weight_ih)
        shape = tuple(x.shape)
        if len(shape) not in (1, 2) or shape[-1] != self.input_size:
            raise ValueError(f"{here()} takes (batch, {self.input_size}) or ({self.input_size},), not {shape}")
        wanted = (*shape[:-1], self.hidden_size)
        if hx is None:
            states = [asarray(np.zeros(wanted, self.weight_ih.dtype))] * self._states
        else:
            states = [cast(h, self.weight_ih) for h in each_state(hx, self._states)]
            for h in states:
                if tuple(h.shape) != wanted:
                    raise ValueError(
                        f"{here()}: a state has shape {tuple(h.shape)}; for the input {shape} give {wanted}"
                    )
        if len(shape) == 2:
            return self._cell(x, states)
        found = self._cell(x[None], [h[None] for h in states])
        return found[0] if self._states == 1 else tuple(h[0] for h in found)

    def _cell(self, x: Tensor, states: list[Tensor]) -> States:
        """The states after, of a batch."""
        return self._op(x, *states, *self._weights())

    def _weights(self) -> tuple[Tensor | None, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")

    def card(self) -> str:
        return cards.lines(self, f"{self.input_size} → {self.hidden_size}", {})


class RNNCell(
    _Cell,
    words={
        "layer": "RNN",
        "op": "rnn_tanh_cell",
        "states": "(batch, hidden_size)",
        "gates": "",
        "argument": '\n        nonlinearity: "tanh" or "relu".',
    },
):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.RNNCell(3, 5)(np.zeros((2, 3))).shape
    (2, 5)
    """

    _gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        dtype: DTypeLike = FLOAT,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"RNNCell: nonlinearity={nonlinearity!r} is neither 'tanh' nor 'relu'")
        self.nonlinearity = nonlinearity
        super().__init__(input_size, hidden_size, bias, dtype=dtype, rng=rng)

    def _cell(self, x: Tensor, states: list[Tensor]) -> States:
        cell: Callable[..., Tensor] = ops.rnn_tanh_cell if self.nonlinearity == "tanh" else ops.rnn_relu_cell
        return cell(x, *states, *self._weights())

    def extra_repr(self) -> str:
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity!r}")


class LSTMCell(
    _Cell,
    words={
        "layer": "LSTM",
        "op": "lstm_cell",
        "states": "a pair (h, c) of (batch, hidden_size)",
        "gates": "4 * ",
        "argument": "",
    },
):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> h, c = nn.LSTMCell(3, 5)(np.zeros((2, 3)))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    _op = ops.lstm_cell
    _gates = 4
    _states = 2


class GRUCell(
    _Cell,
    words={"layer": "GRU", "op": "gru_cell", "states": "(batch, hidden_size)", "gates": "3 * ", "argument": ""},
):
    """
    >>> import numpy as np
    >>> from tapenet import nn
    >>> nn.GRUCell(3, 5)(np.zeros((2, 3))).shape
    (2, 5)
    """

    _op = ops.gru_cell
    _gates = 3
