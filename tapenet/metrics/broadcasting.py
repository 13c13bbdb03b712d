"""Detects functions that pair each output with every target, by broadcasting shapes (N, 1) and (N,)."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from tapenet.typing import Array


def pairing_of(function: Callable[[Array, Array], object], output: Array, target: Array) -> str:
    """A message if a function pairs each output with every target, else "".

    It is seen from the values for three samples, and for each pair of them.

    >>> def square(output, target):
    ...     return ((output - target) ** 2).mean()
    >>> pairing_of(square, np.ones((8, 1)), np.ones(8))
    'takes each output with every target: ... Give targets of shape (8, 1), as y.reshape(-1, 1) has it'
    >>> pairing_of(square, np.ones((8, 1)), np.ones((8, 1)))
    ''
    >>> pairing_of(lambda output, target: square(output[:, 0], target), np.ones((8, 1)), np.ones(8))
    ''
    """
    if sorted((output.ndim, target.ndim)) != [1, 2]:
        return ""
    count = len(output)
    if count < 2 or output.size != count or target.shape not in ((count,), (count, 1)):
        return ""
    outputs = np.array([0.2, 0.5, 0.9], output.dtype).reshape(3, *output.shape[1:])
    shares = [0.1, 0.4, 1.0] if target.dtype.kind == "f" else [0, 1, 1]
    targets = np.array(shares, target.dtype).reshape(3, *target.shape[1:])

    def value(o: Array, t: Array) -> float:
        return float(np.asarray(function(o, t)).reshape(()))

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = value(outputs, targets)
            pairs = np.array([[value(outputs[i : i + 1], targets[j : j + 1]) for j in range(3)] for i in range(3)])
    except Exception:  # what it cannot do with three samples is no matter here
        return ""
    if not _combines(pairs, whole) or _combines(np.diag(pairs), whole):
        return ""
    return (
        f"takes each output with every target: outputs have shape {output.shape} and targets {target.shape}, which NumPy "
        f"broadcasts to {(count, count)}. Give targets of shape {output.shape}, as "
        f"y.reshape{(-1, *output.shape[1:]) if output.ndim > 1 else '(-1)'} has it"
    )


def _combines(parts: Array, whole: float) -> bool:
    """Whether the value for several is the mean, the sum or the root of the mean square of the values for the parts."""
    found = parts.mean(), parts.sum(), np.sqrt((parts**2).mean())
    return bool(np.isclose(found, whole, rtol=1e-4).any())
