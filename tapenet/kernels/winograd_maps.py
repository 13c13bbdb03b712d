"""Winograd's convolution (see `winograd`) of images whose channels are innermost in memory, for trained models.

Channels are the lanes of vectors, so any number of images and tiles will do, and the transforms are sums of whole vectors. Some
tiles are worked on at a time, whose sixteen matrices and products stay in the second level cache; what follows (bias, the sum
with another map, limits) is done before a result is written.
"""

from __future__ import annotations

import functools
import operator
from typing import NamedTuple

import numpy as np

from tapenet.kernels import channels_last
from tapenet.kernels.blocks import blocks
from tapenet.kernels.channels_last import Pair, places, prefetch
from tapenet.kernels.winograd import A, B, both
from tapenet.llvm.kernel import Array, Index, Kernel
from tapenet.llvm.processor import registers

#: Tiles that are worked on at a time at most, of 64 channels: their matrices and products have 256 kB each.
_TILES = 64
#: Tiles from which it is worth it: the sixteen matrices of a kernel are 16/9 as large. (One image takes 0.84 of the time
#: through a ResNet-18, 0.80 through a ResNet-8.)
_LEAST = 16
_G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
#: From a kernel's nine numbers to sixteen, and back.
_TURNED = np.kron(_G, _G)
_BACK = np.linalg.pinv(_TURNED)


class Shape(NamedTuple):
    """A convolution with 3 x 3 kernels.

    Attributes:
        maps: what it is; `width` is that of the blocks of channels.
    """

    maps: channels_last.Shape

    @property
    def tiles(self) -> Pair:
        """Rows and columns of tiles."""
        return -(-self.maps.out[0] // 2), -(-self.maps.out[1] // 2)

    @property
    def together(self) -> Pair:
        """How many images, and rows of tiles of each, are worked on at a time."""
        rows, columns = self.tiles
        if rows * columns >= _TILES:
            return 1, _divisor(rows, _TILES // columns)
        return _divisor(self.maps.batch, _TILES // (rows * columns)), rows

    @property
    def images(self) -> int:
        """How many parts there are that need nothing of each other."""
        images, rows = self.together
        return self.maps.batch // images * (self.tiles[0] // rows)

    @property
    def blocks(self) -> int:
        """How many blocks of channels there are."""
        return self.maps.blocks

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Numbers of a part's images within their borders, of a matrix of its inputs and of one of its results."""
        images, rows = self.together
        tiles = images * rows * self.tiles[1]
        # Not at a distance at which sixteen numbers compete for places in a cache.
        return (
            images * (2 * rows + 2) * (2 * self.tiles[1] + 2) * self.maps.channels,
            tiles * self.maps.channels + 16,
            tiles * self.maps.outs + 16,
        )

    @property
    def space(self) -> int:
        """How many numbers of memory it needs for itself."""
        image, inputs, results = self.sizes
        return image + 16 * (inputs + results)

    def flat(self) -> Shape:
        """The same."""
        return self


def _divisor(n: int, most: int) -> int:
    return max(d for d in range(1, max(1, min(n, most)) + 1) if n % d == 0)


def pays(s: channels_last.Shape, itemsize: int) -> bool:
    """Whether this beats the direct sum."""
    lanes = registers().bytes // itemsize
    tiles = s.batch * -(-s.out[0] // 2) * -(-s.out[1] // 2)
    plain = s.kernel == (3, 3) and s.stride == s.dilation == (1, 1) and s.inputs == s.channels
    return plain and s.channels % lanes == s.outs % lanes == 0 and tiles >= _LEAST


def packed(weight: np.ndarray, s: channels_last.Shape) -> np.ndarray:
    """The sixteen matrices of kernels (outs, channels, 3, 3), as (16, outs / width, channels, width)."""
    tiles = -(-s.out[0] // 2) * -(-s.out[1] // 2) * s.batch
    width = channels_last.width(s.outs, s.channels, (1, min(tiles, _TILES)), weight.itemsize)
    found = weight.reshape(s.outs, s.channels, 9).astype(np.float64) @ _TURNED.T
    found = found.transpose(2, 1, 0).reshape(16, s.channels, -1, width).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(found, weight.dtype)


def unpacked(weight: np.ndarray) -> np.ndarray:
    """The kernels (1, 3, 3, channels, outs) that matrices were made of."""
    kernels = _BACK @ weight.transpose(0, 2, 1, 3).reshape(16, -1).astype(np.float64)
    return kernels.reshape(1, 3, 3, weight.shape[2], -1).astype(weight.dtype)


def write(
    k: Kernel, s: Shape, x: Array, weight: Array, bias: Array, more: Array | None, out: Array, space: Array,
    images: tuple[Index, Index], span: tuple[Index, Index],
) -> None:  # fmt: skip
    """The code of one convolution, or of some of its parts. Arguments are those of `channels_last.write`, `weight` as `packed`
    gives it, `images` being parts, and `span` of blocks."""
    m, lanes = s.maps, k.lanes
    many, rows = s.together
    columns, bands = s.tiles[1], s.tiles[0] // rows
    image_size, inputs_size, results_size = s.sizes
    high, wide = 2 * rows + 2, 2 * columns + 2
    bordered = m._replace(padded=(high, wide))
    x, out = x.shaped(m.batch, *m.x, m.channels), out.shaped(m.batch, *m.out, m.outs)
    more = more and more.shaped(m.batch, *m.out, m.outs)
    seen = space.shaped(many, high, wide, m.channels)
    inputs = Array(k, space.at(image_size), (inputs_size, m.channels, 1), k.dtype)
    results = Array(k, space.at(image_size + 16 * inputs_size), (results_size, m.outs, 1), k.dtype)
    for part in k.turns(images[1], images[0]):
        first: Index = part * many if bands == 1 else part.op("udiv", part, bands)
        row: Index = 0 if bands == 1 else (part - first * bands) * rows
        for n in k.turns(many):
            for line in k.turns(high):
                channels_last.line(k, bordered, x.part(n + first), line + row * 2 - m.before[0], seen.part(n, line))
        for n in k.turns(many):
            for r in k.turns(rows):
                for c in k.turns(columns):
                    window, tile = seen.moved(n, r * 2, c * 2), (n * rows + r) * columns + c
                    for channel in k.turns(m.channels, 0, lanes):
                        d = [[window.load(0, i, j, channel, lanes=lanes) for j in range(4)] for i in range(4)]
                        for q, value in enumerate(v for line in both(B, d) for v in line):
                            inputs.store(value, q, tile, channel)
        _products(k, s, inputs, weight, results, many * rows * columns, span)
        for n in k.turns(many):
            for r in k.turns(rows):
                for c in k.turns(columns):
                    tile, y, x_ = (n * rows + r) * columns + c, (r + row) * 2, c * 2
                    for o in k.turns(span[1] * m.width, span[0] * m.width, lanes):
                        start = bias.load(o, lanes=lanes)
                        d = [[results.load(4 * i + j, tile, o, lanes=lanes) for j in range(4)] for i in range(4)]
                        for i, values in enumerate(both(A, d)):
                            for j, value in enumerate(values):
                                there = [y + i < m.out[0]] if i and m.out[0] % 2 else []
                                there += [x_ + j < m.out[1]] if j and m.out[1] % 2 else []
                                place = n + first, y + i, x_ + j, o
                                for _ in k.when(functools.reduce(operator.and_, there)) if there else range(1):
                                    channels_last.finish(k, m, value + start, more, out, place, lanes, None)


def _products(
    k: Kernel, s: Shape, inputs: Array, weight: Array, results: Array, tiles: int, span: tuple[Index, Index]
) -> None:  # fmt: skip
    """Each of the sixteen matrices of inputs times some blocks of its matrix of the kernels."""
    m, lanes = s.maps, k.lanes
    vectors = m.width // lanes
    weight = weight.shaped(16, m.blocks, m.channels, m.width)
    for q in k.turns(16):
        for block in k.turns(*span[::-1]):
            kernels = weight.part(q, block)
            for first, size in blocks(k, tiles, places(vectors)):
                sums = [[k.variable(k.number(0.0, lanes)) for _ in range(vectors)] for _ in range(size)]
                for t in k.turns(m.channels):
                    for line in range(0, m.width * k.dtype.itemsize, 64):
                        prefetch(k, kernels.moved(t), channels_last.AHEAD + line)
                    factors = [kernels.load(t, v * lanes, lanes=lanes) for v in range(vectors)]
                    for p, cells in enumerate(sums):
                        number = k.spread(inputs.load(q, first + p, t), lanes)
                        for cell, factor in zip(cells, factors, strict=True):
                            cell.set(number * factor + cell.value)
                for p, cells in enumerate(sums):
                    for v, cell in enumerate(cells):
                        results.store(cell.value, q, first + p, block * m.width + v * lanes)
