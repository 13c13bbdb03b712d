"""Loops over memory, as LLVM IR: what all kernels are made of.

A nest walks over some axes of a domain. Each array in it is an `Access`: a pointer and a stride per axis. Axes are put
into the order of memory, neighbours that lie behind each other become one, and the innermost loop is left plain, so
that LLVM turns it into vector instructions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from tapenet.llvm.code import Access, Code, offset
from tapenet.llvm.emitter import literal, llvm_type, load, store
from tapenet.llvm.processor import registers
from tapenet.llvm.reductions import Accumulator, Reducing, identity, long_length, run_length
from tapenet.typing import DType

#: Turns of a loop from which vectors pay, and up to which LLVM might write it out instead.
VECTOR, FEW = 8, 128
#: Elements of a block at most and of what is walked over in blocks at least, and bytes of its copies at most, so that they
#: stay in the first level cache.
BLOCK, BLOCKED, COPIES = 1024, 512, 1 << 14
#: Bytes of what is between the stages of a block.
ROWS = 1 << 15
#: Turns of the innermost loop from which one by one at its end do not count.
LONG = 512
#: Operations for each array that is copied from which blocks pay.
EACH = 12
#: Arrays up to which LLVM sees by itself that they do not overlap; loops over more would stay single numbers. Only kernels have
#: so many.
ARRAYS = 100
#: Steps up to which LLVM reads whole vectors and picks elements out of them. It then does the last turn, at least, one element
#: at a time, since what follows may not be there: sums and extremes of rows of 256 to 512 take 0.75 to 1.0 of the time with two
#: vectors a turn in place of four.
APART = 8
#: Bytes of the shortest registers with masks, by which what is left over of a vector is computed at once; it pays in loops of
#: known length only where an element costs more than so many additions.
MASKS, DEAR = 64, 8


def left_over(length: int, lanes: int, work: float) -> int:
    """How many turns at the end of a loop of known length masks are for: where they are more than half a vector, and dear."""
    rest = length % lanes
    pays = registers().bytes >= MASKS and work > DEAR and length > lanes and 2 * rest > lanes
    return rest if pays else 0


#: Given the accesses at the element the loop is at, computes, stores, and returns what each accumulator takes in.
Body = Callable[[list[Access]], list[str]]


class Stage(NamedTuple):
    """A part of what a nest does at each element.

    Attributes:
        body: what it does; it is given the accesses that it uses, and then the rows.
        uses: numbers of accesses.
        rows: numbers of rows, in which stages hand on what they compute.
        sums: numbers of the accumulators that it is for.
    """

    body: Body
    uses: Sequence[int]
    rows: Sequence[int] = ()
    sums: Sequence[int] = ()


class Run(NamedTuple):
    """What a nest does at each element.

    Attributes:
        stages: which go one after another, over a block of elements each.
        rows: the dtypes of what is between them.
        read: how many of the accesses, the first ones, are only read.
        work: operations. Where it is much beside what is read, short innermost loops go in blocks (`_blocked`).
    """

    stages: Sequence[Stage]
    rows: Sequence[DType] = ()
    read: int = 0
    work: float = 0.0

    @staticmethod
    def of(body: Body, accesses: int, accumulators: int = 0) -> Run:
        """In one stage."""
        return Run([Stage(body, range(accesses), (), range(accumulators))])


def nest(
    code: Code,
    lengths: Sequence[int],
    accesses: Sequence[Access],
    body: Body | Run,
    accumulators: Sequence[Accumulator] = (),
    order: bool = True,
) -> None:
    """Walk over all axes. Each accumulator's memory holds a value to begin with.

    Args:
        code: where the loops go.
        lengths: of the axes.
        accesses: what the body reads and writes; it is given them at each element.
        body: see `Body`; or stages.
        accumulators: reductions.
        order: whether the axes may be put into another order, and walked over from their end.
    """
    every = [*accesses, *(a.access for a in accumulators)]
    if order:
        every = _forwards(code, lengths, every)
    lengths, strides = _arranged(list(lengths), [a.strides for a in every], order)
    every = [Access(a.pointer, s, a.dtype) for a, s in zip(every, strides, strict=True)]
    run = body if isinstance(body, Run) else Run.of(body, len(accesses), len(accumulators))
    _walk(code, lengths, every[: len(accesses)], run, _placed(accumulators, every[len(accesses) :]))


def _forwards(code: Code, lengths: Sequence[int], accesses: Sequence[Access]) -> list[Access]:
    """The same accesses, but along an axis where more bytes lie backwards than forwards from its end to its beginning:
    processors fetch ahead what is read forwards. Sums and extremes of 1,024 x 1,024 float32 in reverse take 0.65 to 0.8 of
    the time so."""
    for axis, length in enumerate(lengths):
        if backwards((_extent(lengths, a), a.strides[axis]) for a in accesses):
            accesses = [a.turned(code, axis, length) for a in accesses]
    return list(accesses)


def backwards(arrays: Iterable[tuple[int, int]]) -> bool:
    """Whether more bytes lie backwards than forwards along an axis, given each array's bytes and its stride there."""
    return sum(math.copysign(bytes, step) for bytes, step in arrays if step) < 0


def _extent(lengths: Sequence[int], access: Access) -> int:
    """Bytes that are read or written of an array."""
    return access.dtype.itemsize * math.prod(n for n, step in zip(lengths, access.strides, strict=True) if step)


def _placed(accumulators: Sequence[Accumulator], accesses: Sequence[Access]) -> list[Accumulator]:
    """The same accumulators somewhere else."""
    return [a.at(access) for a, access in zip(accumulators, accesses, strict=True)]


def _arranged(
    lengths: list[int], strides: list[tuple[int, ...]], order: bool
) -> tuple[list[int], list[tuple[int, ...]]]:
    """Axes of length one dropped, the rest ordered by memory, and neighbours merged where every array allows it."""
    axes = [i for i, n in enumerate(lengths) if n != 1]
    if order and axes:
        axes.sort(key=lambda i: -weight(i, lengths, strides))
    merged: list[int] = []
    columns: list[list[int]] = []  # per kept axis, the stride of each array
    for i in axes:
        column = [s[i] for s in strides]
        if merged and all(outer == inner * lengths[i] for outer, inner in zip(columns[-1], column, strict=True)):
            merged[-1] *= lengths[i]
            columns[-1] = column
        else:
            merged.append(lengths[i])
            columns.append(column)
    return merged, [tuple(column[k] for column in columns) for k in range(len(strides))]


def weight(axis: int, lengths: list[int], strides: list[tuple[int, ...]]) -> float:
    """How far outside an axis belongs: arrays vote with their strides, large ones with more weight."""
    total = 0.0
    for s in strides:
        if s[axis]:
            extent = 1
            for n, step in zip(lengths, s, strict=True):
                if step:
                    extent *= n
            total += extent * math.log2(abs(s[axis]) + 1)
    return total


def _walk(code: Code, lengths: list[int], accesses: list[Access], run: Run, accumulators: list[Accumulator]) -> None:
    size = math.prod(lengths)
    long = [
        a for a in accumulators if size >= long_length() and a.sums and a.lost is None and not any(a.access.strides)
    ]
    if long:
        _long_sums(code, lengths, accesses, run, accumulators, long)
    elif not lengths:
        (stage,) = run.stages
        _turn(code, accesses, stage.body, accumulators, [None] * len(accumulators))
    elif size > run_length() > size // lengths[0] and any(a.lost is not None for a in accumulators):
        _runs(code, lengths, accesses, run, accumulators)
    else:
        _axis(code, lengths[0], lengths[1:], accesses, run, accumulators)


def _axis(
    code: Code,
    length: int | str,
    inner: list[int],
    accesses: list[Access],
    run: Run,
    accumulators: list[Accumulator],
) -> None:
    """Walk along one axis, and at each step over those inside."""
    if not inner:
        if len(run.stages) == 1:
            _innermost(code, length, accesses, run.stages[0].body, accumulators, run.work)
        else:
            _staged(code, length, accesses, run, accumulators)
        return
    rows = _rows(length, inner, accesses, run, accumulators)
    if rows:
        _blocked(code, length, inner, rows, accesses, run, accumulators)
        return

    def turn(index: str) -> None:
        at = [a.moved(code, 0, index) for a in accesses]
        places = [a.access.moved(code, 0, index) for a in accumulators]
        _walk(code, inner, at, run, _placed(accumulators, places))

    code.loop(length, turn)


def _merged(access: Access, inner: list[int]) -> bool:
    """Whether an array goes on from row to row as it does inside of one, so that the axes are as one."""
    return all(s == t * n for s, t, n in zip(access.strides[:-1], access.strides[1:], inner, strict=True))


def _rows(
    length: int | str, inner: list[int], accesses: list[Access], run: Run, accumulators: list[Accumulator]
) -> int:
    """Of how many steps along the first axis a block is (`_blocked`); 0 where blocks do not pay."""
    every = [*accesses, *(a.access for a in accumulators)]
    short = [i for i, a in enumerate(every) if not _merged(a, inner)]
    if not short or any(run.read <= i < len(accesses) for i in short) or run.work < EACH * len(short):
        return 0
    lanes = registers().bytes // max(a.dtype.itemsize for a in every)
    row = math.prod(inner)
    if inner[-1] >= LONG or inner[-1] % lanes == 0 or (isinstance(length, int) and length * row < BLOCKED):
        return 0
    item = sum(every[i].dtype.itemsize for i in short)
    least = -(-2 * lanes // row)
    most = max(min(BLOCK, COPIES // item) // row, least if least * row * item <= 4 * COPIES else 0)
    if isinstance(length, int):
        most = min(most, length)
    whole = lanes // math.gcd(row, lanes)  # rows that are a number of vectors
    most -= most % whole if most > whole else 0
    return most if most > (len(inner) < 2) and most * row >= 2 * lanes else 0


def _blocked(
    code: Code,
    length: int | str,
    inner: list[int],
    rows: int,
    accesses: list[Access],
    run: Run,
    accumulators: list[Accumulator],
) -> None:
    """Walk along one axis and those inside in blocks of so many rows, each with one long loop. What does not lie behind each
    other from row to row, such as a row that is added to all of them, is copied to where it does, and sums are as many as there
    are elements in a block until its end, or that of all blocks.
    366 instructions on (32, 32, 4) and (1, 1, 4) numbers take 0.6 of the time of an innermost loop of 4."""
    row = math.prod(inner)
    short = [i for i, a in enumerate(accesses) if not _merged(a, inner)]
    steps = tuple(math.prod(inner[i:]) for i in range(len(inner) + 1))
    copies = {i: Access(code.room(accesses[i].dtype, rows * row), steps, accesses[i].dtype) for i in short}
    sums = {i: accumulators[i] for i, a in enumerate(accumulators) if not _merged(a.access, inner)}
    many = {i: a.at(Access(code.room(a.access.dtype, rows * row), steps, a.access.dtype)) for i, a in sums.items()}

    def spread(i: int, source: Access, count: int | str) -> None:
        def move(at: list[Access]) -> list[str]:
            store(code, load(code, at[0].pointer, source.dtype), at[1].pointer, source.dtype)
            return []

        _axis(code, count, inner, [source, copies[i]], Run.of(move, 2), [])

    def begin(i: int) -> None:
        access = many[i].access
        fill(code, access.pointer, rows * row, identity(many[i].name, access.dtype), access.dtype)

    def end(i: int, place: Access, count: int | str) -> None:
        def total(at: list[Access]) -> list[str]:
            return [load(code, at[0].pointer, at[0].dtype)]

        _axis(code, count, inner, [many[i].access], Run.of(total, 1, 1), [sums[i].at(place)])

    lasting = [i for i, a in sums.items() if not a.access.strides[0]]
    for i in lasting:
        begin(i)
    for i in short:
        if not accesses[i].strides[0]:
            spread(i, accesses[i], rows)

    def block(index: str) -> None:
        start = code.emit(f"mul nuw nsw i64 {index}, {rows}")
        count = within(code, length, start, rows)
        trips = count * row if isinstance(count, int) else code.emit(f"mul nuw nsw i64 {count}, {row}")

        line = []
        for i, access in enumerate(accesses):
            if i in copies and access.strides[0]:
                spread(i, access.after(code, start), count)
            line.append(_line(copies[i] if i in copies else access.after(code, start)))
        to = [_line(many[i].access if i in many else a.access.after(code, start)) for i, a in enumerate(accumulators)]
        own = [i for i in sums if i not in lasting]
        for i in own:
            begin(i)
        _axis(code, trips, [], line, run, _placed(accumulators, to))
        for i in own:
            end(i, sums[i].access.after(code, start), count)

    code.loop(_blocks(code, length, rows), block)
    for i in lasting:
        end(i, sums[i].access, rows)


def _blocks(code: Code, length: int | str, rows: int) -> int | str:
    """How many blocks of so many rows there are."""
    if isinstance(length, int):
        return -(-length // rows)
    return code.emit(f"udiv i64 {code.emit(f'add nuw nsw i64 {length}, {rows - 1}')}, {rows}")


def _line(access: Access) -> Access:
    """An access whose axes are as one, along it."""
    return Access(access.pointer, access.strides[-1:], access.dtype)


def _long_sums(
    code: Code,
    lengths: list[int],
    accesses: list[Access],
    run: Run,
    accumulators: list[Accumulator],
    long: list[Accumulator],
) -> None:
    """Walk with some sums on the stack, together with what rounding loses of them."""
    cells = {}
    for accumulator in long:
        cell = cells[accumulator] = accumulator.cell(code)
        cell.begin(code)
        cell.lost = code.cell(cell.access.dtype)
        store(code, literal(0, cell.access.dtype), cell.lost, cell.access.dtype)
    _walk(code, lengths, accesses, run, [cells.get(a, a) for a in accumulators])
    for accumulator, cell in cells.items():
        accumulator.take(code, cell.value(code))


def _runs(code: Code, lengths: list[int], accesses: list[Access], run: Run, accumulators: list[Accumulator]) -> None:
    """Walk along the first axis in runs of some `run_length()` elements. The long sums get the sum of each run."""
    length, inner = lengths[0], lengths[1:]
    step = run_length() // math.prod(inner)
    cells = {a: a.cell(code) for a in accumulators if a.lost is not None}

    def part(index: str) -> None:
        start = code.emit(f"mul nuw nsw i64 {index}, {step}")
        trips = code.least(code.emit(f"sub nuw nsw i64 {length}, {start}"), step)

        for cell in cells.values():
            cell.begin(code)
        others = _placed(accumulators, [a.access.after(code, start) for a in accumulators])
        parts = [cells.get(a, b) for a, b in zip(accumulators, others, strict=True)]
        _axis(code, trips, inner, [a.after(code, start) for a in accesses], run, parts)
        for accumulator, cell in cells.items():
            accumulator.take(code, cell.value(code))

    code.loop(-(-length // step), part)


def _staged(code: Code, length: int | str, accesses: list[Access], run: Run, accumulators: list[Accumulator]) -> None:
    """Walk along the innermost axis in blocks of a few vectors, with the loops of all stages over each."""
    every = [*run.rows, *(a.dtype for a in accesses)]
    count = _few(length, len(run.rows), max(dtype.itemsize for dtype in every))
    rows = [Access(code.room(dtype, count), (1,), dtype) for dtype in run.rows]

    def block(index: str) -> None:
        start = code.emit(f"mul nuw nsw i64 {index}, {count}")
        turns = within(code, length, start, count)

        at = [a.after(code, start) for a in accesses]
        placed = _placed(accumulators, [a.access.after(code, start) for a in accumulators])
        for stage in run.stages:
            used = [*(at[i] for i in stage.uses), *(rows[i] for i in stage.rows)]
            _innermost(code, turns, used, stage.body, [placed[i] for i in stage.sums])

    code.loop(_blocks(code, length, count), block)


def _few(length: int | str, rows: int, item: int) -> int:
    """How many elements, of so many bytes, are a block of stages: a number of vectors, two at least, so that the rows between
    the stages stay in the first level cache."""
    lanes = registers().bytes // item
    most = max(2, min(8, ROWS // (max(rows, 1) * registers().bytes)))
    even = (n for n in range(most, 1, -1) if isinstance(length, int) and length % (n * lanes) == 0)
    return lanes * next(even, most)


def within(code: Code, length: int | str, start: str, count: int) -> int | str:
    """How many of `count` elements from a start on lie within so many."""
    if isinstance(length, int) and length % count == 0:
        return count
    return code.least(code.emit(f"sub nuw nsw i64 {length}, {start}"), count)


def _innermost(
    code: Code, length: int | str, accesses: list[Access], body: Body, accumulators: list[Accumulator], work: float = 0
) -> None:
    """The loop that becomes vector instructions. A reduction along it stays in a register until its end. What is left over of a
    vector, where it is much, is a loop of its own: softmax of rows of 31, 63 or 127 takes 0.7 to 0.8 of the time."""
    every = [*accesses, *(a.access for a in accumulators)]
    several = len(every) > ARRAYS

    def part(first: int, count: int | str, masked: bool) -> None:
        carried = [None if a.access.strides[0] else a.carried() for a in accumulators]

        def turn(index: str) -> None:
            if first:
                index = code.emit(f"add nuw nsw i64 {index}, {first}")
            at = [a.moved(code, 0, index) for a in accesses]
            places = [a.access.moved(code, 0, index) for a in accumulators]
            _turn(code, at, body, _placed(accumulators, places), carried)

        vectors = isinstance(count, int) and VECTOR <= count <= FEW and not masked
        sums = [c for c in carried if c is not None]
        pairs = bool(sums) and not masked and any(1 < abs(a.strides[0]) <= APART for a in accesses)
        code.loop(count, turn, sums, vectors, several, masked, pairs)
        for accumulator, c in zip(accumulators, carried, strict=True):
            if c is not None:
                accumulator.take(code, c.total(code))

    rest = 0
    if isinstance(length, int) and length < LONG and not several:
        rest = left_over(length, registers().bytes // max((a.dtype.itemsize for a in every), default=1), work)
        length -= rest
    part(0, length, False)
    if rest:
        part(int(length), rest, True)


def _turn(
    code: Code,
    at: list[Access],
    body: Body,
    accumulators: list[Accumulator],
    carried: Sequence[Reducing | None],
) -> None:
    for accumulator, c, value in zip(accumulators, carried, body(at), strict=True):
        if c is None:
            accumulator.take(code, value)
        else:
            c.take(code, value)


def fill(code: Code, pointer: str, size: int | str, value: str, dtype: DType) -> None:
    """Set dense memory to one value."""
    if size == 1:
        store(code, value, pointer, dtype)
        return

    def turn(index: str) -> None:
        store(code, value, offset(code, pointer, index, 1, dtype), dtype)

    code.loop(size, turn)


def copy(code: Code, lengths: Sequence[int], source: Access, target: Access, add: bool = False) -> None:
    """Copy elements to where others are, or add them to these."""
    if add and source.dtype.kind == "c":
        lengths, source, target = (*lengths, 2), source.parts(), target.parts()

    def body(at: list[Access]) -> list[str]:
        value = load(code, at[0].pointer, source.dtype)
        if add:
            before = load(code, at[1].pointer, target.dtype)
            operation = "fadd" if target.dtype.kind == "f" else "add"
            value = code.emit(f"{operation} {llvm_type(target.dtype)} {before}, {value}")
        store(code, value, at[1].pointer, target.dtype)
        return []

    nest(code, lengths, [source, target], body)
