"""The cross entropy of scores for classes and a target: a class, or a probability for each class.

Of a position with shares q of its classes (1 at its class, or what label smoothing, weights and probabilities make of it)
the loss is Σ q · (ln Σ exp(x - m) - (x - m)), with m its largest score. Between the loss and its gradient nothing is kept
but the scores themselves, and a few numbers for each position.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.indexing.items import getitem, scatter_add
from tapenet.ops.layers.activations.softmax import LIMITS, log_softmax, total
from tapenet.ops.layers.losses import kernel_dispatch
from tapenet.ops.layers.losses.classes import (
    along_classes,
    arrays,
    at_classes,
    check_classes,
    class_axis,
    class_samples,
    counted,
    counts_of,
    indices_fit,
    or_nan,
    spread_out,
    weights_fit,
)
from tapenet.ops.layers.losses.reduction import cast_to, check_reduction, mean_of, reduce_loss
from tapenet.ops.op import op
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import sample
from tapenet.typing import Array, Shape


def _check(
    input: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, label_smoothing: float
) -> None:
    arrays(target, weight)
    check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"label_smoothing={label_smoothing}: give a number from 0 to 1")
    if target.dtype.kind == "f":
        _probabilities_fit(input, target, weight)
    else:
        indices_fit(input, target, weight)


def _probabilities_fit(input: Array, target: Array, weight: Array | None) -> None:
    if input.shape != target.shape:
        text = f"target has shape {target.shape}; as probabilities of the classes (it holds {target.dtype}) it must "
        text += f"have the shape of the input, {input.shape}"
        if target.ndim < input.ndim:
            text += ". Class indices are integers: target.astype(np.int64)"
        raise ValueError(text)
    if not input.ndim:
        raise ValueError("input is a single number; its shape must be (N, C), (N, C, d1, ...) or (C,), with C classes")
    weights_fit(input.shape, weight)


def _floats(input: Array) -> Array:
    return input if input.dtype.char in LIMITS else input.astype(np.float64)


# -- shares ------------------------------------------------------------------------------------------------------


def _numbers(shape: Shape, reduction: str, label_smoothing: float, soft: bool) -> tuple[float, float]:
    """Of the shares weight · (slope · target + shift): slope and shift. Those of classes leave out the class itself."""
    count = shape[class_axis(len(shape))] or 1
    if not soft:
        return 0.0, label_smoothing / count
    share = count / (math.prod(shape) or 1) if reduction == "mean" else 1.0
    return (1 - label_smoothing) * share, label_smoothing / count * share


def _shares(
    target: Array | None, weight: Array | None, slope: float, shift: float, ndim: int, dtype: np.dtype[Any]
) -> Array:
    """The shares, shaped to broadcast against the input. Plain NumPy."""
    if target is None:
        return np.full((1,) * ndim, shift, dtype) if weight is None else along_classes(weight, ndim, dtype) * shift
    q = cast_to(target, dtype) * slope
    if shift:
        q = q + shift
    return q if weight is None else q * along_classes(weight, ndim, dtype)


def _measured(input: Array, target: Array | None, weight: Array | None, slope: float, shift: float) -> Any:
    """With the axis of classes kept: the centre, the total, Σ q · (x - centre) over the shares q, and Σ q; the last two are
    None where there are no shares."""
    weight = weight if weight is None or not (slope or shift) else cast_to(weight, input.dtype)
    scores = kernel_dispatch.scores(input, target, weight)
    if scores is not None:
        return scores.measured(slope, shift, target, weight)
    axis = class_axis(input.ndim)
    centre = np.maximum.reduce(input, axis, keepdims=True, initial=LIMITS[input.dtype.char][0])
    logs = input - centre
    along: Array | None = None
    whole: Array | None = None
    if slope or shift:
        q = _shares(target, weight, slope, shift, input.ndim, input.dtype)
        along = np.add.reduce(logs * q, axis, keepdims=True)
        whole = np.add.reduce(np.broadcast_to(q, input.shape), axis, keepdims=True)
    return centre, total(np.exp(logs), axis), along, whole


# -- the loss ----------------------------------------------------------------------------------------------------


def _of_classes(
    input: Array,
    classes: Array,
    counts: Array,
    unit: Array,
    weight: Array | None,
    ignore_index: int,
    reduction: str,
    label_smoothing: float,
    plain: bool = False,
) -> Any:
    """`plain`: all positions count the same."""
    slope, shift = _numbers(input.shape, reduction, label_smoothing, False)
    try:
        picked = input[at_classes(classes, input.ndim)]
    except IndexError:
        check_classes(classes, input.shape[class_axis(input.ndim)], ignore_index)
        raise
    centre, sums, along, whole = _measured(input, None, weight, slope, shift)
    logs = np.reshape(np.log(sums), classes.shape)
    nll = logs - (picked - np.reshape(centre, classes.shape))
    if plain and not label_smoothing:
        return reduce_loss(nll, reduction), centre, sums, classes, counts, unit, counts
    counts, all_counts = counts * (1 - label_smoothing), counts
    loss = counted(nll, counts)
    shares = counts
    if along is not None:
        whole = np.reshape(whole, classes.shape)
        loss = loss + counted(whole * logs - np.reshape(along, classes.shape), unit)
        shares = counts + unit * whole
    if reduction != "none":
        loss = or_nan(np.add.reduce(loss, axis=None), all_counts, reduction)
    return loss, centre, sums, classes, counts, unit, shares


def _of_probabilities(input: Array, target: Array, weight: Array | None, reduction: str, label_smoothing: float) -> Any:
    slope, shift = _numbers(input.shape, reduction, label_smoothing, True)
    centre, sums, along, whole = _measured(input, target, weight, slope, shift)
    shape = input.shape[:1] + input.shape[2:] if input.ndim > 1 else ()
    shares = np.reshape(whole, shape)
    loss = np.reshape(whole * np.log(sums) - along, shape)
    if reduction != "none":
        loss = np.add.reduce(loss, axis=None)
        if reduction == "mean" and not input.size:
            loss = mean_of(loss, 0)
    return loss, centre, sums, shares, shares, shares, shares


# -- the gradients -----------------------------------------------------------------------------------------------


def _input(
    g: Array, input: Array, target: Array, weight: Array | None, reduction: str, label_smoothing: float,
    centre: Array, total: Array, classes: Array, counts: Array, unit: Array, shares: Array,
) -> Any:  # fmt: skip
    """exp(x - centre) / total, times all shares, less the shares."""
    soft = target.dtype.kind == "f"
    dense = target if soft else None
    ndim, dtype = len(input.shape), input.dtype
    slope, shift = _numbers(input.shape, reduction, label_smoothing, soft)
    factor = spread_out(g * shares, ndim) / total
    each = g if soft else g * unit
    part: Array | None = None if soft else g * counts
    if type(factor) is np.ndarray and slope + shift and weight is not None:
        weight = cast_to(weight, dtype)
    scores = kernel_dispatch.scores(input, dense, weight) if type(factor) is np.ndarray else None
    if scores is not None:
        where = None if soft else classes
        return scores.gradient(centre, factor, each, where, part, slope, shift, dense, weight)
    found = np.exp(input - centre) * factor
    if slope or shift:
        found = found - _shares(dense, weight, slope, shift, ndim, dtype) * spread_out(each, ndim)
    if soft:
        return found
    if type(found) is np.ndarray:  # this rule's own array
        found[at_classes(classes, ndim)] -= part
        return found
    return found - scatter_add(np.broadcast_to(part, classes.shape), at_classes(classes, ndim), input.shape)  # type: ignore[arg-type]


def _target(g: Array, input: Array, weight: Array | None, reduction: str, label_smoothing: float) -> Array:
    axis = class_axis(input.ndim)
    share = input.shape[axis] / (input.size or 1) if reduction == "mean" else 1.0
    found = log_softmax(input, axis) * (spread_out(g, input.ndim) * (-share * (1 - label_smoothing)))
    return found if weight is None else found * along_classes(weight, input.ndim, input.dtype)  # type: ignore[no-any-return]


def _reference(
    input: Array, target: Array, weight: Array | None, ignore_index: int, reduction: str, label_smoothing: float
) -> Array:
    ndim = len(input.shape)
    axis = class_axis(ndim)
    logs = log_softmax(input, axis)
    soft = target.dtype.kind == "f"
    slope, shift = _numbers(input.shape, reduction, label_smoothing, soft)
    loss: Any = 0.0
    if slope or shift:
        loss = _sum(_shares(target if soft else None, weight, slope, shift, ndim, logs.dtype) * logs, axis)
    if not soft:
        classes, counts, unit = counts_of(target, weight, ignore_index, reduction, input.shape[axis], logs.dtype)
        loss = loss * unit + getitem(logs, at_classes(classes, ndim)) * (counts * (1 - label_smoothing))
    return -loss if reduction == "none" else -_sum(loss)  # type: ignore[no-any-return]


def _lowered(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """The same without looking at the target."""
    input = _floats(input)
    if target.dtype.kind == "f":
        return _of_probabilities(input, target, weight, reduction, label_smoothing)  # type: ignore[no-any-return]
    count = input.shape[class_axis(input.ndim)]
    classes, counts, unit = counts_of(target, weight, ignore_index, reduction, count, input.dtype)
    classes = cast_to(classes, target.dtype)
    return _of_classes(input, classes, counts, unit, weight, ignore_index, reduction, label_smoothing)  # type: ignore[no-any-return]


@op(
    label="cross-entropy",
    check=_check,
    lower=_lowered,
    nondiff=("weight",),
    residuals=("centre", "total", "classes", "counts", "unit", "shares"),
    reference=_reference,
    input=_input,
    target=_target,
    formula="−mean(log_softmax(input)[target])",
    gradients="input: g · (softmax(input) − one_hot(target))/N; target: −g · log_softmax(input)/N",
    samples=lambda r: [
        *class_samples(r),
        sample(r.normal(size=(4, 3)), np.array([0, 2, 1, -100]), np.array([1, 3, 2]), label_smoothing=0.2),
        sample(r.normal(size=(2, 3, 2)), np.array([[0, 2], [1, 2]]), reduction="none", label_smoothing=0.2),
        sample(r.normal(size=(2, 3)), r.uniform(0, 0.5, (2, 3))),
        sample(r.normal(size=(2, 3, 2)), r.uniform(0, 0.5, (2, 3, 2)), np.array([1, 3, 2]), label_smoothing=0.2),
        sample(r.normal(size=3), r.uniform(0, 0.5, 3), reduction="none"),
    ],
)
def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """The cross entropy of the target and softmax(input): -Σ over the classes of target · log_softmax(input).

    The gradient by the input is softmax(input) - target, times what the position counts in the result.

    Args:
        input: (N, C), (N, C, d1, ...) or (C,): a score (logit) for each of C classes.
        target: class indices, integers from 0 to C - 1 of shape (N,), (N, d1, ...) or (); or floats of the shape of the
            input, a probability for each class, by which there is a gradient too. The mean is then over positions.
        weight: (C,), a weight for each class, or None. Has no gradient.
        ignore_index: positions whose target is this count nothing.
        reduction: "mean" (the sum divided by the sum of the weights of the targets not ignored), "sum", or "none".
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
    """
    # And for the rules of each position: the `centre` of its scores, which is the largest, and the `total` of
    # exp(x - centre); its class; what the class counts in the result, what each of all would count without weights, and
    # the sum of all shares. Where the target holds probabilities these are all the sum.
    input = _floats(input)
    count = input.shape[class_axis(input.ndim)]
    if target.dtype.kind == "f":
        return _of_probabilities(input, target, weight, reduction, label_smoothing)  # type: ignore[no-any-return]
    if weight is None and ignore_index < 0 and bool(np.minimum.reduce(target, axis=None, initial=0) == 0):
        # The usual case: all positions count the same, and indexing finds what is out of range.
        unit = np.full(target.shape, 1 / (target.size or 1) if reduction == "mean" else 1.0, input.dtype)
        return _of_classes(input, target, unit, unit, weight, ignore_index, reduction, label_smoothing, True)  # type: ignore[no-any-return]
    check_classes(target, count, ignore_index)
    counts = counts_of(target, weight, ignore_index, reduction, count, input.dtype)
    return _of_classes(input, *counts, weight, ignore_index, reduction, label_smoothing)  # type: ignore[no-any-return]
