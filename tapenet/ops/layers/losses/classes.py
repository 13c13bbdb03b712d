"""Losses of scores for classes.

The target is one class per position, or a probability for each class. Positions are those of the input without its axis
of classes, which is the second (or the only one).
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tapenet.ops.indexing.basic import getitem, nonnegative, scatter_add
from tapenet.ops.layers.activations import log_softmax
from tapenet.ops.layers.activations.common import over
from tapenet.ops.layers.activations.softmax import shifted, total
from tapenet.ops.layers.losses.common import (
    cast_to,
    check_reduction,
    element_share,
    reduce_loss,
)
from tapenet.ops.op import Scatter, op
from tapenet.ops.reductions.basic import sum as _sum
from tapenet.ops.registry import sample


def _class_axis(ndim: int) -> int:
    return 1 if ndim > 1 else 0


@functools.lru_cache(maxsize=256)
def _places(shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Index arrays that together name each position: of shapes (N, 1, ...), (1, d1, ...), ..."""
    return tuple(np.ogrid[tuple(slice(n) for n in shape)])


def _at(classes: Any, ndim: int) -> Any:
    """The index that picks each position's class from an array of so many axes."""
    if ndim == 1:
        return classes
    first, *rest = _places(classes.shape)
    return (first, classes, *rest)


def _along(vector: Any, ndim: int, dtype: Any) -> Any:
    """A vector with one element per class, shaped to broadcast against the input."""
    return np.reshape(cast_to(vector, dtype), tuple(-1 if i == _class_axis(ndim) else 1 for i in range(ndim)))


def _spread(values: Any, ndim: int) -> Any:
    """A number per position (or one for all) shaped to broadcast against the input."""
    return values if values.ndim == 0 else np.expand_dims(values, _class_axis(ndim))


def _arrays(target: Any, weight: Any) -> None:
    for name, value in (("target", target), ("weight", weight)):
        if value is not None and not hasattr(value, "dtype"):
            raise TypeError(f"{name} has type {type(value).__name__}; give an array or a tensor: np.asarray({name})")


def _weights_fit(shape: tuple[int, ...], weight: Any) -> None:
    classes = shape[_class_axis(len(shape))]
    if weight is not None and weight.shape != (classes,):
        raise ValueError(f"weight has shape {weight.shape}; it must be ({classes},), one per class")


def _indices_fit(input: Any, target: Any, weight: Any) -> None:
    """Check the shapes of an input, a target of class indices, and the weights of the classes."""
    shape = input.shape
    if target.dtype.kind not in "iu":
        raise TypeError(f"target holds {target.dtype}; class indices are integers: target.astype(np.int64)")
    if not shape:
        raise ValueError("input is a single number; its shape must be (N, C), (N, C, d1, ...) or (C,), with C classes")
    expected = shape[:1] + shape[2:] if len(shape) > 1 else ()
    if target.shape != expected:
        text = f"target has shape {target.shape}; as class indices for an input of shape {shape} it must have "
        text += f"{expected}"
        if target.shape == shape:
            text += f": one-hot rows are turned into indices by target.argmax({_class_axis(len(shape))})"
        elif math.prod(target.shape) == math.prod(expected):
            text += f": target.reshape({', '.join(map(str, expected))})"
        raise ValueError(text)
    _weights_fit(shape, weight)


def _out_of_range(wrong: Any, count: int, ignore_index: int) -> IndexError:
    return IndexError(
        f"target holds class {wrong}, but input has {count} classes, 0 to {count - 1}; positions to leave out are "
        f"marked by ignore_index={ignore_index}"
    )


def _check_classes(target: Any, count: int, ignore_index: int) -> None:
    found = target[target != ignore_index]
    low, high = np.min(found, initial=0), np.max(found, initial=0)
    if low < 0 or high >= count:
        raise _out_of_range(low if low < 0 else high, count, ignore_index)


def _each(target: Any, reduction: str, dtype: Any) -> Any:
    """What each position counts in the result where all count the same. An array, as where they do not, so that a
    captured step can be replayed with other targets."""
    counts = np.empty(target.shape, dtype)
    counts.fill(element_share(target, reduction))
    return counts


def _usual(target: Any, weight: Any, ignore_index: int) -> bool:
    """Whether all positions count the same: no weights, nothing ignored. Negative classes are out too, so that what is
    left to check is done by indexing."""
    return weight is None and ignore_index < 0 and bool(np.minimum.reduce(target, axis=None, initial=0) == 0)


def _pick(values: Any, classes: Any, ignore_index: int) -> Any:
    """Each position's value of its class."""
    try:
        return values[_at(classes, values.ndim)]
    except IndexError:
        count = values.shape[_class_axis(values.ndim)]
        raise _out_of_range(np.max(classes), count, ignore_index) from None


def _counts(target: Any, weight: Any, ignore_index: int, reduction: str, dtype: Any) -> tuple[Any, Any, Any]:
    """Of each position: its class (0 if it is ignored), what it counts in the result (0 if ignored, else its class's
    weight, 1 without weights; for the mean divided by the sum of all), and what it would count without weights. Plain
    NumPy, for rules too."""
    valid = target != ignore_index
    classes = np.where(valid, target, 0)
    unit = valid.astype(dtype)
    counts = unit if weight is None else unit * getitem(cast_to(weight, dtype), classes)
    if reduction == "mean":
        total = _sum(counts)
        total = np.where(total == 0, 1, total)
        counts, unit = counts / total, unit / total
    return classes, counts, unit


def _counted(nll: Any, counts: Any, reduction: str) -> Any:
    """The loss from each position's, whose counts have the division of the mean in them already."""
    values = np.where(counts == 0, 0, nll) * counts  # an ignored position may be inf
    if reduction == "none":
        return values
    return _or_nan(np.add.reduce(values, axis=None), counts, reduction)


def _or_nan(total: Any, counts: Any, reduction: str) -> Any:
    """The sum of a loss, for the mean nan if no position counts."""
    return np.where(np.any(counts != 0), total, math.nan) if reduction == "mean" else total


_CLASSES = """weight: (C,), a weight for each class, or None. Has no gradient.
        ignore_index: positions whose target is this count nothing.
        reduction: "mean" (the sum divided by the sum of the weights of the targets not ignored), "sum", or "none"."""


def _class_samples(r: np.random.Generator) -> list[Any]:
    weight = np.array([1, 3, 2])  # integers: the check differentiates by all floats
    return [
        sample(r.normal(size=(4, 3)), np.array([0, 2, 1, 2])),
        sample(r.normal(size=(4, 3)), np.array([0, 2, -100, 2]), weight),
        sample(r.normal(size=(2, 3, 2)), np.array([[0, 2], [1, 2]]), weight, 2),
        sample(r.normal(size=(2, 3, 1, 2)), np.array([[[0, 2]], [[1, 2]]]), None, 1, "none"),
        sample(r.normal(size=3), np.array(1)),
        sample(r.normal(size=(4, 3)), np.array([0, 2, 1, 2]), weight, reduction="sum"),
    ]


def _nll_loss(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    """The loss, and for the rule each position's class and what it counts in the result."""
    check_reduction(reduction)
    _arrays(target, weight)
    _indices_fit(input, target, weight)
    if _usual(target, weight, ignore_index):
        picked = _pick(input, target, ignore_index)
        return -reduce_loss(picked, reduction), target, _each(target, reduction, input.dtype)
    _check_classes(target, input.shape[_class_axis(input.ndim)], ignore_index)
    return _nll_of_classes(input, target, weight, ignore_index, reduction)


def _nll_of_classes(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    classes, counts, _ = _counts(target, weight, ignore_index, reduction, input.dtype)
    return _counted(-_pick(input, classes, ignore_index), counts, reduction), classes, counts


def _nll_lowered(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    check_reduction(reduction)
    _indices_fit(input, target, weight)
    loss, classes, counts = _nll_of_classes(
        input, _existing(input, target, ignore_index), weight, ignore_index, reduction
    )
    return loss, cast_to(classes, target.dtype), counts


def _existing(input: Any, target: Any, ignore_index: int) -> Any:
    """A target in which a negative class is out of range too, but for those to be ignored: compiled code does not look
    at targets before it indexes with them."""
    found = nonnegative(target, input.shape[_class_axis(input.ndim)])
    return found if ignore_index >= 0 else np.where(target == ignore_index, ignore_index, found)


def _nll_reference(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    classes, counts, _ = _counts(target, weight, ignore_index, reduction, input.dtype)
    loss = -getitem(input, _at(classes, input.ndim)) * counts
    return loss if reduction == "none" else _sum(loss)


def _nll_input(g: Any, input_shape: Any, classes: Any, counts: Any) -> Any:
    return Scatter(_at(classes, len(input_shape)), np.broadcast_to(-g * counts, classes.shape))


nll_loss = op(
    _nll_loss,
    name="nll_loss",
    label="nll loss",
    lower=_nll_lowered,
    nondiff=("target", "weight"),
    residuals=("classes", "counts"),
    reference=_nll_reference,
    input=_nll_input,
    formula="−mean(input[target])",
    gradients="input: −g/N at each target, else 0",
    doc=f"""The negative log-likelihood: minus the input at each target class, for log-probabilities (`tn.log_softmax`).

    Args:
        input: (N, C), (N, C, d1, ...) or (C,): log-probabilities of C classes.
        target: (N,), (N, d1, ...) or (): class indices, integers from 0 to C - 1.
        {_CLASSES}

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
    """,
    samples=_class_samples,
)


def _soft(target: Any, weight: Any, reduction: str, label_smoothing: float, dtype: Any) -> Any:
    """The weight of each class at each position, from probabilities, with its share in the result. Plain NumPy."""
    ndim = target.ndim
    count = target.shape[_class_axis(ndim)]
    q = cast_to(target, dtype)
    if label_smoothing:
        q = q * (1 - label_smoothing) + label_smoothing / count
    if weight is not None:
        q = q * _along(weight, ndim, dtype)
    return q * (count / (target.size or 1)) if reduction == "mean" else q


def _smoothed(classes: Any, counts: Any, unit: Any, weight: Any, label_smoothing: float, shape: tuple[int, ...]) -> Any:
    """The same from class indices and label smoothing. Plain NumPy."""
    ndim = len(shape)
    count = shape[_class_axis(ndim)]
    chosen = np.expand_dims(classes, _class_axis(ndim)) == _along(np.arange(count), ndim, np.int64)
    even = _spread(unit, ndim) * (label_smoothing / count)
    if weight is not None:
        even = even * _along(weight, ndim, counts.dtype)
    return chosen.astype(counts.dtype) * _spread(counts, ndim) * (1 - label_smoothing) + even


def _cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """The loss, and for the rules: exponentials `e` and their `total`, whose quotient is the softmax; `q`, each
    position's class or a weight for each of its classes; and `counts`, what it counts in the result."""
    _arrays(target, weight)
    _cross_entropy_fits(input, target, weight, reduction, label_smoothing)
    axis = _class_axis(input.ndim)
    if target.dtype.kind == "f":
        return _cross_entropy_of(input, target, weight, ignore_index, reduction, label_smoothing)
    if label_smoothing == 0 and _usual(target, weight, ignore_index):
        e = shifted(input, axis)
        picked = _pick(e, target, ignore_index)
        e = over(np.exp, e)
        sums = total(e, axis)
        nll = np.log(sums).reshape(target.shape) - picked
        return reduce_loss(nll, reduction), e, sums, target, _each(target, reduction, e.dtype)
    _check_classes(target, input.shape[axis], ignore_index)
    return _cross_entropy_of(input, target, weight, ignore_index, reduction, label_smoothing)


def _cross_entropy_fits(input: Any, target: Any, weight: Any, reduction: str, label_smoothing: float) -> None:
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing={label_smoothing}: give a number from 0 to 1")
    if target.dtype.kind == "f":
        _probabilities_fit(input, target, weight)
    else:
        _indices_fit(input, target, weight)


def _cross_entropy_of(
    input: Any, target: Any, weight: Any, ignore_index: int, reduction: str, label_smoothing: float
) -> Any:
    """The same without looking at the target."""
    axis = _class_axis(input.ndim)
    logs = shifted(input, axis)
    e = np.exp(logs)
    sums = total(e, axis)
    soft = target.dtype.kind == "f"
    if soft:
        q = _soft(target, weight, reduction, label_smoothing, e.dtype)
    else:
        classes, counts, unit = _counts(target, weight, ignore_index, reduction, e.dtype)
        if label_smoothing == 0:
            nll = np.log(sums).reshape(target.shape) - _pick(logs, classes, ignore_index)
            return _counted(nll, counts, reduction), e, sums, classes, counts
        q = _smoothed(classes, counts, unit, weight, label_smoothing, input.shape)
    logs -= np.log(sums)
    loss = -np.add.reduce(q * logs, axis)
    if reduction != "none":
        loss = np.add.reduce(loss, axis=None)
        if not soft:
            loss = _or_nan(loss, counts, reduction)
        elif reduction == "mean" and not input.size:
            loss = loss * math.nan
    return loss, e, sums, q, np.add.reduce(q, axis)


def _cross_entropy_lowered(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    _cross_entropy_fits(input, target, weight, reduction, label_smoothing)
    if target.dtype.kind == "f":
        return _cross_entropy_of(input, target, weight, ignore_index, reduction, label_smoothing)
    checked = _existing(input, target, ignore_index)
    loss, e, sums, q, counts = _cross_entropy_of(input, checked, weight, ignore_index, reduction, label_smoothing)
    return loss, e, sums, q if label_smoothing else cast_to(q, target.dtype), counts


def _probabilities_fit(input: Any, target: Any, weight: Any) -> None:
    if input.shape != target.shape:
        text = f"target has shape {target.shape}; as probabilities of the classes (it holds {target.dtype}) it must "
        text += f"have the shape of the input, {input.shape}"
        if target.ndim < input.ndim:
            text += ". Class indices are integers: target.astype(np.int64)"
        raise ValueError(text)
    if not input.ndim:
        raise ValueError("input is a single number; its shape must be (N, C), (N, C, d1, ...) or (C,), with C classes")
    _weights_fit(input.shape, weight)


def _cross_entropy_input(g: Any, input_shape: Any, e: Any, total: Any, q: Any, counts: Any) -> Any:
    ndim = len(input_shape)
    counts = g * counts
    found = e * (_spread(counts, ndim) / total)
    if q.dtype.kind == "f":
        return found - q * _spread(g, ndim)
    if type(found) is np.ndarray:  # this rule's own array
        found[_at(q, ndim)] -= counts
        return found
    return found - scatter_add(np.broadcast_to(counts, q.shape), _at(q, ndim), input_shape)


def _cross_entropy_target(g: Any, input: Any, weight: Any, reduction: str, label_smoothing: float) -> Any:
    axis = _class_axis(input.ndim)
    share = input.shape[axis] / (input.size or 1) if reduction == "mean" else 1.0
    found = log_softmax(input, axis) * (_spread(g, input.ndim) * (-share * (1 - label_smoothing)))
    return found if weight is None else found * _along(weight, input.ndim, input.dtype)


def _cross_entropy_reference(
    input: Any, target: Any, weight: Any, ignore_index: int, reduction: str, label_smoothing: float
) -> Any:
    axis = _class_axis(input.ndim)
    logs = log_softmax(input, axis)
    if target.dtype.kind == "f":
        loss = _sum(_soft(target, weight, reduction, label_smoothing, logs.dtype) * logs, axis)
    else:
        classes, counts, unit = _counts(target, weight, ignore_index, reduction, logs.dtype)
        if label_smoothing == 0:
            loss = getitem(logs, _at(classes, input.ndim)) * counts
        else:
            loss = _sum(_smoothed(classes, counts, unit, weight, label_smoothing, input.shape) * logs, axis)
    return -loss if reduction == "none" else -_sum(loss)


cross_entropy = op(
    _cross_entropy,
    name="cross_entropy",
    label="cross-entropy",
    lower=_cross_entropy_lowered,
    nondiff=("weight",),
    residuals=("e", "total", "q", "counts"),
    reference=_cross_entropy_reference,
    input=_cross_entropy_input,
    target=_cross_entropy_target,
    formula="−mean(log_softmax(input)[target])",
    gradients="input: g · (softmax(input) − one_hot(target))/N; target: −g · log_softmax(input)/N",
    doc=f"""The cross entropy of the target and softmax(input): -Σ over the classes of target · log_softmax(input).

    The gradient by the input is softmax(input) - target, times what the position counts in the result.

    Args:
        input: (N, C), (N, C, d1, ...) or (C,): a score (logit) for each of C classes.
        target: class indices, integers from 0 to C - 1 of shape (N,), (N, d1, ...) or (); or floats of the shape of the
            input, a probability for each class, by which there is a gradient too. The mean is then over positions.
        {_CLASSES}
        label_smoothing: this much of each target is shared out evenly over all classes.

    Returns:
        a number, or for "none" one for each position. The mean with every target ignored is nan, its gradient 0, as in
        PyTorch.

    Raises:
        ValueError: the shapes do not fit.
        IndexError: a target that is no class.
        TypeError: a target that holds neither integers nor floats.

    >>> import numpy as np, tapenet as tn
    >>> tn.cross_entropy(tn.tensor([[0.0, 0.0], [9.0, 0.0]]), np.array([1, 0]))
    Tensor(0.34663529)
    """,
    samples=lambda r: [
        *_class_samples(r),
        sample(r.normal(size=(4, 3)), np.array([0, 2, 1, -100]), np.array([1, 3, 2]), label_smoothing=0.2),
        sample(r.normal(size=(2, 3, 2)), np.array([[0, 2], [1, 2]]), reduction="none", label_smoothing=0.2),
        sample(r.normal(size=(2, 3)), r.uniform(0, 0.5, (2, 3))),
        sample(r.normal(size=(2, 3, 2)), r.uniform(0, 0.5, (2, 3, 2)), np.array([1, 3, 2]), label_smoothing=0.2),
        sample(r.normal(size=3), r.uniform(0, 0.5, 3), reduction="none"),
    ],
)
