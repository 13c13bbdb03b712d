"""Hinge losses: nothing to pay where a score is right by a margin."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.layers.losses.classes import asked, check_classes, integers, places, weights_fit
from tapenet.ops.layers.losses.probabilities import binary_cross_entropy_with_logits
from tapenet.ops.layers.losses.reduction import cast_to, check_reduction, check_shapes, reduce_loss
from tapenet.ops.op import derive, op
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import Sample, sample
from tapenet.program.symbols import refuse
from tapenet.typing import Array


def check_signs(target: Array) -> None:
    """Raise ValueError for a target that holds something else than 1 and -1."""
    wrong = np.any(np.abs(target) != 1)
    refuse(wrong, ValueError, "target holds something else than 1 and -1; of zeros and ones these are 2 * target - 1")


def _check_signed(input: Array, target: Array, reduction: str) -> None:
    check_shapes(input, target, reduction)
    check_signs(target)


def _signs(r: np.random.Generator, *shape: int) -> Array:
    return np.where(r.uniform(size=shape) < 0.5, 1, -1)


def _sign_samples(count: int) -> Callable[[np.random.Generator], list[Sample]]:
    """Calls with so many arrays of floats, and signs."""
    return lambda r: [
        sample(*r.normal(size=(count, 2, 3)), _signs(r, 2, 3), 0.3),
        sample(*r.normal(size=(count, 4)), _signs(r, 4), reduction="none"),
        sample(*r.normal(size=(count, 2, 2)), _signs(r, 2, 2), reduction="sum"),
    ]


# -- two kinds of pairs ------------------------------------------------------------------------------------------


@op(
    label="hinge embedding loss",
    check=_check_signed,
    input=derive,
    nondiff=("target",),
    samples=_sign_samples(1),
)
def hinge_embedding_loss(input: Array, target: Array, margin: float = 1.0, reduction: str = "mean") -> Array:
    """The loss of distances of pairs that are alike (1) or not (-1): the distance itself, or what it falls short of the
    margin.

    Args:
        input: distances.
        target: 1 or -1, an array of the same shape. Has no gradient.
        margin: how far apart those that are not alike should be. At the margin itself the derivative is -1.
        reduction: "mean" over all elements, "sum", or "none" for the loss of each.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> tn.hinge_embedding_loss(tn.tensor([0.5, 0.25]), np.array([1, -1]))
    Tensor(0.625)
    """
    return reduce_loss(np.where(target > 0, input, np.where(input <= margin, margin - input, 0)), reduction)


# -- order -------------------------------------------------------------------------------------------------------


def _check_ranking(input1: Array, input2: Array, target: Array, reduction: str) -> None:
    check_shapes(input1, input2, reduction)
    _check_signed(input1, target, reduction)


@op(
    label="margin ranking loss",
    check=_check_ranking,
    input1=derive,
    input2=derive,
    nondiff=("target",),
    samples=_sign_samples(2),
)
def margin_ranking_loss(
    input1: Array, input2: Array, target: Array, margin: float = 0.0, reduction: str = "mean"
) -> Array:
    """The loss of two scores of which the first should exceed the second (1), or fall below it (-1), by a margin:
    max(0, margin - target · (input1 - input2)).

    Args:
        input1, input2: scores, of one shape.
        target: 1 or -1, an array of the same shape. Has no gradient.
        margin: by how much. Where it is met exactly the derivative is still target, so that two equal scores part.
        reduction: "mean" over all elements, "sum", or "none" for the loss of each.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> tn.margin_ranking_loss(tn.tensor([1.0, 2.0]), np.array([3.0, 1.0]), np.array([1, 1]))
    Tensor(1.)
    """
    excess = cast_to(target, input1.dtype) * (input2 - input1) + margin
    return reduce_loss(np.where(excess >= 0, excess, 0), reduction)


# -- smooth ------------------------------------------------------------------------------------------------------


@op(
    label="soft margin loss",
    check=_check_signed,
    input=derive,
    nondiff=("target",),
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), _signs(r, 2, 3)),
        sample(r.normal(size=4), _signs(r, 4), "none"),
        sample(r.normal(size=(2, 2)), _signs(r, 2, 2), reduction="sum"),
    ],
)
def soft_margin_loss(input: Array, target: Array, reduction: str = "mean") -> Array:
    """The logistic loss of a score for two classes: ln(1 + e^(-target · input)), without overflow.

    Args:
        input: scores.
        target: 1 or -1, an array of the same shape. Has no gradient.
        reduction: "mean" over all elements, "sum", or "none" for the loss of each.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> tn.soft_margin_loss(tn.tensor([0.0, 1000.0]), np.array([1, 1]))
    Tensor(0.34657359)
    """
    z = input * cast_to(target, input.dtype)
    return reduce_loss(np.log1p(np.exp(-np.abs(z))) + np.maximum(-z, 0), reduction)


# -- many classes ------------------------------------------------------------------------------------------------


def _check_multi_margin(input: Array, target: Array, p: int, weight: Array | None, reduction: str) -> None:
    check_reduction(reduction)
    if p not in (1, 2):
        raise ValueError(f"p={p}: it is 1 or 2")
    if not 1 <= input.ndim <= 2 or target.shape != input.shape[:-1]:
        raise ValueError(
            f"input {input.shape} and target {target.shape}: give (N, C) and (N,), or (C,) and (), with C classes"
        )
    integers(target)
    weights_fit(input.shape, weight)
    check_classes(target, input.shape[-1])


@op(
    label="multi margin loss",
    check=_check_multi_margin,
    input=derive,
    nondiff=("target", "weight"),
    formula="mean(Σⱼ max(margin − input[target] + input[j], 0)ᵖ/C), j ≠ target",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), np.array([0, 2])),
        sample(r.normal(size=(2, 3)), np.array([1, 2]), 2, 0.7, np.array([1, 3, 2]), "none"),
        sample(r.normal(size=3), np.array(1), weight=np.array([1, 3, 2]), reduction="sum"),
    ],
)
def multi_margin_loss(
    input: Array,
    target: Array,
    p: int = 1,
    margin: float = 1.0,
    weight: Array | None = None,
    reduction: str = "mean",
) -> Array:
    """The hinge loss of scores for classes: what the other classes' scores exceed that of the target, less the margin, by;
    for each sample Σ over j ≠ target of weight[target] · max(0, margin - input[target] + input[j])^p / C.

    At the margin itself the derivative is 0. Crammer and Singer (2001).

    Args:
        input: (N, C) or (C,): scores of C classes.
        target: (N,) or (): class indices.
        p: 1 or 2.
        margin: by how much the target's score should exceed the others.
        weight: (C,), a weight for each class, or None. Has no gradient; the mean is over all samples whatever their
            weights.
        reduction: "mean" over the samples, "sum", or "none".

    Raises:
        ValueError: the shapes do not fit, or an unknown reduction.
        IndexError: a target that is no class.
        TypeError: a target that holds no integers.

    >>> import numpy as np, tapenet as tn
    >>> tn.multi_margin_loss(tn.tensor([[0.5, 0.25]]), np.array([0]))
    Tensor(0.375)
    """
    count = input.shape[-1]
    asked(input, target)
    chosen = target[..., None] == np.arange(count)
    # A sum, since it is read in a kernel, and its derivative too.
    excess = input - np.add.reduce(np.where(chosen, input, 0), -1, keepdims=True) + margin
    excess = np.where(chosen | (excess <= 0), 0, excess)
    loss = np.add.reduce(excess if p == 1 else excess * excess, -1) * (1 / (count or 1))
    if weight is not None:
        loss = loss * np.add.reduce(np.where(chosen, cast_to(weight, input.dtype), 0), -1)
    return reduce_loss(loss, reduction)


# -- several classes at once -------------------------------------------------------------------------------------


def _used(labels: Array, valid: Array) -> tuple[Array, Array]:
    """Both without what no sample uses. Of tensors as they are: a captured step could not follow."""
    if type(valid) is not np.ndarray:
        return labels, valid
    most = np.count_nonzero(np.logical_or.reduce(valid, tuple(range(1, valid.ndim))))
    return labels[:most], valid[:most]


def _pairs(scores: Array, labels: Array, valid: Array, others: Array) -> tuple[Array, Array]:
    """By how much each class's score exceeds that of each label less 1, and whether that counts: it is above 0, and the class
    is no label. Plain NumPy, of labels by classes by samples: loops along the samples, which are many, are quick.
    """
    excess = scores - (scores[(labels, *places(labels.shape)[1:])] - 1)[:, None]
    return excess, ~(excess <= 0) & (valid[:, None] & others)


def _is_class(labels: Array, scores: Array) -> Array:
    """Whether a label is a class, of labels by classes by samples."""
    classes = np.arange(scores.shape[0], dtype=labels.dtype)
    found: Array = labels[:, None] == np.reshape(classes, (-1, *(1,) * (scores.ndim - 1)))
    return found


def _multilabel_margin_input(
    g: Array, input: Array, labels: Array, valid: Array, others: Array, reduction: str
) -> Array:
    labels, valid = _used(labels, valid)
    scores = input.T
    active = _pairs(scores, labels, valid, others)[1].astype(input.dtype)
    slope = _sum(active, 0) - _sum(_is_class(labels, scores) * _sum(active, 1, keepdims=True), 0)
    share = 1 / ((input.size if reduction == "mean" else input.shape[-1]) or 1)
    return np.transpose(slope * (g * share))


@op(
    label="multilabel margin loss",
    opaque="how many labels count depends on the targets",
    nondiff=("target",),
    residuals=("labels", "valid", "others"),
    input=_multilabel_margin_input,
    formula="mean(Σᵢⱼ max(1 − input[j] + input[i], 0)/C), j a label, i none",
    gradients="input: g/(C N) at i and −g/(C N) at j of each pair with a loss",
    samples=lambda r: [
        sample(r.normal(size=(2, 4)), np.array([[1, 3, -1, 0], [2, -1, -1, -1]])),
        sample(r.normal(size=(2, 3)), np.array([[2, 0, -1], [-1, 0, 1]]), "none"),
        sample(r.normal(size=3), np.array([1, -1, 2]), reduction="sum"),
    ],
)
def multilabel_margin_loss(input: Array, target: Array, reduction: str = "mean") -> tuple[Array, ...]:
    """The hinge loss of scores for classes of which several are right: for each sample the sum, over its labels j and the
    classes i that are none, of max(0, 1 - input[j] + input[i]) / C.

    At the margin itself the derivative is 0.

    Args:
        input: (N, C) or (C,): scores of C classes.
        target: of the same shape: the labels of each sample come first, then -1; what follows does not count.
        reduction: "mean" over the samples, "sum", or "none".

    Raises:
        ValueError: the shapes do not fit, or an unknown reduction.
        IndexError: a target that is no class.
        TypeError: a target that holds no integers.

    >>> import numpy as np, tapenet as tn
    >>> tn.multilabel_margin_loss(tn.tensor([[0.1, 0.2, 0.4, 0.8]]), np.array([[3, 0, -1, 1]])).numpy().round(3)
    np.float64(0.85)
    """
    # The loss; and for the rule each sample's labels, which of these count, and which classes are none of them.
    check_shapes(input, target, reduction)
    if not 1 <= input.ndim <= 2:
        raise ValueError(f"input has shape {input.shape}; give (N, C) or (C,), with C classes")
    integers(target)
    count = input.shape[-1]
    check_classes(target[target != -1], count)
    scores, given = np.ascontiguousarray(input.T), np.ascontiguousarray(target.T)
    valid = np.logical_and.accumulate(given >= 0, 0)  # up to the first -1
    labels = np.where(valid, given, 0)
    few, used = _used(labels, valid)
    others = ~np.logical_or.reduce(_is_class(few, scores) & used[:, None], 0)
    excess, active = _pairs(scores, few, used, others)
    loss = np.add.reduce(np.where(active, excess, 0), (0, 1)) * (1 / (count or 1))
    return reduce_loss(loss, reduction), labels, valid, others


@derived(
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3))),
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3)), np.array([1, 3, 2]), "none"),
        sample(r.normal(size=(2, 3)), r.uniform(size=(2, 3)), reduction="sum"),
    ]
)
def multilabel_soft_margin_loss(
    input: Array, target: Array, weight: Array | None = None, reduction: str = "mean"
) -> Array:
    """The binary cross-entropy of scores with each class by itself, its mean over the classes:
    -(target · ln σ(input) + (1 - target) · ln σ(-input)).

    Args:
        input: (..., C): scores of C classes.
        target: of the same shape: 1 where a class is right, else 0, or probabilities.
        weight: (C,), a weight for each class, or None. Has no gradient.
        reduction: "mean" over the samples, "sum", or "none" for the loss of each.

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> tn.multilabel_soft_margin_loss(tn.tensor([[0.0, 0.0]]), np.array([[1.0, 0.0]]))
    Tensor(0.69314718)
    """
    check_reduction(reduction)
    if reduction == "mean":
        return binary_cross_entropy_with_logits(input, target, weight)
    losses = binary_cross_entropy_with_logits(input, target, weight, reduction="none")
    return reduce_loss(np.sum(losses, -1) * (1 / (input.shape[-1] or 1)), reduction)
