"""Matrix products of middling size as code of their own, for the shape at hand.

A library packs its operands into blocks before it multiplies, which pays for large matrices. What a network of middling
size multiplies fits into the second level cache as it is, or nearly: then a tile of the result held in vector registers,
rows of the right operand loaded as they lie and numbers of the left one broadcast to all lanes, comes close to the
machine's peak. With AVX-512 it is an eighth faster than OpenBLAS on matrices of 64 to 1024 rows and columns. Needed for it:
the rows of the right operand (or, for the transposed product, the columns of the left) are dense.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tapenet.llvm.code import Carried, Code, Strides, fetch, near, offset
from tapenet.llvm.emitter import llvm_type
from tapenet.llvm.processor import registers
from tapenet.typing import DType

#: The right operand has at most so many bytes: it is read once per block of rows of the result. Where registers are wide, more
#: of them are worth reading again.
LARGEST, LARGEST_WIDE = 400_000, 2_200_000
#: Bytes of left operands from which lines of them are fetched ahead where they are read once, and how many of a row before
#: those of the next one. (512, 2048) times (2048, 49) takes 0.83 of the time so, its transpose times (512, 49) 0.87, a
#: convolution of 256 to 512 channels on 16 images of 4 x 4 0.73; (160, 960), which stays in that cache, would take 1.04.
FAR, LINES = 1 << 20, 16
#: Where rows of the left operand lie so many bytes, or a multiple, apart, a first level cache holds no more lines of them than
#: it has ways, eight at least, of which the right operand needs one. (144, 4096) times the transpose of (24, 4096) takes 0.58
#: of the time in tiles of 7 rows that it takes in tiles of 14 on a Zen 4, (192, 1024) times that of (32, 1024) 0.7.
APART, WAYS = 4096, 8
#: Turns of a tile's loop that are written out, and registers of sums from which they are: counting and addresses take units
#: that could multiply. 2,048 rows times (192, 576) take 0.95 of the time so, 512 times (768, 768) 0.96 (Xeon, AVX-512).
WRITTEN, FULL = 4, 12
#: Rows of a tile at most that have a pointer each, where their distance is known as the code runs alone.
POINTERS = 8


def largest() -> int:
    """Bytes of the right operand at most."""
    return LARGEST_WIDE if registers().wide else LARGEST


class Matrix(NamedTuple):
    """An operand: where its first element is, and its strides, which may be registers of the running code."""

    pointer: str
    row: int | str
    column: int | str

    @property
    def transposed(self) -> Matrix:
        return Matrix(self.pointer, self.column, self.row)


def far(bytes: int) -> bool:
    """Whether left operands of so many bytes, each of which is read once, are fetched ahead: they come from beyond the second
    level cache. With few registers tiles are small, and gain as much as they lose."""
    return bytes > FAR and registers().wide


def fits(n: int, m: int, k: int, a: Strides, b: Strides, c: Strides, dtype: DType) -> bool:
    """Whether a product of (n, k) and (k, m) is written here, given the strides of operands and result."""
    if n > 1 and not (b[1] == 1 and c[1] == 1):
        n, m, a, b, c = m, n, b[::-1], a[::-1], c[::-1]
    return b[1] == 1 == c[1] and k >= 2 and m >= 4 and k * m * dtype.itemsize <= largest()


def across(n: int | str, dtype: DType) -> int:
    """The columns of a tile at most. A single row has a register for each vector of the result, so that the matrix is read
    once from end to end."""
    lanes = registers().bytes // dtype.itemsize
    return registers().number // (4 if n == 1 else 8) * lanes


def tall(n: int, dtype: DType) -> int:
    """The rows of a tile of all columns, of so many rows."""
    return _rows(n, _most(across(2, dtype) * dtype.itemsize // registers().bytes))


def write(
    code: Code, lengths: tuple[int | str, int, int | str], matrices: list[Matrix], dtype: DType, add: bool | str,
    bias: Matrix | None = None, rows: tuple[int, ...] | None = None, beside: tuple[int, int] = (1, 0), far: bool = False,
    soon: Matrix | None = None,
) -> None:  # fmt: skip
    """The loops of one product of (n, k) and (k, m), c = a @ b or c += a @ b, or that which a register says; `matrices` are
    a, b and c. The lengths n and k may be registers of the running code, k with a number of at least 1; then b and c have
    dense rows. Where c is not added to, a `bias` may be: a number for each row or each column, with a stride of 0 along the
    other axis; b and c have dense rows too. `rows` are those of a tile, and of tiles for those that are left over,
    where n is a register. With `beside` the result has so many times the columns, and what the right operand has for
    the next ones lies so many numbers behind. Where the left operand comes from `far`, beyond the second level cache, what
    later tiles read of it is fetched ahead. So is `soon`: the right operand of the next product, or what is copied to be it."""
    n, m, k = lengths
    a, b, c = matrices
    if not isinstance(n, str) and n > 1 and not (b.column == 1 and c.column == 1):
        n, m, a, b, c = m, n, b.transposed, a.transposed, c.transposed
    lanes = registers().bytes // dtype.itemsize
    most = across(n, dtype)
    widest = most // lanes
    whole = m // most
    if whole > 1:

        def turn(index: str) -> None:
            start = code.emit(f"mul nuw nsw i64 {index}, {most}")
            _columns(code, n, k, start, most, widest, lanes, a, b, c, dtype, add, bias, rows, beside, far, soon)

        code.loop(whole, turn)
    start = whole * most if whole > 1 else 0
    while start < m:
        vectors = min(widest, -(-(m - start) // lanes))
        width = min(vectors * lanes, m - start)
        _columns(code, n, k, start, width, vectors, lanes, a, b, c, dtype, add, bias, rows, beside, far, soon)
        start += width


def _columns(
    code: Code, n: int | str, k: int | str, start: int | str, width: int, vectors: int, lanes: int, a: Matrix,
    b: Matrix, c: Matrix, dtype: DType, add: bool | str, bias: Matrix | None, known: tuple[int, ...] | None,
    beside: tuple[int, int], far: bool, soon: Matrix | None,
) -> None:  # fmt: skip
    """All rows of some columns of the result, tile by tile."""

    def tile(first: str | int, count: int) -> None:
        left = offset(code, a.pointer, first, a.row, dtype)
        out = offset(code, offset(code, c.pointer, first, c.row, dtype), start, 1, dtype)
        right = offset(code, b.pointer, start, 1, dtype)
        ahead = soon
        if soon:
            at = offset(code, soon.pointer, _number(code, first, count, vectors), lanes, dtype)
            ahead = soon._replace(pointer=at)

        def some(index: str | int) -> None:
            columns = offset(code, right, index, beside[1], dtype), offset(code, out, index, width, dtype)
            operands = (left, a), (columns[0], b), (columns[1], c)
            more = bias
            if bias is not None:
                at = offset(code, offset(code, bias.pointer, first, bias.row, dtype), start, bias.column, dtype)
                more = bias._replace(pointer=offset(code, at, index, width * int(bias.column), dtype))
            line = ahead and ahead._replace(pointer=offset(code, ahead.pointer, index, width, dtype))
            _tile(code, count, k, width, vectors, lanes, *operands, dtype, add, more, far, line)

        if beside[0] > 1:
            code.loop(beside[0], some)
        else:
            some(0)

    apart = a.column == 1 and isinstance(a.row, int) and a.row * dtype.itemsize % APART == 0
    most = min(_most(vectors), WAYS - 1) if apart else _most(vectors)
    if isinstance(n, str):
        done, left = "0", n
        # Two rows of four vectors are enough for additions in flight: 64 rows take 0.9 of the time that single ones take.
        for rows in known or (most, max(2, most // 3), 1):
            if rows:
                done, left = _tiles(code, done, left, rows, tile)
        return
    rows = _rows(n, most)
    full, rest = divmod(n, rows)
    if full == 1:
        tile(0, rows)
    elif full:

        def turn(index: str) -> None:
            tile(code.emit(f"mul nuw nsw i64 {index}, {rows}"), rows)

        code.loop(full, turn)
    if rest:
        tile(full * rows, rest)


def _number(code: Code, first: str | int, rows: int, most: int) -> str | int:
    """Which tile of so many rows one is, at most the last of so many."""
    if isinstance(first, int):
        return min(first // rows, most - 1)
    number = code.emit(f"udiv i64 {first}, {rows}")
    below = code.emit(f"icmp ult i64 {number}, {most}")
    return code.emit(f"select i1 {below}, i64 {number}, i64 {most - 1}")


def _tiles(
    code: Code, first: str, count: str, rows: int, tile: Callable[[str | int, int], None]
) -> tuple[str, str]:  # fmt: skip
    """As many tiles of so many rows as there are among `count` from the first one on: where others begin, and how many."""
    whole = count if rows == 1 else code.emit(f"udiv i64 {count}, {rows}")

    def turn(index: str) -> None:
        tile(code.emit(f"add nuw nsw i64 {first}, {code.emit(f'mul nuw nsw i64 {index}, {rows}')}"), rows)

    code.where(code.emit(f"icmp ne i64 {whole}, 0"), lambda: code.loop(whole, turn))
    done = code.emit(f"mul nuw nsw i64 {whole}, {rows}")
    return code.emit(f"add nuw nsw i64 {first}, {done}"), code.emit(f"sub nuw nsw i64 {count}, {done}")


def _most(vectors: int) -> int:
    """How many rows a tile has at most, so that there are registers for it."""
    return max(1, min((registers().number - 2 - vectors) // vectors, 14))


def _rows(n: int, most: int) -> int:
    """How many rows a tile has, of so many at most: evenly dealt out."""
    tiles = -(-n // most)
    return -(-n // tiles)


def _tile(
    code: Code, rows: int, k: int | str, width: int, vectors: int, lanes: int, left: tuple[str, Matrix],
    right: tuple[str, Matrix], out: tuple[str, Matrix], dtype: DType, add: bool | str, bias: Matrix | None, far: bool,
    soon: Matrix | None,
) -> None:  # fmt: skip
    """A tile of the result: the sum over k of columns times rows, in registers."""
    t = llvm_type(dtype)
    pieces = [_piece(min(lanes, width - v * lanes), lanes, t) for v in range(vectors)]
    left, right = (near(code, left[0]), left[1]), (near(code, right[0]), right[1])
    sums = [[Carried("zeroinitializer", piece.vector) for piece in pieces] for _ in range(rows)]
    lines: list[str] = []
    if isinstance(left[1].row, str) and rows <= POINTERS:
        lines = [near(code, offset(code, left[0], r, left[1].row, dtype)) for r in range(rows)]

    def step(index: str) -> None:
        b = offset(code, right[0], index, right[1].row, dtype)
        a = offset(code, left[0], index, left[1].column, dtype)
        if far:
            _fetch_ahead(code, left, a, index, rows, dtype)
        if soon:
            copied = soon.row != right[1].row  # rows of a copy lie closer; it is made from the second level cache
            fetch(code, offset(code, soon.pointer, index, soon.row, dtype), level=2 if copied else 1)
        bs = [
            load_masked(code, offset(code, b, v * lanes, 1, dtype), piece.vector, piece.mask, dtype)
            for v, piece in enumerate(pieces)
        ]
        for r, row in enumerate(sums):
            at = (
                offset(code, lines[r], index, left[1].column, dtype)
                if lines
                else offset(code, a, r, left[1].row, dtype)
            )
            number = code.emit(f"load {t}, ptr {at}")
            numbers = {n: spread(code, number, t, n) for n in dict.fromkeys(piece.lanes for piece in pieces)}
            for cell, piece, y in zip(row, pieces, bs, strict=True):
                product = code.emit(f"fmul contract {piece.vector} {numbers[piece.lanes]}, {y}")
                cell.after = code.emit(f"fadd contract {piece.vector} {cell.register}, {product}")

    if add:  # what is there is fetched meanwhile: a ViT's step takes 0.97 of the time, on one thread and on two
        for r in range(rows):
            line = offset(code, out[0], r, out[1].row, dtype)
            for v in range(vectors):
                fetch(code, offset(code, line, v * lanes, 1, dtype), writes=True)
    _sum(code, k, step, [cell for row in sums for cell in row])

    def finish(add: bool) -> None:
        _store(code, sums, pieces, out, lanes, dtype, add, bias)

    if isinstance(add, str):  # asked once: LLVM makes a branch of each choice between two vectors
        code.where(add, lambda: finish(True), lambda: finish(False))
    else:
        finish(add)


def _store(
    code: Code, sums: list[list[Carried]], pieces: list[_Piece], out: tuple[str, Matrix], lanes: int, dtype: DType,
    add: bool, bias: Matrix | None,
) -> None:  # fmt: skip
    """Store a tile, added to what is there or to a bias, if any."""

    def vectors(pointer: str) -> list[str]:
        found = []
        for v, piece in enumerate(pieces):
            place = offset(code, pointer, v * lanes, 1, dtype)
            found.append(load_masked(code, place, piece.vector, piece.mask, dtype))
        return found

    before = [] if add or bias is None or bias.row else vectors(bias.pointer)
    for r, row in enumerate(sums):
        line = offset(code, out[0], r, out[1].row, dtype)
        if add:  # at the end: what is there may be a long sum, and rounding would then cost each product
            before = vectors(line)
        elif bias is not None and bias.row:
            t = llvm_type(dtype)
            number = code.emit(f"load {t}, ptr {offset(code, bias.pointer, r, bias.row, dtype)}")
            before = [spread(code, number, t, piece.lanes) for piece in pieces]
        for v, (cell, piece) in enumerate(zip(row, pieces, strict=True)):
            found = code.emit(f"fadd {piece.vector} {before[v]}, {cell.register}") if before else cell.register
            store_masked(code, found, offset(code, line, v * lanes, 1, dtype), piece.vector, piece.mask, dtype)


def _sum(code: Code, k: int | str, step: Callable[[str], None], sums: list[Carried]) -> None:
    """`step(index)` for 0, 1, ..., k - 1, which adds to `sums`, some turns written out where a tile is of many registers."""
    if len(sums) < FULL or (isinstance(k, int) and k < WRITTEN):
        code.loop(k, step, sums)
        return
    whole = k - k % WRITTEN if isinstance(k, int) else code.emit(f"and i64 {k}, {-WRITTEN}")
    for first in code.counted(whole, 0, WRITTEN, carried=sums):
        for i in range(WRITTEN):
            step(code.emit(f"add nuw nsw i64 {first}, {i}") if i else first)
            for cell in sums:
                cell.register = cell.after
    if whole != k:
        for index in code.counted(k, whole, carried=sums):
            step(index)


def _fetch_ahead(code: Code, left: tuple[str, Matrix], now: str, index: str, rows: int, dtype: DType) -> None:
    """Have a line of the left operand fetched that another tile reads, in each turn of a tile's loop: of the rows behind the
    next tile one after the other, some lines of each; of dense columns what is four tiles on in the column of this turn."""
    pointer, (_, row, _) = left
    if row == 1:
        fetch(code, offset(code, now, 4 * rows, 1, dtype))
        return
    each = 64 // dtype.itemsize
    line = offset(code, pointer, 2 * rows, row, dtype)
    line = offset(code, line, code.emit(f"lshr i64 {index}, {LINES.bit_length() - 1}"), row, dtype)
    place = code.emit(f"and i64 {index}, {LINES - 1}")
    fetch(code, offset(code, line, place, each, dtype))


class _Piece(NamedTuple):
    """Some columns of a tile: a vector of so many lanes, and those that hold columns."""

    lanes: int
    vector: str
    mask: str | None


def _piece(columns: int, lanes: int, t: str) -> _Piece:
    """The shortest vector for so many columns: a processor may take as long for a half as for a quarter, but not as
    for a whole one."""
    while lanes > 4 and columns <= lanes // 2:
        lanes //= 2
    return _Piece(lanes, f"<{lanes} x {t}>", mask(columns, lanes))


def spread(code: Code, number: str, t: str, lanes: int) -> str:
    """A vector of one number."""
    vector = f"<{lanes} x {t}>"
    one = code.emit(f"insertelement {vector} poison, {t} {number}, i64 0")
    return code.emit(f"shufflevector {vector} {one}, {vector} poison, <{lanes} x i32> zeroinitializer")


def mask(count: int, lanes: int) -> str | None:
    """The lanes that hold columns; None for all."""
    if count == lanes:
        return None
    return f"<{lanes} x i1> <" + ", ".join(f"i1 {'true' if i < count else 'false'}" for i in range(lanes)) + ">"


def load_masked(code: Code, pointer: str, vector: str, mask: str | None, dtype: DType) -> str:
    """Load a vector, with zeros where the mask has none."""
    if mask is None:
        return code.emit(f"load {vector}, ptr {pointer}, align {dtype.itemsize}")
    name = _masked("load", vector)
    code.declares.add(f"declare {vector} @{name}(ptr, i32, {mask.split('>')[0]}>, {vector})")
    return code.emit(f"call {vector} @{name}(ptr {pointer}, i32 {dtype.itemsize}, {mask}, {vector} zeroinitializer)")


def store_masked(code: Code, register: str, pointer: str, vector: str, mask: str | None, dtype: DType) -> None:
    """Store a vector: the lanes of the mask."""
    if mask is None:
        code.line(f"  store {vector} {register}, ptr {pointer}, align {dtype.itemsize}")
        return
    name = _masked("store", vector)
    code.declares.add(f"declare void @{name}({vector}, ptr, i32, {mask.split('>')[0]}>)")
    code.line(f"  call void @{name}({vector} {register}, ptr {pointer}, i32 {dtype.itemsize}, {mask})")


def _masked(what: str, vector: str) -> str:
    lanes, t = vector.strip("<>").split(" x ")
    return f"llvm.masked.{what}.v{lanes}{'f32' if t == 'float' else 'f64'}.p0"
