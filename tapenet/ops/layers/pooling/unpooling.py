"""Unpooling: what max pooling found, put back where it was (Zeiler and Fergus, ECCV 2014)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.indexing.items import setitem
from tapenet.ops.layers.convolution.geometry import Ints, Size, spread_size
from tapenet.ops.layers.pooling.plane_indices import plane_places
from tapenet.ops.layers.pooling.windows import LAST, NAMES, by, named
from tapenet.ops.registry import Sample, sample
from tapenet.ops.shapes.reshaping import reshape
from tapenet.typing import Array


def _size(
    name: str, lengths: Ints, kernel_size: Size, stride: Size | None, padding: Size, output_size: Sequence[int] | None
) -> Ints:
    """The lengths of the result: those given if a pooling of them could have made x, else the shortest."""
    axes = len(lengths)
    kernel = spread_size(kernel_size, axes, f"{name}: kernel_size", 1)
    steps = kernel if stride is None else spread_size(stride, axes, f"{name}: stride", 1)
    borders = spread_size(padding, axes, f"{name}: padding", 0)
    least = tuple((n - 1) * s - 2 * p + k for n, s, p, k in zip(lengths, steps, borders, kernel, strict=True))
    if output_size is None:
        return least
    given = tuple(output_size)[-axes:]
    if len(given) != axes or any(abs(n - m) >= s for n, m, s in zip(given, least, steps, strict=True)):
        raise ValueError(
            f"{name}: output_size={tuple(output_size)} does not fit: a pooling to {by(lengths)} began with about "
            f"{by(least)}, less than one stride more or less"
        )
    return given


def _max_unpool_of(axes: int) -> Callable[..., Array]:
    """The function over so many axes."""
    name = f"max_unpool{axes}d"

    def unpool(
        x: Array,
        indices: Array,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        output_size: Sequence[int] | None = None,
    ) -> Array:
        x, indices = array_like(x), array_like(indices)
        if tuple(x.shape) != tuple(indices.shape) or len(x.shape) < axes or indices.dtype.kind not in "iu":
            raise ValueError(
                f"{name}: x has shape {tuple(x.shape)}, indices {tuple(indices.shape)} of {indices.dtype}; both have at "
                f"least {axes} axes and the same shape, and indices are the integers of "
                f"max_pool{axes}d(..., return_indices=True)"
            )
        lead = tuple(x.shape[: len(x.shape) - axes])
        size = _size(name, tuple(x.shape[len(lead) :]), kernel_size, stride, padding, output_size)
        planes, plane, count = math.prod(lead), math.prod(size), math.prod(x.shape[len(lead) :])
        places = plane_places(reshape(indices, (planes, count)), plane)
        zeros = np.zeros_like(x, shape=(planes * plane,))
        return reshape(setitem(zeros, reshape(x, -1), places), (*lead, *size))

    def samples(r: np.random.Generator) -> list[Sample]:
        shape, indices = ((2, 1, 2), [[[1, 2]], [[3, 0]]]) if axes == 1 else ((1,) * axes + (2,), [1, 2])
        calls = [sample(r.normal(size=shape), np.reshape(indices, shape), (1,) * (axes - 1) + (2,))]
        repeated = sample(r.normal(size=(2, 2)), np.array([[0, 4], [7, 7]]), 2, 1, 0, (3, 3))
        return [*calls, repeated] if axes == 2 else calls

    opened, closed, ones = "[" * axes, "]" * axes, "1, " * (axes - 1)
    doc = f"""What `max_pool{axes}d` found, put back where it was, in zeros.

    Where an index occurs more than once its last element stands there, and the others have gradient 0.

    Args:
        x: (batch, channels, {NAMES[axes].replace(" and", ",")}), or with other axes in front.
        indices: of the same shape: places in the last {LAST[axes]} of the result, counted row by row, as
            `max_pool{axes}d` gives them with return_indices=True.
        kernel_size, stride, padding: of the pooling.
        output_size: lengths of what was pooled, which several may fit; the other axes in front may stand there too. By
            default (length - 1) stride - 2 padding + kernel_size.

    Raises:
        ValueError: shapes that do not fit, or an output_size from which no such pooling begins.
        IndexError: an index beyond the result.

    >>> import numpy as np, tapenet as tn
    >>> tn.{name}(tn.tensor({opened}5.0, 7.0{closed}), np.array({opened}1, 2{closed}), ({ones}2,))
    Tensor({opened}0., 5., 7., 0.{closed})
    """
    return named(unpool, name, doc, samples)


max_unpool1d, max_unpool2d, max_unpool3d = map(_max_unpool_of, (1, 2, 3))
