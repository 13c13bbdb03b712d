"""The negative log-likelihood of classes, and what losses of scores for classes have in common.

The target is one class per position, or a probability for each class. Positions are those of the input without its axis
of classes, which is the second (or the only one).
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tapenet.ops.indexing.items import getitem, nonnegative
from tapenet.ops.layers.losses.reduction import cast_to, check_reduction, warn_of_empty
from tapenet.ops.op import Scatter, op
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array, Shape


def class_axis(ndim: int) -> int:
    """The axis of the classes in scores with so many axes."""
    return 1 if ndim > 1 else 0


@functools.lru_cache(maxsize=256)
def _places(shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Index arrays that together name each position: of shapes (N, 1, ...), (1, d1, ...), ..."""
    return tuple(np.ogrid[tuple(slice(n) for n in shape)])


def at_classes(classes: Array, ndim: int) -> Any:
    """The index that picks each position's class from an array of so many axes."""
    if ndim == 1:
        return classes
    first, *rest = _places(classes.shape)
    return (first, classes, *rest)


def along_classes(vector: Array, ndim: int, dtype: np.dtype[Any]) -> Array:
    """A vector with one element per class, shaped to broadcast against the input."""
    return np.reshape(cast_to(vector, dtype), tuple(-1 if i == class_axis(ndim) else 1 for i in range(ndim)))


def spread_out(values: Array, ndim: int) -> Array:
    """A number per position (or one for all) shaped to broadcast against the input."""
    return values if values.ndim == 0 else np.expand_dims(values, class_axis(ndim))


def arrays(target: Array, weight: Array | None) -> None:
    """Raise TypeError unless the target and the weight are arrays, if given."""
    for name, value in (("target", target), ("weight", weight)):
        if value is not None and not hasattr(value, "dtype"):
            raise TypeError(f"{name} has type {type(value).__name__}; give an array or a tensor: np.asarray({name})")


def weights_fit(shape: tuple[int, ...], weight: Array | None) -> None:
    """Raise ValueError unless there is a weight for each class of scores of this shape, or none at all."""
    classes = shape[class_axis(len(shape))]
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"weight has shape {weight.shape}; it must be ({classes},), one per class")


def integers(target: Array) -> None:
    """Raise TypeError for a target of class indices that holds no integers."""
    if target.dtype.kind not in "iu":
        raise TypeError(f"target holds {target.dtype}; class indices are integers: target.astype(np.int64)")


def indices_fit(input: Array, target: Array, weight: Array | None) -> None:
    """Check the shapes of an input, a target of class indices, and the weights of the classes."""
    shape = input.shape
    integers(target)
    if not shape:
        raise ValueError("input is a single number; its shape must be (N, C), (N, C, d1, ...) or (C,), with C classes")
    expected = shape[:1] + shape[2:] if len(shape) > 1 else ()
    if target.shape != expected:
        text = f"target has shape {target.shape}; as class indices for an input of shape {shape} it must have "
        text += f"{expected}"
        if target.shape == shape:
            text += f": one-hot rows are turned into indices by target.argmax({class_axis(len(shape))})"
        elif len(shape) > 2 and target.shape == shape[:-1]:
            text += (
                f", since the classes lie in axis 1. Where they lie in the last: input.reshape(-1, {shape[-1]}) and "
            )
            text += "target.reshape(-1)"
        elif math.prod(target.shape) == math.prod(expected):
            text += f": target.reshape({', '.join(map(str, expected))})"
        raise ValueError(text)
    weights_fit(shape, weight)


def _out_of_range(wrong: int, count: int, ignore_index: int) -> IndexError:
    return IndexError(
        f"target holds class {wrong}, but input has {count} classes, 0 to {count - 1}; positions to leave out are "
        f"marked by ignore_index={ignore_index}"
    )


def check_classes(target: Array, count: int, ignore_index: int) -> None:
    """Raise IndexError for a class that is not among so many, nor to be ignored."""
    found = target[target != ignore_index]
    low, high = np.min(found, initial=0), np.max(found, initial=0)
    if low < 0 or high >= count:
        raise _out_of_range(low if low < 0 else high, count, ignore_index)


def counts_of(
    target: Array, weight: Array | None, ignore_index: int, reduction: str, count: int, dtype: np.dtype[Any]
) -> tuple[Array, Array, Array]:
    """Of each position: its class of so many (0 if it is ignored), what it counts in the result (0 if ignored, else its
    class's weight, 1 without weights; for the mean divided by the sum of all), and what it would count without weights.

    A class that is negative becomes one that is out of range, since compiled code does not look before it indexes.
    """
    valid = target != ignore_index
    classes = np.where(valid, nonnegative(target, count), 0)
    unit = valid.astype(dtype)
    # np.take would ask for the elements of `classes`, which may be a tensor beside an array.
    counts = unit if weight is None else unit * getitem(cast_to(weight, dtype), classes)
    if reduction == "mean":
        total = np.sum(counts)
        total = np.where(total == 0, 1, total)
        counts, unit = counts / total, unit / total
    return classes, counts, unit


def counted(values: Array, counts: Array) -> Array:
    """Values times what they count, where what does not count may be infinite."""
    return np.where(counts == 0, 0, values) * counts


def or_nan(total: Array, counts: Array, reduction: str) -> Array:
    """The sum of a loss, for the mean nan if no position counts."""
    if reduction != "mean":
        return total
    if not counts.size:
        warn_of_empty()
    return np.where(np.any(counts != 0), total, math.nan)


def class_samples(r: np.random.Generator) -> list[Sample]:
    """Calls for the tests of losses of classes."""
    weight = np.array([1, 3, 2])  # integers: the check differentiates by all floats
    return [
        sample(r.normal(size=(4, 3)), np.array([0, 2, 1, 2])),
        sample(r.normal(size=(4, 3)), np.array([0, 2, -100, 2]), weight),
        sample(r.normal(size=(2, 3, 2)), np.array([[0, 2], [1, 2]]), weight, 2),
        sample(r.normal(size=(2, 3, 1, 2)), np.array([[[0, 2]], [[1, 2]]]), None, 1, "none"),
        sample(r.normal(size=3), np.array(1)),
        sample(r.normal(size=(4, 3)), np.array([0, 2, 1, 2]), weight, reduction="sum"),
    ]


def _check_nll(input: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str) -> None:
    check_reduction(reduction)
    arrays(target, weight)
    indices_fit(input, target, weight)
    check_classes(target, input.shape[class_axis(input.ndim)], ignore_index)


def _nll_input(
    g: Array,
    input_shape: Shape,
    input_dtype: np.dtype[Any],
    target: Array,
    weight: Array | None,
    ignore_index: int,
    reduction: str,
) -> Scatter:
    """By hand, since it is sparse: one number for each position."""
    ndim = len(input_shape)
    classes, counts, _ = counts_of(target, weight, ignore_index, reduction, input_shape[class_axis(ndim)], input_dtype)
    return Scatter(at_classes(classes, ndim), np.broadcast_to(-g * counts, classes.shape))


@op(
    label="nll loss",
    check=_check_nll,
    nondiff=("target", "weight"),
    input=_nll_input,
    formula="−mean(input[target])",
    gradients="input: −g/N at each target, else 0",
    samples=class_samples,
)
def nll_loss(
    input: Array, target: Array, weight: Array | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> Array:
    """The negative log-likelihood: minus the input at each target class, for log-probabilities (`tn.log_softmax`).

    Args:
        input: (N, C), (N, C, d1, ...) or (C,): log-probabilities of C classes.
        target: (N,), (N, d1, ...) or (): class indices, integers from 0 to C - 1.
        weight: (C,), a weight for each class, or None. Has no gradient.
        ignore_index: positions whose target is this count nothing.
        reduction: "mean" (the sum divided by the sum of the weights of the targets not ignored), "sum", or "none".

    Returns:
        a number, or for "none" an array shaped like the target. The mean with every target ignored is nan, its
        gradient 0, as in PyTorch.

    Raises:
        ValueError: the shapes do not fit.
        IndexError: a target that is no class.
        TypeError: a target that holds no integers.

    >>> import numpy as np, tapenet as tn
    >>> tn.nll_loss(tn.log_softmax(tn.tensor([[0.0, 0.0]])), np.array([1]))
    Tensor(0.69314718)
    """
    count = input.shape[class_axis(input.ndim)]
    classes, counts, _ = counts_of(target, weight, ignore_index, reduction, count, input.dtype)
    loss = counted(-input[at_classes(classes, input.ndim)], counts)
    return loss if reduction == "none" else or_nan(np.add.reduce(loss, axis=None), counts, reduction)
