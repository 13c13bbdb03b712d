"""Losses together with the layer before them."""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.layers.losses.entropy import cross_entropy
from tapenet.ops.products.matmul import linear
from tapenet.ops.registry import sample
from tapenet.typing import Array


@derived(
    samples=lambda r: [
        sample(r.normal(size=(4, 2)), r.normal(size=(3, 2)), np.array([0, 2, 1, 2]), linear_bias=r.normal(size=3)),
        sample(r.normal(size=(2, 2)), r.normal(size=(3, 2, 2)), np.array([[0, 2], [1, 1]]), reduction="sum"),
        sample(r.normal(size=2), r.normal(size=(3, 2)), np.array(1), label_smoothing=0.1),
    ]
)
def linear_cross_entropy(
    input: Array,
    linear_weight: Array,
    target: Array,
    *,
    linear_bias: Array | None = None,
    weight: Array | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Array:
    """The `cross_entropy` of linear(input, linear_weight, linear_bias) with the target.

    Args:
        input: (N, D) or (D,).
        linear_weight: (C, D), or (C, d1, ..., D) for a prediction of shape (N, C, d1, ...).
        target: what `cross_entropy` takes: class indices, or probabilities of classes.
        linear_bias: the shape of linear_weight without its last axis, or None.
        weight, reduction, ignore_index, label_smoothing: those of `cross_entropy`.

    Raises:
        ValueError: the shapes do not fit.

    >>> import numpy as np, tapenet as tn
    >>> tn.linear_cross_entropy(tn.tensor([[1.0, 2.0]]), np.zeros((2, 2)), np.array([1]))
    Tensor(0.69314718)
    """
    input, linear_weight = array_like(input), array_like(linear_weight)
    shape = linear_weight.shape
    if not 1 <= len(input.shape) <= 2 or len(shape) < 2 or input.shape[-1] != shape[-1]:
        raise ValueError(
            f"linear_cross_entropy: input {input.shape} and linear_weight {shape}: give (N, D) or (D,), and (C, D) or "
            "(C, d1, ..., D)"
        )
    if linear_bias is not None and linear_bias.shape != shape[:-1]:
        raise ValueError(f"linear_cross_entropy: linear_bias has shape {linear_bias.shape}; it must be {shape[:-1]}")
    count = math.prod(shape[:-1])
    bias = None if linear_bias is None else np.reshape(linear_bias, (count,))
    scores = linear(input, np.reshape(linear_weight, (count, shape[-1])), bias)
    scores = np.reshape(scores, (*input.shape[:-1], *shape[:-1]))
    return cross_entropy(scores, target, weight, ignore_index, reduction, label_smoothing)  # type: ignore[no-any-return]
