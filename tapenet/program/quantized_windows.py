"""Convolution of 8-bit integers as a row of the table of primitives, with what quantized models have behind it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from tapenet.kernels.quantized_maps import GROUP, Shape
from tapenet.program import windows
from tapenet.program.primitives import PRIMITIVES, Params, Primitive, Spec
from tapenet.typing import Array

Pair = tuple[int, ...]


def shape_of(args: Sequence[Spec], params: Params) -> Shape:
    """What a convolution is.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    x, weight, factor, shift, *more = (a.shape for a in args)
    (outs,) = factor
    kernel = params["kernel"]
    alone = len(weight) == 4
    maps = windows.geometry(x, kernel, outs, outs if alone else weight[4], alone, params)
    found = Shape(maps, params["zero"], params.get("share", 0.0), bool(params["rounded"]))
    groups = -(-kernel[0] // GROUP), kernel[1], outs
    turns = 1 if params["dilation"][1] == 1 else kernel[1]
    expected = (*groups, GROUP) if alone else (
        -(-outs // weight[4]), kernel[0], turns, -(-found.run // GROUP), weight[4], GROUP
    )  # fmt: skip
    if weight != expected or shift != factor or (alone and outs != x[3]):
        raise ValueError(f"a convolution of {x} with kernels {weight}, factors {factor} and shifts {shift}")
    if any(m != (x[0], *maps.out, outs) for m in more):
        raise ValueError(f"{more[0]} is added to {(x[0], *maps.out, outs)}")
    return found


def _infer(args: Sequence[Spec], params: Params) -> list[Spec]:
    m = shape_of(args, params).maps
    return [Spec((m.batch, *m.out, m.outs), np.dtype(np.uint8 if params["rounded"] else np.float32))]


def packed(weight: Array, alone: bool, dilated: bool, width: int) -> Array:
    """int8 kernels (height, width, channels, outs), or (height, width, channels) by channel, as they are read."""
    if alone:
        high, wide, channels = weight.shape
        rows = -(-high // GROUP)
        found = np.zeros((rows * GROUP, wide, channels), np.int8)
        found[:high] = weight
        return np.ascontiguousarray(found.reshape(rows, GROUP, wide, channels).transpose(0, 2, 3, 1))
    high, wide, channels, outs = weight.shape
    turns, run = (wide, channels) if dilated else (1, wide * channels)
    groups, blocks = -(-run // GROUP), -(-outs // width)
    found = np.zeros((high, turns, groups * GROUP, blocks * width), np.int8)
    found[:, :, :run, :outs] = weight.reshape(high, turns, run, outs)
    found = found.reshape(high, turns, groups, GROUP, blocks, width)
    return np.ascontiguousarray(found.transpose(4, 0, 1, 2, 5, 3))


def _unpacked(weight: Array, kernel: Pair, channels: int, outs: int) -> Array:
    """The inverse, as floats of double precision, in which sums are exact."""
    high, wide = kernel
    if weight.ndim == 4:
        return np.moveaxis(weight, 3, 1).reshape(-1, wide, channels)[:high].astype(float)
    _, _, turns, groups, _, _ = weight.shape
    found = weight.transpose(1, 2, 3, 5, 0, 4).reshape(high, turns, groups * GROUP, -1)
    return found[:, :, : wide * channels // turns, :outs].reshape(high, wide, channels, outs).astype(float)


def _evaluate(
    x: Array, weight: Array, factor: Array, shift: Array, *more: Array, kernel: Pair, stride: Pair,
    borders: tuple[Pair, Pair], dilation: Pair, zero: int, rounded: bool, share: float = 0.0,
    low: float | None = None, high: float | None = None,
) -> Array:  # fmt: skip
    alone = weight.ndim == 4
    kernels = _unpacked(weight, kernel, x.shape[3], len(factor))
    seen = np.pad(x, [(0, 0), *borders, (0, 0)], constant_values=zero).astype(float)
    ends = [n - d * (k - 1) for n, k, d in zip(seen.shape[1:3], kernel, dilation, strict=True)]
    total: Array = np.zeros(1)
    for i, j in itertools.product(*map(range, kernel)):
        a, b = i * dilation[0], j * dilation[1]
        part = seen[:, a : a + ends[0] : stride[0], b : b + ends[1] : stride[1]]
        total = total + (part * kernels[i, j] if alone else part @ kernels[i, j])
    value = total.astype(np.float32) * factor + shift
    for other in more:
        value = value + other.astype(np.float32) * np.float32(share)
    if low is not None:
        value = np.where(np.float32(low) > value, np.float32(low), value)
    if high is not None:
        value = np.where(np.float32(high) < value, np.float32(high), value)
    return np.rint(value).astype(np.uint8) if rounded else value


PRIMITIVES["quantized_convolve"] = Primitive(
    "convolution", _infer, _evaluate, "x, weight, factor, shift, *more",
    "the cross-correlation of uint8 maps (batch, height, width, channels), within borders of zero, with int8 kernels (blocks, "
    "height, turns, groups, outs in a block, 4), or (groups of rows, width, channels, 4) by channel; the exact sums times "
    "factor plus shift, plus more times share; at least low, at most high; rounded to uint8, or not",
    "(batch, height', width', outs), uint8 or float32",
)  # fmt: skip
