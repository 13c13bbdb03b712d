"""Convolutions of 8-bit integers with their channels innermost, for quantized models.

As in `channels_last`, a result's channels are the lanes of vectors and a tile of it stays in registers; but a lane takes in
four numbers of the input at once, times four weights: the instruction `vpdpbusd` where the processor has it, else products
of 16 bits, which cannot overflow (`pmaddubsw` of 8 bits can, in silence). Kernels lie as (blocks, height, turns, groups,
channels of a block, 4). Sums are exact integers, so they are the same on every processor.

Then a sum becomes a float, times a factor plus a shift for its channel, plus another map times a factor; each step rounds by
itself, as NumPy's do. Within its limits that is the result, or the nearest integer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tapenet.kernels import channels_last
from tapenet.kernels.blocks import blocks
from tapenet.kernels.channels_last import even_lanes, places, tiles
from tapenet.llvm.emitter import lanes_of
from tapenet.llvm.kernel import Array, Index, Kernel, Value, Variable
from tapenet.llvm.processor import dots, registers

#: Inputs of a lane.
GROUP = 4
_WORD = np.dtype(np.int32)
#: Added to a float between 0 and 255 it leaves the nearest integer, of two the even one, in the lowest byte.
_ROUND = 1.5 * 2.0**23
#: Places in a row that are computed together where channels are alone.
_ROW = 4


class Shape(NamedTuple):
    """A convolution of integers.

    Attributes:
        maps: what it is a convolution of; its limits are those of the result.
        zero: the integer that stands for 0.0 in x, of which borders are.
        share: what the map that is added is multiplied by.
        rounded: whether results are integers.
    """

    maps: channels_last.Shape
    zero: int
    share: float
    rounded: bool

    @property
    def images(self) -> int:
        """How many parts there are that need nothing of each other."""
        return self.maps.images

    def cut(self, most: int) -> Shape:
        """The same in bands."""
        return self._replace(maps=self.maps.cut(most))

    @property
    def run(self) -> int:
        """What a window sees in one dense run."""
        return self.maps.channels * (self.maps.kernel[1] if self.maps.dilation[1] == 1 else 1)

    @property
    def copied(self) -> bool:
        """Whether images are copied first: into a border, or since the last group reads beyond them."""
        return self.maps.bordered or (not self.maps.alone and self.run % GROUP > 0)

    @property
    def blocks(self) -> int:
        """How many blocks of channels there are."""
        return max(1, self.maps.outs // self.maps.width)

    @property
    def space(self) -> int:
        """How many bytes of memory it needs for itself."""
        return (math.prod(self.maps.band.padded) * self.maps.channels + GROUP + 63) // 64 * 64 if self.copied else 0

    def flat(self) -> Shape:
        """The same of one long row, where each result sees one place only."""
        return self if self.copied else self._replace(maps=self.maps.flat())


def width(outs: int, groups: int, out: channels_last.Pair) -> int:
    """How many channels of a result are best computed together, of `outs` that take in so many groups each."""
    lanes = even_lanes(outs, 4)
    vectors, rest = divmod(outs, lanes)
    if rest:  # no block may end within a vector
        return (vectors + 1) * lanes
    return channels_last.width(outs, groups, out, 4)


def write(
    k: Kernel, s: Shape, x: Array, weight: Array, factor: Array, shift: Array, more: Array | None, out: Array, space: Array,
    images: tuple[Index, Index], span: tuple[Index, Index],
) -> None:  # fmt: skip
    """The code of one convolution, or of a part of it.

    Args:
        k: the running kernel.
        s: what it is.
        x: (batch, *x, channels), of 8 bits without sign.
        weight: int8, (blocks, height, turns, groups, width, 4), zeros where there are no inputs or channels;
            (groups of rows, width, channels, 4) where channels are alone.
        factor, shift: (outs,).
        more: what is added to the result, shaped like it, of 8 bits without sign, or None.
        out: (batch, *out, outs).
        space: memory of its own for `s.space` bytes.
        images, span: from where to where; span is of blocks.
    """
    m = s.maps
    k.flags = ""  # no product and sum becomes one instruction, which would round once
    x, out = x.shaped(m.batch, *m.x, m.channels), out.shaped(m.batch, *m.out, m.outs)
    more = more and more.shaped(m.batch, *m.out, m.outs)
    weight = Array(k, weight.pointer, (1,), _WORD)
    band = s._replace(maps=m.band if s.copied else m.band.flat())
    for block in k.turns(*span[::-1]) if not m.alone else (k.index(0),):  # outermost: many images fetch kernels once
        for part in k.turns(images[1], images[0]):
            image = channels_last.seen(k, m, band.maps, x, part, space if s.copied else None, s.zero)
            others, result = (a and channels_last.rows_of(k, part, m, a, band.maps) for a in (more, out))
            assert result is not None
            given = image, weight, factor, shift, others, result
            if m.alone:
                _Alone(k, band, *given).write()
            else:
                _All(k, band, *given).write(block)


class _Part:
    """What both kinds share."""

    def __init__(
        self,
        k: Kernel,
        s: Shape,
        image: Array,
        weight: Array,
        factor: Array,
        shift: Array,
        more: Array | None,
        out: Array,
    ) -> None:
        self.k, self.s, self.m = k, s, s.maps
        self.image, self.weight, self.factor, self.shift, self.more, self.out = image, weight, factor, shift, more, out

    def floats(self, integers: Value) -> Value:
        """Integers as floats."""
        lanes = integers.type.split(" ")[0]
        return integers.convert("uitofp" if "i8" in integers.type else "sitofp", f"{lanes} x float>")

    def number(self, value: float, like: Value) -> Value:
        """A float in all lanes."""
        return like.like(float(value))

    def scaled(self, total: Value, factor: Value, shift: Value, more: Value | None) -> Value:
        """A result as a float within its limits."""
        value = self.floats(total) * factor + shift
        if more is not None:
            value = value + self.floats(more) * self.number(self.s.share, factor)
        if self.m.low is not None:
            value = value.at_least(self.number(self.m.low, value))
        if self.m.high is not None:
            value = value.at_most(self.number(self.m.high, value))
        return value

    def rounded(self, value: Value) -> Value:
        """Floats between 0 and 255 as integers, of which the lowest byte counts."""
        return (value + self.number(_ROUND, value)).bits()


# -- sums over all channels --------------------------------------------------------------------------------------


class _All(_Part):
    """All channels of an image with all kernels."""

    def write(self, block: Value) -> None:
        """A block of kernels."""
        s, m = self.s, self.m
        lanes = even_lanes(m.outs, 4)
        self.turns = 1 if m.dilation[1] == 1 else m.kernel[1]
        self.groups = -(-s.run // GROUP)
        kernels = self.weight.shaped(s.blocks, m.kernel[0], self.turns, self.groups, m.width).part(block)
        first = block * m.width
        whole, rest = divmod(min(m.outs, m.width), lanes)
        for begin, size in blocks(self.k, whole, channels_last.most(m.out)) if whole else ():
            self.columns(kernels, first, begin * lanes, [None] * size, lanes)
        if rest:
            self.columns(kernels, first, whole * lanes, [rest], lanes)

    def columns(self, kernels: Array, first: Value, begin: Index, counts: list[int | None], lanes: int) -> None:
        """Some vectors of channels, at all places."""
        k, m = self.k, self.m
        zero = Value(k, "zeroinitializer", f"<{lanes} x i32>")
        for y, x, high, wide in tiles(k, m.out, places(len(counts), 1 if dots() == "four" else 2)):
            window = self.image.moved(y * m.stride[0], x * m.stride[1])
            tile = [(r, c) for r in range(high) for c in range(wide)]
            sums = [[k.variable(zero) for _ in counts] for _ in tile]
            for i in k.turns(m.kernel[0]):
                for j in k.turns(self.turns):
                    seen = window.moved(i * m.dilation[0], j * m.dilation[1])
                    for t in k.turns(self.groups):
                        row = kernels.moved(i, j, t, begin)
                        if m.width * math.prod(m.kernel) * m.channels > channels_last.NEAR:
                            for line in range(0, len(counts) * lanes * 4, 64):
                                channels_last.prefetch(k, row, channels_last.AHEAD + line)
                        weights = [Weights(k, row.load(0, 0, 0, v * lanes, lanes=lanes)) for v in range(len(counts))]
                        for (r, c), cells in zip(tile, sums, strict=True):
                            pointer = seen.at(r * m.stride[0], c * m.stride[1], t * GROUP)
                            four = Value(k, k.emit(f"load i32, ptr {pointer}, align 1"), "i32")
                            numbers = Numbers(k, k.spread(four, lanes))
                            for cell, weight in zip(cells, weights, strict=True):
                                add(k, cell, numbers, weight)
            for v, count in enumerate(counts):
                channel = first + begin + v * lanes
                factor = self.factor.load(channel, lanes=lanes, count=count)
                shift = self.shift.load(channel, lanes=lanes, count=count)
                for (r, c), cells in zip(tile, sums, strict=True):
                    place = (y + r, x + c, channel)
                    more = None
                    if self.more is not None:
                        more = load_bytes(k, self.more.at(*place), count or lanes, lanes)
                    value = self.scaled(cells[v].value, factor, shift, more)
                    if self.s.rounded:
                        narrow = self.rounded(value).convert("trunc", f"<{lanes} x i8>")
                        store_bytes(k, narrow, self.out.at(*place), count or lanes)
                    else:
                        self.out.store(value, *place, count=count)


# -- each channel by itself --------------------------------------------------------------------------------------


class _Alone(_Part):
    """Each channel of an image with a kernel of its own: four rows of a window are the four numbers of a lane. They are
    brought together in a register once for all windows of a row that see them."""

    def write(self) -> None:
        """All channels."""
        size = registers().bytes
        first = 0
        while first < self.m.outs:
            rest = self.m.outs - first
            while size > 16 and size > rest:
                size //= 2
            if rest >= 2 * size:
                end = first + rest // size * size
                for at in self.k.turns(end, first, size):
                    self.channels(at, size, size)
                first = end
            else:
                self.channels(first, size, min(size, rest))
                first += size

    def channels(self, first: Index, size: int, count: int) -> None:
        """Some channels, as many bytes as a register of a size has."""
        k, m = self.k, self.m
        high, wide = m.kernel
        lanes = size // 4
        weights = self.weight.shaped(-(-high // GROUP), wide, m.outs)
        split = [[16 * q + 4 * r + e for q in range(size // 16) for e in range(4)] for r in range(4)]

        def apart(load: Callable[[int, int], Value], t: str) -> list[Value]:
            """Vectors of the channels as they lie when rows have been brought together; `load(at, n)` gives n from one on."""
            pieces = [load(at, min(4, count - at)) if at < count else Value(k, "zeroinitializer", f"<4 x {t}>")
                      for at in range(0, size, 4)]  # fmt: skip
            return [joined(k, [pieces[4 * q + r] for q in range(size // 16)]) for r in range(4)]

        def floats(array: Array) -> list[Value]:
            return apart(lambda at, n: array.load(first + at, lanes=4, count=None if n == 4 else n), "float")

        def words(g: int, j: int) -> list[Weights]:
            def load(at: int, n: int) -> Value:
                return load_bytes(k, weights.at(g, j, first + at), 4 * n, 16).convert("bitcast", "<4 x i32>")

            return [Weights(k, value) for value in apart(load, "i32")]

        factor, shift = floats(self.factor), floats(self.shift)
        kernels = {(g, j): words(g, j) for g in range(-(-high // GROUP)) for j in range(wide)}
        zero = Value(k, "zeroinitializer", f"<{lanes} x i32>")
        nothing = Value(k, "zeroinitializer", f"<{size} x i8>")

        def together(window: Array, g: int, column: int) -> list[Numbers]:
            rows = [
                load_bytes(k, window.at((4 * g + i) * m.dilation[0], column, first), count, size)
                if 4 * g + i < high
                else nothing
                for i in range(GROUP)
            ]
            low, up = interleaved(k, rows[0], rows[1], 1), interleaved(k, rows[2], rows[3], 1)
            found = [v for a, b in zip(low, up, strict=True) for v in interleaved(k, a, b, 2)]
            return [Numbers(k, v.convert("bitcast", f"<{lanes} x i32>")) for v in found]

        for y in k.turns(m.out[0]):
            for x, many in blocks(k, m.out[1], _ROW if registers().number > 16 else _ROW // 2):
                window = self.image.moved(y * m.stride[0], x * m.stride[1])
                sums = [[k.variable(zero) for _ in range(4)] for _ in range(many)]
                users: dict[int, list[tuple[int, int]]] = {}
                for c in range(many):
                    for j in range(wide):
                        users.setdefault(c * m.stride[1] + j * m.dilation[1], []).append((c, j))
                for g in range(-(-high // GROUP)):
                    for column, who in sorted(users.items()):
                        seen = together(window, g, column)
                        for c, j in who:
                            for cell, numbers, weight in zip(sums[c], seen, kernels[g, j], strict=True):
                                add(k, cell, numbers, weight)
                for c, cells in enumerate(sums):
                    self.finish(cells, factor, shift, (y, x + c, first), size, count, split)

    def finish(
        self, cells: list[Variable], factor: list[Value], shift: list[Value], place: tuple[Index, ...], size: int, count: int,
        split: list[list[int]],
    ) -> None:  # fmt: skip
        """Write the results of one place."""
        k = self.k
        more: list[Value | None] = [None] * 4
        if self.more is not None:
            loaded = load_bytes(k, self.more.at(*place), count, size)
            more = [k.shuffled(loaded, loaded, which) for which in split]
        values = [self.scaled(c.value, f, s, m) for c, f, s, m in zip(cells, factor, shift, more, strict=True)]
        if self.s.rounded:
            bits = [self.rounded(v) & 255 for v in values]
            halves = packed(k, bits[0], bits[1], "i16"), packed(k, bits[2], bits[3], "i16")
            store_bytes(k, packed(k, halves[0], halves[1], "i8"), self.out.at(*place), count)
            return
        for at in range(0, count, 4):
            q, r = divmod(at // 4, 4)
            piece = k.shuffled(values[r], values[r], list(range(4 * q, 4 * q + 4)))
            n = min(4, count - at)
            self.out.store(piece, place[0], place[1], place[2] + at, count=None if n == 4 else n)


# -- four products at once -----------------------------------------------------------------------------------------


class Numbers:
    """Four numbers without sign in each lane, as the processor wants them."""

    sign = False

    def __init__(self, k: Kernel, words: Value) -> None:
        self.words = words
        how = dots()
        if how == "two":
            self.parts = self.halves(k, words)
        elif how == "one":
            wide = words.type
            self.parts = [self._byte(words, i, wide) for i in range(GROUP)]

    def _byte(self, words: Value, i: int, wide: str) -> Value:
        if self.sign:
            return (words << (24 - 8 * i)) >> 24
        return words.op("lshr", words, 8 * i) & 255

    def halves(self, k: Kernel, words: Value) -> list[Value]:
        """The first and third, and the second and fourth, as 16 bits."""
        lanes = words.lanes
        pairs = words.convert("bitcast", f"<{2 * lanes} x i16>")
        if self.sign:
            return [(pairs << 8) >> 8, pairs >> 8]
        return [pairs & 255, pairs.op("lshr", pairs, 8)]


class Weights(Numbers):
    """The same with sign."""

    sign = True


#: Of instructions for so many lanes, the names.
_FOUR = {16: "llvm.x86.avx512.vpdpbusd.512", 8: "llvm.x86.avx512.vpdpbusd.256", 4: "llvm.x86.avx512.vpdpbusd.128"}
_TWO = {16: "llvm.x86.avx512.pmaddw.d.512", 8: "llvm.x86.avx2.pmadd.wd", 4: "llvm.x86.sse2.pmadd.wd"}


def add(k: Kernel, cell: Variable, numbers: Numbers, weights: Weights) -> None:
    """Add the four products of each lane to a sum."""
    t = cell.type
    lanes = lanes_of(t)
    how = dots()
    if how == "four":
        name = _FOUR[lanes]
        k.declares.add(f"declare {t} @{name}({t}, {t}, {t})")
        text = f"call {t} @{name}({t} {cell.value.name}, {t} {numbers.words.name}, {t} {weights.words.name})"
        cell.set(Value(k, k.emit(text), t))
        return
    for a, b in zip(numbers.parts, weights.parts, strict=True):
        if how == "two":
            name = _TWO[lanes]
            k.declares.add(f"declare {t} @{name}({a.type}, {a.type})")
            cell += Value(k, k.emit(f"call {t} @{name}({a.type} {a.name}, {b.type} {b.name})"), t)
        else:
            cell += a * b


# -- bytes ---------------------------------------------------------------------------------------------------------


def _pieces(count: int, lanes: int) -> list[tuple[int, int]]:
    """So many bytes as pieces for which there are instructions: where they begin, and their sizes."""
    found, at = [], 0
    while at < count:
        size = lanes
        while size > count - at:
            size //= 2
        found.append((at, size))
        at += size
    return found


def load_bytes(k: Kernel, pointer: str, count: int, lanes: int) -> Value:
    """So many bytes, and zeros behind them."""
    total: Value | None = None
    for at, size in _pieces(count, lanes):
        place = k.emit(f"getelementptr i8, ptr {pointer}, i64 {at}") if at else pointer
        value = Value(k, k.emit(f"load <{size} x i8>, ptr {place}, align 1"), f"<{size} x i8>")
        if size < lanes:
            value = k.shuffled(value, Value(k, "zeroinitializer", value.type), [*range(size), *[size] * (lanes - size)])
        if total is not None:
            value = k.shuffled(total, value, [*range(at), *range(lanes, lanes + size), *[lanes + size] * (lanes - at - size)]
                             if size + at < lanes else [*range(at), *range(lanes, lanes + size)])  # fmt: skip
        total = value
    assert total is not None
    return total


def store_bytes(k: Kernel, value: Value, pointer: str, count: int) -> None:
    """Write the first so many bytes."""
    lanes = value.lanes
    for at, size in _pieces(count, lanes):
        part = value if size == lanes else k.shuffled(value, value, list(range(at, at + size)))
        place = k.emit(f"getelementptr i8, ptr {pointer}, i64 {at}") if at else pointer
        k.line(f"  store {part.type} {part.name}, ptr {place}, align 1")


def joined(k: Kernel, parts: list[Value]) -> Value:
    """Vectors one behind the other; a power of two of them."""
    while len(parts) > 1:
        n = parts[0].lanes
        parts = [k.shuffled(a, b, list(range(2 * n))) for a, b in zip(parts[::2], parts[1::2], strict=True)]
    return parts[0]


def interleaved(k: Kernel, a: Value, b: Value, size: int) -> list[Value]:
    """The first and the second halves of each 16 bytes of two vectors, numbers of so many bytes in turn."""
    n = a.lanes * int(a.type[1:-1].split("i")[1]) // 8 // size
    t = f"<{n} x i{8 * size}>"
    a, b = (v if v.type == t else v.convert("bitcast", t) for v in (a, b))
    half = 8 // size
    found = []
    for start in (0, half):
        chosen = [i for q in range(0, n, 2 * half) for e in range(half) for i in (q + start + e, n + q + start + e)]
        found.append(k.shuffled(a, b, chosen))
    return found


def packed(k: Kernel, a: Value, b: Value, type: str) -> Value:
    """The lower halves of numbers, within each 16 bytes those of the one vector before those of the other."""
    lanes = a.lanes
    t = f"<{2 * lanes} x {type}>"
    each = lanes * int(a.type[1:-1].split("i")[1]) // 128  # times 16 bytes
    half = lanes // each
    chosen = [2 * lanes * which + 2 * (half * q + e) for q in range(each) for which in (0, 1) for e in range(half)]
    return k.shuffled(a.convert("bitcast", t), b.convert("bitcast", t), chosen)
