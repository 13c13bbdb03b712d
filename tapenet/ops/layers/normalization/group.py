"""Group and instance normalisation: statistics of each sample alone, over groups of its channels and all positions.

The work is on arrays of five axes: (sample, group, channel in the group, position, 1) or, where the batch is innermost
in memory, as results of convolutions have it, (1, group, channel in the group, position, sample). Sums are over the
last but one axis, then over the channels of a group.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.derived import derived
from tapenet.ops.layers.normalization import kernel_dispatch
from tapenet.ops.layers.normalization.common import blocks, inverse_root, mean_of, params, row_products, usable
from tapenet.ops.op import op
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats
from tapenet.program.runs import column_dots, column_sums, row_sums

Ints = tuple[int, ...]
#: Elements of a run of memory that a number by sample is repeated for.
RUN = 512


def _fits(x: Any, num_groups: int, weight: Any, bias: Any) -> None:
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


# -- in five axes ------------------------------------------------------------------------------------------------


def _innermost(x: Any) -> bool:
    """Whether the batch is the innermost axis in memory."""
    return bool(x.shape[0] > 1 and x.ndim > 2 and np.moveaxis(x, 0, -1).flags.c_contiguous)


def _five(x: Any, groups: int, innermost: bool) -> Any:
    """An image as five axes, a view where its memory has that order."""
    n, channels, positions = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    if innermost:
        last = kernel_dispatch.batch_last(np.moveaxis(x, 0, -1))
        return last.reshape(1, groups, channels // groups, positions, n)
    return x.reshape(n, groups, channels // groups, positions, 1)


def _image(five: Any, shape: Ints, innermost: bool) -> Any:
    if innermost:
        return np.moveaxis(five.reshape(*shape[1:], shape[0]), -1, 0)
    return five.reshape(shape)


def _table(statistic: Any) -> Any:
    """(sample, group, 1) or (1, group, sample) as (sample, group)."""
    return statistic[:, :, 0] if statistic.shape[2] == 1 else statistic[0].T


def _sums(x: Any) -> Any:
    """The sum over the axis of positions: the last of a matrix, else the last but one."""
    if x.ndim == 2:
        return row_sums(x)
    if x.shape[-1] == 1:
        return row_sums(x.reshape(-1, x.shape[-2])).reshape(*x.shape[:-2], 1)
    return column_sums(x)


def _products(a: Any, b: Any) -> Any:
    """Σ a b over the same axis."""
    if a.ndim == 2:
        return row_products(a, b)
    n = a.shape[-2]
    if a.shape[-1] == 1:
        return row_products(a.reshape(-1, n), b.reshape(-1, n)).reshape(*a.shape[:-2], 1)
    return column_dots(a, b)


def _parts(shape: Ints) -> Any:
    """Indices of blocks of an array of five axes, which are dense in memory."""
    if shape[0] == 1:
        return ((slice(None), part) for part in blocks(shape[1], math.prod(shape[2:])))
    return ((part, slice(None)) for part in blocks(shape[0], math.prod(shape[1:])))


def _wide(vector: Any, x: Any) -> Any:
    """Numbers by (group, channel in the group), so that they broadcast against `_flat(x)` along long runs of memory."""
    if x.shape[4] == 1:
        return np.repeat(vector, x.shape[3], axis=1)
    return vector[None, :, :, None]


def _flat(x: Any) -> Any:
    """Five axes as those against which `_wide` broadcasts."""
    if x.shape[4] == 1:
        return x.reshape(*x.shape[:2], -1)
    return x.reshape(*x.shape[:3], -1)


def _groups(x: Any) -> Any:
    """Five axes as (any, elements of a group, 1 or sample), the last left out where it is 1."""
    found = x.reshape(x.shape[0] * x.shape[1], -1, x.shape[4])
    return found[..., 0] if x.shape[4] == 1 else found


def _run(x: Any) -> int:
    """How many elements of a group to take for a run of memory, where samples are innermost: NumPy is slow with runs as
    short as a batch."""
    n, samples = x.shape[2] * x.shape[3], x.shape[4]
    return next((k for k in range(RUN // samples, 1, -1) if n % k == 0), 1)


def _rows(x: Any, run: int) -> Any:
    """`_groups(x)` in runs."""
    found = _groups(x)
    return found if found.ndim == 2 else found.reshape(found.shape[0], -1, run * found.shape[2])


def _each(statistic: Any, run: int) -> Any:
    """A number by group, so that it broadcasts against `_rows(x, run)`."""
    if statistic.shape[2] == 1:
        return statistic.reshape(-1, 1)
    return np.tile(statistic.reshape(-1, 1, statistic.shape[2]), (1, 1, run))


def _forward(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any, Any]:
    """The result, and of each group the mean, variance and 1 / √(variance + eps), shaped (sample, group, 1) or
    (1, group, sample). Weight and bias are of (group, channel in the group), or None."""
    kernel = kernel_dispatch.groups(x, weight, bias)
    if kernel is not None:
        return kernel.group_norm(x, weight, bias, eps)  # type: ignore[no-any-return]
    out = np.empty(x.shape, x.dtype)
    n = x.shape[2] * x.shape[3]
    mean, var, scale = np.full((3, *x.shape[:2], x.shape[4]), math.nan, x.dtype)
    run = _run(x)
    for at in _parts(x.shape) if x.size else ():
        own, long = _groups(out[at]), _rows(out[at], run)
        each = _groups(x[at])
        mean[at] = usable(_sums(each) / n, each[:, 0]).reshape(mean[at].shape)
        np.subtract(_rows(x[at], run), _each(mean[at], run), long)
        var[at] = (_products(own, own) / n).reshape(var[at].shape)
        scale[at] = inverse_root(var[at], eps)
        long *= _each(scale[at], run)
        own = _flat(out[at])
        if weight is not None:
            own *= _wide(weight[at[1]], x)
        if bias is not None:
            own += _wide(bias[at[1]], x)
    return out, mean, var, scale


def _backward(
    g: Any, x: Any, weight: Any, mean: Any, scale: Any, g_mean: Any, g_var: Any, inner: bool
) -> tuple[Any, Any, Any]:
    """The gradients by x (if `inner`), weight and bias, these two of (group, channel in the group)."""
    kernel = kernel_dispatch.groups(x, g, weight, mean, scale)
    if kernel is not None:
        return kernel.group_norm_grad(g, x, weight, mean, scale, g_mean, g_var)  # type: ignore[no-any-return]
    n = x.shape[2] * x.shape[3]
    dx = np.empty(x.shape, x.dtype) if inner else None
    by_weight, by_bias = np.zeros((2, *x.shape[1:3]), x.dtype)
    run = _run(x)
    for at in _parts(x.shape) if x.size else ():
        own_scale = scale[at][:, :, None]
        centred = _rows(x[at], run) - _each(mean[at], run)
        total = _sums(g[at])  # of each channel of each sample
        along = _products(g[at], centred.reshape(x[at].shape)) * own_scale  # Σ g x̂
        by_weight[at[1]] += np.add.reduce(along, (0, 3))
        by_bias[at[1]] += np.add.reduce(total, (0, 3))
        if dx is not None:
            own = dx[at]
            if weight is None:
                own[...] = g[at]
            else:
                np.multiply(_flat(g[at]), _wide(weight[at[1]], x), _flat(own))
                total, along = total * weight[at[1], :, None], along * weight[at[1], :, None]
            # Per group: what goes, by the variance and by the mean, against all x.
            by_var = scale[at] * np.add.reduce(along, 2) - 2 * g_var[at] / scale[at]
            by_mean = np.add.reduce(total, 2) - g_mean[at] / scale[at]
            centred *= _each(by_var / n, run)
            own = _rows(own, run)
            own -= centred
            own -= _each(by_mean / n, run)
            own *= _each(scale[at], run)
    return dx, by_weight, by_bias


# -- the op ------------------------------------------------------------------------------------------------------


def _by_channel(vector: Any, groups: int) -> Any:
    return None if vector is None else np.reshape(vector, (groups, -1))


def _group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    _fits(x, num_groups, weight, bias)
    x = floats(x)
    innermost = _innermost(x)
    out, mean, var, scale = _forward(
        _five(x, num_groups, innermost), _by_channel(weight, num_groups), _by_channel(bias, num_groups), eps
    )
    mean = _table(mean)
    return _image(out, x.shape, innermost), mean, _table(var), mean, _table(scale)


def _plain(x: Any, num_groups: int, weight: Any, bias: Any, eps: float) -> Any:
    """What the forward computes, as formulas."""
    groups = np.reshape(x, (x.shape[0], num_groups, -1))
    mean = mean_of(groups, (2,))
    centred = groups - mean
    var = np.mean(centred * centred, 2, keepdims=True)
    scale = 1 / np.sqrt(var + eps)
    out = np.reshape(centred * scale, x.shape)
    kept = (1, -1) + (1,) * (len(x.shape) - 2)
    if weight is not None:
        out = out * np.reshape(weight, kept)
    if bias is not None:
        out = out + np.reshape(bias, kept)
    return out, mean[:, :, 0], var[:, :, 0], mean[:, :, 0], scale[:, :, 0]


def _group_norm_lowered(x: Any, num_groups: int, weight: Any, bias: Any, eps: float) -> Any:
    _fits(x, num_groups, weight, bias)
    return _plain(floats(x), num_groups, weight, bias, eps)


def _group_norm_reference(x: Any, num_groups: int, weight: Any, bias: Any, eps: float) -> Any:
    return _plain(x, num_groups, weight, bias, eps)[:3]


def _statistic(table: Any, innermost: bool) -> Any:
    """The inverse of `_table`."""
    return table.T[None] if innermost else table[:, :, None]


def _group_norm_joint(g: Any, wanted: Any, x: Any, weight: Any, centre: Any, scale: Any, num_groups: int) -> Any:
    g, g_mean, g_var = g
    x = floats(x)
    if type(g) is type(x) is np.ndarray:
        innermost = _innermost(x)
        dx, by_weight, by_bias = _backward(
            _five(g, num_groups, innermost),
            _five(x, num_groups, innermost),
            _by_channel(weight, num_groups),
            _statistic(centre, innermost),
            _statistic(scale, innermost),
            _statistic(g_mean, innermost),
            _statistic(g_var, innermost),
            "x" in wanted,
        )
        return {
            "x": dx if dx is None else _image(dx, x.shape, innermost),
            "weight": by_weight.reshape(-1),
            "bias": by_bias.reshape(-1),
        }
    shape = (x.shape[0], num_groups, x.shape[1] // num_groups, math.prod(x.shape[2:]))
    n = shape[2] * shape[3]
    g = np.reshape(g, shape)
    spread = scale[:, :, None, None]
    x_hat = (np.reshape(x, shape) - centre[:, :, None, None]) * spread
    found = {"weight": np.reshape(_sum(g * x_hat, (0, 3)), -1), "bias": np.reshape(_sum(g, (0, 3)), -1)}
    if "x" in wanted:
        if weight is not None:
            g = g * np.reshape(weight, (num_groups, -1, 1))
        along, total = (_sum(a, (2, 3), keepdims=True) for a in (g * x_hat, g))
        # Per group: what goes, by the variance and by the mean, against all x.
        by_var = (along * spread - 2 * g_var[:, :, None, None] / spread) / n
        by_mean = (total * spread - g_mean[:, :, None, None]) / n
        found["x"] = np.reshape(g * spread - x_hat * by_var - by_mean, x.shape)
    return found


group_norm_statistics = op(
    _group_norm,
    name="group_norm_statistics",
    outputs=3,
    residuals=("centre", "scale"),
    lower=_group_norm_lowered,
    reference=_group_norm_reference,
    nondiff=("num_groups",),
    joint=_group_norm_joint,
    label=lambda: "group norm",  # without the number of groups
    formula="x̂ · weight + bias, x̂ = (x − mean)/√(var + eps)",
    gradients="x: (h − mean(h) − x̂ · mean(h · x̂))/√(var + eps), h = g · weight; weight: Σ g · x̂; bias: Σ g",
    doc="""`tn.group_norm`, and with it the mean and the variance of each group of each sample.

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
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 4, 2)), 2, *params(r, 4)),
        sample(np.moveaxis(r.normal(size=(2, 3, 2)), -1, 0), 2, *params(r, 2)),
        sample(r.normal(size=(2, 4)), 1, None, r.normal(size=4), 1e-3),
    ],
)


@derived(
    samples=lambda r: [sample(r.normal(size=(2, 4, 1, 2)), 2, *params(r, 4)), sample(r.normal(size=(2, 4)), 1, eps=0.1)]
)
def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
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
def instance_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
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
    return instance_norm_statistics(x, weight, bias, eps)[0]


def instance_norm_statistics(x: Any, weight: Any, bias: Any, eps: float) -> Any:
    """`instance_norm` with the mean and the variance of each channel of each sample."""
    shape = np.shape(x)
    if math.prod(shape[2:]) < 2:
        raise ValueError(
            f"instance_norm: x {shape} has fewer than two positions per channel, so there is no variance to divide by: "
            "give (batch, channels, ...) with larger images"
        )
    return group_norm_statistics(x, shape[1], weight, bias, eps)
