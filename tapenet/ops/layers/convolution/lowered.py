"""The three products of small convolutions in plain NumPy, for a compiler: tap by tap, a product and a sum each.

A compiled program joins them with what stands around them. Larger ones are called instead, as the columns or the
kernels that they are made of otherwise.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np

from tapenet.ops.layers.convolution.geometry import Ints, Plan, plan, reaches
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
        for _, reach in p.taps:
            yield x[:, :, channel : channel + 1, *reach]


def conv(x: Array, weight: Array, bias: Array | None, p: Plan) -> Array:
    """The convolution."""
    _check(p)
    weight = np.reshape(weight, (p.groups, p.outs // p.groups, p.width))
    ones = (1,) * len(p.out)
    parts = (s * np.reshape(weight[:, :, i], (*weight.shape[:2], *ones)) for i, s in enumerate(_windows(x, p)))
    out = np.reshape(functools.reduce(np.add, parts), ((p.batch,) if p.batched else ()) + (p.outs, *p.out))
    return out if bias is None else out + np.reshape(bias, (-1, *ones))


def input_grad(y: Array, weight: Array, p: Plan) -> Array:
    """Its gradient by the input. With stride 1 that is the convolution of y with kernels whose elements stand the other way
    round, and what are inputs and outputs has changed places."""
    befores = [i.start for i in p.inside[1:]]
    afters = [n - i.stop for n, i in zip(p.padded, p.inside[1:], strict=True)]
    borders = tuple(
        (r - 1 - b, r - 1 - a) for r, b, a in zip(reaches(p.kernel, p.dilation), befores, afters, strict=True)
    )
    if any(s != 1 for s in p.stride) or min(map(min, borders)) < 0:
        raise NotImplementedError(OPAQUE)
    axes = len(p.kernel)
    turned = weight.reshape(p.groups, -1, p.channels // p.groups, *p.kernel).swapaxes(1, 2)
    turned = np.flip(turned, tuple(range(3, 3 + axes))).reshape(p.channels, -1, *p.kernel)
    return conv(y, turned, None, plan(y.shape, turned.shape, p.stride, borders, p.dilation, p.groups, axes))


def weight_grad(x: Array, y: Array, shape: Ints, p: Plan) -> Array:
    """Its gradient by the weights."""
    _check(p)
    y = np.reshape(y, (p.batch, p.groups, p.outs // p.groups, *p.out))
    others = (0, *range(3, 3 + len(p.out)))
    parts = [np.reshape(np.sum(seen * y, axis=others), (p.outs, 1)) for seen in _windows(x, p)]
    return np.reshape(np.concatenate(parts, axis=1), shape)
