"""Images read at the places of a grid, linearly between their elements or at the nearest, and the gradients of that.

An image is brought into rows, one for each place, in which channels lie side by side: then each element of the grid reads
(and in the gradient writes) whole vectors. Behind the last place is a row of zeros, for what lies outside.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator
from operator import and_
from typing import NamedTuple

import numpy as np

from tapenet.kernels import like
from tapenet.llvm.emitter import Value
from tapenet.llvm.factories import factory
from tapenet.llvm.gemm import load_masked, store_masked
from tapenet.llvm.kernel import Array, Index, Kernel
from tapenet.llvm.sharing import Shared

#: Elements of the grid whose places are computed before they are read.
BLOCK = 256
#: Vectors this short are taken without loops.
SHORT = 4
#: What reading one element costs, in multiply-adds.
COST = 12


class Reading(NamedTuple):
    """How a grid is read."""

    axes: int
    nearest: bool
    padding_mode: str
    align_corners: bool

    @property
    def taps(self) -> list[tuple[int, ...]]:
        """For each element that is read, the step from the first along each axis."""
        return list(itertools.product(*[(0,) if self.nearest else (0, 1)] * self.axes))


def sampled(x: np.ndarray, grid: np.ndarray, reading: Reading) -> np.ndarray:
    """x (batch, channels, lengths of the image) at the places of the grid (batch, results, coordinates)."""
    (batch, channels, *sizes), results = x.shape, grid.shape[1]
    out = np.empty((batch, channels, results), x.dtype)
    run = _sampled(x.dtype.char, _lanes(channels, x.dtype), reading)
    arguments = x, grid, out, _rows(x), *_block(x, reading), channels, results, *sizes
    run(batch, COST * len(reading.taps) * out.size, *arguments)
    return out


def gradients(
    g: np.ndarray, x: np.ndarray, grid: np.ndarray, reading: Reading, by_x: bool, by_grid: bool
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """By x and by the grid, None for one that is not wanted."""
    (batch, channels, *sizes), results = x.shape, grid.shape[1]
    dx, dgrid = like(x) if by_x else None, like(grid) if by_grid else None
    run = _gradients(x.dtype.char, _lanes(channels, x.dtype), reading, by_x, by_grid)
    arguments: list[np.ndarray | int] = [x, grid, g]
    if dx is not None:
        arguments += [dx, _rows(x)]
    if dgrid is not None:
        arguments += [dgrid, _rows(x)]
        arguments += [reading.axes * n * BLOCK * x.itemsize for n in (len(reading.taps), 1)]
    arguments += [*_block(x, reading), channels, results, *sizes]
    run(batch, 3 * COST * len(reading.taps) * g.size, *arguments)
    return dx, dgrid


def _lanes(channels: int, dtype: np.dtype) -> int:
    """Numbers of a vector of channels: a power of two."""
    most: int = Kernel("", dtype).lanes
    return min(most, max(2, 1 << (channels - 1).bit_length()))


def _rows(x: np.ndarray) -> int:
    """Bytes for the rows of one image."""
    lanes = _lanes(x.shape[1], x.dtype)
    rows, width = math.prod(x.shape[2:]) + 1, -(-x.shape[1] // lanes) * lanes
    return int(rows * width * x.itemsize)


def _block(x: np.ndarray, reading: Reading) -> tuple[int, int]:
    """Bytes for the places and the weights of a block."""
    numbers = len(reading.taps) * BLOCK
    return 4 * numbers, int(x.itemsize * numbers)


# -- rows of channels --------------------------------------------------------------------------------------------


class _Rows:
    """Rows of channels, in vectors of them, and how they are made of images (channels, places) and these of them: in
    squares of as many channels as places, which are turned in registers."""

    def __init__(self, k: Kernel, lanes: int, channels: Value) -> None:
        self.k = k
        self.lanes = lanes
        self.channels = channels
        self.row = (channels + (lanes - 1)).op("udiv", channels + (lanes - 1), lanes) * lanes
        self.zero = k.number(0.0, lanes)
        #: The square at hand: a vector of channels for each place.
        self.square = Array(k, k.room(k.dtype, lanes * lanes), (lanes, 1), k.dtype)

    def squares(self, count: Value) -> Iterator[tuple[Value, Value, Value, Value]]:
        """All channels at so many places: of each square the first channel and the first place, and how many there are."""
        for c in self.k.turns(self.row, step=self.lanes):
            for p in self.k.turns(count, step=self.lanes):
                yield c, p, (self.channels - c).at_most(self.lanes), (count - p).at_most(self.lanes)

    def each(self, count: Value) -> Iterator[Index]:
        """The places of a square; unrolled, and then all there is room for, where vectors are short."""
        return iter(range(self.lanes)) if self.lanes <= SHORT else self.k.turns(count)

    def _mask(self, image: Array, i: Index, channels: Value, places: Value) -> str:
        """The places of the square's i-th channel."""
        numbers = ", ".join(f"i64 {i}" for i in range(self.lanes))
        if self.lanes <= SHORT:
            places = (channels > i).where(places, 0)
        mask = Value(self.k, f"<{numbers}>", f"<{self.lanes} x i64>") < self.k.spread(places, self.lanes)
        return f"{mask.type} {mask.name}"

    def _turn(self) -> None:
        rows = [self.square.load(i, lanes=self.lanes) for i in range(self.lanes)]
        for i, value in enumerate(self.k.transposed(rows)):
            self.square.store(value, i)

    def read(self, image: Array, length: Value, c: Index, p: Value, channels: Value, places: Value) -> None:
        """Fill the square from an image, with zeros where there is nothing."""
        for i in self.each(channels):
            pointer = image.at((c + i) * length + p)
            text = load_masked(self.k, pointer, self.zero.type, self._mask(image, i, channels, places), image.dtype)
            self.square.store(Value(self.k, text, self.zero.type), i)
        if self.lanes > SHORT:
            for i in self.k.turns(self.lanes, channels):
                self.square.store(self.zero, i)
        self._turn()

    def write(self, image: Array, length: Value, c: Index, p: Value, channels: Value, places: Value) -> None:
        """The inverse."""
        self._turn()
        for i in self.each(channels):
            value, pointer = self.square.load(i, lanes=self.lanes), image.at((c + i) * length + p)
            store_masked(self.k, value.name, pointer, value.type, self._mask(image, i, channels, places), image.dtype)

    def of(self, image: Array, rows: Array, length: Value) -> None:
        """Bring an image into rows, and zeros behind them."""
        for c, p, channels, places in self.squares(length):
            self.read(image, length, c, p, channels, places)
            for i in self.k.turns(places):
                rows.store(self.square.load(i, lanes=self.lanes), (p + i) * self.row + c)
        for c in self.k.turns(self.row):
            rows.store(self.k.number(0.0), length * self.row + c)

    def back(self, rows: Array, image: Array, length: Value) -> None:
        """Bring rows into an image."""
        for c, p, channels, places in self.squares(length):
            for i in self.k.turns(places):
                self.square.store(rows.load((p + i) * self.row + c, lanes=self.lanes), i)
            self.write(image, length, c, p, channels, places)


# -- places ------------------------------------------------------------------------------------------------------


def _axis(k: Kernel, coordinate: Value, n: Value, reading: Reading) -> tuple[Value, Value]:
    """Where along an axis of length n a coordinate between -1 and 1 lies, and its derivative; see
    `tapenet.ops.layers.resampling.grids`."""
    one = k.number(1.0)
    if reading.align_corners:
        slope = (n - 1.0) * 0.5
        place = (coordinate + 1.0) * slope
    else:
        slope = n * 0.5
        place = ((coordinate + 1.0) * n - 1.0) * 0.5
    if reading.padding_mode == "zeros":
        return place, slope
    if reading.padding_mode == "reflection":
        low, span = (0.0, n - 1.0) if reading.align_corners else (-0.5, n)
        off = place - low
        turned = abs(off)
        around = span * 2.0
        turned = turned - (turned / around).intrinsic("floor") * around
        beyond = turned > span
        slope = slope * ((off < 0.0) ^ beyond).where(-one, one)
        place = beyond.where(around - turned, turned) + low
        if reading.align_corners:
            none = span.eq(0.0)
            place, slope = none.where(k.number(0.0), place), none.where(k.number(0.0), slope)
    before, behind = place <= 0.0, place >= n - 1.0
    slope = (before | behind).where(k.number(0.0), slope)
    return before.where(k.number(0.0), behind.where(n - 1.0, place)), slope


class _Places:
    """The elements that a block of the grid reads."""

    rows: _Rows

    def __init__(self, k: Kernel, reading: Reading, lanes: int, slopes: Array | None) -> None:
        taps = len(reading.taps)
        self.k = k
        self.reading = reading
        self.lanes = lanes
        self.at = k.scratch(taps, BLOCK, dtype=np.int32)
        self.weights = k.scratch(taps, BLOCK)
        self.slopes = slopes

    def find(self, grid: Array, count: Value, sizes: list[Value], outside: Value) -> None:
        """Write where rows begin, and their weights, and by axis the derivatives of these."""
        k, r = self.k, self.reading
        row, outside, *sizes = (n.convert("trunc", "i32") for n in (self.rows.row, outside, *sizes))
        lengths = [n.convert("sitofp", grid.load(0).type) for n in sizes]
        for j in k.turns(count):
            reads = []
            for axis, n in enumerate(lengths):
                place, slope = _axis(k, grid.load(j * r.axes + (r.axes - 1 - axis)), n, r)
                first = place.intrinsic("rint" if r.nearest else "floor")
                near = ((first > -2.0) & (first < n + 1.0)).where(first, -2.0)
                reads.append((near.convert("fptosi", "i32"), place - first, slope))
            for t, tap in enumerate(r.taps):
                indices = [first + step for (first, _, _), step in zip(reads, tap, strict=True)]
                inside = functools.reduce(and_, [(i >= 0) & (i < n) for i, n in zip(indices, sizes, strict=True)])
                at = indices[0]
                for index, n in zip(indices[1:], sizes[1:], strict=True):
                    at = at * n + index
                weight = k.number(1.0)
                for (_, part, _), step in zip(reads, tap, strict=True):
                    if not r.nearest:
                        weight = weight * (part if step else 1.0 - part)
                self.at.store(inside.where(at, outside) * row, t, j)
                self.weights.store(weight, t, j)
                if self.slopes is not None:
                    self._derivatives(reads, t, tap, j)
        for t in range(len(r.taps)):  # what fills the last square
            for j in k.turns((count + (self.lanes - 1)) & -self.lanes, count):
                self.at.store(outside * row, t, j)
                self.weights.store(k.number(0.0), t, j)
                for axis in range(r.axes):
                    if self.slopes is not None:
                        self.slopes.store(k.number(0.0), t * r.axes + axis, j)

    def _derivatives(self, reads: list[tuple[Value, Value, Value]], t: int, tap: tuple[int, ...], j: Value) -> None:
        axes = self.reading.axes
        for axis in range(axes):
            found = reads[axis][2] if tap[axis] else -reads[axis][2]
            for other, (_, part, _) in enumerate(reads):
                if other != axis:
                    found = found * (part if tap[other] else 1.0 - part)
            assert self.slopes is not None
            self.slopes.store(found, t * axes + axis, j)

    def _from(self, rows: Array, t: int, p: Value, c: Index) -> Value:
        """Some channels of an element that is read."""
        return rows.load(self.at.load(t, p).convert("sext", "i64") + c, lanes=self.lanes)

    def _times(self, a: Array, t: int, p: Value) -> Value:
        return self.k.spread(a.load(t, p), self.lanes)

    def _sum(self, terms: list[Value]) -> Value:
        return functools.reduce(lambda a, b: a + b, terms)

    def read(self, rows: Array, p: Value, c: Index) -> Value:
        """Channels from c on of a result."""
        if self.reading.nearest:
            return self._from(rows, 0, p, c)
        taps = range(len(self.reading.taps))
        return self._sum([self._from(rows, t, p, c) * self._times(self.weights, t, p) for t in taps])

    def derivatives(self, rows: Array, p: Value, c: Index) -> list[Value]:
        """The derivatives of these by the coordinates, axis by axis."""
        taps, axes = range(len(self.reading.taps)), self.reading.axes
        values = [self._from(rows, t, p, c) for t in taps]
        assert self.slopes is not None
        slopes = self.slopes
        return [
            self._sum([v * self._times(slopes, t * axes + axis, p) for t, v in enumerate(values)])
            for axis in range(axes)
        ]

    def add(self, rows: Array, value: Value, p: Value, c: Index) -> None:
        """The transpose of `read`: add a result's channels to what it is read from."""
        for t in range(len(self.reading.taps)):
            at = self.at.load(t, p).convert("sext", "i64") + c
            part = value if self.reading.nearest else value * self._times(self.weights, t, p)
            rows.store(rows.load(at, lanes=self.lanes) + part, at)


def _sizes(k: Kernel, axes: int) -> tuple[list[Value], Value]:
    """The next arguments: the lengths of the image; and their product."""
    sizes = [k.integer() for _ in range(axes)]
    return sizes, functools.reduce(lambda a, b: a * b, sizes)


# -- the kernels -------------------------------------------------------------------------------------------------


@factory(64)
def _sampled(char: str, lanes: int, reading: Reading) -> Shared:
    k = Kernel("sampled", char)
    x, grid, out = (k.array(1) for _ in range(3))
    rows = k.scratch(1)
    places = _Places(k, reading, lanes, None)
    begin, end = k.range()
    channels, results = k.integer(), k.integer()
    sizes, length = _sizes(k, reading.axes)
    turned = places.rows = _Rows(k, lanes, channels)
    for n in k.turns(end, begin):
        turned.of(x.moved(n * length * channels), rows, length)
        for start, count in k.blocks(results, BLOCK):
            places.find(grid.moved((n * results + start) * reading.axes), count, sizes, length)
            to = out.moved(n * results * channels + start)
            for c, p, *counts in turned.squares(count):
                for i in turned.each(counts[1]):
                    turned.square.store(places.read(rows, p + i, c), i)
                turned.write(to, results, c, p, *counts)
    return k.shared()


@factory(64)
def _gradients(char: str, lanes: int, reading: Reading, by_x: bool, by_grid: bool) -> Shared:
    k = Kernel("sampled_gradients", char)
    x, grid, g = (k.array(1) for _ in range(3))
    by_image = (k.array(1), k.scratch(1)) if by_x else None
    taps = len(reading.taps)
    by_places = (k.array(1), k.scratch(1)) if by_grid else None
    slopes, sums = (k.scratch(reading.axes * n, BLOCK) if by_grid else None for n in (taps, 1))
    places = _Places(k, reading, lanes, slopes)
    begin, end = k.range()
    channels, results = k.integer(), k.integer()
    sizes, length = _sizes(k, reading.axes)
    turned = places.rows = _Rows(k, lanes, channels)
    for n in k.turns(end, begin):
        if by_places is not None:
            turned.of(x.moved(n * length * channels), by_places[1], length)
        if by_image is not None:
            for j in k.turns((length + 1) * turned.row):
                by_image[1].store(k.number(0.0), j)
        for start, count in k.blocks(results, BLOCK):
            places.find(grid.moved((n * results + start) * reading.axes), count, sizes, length)
            if sums is not None:
                for j in k.turns(reading.axes * BLOCK):
                    sums.store(k.number(0.0), 0, j)
            upper = g.moved(n * results * channels + start)
            for c, p, *counts in turned.squares(count):
                turned.read(upper, results, c, p, *counts)
                for i in turned.each(counts[1]):
                    value = turned.square.load(i, lanes=lanes)
                    if by_image is not None:
                        places.add(by_image[1], value, p + i, c)
                    if by_places is not None and sums is not None:
                        for axis, part in enumerate(places.derivatives(by_places[1], p + i, c)):
                            sums.store(sums.load(axis, p + i) + k.total(part * value), axis, p + i)
            if by_places is not None and sums is not None:
                to = by_places[0].moved((n * results + start) * reading.axes)
                for j in k.turns(count):
                    for axis in range(reading.axes):
                        to.store(sums.load(axis, j), j * reading.axes + (reading.axes - 1 - axis))
        if by_image is not None:
            turned.back(by_image[1], by_image[0].moved(n * length * channels), length)
    return k.shared()
