"""Convolution as a product of matrices, whose right operand is gathered block by block.

What the windows see are the columns of a matrix, the weights the rows of another ("im2col"). The columns of a few rows of the
result are gathered into a block that stays in the caches, some channels and taps at a time, and multiplied at once: the
copy costs one instruction where the product has as many as there are output channels. So any stride, any batch and any
size of the image come to the speed of the product.

The gradient by the weights takes the image with its channels innermost. Then what a tap sees are rows of channels, which
are gathered as they lie, or zeros beside the image, and the gradient by the result is the left operand as it is. (64-128
channels on 16 images of 8 x 8, 3 x 3, stride 2, take 0.76 of the time that they take with a copy of the images within borders.)

Lengths of blocks are counted as the kernel runs, so that the product is written once.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from tapenet.kernels import aligned
from tapenet.kernels.blocks import even, every, turn
from tapenet.kernels.constants import lasting
from tapenet.kernels.convolution import Ints, Shape
from tapenet.kernels.moves import add_up, clear, picked_into, put_taps, transposed, turn_each, zeros
from tapenet.llvm import gemm
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared, parts

#: Rows of a block of columns: 64 columns of them stay in the first level cache.
DEPTH = 128
#: Columns of a block, at best and at most.
COLUMNS, MOST = 128, 256
#: Outputs of a part, where threads share these.
OUTS = 64
#: Channels of few, and places of many, for gradients by the weights of one tap.
NARROW, LONG = 32, 2048
#: Taps at most: a block has all taps of a channel.
MOST_TAPS = 256


def takes(char: str, shape: Shape) -> bool:
    """Whether there is a kernel for a shape and a dtype, by NumPy's character."""
    return char in "fd" and 0 < len(shape.taps) <= MOST_TAPS and shape.groups < shape.channels


def pays(shape: Shape, alone: bool) -> bool:
    """Whether `sums` beats the direct sum, or, `alone`, NumPy: a copied number takes part in enough products, and a result has
    enough of them."""
    enough = alone or shape.channels // shape.groups * len(shape.taps) >= 32
    return enough and shape.outs // shape.groups >= 8


def reads_beyond(batch: int, char: str) -> bool:
    """Whether taps of `sums` may see places beside x, which are 0: where a batch fills vectors. The copy of x within a border
    takes a tenth of a small network's step."""
    return batch * np.dtype(char).itemsize >= registers().bytes


def weights_pay(shape: Shape, alone: bool) -> bool:
    """The same of `weight_sums`: rows of channels fill vectors. Of three channels of one image it would take 2.6 times as long
    as NumPy. Of one tap and few channels, direct sums of many places take 0.6 to 0.85 of its time."""
    outs, channels = shape.outs // shape.groups, shape.channels // shape.groups
    long = len(shape.taps) == 1 and shape.dense and math.prod(shape.counts) * shape.batch >= LONG
    if long and not alone and min(outs, channels) < NARROW:
        return False
    return outs >= 8 and channels >= (8 if alone else 24)


# -- blocks of the result ----------------------------------------------------------------------------------------


def _parts(length: int, each: int) -> int:
    """How many places of a length of so many, `each` columns wide, a block has: such that few vectors are filled in part."""
    best = max(1, min(length, MOST // each))

    def cost(size: int) -> tuple[float, int]:
        whole, rest = divmod(length, size)
        vectors = whole * -(-size * each // 16) + -(-rest * each // 16)
        return vectors * (1 + 0.25 * (size * each < COLUMNS // 2)), abs(size * each - COLUMNS)

    return min(range(1, best + 1), key=cost)


@functools.lru_cache(maxsize=1024)
def _block(shape: Shape) -> tuple[int, int]:
    """The rows of a block, and its places along the width: one of the two is cut."""
    run = shape.counts[2] * shape.batch
    return (1, _parts(shape.counts[2], shape.batch)) if run > MOST else (_parts(shape.counts[1], run), shape.counts[2])


def _steps(shape: Shape) -> list[int]:
    """The same of blocks of about equal size."""
    return [next(even(length, most))[2] for length, most in zip(shape.counts[1:], _block(shape), strict=True)]


def _shared_axis(shape: Shape) -> tuple[int, int]:
    """The length of the axis that threads share in gradients by the weights, and the step of its blocks."""
    axis = 0 if shape.counts[1] > 1 else 1
    return shape.counts[1 + axis], _steps(shape)[axis]


def _number(shape: Shape) -> int:
    """Of blocks that threads share."""
    rows, width = _block(shape)
    return -(-shape.counts[1] // rows) * -(-shape.counts[2] // width)


def _blocks(k: Kernel, shape: Shape, begin: Value, end: Value) -> Iterator[tuple[Index, Index, Index, int, int]]:
    """Depth, first row and first place along the width of the blocks from `begin` to `end`, with their rows and places. A part
    may begin within a row: two threads would else have 7 and 6 rows of 13."""
    rows, width = _block(shape)
    each = -(-shape.counts[2] // width)  # blocks of a row
    for d in k.turns(shape.counts[0]):
        if rows > 1:
            for h, high in _shared(k, shape.counts[1], rows, begin, end):
                yield d, h, 0, high, shape.counts[2]
            continue
        over = end + (each - 1)
        for h in k.turns(over.op("udiv", over, each), begin.op("udiv", begin, each)):
            first, last = begin - h * each, end - h * each
            for w, long in _shared(k, shape.counts[2], width, first.at_least(0), last):
                yield d, h, w, 1, long


def _pieces(k: Kernel, length: int, size: int) -> Iterator[tuple[Index, int]]:
    whole, rest = divmod(length, size)
    if whole == 1:
        yield 0, size
    elif whole:
        for at in k.turns(whole * size, 0, size):
            yield at, size
    if rest:
        yield whole * size, rest


def _pitch(columns: int, char: str) -> int:
    """How far rows of a block lie apart: an odd number of cache lines, so that they do not compete for places in a cache."""
    line = 64 // np.dtype(char).itemsize
    return (-(-columns // line) | 1) * line


# -- the sum over taps -------------------------------------------------------------------------------------------


class Weights(NamedTuple):
    """How weights lie in memory: how many numbers from one output to the next, from one channel to the next, and where each
    tap is."""

    by_out: int
    by_channel: int
    taps: tuple[int, ...]

    @property
    def whole(self) -> bool:
        """Whether channels with all their taps lie behind each other."""
        return self.taps == tuple(range(self.by_channel))


def sums(
    x: np.ndarray, weight: np.ndarray, lie: Weights, bias: np.ndarray, out: np.ndarray, shape: Shape
) -> None:  # fmt: skip
    """Compute `out` as `Shape` says. All arrays are C-contiguous; the weights lie as is said, but not whole where taps see
    places beside x (`reads_beyond`)."""
    run, offsets, gathered, scattered, length, start = _sums(
        shape, lie, x.dtype.char, gemm.far(weight.nbytes // shape.groups)
    )
    beyond = [zeros(shape.batch, x.dtype)] if _beyond(shape) else []
    at = out.reshape(-1)[start:] if start else out
    taps = lasting(offsets), len(shape.taps)
    run(length, shape.multiply_adds, x, weight, bias, at, *taps, *beyond, gathered, scattered)


@functools.lru_cache(maxsize=512)
def _sums(shape: Shape, lie: Weights, char: str, far: bool) -> tuple[Shared, np.ndarray, int, int, int, int]:
    """The kernel, where taps are in memory, bytes of a block of columns and of one of the result, the length of its range, and
    where the result begins. Sums with other taps and another beginning, as those of all phases of a gradient, share code."""
    shape = _flat(shape)
    rows, width = _block(shape)
    pitch = _pitch(rows * width * shape.batch, char) * np.dtype(char).itemsize
    offsets = np.array([[shape.offset(tap) for tap in shape.taps], lie.taps, *zip(*shape.taps, strict=True)])
    gathered = 64 if _plain(shape, char) else max(DEPTH, len(shape.taps)) * pitch
    scattered = 64 if _dense(shape) else shape.outs // shape.groups * pitch
    by_outs = _number(shape) == 1 == shape.groups and shape.outs >= 2 * OUTS
    length = shape.outs if by_outs else _number(shape)
    d, h, w = shape.out_start
    start = ((d * shape.out[1] + h) * shape.out[2] + w) * shape.batch
    alike = shape._replace(out_start=(0, 0, 0))
    seen = "plain" if _plain(shape, char) else "beyond" if _beyond(shape) else "whole" if lie.whole else "taps"
    if seen != "whole":
        alike = alike._replace(taps=((0, 0, 0),) * min(len(shape.taps), 2))
    return _sum_kernel(alike, *lie[:2], seen, by_outs, char, far), offsets, gathered, scattered, length, start


def _flat(shape: Shape) -> Shape:
    """Of a sum over one tap, whose windows are all places, the same along one axis."""
    if len(shape.taps) > 1 or not shape.counts == shape.x == shape.out or _beyond(shape):
        return shape
    length = (1, 1, math.prod(shape.x) * shape.batch)
    return shape._replace(batch=1, x=length, out=length, counts=length)


def _plain(shape: Shape, char: str) -> bool:
    """Whether columns are read where they are: they lie side by side, and not at a distance at which they compete for places in
    a cache."""
    return (
        shape.counts[:2] == (1, 1)
        and shape.batch == len(shape.taps) == 1
        and shape.counts == shape.x
        and not _beyond(shape)
        and (shape.counts[2] * np.dtype(char).itemsize % 1024 != 0 or shape.channels <= 16)
    )


def _beyond(shape: Shape) -> bool:
    """Whether taps see places beside x."""
    axes = zip(zip(*shape.taps, strict=True), shape.counts, shape.step, shape.x, strict=True)
    return any(min(taps) < 0 or (count - 1) * step + max(taps) >= n for taps, count, step, n in axes)


def _dense(shape: Shape) -> bool:
    """Whether the columns of a block lie side by side in the result."""
    return shape.out_step == (1, 1, 1) and shape.counts == shape.out


@factory(256)
def _sum_kernel(
    shape: Shape, by_out: int, by_channel: int, seen: str, by_outs: bool, char: str, far: bool
) -> Shared:  # fmt: skip
    """For one tap, or several: how many is an argument. The result is from its pointer on. What taps see is read where it
    lies if that is "plain"; else gathered tap by tap, from places beside x too if it is "beyond", or if weights are "whole"
    channel by channel, for as many taps as the shape has. The range is that of the blocks; or, `by_outs`, that of the outputs
    of the only one, whose columns each part gathers. Weights may come from `far`."""
    k = Kernel("gathered", char, vectors=True)
    n, outs, channels = shape.batch, shape.outs // shape.groups, shape.channels // shape.groups
    x = k.array(shape.channels, *shape.x[:2], shape.x[2] * n)
    weight, bias = k.array(1), k.array(shape.outs)
    out = k.array(shape.outs, *shape.out[:2], shape.out[2] * n)
    offsets, taps = k.array(1, dtype=np.int64), k.integer()
    nothing = k.array(1) if seen == "beyond" else None
    buffer, scratch = k.scratch(1), k.scratch(1)
    tall = gemm.tall(outs, k.dtype)
    begin, end = k.range(-(-OUTS // tall) * tall if by_outs else 1)
    lead, some = (begin, end - begin) if by_outs else (k.index(0), k.index(outs))
    many, known = (some.name, (tall, outs % tall)) if by_outs else (outs, None)
    within = (k.index(0), k.index(1)) if by_outs else (begin, end)
    per_group = max(outs * by_out, channels * by_channel)
    for d, h, w, rows, width in _blocks(k, shape, *within):
        columns = rows * width * n
        pitch = _pitch(columns, char)
        for g in k.turns(shape.groups):
            source = x.moved(
                g * channels, *(i * s for i, s in zip((d, h), shape.step, strict=False)), w * (shape.step[2] * n)
            )
            first_out = lead + g * outs
            target = out.moved(first_out, d, h, w * n) if _dense(shape) else scratch.shaped(outs, pitch)
            left = weight.moved(lead * by_out + g * per_group)
            panel = buffer.shaped(1, pitch)

            result = gemm.Matrix(target.pointer, target.strides[0], 1)
            start = gemm.Matrix(bias.at(first_out), 1, 0)
            block = gemm.Matrix(panel.pointer, pitch, 1)
            if seen == "whole":
                number = len(shape.taps)
                most = max(1, DEPTH // number)
                for first, size in k.blocks(channels, next(even(channels, most))[2]):
                    for c in k.turns(size):
                        for t in k.turns(number):
                            at = source.moved(first + c).shaped(1).moved(offsets.load(t))
                            _gather(k, shape, at, panel.moved(c * number + t), rows, width)
                    more = channels > most and (first > 0).name
                    matrices = [gemm.Matrix(left.at(first * by_channel), by_out, 1), block, result]
                    gemm.write(k, (many, columns, (size * number).name), matrices, k.dtype, more, start, known, far=far)
            else:
                for t in k.turns(taps):
                    for first, size in k.blocks(channels, next(even(channels, DEPTH))[2]):
                        right = block
                        if seen == "plain":
                            right = gemm.Matrix(source.at(first), source.strides[0], 1)
                        elif nothing is not None:
                            places = [
                                i * s + offsets.load(taps * axis + t)
                                for axis, (i, s) in enumerate(zip((d, h, w), shape.step, strict=True), 2)
                            ]
                            channel = x.moved(g * channels + first)
                            _gather_beyond(k, shape, channel, nothing, panel, places, size, rows, width)
                        else:
                            for c in k.turns(size):
                                at = source.moved(first + c).shaped(1).moved(offsets.load(t))
                                _gather(k, shape, at, panel.moved(c), rows, width)
                        more = (len(shape.taps) > 1 or channels > DEPTH) and (t + first > 0).name
                        numbers = left.at(offsets.load(taps + t) + first * by_channel)
                        matrices = [gemm.Matrix(numbers, by_out, by_channel), right, result]
                        gemm.write(k, (many, columns, size.name), matrices, k.dtype, more, start, known, far=far)
            if not _dense(shape):
                _scatter(k, shape, target, out.moved(first_out), some, (d, h, w), rows, width)
    return k.shared()


def _vectors(k: Kernel, count: int) -> Iterator[tuple[Index, int | None]]:
    """The vectors of a run, in a loop if there are many."""
    whole = count // k.lanes
    if whole <= 16:
        yield from k.vectors(0, count)
        return
    for at in k.turns(whole * k.lanes, 0, k.lanes):
        yield at, None
    if count % k.lanes:
        yield whole * k.lanes, count % k.lanes


def _gather(k: Kernel, shape: Shape, source: Array, row: Array, rows: int, width: int) -> None:
    """One row of the columns: what one tap sees of one channel."""
    n, (_, step, side) = shape.batch, shape.step
    line = shape.x[2] * n
    row = row.shaped(1)
    for r in k.turns(rows):
        every(k, source.moved(r * (step * line)), row.moved(r * (width * n)), width, side, n)


def _gather_beyond(
    k: Kernel, shape: Shape, x: Array, nothing: Array, panel: Array, seen: list[Value], size: Value, rows: int, width: int
) -> None:  # fmt: skip
    """Rows of the columns, of so many channels: what one tap sees that may see places beside x, from `seen` on."""
    n, steps = shape.batch, (0, *shape.step[1:])
    lasts = (s + (many - 1) * step for s, many, step in zip(seen, (1, rows, width), steps, strict=True))
    whole = _inside(shape, seen) & _inside(shape, lasts)
    for _ in k.when(whole):
        for c in k.turns(size):
            _gather(k, shape, x.moved(c).shaped(1).moved(_number_of(shape, *seen)), panel.moved(c), rows, width)
    for _ in k.when(~whole):
        for r in k.turns(rows):
            for i in k.turns(width):
                d, h, w = at = seen[0], seen[1] + r * steps[1], seen[2] + i * steps[2]
                there = _inside(shape, at)
                index, to = there.where(_number_of(shape, d, h, w), 0), panel.shaped(1).moved((r * width + i) * n)
                for c in k.turns(size):
                    channel = Value(k, x.moved(c).shaped(1).at(index), "ptr")
                    source = there.where(channel, Value(k, nothing.pointer, "ptr"))
                    _copy(k, Array(k, source.name, (1,), k.dtype), to.moved(c * panel.strides[0]), n)


def _inside(shape: Shape, at: Iterable[Value]) -> Value:
    """Whether a place is one of x."""
    return functools.reduce(operator.and_, [i.compare("ult", n) for i, n in zip(at, shape.x, strict=True)])


def _number_of(shape: Shape, d: Value, h: Value, w: Value) -> Value:
    """Where it is in memory."""
    return ((d * shape.x[1] + h) * shape.x[2] + w) * shape.batch


def _copy(k: Kernel, source: Array, target: Array, count: int) -> None:
    if count == 1:
        target.store(source.load())
        return
    for at, some in _vectors(k, count):
        target.store(source.load(at, lanes=k.lanes, count=some), at, count=some)


def _scatter(
    k: Kernel, shape: Shape, source: Array, out: Array, outs: Value, place: tuple[Index, Index, Index], rows: int, width: int
) -> None:  # fmt: skip
    """A block of the result, of so many outputs, to where it belongs."""
    n = shape.batch
    d, h, w = (i * s for i, s in zip(place, shape.out_step, strict=True))
    for o in k.turns(outs):
        for r in k.turns(rows):
            to = out.moved(o, d, h + r * shape.out_step[1], w * n).shaped(1)
            at = source.moved(o, r * (width * n)).shaped(1)
            if shape.out_step[2] == 1:
                _copy(k, at, to, width * n)
            else:
                for i in k.turns(width):
                    _copy(k, at.moved(i * n), to.moved(i * (shape.out_step[2] * n)), n)


# -- the gradient by the weights ---------------------------------------------------------------------------------


def weight_sums(x: np.ndarray, y: np.ndarray, shape: Shape, places: Ints, out: np.ndarray) -> None:
    """Write the gradient by the weights of `sums` to `out` (outs, channels / groups, taps), where y is the one by its result
    and `places` are which of the kernel's taps the shape's are; of others it is 0. All arrays are C-contiguous."""
    channels, taps = shape.channels // shape.groups, out.shape[2]
    if len(places) == 1 < taps:
        alone = aligned((shape.outs, channels, 1), x.dtype)
        weight_sums(x, y, shape, (0,), alone)
        put_taps(alone, places, out)
        return
    char, cost = x.dtype.char, shape.multiply_adds
    number = len(places) if taps > 1 else -(-channels // _wide(char))
    length, step = _shared_axis(_flat(shape))
    # Of few channels and one tap threads share the places, and have sums of their own: 32 to 32 channels on 32 images of
    # 28 x 28 take 0.66 of the time so on two.
    several = parts(length, cost, out.size, step) if taps == 1 else 0
    by_places = several > number
    run, offsets, plain, gathered = _weight_sums(shape, places, taps, char, by_places)
    turned = x if plain else transposed(x.reshape(shape.channels, -1))
    beside = [zeros(_wide(char), x.dtype)] if _beyond(shape) else []
    given: tuple[np.ndarray | int, ...] = (lasting(offsets), *beside, gathered)
    if by_places:
        sums = aligned((several, *out.shape), x.dtype)
        run(length, cost, turned, y, sums, *given, parts=several)
        add_up(sums, out)
        return
    found = out if taps == 1 else aligned((shape.outs, taps, channels), x.dtype)
    if len(places) < taps:
        clear(found)
    run(number, cost, turned, y, found, *given)
    if taps > 1:
        size = channels * taps
        turn_each(found, out, shape.outs, (taps, channels), (channels, size, taps, size))


@functools.lru_cache(maxsize=512)
def _weight_sums(
    shape: Shape, places: Ints, taps: int, char: str, by_places: bool
) -> tuple[Shared, np.ndarray, bool, int]:
    """The kernel, where taps are in memory, whether x is read as it lies, and bytes of a panel."""
    shape = _flat(shape)
    rows, width = _block(shape)
    offsets = np.array([[shape.offset(tap) for tap in shape.taps], places, *zip(*shape.taps, strict=True)])
    panel = rows * width * shape.batch * min(_wide(char), shape.channels // shape.groups) * np.dtype(char).itemsize
    return _weight_kernel(shape, taps, char, by_places), offsets, _whole(shape), panel


def _whole(shape: Shape) -> bool:
    """Whether all places of x are seen, by one tap."""
    return len(shape.taps) == 1 and shape.counts == shape.x and not _beyond(shape)


@factory(256)
def _weight_kernel(shape: Shape, all_taps: int, char: str, by_places: bool) -> Shared:
    """The range is that of the rows, or of the places of the only one; or that of the taps, or of pieces of the channels."""
    k = Kernel("gathered_weights", char, vectors=True)
    n, outs, channels, taps = (
        shape.batch, shape.outs // shape.groups, shape.channels // shape.groups, len(shape.taps)
    )  # fmt: skip
    x = k.array(math.prod(shape.x) * n, shape.channels)
    y = k.array(shape.outs, *shape.counts[:2], shape.counts[2] * n)
    found = (k.each if by_places else k.array)(shape.outs, all_taps, channels)
    offsets = k.array(5, taps, dtype=np.int64)
    nothing = k.array(1) if _beyond(shape) else None
    panel = k.scratch(1)
    begin, end = k.range(_shared_axis(shape)[1] if by_places else 1)
    steps, within = _steps(shape), [(k.index(0), k.index(length)) for length in shape.counts[1:]]
    if by_places:
        within[0 if shape.counts[1] > 1 else 1] = begin, end
    (top, bottom), (leftmost, right) = within
    wide = _wide(char)
    for g in k.turns(shape.groups):
        for d in k.turns(shape.counts[0]):
            for h, high in k.blocks(bottom, steps[0], top):
                for w, long in k.blocks(right, steps[1], leftmost):
                    again = (d > 0) | (h > top) | (w > leftmost)
                    left = y.moved(g * outs, d, h, w * n)
                    row = d * (shape.step[0] * shape.x[1]) + h * shape.step[1]
                    corner = (row * shape.x[2] + w * shape.step[2]) * n
                    parts: Iterator[tuple[Index, Index, int]]
                    if taps > 1:
                        parts = ((t, c, size) for t in k.turns(end, begin) for c, size in _pieces(k, channels, wide))
                    elif by_places:
                        parts = ((0, c, size) for c, size in _pieces(k, channels, wide))
                    else:
                        parts = ((0, c, size) for c, size in _shared(k, channels, wide, begin, end))
                    for t, c, size in parts:
                        if _whole(shape):
                            length = shape.counts[2]
                            at = x.shaped(1).moved((g * channels + c) * length + w)
                            turn(k, at, panel, size, long, k.index(length), size)
                        elif nothing is not None:
                            firsts = zip((d, h, w), shape.step, strict=True)
                            seen = [i * s + offsets.load(2 + axis, t) for axis, (i, s) in enumerate(firsts)]
                            _rows_beyond(
                                k, shape, x.moved(0, g * channels + c), nothing, panel, seen, (high, long), size
                            )
                        else:
                            source = x.moved(corner + offsets.load(0, t), g * channels + c)
                            for r in k.turns(high):
                                to = panel.shaped(1, size).moved(r * long * n)
                                _rows(k, shape, source.moved(r * (shape.step[1] * shape.x[2] * n)), to, long, size)
                        matrices = [
                            gemm.Matrix(left.pointer, left.strides[0], 1),
                            gemm.Matrix(panel.pointer, size, 1),
                            gemm.Matrix(found.at(g * outs, offsets.load(1, t), c), all_taps * channels, 1),
                        ]
                        gemm.write(k, (outs, size, (high * long * n).name), matrices, k.dtype, again.name)
    return k.shared()


def _shared(k: Kernel, length: int, size: int, begin: Value, end: Value) -> Iterator[tuple[Index, int]]:
    """Those pieces of a length that have the numbers from `begin` to `end`."""
    whole, rest = divmod(length, size)
    if whole:
        for block in k.turns(end.at_most(whole), begin):
            yield block * size, size
    if rest:
        for _ in k.when(end > whole):
            yield whole * size, rest


def _wide(char: str) -> int:
    """Channels of a panel."""
    return gemm.across(64, np.dtype(char))


def _rows(k: Kernel, shape: Shape, source: Array, target: Array, width: Value, size: int) -> None:
    """Rows of channels that one tap sees along the width."""
    n, side = shape.batch, shape.step[2]
    if side == 1:
        for i in k.turns(width * n):
            _copy(k, source.moved(i).shaped(1), target.moved(i).shaped(1), size)
        return
    for i in k.turns(width):
        for j in k.turns(n):
            _copy(k, source.moved(i * (side * n) + j).shaped(1), target.moved(i * n + j).shaped(1), size)


def _rows_beyond(
    k: Kernel, shape: Shape, x: Array, nothing: Array, panel: Array, seen: list[Value], lengths: tuple[Value, Value], size: int
) -> None:  # fmt: skip
    """Rows of channels that one tap sees, which may see places beside x, from `seen` on."""
    n, (high, long) = shape.batch, lengths
    for r in k.turns(high):
        for i in k.turns(long):
            at = seen[0], seen[1] + r * shape.step[1], seen[2] + i * shape.step[2]
            there = _inside(shape, at)
            first = Value(k, x.at(there.where(_number_of(shape, *at), 0), 0), "ptr")
            source = Array(k, there.where(first, Value(k, nothing.pointer, "ptr")).name, (1,), k.dtype)
            row, to = there.where(k.index(x.strides[0]), 0), panel.shaped(1).moved((r * long + i) * (n * size))
            for j in k.turns(n):
                _copy(k, source.moved(row * j), to.moved(j * size), size)


# -- weights -----------------------------------------------------------------------------------------------------


def by_taps(weight: np.ndarray, taps: Ints) -> np.ndarray:
    """Of weights (outs, channels, taps) these taps, as (taps, outs, channels), in C order."""
    outs, channels, number = weight.shape
    if number == 1:
        return np.ascontiguousarray(weight).reshape(1, outs, channels)
    if weight.dtype.char not in "fd" or not weight.flags.c_contiguous:
        return np.ascontiguousarray(weight.transpose(2, 0, 1)[list(taps)])
    made = aligned((len(taps), outs, channels), weight.dtype)
    if len(taps) < number:
        for one, tap in zip(made, taps, strict=True):
            picked_into(weight, 1, (tap,), False, one)
        return made
    turn_each(weight, made, outs, (channels, number), (number, channels * number, outs * channels, channels))
    return made
