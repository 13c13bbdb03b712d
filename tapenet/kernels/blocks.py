"""How loops are cut into pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tapenet.llvm.kernel import Array, Index, Kernel


def blocks(k: Kernel, total: int, most: int) -> Iterator[tuple[Index, int]]:
    """range(total) in blocks of about equal size, at most `most`: where each begins, and its size."""
    for begin, count, size in even(total, most):
        if count == 1:
            yield begin, size
        else:
            for at in k.turns(begin + count * size, begin, size):
                yield at, size


def even(total: int, most: int) -> Iterator[tuple[int, int, int]]:
    """Blocks of about equal size: where those of one size begin, how many there are, and the size."""
    number = -(-total // most)
    small, larger = divmod(total, number)
    if larger:
        yield 0, larger, small + 1
    if larger < number:
        yield larger * (small + 1), number - larger, small


def pieces(k: Kernel, length: int, vectors: int) -> Iterator[tuple[Index, int, int | None]]:
    """A dense run in pieces of so many vectors: where each begins, its vectors, and how many numbers its last one has."""
    piece = vectors * k.lanes
    whole = length // piece * piece
    if whole > piece:
        for at in k.turns(whole, 0, piece):
            yield at, vectors, None
    elif whole:
        yield 0, vectors, None
    if whole < length:
        yield whole, -(-(length - whole) // k.lanes), (length - whole) % k.lanes or None


def move(k: Kernel, source: Array | int | None, target: Array, count: int) -> None:
    """Copy a dense run, or fill it with an integer, by default 0."""

    def part(at: Index, lanes: int, some: int | None = None) -> None:
        copied = source.load(at, lanes=lanes, count=some) if isinstance(source, Array) else k.number(source or 0, lanes)
        target.store(copied, at, count=some)

    if k.dtype.itemsize == 1:  # not all processors have instructions for some bytes of a vector
        at, lanes = count // k.lanes * k.lanes, k.lanes
        for i in k.turns(at, 0, lanes) if at else ():
            part(i, lanes)
        while at < count:
            while lanes > count - at:
                lanes //= 2
            part(at, lanes)
            at += lanes
        return
    for begin, vectors, rest in pieces(k, count, 4):
        for v in range(vectors):
            part(begin + v * k.lanes, k.lanes, rest if v == vectors - 1 else None)


def planes(
    k: Kernel, source: Array, target: Array, places: tuple[int, int, int, int], each: int, which: Sequence[int] = ()
) -> None:  # fmt: skip
    """A row of places within zeros, its every step-th place together: to (step, plane * each) of a row of `each` numbers at
    `length` places, those from `low` on, negative in front of the row. `places` are length, low, step, plane; of the planes
    only those are written, one after the other, that are named, if any are."""
    length, low, step, plane = places
    for at, i in enumerate(which or range(step)):
        before = min(max(0, -((low + i) // step)), plane)
        count = min(max(0, -(-(length - low - i) // step) - before), plane - before)
        line, seen = target.part(at), source.moved((low + i + before * step) * each)
        move(k, None, line, before * each)
        every(k, seen, line.moved(before * each), count, step, each)
        move(k, None, line.moved((before + count) * each), (plane - before - count) * each)


def interleave(k: Kernel, lines: Array, out: Array, length: int, spread: int, n: int) -> None:
    """A row of `length` places, n numbers each, of `spread` lines, of whose places it has one after the other."""
    if spread == 2 and k.lanes % n == 0 and 2 * n <= k.lanes:
        for at, _, rest in pieces(k, length // 2 * n, 1):
            first, second = (lines.load(q, at, lanes=k.lanes, count=rest) for q in range(2))
            out.store(k.interleaved(first, second, n), at * 2, count=rest and 2 * rest)
        if length % 2:
            move(k, lines.moved(0, length // 2 * n).shaped(1), out.moved((length - 1) * n), n)
        return
    for q in range(spread):
        for i in k.turns((length - q + spread - 1) // spread):
            move(k, lines.moved(q, i * n).shaped(1), out.moved((i * spread + q) * n), n)


def every(k: Kernel, source: Array, target: Array, count: int, step: int, each: int) -> None:
    """Copy every step-th of so many places."""
    if step == 1:
        move(k, source, target, count * each)
    elif k.lanes % each == 0 and 2 * each <= k.lanes and step <= 4:
        for at, _, rest in pieces(k, count * each, 1):
            some = ((rest or k.lanes) - each) * step + each  # no more than there may be
            value = source.load(at * step, lanes=k.lanes * step, count=some)
            target.store(k.every(value, step, each), at, count=rest)
    elif count:
        for i in k.turns(count):
            move(k, source.moved(i * (step * each)), target.moved(i * each), each)


def turn(
    k: Kernel, source: Array, target: Array, rows: Index, columns: Index, row: Index | None = None, turned: Index = 0,
    left: tuple[int, int | None] = (0, None),
) -> None:  # fmt: skip
    """The transpose of a matrix (rows, columns) as (columns, rows), block by block in registers. The rows of both are
    dense and lie `row` and `turned` numbers apart, by default behind each other. Where a length is counted as the code runs,
    `left` says how many rows and columns are left over behind whole blocks; columns of which that is not known are
    taken one by one."""
    row = columns if row is None else row
    turned = rows if isinstance(turned, int) and not turned else turned
    lanes = k.lanes
    zero = k.number(0.0, lanes)
    source, target = source.shaped(1), target.shaped(1)
    lines, places = [row * i for i in range(lanes)], [turned * j for j in range(lanes)]

    def piece(r: Index, high: int, c: Index, wide: int) -> None:
        """A block of `high` rows and `wide` columns, which may be one."""
        at = source.moved(row * r + c)
        to = target.moved(c * turned + r)
        if wide == 1:
            for i, line in enumerate(lines[:high]):
                to.store(at.load(line), i)
            return
        values = [at.load(line, lanes=lanes, count=wide) if i < high else zero for i, line in enumerate(lines)]
        for place, value in zip(places, k.transposed(values)[:wide], strict=False):
            to.store(value, place, count=high)

    def whole(length: Index) -> Index:
        """What is in whole blocks."""
        return length // lanes * lanes if isinstance(length, int) else length.op("udiv", length, lanes) * lanes

    def strip(r: Index, high: int) -> None:
        first = whole(columns)
        for c in k.turns(first, 0, lanes):
            piece(r, high, c, lanes)
        rest = columns % lanes if isinstance(columns, int) else left[1]
        if rest is None:
            for c in k.turns(columns, first):
                piece(r, high, c, 1)
        elif rest:
            piece(r, high, first, rest)

    first, rest = whole(rows), rows % lanes if isinstance(rows, int) else left[0]
    if not isinstance(rows, int) or rows >= lanes:
        for r in k.turns(first, 0, lanes):
            strip(r, lanes)
    if rest:
        strip(first, rest)


def kind(length: int, block: int) -> int:
    """The least length that the same code serves for: it has whole blocks if this one has some, and as much is left over."""
    return length if length < block else block + length % block


def counted(k: Kernel, kind: int, block: int) -> Index:
    """The next argument of a kernel, a length of a kind: where it is less than a block it is known."""
    given = k.integer()
    return kind if kind < block else given
