"""Convolution of each channel by itself ("depthwise").

Of an image of one channel, (height, width, batch) with the batch innermost, within a border of zeros, a row of the result is
a sum over taps of one number times a dense run of a row: with a stride s, of every s-th place of it. Some rows times some
vectors of the result stay in registers; a vector that is loaded is used in all of these rows. So what takes time is memory,
read once and written once: a border in memory of all channels, or channels brought to be innermost and back, would be read and
written thrice. Kernels of few columns read rows where they lie. For others the image is copied into a border, every s-th place
behind each other, which stays in the caches; of a large one some rows at a time. An image of a few rows, each at most a vector,
is held in registers.

The gradient by the input is the same sum, for each place of a window by itself (its "phase"): with a stride s every s-th
place of the input sees the same taps.

Batches that fill vectors, and large kernels on small maps, are quicker without a border (`depthwise_places`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tapenet.kernels.blocks import blocks, even, interleave, move, pieces, planes
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Array, Index, Kernel, Value, Variable
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared

Ints = tuple[int, ...]
#: Taps of which a sum is written out; more are a loop over the rows of the kernel.
UNROLLED = 64
#: Products of a channel of few places that are written out, its rows in registers.
HELD = 400
#: Bytes of an image in its border from twice of which on it is made in bands of so many: a first level cache may have no more
#: than 32 KB. (96 channels on 64 images of 16 x 16, 3 x 3, stride 2, take 0.75 to 0.9 of the time so on a Zen 4.)
BAND = 1 << 14
#: Rows of the gradient by the result that are held at once, so that a row of the image is loaded once for all of them. The
#: gradient by the weights of 144 channels of 56 x 56 takes 0.69 of the time so, of 96 of 112 x 112, stride 2, 0.91 (Zen 4).
HIGH = 4
#: Columns of a kernel up to which images are not copied within borders: 3 x 3 on one to eight images of 28 x 28 to 112 x 112
#: take 0.65 to 0.85 of the time so, 5 x 5 0.77 to 1.04, 7 x 7 on one image of 56 x 56 1.04 to 1.2 (Zen 4).
FEW = 6
#: Phases of a stride of which the sums are written out: of 64 of them the code took 22 s to compile.
PHASES = 16


class Phase(NamedTuple):
    """Where it starts in the result and how many places it has, which taps of the kernel it sees, and where these are in the
    source, from a place on."""

    start: int
    number: int
    kernel: Ints
    offsets: Ints


class Axis(NamedTuple):
    """The i-th of the places of a phase is at start + i * spread in the result, and sees the source at i * step + offset."""

    source: int
    target: int
    step: int
    spread: int
    phases: tuple[Phase, ...]

    @property
    def low(self) -> int:
        """The first place of the source that is seen; negative where it is border."""
        return min((o for f in self.phases for o in f.offsets), default=0)

    @property
    def number(self) -> int:
        """Of the places of a phase at most."""
        return max(f.number for f in self.phases)

    @property
    def reach(self) -> int:
        """How many places are seen from there on."""
        return self.seen(self.number)

    def seen(self, number: int) -> int:
        """How many of them so many places of each phase see at most."""
        ends = ((min(f.number, number) - 1) * self.step + o + 1 for f in self.phases for o in f.offsets)
        return max(ends, default=1) - self.low

    @property
    def plane(self) -> int:
        """How many of them are every `step`-th."""
        return -(-self.reach // self.step)


class Shape(NamedTuple):
    """Sums of so many channels, over height and width, by a kernel of so many rows and columns."""

    channels: int
    batch: int
    kernel: tuple[int, int]
    axes: tuple[Axis, Axis]

    @property
    def multiply_adds(self) -> int:
        seen = (sum(f.number * len(f.kernel) for f in axis.phases) for axis in self.axes)
        return self.channels * self.batch * math.prod(seen)

    def image(self, places: int) -> tuple[int, int, int]:
        """What so many rows of the result see of a channel in its border: rows, the places of a row of which every step-th lie
        together, and of these the numbers."""
        tall, wide = self.axes
        return tall.seen(places), wide.step, wide.plane * self.batch


def takes(char: str, shape: Shape) -> bool:
    """Whether there is a kernel for a shape and a dtype, by NumPy's character."""
    phases = math.prod(len(axis.phases) for axis in shape.axes)
    return char in "fd" and shape.kernel[1] <= UNROLLED and phases <= PHASES


def sums(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray, shape: Shape) -> None:
    """out (channels, height, width, batch) = bias + the sums of x (the same axes) by weight (channels, taps). All arrays are
    C-contiguous."""
    run, image, lines = _sums(shape, x.dtype.char)
    run(shape.channels, shape.multiply_adds, x, weight, bias, out, image, lines)


def weight_sums(x: np.ndarray, y: np.ndarray, found: np.ndarray, shape: Shape) -> None:
    """Add the gradient by the weights to found (channels, taps), where y is the gradient by the result of `sums`."""
    run, image = _weight_sums(shape, x.dtype.char)
    run(shape.channels, shape.multiply_adds, x, y, found, image)


# -- a channel within its border ---------------------------------------------------------------------------------


def _band(shape: Shape, char: str) -> int:
    """The rows of the result whose image is made at once: all, or so many that it has `BAND` bytes, where two bands see few
    rows both."""
    tall, itemsize = shape.axes[0], np.dtype(char).itemsize
    row = math.prod(shape.image(1)[1:]) * itemsize
    if tall.reach * row <= 2 * BAND or len({f.number for f in tall.phases}) > 1:
        return tall.number
    some = next((n for n in range(tall.number, 1, -1) if tall.seen(n) * row <= BAND), 1)
    return some if 2 * tall.seen(some) <= 3 * some * tall.step else tall.number


def _size(shape: Shape, places: int) -> int:
    """The numbers of an image. Behind the last row is a vector, since loads are not cut off."""
    return -(-math.prod(shape.image(places)) // 16) * 16 + 16


def _together(shape: Shape) -> int:
    """Of how many channels images are made before they are read: a processor is slow to read what it is about to write. (7 x 7
    taps on 7 x 7 places of one image take 0.25 of the time so.)"""
    return max(1, min(8, 4096 // _size(shape, shape.axes[0].number)))


def _room(shape: Shape, char: str) -> int:
    """Bytes of the images."""
    if _held(shape, char):
        return 64
    if _lies(shape, char):
        return shape.axes[1].source * shape.batch * np.dtype(char).itemsize
    return _together(shape) * _size(shape, _band(shape, char)) * np.dtype(char).itemsize


def _images(
    k: Kernel, shape: Shape, x: Array, memory: Array, begin: Value, end: Value
) -> Iterator[tuple[Value, Array | _Rows | _Lines, Index, int]]:  # fmt: skip
    """The channels from `begin` to `end` in bands: their images within borders, the first row of the result and how many."""
    number = shape.axes[0].number
    if _held(shape, k.dtype.char):
        for c in k.turns(end, begin):
            yield c, _Rows(k, shape, x.part(c)), 0, number
        return
    if _lies(shape, k.dtype.char):
        row = shape.axes[1].source * shape.batch
        zeros = memory.shaped(row)
        move(k, None, zeros, row)
        for c in k.turns(end, begin):
            yield c, _Lines(k, shape, x.part(c), zeros), 0, number
        return
    several = _together(shape)
    if several == 1:
        for c in k.turns(end, begin):
            for first, places in blocks(k, number, _band(shape, k.dtype.char)):
                image = memory.shaped(*shape.image(places))
                _bordered(k, shape, x.part(c), image, first, places)
                yield c, image, first, places
        return
    images = memory.shaped(several, _size(shape, number))
    for some, count in k.blocks(end, several, begin):
        for c in k.turns(count):
            _bordered(k, shape, x.part(some + c), images.part(c), 0, number)
        for c in k.turns(count):
            yield some + c, images.part(c).shaped(*shape.image(number)), 0, number


def _held(shape: Shape, char: str) -> bool:
    """Whether a row is at most a vector, and there are so few that the rows of an image are all held in registers."""
    tall, wide = shape.axes
    run = max(wide.source, wide.number) * shape.batch
    rows = tall.number
    products = sum(f.number * len(f.kernel) for f in tall.phases) * sum(len(f.kernel) for f in wide.phases)
    fits = run * np.dtype(char).itemsize <= registers().bytes and 2 * rows <= registers().number
    return fits and products <= HELD


class _Rows:
    """The image of a channel, each row of it in a register: what a tap sees of one is made by a shuffle, with 0 beside it. So
    576 channels at 14 x 14, stride 2, take 0.4 to 0.7 of the time, 960 at 7 x 7 0.6 to 0.7."""

    def __init__(self, k: Kernel, shape: Shape, x: Array) -> None:
        self._k, self._shape, self._x = k, shape, x
        self._rows: dict[int, Value] = {}

    def moved(self, *_: Index) -> _Rows:
        """Itself: a row is one piece."""
        return self

    def has(self, row: Index) -> bool:
        """Whether a row of the image is one of the channel's."""
        tall = self._shape.axes[0]
        return isinstance(row, int) and 0 <= row + tall.low < tall.source

    def load(self, row: Index, plane: Index, at: Index, lanes: int, count: int | None = None) -> Value:
        """So many numbers of the row of a plane, with `count` zeros behind the first so many: 0 times an infinity that another
        tap sees there would be nan."""
        assert isinstance(row, int)
        assert isinstance(plane, int)
        assert isinstance(at, int)
        k, n, (tall, wide) = self._k, self._shape.batch, self._shape.axes
        if row not in self._rows:
            self._rows[row] = self._x.load(row + tall.low, 0, lanes=lanes, count=wide.source * n)
        seen = [lanes] * lanes
        for i in range(lanes if count is None else count):
            place = (at + i) // n * wide.step + plane + wide.low
            if 0 <= place < wide.source:
                seen[i] = place * n + i % n
        return k.shuffled(self._rows[row], k.number(0.0, lanes), seen)


def _lies(shape: Shape, char: str) -> bool:
    """Whether rows are read where they lie: vectors of them, or every step-th place of some vectors."""
    lanes, step = registers().bytes // np.dtype(char).itemsize, shape.axes[1].step
    return shape.kernel[1] <= FEW and (step == 1 or (step <= 4 and lanes % shape.batch == 0))


class _Lines:
    """The image of a channel that is read where it lies: zeros are put beside what a vector sees of a row, and rows of border
    are a row of zeros. `load` is that of an image within its border."""

    def __init__(self, k: Kernel, shape: Shape, x: Array, zeros: Array, at: Index = 0) -> None:
        self._k, self._shape, self._x, self._zeros, self._at = k, shape, x, zeros, at

    def moved(self, _: Index, __: Index, at: Index) -> _Lines:
        """From a number of the planes on."""
        return _Lines(self._k, self._shape, self._x, self._zeros, at)

    def load(self, row: Index, plane: Index, at: Index, lanes: int, count: int | None = None) -> Value:
        """So many numbers of the row of a plane, with `count` zeros behind the first so many."""
        assert isinstance(plane, int)
        assert isinstance(at, int)
        k, n, (tall, wide) = self._k, self._shape.batch, self._shape.axes
        row, step, length = row + tall.low, wide.step, wide.source * n
        line = self._x.part(row)
        if not isinstance(row, int):
            inside = row.compare("ult", tall.source)
            line.pointer = k.emit(f"select i1 {inside.name}, ptr {line.pointer}, ptr {self._zeros.pointer}")
        elif not 0 <= row < tall.source:
            return k.number(0.0, lanes)
        first, some = at * step + wide.low * n, lanes * step
        if not isinstance(self._at, int):
            value, before = line.load(self._at * step + first, lanes=some), 0
        else:
            first += self._at * step
            before = max(0, -first)
            some = min(some if count is None else count * step, length - first) - before
            if some <= 0:
                return k.number(0.0, lanes)
            value = line.load(first + before, lanes=lanes * step, count=some if some < lanes * step else None)
        places = ((i // n * step + plane) * n + i % n - before for i in range(lanes))
        seen = [i if 0 <= i < lanes * step else lanes * step for i in places]
        if step == 1 and seen == list(range(lanes)):
            return value
        return k.shuffled(value, k.number(0.0, lanes * step), seen)


def _runs(
    k: Kernel, shape: Shape, image: Array | _Rows | _Lines, length: int, vectors: int
) -> Iterator[tuple[Index, int, int | None]]:  # fmt: skip
    """`pieces` of the numbers of a plane; of an image that is read where it lies those that may see border are known ones."""
    if not isinstance(image, _Lines):
        yield from pieces(k, length, vectors)
        return
    wide, n, piece = shape.axes[1], shape.batch, vectors * k.lanes
    reach = max((o for f in wide.phases for o in f.offsets), default=0) + wide.step
    first = -(-max(0, -wide.low * n) // (piece * wide.step)) * piece
    last = min(length, (wide.source - reach) * n // wide.step) // piece * piece
    if last - first < 2 * piece:
        first = last = 0
    for at in range(0, first, piece):
        yield at, vectors, None
    if first < last:
        for place in k.turns(last, first, piece):
            yield place, vectors, None
    for at in range(last, length, piece):
        rest = min(piece, length - at)
        yield at, -(-rest // k.lanes), rest % k.lanes or None


def _bordered(k: Kernel, shape: Shape, x: Array, image: Array, first: Index, places: int) -> None:
    """What so many rows of the result, from the `first` on, see of a channel x (height, width * batch) within its border."""
    tall, wide = shape.axes
    n, (rows, step, pitch) = shape.batch, shape.image(places)
    image = image.shaped(rows, step, pitch)
    top = first * tall.step + tall.low
    above = _within(0 - top, 0, rows)
    below = _within(tall.source - top, above, rows)
    _clear(k, image, 0, above)
    for row in k.turns(below, above):
        planes(k, x.part(row + top), image.part(row), (wide.source, wide.low, wide.step, wide.plane), n)
    _clear(k, image, below, rows)


def _within(value: Index, low: Index, high: int) -> Index:
    """The nearest number from `low` to `high`."""
    if isinstance(value, int):
        assert isinstance(low, int)
        return min(max(value, low), high)
    return value.at_least(low).at_most(high)


def _clear(k: Kernel, image: Array, begin: Index, end: Index) -> None:
    """Fill rows of an image with zeros."""
    row = image.strides[0]
    if isinstance(begin, int) and isinstance(end, int):
        move(k, None, image.moved(begin).shaped(1), (end - begin) * row)
        return
    for i in k.turns(end, begin):
        move(k, None, image.moved(i).shaped(1), row)


# -- the sum over taps -------------------------------------------------------------------------------------------


def _tile(shape: Shape, lanes: int) -> tuple[int, int]:
    """Rows and vectors of the result that are held in registers, so few that the code of all their taps fits where the
    processor keeps decoded instructions."""
    tall, wide = shape.axes
    taps = math.prod(max(len(f.kernel) for f in axis.phases) for axis in shape.axes)
    size = min(registers().number // 2, max(1, 400 // max(1, taps)))
    rows = max(1, min(size // min(2, -(-wide.number * shape.batch // lanes)), tall.number))
    return rows, max(1, size // rows)


@functools.lru_cache(maxsize=512)
def _sums(shape: Shape, char: str) -> tuple[Shared, int, int]:
    """The kernel, and the bytes of an image and of the lines of a block of rows."""
    itemsize, spread = np.dtype(char).itemsize, shape.axes[1].spread
    most, _, pitch = _block(shape, char)
    return _sum_kernel(shape, char), _room(shape, char), most * spread * pitch * itemsize if spread > 1 else 64


def _block(shape: Shape, char: str) -> tuple[int, int, int]:
    """Rows and vectors of the result that are computed at once, and the numbers of a line."""
    lanes = registers().bytes // np.dtype(char).itemsize
    tall, wide = shape.axes
    rows, vectors = _tile(shape, lanes)
    if _held(shape, char):
        rows = tall.number
    run = -(-wide.target // wide.spread) * shape.batch
    return rows, vectors, -(-run // lanes) * lanes


@factory(512)
def _sum_kernel(shape: Shape, char: str) -> Shared:
    k = Kernel("depthwise", char)
    tall, wide = shape.axes
    n, taps = shape.batch, math.prod(shape.kernel)
    x, weight = k.array(shape.channels, tall.source, wide.source * n), k.array(shape.channels, taps)
    bias, out = k.array(shape.channels), k.array(shape.channels, tall.target, wide.target * n)
    image, lines = k.scratch(1), k.scratch(1)
    begin, end = k.range()
    most, across, pitch = _block(shape, char)
    for c, source, first, places in _images(k, shape, x, image, begin, end):
        start = k.spread(bias.load(c), k.lanes)
        for rows in tall.phases:
            for i, high in blocks(k, min(places, rows.number), most):
                target = out.part(c).moved((first + i) * tall.spread + rows.start)
                line = lines.shaped(high, wide.spread, pitch)
                for q, columns in enumerate(wide.phases):
                    where = line.moved(0, q) if wide.spread > 1 else target
                    by_row = wide.spread * pitch if wide.spread > 1 else tall.spread * wide.target * n
                    for at, vectors, rest in _runs(k, shape, source, columns.number * n, across):
                        corner = source.moved(0, 0, at)
                        found = _added(
                            k, shape, corner, weight.part(c), start, (i, first), (high, vectors), rows, columns
                        )
                        for r, sums in enumerate(found):
                            for v, value in enumerate(sums):
                                to = where.shaped(1).moved(at + r * by_row + v * k.lanes)
                                to.store(value, count=rest if v == vectors - 1 else None)
                if wide.spread > 1:
                    for r in range(high):
                        to = target.shaped(1).moved(r * tall.spread * wide.target * n)
                        interleave(k, line.part(r), to, wide.target, wide.spread, n)
    return k.shared()


def _added(
    k: Kernel, shape: Shape, image: Array | _Rows | _Lines, weight: Array, start: Value, at: tuple[Index, Index],
    size: tuple[int, int], rows: Phase, columns: Phase,
) -> list[list[Value]]:  # fmt: skip
    """Some rows times some vectors of the result: `at` are the first row of those that see the image, and the first that
    does."""
    tall, wide = shape.axes
    (first, before), (high, vectors) = at, size

    def seen(row: Index, sums: list[list[Value]], uses: list[tuple[int, Index]]) -> None:
        """Add what a row of the image gives: to rows of the result, by rows of the kernel."""
        for b, offset in zip(columns.kernel, columns.offsets, strict=True):
            shift, plane = divmod(offset - wide.low, wide.step)
            values = [image.load(row, plane, shift * shape.batch + v * k.lanes, lanes=k.lanes) for v in range(vectors)]
            for r, a in uses:
                factor = k.spread(weight.load(a * shape.kernel[1] + b), k.lanes)
                for v, value in enumerate(values):
                    sums[r][v] = factor * value + sums[r][v]

    if isinstance(image, _Rows) or len(rows.kernel) * len(columns.kernel) <= UNROLLED:
        sums = [[start] * vectors for _ in range(high)]
        uses: dict[int, list[tuple[int, Index]]] = {}
        for r in range(high):
            for a, offset in zip(rows.kernel, rows.offsets, strict=True):
                uses.setdefault(r * tall.step + offset - tall.low, []).append((r, a))
        for row, some in sorted(uses.items()):
            there = (before + first) * tall.step + row + tall.low
            if not isinstance(there, int) or 0 <= there < tall.source:
                seen(first * tall.step + row, sums, some)
        return sums
    totals = [[k.variable(start) for _ in range(vectors)] for _ in range(high)]
    by_row, by_offset = (a[1] - a[0] if len(a) > 1 else 0 for a in (rows.kernel, rows.offsets))
    for t in k.turns(len(rows.kernel)):
        for r, row_totals in enumerate(totals):
            now = [[total.value for total in row_totals]]
            place = t * by_offset + first * tall.step + (rows.offsets[0] + r * tall.step - tall.low)
            seen(place, now, [(0, t * by_row + rows.kernel[0])])
            for total, value in zip(row_totals, now[0], strict=True):
                total.set(value)
    return [[total.value for total in row_totals] for row_totals in totals]


# -- the gradient by the weights ---------------------------------------------------------------------------------


@functools.lru_cache(maxsize=512)
def _weight_sums(shape: Shape, char: str) -> tuple[Shared, int]:
    """The kernel, and the bytes of an image."""
    return _weight_kernel(shape, char), _room(shape, char)


@factory(512)
def _weight_kernel(shape: Shape, char: str) -> Shared:
    k = Kernel("depthwise_weights", char)
    tall, wide = shape.axes
    n = shape.batch
    x, y = k.array(shape.channels, tall.source, wide.source * n), k.array(shape.channels, tall.target, wide.target * n)
    found = k.array(shape.channels, math.prod(shape.kernel))
    image = k.scratch(1)
    begin, end = k.range()
    (rows,), (columns,) = tall.phases, wide.phases
    taps = [
        (a * shape.kernel[1] + b, i - tall.low, *divmod(j - wide.low, wide.step))
        for a, i in zip(rows.kernel, rows.offsets, strict=True)
        for b, j in zip(columns.kernel, columns.offsets, strict=True)
    ]
    zero = k.number(0.0, k.lanes)
    for c, source, above, places in _images(k, shape, x, image, begin, end):
        for first, count, size in even(len(taps), registers().number * 3 // 4) if taps else ():
            for group in range(first, first + count * size, size):
                some = taps[group : group + size]
                totals = [k.variable(zero) for _ in some]
                one_by_one = [(h, 1) for h in range(places)]
                high = max(1, min(HIGH, registers().number - size - 2))
                for h, rows_held in one_by_one if isinstance(source, _Rows) else blocks(k, places, high):
                    for at, _, rest in _runs(k, shape, source, columns.number * n, 1):
                        uses: dict[tuple[int, int, int], list[tuple[Value, Variable]]] = {}
                        for r in range(rows_held):
                            left = y.load(c, above + h + r, at, lanes=k.lanes, count=rest)
                            for total, (_, i, shift, plane) in zip(totals, some, strict=True):
                                uses.setdefault((r * tall.step + i, plane, shift * n), []).append((left, total))
                        for row, plane, shift in sorted(uses):
                            place = h * tall.step + row
                            if isinstance(source, _Rows) and not source.has(place):
                                continue
                            right = source.moved(0, 0, at).load(place, plane, shift, lanes=k.lanes, count=rest)
                            for left, total in uses[row, plane, shift]:
                                total.set(left * right + total.value)
                for total, (tap, *_) in zip(totals, some, strict=True):
                    found.store(found.load(c, tap) + k.total(total.value), c, tap)
    return k.shared()
