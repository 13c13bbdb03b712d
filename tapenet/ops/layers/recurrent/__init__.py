"""Recurrent layers over whole sequences, and their cells.

`lstm`, `gru` and `rnn` are one layer in one direction each; `nn.LSTM` and the like stack them. Weights and gates are in
PyTorch's order.
"""
