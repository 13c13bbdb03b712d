"""Normalisation of the last axes of each sample: layer normalisation, and by the root mean square alone."""

from __future__ import annotations

import numpy as np

from tapenet.ops.layers.normalization.statistics import mean_of, params
from tapenet.ops.op import derive, op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats
from tapenet.typing import Array, Shape


def _trailing(normalized_shape: int | Shape) -> Shape:
    if isinstance(normalized_shape, (int, np.integer)):
        return (int(normalized_shape),)
    return tuple(int(n) for n in normalized_shape)


def _last(normalized_shape: int | Shape) -> Shape:
    """The last axes."""
    return tuple(range(-len(_trailing(normalized_shape)), 0))


def _check_rms(x: Array, normalized_shape: int | Shape, weight: Array | None) -> None:
    shape = _trailing(normalized_shape)
    if not shape or x.shape[-len(shape) :] != shape:
        raise ValueError(f"normalized_shape={normalized_shape} must be the last axes of x, which has shape {x.shape}")
    _check_parameter("weight", weight, shape)


def _check_parameter(name: str, parameter: Array | None, shape: Shape) -> None:
    if parameter is not None and parameter.shape != shape:
        raise ValueError(f"{name} has shape {parameter.shape}; it must be normalized_shape, {shape}")


def _check(x: Array, normalized_shape: int | Shape, weight: Array | None, bias: Array | None) -> None:
    _check_rms(x, normalized_shape, weight)
    _check_parameter("bias", bias, _trailing(normalized_shape))


@op(
    check=_check,
    nondiff=("normalized_shape",),
    x=derive,
    weight=derive,
    bias=derive,
    label=lambda: "layer norm",  # without the number that normalized_shape may be
    formula="x̂ · weight + bias, x̂ = (x − mean)/√(var + eps)",
    gradients="x: (h − mean(h) − x̂ · mean(h · x̂))/√(var + eps), h = g · weight; weight: Σ g · x̂; bias: Σ g",
    samples=lambda r: [
        sample(r.normal(size=(2, 4)), 4, *params(r, 4)),
        sample(r.normal(size=(2, 3, 2)), (3, 2), r.uniform(0.5, 1.5, (3, 2)), r.normal(size=(3, 2))),
        sample(r.normal(size=(2, 3)), (3,)),
        sample(r.normal(size=4), 4, None, r.normal(size=4)),
    ],
)
def layer_norm(
    x: Array,
    normalized_shape: int | Shape,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """The last axes brought to mean 0 and variance 1 together, then scaled and shifted element by element:
    out = (x - mean) / √(var + eps) · weight + bias. Ba, Kiros and Hinton, arXiv:1607.06450.

    Args:
        x: (..., *normalized_shape).
        normalized_shape: an integer for the last axis, or the lengths of the last axes.
        weight, bias: of shape normalized_shape, or None.
        eps: added to the variance.

    Returns:
        an array shaped like x.

    Raises:
        ValueError: x does not end in normalized_shape, or a parameter has another shape.

    >>> import tapenet as tn
    >>> tn.layer_norm(tn.tensor([[1.0, 3.0]]), 2, eps=0.0)
    Tensor([[-1.,  1.]])
    """
    axes = _last(normalized_shape)
    x = floats(x)
    centred = x - mean_of(x, axes)
    out = centred * (1 / np.sqrt(mean_of(centred * centred, axes) + eps))
    if weight is not None:
        out = out * weight
    return out if bias is None else out + bias


# -- by the root mean square -------------------------------------------------------------------------------------


@op(
    check=_check_rms,
    nondiff=("normalized_shape", "eps"),
    x=derive,
    weight=derive,
    label=lambda: "rms norm",
    samples=lambda r: [
        sample(r.normal(size=(2, 4)), 4, r.uniform(0.5, 1.5, 4)),
        sample(r.normal(size=(2, 3, 2)), (3, 2), r.uniform(0.5, 1.5, (3, 2)), 1e-3),
        sample(r.normal(size=4), 4, None, 0.1),
    ],
)
def rms_norm(x: Array, normalized_shape: int | Shape, weight: Array | None = None, eps: float | None = None) -> Array:
    """The last axes divided by their root mean square, then scaled element by element:
    out = x / √(mean(x²) + eps) · weight. Zhang and Sennrich, arXiv:1910.07467.

    Args:
        x: (..., *normalized_shape).
        normalized_shape: an integer for the last axis, or the lengths of the last axes.
        weight: of shape normalized_shape, or None.
        eps: added to the mean square; by default `np.finfo(x.dtype).eps`.

    Returns:
        an array shaped like x.

    Raises:
        ValueError: x does not end in normalized_shape, or weight has another shape.

    >>> import tapenet as tn
    >>> tn.rms_norm(tn.tensor([[1.0, -1.0], [3.0, 3.0]]), 2, eps=0.0)
    Tensor([[ 1., -1.],
            [ 1.,  1.]])
    """
    x = floats(x)
    if eps is None:  # as in PyTorch
        eps = float(np.finfo(x.dtype).eps)
    out = x * (1 / np.sqrt(mean_of(x * x, _last(normalized_shape)) + eps))
    return out if weight is None else out * weight
