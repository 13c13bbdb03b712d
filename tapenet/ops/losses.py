"""Losses, each one op: its forward and its gradient in few NumPy calls.

Arguments are named as PyTorch names them. `reduction` is "mean" (of all elements, unless a loss says otherwise), "sum"
or "none". A prediction and a target of different shapes are an error: NumPy would broadcast them to a loss of all
pairs.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tapenet.ops.activations import log_softmax, shifted_exp, sigmoid, softplus
from tapenet.ops.indexing import getitem, nonnegative, scatter_add
from tapenet.ops.op import Scatter, op, sample
from tapenet.ops.reductions import sum as _sum

_REDUCTIONS = ("mean", "sum", "none")


def _share(input: Any, reduction: str) -> float:
    """What each element of the loss counts in its result; nothing is divided by zero."""
    return 1 / (input.size or 1) if reduction == "mean" else 1.0


def _mean(total: Any, count: int) -> Any:
    return total / count if count else total * math.nan


def _reduced(values: Any, reduction: str) -> Any:
    """The elements of a loss, reduced."""
    if reduction == "none":
        return values
    total = np.add.reduce(values, axis=None)
    return _mean(total, values.size) if reduction == "mean" else total


def _inner(a: Any, b: Any, reduction: str) -> Any:
    """`_reduced(a * b, reduction)` without the array of products."""
    if reduction == "none":
        return a * b
    total = a.ravel().dot(b.ravel())
    return _mean(total, a.size) if reduction == "mean" else total


def _known(reduction: str) -> None:
    if reduction not in _REDUCTIONS:
        raise ValueError(f"reduction={reduction!r}: it is 'mean', 'sum' or 'none'")


def _matched(input: Any, target: Any, reduction: str) -> None:
    """Check what all losses of two arrays of one shape ask for."""
    try:
        if input.shape == target.shape and reduction in _REDUCTIONS:
            return
    except AttributeError:
        raise TypeError("input and target are arrays or tensors of one shape; for a number make a full array") from None
    _known(reduction)
    a, b = input.shape, target.shape
    text = f"input {a} and target {b} must have the same shape"
    if math.prod(a) == math.prod(b):
        text += f": reshape one of them, as in target.reshape({', '.join(map(str, a))})"
    elif target.dtype.kind in "iu" and a[:-1] == b:
        text += ": for class indices use cross_entropy, or one-hot targets, np.eye(classes)[target]"
    else:
        text += ": if broadcasting is meant, write np.broadcast_to(target, input.shape)"
    raise ValueError(text)


def _difference(input: Any, target: Any) -> Any:
    """input - target in the dtype of the input, also where the target holds integers."""
    if target.dtype.kind in "iub":
        target = target.astype(input.dtype)
    return input - target


def _pair_samples(positive: bool = False) -> Callable[[np.random.Generator], list[Any]]:
    def make(r: np.random.Generator) -> list[Any]:
        def array(*shape: int) -> Any:
            return r.uniform(0.1, 0.9, shape) if positive else r.normal(size=shape)

        return [
            sample(array(2, 3), array(2, 3)),
            sample(array(4), array(4), reduction="sum"),
            sample(array(2, 2), array(2, 2), reduction="none"),
            sample(array(), array()),
        ]

    return make


_PAIR = """input: the prediction.
        target: of the same shape."""
_REDUCTION = """reduction: "mean" over all elements, "sum", or "none" for the loss of each.

    Raises:
        ValueError: the shapes differ, or an unknown reduction."""

# -- distances ---------------------------------------------------------------------------------------------------


def _mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    _matched(input, target, reduction)
    d = _difference(input, target)
    return _inner(d, d, reduction)


def _mse_input(g: Any, input: Any, target: Any, reduction: str) -> Any:
    return g * (2 * _share(input, reduction)) * _difference(input, target)


mse_loss = op(
    _mse_loss,
    name="mse_loss",
    label="mse loss",
    input=_mse_input,
    target=lambda g, input, target, reduction: -_mse_input(g, input, target, reduction),
    formula="mean((input − target)²)",
    gradients="input: g · 2 (input − target)/N; target: −g · 2 (input − target)/N",
    doc=f"""The squared error (input - target)².

    The gradient by the input is 2 (input - target), divided by the number of elements for the mean.

    Args:
        {_PAIR}
        {_REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.mse_loss(tn.tensor([1.0, 2.0]), np.array([1.0, 4.0]))
    Tensor(2.)
    """,
    samples=_pair_samples(),
)


def _l1_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    _matched(input, target, reduction)
    return _reduced(np.abs(_difference(input, target)), reduction)


def _l1_input(g: Any, input: Any, target: Any, reduction: str) -> Any:
    return g * _share(input, reduction) * np.sign(_difference(input, target))


l1_loss = op(
    _l1_loss,
    name="l1_loss",
    label="l1 loss",
    input=_l1_input,
    target=lambda g, input, target, reduction: -_l1_input(g, input, target, reduction),
    formula="mean(abs(input − target))",
    gradients="input: g · sign(input − target)/N; target: −g · sign(input − target)/N",
    doc=f"""The absolute error |input - target|.

    The gradient by the input is the sign of input - target (0 where they are equal), divided by the number of elements
    for the mean.

    Args:
        {_PAIR}
        {_REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.l1_loss(tn.tensor([1.0, 2.0]), np.array([1.0, 4.0]))
    Tensor(1.)
    """,
    samples=_pair_samples(),
)


def _positive(value: float, name: str) -> None:
    if not value > 0:
        raise ValueError(f"{name}={value} must be positive")


def _limited(d: Any, delta: float) -> Any:
    return np.minimum(np.maximum(d, -delta), delta)


def _huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Any:
    _matched(input, target, reduction)
    _positive(delta, "delta")
    d = _difference(input, target)
    c = _limited(d, delta)  # c (d - c / 2) is d²/2 inside, delta (|d| - delta / 2) outside
    d -= c * 0.5
    return _inner(c, d, reduction)


def _huber_input(g: Any, input: Any, target: Any, reduction: str, delta: float) -> Any:
    return g * _share(input, reduction) * _limited(_difference(input, target), delta)


huber_loss = op(
    _huber_loss,
    name="huber_loss",
    label="huber loss",
    input=_huber_input,
    target=lambda g, input, target, reduction, delta: -_huber_input(g, input, target, reduction, delta),
    formula="mean(d²/2 if abs(d) ≤ δ, else δ (abs(d) − δ/2)), d = input − target",
    gradients="input: g · d/N, d limited to [−δ, δ]; target: −g · d/N, d limited to [−δ, δ]",
    doc=f"""With d = input - target: d²/2 where |d| <= delta, else delta (|d| - delta/2). Huber (1964).

    The gradient by the input is d limited to [-delta, delta], divided by the number of elements for the mean.

    Args:
        {_PAIR}
        delta: where the square passes into a line.
        {_REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.huber_loss(tn.tensor([1.0, 2.0]), np.array([1.0, 4.0]))
    Tensor(0.75)
    """,
    samples=lambda r: [*_pair_samples()(r), sample(r.normal(size=5), r.normal(size=5), "sum", 0.4)],
)


def _smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Any:
    if beta == 0:
        return _l1_loss(input, target, reduction)
    _positive(beta, "beta")
    return _huber_loss(input, target, reduction, beta) / beta


def _smooth_l1_input(g: Any, input: Any, target: Any, reduction: str, beta: float) -> Any:
    if beta == 0:
        return _l1_input(g, input, target, reduction)
    return _huber_input(g * (1 / beta), input, target, reduction, beta)


smooth_l1_loss = op(
    _smooth_l1_loss,
    name="smooth_l1_loss",
    label="smooth l1 loss",
    input=_smooth_l1_input,
    target=lambda g, input, target, reduction, beta: -_smooth_l1_input(g, input, target, reduction, beta),
    formula="mean(d²/(2β) if abs(d) ≤ β, else abs(d) − β/2), d = input − target",
    gradients="input: g · d/(β N), d limited to [−β, β]; target: −g · d/(β N), d limited to [−β, β]",
    doc=f"""With d = input - target: d² / (2 beta) where |d| <= beta, else |d| - beta/2; huber_loss divided by beta.

    Args:
        {_PAIR}
        beta: where the square passes into a line; 0 makes it l1_loss.
        {_REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.smooth_l1_loss(tn.tensor([1.0, 2.0]), np.array([1.0, 4.0]))
    Tensor(0.75)
    """,
    samples=lambda r: [
        *_pair_samples()(r),
        sample(r.normal(size=5), r.normal(size=5), "sum", 0.4),
        sample(r.normal(size=5), r.normal(size=5), beta=0),
    ],
)

# -- classes -----------------------------------------------------------------------------------------------------
# The target is one class per position, or a probability for each class. Positions are those of the input without its
# axis of classes, which is the second (or the only one).


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
    return np.reshape(_cast(vector, dtype), tuple(-1 if i == _class_axis(ndim) else 1 for i in range(ndim)))


def _cast(value: Any, dtype: Any) -> Any:
    return value if value.dtype == dtype else value.astype(dtype)


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
    counts.fill(_share(target, reduction))
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
    counts = unit if weight is None else unit * getitem(_cast(weight, dtype), classes)
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
    _known(reduction)
    _arrays(target, weight)
    _indices_fit(input, target, weight)
    if _usual(target, weight, ignore_index):
        picked = _pick(input, target, ignore_index)
        return -_reduced(picked, reduction), target, _each(target, reduction, input.dtype)
    _check_classes(target, input.shape[_class_axis(input.ndim)], ignore_index)
    return _nll_of_classes(input, target, weight, ignore_index, reduction)


def _nll_of_classes(input: Any, target: Any, weight: Any, ignore_index: int, reduction: str) -> Any:
    classes, counts, _ = _counts(target, weight, ignore_index, reduction, input.dtype)
    return _counted(-_pick(input, classes, ignore_index), counts, reduction), classes, counts


def _nll_lowered(input: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
    _known(reduction)
    _indices_fit(input, target, weight)
    loss, classes, counts = _nll_of_classes(
        input, _existing(input, target, ignore_index), weight, ignore_index, reduction
    )
    return loss, _cast(classes, target.dtype), counts


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
    q = _cast(target, dtype)
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
        shifted, e, total = shifted_exp(input, axis)
        nll = np.log(total).reshape(target.shape) - _pick(shifted, target, ignore_index)
        return _reduced(nll, reduction), e, total, target, _each(target, reduction, e.dtype)
    _check_classes(target, input.shape[axis], ignore_index)
    return _cross_entropy_of(input, target, weight, ignore_index, reduction, label_smoothing)


def _cross_entropy_fits(input: Any, target: Any, weight: Any, reduction: str, label_smoothing: float) -> None:
    _known(reduction)
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
    shifted, e, total = shifted_exp(input, axis)
    soft = target.dtype.kind == "f"
    if soft:
        q = _soft(target, weight, reduction, label_smoothing, e.dtype)
    else:
        classes, counts, unit = _counts(target, weight, ignore_index, reduction, e.dtype)
        if label_smoothing == 0:
            nll = np.log(total).reshape(target.shape) - _pick(shifted, classes, ignore_index)
            return _counted(nll, counts, reduction), e, total, classes, counts
        q = _smoothed(classes, counts, unit, weight, label_smoothing, input.shape)
    shifted -= np.log(total)
    loss = -np.add.reduce(q * shifted, axis)
    if reduction != "none":
        loss = np.add.reduce(loss, axis=None)
        if not soft:
            loss = _or_nan(loss, counts, reduction)
        elif reduction == "mean" and not input.size:
            loss = loss * math.nan
    return loss, e, total, q, np.add.reduce(q, axis)


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
    loss, e, total, q, counts = _cross_entropy_of(input, checked, weight, ignore_index, reduction, label_smoothing)
    return loss, e, total, q if label_smoothing else _cast(q, target.dtype), counts


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

# -- probabilities -----------------------------------------------------------------------------------------------


def _weighted(loss: Any, weight: Any, input: Any) -> Any:
    """The elements of a loss times weights that broadcast against the input. Plain NumPy."""
    return loss if weight is None else loss * _cast(weight, input.dtype)


def _broadcasts(name: str, weight: Any, input: Any) -> None:
    if weight is not None and np.broadcast_shapes(weight.shape, input.shape) != input.shape:
        raise ValueError(f"{name} of shape {weight.shape} does not broadcast to the input's {input.shape}")


def _binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Any:
    _matched(input, target, reduction)
    _broadcasts("weight", weight, input)
    _broadcasts("pos_weight", pos_weight, input)
    target = _cast(target, input.dtype)
    loss = np.log1p(np.exp(-np.abs(input)))
    if pos_weight is None:
        loss += np.maximum(input, 0)
        loss -= input * target
    else:
        loss += np.maximum(-input, 0)
        loss *= (_cast(pos_weight, input.dtype) - 1) * target + 1
        loss += (1 - target) * input
    return _reduced(_weighted(loss, weight, input), reduction)


def _logits_input(g: Any, input: Any, target: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    target = _cast(target, input.dtype)
    if pos_weight is None:
        slope = sigmoid(input) - target
    else:
        slope = 1 - target - ((_cast(pos_weight, input.dtype) - 1) * target + 1) * sigmoid(-input)
    return _weighted(slope, weight, input) * (g * _share(input, reduction))


def _logits_target(g: Any, input: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
    slope = -input
    if pos_weight is not None:
        slope = slope + (_cast(pos_weight, input.dtype) - 1) * softplus(-input)
    return _weighted(slope, weight, input) * (g * _share(input, reduction))


_WEIGHT = """weight: factors that broadcast against the input, or None. Has no gradient; the mean is over all
            elements whatever their weights."""

binary_cross_entropy_with_logits = op(
    _binary_cross_entropy_with_logits,
    name="binary_cross_entropy_with_logits",
    label="binary cross-entropy of logits",
    nondiff=("weight", "pos_weight"),
    input=_logits_input,
    target=_logits_target,
    formula="−mean(target · ln p + (1 − target) · ln(1 − p)), p = σ(input)",
    gradients="input: g · (σ(input) − target)/N; target: −g · input/N",
    doc=f"""With p = sigmoid(input): -(target · ln p + (1 - target) · ln(1 - p)), without overflow.

    The gradient by the input is p - target.

    Args:
        input: scores (logits).
        target: probabilities, of the same shape.
        {_WEIGHT}
        pos_weight: factors of the first term, that broadcast against the input, or None. Has no gradient.
        {_REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.binary_cross_entropy_with_logits(tn.tensor([0.0, 1000.0]), np.array([1.0, 1.0]))
    Tensor(0.34657359)
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3))),
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3)), np.array([[2], [3]]), np.array([2, 1, 3]), "sum"),
        sample(r.normal(size=3), r.uniform(size=3), np.array([2, 1, 3]), reduction="none"),
    ],
)


def _logarithms(p: Any) -> tuple[Any, Any]:
    """ln p and ln(1 - p), at least -100. Plain NumPy."""
    return np.maximum(np.log(p), -100), np.maximum(np.log1p(-p), -100)


def _binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    _matched(input, target, reduction)
    _broadcasts("weight", weight, input)
    if np.min(input, initial=0) < 0 or np.max(input, initial=0) > 1:
        raise ValueError(
            f"input runs from {np.min(input):.3g} to {np.max(input):.3g}, but probabilities lie in [0, 1]: apply "
            "sigmoid first, or better use binary_cross_entropy_with_logits"
        )
    return _bce_of(input, target, weight, reduction)


def _bce_of(input: Any, target: Any, weight: Any, reduction: str) -> Any:
    """The same without looking at the input."""
    target = _cast(target, input.dtype)
    with np.errstate(divide="ignore"):  # ln 0
        yes, no = _logarithms(input)
    return _reduced(_weighted((target - 1) * no - target * yes, weight, input), reduction)


def _bce_lowered(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Any:
    _matched(input, target, reduction)
    _broadcasts("weight", weight, input)
    return _bce_of(input, target, weight, reduction)


def _bce_input(g: Any, input: Any, target: Any, weight: Any, reduction: str) -> Any:
    slope = (input - _cast(target, input.dtype)) / np.maximum((1 - input) * input, 1e-12)
    return _weighted(slope, weight, input) * (g * _share(input, reduction))


def _bce_target(g: Any, input: Any, weight: Any, reduction: str) -> Any:
    yes, no = _logarithms(input)
    return _weighted(no - yes, weight, input) * (g * _share(input, reduction))


binary_cross_entropy = op(
    _binary_cross_entropy,
    name="binary_cross_entropy",
    label="binary cross-entropy",
    lower=_bce_lowered,
    nondiff=("weight",),
    input=_bce_input,
    target=_bce_target,
    formula="−mean(target · ln p + (1 − target) · ln(1 − p)), p = input",
    gradients="input: g · (p − target)/(N p (1 − p)), p = input; target: g · (ln(1 − input) − ln input)/N",
    doc=f"""-(target · ln input + (1 - target) · ln(1 - input)), the logarithms taken as at least -100.

    The gradient by the input is (input - target) / (input (1 - input)), the divisor taken as at least 1e-12. From
    scores rather than probabilities `binary_cross_entropy_with_logits` is more accurate.

    Args:
        input: probabilities.
        target: probabilities, of the same shape.
        {_WEIGHT}
        {_REDUCTION}

    >>> import numpy as np, tapenet as tn
    >>> tn.binary_cross_entropy(tn.tensor([0.5, 1.0]), np.array([1.0, 1.0]))
    Tensor(0.34657359)
    """,
    samples=lambda r: [
        *_pair_samples(positive=True)(r),
        sample(r.uniform(0.1, 0.9, (2, 3)), r.uniform(size=(2, 3)), np.array([2, 1, 3])),
    ],
)


def _kl_share(input: Any, reduction: str) -> float:
    if reduction == "batchmean":
        return 1 / ((input.shape[0] if input.ndim else 1) or 1)
    return _share(input, reduction)


def _kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Any:
    batch = reduction == "batchmean"
    _matched(input, target, "sum" if batch else reduction)
    target = _cast(target, input.dtype)
    if log_target:
        loss = np.exp(target) * (target - input)
    else:
        loss = target * (np.log(np.where(target == 0, 1, target)) - input)
    if batch:
        return _mean(np.add.reduce(loss, axis=None), input.shape[0] if input.ndim else 1)
    return _reduced(loss, reduction)


def _kl_input(g: Any, input: Any, target: Any, reduction: str, log_target: bool) -> Any:
    target = _cast(target, input.dtype)
    return (np.exp(target) if log_target else target) * (g * -_kl_share(input, reduction))


def _kl_target(g: Any, input: Any, target: Any, reduction: str, log_target: bool) -> Any:
    target = _cast(target, input.dtype)
    if log_target:
        slope = np.exp(target) * (target - input + 1)
    else:
        slope = np.log(np.where(target == 0, 1, target)) - input + 1
    return slope * (g * _kl_share(input, reduction))


kl_div = op(
    _kl_div,
    name="kl_div",
    label="kl divergence",
    input=_kl_input,
    target=_kl_target,
    formula="mean(target · (ln target − input))",
    gradients="input: −g · target/N; target: g · (ln target − input + 1)/N",
    doc="""The Kullback-Leibler divergence of the target from the prediction, target · (ln target - input).

    Args:
        input: log-probabilities.
        target: probabilities of the same shape, or with `log_target` their logarithms.
        reduction: "batchmean" (the sum divided by the length of the first axis, which is the divergence itself), "mean"
            over all elements, "sum", or "none" for the terms.
        log_target: the target holds logarithms.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    Where a target is 0 its term is 0, and the gradient by it is taken as 1 - input.

    >>> import numpy as np, tapenet as tn
    >>> tn.kl_div(tn.log_softmax(tn.tensor([[0.0, 0.0]])), np.array([[1.0, 0.0]]), "batchmean")
    Tensor(0.69314718)
    """,
    samples=lambda r: [
        *_pair_samples(positive=True)(r),
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), "batchmean", True),
        sample(r.normal(size=(2, 3)), r.uniform(0.1, 0.9, size=(2, 3)), reduction="batchmean"),
    ],
)
