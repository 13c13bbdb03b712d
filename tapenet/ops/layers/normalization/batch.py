"""Batch normalisation: each channel brought to mean 0 and variance 1 over the batch and all positions.

In training one block of channels at a time is centred, measured, scaled and shifted in place in the result, while it is
in the cache. The gradient centres the input anew, so that between the two nothing is kept but the input itself.
Derivatives of higher order come from the same formula in plain NumPy (`reference=`), where the statistics are functions
of the input.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tapenet.ops.layers.normalization import kernel_dispatch
from tapenet.ops.layers.normalization.common import (
    LONG,
    blocks,
    inverse_root,
    mean_of,
    params,
    row_products,
    usable,
)
from tapenet.ops.op import op
from tapenet.ops.reductions.sums import sum as _sum
from tapenet.ops.registry import sample
from tapenet.ops.shapes.reshaping import floats
from tapenet.program.runs import column_dots, column_sums, row_dots, row_sums

Ints = tuple[int, ...]


def _others(ndim: int, axis: int) -> Ints:
    """All axes but one."""
    axis = axis % ndim
    return tuple(i for i in range(ndim) if i != axis)


def _kept(shape: Ints, axis: int) -> Ints:
    """The shape that lets a vector along `axis` broadcast against `shape`."""
    axis = axis % len(shape)
    return tuple(n if i == axis else 1 for i, n in enumerate(shape))


def _vectors(x: Any, axis: int, **vectors: Any) -> Ints:
    """Check that parameters are vectors along `axis` of x; the shape in which they broadcast against it."""
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"x has shape {x.shape}, which has no axis {axis} for the channels")
    length = x.shape[axis]
    for name, vector in vectors.items():
        if vector is not None and vector.shape != (length,):
            raise ValueError(
                f"{name} has shape {vector.shape}; x {x.shape} has {length} channels in axis {axis}: give ({length},)"
            )
    return _kept(x.shape, axis)


# -- in training -------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def _order(shape: Ints, strides: Ints, axis: int) -> tuple[Ints, Ints, Ints, Ints]:
    """The axes of an array by falling stride, the inverse permutation, the lengths in that order, and the three
    lengths that these are to the channels: before, of and after them."""
    axis = axis % len(shape)
    order = tuple(sorted(range(len(shape)), key=lambda i: -strides[i]))
    inverse = tuple(order.index(i) for i in range(len(shape)))
    lengths = tuple(shape[i] for i in order)
    place = inverse[axis]
    return order, inverse, lengths, (math.prod(lengths[:place]), shape[axis], math.prod(lengths[place + 1 :]))


def _channel_sums(x: Any) -> Any:
    """The sum of each channel of (before, channels, after)."""
    before, channels, after = x.shape
    if after == 1:
        return column_sums(x[:, :, 0])
    sums = row_sums(x.reshape(-1, after))
    return sums if before == 1 else column_sums(sums.reshape(before, channels))


def _channel_products(a: Any, b: Any) -> Any:
    """Σ a b of each channel of (before, channels, after)."""
    if a.shape[0] == 1:
        return row_products(a[0], b[0])
    if a.shape[2] >= LONG:
        return column_sums(row_dots(a, b))
    return np.add.reduce(column_dots(_flat(a), _flat(b)).reshape(a.shape[1:]), 1)


def _flat(x: Any) -> Any:
    """(before, channels, after) as a matrix: of channels as rows if nothing is before them, else of what is before."""
    return x[0] if x.shape[0] == 1 else x.reshape(x.shape[0], -1)


def _spread(vector: Any, x: Any) -> Any:
    """A vector by channel, so that it broadcasts against `_flat(x)` along long runs of memory."""
    if x.shape[0] == 1:
        return vector[:, None]
    return vector if x.shape[2] == 1 else np.repeat(vector, x.shape[2])


def _channel_blocks(x: Any) -> Any:
    """Slices of the channels of (before, channels, after): all at once where they do not lie apart in memory."""
    return blocks(x.shape[1], x.shape[2]) if x.shape[0] == 1 else [slice(None)]


def _forward(x: Any, weight: Any, bias: Any, eps: float) -> tuple[Any, Any, Any, Any]:
    """The result, mean, variance and 1 / √(variance + eps) of each channel of (before, channels, after)."""
    kernel = kernel_dispatch.kernel(x, weight, bias)
    if kernel is not None and x.shape[2] >= LONG:
        return kernel.batch_norm(x, weight, bias, eps)  # type: ignore[no-any-return]
    before, channels, after = x.shape
    n = before * after
    out = np.empty(x.shape, x.dtype)
    mean, var, scale = np.empty((3, channels), x.dtype)
    for c in _channel_blocks(x):
        part, made = x[:, c], out[:, c]
        own = _flat(made)
        mean[c] = usable(_channel_sums(part) / n, part[0, :, 0])
        np.subtract(_flat(part), _spread(mean[c], part), own)
        var[c] = _channel_products(made, made) / n
        scale[c] = inverse_root(var[c], eps)
        own *= _spread(scale[c] if weight is None else scale[c] * weight[c], part)
        if bias is not None:
            own += _spread(bias[c], part)
    return out, mean, var, scale


def _backward(
    g: Any, x: Any, weight: Any, mean: Any, scale: Any, g_mean: Any, g_var: Any, inner: bool
) -> tuple[Any, Any, Any]:
    """The gradients by x (if `inner`), weight and bias, all of (before, channels, after) or by channel."""
    kernel = kernel_dispatch.kernel(x, g, weight, mean, scale)
    if kernel is not None and x.shape[2] >= LONG:
        return kernel.batch_norm_grad(g, x, weight, mean, scale, g_mean, g_var)  # type: ignore[no-any-return]
    before, channels, after = x.shape
    n = before * after
    dx = np.empty(x.shape, x.dtype) if inner else None
    along, total = np.empty((2, channels), x.dtype)
    for c in _channel_blocks(x):
        part, own_g = x[:, c], g[:, c]
        centred = _flat(part) - _spread(mean[c], part)
        total[c] = _channel_sums(own_g)
        along[c] = _channel_products(own_g, centred.reshape(part.shape)) * scale[c]  # Σ g x̂
        if dx is not None:
            factor = scale[c] if weight is None else scale[c] * weight[c]
            # Per channel: what goes against the result itself and, by the variance and by the mean, against all x.
            centred *= _spread((factor * scale[c] * along[c] - 2 * g_var[c]) / n, part)
            centred += _spread((factor * total[c] - g_mean[c]) / n, part)
            own = np.multiply(_flat(own_g), _spread(factor, part), _flat(dx[:, c]))
            own -= centred
    return dx, along, total


def _batch_norm_train(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, axis: int = 1) -> Any:
    kept = _fits(x, weight, bias, axis)
    x = floats(x)
    order, inverse, lengths, three = _order(x.shape, x.strides, axis)
    out, mean, var, scale = _forward(x.transpose(order).reshape(three), weight, bias, eps)
    return out.reshape(lengths).transpose(inverse), mean, var, mean.reshape(kept), scale.reshape(kept)


def _fits(x: Any, weight: Any, bias: Any, axis: int) -> Ints:
    kept = _vectors(x, axis, weight=weight, bias=bias)
    if math.prod(x.shape[i] for i in _others(x.ndim, axis)) < 2:
        raise ValueError(
            f"x {x.shape} has fewer than two values per channel, so there is no variance to divide by: use a larger "
            "batch, or put the layer in eval mode"
        )
    return kept


def _batch_norm_train_lowered(x: Any, weight: Any, bias: Any, eps: float, axis: int) -> Any:
    _fits(x, weight, bias, axis)
    return _plain(floats(x), weight, bias, eps, axis)


def _batch_norm_train_reference(x: Any, weight: Any, bias: Any, eps: float, axis: int) -> Any:
    return _plain(x, weight, bias, eps, axis)[:3]


def _plain(x: Any, weight: Any, bias: Any, eps: float, axis: int) -> Any:
    """What the forward computes, as formulas."""
    axes, kept = _others(x.ndim, axis), _kept(x.shape, axis)
    mean = mean_of(x, axes)
    centred = x - mean
    var = np.mean(centred * centred, axes, keepdims=True)
    scale = 1 / np.sqrt(var + eps)
    out = centred * (scale if weight is None else scale * np.reshape(weight, kept))
    if bias is not None:
        out = out + np.reshape(bias, kept)
    return out, np.reshape(mean, -1), np.reshape(var, -1), mean, scale


def _batch_norm_train_joint(
    g: Any, wanted: Any, x: Any, weight: Any, centre: Any, scale: Any, axis: int
) -> dict[str, Any]:
    g, g_mean, g_var = g
    if type(g) is type(x) is np.ndarray:
        x = floats(x)
        order, inverse, lengths, three = _order(x.shape, x.strides, axis)
        dx, along, total = _backward(
            g.transpose(order).reshape(three),
            x.transpose(order).reshape(three),
            weight,
            centre.reshape(-1),
            scale.reshape(-1),
            g_mean,
            g_var,
            "x" in wanted,
        )
        return {
            "x": dx if dx is None else dx.reshape(lengths).transpose(inverse),
            "weight": along,
            "bias": total,
        }
    axes, kept = _others(g.ndim, axis), _kept(g.shape, axis)
    total = _sum(g, axes, keepdims=True)
    centred = floats(x) - centre
    along = _sum(g * centred, axes, keepdims=True) * scale
    factor = scale if weight is None else scale * np.reshape(weight, kept)
    n = math.prod(g.shape[i] for i in axes)
    by_var = (factor * scale * along - 2 * np.reshape(g_var, kept)) / n
    by_mean = (factor * total - np.reshape(g_mean, kept)) / n
    return {
        "x": g * factor - (centred * by_var + by_mean),
        "weight": np.reshape(along, -1),
        "bias": np.reshape(total, -1),
    }


batch_norm_train = op(
    _batch_norm_train,
    name="batch_norm_train",
    outputs=3,
    residuals=("centre", "scale"),
    lower=_batch_norm_train_lowered,
    reference=_batch_norm_train_reference,
    joint=_batch_norm_train_joint,
    label="batch norm",
    formula="x̂ · weight + bias, x̂ = (x − mean)/√(var + eps)",
    gradients="x: (h − mean(h) − x̂ · mean(h · x̂))/√(var + eps), h = g · weight; weight: Σ g · x̂; bias: Σ g",
    doc="""Each channel brought to mean 0 and variance 1 over all other axes, then scaled and shifted:
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
    """,
    samples=lambda r: [
        sample(r.normal(size=(4, 2)), *params(r, 2)),
        sample(r.normal(size=(2, 3, 2, 2)), *params(r, 3)),
        sample(r.normal(size=(3, 2, 2)), r.uniform(0.5, 1.5, 2), None, 1e-3),
        sample(r.normal(size=(3, 2)), axis=-1),
    ],
)


# -- in evaluation -----------------------------------------------------------------------------------------------


def _batch_norm(
    x: Any, mean: Any, var: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5, axis: int = 1
) -> Any:
    kept = _vectors(x, axis, mean=mean, var=var, weight=weight, bias=bias)
    factor = 1 / np.sqrt(var + eps)
    if weight is not None:
        factor *= weight
    shift = -mean * factor if bias is None else bias - mean * factor
    out = x * factor.reshape(kept)
    out += shift.reshape(kept)
    return out


def _products(a: Any, b: Any, axes: Ints) -> Any:
    """Σ a b over axes."""
    if type(a) is type(b) is np.ndarray:  # one pass, no array of products
        every = list(range(a.ndim))
        return np.einsum(a, every, b, every, [i for i in every if i not in axes])
    return _sum(a * b, axes)


def _batch_norm_joint(g: Any, wanted: Any, x: Any, mean: Any, var: Any, weight: Any, eps: float, axis: int) -> Any:
    axes, kept = _others(g.ndim, axis), _kept(g.shape, axis)
    scale = 1 / np.sqrt(var + eps)
    factor = scale if weight is None else scale * weight
    found = {}
    if "x" in wanted:
        found["x"] = g * np.reshape(factor, kept)
    if wanted & {"mean", "bias"}:
        total = _sum(g, axes)
        found |= {"bias": total, "mean": -factor * total}
    if wanted & {"var", "weight"}:
        along = _products(g, floats(x) - np.reshape(mean, kept), axes) * scale
        found |= {"weight": along, "var": along * factor * scale * -0.5}
    return found


batch_norm = op(
    _batch_norm,
    name="batch_norm",
    joint=_batch_norm_joint,
    label="batch norm",
    formula="x̂ · weight + bias, x̂ = (x − mean)/√(var + eps)",
    gradients="x: g · weight/√(var + eps); mean: −Σ g · weight/√(var + eps); "
    "var: −½ Σ g · weight · x̂/(var + eps); weight: Σ g · x̂; bias: Σ g",
    doc="""Each channel normalised by the given statistics, then scaled and shifted:
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
    """,
    samples=lambda r: [
        sample(r.normal(size=(3, 2)), r.normal(size=2), r.uniform(0.5, 1.5, 2), *params(r, 2)),
        sample(r.normal(size=(2, 3, 2, 2)), r.normal(size=3), r.uniform(0.5, 1.5, 3)),
        sample(r.normal(size=(2, 3)), r.normal(size=3), r.uniform(0.5, 1.5, 3), r.normal(size=3), axis=-1),
    ],
)
