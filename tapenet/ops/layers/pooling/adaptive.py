"""Adaptive pooling: an axis is cut into so many parts, of which part i reaches from ⌊i · length / parts⌋ to
⌈(i + 1) · length / parts⌉. Where they are all alike it is pooling as usual."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.layers.convolution.geometry import Ints
from tapenet.ops.layers.pooling.maximum import max_pool_with_indices
from tapenet.ops.layers.pooling.mean import AVG, MAX
from tapenet.ops.layers.pooling.plane_indices import largest_at
from tapenet.ops.layers.pooling.windows import LAST, NAMES, named, spread
from tapenet.ops.layers.resampling.axis import resample
from tapenet.ops.layers.resampling.taps import area_bounds, areas
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array


def _targets(
    name: str, x: Array, output_size: int | tuple[int | None, ...] | list[int | None] | None, axes: int
) -> Ints:
    """The lengths of the result; None keeps that of x."""
    if len(x.shape) < axes:
        raise ValueError(f"{name}: x has shape {tuple(x.shape)}; it needs at least {axes} axes: {NAMES[axes]}")
    sizes = tuple(x.shape[len(x.shape) - axes :])
    given = spread(output_size, axes)
    if len(given) != axes or not all(t is None or (isinstance(t, (int, np.integer)) and t >= 1) for t in given):
        raise ValueError(
            f"{name}: output_size={output_size!r}: give an integer of 1 or more, or {axes} of them; None keeps a length"
        )
    if 0 in sizes:
        raise ValueError(f"{name}: x has shape {tuple(x.shape)}: there is nothing to pool along an axis of length 0")
    return tuple(n if t is None else int(t) for t, n in zip(given, sizes, strict=True))


# -- mean --------------------------------------------------------------------------------------------------------


def adaptive_avg_pool(x: Array, outs: Ints) -> Array:
    """The mean of each part, over as many last axes as there are lengths of the result."""
    axes = len(outs)
    sizes = tuple(x.shape[len(x.shape) - axes :])
    even = tuple(n // m if n % m == 0 else 1 for n, m in zip(sizes, outs, strict=True))
    if math.prod(even) > 1 or sizes == outs:
        x = AVG[axes](x, even)
    for axis, (n, m) in enumerate(zip(sizes, outs, strict=True), len(x.shape) - axes):
        if n % m:
            x = resample(x, areas(n, m), axis)
    return x


def _adaptive_avg_pool_of(axes: int) -> Callable[..., Array]:
    """The function over so many axes."""
    name = f"adaptive_avg_pool{axes}d"

    def pool(x: Array, output_size: int | tuple[int | None, ...] | list[int | None] | None) -> Array:
        x = array_like(x)
        return adaptive_avg_pool(x, _targets(name, x, output_size, axes))

    opened, closed, ones = "[" * axes, "]" * axes, "1, " * (axes - 1)
    doc = f"""The mean of each part of the last {LAST[axes]}, which are cut into as many parts as the result has elements.

    Part i of an axis reaches from ⌊i · length / parts⌋ up to ⌈(i + 1) · length / parts⌉. With output_size 1 it is the mean
    of the plane, and costs as much.

    Args:
        x: (batch, channels, {NAMES[axes].replace(" and", ",")}), or with other axes in front.
        output_size: lengths of the result, an integer, or one for each axis; None keeps that of x.

    Raises:
        ValueError: the lengths do not fit the axes.

    >>> import tapenet as tn
    >>> tn.{name}(tn.tensor({opened}1.0, 2.0, 6.0{closed}), ({ones}2,))
    Tensor({opened}1.5, 4. {closed})
    """
    return named(pool, name, doc, lambda r: _samples(r, axes, 5))


def _samples(r: np.random.Generator, axes: int, length: int) -> list[Sample]:
    calls: list[tuple[Ints, int | tuple[int | None, ...]]] = [
        ((1,) * (3 - axes) + (1, 2, length)[-axes:], (1, 1, 3)[-axes:])
    ]
    if axes == 2:
        calls += [((1, 2, 2, 3), (None, 1)), ((2, 2), 3)]
    return [sample(r.permutation(math.prod(shape)).reshape(shape) * 0.1, size) for shape, size in calls]


# -- maximum -----------------------------------------------------------------------------------------------------


def _parts(length: int, out: int) -> Array:
    """Which elements each part of an axis has, (most, out). A part that is shorter than others repeats its last element,
    which is not larger than itself."""
    begin, end = area_bounds(length, out)
    places: Array = np.minimum(begin + np.arange((end - begin).max())[:, None], end - 1)
    return places


def _adaptive_max_pool_of(axes: int) -> Callable[..., Array | tuple[Array, Array]]:
    """The function over so many axes."""
    name = f"adaptive_max_pool{axes}d"

    def pool(
        x: Array, output_size: int | tuple[int | None, ...] | list[int | None] | None, return_indices: bool = False
    ) -> Array | tuple[Array, Array]:
        x = array_like(x)
        outs = _targets(name, x, output_size, axes)
        sizes = tuple(x.shape[len(x.shape) - axes :])
        if all(n % m == 0 for n, m in zip(sizes, outs, strict=True)):
            kernel = tuple(n // m for n, m in zip(sizes, outs, strict=True))
            pooled: Array | tuple[Array, Array] = (max_pool_with_indices if return_indices else MAX[axes])(x, kernel)
            return pooled
        return largest_at(x, list(map(_parts, sizes, outs)), return_indices)

    opened, closed, ones = "[" * axes, "]" * axes, "1, " * (axes - 1)
    doc = f"""The largest element of each part of the last {LAST[axes]}, which are cut into as many parts as the result has
    elements; see `adaptive_avg_pool{axes}d` for where they lie.

    The gradient goes to that element; of equal ones to the first, row by row.

    Args:
        x: (batch, channels, {NAMES[axes].replace(" and", ",")}), or with other axes in front.
        output_size: lengths of the result, an integer, or one for each axis; None keeps that of x.
        return_indices: return a pair, the second of it where the elements are: their places in the last {LAST[axes]},
            counted row by row.

    Raises:
        ValueError: the lengths do not fit the axes.

    >>> import tapenet as tn
    >>> tn.{name}(tn.tensor({opened}1.0, 2.0, 6.0{closed}), ({ones}2,))
    Tensor({opened}2., 6.{closed})
    """
    return named(pool, name, doc, lambda r: [*_samples(r, axes, 5), *_samples(r, axes, 6)[:1]])


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = map(_adaptive_avg_pool_of, (1, 2, 3))
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = map(_adaptive_max_pool_of, (1, 2, 3))
