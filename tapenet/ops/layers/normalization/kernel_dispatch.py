"""Normalisation of channels and groups in machine code, where there is a kernel that pays: None where there is not.

Groups are given to kernels as arrays of five axes: (sample, group, channel in the group, position, 1) or, where the batch is
innermost in memory, as results of convolutions have it, (1, group, channel in the group, position, sample).
"""

from __future__ import annotations

import functools
import math
from types import ModuleType

import numpy as np

from tapenet import kernels
from tapenet.typing import Array, Shape

#: Elements from which a kernel is quicker than NumPy's passes. Its code is for all lengths, and compiled once.
WORTH = 8192
#: Runs of fewer elements are left to NumPy, which takes several at once.
SHORT = 8


def _kernel(topic: str, x: Array, *others: Array | None) -> ModuleType | None:
    """The kernels of a topic, if there are any for these arrays, else None. Those of x's shape must be in C order."""
    if any(a is not None and a.shape == x.shape and not a.flags.c_contiguous for a in (x, *others)):
        return None
    return kernels.use(topic)


def _fit(x: Array, *others: Array | None) -> bool:
    plain = all(a is None or type(a) is np.ndarray for a in (x, *others))
    return plain and x.size >= WORTH and kernels.fit(x, *others)


# -- channels ----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def _order(shape: Shape, strides: Shape, axis: int) -> tuple[Shape, Shape, Shape, Shape]:
    """The axes of an array by falling stride, the inverse permutation, the lengths in that order, and the three
    lengths that these are to the channels: before, of and after them."""
    axis = axis % len(shape)
    order = tuple(sorted(range(len(shape)), key=lambda i: -strides[i]))
    inverse = tuple(order.index(i) for i in range(len(shape)))
    lengths = tuple(shape[i] for i in order)
    place = inverse[axis]
    return order, inverse, lengths, (math.prod(lengths[:place]), shape[axis], math.prod(lengths[place + 1 :]))


def batch_norm(
    x: Array, weight: Array | None, bias: Array | None, eps: float, axis: int
) -> tuple[Array, Array, Array, Array] | None:
    """The result, and of each channel the mean, the variance and 1 / √(variance + eps)."""
    if not _fit(x, weight, bias):
        return None
    order, inverse, lengths, three = _order(x.shape, x.strides, axis)
    x = x.transpose(order).reshape(three)
    kernel = _kernel("normalization", x) if three[2] >= 2 * SHORT else None
    if kernel is None:
        return None
    out, mean, var, scale = kernel.batch_norm(x, weight, bias, eps)
    return out.reshape(lengths).transpose(inverse), mean, var, scale


def batch_norm_grad(
    g: Array, x: Array, weight: Array | None, mean: Array, scale: Array, g_mean: Array, g_var: Array, axis: int
) -> tuple[Array, Array, Array] | None:
    """The gradients by x, weight and bias, where those by the means and the variances are given too."""
    if not _fit(x, g, weight):
        return None
    order, inverse, lengths, three = _order(x.shape, x.strides, axis)
    g, x = g.transpose(order).reshape(three), x.transpose(order).reshape(three)
    kernel = _kernel("normalization", x, g) if three[2] >= 2 * SHORT else None
    if kernel is None:
        return None
    dx, along, total = kernel.batch_norm_grad(g, x, weight, mean.reshape(-1), scale.reshape(-1), g_mean, g_var)
    return dx.reshape(lengths).transpose(inverse), along, total


# -- groups ------------------------------------------------------------------------------------------------------


def _innermost(x: Array) -> bool:
    """Whether the batch is the innermost axis in memory."""
    return bool(x.shape[0] > 1 and x.ndim > 2 and np.moveaxis(x, 0, -1).flags.c_contiguous)


def _five(x: Array, groups: int, innermost: bool) -> Array:
    """An image as five axes, a view where its memory has that order."""
    n, channels, positions = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    if not innermost:
        return x.reshape(n, groups, channels // groups, positions, 1)
    last = np.moveaxis(x, 0, -1)
    moves = kernels.use("moves")
    if moves is not None and not last.flags.c_contiguous:
        last = moves.batch_last(last)
    return last.reshape(1, groups, channels // groups, positions, n)


def _image(five: Array, shape: Shape, innermost: bool) -> Array:
    return np.moveaxis(five.reshape(*shape[1:], shape[0]), -1, 0) if innermost else five.reshape(shape)


def _table(statistic: Array) -> Array:
    """(sample, group, 1) or (1, group, sample) as (sample, group)."""
    return statistic[:, :, 0] if statistic.shape[2] == 1 else statistic[0].T


def _by_channel(vector: Array | None, groups: int) -> Array | None:
    return None if vector is None else np.reshape(vector, (groups, -1))


def _groups(x: Array, *others: Array) -> ModuleType | None:
    positions, batch = x.shape[3:]
    return _kernel("groups", x, *others) if (positions if batch == 1 else batch) >= SHORT else None


def group_norm(
    x: Array, groups: int, weight: Array | None, bias: Array | None, eps: float
) -> tuple[Array, Array, Array, Array] | None:
    """The result, and of each group of each sample the mean, the variance and 1 / √(variance + eps)."""
    if not _fit(x, weight, bias):
        return None
    innermost = _innermost(x)
    five = _five(x, groups, innermost)
    kernel = _groups(five)
    if kernel is None:
        return None
    out, *tables = kernel.group_norm(five, _by_channel(weight, groups), _by_channel(bias, groups), eps)
    mean, var, scale = map(_table, tables)
    return _image(out, x.shape, innermost), mean, var, scale


def group_norm_grad(
    g: Array,
    x: Array,
    groups: int,
    weight: Array | None,
    mean: Array,
    scale: Array,
    g_mean: Array | None,
    g_var: Array | None,
) -> tuple[Array, Array, Array] | None:
    """The gradients by x, weight and bias, where those by the means and the variances are given too."""
    if not _fit(x, g, weight):
        return None
    innermost = _innermost(x)
    upper, five = _five(g, groups, innermost), _five(x, groups, innermost)
    kernel = _groups(five, upper)
    if kernel is None:
        return None
    given = (mean, scale, *(np.zeros_like(mean) if a is None else a for a in (g_mean, g_var)))
    tables = (a.T[None] if innermost else a[:, :, None] for a in given)
    dx, by_weight, by_bias = kernel.group_norm_grad(upper, five, _by_channel(weight, groups), *tables)
    return _image(dx, x.shape, innermost), by_weight.reshape(-1), by_bias.reshape(-1)
