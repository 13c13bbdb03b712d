"""Likeness and distance of vectors, and losses made of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.derived import array_like, derived
from tapenet.ops.layers.losses.margins import check_signs
from tapenet.ops.layers.losses.reduction import check_reduction, reduce_loss
from tapenet.ops.linalg.norms import vector_norm
from tapenet.ops.op import derive, op
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array, Shape

# -- likeness ----------------------------------------------------------------------------------------------------


def _common_axis(axis: int, x1_shape: Shape, x2_shape: Shape) -> int:
    """The axis of the broadcast shape, counted from its end, as it is in both."""
    ndim = max(len(x1_shape), len(x2_shape))
    return normalize_axis_index(axis, ndim) - ndim


def _length(x: Array, axis: int, eps: float) -> Array:
    """The lengths, at least eps. The root is of what is above, so that it has a derivative at 0, which is 0."""
    squares = np.sum(x * x, axis)
    return np.sqrt(np.where(squares > eps * eps, squares, eps * eps))


@op(
    label="cosine similarity",
    formula="Σ x1 · x2/(‖x1‖ ‖x2‖), each length at least eps",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 1, 3)), r.normal(size=(2, 3)), -1),
        sample(r.normal(size=(3, 2)), r.normal(size=(3, 1)), axis=0),
        sample(0.1 * r.normal(size=3), r.normal(size=3), 0, eps=5.0),
    ],
    hint=lambda x1, x2, axis, eps: f"x1 {np.shape(x1)} and x2 {np.shape(x2)} must broadcast, and have an axis {axis}",
)
def cosine_similarity(x1: Array, x2: Array, axis: int = 1, eps: float = 1e-8) -> Array:
    """The cosine of the angle between vectors: their inner product divided by their lengths, each taken as at least eps.

    Args:
        x1, x2: vectors along an axis; their shapes broadcast.
        axis: an axis of the broadcast shape.
        eps: the smallest length. Of a shorter vector the gradient is that of x1 · x2 / (eps ‖x2‖), finite at 0.

    Returns:
        an array of the broadcast shape without the axis.

    Raises:
        ValueError: the shapes do not broadcast, or have no such axis.

    >>> import numpy as np, tapenet as tn
    >>> tn.cosine_similarity(tn.tensor([[3.0, 4.0], [1.0, 0.0]]), np.array([[6.0, 8.0], [0.0, 1.0]]))
    Tensor([1., 0.])
    """
    axis = _common_axis(axis, x1.shape, x2.shape)
    return np.sum(x1 * x2, axis) / (_length(x1, axis, eps) * _length(x2, axis, eps))  # type: ignore[no-any-return]


# -- distance ----------------------------------------------------------------------------------------------------


@op(
    label="pairwise distance",
    formula="‖x1 − x2 + eps‖ₚ",
    gradients="x1: g · d, d = sign(x1 − x2 + eps) · (|x1 − x2 + eps|/out)ᵖ⁻¹; x2: −g · d",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3))),
        sample(r.normal(size=(2, 1, 3)), r.normal(size=3), 1.0, keepdims=True),
        sample(r.normal(size=3), r.normal(size=3), 3.0, 0.1),
    ],
    hint=lambda x1, x2, *_: f"x1 {np.shape(x1)} and x2 {np.shape(x2)} must broadcast, and have an axis at least",
)
def pairwise_distance(x1: Array, x2: Array, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> Array:
    """The distances ‖x1 - x2 + eps‖ₚ of vectors along the last axis.

    Args:
        x1, x2: (..., D), of shapes that broadcast.
        p: the order of the norm, as in `tn.linalg.vector_norm`.
        eps: added to each difference, so that no distance is 0.
        keepdims: keep the last axis, with length one.

    >>> import numpy as np, tapenet as tn
    >>> tn.pairwise_distance(tn.tensor([[3.0, 4.0]]), np.zeros((1, 2)), eps=0.0)
    Tensor([5.])
    """
    return vector_norm(x1 - x2 + eps, axis=-1, keepdims=keepdims, ord=p)


@derived(samples=lambda r: [sample(r.normal(size=(3, 2))), sample(r.normal(size=(3, 2)), 1.0)])
def pdist(input: Array, p: float = 2.0) -> Array:
    """The distances ‖x - y‖ₚ of all pairs of rows, those of the first row with the later ones first.

    Args:
        input: (N, D).
        p: the order of the norm, as in `tn.linalg.vector_norm`. The gradient of a distance that is 0 is 0.

    Returns:
        (N (N - 1) / 2,).

    Raises:
        ValueError: the input is no matrix.

    >>> import tapenet as tn
    >>> tn.pdist(tn.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]))
    Tensor([5., 3., 4.])
    """
    input = array_like(input)
    if len(input.shape) != 2:
        raise ValueError(f"pdist: input has shape {input.shape}; give a matrix, (N, D), of N vectors")
    first, second = np.triu_indices(input.shape[0], 1)
    return vector_norm(input[first] - input[second], axis=-1, ord=p)


# -- losses ------------------------------------------------------------------------------------------------------


def _of_one_shape(**arrays: Array) -> None:
    if len({a.shape for a in arrays.values()}) > 1:
        text = ", ".join(f"{n} {a.shape}" for n, a in arrays.items())
        raise ValueError(f"{text} must have one shape; if broadcasting is meant, write np.broadcast_to")


def _check_embedding(input1: Array, input2: Array, target: Array, reduction: str) -> None:
    check_reduction(reduction)
    _of_one_shape(input1=input1, input2=input2)
    if target.shape != input1.shape[:-1] or not input1.shape:
        raise ValueError(
            f"target has shape {target.shape}; for inputs of shape {input1.shape} it must have {input1.shape[:-1]}, one sign "
            "for each pair"
        )
    check_signs(target)


@op(
    label="cosine embedding loss",
    check=_check_embedding,
    input1=derive,
    input2=derive,
    nondiff=("target",),
    formula="mean(1 − cos where target = 1, max(cos − margin, 0) where target = −1)",
    gradients="−g/N · ∂cos where target = 1, g/N · ∂cos where target = −1 and cos > margin",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), r.normal(size=(2, 3)), np.array([1, -1]), -0.9),
        sample(r.normal(size=3), r.normal(size=3), np.array(1), reduction="none"),
    ],
)
def cosine_embedding_loss(
    input1: Array, input2: Array, target: Array, margin: float = 0.0, reduction: str = "mean"
) -> Array:
    """The loss of pairs of vectors that should be alike (1) or not (-1): 1 - cos, or max(0, cos - margin), cos being
    their `tn.cosine_similarity`.

    Args:
        input1, input2: (N, D) or (D,).
        target: (N,) or (): 1 or -1. Has no gradient.
        margin: the cosine that vectors that are not alike may have.
        reduction: "mean" over the pairs, "sum", or "none".

    Raises:
        ValueError: the shapes do not fit, a target that is no sign, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> x = tn.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> tn.cosine_embedding_loss(x, np.array([[0.0, 1.0], [3.0, 0.0]]), np.array([1, -1]), reduction="none")
    Tensor([1., 1.])
    """
    cos = cosine_similarity(input1, input2, -1)
    return reduce_loss(np.where(target > 0, 1 - cos, np.maximum(cos - margin, 0)), reduction)


def _check_triplet(anchor: Array, positive: Array, negative: Array, reduction: str) -> None:
    check_reduction(reduction)
    _of_one_shape(anchor=anchor, positive=positive, negative=negative)


def _triplet(
    anchor: Array,
    positive: Array,
    negative: Array,
    distance: Callable[..., object],
    margin: float,
    swap: bool,
    reduction: str,
) -> Array:
    far, near = array_like(distance(anchor, negative)), array_like(distance(anchor, positive))
    if swap:
        far = np.minimum(far, array_like(distance(positive, negative)))
    return reduce_loss(np.maximum(near - far + margin, 0), reduction)


def _vectors(r: np.random.Generator) -> list[Sample]:
    a, p, n = r.normal(size=(3, 2, 3))
    return [sample(a, p, n, margin=4.0), sample(a, p, n, margin=4.0, swap=True, reduction="none")]


@op(
    label="triplet margin loss",
    check=_check_triplet,
    formula="mean(max(‖anchor − positive‖ₚ − ‖anchor − negative‖ₚ + margin, 0))",
    samples=lambda r: [*_vectors(r), sample(*r.normal(size=(3, 3)), 5.0, 1.0, 0.1, reduction="sum")],
)
def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """The loss of vectors that should be nearer to a second one than to a third by a margin:
    max(0, d(anchor, positive) - d(anchor, negative) + margin), d being `tn.pairwise_distance`.

    At the margin itself the derivative is half of that beyond. Balntas, Riba, Ponsa and Mikolajczyk (2016).

    Args:
        anchor, positive, negative: (N, D) or (D,), of one shape.
        margin: by how much.
        p, eps: the order of the norm, and what is added to each difference.
        swap: measure the negative from the positive where it is nearer to that than to the anchor.
        reduction: "mean" over the triplets, "sum", or "none".

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> tn.triplet_margin_loss(tn.tensor([0.0]), np.array([1.0]), np.array([1.5]), eps=0.0)
    Tensor(0.5)
    """
    return _triplet(anchor, positive, negative, lambda a, b: pairwise_distance(a, b, p, eps), margin, swap, reduction)


@derived(samples=_vectors)
def triplet_margin_with_distance_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    distance_function: Callable[..., object] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """`triplet_margin_loss` with a distance of your own: max(0, d(anchor, positive) - d(anchor, negative) + margin).

    Args:
        anchor, positive, negative: arrays of one shape, that of what the distance takes.
        distance_function: d, a function of two of them; `tn.pairwise_distance` by default.
        margin: by how much the positive should be nearer.
        swap: measure the negative from the positive where it is nearer to that than to the anchor.
        reduction: "mean" over the triplets, "sum", or "none".

    Raises:
        ValueError: the shapes differ, or an unknown reduction.

    >>> import numpy as np, tapenet as tn
    >>> a, p, n = tn.tensor([[0.0, 0.0]]), np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])
    >>> tn.triplet_margin_with_distance_loss(a, p, n, distance_function=lambda x, y: abs(x - y).sum(-1))
    Tensor(0.)
    """
    anchor, positive, negative = array_like(anchor), array_like(positive), array_like(negative)
    _check_triplet(anchor, positive, negative, reduction)
    return _triplet(anchor, positive, negative, distance_function or pairwise_distance, margin, swap, reduction)
