"""The negative log-likelihood of classes, and what losses of scores for classes have in common.

The target is one class per position, or a probability for each class. Positions are those of the input without its axis
of classes, which is the second (or the only one).
"""

from __future__ import annotations

import functools
import math

import numpy as np

from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.ops.indexing.items import getitem, nonnegative
from tapenet.ops.layers.losses.reduction import cast_to, check_reduction, reduce_loss, reduce_weighted
from tapenet.ops.op import op
from tapenet.ops.registry import Sample, sample
from tapenet.program.symbols import Symbol
from tapenet.typing import Array, DType, Shape


def class_axis(ndim: int) -> int:
    """The axis of the classes in scores with so many axes."""
    return 1 if ndim > 1 else 0


@functools.lru_cache(maxsize=256)
def places(shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Index arrays that together name each position: of shapes (N, 1, ...), (1, d1, ...), ..."""
    return tuple(np.ogrid[tuple(slice(n) for n in shape)])


def at_classes(classes: Array, ndim: int) -> Array | tuple[Array, ...]:
    """The index that picks each position's class from an array of so many axes."""
    if ndim == 1:
        return classes
    first, *rest = places(classes.shape)
    return (first, classes, *rest)


@functools.lru_cache(maxsize=256)
def _rows(count: int, length: int) -> Array:
    """Where each of so many rows begins among the elements of all."""
    return np.arange(0, count * length, length or 1)


def _at(shape: Shape, classes: Array) -> Array:
    """Where the class of each row is among the elements of all."""
    found: Array = np.add(_rows(*shape), classes, dtype=np.intp, casting="unsafe")
    return found


def of_classes(input: Array, classes: Array) -> Array:
    """The score of each position's class."""
    if type(input) is np.ndarray and input.ndim == 2 and input.flags.c_contiguous:  # half the time of an index
        return input.take(_at(input.shape, classes))
    return input[at_classes(classes, input.ndim)]


def along_classes(vector: Array, ndim: int, dtype: DType) -> Array:
    """A vector with one element per class, shaped to broadcast against the input."""
    return np.reshape(cast_to(vector, dtype), tuple(-1 if i == class_axis(ndim) else 1 for i in range(ndim)))


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


#: Integers without a sign, by their bytes.
_UNSIGNED = {n: np.dtype(f"u{n}") for n in (1, 2, 4, 8)}


#: Numbers up to which Python compares them in a fifth of NumPy's time.
_FEW = 16


def _all_below(target: Array, count: int) -> bool:
    """Whether this is an array of integers from 0 to count - 1: taken as numbers without a sign negative ones are large."""
    if target.size <= _FEW:
        found: list[int] = target.ravel().tolist()
        return not found or (min(found) >= 0 and max(found) < count)
    return bool(np.maximum.reduce(target.view(_UNSIGNED[target.itemsize]), axis=None, initial=0) < count)


def check_classes(target: Array, count: int, ignore_index: int | None = None) -> None:
    """Raise IndexError for a class that is not among so many, nor to be ignored."""
    if type(target) is not np.ndarray or _all_below(target, count):
        return
    found = target if ignore_index is None else target[target != ignore_index]
    low, high = np.min(found, initial=0), np.max(found, initial=0)
    if found.size and (low < 0 or high >= count):
        text = f"target holds class {low if low < 0 else high}, but input has {count} classes, 0 to {count - 1}"
        if ignore_index is not None:
            text += f"; positions to leave out are marked by ignore_index={ignore_index}"
        raise IndexError(text)


def asked(input: Array, target: Array) -> None:
    """Have compiled code ask whether each target is a class, where it reads nothing there: what nobody uses becomes that
    (`program.checks`)."""
    if isinstance(target, Symbol):
        of_classes(input, nonnegative(target))


def all_count(target: Array, count: int, ignore_index: int) -> bool:
    """Whether an array of targets holds classes alone, of so many, none of which is ignored."""
    return not 0 <= ignore_index < count and _all_below(target, count)


def counts_of(
    input: Array, target: Array, weight: Array | None, ignore_index: int, checked: bool = True
) -> tuple[Array, Array | None, Array | None]:
    """Of each position: its class, whether it is valid, which is 1 or 0, and what it counts: 0 if it is ignored, else its
    class's weight, 1 without weights. None for the latter two of arrays of which all count the same: of 64 positions that
    takes 5 us.

    A class that is negative becomes one that is out of range, since compiled code does not look before it indexes.
    """
    count = input.shape[class_axis(input.ndim)]
    if weight is None and type(target) is np.ndarray and all_count(target, count, ignore_index):
        return target, None, None
    if not checked:
        check_classes(target, count, ignore_index)
    valid = target != ignore_index
    classes = np.where(valid, nonnegative(target), 0)
    unit = valid.astype(input.dtype)
    # np.take would ask for the elements of `classes`, which may be a tensor beside an array.
    return classes, unit, unit if weight is None else unit * getitem(cast_to(weight, input.dtype), classes)


def kept(values: Array) -> Array:
    """A number for each position, or one for all, shaped to broadcast against the input."""
    return values[:, None] if values.ndim else values


@functools.lru_cache(maxsize=256)
def _classes(count: int, further: int) -> Array:
    """The classes along their axis, before so many further ones."""
    return np.reshape(np.arange(count, dtype=np.int32), (-1, *(1,) * further))


def beside_zeros(values: Array, classes: Array, shape: Shape) -> Array:
    """Zeros, but for a number (`kept`) at each position's class, which is 0 where there is no such class."""
    axis = class_axis(len(shape))
    if type(values) is np.ndarray and type(classes) is np.ndarray:
        found = np.zeros(shape, values.dtype)
        inside = classes.astype(np.intp, copy=False) % (shape[axis] or 1)
        values = values.reshape(classes.shape if values.ndim else ())
        if len(shape) == 2:  # half the time of an index
            found.reshape(-1)[_at(shape, inside)] = values
        else:
            found[at_classes(inside, len(shape))] = values
        return found
    # In 32 bits, so that a vector has as many as of floats. What is left of an ignored class may be another: its value is 0.
    numbers = _classes(shape[axis], len(shape) - axis - 1)
    return np.where(numbers == kept(classes).astype(numbers.dtype), values, 0)


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


def _nll_input(
    g: Array, input: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, divisor: Array
) -> Array:
    """By hand, since the divisor is kept: a kernel of rows cannot use a sum over all of them."""
    classes, _, counts = counts_of(input, target, weight, ignore_index)
    g = -g / divisor if reduction == "mean" else -g
    return beside_zeros(kept(g if counts is None else g * counts), classes, input.shape)


@op(
    label="nll loss",
    check=_check_nll,
    nondiff=("target", "weight"),
    residuals=("divisor",),
    input=_nll_input,
    fuse="rules",  # the forward reads little of its input
    formula="−mean(input[target])",
    gradients="input: −g/N at each target, else 0",
    samples=class_samples,
)
def nll_loss(
    input: Array, target: Array, weight: Array | None = None, ignore_index: int = -100, reduction: str = "mean"
) -> tuple[Array, Array]:
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
    classes, _, counts = counts_of(input, target, weight, ignore_index, checked=False)
    loss = -of_classes(input, classes)
    if counts is None:
        return reduce_loss(loss, reduction), np.array(loss.size or 1, loss.dtype)
    with np.errstate(invalid="ignore"):  # what is ignored may be infinite
        return reduce_weighted(safe_mul(loss, counts), counts, reduction)
