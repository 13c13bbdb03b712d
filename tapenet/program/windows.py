"""Convolution as a row of the table of primitives: channels innermost, with what follows it in networks."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from tapenet.kernels import winograd_maps
from tapenet.kernels.channels_last import Shape
from tapenet.program.primitives import PRIMITIVES, Params, Primitive, Spec
from tapenet.typing import Array

Pair = tuple[int, ...]
#: Elements of a kernel for one channel at most: they are unrolled.
MOST_TAPS = 49


def geometry(x: Pair, kernel: Pair, outs: int, width: int, alone: bool, params: Params) -> Shape:
    """A convolution of maps x, with channels of the result in blocks of a width.

    Raises:
        ValueError: the kernel does not fit into x.
    """
    borders, dilation, stride = params["borders"], params["dilation"], params["stride"]
    padded = tuple(before + n + after for n, (before, after) in zip(x[1:3], borders, strict=True))
    out = tuple((n - d * (k - 1) - 1) // s + 1 for n, k, d, s in zip(padded, kernel, dilation, stride, strict=True))
    if len(x) != 4 or min(out) < 1:
        raise ValueError(f"a convolution of {x} with kernels of {kernel}")
    before = borders[0][0], borders[1][0]
    return Shape(x[0], x[3], outs, alone, params.get("groups", 1), x[1:3], out, kernel, stride, dilation, before, padded,
                 width, params.get("low"), params.get("high"))  # fmt: skip


def shape_of(args: Sequence[Spec], params: Params) -> Shape | winograd_maps.Shape:
    """What a convolution is, and how it is computed.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    x, weight, bias, *more = (a.shape for a in args)
    alone, tiles = len(weight) == 3, len(weight) == 4
    if tiles:
        weight = (weight[1], 3, 3, *weight[2:])
    outs, groups = weight[-1] * (1 if alone else weight[0]), params.get("groups", 1)
    if len(x) != 4 or bias != (outs,) or x[3] != groups * weight[-1 if alone else 3]:
        raise ValueError(f"a convolution of {x} with kernels {weight} and bias {bias}")
    if groups > 1 and (alone or tiles or weight[0] % groups):
        raise ValueError(f"a convolution of {groups} groups with kernels {weight}")
    found = geometry(x, weight[:2] if alone else weight[1:3], outs, weight[-1], alone, params)
    if any(m != (x[0], *found.out, outs) for m in more):
        raise ValueError(f"{more[0]} is added to {(x[0], *found.out, outs)}")
    return winograd_maps.Shape(found) if tiles else found


def _infer(args: Sequence[Spec], params: Params) -> list[Spec]:
    s = shape_of(args, params).maps
    return [Spec((s.batch, *s.out, s.outs), args[0].dtype)]


def _evaluate(
    x: Array, weight: Array, bias: Array, *more: Array, stride: Pair, borders: tuple[Pair, Pair], dilation: Pair,
    groups: int = 1, low: float | None = None, high: float | None = None,
) -> Array:  # fmt: skip
    x = np.pad(x, [(0, 0), *borders, (0, 0)])
    alone = weight.ndim == 3
    if weight.ndim == 4:
        weight = winograd_maps.unpacked(weight)
    if not alone:  # (blocks, *kernel, channels, width)
        weight = np.moveaxis(weight, 0, -2)
        weight = weight.reshape(*weight.shape[:3], -1)
    ends = [n - d * (k - 1) for n, k, d in zip(x.shape[1:3], weight.shape, dilation, strict=False)]
    total: Array = bias
    for i, j in itertools.product(*map(range, weight.shape[:2])):
        a, b = i * dilation[0], j * dilation[1]
        seen = x[:, a : a + ends[0] : stride[0], b : b + ends[1] : stride[1]]
        if alone:
            total = total + seen * weight[i, j]
        else:
            pairs = zip(np.split(seen, groups, -1), np.split(weight[i, j], groups, -1), strict=True)
            total = total + np.concatenate([a @ b for a, b in pairs], -1)
    for other in more:
        total = total + other
    total = total if low is None else np.maximum(total, np.asarray(low, total.dtype))
    return total if high is None else np.minimum(total, np.asarray(high, total.dtype))


def multiply_adds(shape: Shape) -> int:
    """How many multiplications, each with an addition, a convolution takes."""
    return shape.batch * math.prod(shape.out) * shape.outs * shape.inputs * math.prod(shape.kernel)


PRIMITIVES["convolve"] = Primitive(
    "convolution", _infer, _evaluate, "x, weight, bias, *more",
    "the cross-correlation of maps (batch, height, width, channels), within borders of zeros, with kernels (blocks, height, "
    "width, channels of a group, outs in a block), or (height, width, channels) by channel, or as sixteen matrices (16, "
    "blocks, channels, outs in a block) by Winograd's algorithm; plus bias and more; at least low, at most high",
    "(batch, height', width', outs)",
)  # fmt: skip
