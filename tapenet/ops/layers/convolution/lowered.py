"""The three products of small convolutions in plain NumPy, for a compiler: tap by tap, a product and a sum each; of many
channels, one product of the kernels with the windows as columns.

A compiled program joins them with what stands around them. Larger ones are called instead, as the columns or the
kernels that they are made of otherwise.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from tapenet.ops.layers.convolution.geometry import Ints, Plan, plan, reaches
from tapenet.program.symbols import Symbol
from tapenet.typing import Array

#: Why a compiler calls the others as they are.
OPAQUE = "the windows of an image are columns of memory, which no primitive makes"
#: Products for each element of a result, and in all, up to which taps are quicker than a call; and in all, up to which columns
#: are.
TAPS, WORK, COLUMNS = 32, 60_000, 2_500_000


def _by_taps(x: Array, p: Plan) -> bool:
    """Whether to add tap by tap, or to multiply columns: so in the turn of a loop, where a call costs as much as this.

    Raises:
        NotImplementedError: a convolution is too large for either.
    """
    if p.width <= TAPS and p.work <= WORK:
        return True
    turn = isinstance(x, Symbol) and x.builder.turn
    if not turn or p.work > COLUMNS or not p.work:
        raise NotImplementedError(OPAQUE)
    return False


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


def _columns(x: Array, p: Plan) -> Array:
    """The windows as (groups, width, batch · places)."""
    x = np.reshape(bordered(x, p), (p.batch, p.groups, p.channels // p.groups, *p.padded))
    x = np.moveaxis(x, 0, 2)
    seen = np.stack([x[:, :, :, *reach] for _, reach in p.taps], axis=2)
    return np.reshape(seen, (p.groups, p.width, -1))


def conv(x: Array, weight: Array, bias: Array | None, p: Plan) -> Array:
    """The convolution."""
    weight = np.reshape(weight, (p.groups, p.outs // p.groups, p.width))
    ones = (1,) * len(p.out)
    if not _by_taps(x, p):
        out = np.reshape(np.matmul(weight, _columns(x, p)), (p.outs, p.batch, *p.out))
        out = np.moveaxis(out, 1, 0) if p.batched else out[:, 0]
        return out if bias is None else out + np.reshape(bias, (-1, *ones))
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
        return _added(y, weight, p)
    axes = len(p.kernel)
    turned = weight.reshape(p.groups, -1, p.channels // p.groups, *p.kernel).swapaxes(1, 2)
    turned = np.flip(turned, tuple(range(3, 3 + axes))).reshape(p.channels, -1, *p.kernel)
    return conv(y, turned, None, plan(y.shape, turned.shape, p.stride, borders, p.dilation, p.groups, axes))


def _added(y: Array, weight: Array, p: Plan) -> Array:
    """The gradient by the input of any stride: the products of all columns, added up where their windows are."""
    _by_taps(y, p)
    rows = np.swapaxes(np.reshape(weight, (p.groups, p.outs // p.groups, p.width)), 1, 2)
    columns = np.matmul(rows, _places(y, p))
    columns = np.reshape(columns, (p.groups, p.channels // p.groups, len(p.taps), p.batch, *p.out))
    found = np.zeros_like(columns, shape=(p.groups, p.channels // p.groups, p.batch, *p.padded))
    for i, (_, reach) in enumerate(p.taps):
        found[:, :, :, *reach] += columns[:, :, i]
    found = np.reshape(found, (p.channels, p.batch, *p.padded))[:, :, *p.inside[1:]]
    return np.moveaxis(found, 1, 0) if p.batched else found[:, 0]


def _places(y: Array, p: Plan) -> Array:
    """A gradient by the result as (groups, outputs, batch · places)."""
    y = np.moveaxis(np.reshape(y, (p.batch, p.groups, p.outs // p.groups, -1)), 0, 2)
    return np.reshape(y, (p.groups, p.outs // p.groups, -1))


def weight_grad(x: Array, y: Array, shape: Ints, p: Plan) -> Array:
    """Its gradient by the weights."""
    if not _by_taps(y, p):
        return np.reshape(np.matmul(_places(y, p), np.swapaxes(_columns(x, p), 1, 2)), shape)
    y = np.reshape(y, (p.batch, p.groups, p.outs // p.groups, *p.out))
    others = (0, *range(3, 3 + len(p.out)))
    parts = [np.reshape(np.sum(seen * y, axis=others), (p.outs, 1)) for seen in _windows(x, p)]
    return np.reshape(np.concatenate(parts, axis=1), shape)
