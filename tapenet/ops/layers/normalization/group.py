"""Group and instance normalisation: statistics of each sample alone, over groups of its channels and all positions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.layers.normalization import kernel_dispatch
from tapenet.ops.layers.normalization.statistics import mean_of, params
from tapenet.ops.op import derive, op
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats
from tapenet.typing import Array, Shape


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


def _grouped(x: Array, groups: int) -> tuple[Shape, Shape]:
    """The shape of x with its channels divided, and the axes of a group."""
    shape = (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    return shape, tuple(range(2, len(shape)))


def _group_norm_joint(
    g: Array, wanted: Any, x: Array, weight: Array | None, centre: Array, scale: Array, num_groups: int
) -> dict[str, Array]:
    """By hand: sums of channels over samples and positions are not fused, and the kernel is one pass over each group."""
    g, g_mean, g_var = g
    x = floats(x)
    g = np.zeros_like(x) if g is None else g
    found = kernel_dispatch.group_norm_grad(g, x, num_groups, weight, centre, scale, g_mean, g_var)
    if found is not None:
        return dict(zip(("x", "weight", "bias"), found, strict=True))
    shape, axes = _grouped(x, num_groups)
    n = math.prod(shape[2:])
    g, x_shape = np.reshape(g, shape), x.shape
    spread = np.reshape(scale, (*scale.shape, *(1,) * len(axes)))
    centred = np.reshape(x, shape) - np.reshape(centre, spread.shape)
    over = (0, *axes[1:])
    made = {"weight": np.reshape(_sum(g * centred * spread, over), -1), "bias": np.reshape(_sum(g, over), -1)}
    if "x" in wanted:
        if weight is not None:
            g = g * np.reshape(weight, (*shape[1:3], *(1,) * (len(axes) - 1)))
        along, total = (_sum(a, axes, keepdims=True) * spread for a in (g * centred, g))
        # Per group: what goes, by the variance and by the mean, against all x.
        by_var, by_mean = along * spread * spread, total
        if g_var is not None:
            by_var = by_var - 2 * np.reshape(g_var, spread.shape)
        if g_mean is not None:
            by_mean = by_mean - np.reshape(g_mean, spread.shape)
        made["x"] = np.reshape(g * spread - centred * (by_var / n) - by_mean / n, x_shape)
    return made


@op(
    check=_check,
    outputs=3,
    tell_unused=True,  # a gradient of zeros would have a memory order of its own
    residuals=("centre", "scale"),
    reference=derive,
    nondiff=("num_groups",),
    joint=_group_norm_joint,
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
    found = kernel_dispatch.group_norm(x, num_groups, weight, bias, eps)
    if found is not None:
        out, mean, var, scale = found
        return out, mean, var, mean, scale
    shape, axes = _grouped(x, num_groups)
    groups = np.reshape(x, shape)
    mean = mean_of(groups, axes)
    centred = groups - mean
    var = mean_of(centred * centred, axes)
    scale = 1 / np.sqrt(var + eps)
    out = centred * scale
    kept = (*shape[1:3], *(1,) * (len(axes) - 1))
    if weight is not None:
        out = out * np.reshape(weight, kept)
    if bias is not None:
        out = out + np.reshape(bias, kept)
    mean, var, scale = (np.reshape(a, shape[:2]) for a in (mean, var, scale))
    return np.reshape(out, x.shape), mean, var, mean, scale


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
    return group_norm_statistics(x, num_groups, weight, bias, eps)[0]  # type: ignore[no-any-return]


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
