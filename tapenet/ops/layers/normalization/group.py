"""Group and instance normalisation: statistics of each sample alone, over groups of its channels and all positions."""

from __future__ import annotations

import math

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.layers.normalization.statistics import mean_of, params
from tapenet.ops.op import derive, op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats
from tapenet.typing import Array


def _check(x: Array, num_groups: int, weight: Array | None, bias: Array | None) -> None:
    if len(x.shape) < 2:
        raise ValueError(f"x has shape {x.shape}; it must be (batch, channels, ...)")
    channels = x.shape[1]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(
            f"x {x.shape} has {channels} channels, which are not num_groups={num_groups} groups of equal size"
        )
    for name, vector in (("weight", weight), ("bias", bias)):
        if vector is not None and vector.shape != (channels,):
            raise ValueError(
                f"{name} has shape {vector.shape}; x {x.shape} has {channels} channels in axis 1: give ({channels},)"
            )


@op(
    check=_check,
    outputs=3,
    tell_unused=True,  # a gradient of zeros would have a memory order of its own
    nondiff=("num_groups",),
    x=derive,
    weight=derive,
    bias=derive,
    label=lambda: "group norm",  # without the number of groups
    formula="x̂ · weight + bias, x̂ = (x − mean)/√(var + eps)",
    gradients="x: (h − mean(h) − x̂ · mean(h · x̂))/√(var + eps), h = g · weight; weight: Σ g · x̂; bias: Σ g",
    samples=lambda r: [
        sample(r.normal(size=(2, 4, 2)), 2, *params(r, 4)),
        sample(np.moveaxis(r.normal(size=(2, 3, 2)), -1, 0), 2, *params(r, 2)),
        sample(r.normal(size=(2, 4)), 1, None, r.normal(size=4), 1e-3),
    ],
)
def group_norm_statistics(
    x: Array, num_groups: int, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> tuple[Array, ...]:
    """`tn.group_norm`, and with it the mean and the variance of each group of each sample.

    Args:
        x: (batch, channels, ...).
        num_groups: number of groups that the channels are divided into, in order.
        weight, bias: (channels,), or None.
        eps: added to the variance.

    Returns:
        the result, shaped like x; mean and variance (divided by n), each (batch, num_groups).

    Raises:
        ValueError: the channels do not divide evenly, or parameters are of another length.

    >>> import tapenet as tn
    >>> out, mean, var = tn.group_norm_statistics(tn.tensor([[1.0, 3.0, 0.0, 4.0]]), 2, eps=0.0)
    >>> out, mean, var
    (Tensor([[-1.,  1., -1.,  1.]]), Tensor([[2., 2.]]), Tensor([[1., 4.]]))
    """
    x = floats(x)
    shape = (x.shape[0], num_groups, x.shape[1] // num_groups, *x.shape[2:])
    axes, kept = tuple(range(2, len(shape))), (*shape[1:3], *(1,) * (len(shape) - 3))
    groups = np.reshape(x, shape)
    mean = mean_of(groups, axes)
    centred = groups - mean
    var = mean_of(centred * centred, axes)
    out = centred * (1 / np.sqrt(var + eps))
    if weight is not None:
        out = out * np.reshape(weight, kept)
    if bias is not None:
        out = out + np.reshape(bias, kept)
    return np.reshape(out, x.shape), np.reshape(mean, shape[:2]), np.reshape(var, shape[:2])


@derived(
    samples=lambda r: [sample(r.normal(size=(2, 4, 1, 2)), 2, *params(r, 4)), sample(r.normal(size=(2, 4)), 1, eps=0.1)]
)
def group_norm(
    x: Array, num_groups: int, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> Array:
    """The channels of each sample brought to mean 0 and variance 1 in groups, over all positions, then scaled and
    shifted channel by channel: out = (x - mean) / √(var + eps) · weight + bias. Wu and He, arXiv:1803.08494.

    Args:
        x: (batch, channels, ...).
        num_groups: number of groups that the channels are divided into, in order.
        weight, bias: (channels,), or None.
        eps: added to the variance.

    Returns:
        an array shaped like x.

    Raises:
        ValueError: the channels do not divide evenly, or parameters are of another length.

    >>> import tapenet as tn
    >>> tn.group_norm(tn.tensor([[1.0, 3.0, 0.0, 4.0]]), 2, eps=0.0)
    Tensor([[-1.,  1., -1.,  1.]])
    """
    return group_norm_statistics(x, num_groups, weight, bias, eps)[0]


@derived(
    samples=lambda r: [sample(r.normal(size=(2, 2, 3)), *params(r, 2)), sample(r.normal(size=(1, 2, 2, 2)), eps=0.1)]
)
def instance_norm(x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Array:
    """Each channel of each sample brought to mean 0 and variance 1 over its positions, then scaled and shifted:
    out = (x - mean) / √(var + eps) · weight + bias. Ulyanov, Vedaldi and Lempitsky, arXiv:1607.08022.

    `F.instance_norm` keeps running statistics too.

    Args:
        x: (batch, channels, ...).
        weight, bias: (channels,), or None.
        eps: added to the variance.

    Returns:
        an array shaped like x.

    Raises:
        ValueError: fewer than two positions, or parameters of another length.

    >>> import tapenet as tn
    >>> tn.instance_norm(tn.tensor([[[1.0, 3.0], [0.0, 4.0]]]), eps=0.0)
    Tensor([[[-1.,  1.],
             [-1.,  1.]]])
    """
    return instance_norm_statistics(x, weight, bias, eps)[0]  # type: ignore[no-any-return]


def instance_norm_statistics(x: Array, weight: Array | None, bias: Array | None, eps: float) -> Array:
    """`instance_norm` with the mean and the variance of each channel of each sample."""
    shape = np.shape(x)
    if math.prod(shape[2:]) < 2:
        raise ValueError(
            f"instance_norm: x {shape} has fewer than two positions per channel, so there is no variance to divide by: "
            "give (batch, channels, ...) with larger images"
        )
    return group_norm_statistics(x, shape[1], weight, bias, eps)  # type: ignore[no-any-return]
