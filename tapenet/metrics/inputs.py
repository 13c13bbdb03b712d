"""Outputs and targets as classes, scores or numbers, with checks.

Every function takes the name of the metric first, for errors.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tapenet.typing import Array

Floats = NDArray[np.float64]

#: What metrics that keep a number for each class take.
_MOST_CLASSES = 1 << 24


def array(x: object) -> Array:
    """An array as it is, the numbers of a tensor, or an array of a list.

    >>> array([1, 2])
    array([1, 2])
    """
    parts = x.values() if isinstance(x, dict) else x if isinstance(x, tuple) else ()
    if any(getattr(part, "shape", None) for part in parts):
        raise TypeError(
            f"the output or target is a {type(x).__name__} of {len(parts)} arrays, and a metric takes one: measure by a "
            "function of both, such as def accuracy(output, target): return (output[0].argmax(1) == target[0]).mean()"
        )
    found: Array = x if type(x) is np.ndarray else np.asarray(x.numpy() if hasattr(x, "numpy") else x)
    # bfloat16 is none of NumPy's own types.
    return found if found.dtype.kind != "V" else found.astype(np.float32)


class Classes(NamedTuple):
    """Classes predicted and true, integers of one shape, and how much each counts (None: 1 each); and of how many classes
    they are, None where the output does not tell."""

    predicted: Array
    true: Array
    weight: Floats | None
    among: int | None


def classes(
    name: str,
    output: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    axis: int = 1,
    threshold: float | None = None,
    ignore: int | None = None,
) -> Classes:
    """The classes that an output predicts and those of a target, flat and without those to ignore where there are such.

    See `Accuracy` for what is what.

    >>> classes("accuracy", [[0.1, 0.9], [0.8, 0.2]], [1, 0])
    Classes(predicted=array([1, 0]), true=array([1, 0]), weight=None, among=2)
    >>> classes("accuracy", [[0.1, 0.9]], [2])
    Traceback (most recent call last):
    ValueError: accuracy: target holds 2 at (0,), but the output of shape (1, 2) has classes 0 to 1 along axis 1
    """
    output, target = array(output), array(target)
    if threshold is not None:
        output, target = same_shape(name, output, target)
        not_nan(name, output)
        predicted, true, count = output > threshold, indices(name, target), 2
    elif output.ndim == target.ndim + 1:
        along = class_axis(name, output, target, axis)
        not_nan(name, output)
        predicted, true, count = output.argmax(along), indices(name, target), output.shape[along]
        if count == 1:
            raise ValueError(_binary(name, output))
    elif output.shape != target.shape:
        raise ValueError(_shapes(name, output, target, axis))
    elif output.dtype.kind in "iub":
        predicted, true, count = indices(name, output), indices(name, target), None
    elif output.ndim < 2 or output.shape[along := class_axis(name, output, target, axis)] == 1:
        raise ValueError(_binary(name, output))
    else:
        not_nan(name, output)
        predicted, true, count = output.argmax(along), one_hot(name, target, along), output.shape[along]
    predicted, true, weight = _without(ignore, predicted, true, weights(name, weight, true.shape))
    in_range(name, true, count, output.shape, None if threshold is not None else axis)
    return Classes(predicted, true, weight, count)


class Counted(NamedTuple):
    """As `Classes`, flat, of 64 bits, and with the number of classes known."""

    predicted: NDArray[np.int64]
    true: NDArray[np.int64]
    weight: Floats | None
    among: int


def counted(name: str, found: Classes) -> Counted:
    """Classes to be counted; how many there are is where the output does not tell one more than the largest.

    >>> counted("f1", classes("f1", [0, 3], [0, 1])).among
    4
    """
    predicted, true = (part.reshape(-1).astype(np.int64, copy=False) for part in found[:2])
    among = found.among
    if among is None:
        in_range(name, predicted, None, predicted.shape, None, "output")
        among = 1 + int(max(predicted.max(initial=-1), true.max(initial=-1)))
    return Counted(predicted, true, None if found.weight is None else found.weight.reshape(-1), among)


class Scores(NamedTuple):
    """Scores of shape (n, classes), the true class of each row, and how much it counts (None: 1)."""

    scores: Array
    true: Array
    weight: Floats | None


def scores(
    name: str,
    output: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    axis: int = 1,
    ignore: int | None = None,
) -> Scores:
    """Scores (N, C, ...) and classes (N, ...) as rows of scores and a class for each, without those to ignore.

    >>> scores("top2", np.zeros((2, 3, 5)), np.zeros((2, 5), int)).scores.shape
    (10, 3)
    """
    output, target = array(output), array(target)
    if output.ndim == target.ndim and output.ndim > 1 and output.dtype.kind == "f":
        target = one_hot(name, target, class_axis(name, output, target, axis))
    if output.ndim != target.ndim + 1:
        raise ValueError(_shapes(name, output, target, axis))
    along = class_axis(name, output, target, axis)
    count = output.shape[along]
    not_nan(name, output)
    rows = np.moveaxis(output, along, -1).reshape(-1, count)
    found = _rows(name, rows, target, weight, ignore)
    in_range(name, found.true, count, output.shape, axis)
    return found


def scores_or_one(
    name: str,
    output: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    axis: int = 1,
    ignore: int | None = None,
) -> Scores:
    """As `scores`, or where outputs have one number for each target, these as scores of shape (n,) of class 1 against 0.

    >>> scores_or_one("auc", [[0.5], [0.7]], [0, 1]).scores
    array([0.5, 0.7])
    """
    output, target = array(output), array(target)
    shapes = (output.shape, (*output.shape, 1)), (target.shape, (*target.shape, 1))
    if not set(shapes[0]) & set(shapes[1]) or (
        output.shape == target.shape and output.ndim > 1 and output.shape[axis] > 1
    ):
        return scores(name, output, target, weight, axis=axis, ignore=ignore)
    output, target = same_shape(name, output, target)
    not_nan(name, output)
    found = _rows(name, output.reshape(-1), target, weight, ignore)
    in_range(name, found.true, 2, output.shape, None)
    return found


def _rows(name: str, scores: Array, target: Array, weight: ArrayLike | None, ignore: int | None) -> Scores:
    """Scores with a row for each target, without the targets to ignore."""
    each = weights(name, weight, target.shape)
    true = indices(name, target).reshape(-1)
    return Scores(*_without(ignore, scores, true, None if each is None else each.reshape(-1)))


def _without(
    ignore: int | None, output: Array, true: Array, weight: Floats | None
) -> tuple[Array, Array, Floats | None]:
    """Leave out the targets to ignore."""
    if ignore is None:
        return output, true, weight
    kept = true != ignore
    return output[kept], true[kept], None if weight is None else weight[kept]


def class_axis(name: str, output: Array, target: Array, axis: int) -> int:
    """The axis of the classes, counted from the front; the target must have the others, or all."""
    ndim = output.ndim
    if not -ndim <= axis < ndim:
        raise ValueError(f"{name}: an output of shape {output.shape} has no axis {axis} of classes")
    axis %= ndim
    if target.ndim < ndim and output.shape[:axis] + output.shape[axis + 1 :] != target.shape:
        raise ValueError(_shapes(name, output, target, axis))
    return axis


def indices(name: str, target: Array) -> Array:
    """A target of classes as integers; floats that are whole numbers are taken too."""
    kind = target.dtype.kind
    if kind in "iu":
        return target
    if kind == "b":
        return target.view(np.uint8)
    if kind != "f":
        raise ValueError(f"{name}: target has dtype {target.dtype}; give the numbers of classes, from 0")
    whole = target.astype(np.int64) if np.isfinite(target).all() else None
    if whole is None or (whole != target).any():
        where = _first(~np.isfinite(target) if whole is None else whole != target)
        raise ValueError(f"{name}: target holds {target[where]:g} at {where}; give the numbers of classes, from 0")
    return whole


def one_hot(name: str, target: Array, axis: int) -> Array:
    """The class of each sample of a target with a share for each class; the shares must sum to 1."""
    numbers = target.astype(np.float64)
    sums = numbers.sum(axis)
    wrong = (np.abs(sums - 1) > 1e-3) | (numbers.min(axis) < 0) | np.isnan(sums)
    if wrong.any():
        where = _first(wrong)
        raise ValueError(
            f"{name}: a target of the output's shape {target.shape} holds a share for each class along axis {axis}, but "
            f"those of sample {where} sum to {sums[where]:g}; for several labels that are on or off give threshold="
        )
    classes: Array = numbers.argmax(axis)
    return classes


def in_range(
    name: str, true: Array, count: int | None, shape: tuple[int, ...], axis: int | None, what: str = "target"
) -> None:
    """Refuse classes out of range: an output of this shape has `count` along `axis`; with axis None it is binary."""
    if not true.size:
        return
    # Negative numbers are large ones when read without a sign: one pass instead of two.
    unsigned = true.view(f"u{true.itemsize}") if true.dtype.kind == "i" else true
    if unsigned.item(unsigned.argmax()) < (_MOST_CLASSES if count is None else count):
        return
    where = _first((true < 0) | (true >= (_MOST_CLASSES if count is None else count)))
    has = f"{what} holds {true[where]} at {where}"
    if count is None:
        raise ValueError(f"{name}: {has}; classes are numbered from 0, and there are at most {_MOST_CLASSES:,}")
    if axis is None:
        raise ValueError(f"{name}: {has}; with threshold= it is 0 or 1 everywhere")
    raise ValueError(f"{name}: {has}, but the output of shape {shape} has classes 0 to {count - 1} along axis {axis}")


def not_negative(name: str, true: Array) -> None:
    """Refuse negative classes, such as those that a loss leaves out.

    >>> not_negative("accuracy", np.array([1, -100]))
    Traceback (most recent call last):
    ValueError: accuracy: target holds -100 at (1,); classes are numbered from 0. ... write Accuracy(ignore_index=-100)
    """
    if true.size and true.item(true.argmin()) < 0:
        where = _first(true < 0)
        raise ValueError(
            f"{name}: target holds {true[where]} at {where}; classes are numbered from 0. Where the loss leaves such targets "
            f"out, write Accuracy(ignore_index={true[where]})"
        )


def not_nan(name: str, output: Array) -> None:
    """Refuse nan; infinities have an order, and pass."""
    if output.dtype.kind not in "f":
        if output.dtype.kind in "iub":
            return
        raise ValueError(f"{name}: output has dtype {output.dtype}; give real numbers")
    if not output.size:
        return
    # The first nan is the largest; this is quicker than a maximum.
    largest = output.item(output.argmax())
    if largest != largest:
        where = np.isnan(output)
        raise ValueError(
            f"{name}: output is nan at {_first(where)}, one of {np.count_nonzero(where):,} such values of {output.size:,}; "
            "`with tn.debug():` around the model says where the first came from"
        )


def same_shape(name: str, output: Array, target: Array) -> tuple[Array, Array]:
    """Both in the target's shape. One value for each sample may have an axis of length 1 at the end or not."""
    if output.shape == target.shape:
        return output, target
    if (*output.shape, 1) == target.shape or output.shape == (*target.shape, 1):
        return output.reshape(target.shape), target
    raise ValueError(f"{name}: output has shape {output.shape}, target {target.shape}; they must agree")


def weights(name: str, weight: ArrayLike | None, shape: tuple[int, ...]) -> Floats | None:
    """Weights for a target of this shape, in float64; None stays None."""
    if weight is None:
        return None
    numbers = array(weight).astype(np.float64)
    if not (numbers.min(initial=0.0) >= 0 and np.isfinite(numbers).all()):
        raise ValueError(f"{name}: weights must be finite and at least 0, got {numbers.min()} to {numbers.max()}")
    if numbers.shape == shape:
        return numbers
    if numbers.shape != shape[:1]:
        raise ValueError(
            f"{name}: weight has shape {numbers.shape}; for a target of shape {shape} give {shape[:1]}, one for each "
            "sample, or the target's shape"
        )
    return np.broadcast_to(numbers.reshape(-1, *(1,) * (len(shape) - 1)), shape)


def numbers(name: str, output: ArrayLike, target: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float64 of one shape, free of nan."""
    output, target = same_shape(name, array(output), array(target))
    for what, values in (("output", output), ("target", target)):
        if values.dtype.kind not in "fiub":
            raise ValueError(f"{name}: {what} has dtype {values.dtype}; give real numbers")
        if np.isnan(values).any():
            raise ValueError(f"{name}: {what} is nan at {_first(np.isnan(values))}")
    return output.astype(np.float64), target.astype(np.float64)


def log_softmax(scores: Array) -> Floats:
    """The logarithms of the probabilities that scores (n, classes) stand for, in float64.

    >>> log_softmax(np.array([[0.0, 0.0]])).round(4)
    array([[-0.6931, -0.6931]])
    """
    shifted = scores.astype(np.float64)
    shifted -= shifted.max(1, keepdims=True, initial=-np.inf)
    shifted -= np.log(np.exp(shifted).sum(1, keepdims=True))
    return shifted


def probabilities(name: str, scores: Array, *, from_logits: bool) -> Floats:
    """The probabilities of classes, of scores (n, classes), or of class 1 against 0, of scores (n,); in float64.

    >>> probabilities("auc", np.array([0.0]), from_logits=True)
    array([0.5])
    >>> probabilities("auc", np.array([[0.5, 0.75]]), from_logits=False)
    Traceback (most recent call last):
    ValueError: auc: those of sample 0 sum to 1.25, so the output is no probabilities; for logits say from_logits=True
    """
    if from_logits:
        if scores.ndim == 1:
            return 0.5 + 0.5 * np.tanh(scores.astype(np.float64) / 2)
        not_probabilities(name, scores)
        return np.exp(log_softmax(scores))
    numbers = scores.astype(np.float64)
    advice = "so the output is no probabilities; for logits say from_logits=True"
    wrong = (numbers < 0) | (numbers > 1)
    if wrong.any():
        where = _first(wrong)
        raise ValueError(f"{name}: {numbers[where]:g} is at {where}, {advice}")
    if numbers.ndim == 2:
        sums = numbers.sum(1)
        wrong = np.abs(sums - 1) > 1e-2  # half precision rounds the sum
        if wrong.any():
            where = _first(wrong)
            raise ValueError(f"{name}: those of sample {where[0]} sum to {sums[where]:g}, {advice}")
    return numbers


def not_probabilities(name: str, scores: Array) -> None:
    """Refuse probabilities where logits are expected: of the softmax of those nothing would come but a wrong number."""
    inside = scores.size and scores.min() >= 0 and scores.max() <= 1
    if inside and np.allclose(scores.sum(1, dtype=np.float64), 1, rtol=0, atol=1e-5):
        raise ValueError(f"{name}: the output is probabilities: each sample's sum to 1; say from_logits=False")


def _first(where: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(where)[0])


def _binary(name: str, output: Array) -> str:
    return (
        f"{name}: the output has shape {output.shape}, one number for each target: say from where on that means class 1, "
        "with threshold=0 for logits, threshold=0.5 for probabilities"
    )


def _shapes(name: str, output: Array, target: Array, axis: int) -> str:
    message = f"{name}: output has shape {output.shape}, target {target.shape}; "
    if output.ndim == target.ndim + 1 and output.shape[:-1] == target.shape:
        return f"{message}classes are along axis {axis} here, as cross_entropy has them: for the last say axis=-1"
    return (
        f"{message}for classes give scores of shape (samples, classes, ...) and numbers of classes of shape (samples, ...), "
        "or both of one shape"
    )
