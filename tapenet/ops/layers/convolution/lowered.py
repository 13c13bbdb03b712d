"""The three products of small convolutions in plain NumPy, for a compiler: tap by tap, a product and a sum each.

A compiled program joins them with what stands around them. Larger ones are called instead, as the columns or the
kernels that they are made of otherwise.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np

from tapenet.ops.layers.convolution.geometry import Ints, Padding, Plan, Size, plan, taps_of
from tapenet.ops.layers.convolution.spatial import check_bias, mirrored
from tapenet.typing import Array

#: Why a compiler calls the others as they are.
OPAQUE = "the windows of an image are columns of memory, which no primitive makes"
#: Products for each element of a result, and in all, up to which this is quicker than a call.
TAPS, WORK = 32, 60_000


def _check(p: Plan) -> None:
    """Raise if a convolution is too large."""
    if p.width > TAPS or math.prod(p.out) * p.batch * p.outs * p.width > WORK:
        raise NotImplementedError(OPAQUE)


def bordered(x: Array, p: Plan) -> Array:
    """x within its border of zeros."""
    if not p.bordered:
        return x
    borders = [(i.start, n - i.stop) for n, i in zip(p.padded, p.inside[1:], strict=True)]
    return np.pad(x, [(0, 0)] * (len(x.shape) - len(borders)) + borders)


def _windows(x: Array, p: Plan) -> Iterator[Array]:
    """For each column of the kernels, that is input channel and tap: what the taps of all windows see, as (batch, groups,
    1, spatial axes)."""
    x = np.reshape(bordered(x, p), (p.batch, p.groups, p.channels // p.groups, *p.padded))
    for channel in range(p.channels // p.groups):
        for _, reach in taps_of(p.kernel, p.out, p.stride, p.dilation):
            yield x[(slice(None), slice(None), slice(channel, channel + 1), *reach)]


def _conv(x: Array, weight: Array, bias: Array | None, p: Plan) -> Array:
    weight = np.reshape(weight, (p.groups, p.outs // p.groups, p.width))
    ones = (1,) * len(p.out)
    parts = (s * np.reshape(weight[:, :, i], (*weight.shape[:2], *ones)) for i, s in enumerate(_windows(x, p)))
    out = functools.reduce(np.add, parts)
    out = np.reshape(out, ((p.batch,) if p.batched else ()) + (p.outs, *p.out))
    return out if bias is None else out + np.reshape(bias, (-1, *ones))


def conv(x: Array, weight: Array, bias: Array, stride: Size, padding: Padding, dilation: Size, groups: int) -> Array:
    """The convolution."""
    p = plan(x.shape, weight.shape, stride, padding, dilation, groups, len(weight.shape) - 2)
    check_bias(bias, p.outs)
    _check(p)
    return _conv(x, weight, bias, p)


def input_grad(
    y: Array, weight: Array, shape: Ints, stride: Size, padding: Padding, dilation: Size, groups: int
) -> Array:
    """Its gradient by the input, as a convolution, with stride 1."""
    p = plan(tuple(shape), weight.shape, stride, padding, dilation, groups, len(weight.shape) - 2)
    found = mirrored(y, weight, p)
    if found is None:
        raise NotImplementedError(OPAQUE)
    turned, q = found
    _check(q)
    return _conv(y, turned, None, q)


def weight_grad(x: Array, y: Array, shape: Ints, stride: Size, padding: Padding, dilation: Size, groups: int) -> Array:
    """Its gradient by the weights."""
    p = plan(x.shape, tuple(shape), stride, padding, dilation, groups, len(shape) - 2)
    _check(p)
    y = np.reshape(y, (p.batch, p.groups, p.outs // p.groups, *p.out))
    others = (0, *range(3, 3 + len(p.out)))
    parts = [np.reshape(np.sum(seen * y, axis=others), (p.outs, 1)) for seen in _windows(x, p)]
    return np.reshape(np.concatenate(parts, axis=1), shape)
