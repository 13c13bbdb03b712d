"""Convolution in NumPy where a group has few output channels, as in a depthwise one.

A product of matrices with one row per output channel is none to speak of: for each number that it makes it reads as many
as a kernel has, and each was copied to stand in a column. So several rows of the output are made at once. The columns then
hold the windows along the other axes only, and all rows that these see; the kernels become banded matrices, each of whose
rows holds the kernel one stride further on. Most elements of a band's matrix are zeros, but BLAS multiplies by these in
less time than it takes to copy.

Arrays have the axes (groups, channels of a group, spatial axes, batch), in that order in memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tapenet.ops.layers.convolution.geometry import Plan, Record, reaches, taps_of

#: Rows of the output to make at a time: more of them share more copies, and multiply by more zeros.
ROWS = 8
#: Numbers in the columns of a band at most (1 MB of float32), to stay in the second-level cache.
MOST = 2**18


class _Band(Record):
    """Some rows of the output of some groups, made at a time."""

    groups: slice
    rows: slice
    count: int  # of rows
    seen: slice  # the rows of the input in its border that these see

    def like(self, other: _Band) -> bool:
        """Whether the same matrices serve both."""
        return self.groups == other.groups and self.count == other.count


def pays(p: Plan, least: int) -> bool:
    """Whether bands are faster than columns of whole windows, where these are so many in a row of the output or more."""
    return p.outs // p.groups <= 2 and p.kernel[0] > 1 and math.prod(p.out[1:]) * p.batch >= least


def conv(x: Any, weight: Any, p: Plan) -> Any:
    """The convolution of x in its border, without bias."""
    weight = weight.reshape(p.groups, -1, p.channels // p.groups, *p.kernel)
    out = np.empty((*weight.shape[:2], p.out[0], math.prod(p.out[1:]) * p.batch), np.result_type(x, weight))
    before: Any = None
    for band, columns in _columns(x, p):
        if before is None or not band.like(before):
            before, matrices = band, _matrices(weight[band.groups], band, p)
        np.matmul(matrices, columns[:, None], out=out[band.groups, :, band.rows])
    return out


def input_grad(y: Any, weight: Any, p: Plan) -> Any:
    """The gradient by x in its border, of an output gradient y: products by the transposed matrices, added up."""
    weight = weight.reshape(p.groups, -1, p.channels // p.groups, *p.kernel)
    found: Any = np.zeros((p.groups, p.channels // p.groups, *p.padded, p.batch), np.result_type(y, weight))
    y = y.reshape(*weight.shape[:2], p.out[0], -1)
    taps = list(taps_of(p.kernel[1:], p.out[1:], p.stride[1:], p.dilation[1:]))
    before: Any = None
    for band in _bands(p):
        part = y[band.groups, :, band.rows]
        if before is None or not band.like(before):
            before, matrices = band, _matrices(weight[band.groups], band, p)
            matrices = matrices.reshape(len(part), part.shape[1] * band.count, -1).swapaxes(1, 2)
        columns = np.matmul(matrices, part.reshape(len(part), -1, part.shape[-1]))
        columns = columns.reshape(len(part), weight.shape[2], -1, *p.kernel[1:], *p.out[1:], p.batch)
        into = found[band.groups, :, band.seen]
        for tap, reach in taps:
            into[(..., *reach, slice(None))] += columns[(slice(None),) * 3 + tap]
    return found


def weight_grad(x: Any, y: Any, p: Plan) -> Any:
    """The gradient by the weights, of x in its border and an output gradient y."""
    y = y.reshape(p.groups, p.outs // p.groups, p.out[0], -1)
    found = np.zeros((*y.shape[:2], p.channels // p.groups, *p.kernel), np.result_type(x, y))
    for band, columns in _columns(x, p):
        made = np.matmul(y[band.groups, :, band.rows], columns.swapaxes(1, 2)[:, None])
        made = made.reshape(*made.shape[:3], found.shape[2], -1, *p.kernel[1:])
        found[band.groups] += _diagonals(made, p).sum(axis=2)
    return found


def _bands(p: Plan) -> Iterator[_Band]:
    length, stride = p.out[0], p.stride[0]
    rows = -(-length // -(-length // ROWS))  # about as many in each band
    reach = reaches(p.kernel, p.dilation)[0]
    row = p.channels // p.groups * math.prod(p.kernel[1:]) * math.prod(p.out[1:]) * p.batch
    groups = max(1, MOST // max(1, row * ((rows - 1) * stride + reach)))
    for first in range(0, p.groups, groups):
        for start in range(0, length, rows):
            stop = min(start + rows, length)
            yield _Band(
                groups=slice(first, first + groups),
                rows=slice(start, stop),
                count=stop - start,
                seen=slice(start * stride, (stop - 1) * stride + reach),
            )


def _columns(x: Any, p: Plan) -> Iterator[tuple[_Band, Any]]:
    """The columns of each band: (groups, height, places in a row), in a buffer used anew."""
    x = x.reshape(p.groups, -1, *p.padded, p.batch)
    by_group, by_channel, by_row, *by_axis, by_batch = x.strides
    strides = (
        by_group,
        by_channel,
        by_row,
        *(s * d for s, d in zip(by_axis, p.dilation[1:], strict=True)),
        *(s * d for s, d in zip(by_axis, p.stride[1:], strict=True)),
        by_batch,
    )
    buffer = None
    for band in _bands(p):
        part = x[band.groups, :, band.seen]
        shape = (*part.shape[:3], *p.kernel[1:], *p.out[1:], p.batch)
        if buffer is None or buffer.shape != shape:
            buffer = np.empty(shape, x.dtype)
        np.copyto(buffer, np.lib.stride_tricks.as_strided(part, shape, strides))
        yield band, buffer.reshape(shape[0], math.prod(shape[1 : 2 + len(p.out)]), -1)


def _matrices(weight: Any, band: _Band, p: Plan) -> Any:
    """The kernels as banded matrices: (groups, outs of a group, rows, height of a column)."""
    seen = band.seen.stop - band.seen.start
    made = np.zeros((*weight.shape[:2], band.count, weight.shape[2], seen, *p.kernel[1:]), weight.dtype)
    _diagonals(made, p)[...] = weight[:, :, None]
    return made.reshape(*made.shape[:3], -1)


def _diagonals(matrices: Any, p: Plan) -> Any:
    """A view of what is no zero: (groups, outs of a group, rows, channels of a group, kernel)."""
    group, out, row, channel, place, *others = matrices.strides
    strides = (group, out, row + p.stride[0] * place, channel, p.dilation[0] * place, *others)
    return np.lib.stride_tricks.as_strided(matrices, (*matrices.shape[:4], *p.kernel), strides)
