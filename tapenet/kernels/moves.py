"""Arrays brought into another memory order."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence

import numpy as np

from tapenet.kernels import aligned
from tapenet.kernels.blocks import counted, every, interleave, kind, move, pieces, planes, turn
from tapenet.kernels.constants import lasting
from tapenet.kernels.constants import zeros as zeros
from tapenet.llvm import rehearsal
from tapenet.llvm.addresses import LINE
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Array, Kernel, Value
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared

#: What a number costs that is moved, in multiply-adds, and one in a dense run.
COST, DENSE = 20, 8
#: Columns that a part of a transposed matrix has a multiple of: those of a cache line.
GRAIN = 16
#: Bytes below which NumPy fills an array as quickly.
CLEARED = 1 << 16
#: Bytes of such runs from which they are copied one by one in native code.
RUN = 64


def batch_last(x: np.ndarray) -> np.ndarray:
    """x (..., batch) in C order; quick where its memory has the batch in front."""
    if x.flags.c_contiguous:
        return x
    made = aligned(x.shape, x.dtype)
    put(x, made)
    return made


def put(x: np.ndarray, target: np.ndarray) -> None:
    """Copy x (..., batch) to an array in which batches are dense; quick where neighbours along another axis are neighbours in
    the memory of x."""
    dense = [i for i, s in enumerate(x.strides[:-1]) if s == x.itemsize]
    quick = x.dtype.char in "fd" and 2 <= x.ndim <= 5 and bool(dense) and x.shape[-1] > 1
    small = x.size < 4096 and rehearsal.state.record is None
    if not quick or x.dtype != target.dtype or small:
        target[...] = x
        return
    first = np.moveaxis(x, -1, 0)
    if first.flags.c_contiguous and target.flags.c_contiguous:  # one matrix: its rows are longer than those of many are
        turned_into(first.reshape(len(first), -1), target.reshape(-1, len(first)))
        return
    x, target = (np.moveaxis(a, max(dense, key=x.shape.__getitem__), -2) for a in (x, target))
    outer = (1,) * (5 - x.ndim)
    steps = [s // x.itemsize for a in (x, target) for s in (*outer, *a.strides[:-2])]
    run = _put(x.shape[-1], x.shape[-2], target.strides[-2] // x.itemsize, x.dtype.char)
    row, lengths = x.strides[-1] // x.itemsize, (*outer, *x.shape[:-2])
    run(math.prod(lengths), COST * x.size, x, target, row, *lengths[1:], *steps)


@factory(128)
def _put(rows: int, columns: int, apart: int, char: str) -> Shared:
    """Of matrices whose columns lie so many numbers `apart` in the target. Arguments behind the arrays: numbers between rows of
    the source; the lengths of the axes around but the first; numbers between neighbours along all three, in the source and in
    the target. The range is that of the matrices."""
    k = Kernel("put", char, vectors=True)
    source, target, row = k.array(1), k.array(1), k.integer()
    second, third = k.integer(), k.integer()
    steps, turned = ([k.integer() for _ in range(3)] for _ in range(2))
    begin, end = k.range()
    for i in k.turns(end, begin):
        above = i.op("udiv", i, third)
        a = above.op("udiv", above, second)
        b, c = above - a * second, i - above * third
        at, to = (a * by[0] + b * by[1] + c * by[2] for by in (steps, turned))
        turn(k, source.moved(at), target.moved(to), rows, columns, row, apart)
    return k.shared()


def bordered(x: np.ndarray, befores: Sequence[int], padded: Sequence[int]) -> np.ndarray:
    """x (channels, one to three spatial axes, batch) within zeros, C-contiguous: so many before it along each spatial axis,
    which has the length in `padded`. What does not fit in at the end is cut off. Threads share the axis that they share in
    convolutions, so that each core has the rows that it works on."""
    if x.shape[1:-1] == tuple(padded) and not any(befores):
        return batch_last(x)
    made = aligned((x.shape[0], *padded, x.shape[-1]), x.dtype)
    inside = [min(n, length - before) for before, length, n in zip(befores, padded, x.shape[1:-1], strict=True)]
    batch, size = x.shape[-1], x.itemsize
    # The last axis, with the batch, is a run; the others, of which there are two then, are gone through.
    line = [
        (1, 1, 0, 0),
        (1, 1, 0, 0),
        *zip(inside, padded, befores, (s // size for s in x.strides[1:-1]), strict=True),
    ]
    (first, second), (number, whole, before, step) = line[-3:-1], line[-1]
    native = x.dtype.char in "fd" and min(inside) > 0 and all(s % size == 0 for s in x.strides)
    quick = native and (batch == 1 or x.strides[-1] == size) and step == batch and number * batch * size >= RUN
    if native:
        if first[1] == 1:  # threads share the outer one
            first, second = second, first
        lengths = x.shape[0], x.strides[0] // size, number * batch, whole * batch, before * batch
        _bordered(x.dtype.char)(first[1], COST * made.size, x, made, int(quick), *lengths, *first, *second)
    else:
        made.fill(0)
    if not quick:
        at = tuple(slice(b, b + n) for b, n in zip(befores, inside, strict=True))
        put(x[(slice(None), *(slice(0, n) for n in inside))], made[(slice(None), *at)])
    return made


@factory(2)
def _bordered(char: str) -> Shared:
    """Arguments behind the arrays: 1 if x is copied, 0 if its place is left alone; channels, and how far they lie apart in x;
    the numbers of a row in x, in the result, and before it; of the two axes of rows the lengths in x and in the result, the
    border before, and how far rows lie apart in x. The range is the first axis of the result."""
    k = Kernel("bordered", char)
    x, out = k.array(1), k.array(1)
    copies, channels, apart, some, row, lead = (k.integer() for _ in range(6))
    (n, whole, before, step), (n2, whole2, before2, step2) = ([k.integer() for _ in range(4)] for _ in range(2))
    begin, end = k.range()
    size = k.dtype.itemsize
    for c in k.turns(channels):
        for i in k.turns(end, begin):
            for j in k.turns(whole2):
                a, b = i - before, j - before2
                there = a.compare("ult", n) & b.compare("ult", n2)
                copied, zeros = there.where(some, 0), there.where(lead, row)
                source = x.at(there.where(c * apart + a * step + b * step2, 0))
                at = ((c * whole + i) * whole2 + j) * row
                k.zeros(out.at(at), (zeros * size).name)
                k.copy(source, out.at(at + zeros), copied * copies * size)
                k.zeros(out.at(at + zeros + copied), ((row - zeros - copied) * size).name)
    return k.shared()


def narrow(batch: int, dtype: np.dtype) -> bool:
    """Whether a batch fills no vector."""
    return 2 * batch < _lanes(dtype)


def _lanes(dtype: np.dtype) -> int:
    return registers().bytes // dtype.itemsize


def apart(
    x: np.ndarray, rows: tuple[int, int], places: tuple[int, int, int, int], which: tuple[int, ...]
) -> np.ndarray:  # fmt: skip
    """Images (channels, height, width, batch) within zeros, of each row every step-th place together: (channels, rows, planes,
    places of a plane, batch).

    Args:
        x: in C order.
        rows: in front of the first row, and of the result.
        places: how long rows are, the first that is wanted, negative in front of them, the step, and the places of a plane.
        which: planes, by the place that they begin at.
    """
    channels, height, _, n = x.shape
    made = aligned((channels, rows[1], len(which), places[3], n), x.dtype)
    _apart(height, rows, places, which, n, x.dtype.char)(channels, COST * made.size, x, made)
    return made


@factory(128)
def _apart(
    height: int, rows: tuple[int, int], places: tuple[int, int, int, int], which: tuple[int, ...], n: int, char: str
) -> Shared:  # fmt: skip
    k = Kernel("apart", char, vectors=True)
    x, out = k.array(1, height, places[0] * n), k.array(1, rows[1], len(which), places[3] * n)
    above = min(rows)
    below = min(above + height, rows[1])
    begin, end = k.range()
    for c in k.turns(end, begin):
        for first, last in ((0, above), (below, rows[1])):
            if first < last:
                move(k, None, out.part(c, first).shaped(1), (last - first) * len(which) * places[3] * n)
        for row in k.turns(below, above):
            planes(k, x.part(c, row - above), out.part(c, row), places, n, which)
    return k.shared()


def patches(x: np.ndarray, out: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> np.ndarray:
    """What windows that do not overlap see of images (channels, height, width, batch) in C order: (channels, *kernel, *out,
    batch)."""
    made = aligned((len(x), *kernel, *out, x.shape[-1]), x.dtype)
    _patches(x.shape[1:], out, kernel, stride, False, x.dtype.char)(len(x), COST * made.size, x, made)
    return made


def from_patches(made: np.ndarray, x: np.ndarray) -> None:
    """The inverse, where windows lie side by side and see all of x."""
    kernel = made.shape[1:3]
    _patches(x.shape[1:], made.shape[3:5], kernel, kernel, True, x.dtype.char)(len(x), COST * x.size, x, made)


@factory(128)
def _patches(
    image: tuple[int, ...], out: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int], back: bool, char: str
) -> Shared:  # fmt: skip
    k = Kernel("patches", char)
    height, width, n = image
    x, made = k.array(1, height, width * n), k.array(1, *kernel, out[0], out[1] * n)
    begin, end = k.range()
    for c in k.turns(end, begin):
        for i in k.turns(out[0]):
            for a in k.turns(kernel[0]):
                row, lines = x.part(c, i * stride[0] + a), made.moved(c, a, 0, i)
                if back:
                    lines = Array(k, lines.pointer, (lines.strides[2], 1), k.dtype)
                    interleave(k, lines, row, width, kernel[1], n)
                    continue
                for b in range(kernel[1]):
                    every(k, row.moved(b * n), lines.moved(0, 0, b).shaped(1), out[1], stride[1], n)
    return k.shared()


def from_columns(columns: np.ndarray, found: np.ndarray, windows: tuple[tuple[int, int, int], ...]) -> None:
    """Write to found (channels, three spatial axes, batch) for each place the sum of what windows that see it have there in
    columns (channels, kernel, places, batch). `windows` are stride, dilation and the border in front, along each spatial axis.
    Both arrays are in C order."""
    run = _from_columns(columns.shape[1:], found.shape[1:-1], windows, found.dtype.char)
    run(len(found), DENSE * columns.size, columns, found)


@factory(128)
def _from_columns(
    columns: tuple[int, ...], sizes: tuple[int, ...], windows: tuple[tuple[int, int, int], ...], char: str
) -> Shared:  # fmt: skip
    k = Kernel("from_columns", char)
    kernel, out, n = columns[:3], columns[3:6], columns[6]
    seen = k.array(1, math.prod(kernel), *out[:2], out[2] * n)
    found = k.array(1, *sizes[:2], sizes[2] * n)
    begin, end = k.range()

    def add(source: Array, target: Array, count: int) -> None:
        if count == 1:
            target.store(target.load() + source.load())
            return
        for at, vectors, rest in pieces(k, count, 4):
            for v in range(vectors):
                place, some = at + v * k.lanes, rest if v == vectors - 1 else None
                before, more = (a.load(place, lanes=k.lanes, count=some) for a in (target, source))
                target.store(before + more, place, count=some)

    for c in k.turns(end, begin):
        move(k, None, found.part(c).shaped(1), math.prod(sizes) * n)
        for number, tap in enumerate(itertools.product(*map(range, kernel))):
            (d, deep, to_d), (h, high, to_h), (w, wide, to_w) = (
                _reached(tap[axis] * gap - before, step, out[axis], sizes[axis])
                for axis, (step, gap, before) in enumerate(windows)
            )
            if not min(deep, high, wide):
                continue
            (by_d, by_h, by_w) = (step for step, _, _ in windows)
            for i in k.turns(deep):
                for j in k.turns(high):
                    source = seen.moved(c, number, i + d, j + h, w * n).shaped(1)
                    target = found.moved(c, i * by_d + to_d, j * by_h + to_h, to_w * n).shaped(1)
                    if by_w == 1:
                        add(source, target, wide * n)
                        continue
                    for x in k.turns(wide):
                        add(source.moved(x * n), target.moved(x * (by_w * n)), n)
    return k.shared()


def _reached(offset: int, step: int, windows: int, size: int) -> tuple[int, int, int]:
    """Of so many windows that see place i * step + offset: the first that sees one of so many, how many do, and its place."""
    first = max(0, -(offset // step))
    number = max(0, min(windows, -(-(size - offset) // step)) - first)
    return first, number, first * step + offset


def copied(source: np.ndarray, target: np.ndarray) -> None:
    """Copy an array to one of its shape and dtype, both dense: in one order of memory, or one of them in C order and the other
    with its first axis innermost.

    Raises:
        Unrecorded: they lie otherwise.
    """
    ours, theirs = ((a, a.transpose(*range(1, a.ndim), *range(a.ndim)[:1])) for a in (source, target))
    for a, b in zip(ours, theirs, strict=True):
        if a.flags.c_contiguous and b.flags.c_contiguous and a.dtype == b.dtype:
            _copied()(a.nbytes, DENSE * a.size, a, b)
            return
    for a, b in ((ours[0], theirs[1]), (ours[1], theirs[0])):
        if a.flags.c_contiguous and b.flags.c_contiguous and a.dtype == b.dtype and a.dtype.char in "fd":
            first = a.shape[0] if a is source else math.prod(a.shape[:-1])
            turned_into(a.reshape(first, -1), b.reshape(-1, first))
            return
    raise rehearsal.Unrecorded


@factory(None)
def _copied() -> Shared:
    """The range is that of the bytes."""
    k = Kernel("copied", np.uint8)
    source, target = k.array(1), k.array(1)
    begin, end = k.range(4096)
    k.copy(source.at(begin), target.at(begin), end - begin)
    return k.shared()


def dense(x: np.ndarray) -> np.ndarray:
    """A copy of an array in C order, which has at most four axes, the last of them dense.

    Raises:
        Unrecorded: it is another one.
    """
    if x.ndim > 4 or x.strides[-1] != x.itemsize:
        raise rehearsal.Unrecorded
    made = aligned(x.shape, x.dtype)
    missing = 4 - x.ndim
    lengths, steps = (1,) * missing + x.shape[:-1], (0,) * missing + x.strides[:-1]
    _dense()(math.prod(lengths), DENSE * x.size, x, made, x.shape[-1] * x.itemsize, *lengths[1:], *steps)
    return made


@factory(None)
def _dense() -> Shared:
    """Arguments behind the arrays: bytes of a run; how many there are along the second and third axis; bytes between neighbours
    along all three. The range is that of the runs."""
    k = Kernel("dense", np.uint8)
    source, target, run, second, third, *steps = k.array(1), k.array(1), *(k.integer() for _ in range(6))
    begin, end = k.range()
    for i in k.turns(end, begin):
        above = i.op("udiv", i, third)
        a = above.op("udiv", above, second)
        b, c = above - a * second, i - above * third
        k.copy(source.at(a * steps[0] + b * steps[1] + c * steps[2]), target.at(i * run), run)
    return k.shared()


def clear(array: np.ndarray) -> None:
    """Write zeros to an array without gaps in memory."""
    if array.nbytes < CLEARED and rehearsal.state.record is None:
        array.fill(0)
    else:
        _clear(array.dtype.char)(array.size, DENSE * array.size, array)


@factory(2)
def _clear(char: str) -> Shared:
    k = Kernel("clear", char)
    array = k.array(1)
    begin, end = k.range(1024)
    k.zeros(array.at(begin), ((end - begin) * k.dtype.itemsize).name)
    return k.shared()


def add_up(sums: np.ndarray, out: np.ndarray) -> None:
    """Write what sums (parts, *out.shape) come to, in the order of the parts. All arrays are in C order."""
    _add_up(len(sums), out.dtype.char)(out.size, DENSE * sums.size, sums, out, out.size)


@factory(64)
def _add_up(parts: int, char: str) -> Shared:
    k = Kernel("add_up", char)
    sums, out, size = k.array(1), k.array(1), k.integer()
    begin, end = k.range(1024)
    for i in k.turns(end, begin):
        total = sums.load(i)
        for part in range(1, parts):
            total = total + sums.load(i + size * part)
        out.store(total, i)
    return k.shared()


def add_to_rows(rows: np.ndarray, numbers: np.ndarray) -> None:
    """Add to each row of a matrix in C order a number."""
    _add_to_rows(rows.dtype.char)(len(rows), DENSE * rows.size, rows, numbers, rows.shape[1])


@factory(2)
def _add_to_rows(char: str) -> Shared:
    k = Kernel("add_to_rows", char)
    rows, numbers, columns = k.array(1), k.array(1), k.integer()
    begin, end = k.range()
    for i in k.turns(end, begin):
        number, row = numbers.load(i), rows.moved(i * columns)
        for j in k.turns(columns):
            row.store(row.load(j) + number, j)
    return k.shared()


def picked(weight: np.ndarray, groups: int, taps: tuple[int, ...], turned: bool) -> np.ndarray:
    """Of weights (outs, channels / groups, taps) in C order these taps; `turned` with the roles of outputs and channels of each
    group exchanged, as (channels, outs / groups, taps)."""
    outs, channels, _ = weight.shape
    shape = (groups * channels, outs // groups) if turned else (outs, channels)
    made = aligned((*shape, len(taps)), weight.dtype)
    picked_into(weight, groups, taps, turned, made)
    return made


def picked_into(weight: np.ndarray, groups: int, taps: tuple[int, ...], turned: bool, made: np.ndarray) -> None:
    """Write what `picked` gives to memory in C order."""
    outs, channels, number = weight.shape
    each = outs // groups
    if turned:
        length, lengths, steps = (
            groups * channels,
            (channels, each),
            (each * channels * number, number, channels * number),
        )
    else:
        length, lengths, steps = outs, (1, channels), (channels * number, 0, number)
    run = _picked(len(taps), weight.dtype.char)
    run(length, COST * made.size, weight, lasting(_offsets(taps)), made, *lengths, *steps)


@functools.lru_cache(maxsize=512)
def _offsets(taps: tuple[int, ...]) -> np.ndarray:
    return np.array(taps, np.int64)


@factory(128)
def _picked(taps: int, char: str) -> Shared:
    """Arguments behind the arrays: of the first axis of the result the length of its inner part, the length of the second;
    numbers between neighbours along the outer and inner part and along the second axis in the source."""
    k = Kernel("picked", char)
    source, offsets, out = k.array(1), k.array(taps, dtype=np.int64), k.array(1)
    inner, second = k.integer(), k.integer()
    outer_step, inner_step, step = (k.integer() for _ in range(3))
    begin, end = k.range()
    for i in k.turns(end, begin):
        group = i.op("udiv", i, inner)
        row = source.moved(group * outer_step + (i - group * inner) * inner_step)
        for j in k.turns(second):
            line, to = row.moved(j * step), out.moved((i * second + j) * taps)
            for t in k.turns(taps):
                to.store(line.load(offsets.load(t)), t)
    return k.shared()


def put_taps(some: np.ndarray, taps: tuple[int, ...], weight: np.ndarray) -> None:
    """Write to weights (outs, channels, taps) these taps, and 0 to all others. Both are in C order."""
    outs, channels, number = weight.shape
    run = _put_taps(len(taps), number, weight.dtype.char)
    run(outs, COST * weight.size, some, lasting(_offsets(taps)), weight, channels)


@factory(128)
def _put_taps(taps: int, number: int, char: str) -> Shared:
    """The argument behind the arrays are the channels. The range is that of the outs."""
    k = Kernel("put_taps", char)
    some, offsets, weight, channels = k.array(1), k.array(taps, dtype=np.int64), k.array(1), k.integer()
    begin, end = k.range()
    bytes = (channels * (number * k.dtype.itemsize)).name
    for o in k.turns(end, begin):
        at = weight.at(o * channels * number)
        k.zeros(at, bytes)
        for row in k.turns((o + 1) * channels, o * channels):
            for t in k.turns(taps):
                weight.store(some.load(row * taps + t), row * number + offsets.load(t))
    return k.shared()


def transposed(matrix: np.ndarray) -> np.ndarray:
    """The transpose of a matrix in C order, in C order too."""
    made = aligned(matrix.shape[::-1], matrix.dtype)
    turned_into(matrix, made)
    return made


def turned_into(matrix: np.ndarray, target: np.ndarray) -> None:
    """Write the transpose of a matrix, both in C order."""
    rows, columns = matrix.shape
    run = _transpose(kind(rows, _lanes(matrix.dtype)), matrix.dtype.char)
    run(columns, COST * matrix.size, matrix, target, rows, columns)


@factory(128)
def _transpose(rows: int, char: str) -> Shared:
    """Of matrices with a kind of rows. The range is that of the columns: parts begin with a cache line of the source where all
    of its rows do, since a line that two blocks read would be fetched twice. (64, 16384), of which a line has few places in
    the caches, takes 0.6 of the time so where memory begins 16 bytes into a line, as NumPy's does."""
    k = Kernel("transpose", char, vectors=True)
    source, target, length, columns = k.array(1), k.array(1), counted(k, rows, k.lanes), k.integer()
    begin, end = k.range(GRAIN)
    size, line = k.dtype.itemsize, LINE // k.dtype.itemsize
    first = Value(k, k.emit(f"ptrtoint ptr {source.pointer} to i64"), "i64")
    lead = (columns & (line - 1)).eq(0).where((0 - first.op("udiv", first, size)) & (line - 1), 0)
    start, stop = (begin + lead).at_most(end), (end + lead).at_most(columns)
    for i in k.turns(begin.eq(0).where(start, begin), begin):
        for j in k.turns(length):
            target.store(source.load(columns * j + i), i * length + j)
    left = rows % k.lanes, None
    turn(k, source.moved(start), target.moved(start * length), length, stop - start, columns, left=left)
    return k.shared()


def turn_each(source: np.ndarray, target: np.ndarray, count: int, shape: tuple[int, int], steps: Sequence[int]) -> None:
    """Write the transposes of so many matrices of a shape. `steps` are the numbers from row to row and from matrix to matrix,
    in the source, and then in the target."""
    run = _turn(*shape, source.dtype.char)
    run(count, COST * count * math.prod(shape), source, target, *shape, *steps)


@functools.lru_cache(maxsize=512)
def _turn(rows: int, columns: int, char: str) -> Shared:
    lanes = _lanes(np.dtype(char))
    return _turn_each(kind(rows, lanes), kind(columns, lanes), char)


@factory(256)
def _turn_each(rows: int, columns: int, char: str) -> Shared:
    """Of matrices with a kind of rows and columns. The range is that of the matrices."""
    k = Kernel("turn", char, vectors=True)
    source, target = k.array(1), k.array(1)
    high, wide = counted(k, rows, k.lanes), counted(k, columns, k.lanes)
    row, by_source, turned, by_target = (k.integer() for _ in range(4))
    begin, end = k.range()
    left = rows % k.lanes, columns % k.lanes
    for i in k.turns(end, begin):
        turn(k, source.moved(i * by_source), target.moved(i * by_target), high, wide, row, turned, left)
    return k.shared()
