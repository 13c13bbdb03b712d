"""The op that resamples one axis: a matrix with few elements in each row, times the axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet.ops.layers.resampling.taps import Taps, linear
from tapenet.ops.op import Op, op
from tapenet.ops.registry import sample


def _resample(x: Any, taps: Taps, axis: int) -> Any:
    """In the memory order of x: the axis, all before and all behind it as one each."""
    if x.shape[axis] != taps.length:
        raise ValueError(f"axis {axis} of x, of shape {x.shape}, has not the {taps.length} elements of {taps}")
    if not taps.copies and x.dtype.kind != "f":
        x = x.astype(np.float64)
    order = sorted(range(x.ndim), key=lambda a: -abs(x.strides[a]))
    place = order.index(axis % x.ndim)
    x = np.ascontiguousarray(x.transpose(order))
    before, after = x.shape[:place], x.shape[place + 1 :]
    flat = x.reshape(math.prod(before), taps.length, math.prod(after))
    if taps.copies:
        found = flat.take(taps.index[0], axis=1)
    elif np.isfinite(np.add.reduce(flat, axis=None)):
        found = _by_blocks(flat, taps)
    else:  # in a product of matrices 0 · inf would spoil elements far away
        found = _by_taps(flat, taps)
    return found.reshape(*before, taps.out, *after).transpose(np.argsort(order))


def _by_blocks(x: Any, taps: Taps) -> Any:
    """The middle axis of x times the matrix, by products of its blocks."""
    found = np.empty((x.shape[0], taps.out, x.shape[2]), x.dtype)
    for rows, columns, matrix in taps.blocks(x.dtype):
        if x.shape[2] == 1:
            np.matmul(x[:, columns, 0], matrix.T, out=found[:, rows, 0])
        else:
            np.matmul(matrix, x[:, columns], out=found[:, rows])
    return found


def _by_taps(x: Any, taps: Taps) -> Any:
    """The same, tap by tap."""
    found = np.zeros((x.shape[0], taps.out, x.shape[2]), x.dtype)
    for index, weights in zip(taps.index, taps.weights.astype(x.dtype)[..., None], strict=True):
        part = x.take(index, axis=1)
        found += np.multiply(part, weights, out=np.zeros_like(part), where=weights != 0)
    return found


def _not_lowered(x: Any, taps: Taps, axis: int) -> Any:
    raise NotImplementedError("the blocks of its matrix are products, one by one")


resample: Op = op(
    _resample,
    name="resample",
    label=lambda taps: f"resample {taps.length} → {taps.out}",
    lower=_not_lowered,
    multiply_adds=lambda taps, out_shape: len(taps.index) * math.prod(out_shape),
    x=lambda g, taps, axis: resample(g, taps.transposed, axis),
    formula="Σ weight · x over the taps of each result, along an axis",
    gradients="x: the same of g, with the matrix transposed",
    doc="""One axis read at other places: each result is a weighted sum of few elements of the axis. It is linear, so its
    rule is itself with the transposed matrix.

    Args:
        x: an array.
        taps: which elements, and their weights; see `tapenet.ops.layers.resampling.taps`.
        axis: the axis.

    Returns:
        An array with `taps.out` elements along the axis, in the memory order of x.

    >>> import tapenet as tn
    >>> from tapenet.ops.layers.resampling.taps import linear
    >>> tn.resample(tn.tensor([0.0, 10.0]), linear(2, 4, False, None), 0)
    Tensor([ 0. ,  2.5,  7.5, 10. ])
    """,
    samples=lambda r: [
        sample(r.normal(size=(2, 3, 2)), linear(3, 5, False, None), 1),
        sample(r.normal(size=(2, 3)), linear(3, 2, True, None).transposed.transposed, -1),
        sample(r.normal(size=(2, 5)), linear(3, 5, False, None).transposed, -1),
    ],
)
