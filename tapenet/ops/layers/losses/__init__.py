"""Losses, nearly each one op: its forward and its gradient in few NumPy calls.

Arguments are named as PyTorch names them. `reduction` is "mean" (of all elements, unless a loss says otherwise), "sum"
or "none". A prediction and a target of different shapes are an error: NumPy would broadcast them to a loss of all
pairs.
"""
