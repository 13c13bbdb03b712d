"""The op that resamples one axis: a matrix with few elements in each row, times the axis."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapenet import kernels
from tapenet.ops.layers.resampling.taps import Taps, linear
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array

#: A product with a block is quicker than reading tap by tap (linear taps of float32: 2 to 4 times), unless it is this much
#: wider than there are taps.
_WIDE = 16


def taken_in_order(x: Array, index: Array, axis: int) -> Array:
    """The elements at `index` along an axis, in the memory order of x."""
    return _along(x, axis, len(index), lambda flat, out: flat.take(index, axis=1, out=out, mode="clip"))


def _along(x: Array, axis: int, length: int, compute: Callable[[Array, Array], object]) -> Array:
    """What makes another length of one axis, in the memory order of x: it is given that as (before, axis, after), all other
    axes as one, and where to put the result."""
    order = sorted(range(x.ndim), key=lambda a: -abs(x.strides[a]))
    place = order.index(axis % x.ndim)
    x = np.ascontiguousarray(x.transpose(order))
    before, after = x.shape[:place], x.shape[place + 1 :]
    found = kernels.empty((*before, length, *after), x.dtype, tuple(order))
    first, last = math.prod(before), math.prod(after)
    compute(x.reshape(first, x.shape[place], last), found.reshape(first, length, last))
    return found.transpose(np.argsort(order))


def _product(x: Array, taps: Taps, finite: bool, found: Array) -> None:
    """The middle axis of x times the matrix."""
    blocks = taps.blocks(x.dtype)
    columns = sum(matrix.shape[1] for _, _, matrix in blocks) / len(blocks)
    last = x.shape[2] == 1
    if not finite or columns > len(taps.index) * _WIDE * (2 if last else 1):
        _by_taps(x, taps, finite, found)
        return
    for rows, place, matrix in blocks:
        if last:
            np.matmul(x[:, place, 0], matrix.T, out=found[:, rows, 0])
        else:
            np.matmul(matrix, x[:, place], out=found[:, rows])


def _by_taps(x: Array, taps: Taps, finite: bool, found: Array) -> None:
    """The same, tap by tap."""
    for t, (index, weights) in enumerate(zip(taps.index, taps.weights.astype(x.dtype)[..., None], strict=True)):
        part = x.take(index, axis=1, out=None if t else found, mode="clip")
        if finite:
            part *= weights
        else:
            np.copyto(part, np.multiply(part, weights, out=np.zeros_like(part), where=weights != 0))
        if t:
            found += part


def _resample_x(g: Array, taps: Taps, axis: int) -> Array:
    return resample(g, taps.transposed, axis)


@op(
    label=lambda taps, axis: f"resample {taps.length} → {taps.out} along axis {axis}",
    opaque="the blocks of its matrix are products, one by one",
    memory="alike",
    multiply_adds=lambda taps, out_shape: len(taps.index) * math.prod(out_shape),
    x=_resample_x,
    gradients="x: the same of g, with the matrix transposed",
    vmap="axis",
    samples=lambda r: [
        sample(r.normal(size=(2, 3, 2)), linear(3, 5, False, None), 1),
        sample(r.normal(size=(2, 3)), linear(3, 2, True, None).transposed.transposed, -1),
        sample(r.normal(size=(2, 5)), linear(3, 5, False, None).transposed, -1),
    ],
)
def resample(x: Array, taps: Taps, axis: int) -> Array:
    """One axis read at other places: each result is a weighted sum of few elements of the axis. It is linear, so its
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
    """
    if x.shape[axis] != taps.length:
        raise ValueError(f"axis {axis} of x, of shape {x.shape}, has not the {taps.length} elements of {taps}")
    if taps.copies:
        return taken_in_order(x, taps.index[0], axis)
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    # In a product of matrices 0 · inf would spoil elements far away.
    finite = bool(np.isfinite(np.add.reduce(x, axis=None)))
    return _along(x, axis, taps.out, lambda flat, out: _product(flat, taps, finite, out))
