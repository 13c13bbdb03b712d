"""Recurrent layers over whole sequences, and their cells.

`lstm`, `gru` and `rnn` are one layer in one direction each; `nn.LSTM` and its kin stack them. Weights and gates are in
PyTorch's order.
"""

from __future__ import annotations

from tapenet.ops.layers.recurrent.cells import gru_cell, lstm_cell, rnn_relu_cell, rnn_tanh_cell
from tapenet.ops.layers.recurrent.gated import gru, gru_grad
from tapenet.ops.layers.recurrent.long_short_term import lstm, lstm_grad
from tapenet.ops.layers.recurrent.simple import rnn, rnn_grad

__all__ = [
    "gru",
    "gru_cell",
    "gru_grad",
    "lstm",
    "lstm_cell",
    "lstm_grad",
    "rnn",
    "rnn_grad",
    "rnn_relu_cell",
    "rnn_tanh_cell",
]
