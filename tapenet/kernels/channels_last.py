"""Convolution of images whose channels are innermost in memory, for trained models: any batch, stride and size of maps.

A result's channels are the lanes of vectors, so small maps, strides and single images cost no more than large ones do. A
tile of the result, some places times some vectors of channels, stays in registers while what the window sees is added up:
one number of the input, spread to all lanes, times a row of the kernels, which lie as (blocks, height, width, channels, outs of
a block), so that they are read from end to end.
What follows (bias, the sum with another map, limits) is done before the tile is written.

An image with a border is copied into one first, which costs little beside the sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from tapenet.kernels.blocks import blocks, even, move
from tapenet.llvm.code import fetch
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.processor import registers

#: Of height and width.
Pair = tuple[int, ...]
#: Rows of a band of a map at least.
BAND = 4


class Shape(NamedTuple):
    """A convolution.

    Attributes:
        batch, channels, outs: as they say; `alone`: each channel has a kernel of its own (outs = channels).
        groups: of channels, which are seen by as many groups of outs; 1 where channels are alone.
        x, out: of the maps.
        kernel, stride, dilation: as they say.
        before, padded: the border in front, and the size of a map within its borders.
        width: channels of the result in a block, all that are computed together.
        low, high: what results are at least and at most, if anything.
        bands: of rows that the maps of the result are cut into. All have as many; the last one begins within the one before it
            if they do not go evenly.
    """

    batch: int
    channels: int
    outs: int
    alone: bool
    groups: int
    x: Pair
    out: Pair
    kernel: Pair
    stride: Pair
    dilation: Pair
    before: Pair
    padded: Pair
    width: int
    low: float | None
    high: float | None
    bands: int = 1

    @property
    def maps(self) -> Shape:
        """Itself."""
        return self

    @property
    def inputs(self) -> int:
        """How many channels a result sees."""
        return 1 if self.alone else self.channels // self.groups

    @property
    def images(self) -> int:
        """How many parts there are that need nothing of each other."""
        return self.batch * self.bands

    @property
    def band(self) -> Shape:
        """One part."""
        rows = -(-self.out[0] // self.bands)
        seen = (rows - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation[0] + 1
        part = self._replace(batch=1, bands=1, out=(rows, self.out[1]), padded=(seen, self.padded[1]))
        return part if self.bordered else part._replace(x=part.padded)

    def cut(self, most: int) -> Shape:
        """The same in bands, so many at most."""
        rows = -(-self.out[0] // max(1, min(most, self.out[0] // BAND)))
        return self._replace(bands=-(-self.out[0] // rows))

    @property
    def bordered(self) -> bool:
        """Whether there is a border."""
        return self.padded != self.x

    @property
    def blocks(self) -> int:
        """How many blocks of channels there are."""
        return self.outs // self.width

    @property
    def space(self) -> int:
        """How many numbers of memory it needs for itself."""
        return math.prod(self.band.padded) * self.channels if self.bordered else 0

    def flat(self) -> Shape:
        """The same of one long row, where each result sees one place only."""
        if self.kernel != (1, 1) or self.stride != (1, 1) or self.bordered:
            return self
        row = 1, self.batch * math.prod(self.x)
        return self._replace(batch=1, x=row, out=row, padded=row)


def write(
    k: Kernel, s: Shape, x: Array, weight: Array, bias: Array, more: Array | None, out: Array, space: Array,
    images: tuple[Index, Index], blocks: tuple[Index, Index],
) -> None:  # fmt: skip
    """The code of one convolution, or of a part of it.

    Args:
        k: the running kernel.
        s: what it is.
        x: (batch, *x, channels).
        weight: (outs / width, *kernel, inputs, width); (*kernel, outs) where channels are alone.
        bias: (outs,).
        more: what is added to the result, shaped like it, or None.
        out: (batch, *out, outs).
        space: memory of its own for `s.space` numbers.
        images, blocks: from where to where.
    """
    x = x.shaped(s.batch, *s.x, s.channels)
    out = out.shaped(s.batch, *s.out, s.outs)
    more = more and more.shaped(s.batch, *s.out, s.outs)
    m = s.band if s.bordered else s.band.flat()
    write_part = _each if s.alone else _all
    weight = weight.shaped(s.blocks, math.prod(s.kernel) * s.inputs * s.width)

    def one(part: Value, image: Array, block: Value) -> None:
        first = block * s.width
        others, result = (a and rows_of(k, part, s, a, m).moved(0, 0, first) for a in (more, out))
        assert result is not None
        write_part(k, m, image, weight.part(block), bias.moved(first), others, result)

    if s.groups > 1:  # kernels are small, and blocks many
        for part in k.turns(images[1], images[0]):
            image = seen(k, s, m, x, part, space if s.bordered else None)
            for block in k.turns(blocks[1], blocks[0]):
                group = block.op("udiv", block, s.blocks // s.groups)
                one(part, image.moved(0, 0, group * s.inputs), block)
        return
    for block in k.turns(blocks[1], blocks[0]):  # outermost, so that many images need not fetch all kernels anew
        for part in k.turns(images[1], images[0]):
            one(part, seen(k, s, m, x, part, space if s.bordered else None), block)


def _place(k: Kernel, part: Value, s: Shape) -> tuple[Value, Index]:
    """The image of a part, and the first row of its results."""
    if s.bands == 1:
        return part, 0
    n, rows = part.op("udiv", part, s.bands), -(-s.out[0] // s.bands)
    row = (part - n * s.bands) * rows
    return n, row.at_most(s.out[0] - rows)


def rows_of(k: Kernel, part: Value, s: Shape, maps: Array, band: Shape) -> Array:
    """A part of what is shaped as the result."""
    n, row = _place(k, part, s)
    return maps.part(n).moved(row).shaped(*band.out, s.outs)


# -- the border --------------------------------------------------------------------------------------------------


def seen(
    k: Kernel, s: Shape, band: Shape, x: Array, part: Value, space: Array | None, number: int = 0
) -> Array:  # fmt: skip
    """What the windows of a part see: in x, or in `space`, if there is any, copied within its border of a number."""
    n, row = _place(k, part, s)
    if space is None:
        return x.part(n).moved(row * s.stride[0]).shaped(*band.x, s.channels)
    image = space.shaped(*band.padded, s.channels)
    for i in k.turns(band.padded[0]):
        line(k, s, x.part(n), i + row * s.stride[0] - s.before[0], image.part(i), number)
    return image


def line(k: Kernel, s: Shape, x: Array, y: Value, target: Array, number: int = 0) -> None:
    """Copy a row of a map into its border, of which all is number if there is no such row. What does not fit in at the end is
    cut off."""
    target = target.shaped(1)
    left, c, wide = s.before[1], s.channels, s.padded[1]
    some = min(s.x[1], wide - left)
    inside = y.compare("ult", s.x[0])
    for _ in k.when(inside):
        move(k, number, target, left * c)
        move(k, x.part(y).shaped(1), target.moved(left * c), some * c)
        move(k, number, target.moved((left + some) * c), (wide - left - some) * c)
    for _ in k.when(~inside):
        move(k, number, target, wide * c)


# -- sums over all channels --------------------------------------------------------------------------------------

#: Vectors of channels in a tile, and places, at most.
_VECTORS, _PLACES = 4, 14
#: Vectors of a single place, so that sums need not wait for each other.
_ALONE = 8
#: Bytes ahead of which kernels are fetched that are larger than the first level cache: processors do so by themselves within a
#: page alone. (One image through a ResNet-18 takes 0.87 of the time so.)
AHEAD = 4096
#: Bytes of a block's kernels up to which a cycle brings so many of them: from the first level cache, from the next as far as
#: they come in time, and from further away. (So 512 channels on a map of 4x4 take 0.7 of the time of blocks of 64.)
NEAR = 24_000
_READ = ((NEAR, 128), (300_000, 32), (math.inf, 20))


def even_lanes(outs: int, itemsize: int) -> int:
    """The lanes of vectors for so many channels: no more than it takes."""
    lanes = registers().bytes // itemsize
    while lanes > 4 and outs <= lanes // 2:
        lanes //= 2
    return lanes


def most(out: Pair) -> int:
    """How many vectors of channels a tile of a map has at most."""
    return _ALONE if math.prod(out) == 1 else _VECTORS


def places(vectors: int, each: int = 1) -> int:
    """How many places a tile of so many vectors has at most, for which there are registers: `each` for a vector of weights."""
    return max(1, min(_PLACES, (registers().number - 2 * each - vectors * each) // vectors))


def width(outs: int, inputs: int, out: Pair, itemsize: int) -> int:
    """How many channels of a result are best computed together, of `outs` with so many inputs each: many, so that a number of
    the input serves several vectors; few where kernels do not fit the first level cache, since a tile reads them once for
    all its places."""
    lanes = even_lanes(outs, itemsize)
    vectors, rest = divmod(outs, lanes)
    if rest or vectors == 1:
        return outs

    def cycles(some: int) -> float:
        """A turn of the sums for all channels and places."""
        tiles = _sizes(out, places(some))
        row = some * lanes * itemsize
        read = row / next(each for most, each in _READ if inputs * row <= most)
        return vectors / some * sum(n * max(4, places * some / 2, (places + some) / 2, read) for places, n in tiles)

    return lanes * min((n for n in range(most(out), 0, -1) if vectors % n == 0), key=cycles)


def _rows(out: Pair, places: int) -> int:
    """Rows of a tile."""
    return max(1, min(out[0], places // out[1]))


def _sizes(out: Pair, places: int) -> list[tuple[int, int]]:
    """The places of the tiles of a map, and how many such tiles there are."""
    rows = even(out[0], _rows(out, places))
    columns = list(even(out[1], min(out[1], places)))
    return [(high * wide, n * m) for _, n, high in rows for _, m, wide in columns]


def tiles(k: Kernel, out: Pair, places: int) -> Iterator[tuple[Index, Index, int, int]]:
    """A map in tiles of so many places at most: where each begins, its rows and columns."""
    for y, high in blocks(k, out[0], _rows(out, places)):
        for x, wide in blocks(k, out[1], min(out[1], places)):
            yield y, x, high, wide


def _all(k: Kernel, s: Shape, image: Array, weight: Array, bias: Array, more: Array | None, out: Array) -> None:
    """A block of channels."""
    lanes = even_lanes(s.width, k.dtype.itemsize)
    dense = s.dilation[1] == s.groups == 1
    run = s.inputs * (s.kernel[1] if dense else 1)  # what a window sees in one dense run
    turns = 1 if dense else s.kernel[1]
    kernels = weight.shaped(s.kernel[0], turns, run, s.width)
    across = min(most(s.out), -(-s.width // lanes))

    def columns(first: Index, counts: list[int | None]) -> None:
        for y, x, high, wide in tiles(k, s.out, places(across)):
            window = image.moved(y * s.stride[0], x * s.stride[1])
            tile = [(r, c) for r in range(high) for c in range(wide)]
            starts = [bias.load(first + v * lanes, lanes=lanes, count=n) for v, n in enumerate(counts)]
            sums = [[k.variable(start) for start in starts] for _ in tile]
            for i in k.turns(s.kernel[0]):
                for j in k.turns(turns):
                    seen = window.moved(i * s.dilation[0], j * s.dilation[1])
                    for t in k.turns(run):
                        row = kernels.moved(i, j, t, first)
                        if s.width * math.prod(s.kernel) * s.inputs * k.dtype.itemsize > NEAR:
                            for line in range(0, len(counts) * lanes * k.dtype.itemsize, 64):
                                prefetch(k, row, AHEAD + line)
                        factors = [row.load(0, 0, 0, v * lanes, lanes=lanes, count=n) for v, n in enumerate(counts)]
                        for (r, c), cells in zip(tile, sums, strict=True):
                            number = k.spread(seen.load(r * s.stride[0], c * s.stride[1], t), lanes)
                            for cell, factor in zip(cells, factors, strict=True):
                                cell.set(number * factor + cell.value)
            for (r, c), cells in zip(tile, sums, strict=True):
                for v, (cell, n) in enumerate(zip(cells, counts, strict=True)):
                    finish(k, s, cell.value, more, out, (y + r, x + c, first + v * lanes), lanes, n)

    whole = s.width // lanes
    for first, size in blocks(k, whole, across) if whole else ():
        columns(first * lanes, [None] * size)
    if s.width % lanes:
        columns(whole * lanes, [s.width % lanes])


def prefetch(k: Kernel, row: Array, ahead: int) -> None:
    """Have a line of memory fetched that is read soon, so many bytes ahead, perhaps beyond the array."""
    fetch(k, k.emit(f"getelementptr i8, ptr {row.pointer}, i64 {ahead}"))


def finish(
    k: Kernel, s: Shape, value: Value, more: Array | None, out: Array, place: tuple[Index, ...], lanes: int,
    count: int | None,
) -> None:  # fmt: skip
    """Add what is to be added, keep within the limits, and write."""
    if more is not None:
        value = value + more.load(*place, lanes=lanes, count=count)
    for limit, compare in ((s.low, "oge"), (s.high, "ole")):
        if limit is not None:  # a comparison with nan is false, so it stays
            bound = k.number(limit, lanes)
            value = bound.compare(compare, value).where(bound, value)
    out.store(value, *place, count=count)


# -- each channel by itself --------------------------------------------------------------------------------------

#: Places in a row that are computed together.
_ROW = 8


def _each(k: Kernel, s: Shape, image: Array, weight: Array, bias: Array, more: Array | None, out: Array) -> None:
    """All channels."""
    weight = weight.shaped(math.prod(s.kernel), s.outs)
    lanes = even_lanes(s.outs, k.dtype.itemsize)
    whole = s.outs // lanes * lanes
    taps = [(i, j) for i in range(s.kernel[0]) for j in range(s.kernel[1])]

    def channels(first: Index, count: int | None) -> None:
        def load(array: Array, *place: Index) -> Value:
            return array.load(*place, first, lanes=lanes, count=count)

        start, factors = load(bias), [load(weight, t) for t in range(len(taps))]
        for y in k.turns(s.out[0]):
            for x, wide in blocks(k, s.out[1], _ROW):
                window = image.moved(y * s.stride[0], x * s.stride[1])
                sums = [start] * wide
                for i in range(s.kernel[0]):
                    seen: dict[int, Value] = {}
                    for c in range(wide):
                        for j in range(s.kernel[1]):
                            at = c * s.stride[1] + j * s.dilation[1]
                            if at not in seen:
                                seen[at] = load(window, i * s.dilation[0], at)
                            sums[c] = seen[at] * factors[i * s.kernel[1] + j] + sums[c]
                for c, value in enumerate(sums):
                    finish(k, s, value, more, out, (y, x + c, first), lanes, count)

    if whole:
        for first in k.turns(whole, 0, lanes):
            channels(first, None)
    if s.outs % lanes:
        channels(whole, s.outs % lanes)
