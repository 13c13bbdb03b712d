"""What losses have in common: their reduction, the checks of their arguments, and samples for the tests."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapenet.ops.registry import Sample, sample
from tapenet.ops.stack_frames import warn_once
from tapenet.program.runs import LONG
from tapenet.typing import Array

_REDUCTIONS = ("mean", "sum", "none")


def reduce_loss(values: Array, reduction: str) -> Array:
    """The elements of a loss, reduced."""
    if reduction == "none":
        return values
    total = np.add.reduce(values, axis=None)
    return mean_of(total, values.size) if reduction == "mean" else total


def reduce_weighted(values: Array, weight: Array, reduction: str) -> tuple[Array, Array]:
    """The elements of a loss, reduced, and the divisor of the mean, the sum of weights: where that is 0 the mean is nan, and 1
    the divisor."""
    whole = np.add.reduce(weight, axis=None)
    divisor = np.where(whole == 0, 1, whole)
    if reduction == "none":
        return values, divisor
    loss: Array = np.add.reduce(values, axis=None)
    if reduction == "sum":
        return loss, divisor
    if not values.size and isinstance(loss, (np.ndarray, np.generic)):  # and not when the formula is read
        warn_of_empty()
    with np.errstate(invalid="ignore"):
        return np.divide(loss, whole), divisor


def sum_of_squares(d: Array) -> Array:
    """Σ d². Of few elements one call of NumPy's takes 0.4 us, the squares and their sum 1.1."""
    fast = isinstance(d, np.ndarray) and d.dtype.kind == "f" and d.size < LONG
    total: Array = np.vdot(d, d) if fast else np.add.reduce(d * d, axis=None)  # type: ignore[assignment]  # a number
    return total


def mean_of(total: Array, count: int) -> Array:
    """The mean of elements with this sum; nan of none."""
    if count:
        return total / count
    if isinstance(total, (np.ndarray, np.generic)):  # and not when the formula is read
        warn_of_empty()
    return total * math.nan


def shared(g: Array, count: int, reduction: str) -> Array:
    """The gradient by each of so many elements, of that by what they were reduced to."""
    return g * (1 / (count or 1)) if reduction == "mean" else g


def warn_of_empty() -> None:
    """Warn of a mean over no elements."""
    warn_once(
        "empty batch",
        "a loss is nan: it is the mean over an empty batch. Skip a batch that is empty, as in `if len(x):`, or give "
        "reduction='sum', which is 0 for it",
    )


def check_reduction(reduction: str) -> None:
    """Raise ValueError for an unknown reduction."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction={reduction!r}: it is 'mean', 'sum' or 'none'")


def check_shapes(input: Array, target: Array, reduction: str) -> None:
    """Check what all losses of two arrays of one shape ask for."""
    try:
        if input.shape == target.shape and reduction in _REDUCTIONS:
            return
    except AttributeError:
        raise TypeError("input and target are arrays or tensors of one shape; for a number make a full array") from None
    check_reduction(reduction)
    a, b = input.shape, target.shape
    text = f"input {a} and target {b} must have the same shape"
    if math.prod(a) == math.prod(b):
        text += f": reshape one of them, as in target.reshape({', '.join(map(str, a))})"
    elif target.dtype.kind in "iu" and a[:-1] == b:
        text += ": for class indices use cross_entropy, or one-hot targets, np.eye(classes)[target]"
    else:
        text += ": if broadcasting is meant, write np.broadcast_to(target, input.shape)"
    raise ValueError(text)


def cast_to(value: Array, dtype: np.dtype[np.generic]) -> Array:
    """The array in a dtype; itself if it has that."""
    return value if value.dtype == dtype else value.astype(dtype)


def difference(input: Array, target: Array) -> Array:
    """input - target in the dtype of the input, also where the target holds integers."""
    return input - (target.astype(input.dtype) if target.dtype.kind in "iub" else target)  # type: ignore[no-any-return]


def pair_samples(positive: bool = False) -> Callable[[np.random.Generator], list[Sample]]:
    """Samples of calls with two arrays of one shape; `positive`: of probabilities."""

    def make(r: np.random.Generator) -> list[Sample]:
        def array(*shape: int) -> Array | float:
            return r.uniform(0.1, 0.9, shape) if positive else r.normal(size=shape)

        return [
            sample(array(2, 3), array(2, 3)),
            sample(array(4), array(4), reduction="sum"),
            sample(array(2, 2), array(2, 2), reduction="none"),
            sample(array(), array()),
        ]

    return make
