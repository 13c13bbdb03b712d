"""Batch normalisation: each channel brought to mean 0 and variance 1 over the batch and all positions."""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.layers.normalization.statistics import mean_of, params
from tapenet.ops.op import derive, op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats
from tapenet.typing import Array, Shape


def _others(ndim: int, axis: int) -> Shape:
    """All axes but one."""
    return tuple(i for i in range(ndim) if i != axis % ndim)


def _kept(shape: Shape, axis: int) -> Shape:
    """The shape that lets a vector along `axis` broadcast against `shape`."""
    return tuple(n if i == axis % len(shape) else 1 for i, n in enumerate(shape))


def _check_vectors(x: Array, axis: int, **vectors: Array | None) -> None:
    """Check that parameters are vectors along `axis` of x."""
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"x has shape {x.shape}, which has no axis {axis} for the channels")
    length = x.shape[axis]
    for name, vector in vectors.items():
        if vector is not None and vector.shape != (length,):
            raise ValueError(
                f"{name} has shape {vector.shape}; x {x.shape} has {length} channels in axis {axis}: give ({length},)"
            )


# -- in training -------------------------------------------------------------------------------------------------


def _check_train(x: Array, weight: Array | None, bias: Array | None, axis: int) -> None:
    _check_vectors(x, axis, weight=weight, bias=bias)
    if math.prod(x.shape[i] for i in _others(x.ndim, axis)) < 2:
        raise ValueError(
            f"x {x.shape} has fewer than two values per channel, so there is no variance to divide by: use a larger "
            "batch, or put the layer in eval mode"
        )


@op(
    check=_check_train,
    outputs=3,
    tell_unused=True,
    x=derive,
    weight=derive,
    bias=derive,
    label="batch norm",
    formula="x̂ · weight + bias, x̂ = (x − mean)/√(var + eps)",
    gradients="x: (h − mean(h) − x̂ · mean(h · x̂))/√(var + eps), h = g · weight; weight: Σ g · x̂; bias: Σ g",
    samples=lambda r: [
        sample(r.normal(size=(4, 2)), *params(r, 2)),
        sample(r.normal(size=(2, 3, 2, 2)), *params(r, 3)),
        sample(r.normal(size=(3, 2, 2)), r.uniform(0.5, 1.5, 2), None, 1e-3),
        sample(r.normal(size=(3, 2)), axis=-1),
    ],
)
def batch_norm_train(
    x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5, axis: int = 1
) -> tuple[Array, ...]:
    """Each channel brought to mean 0 and variance 1 over all other axes, then scaled and shifted:
    out = (x - mean) / √(var + eps) · weight + bias. Ioffe and Szegedy, arXiv:1502.03167.

    Args:
        x: (batch, channels, ...).
        weight, bias: (channels,), or None.
        eps: added to the variance.
        axis: the axis of the channels.

    Returns:
        the result, shaped like x, and each channel's mean and variance (divided by n; the running variance of PyTorch
        takes var · n / (n - 1)).

    Raises:
        ValueError: parameters of another length, or fewer than two values per channel.

    >>> import tapenet as tn
    >>> out, mean, var = tn.batch_norm_train(tn.tensor([[1.0], [3.0]]), eps=0.0)
    >>> out, mean, var
    (Tensor([[-1.],
            [ 1.]]), Tensor([2.]), Tensor([1.]))
    """
    x = floats(x)
    axes, kept = _others(x.ndim, axis), _kept(x.shape, axis)
    mean = mean_of(x, axes)
    centred = x - mean
    var = mean_of(centred * centred, axes)
    scale = 1 / np.sqrt(var + eps)
    out = centred * (scale if weight is None else scale * np.reshape(weight, kept))
    if bias is not None:
        out = out + np.reshape(bias, kept)
    return out, np.reshape(mean, -1), np.reshape(var, -1)


# -- in evaluation -----------------------------------------------------------------------------------------------


def _check(x: Array, mean: Array, var: Array, weight: Array | None, bias: Array | None, axis: int) -> None:
    _check_vectors(x, axis, mean=mean, var=var, weight=weight, bias=bias)


@op(
    check=_check,
    x=derive,
    mean=derive,
    var=derive,
    weight=derive,
    bias=derive,
    label="batch norm",
    formula="x̂ · weight + bias, x̂ = (x − mean)/√(var + eps)",
    samples=lambda r: [
        sample(r.normal(size=(3, 2)), r.normal(size=2), r.uniform(0.5, 1.5, 2), *params(r, 2)),
        sample(r.normal(size=(2, 3, 2, 2)), r.normal(size=3), r.uniform(0.5, 1.5, 3)),
        sample(r.normal(size=(2, 3)), r.normal(size=3), r.uniform(0.5, 1.5, 3), r.normal(size=3), axis=-1),
    ],
)
def batch_norm(
    x: Array,
    mean: Array,
    var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
    axis: int = 1,
) -> Array:
    """Each channel normalised by the given statistics, then scaled and shifted:
    out = (x - mean) / √(var + eps) · weight + bias, as in evaluation with running averages.

    Args:
        x: (batch, channels, ...).
        mean, var: (channels,), the statistics.
        weight, bias: (channels,), or None.
        eps: added to the variance.
        axis: the axis of the channels.

    Returns:
        an array shaped like x. There are gradients by all five arrays.

    Raises:
        ValueError: statistics or parameters of another length.

    >>> import numpy as np, tapenet as tn
    >>> tn.batch_norm(tn.tensor([[5.0], [3.0]]), np.array([3.0]), np.array([4.0]), eps=0.0)
    Tensor([[1.],
            [0.]])
    """
    kept = _kept(x.shape, axis)
    factor = 1 / np.sqrt(var + eps)
    if weight is not None:
        factor = factor * weight
    shift = -mean * factor if bias is None else bias - mean * factor
    return x * np.reshape(factor, kept) + np.reshape(shift, kept)
