"""Fractional max pooling: windows of one size whose places are drawn, so that lengths shrink by any factor.

Graham, Fractional Max-Pooling, arXiv:1412.6071 (2014).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.ops.layers.convolution.geometry import Ints, Size, spread_size
from tapenet.ops.layers.pooling.plane_indices import largest_at
from tapenet.ops.layers.pooling.windows import LAST, NAMES, by, named, spread
from tapenet.ops.random import uniform
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array


def _places(drawn: Array, length: int, out: int, kernel: int) -> Array:
    """Which elements windows have, (kernel, ..., out): they begin about evenly, as the drawn number of each plane shifts
    them."""
    last = np.full((*drawn.shape, 1), length - kernel)
    if out > 1:
        step = (length - kernel) / (out - 1)
        drawn = np.expand_dims(drawn, -1)
        starts = np.floor((np.arange(out - 1) + drawn) * step) - np.floor(drawn * step)
        last = np.concatenate([starts.astype(np.intp), last], -1)
    return last + np.reshape(np.arange(kernel), (kernel, *(1,) * last.ndim))


def _lengths(
    name: str,
    sizes: Ints,
    kernel: Ints,
    axes: int,
    output_size: Size | None,
    output_ratio: float | tuple[float, ...] | list[float] | None,
) -> Ints:
    """How many windows there are along each axis."""
    if (output_size is None) == (output_ratio is None):
        raise ValueError(f"{name}: give either output_size or output_ratio")
    if output_ratio is None:
        outs = spread_size(output_size, axes, f"{name}: output_size", 1)
    else:
        ratios = spread(output_ratio, axes)
        if len(ratios) != axes or not all(0 < r < 1 for r in ratios):
            raise ValueError(f"{name}: output_ratio={output_ratio!r}: give a number between 0 and 1, or {axes} of them")
        outs = tuple(int(n * r) for n, r in zip(sizes, ratios, strict=True))
    if any(m < 1 or m + k - 1 > n for n, m, k in zip(sizes, outs, kernel, strict=True)):
        raise ValueError(
            f"{name}: {by(outs)} windows of {by(kernel)} do not fit into {by(sizes)}: along each axis there may be at "
            "most length - kernel_size + 1"
        )
    return outs


def _fractional_max_pool_of(axes: int) -> Callable[..., Array | tuple[Array, Array]]:
    """The function over so many axes."""
    name = f"fractional_max_pool{axes}d"

    def pool(
        x: Array,
        kernel_size: Size,
        output_size: Size | None = None,
        output_ratio: float | tuple[float, ...] | list[float] | None = None,
        return_indices: bool = False,
        _random_samples: Array | None = None,
        *,
        rng: np.random.Generator | int | None = None,
    ) -> Array | tuple[Array, Array]:
        x = array_like(x)
        if len(x.shape) not in (axes + 1, axes + 2):
            raise ValueError(
                f"{name}: x has shape {tuple(x.shape)}; it must be (batch, channels, {NAMES[axes].replace(' and', ',')}) "
                "or without the batch"
            )
        lead, sizes = tuple(x.shape[:-axes]), tuple(x.shape[-axes:])
        kernel = spread_size(kernel_size, axes, f"{name}: kernel_size", 1)
        outs = _lengths(name, sizes, kernel, axes, output_size, output_ratio)
        drawn = array_like(uniform(size=(*lead, axes), rng=rng) if _random_samples is None else _random_samples)
        if math.prod(drawn.shape) != math.prod(lead) * axes:
            raise ValueError(
                f"_random_samples has shape {drawn.shape}; for x of shape {x.shape} it must be (batch, channels, {axes})"
            )
        drawn = np.reshape(drawn, (*lead, axes)).astype(np.float64)
        order = (
            range(axes)[::-1] if axes == 2 else range(axes)
        )  # PyTorch takes the width first, but the depth before it
        places = [_places(drawn[..., i], *each) for i, *each in zip(order, sizes, outs, kernel, strict=True)]
        return largest_at(x, places, return_indices)

    def samples(r: np.random.Generator) -> list[Sample]:
        shape = (1, 2, 3, 3) if axes == 2 else (1, 2, 2, 3)
        x = r.permutation(18 if axes == 2 else 12).reshape(shape) * 0.1
        drawn = r.uniform(size=(*shape[:-axes], axes))
        calls = [sample(x, (1, 2, 2)[-axes:], (2, 1, 2) if axes == 3 else (2, 2), None, False, drawn)]
        return calls if axes == 3 else [*calls, sample(x, 2, output_ratio=0.7, return_indices=True, rng=3)]

    opened, closed, ones = "[" * axes, "]" * axes, "1, " * (axes - 1)
    doc = f"""The largest element of windows of one size whose places are drawn, in the last {LAST[axes]}; so the lengths of
    the result need not divide those of x. Graham, arXiv:1412.6071 (2014).

    The gradient goes to the largest element; of equal ones to the first, row by row.

    Args:
        x: (batch, channels, {NAMES[axes].replace(" and", ",")}), or without the batch.
        kernel_size: size of the windows, an integer, or one for each axis.
        output_size: lengths of the result, an integer, or one for each axis.
        output_ratio: in place of output_size: how long the result is relative to x, a number between 0 and 1, or one for
            each axis.
        return_indices: return a pair, the second of it where the elements are: their places in the last {LAST[axes]},
            counted row by row.
        _random_samples: (batch, channels, {axes}), numbers from 0 to 1 that say where the windows of each plane lie, as in
            PyTorch; they are drawn if they are not given.
        rng: a generator or an integer to draw from; by default the generator that `tn.random.seed` seeds.

    Raises:
        ValueError: neither or both of output_size and output_ratio, or more windows than fit.

    >>> import tapenet as tn
    >>> tn.{name}(tn.tensor([{opened}1.0, 2.0, 4.0, 3.0{closed}]), ({ones}3,), ({ones}2,))
    Tensor([{opened}4., 4.{closed}])
    """
    return named(pool, name, doc, samples)


fractional_max_pool2d, fractional_max_pool3d = map(_fractional_max_pool_of, (2, 3))
