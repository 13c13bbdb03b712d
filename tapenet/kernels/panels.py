"""Matrix products whose right operand is brought into the order in which it is read, some columns at a time.

`native/gemm.py` reads operands where they lie. Rows of a matrix of many columns lie a power of two apart all too often, and
then share so few places of the first level cache that they are fetched from the second one again and again; columns it
cannot read at all. For a result of many rows it pays to copy first: a panel of as many columns as a tile has, `DEPTH` rows
deep, so that it stays in the first level cache or streams from the second. On 512 bits that reaches nine tenths of the peak
for any order of the operands, where OpenBLAS reaches three quarters.
"""

from __future__ import annotations

from tapenet.kernels.blocks import turn
from tapenet.llvm import gemm
from tapenet.llvm.code import Strides, offset
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.processor import registers
from tapenet.typing import DType

#: Rows of a panel: twice as many where the left operand has dense rows, of which longer runs are read then, unless several
#: panels are filled together; half as many where it has dense columns, of which each row of a panel reads another line: all of
#: 64 stay in the first level cache. A weight's gradient of 768 x 192 over 2,048 rows takes 0.81 of the time that it takes with
#: 128, of 192 x 768 0.92, of 256 x 1,024 over 1,024 rows 0.97.
DEPTH = 128
#: Bytes of the left operand's dense rows, as deep as a panel, that are multiplied by all panels before others are: of twice as
#: many much is lost from the second level cache until the next panel reads them. 2,048 rows times (768, 192) take 0.91 of the
#: time so, times (576, 192) 0.88, times (192, 768) 0.98.
BLOCK = 1 << 19
#: Bytes of the right operand at most where registers are wide and the left operand has dense rows, of which each panel reads
#: all once. 512 rows times (768, 768) take 0.8 of BLAS's time, 2,048 rows times (1024, 4096) 0.9 (Xeon, AVX-512).
LARGEST = 1 << 24
#: Of gradients by weights, whose right operand may be larger than others have: bytes, at most, of the left operand for the rows
#: of a panel, and of the result. The one is read again for each panel, the other for each block of rows. 192 x 768 over
#: 2,048 rows takes 0.8 of BLAS's time on one thread, 256 x 1,024 over 1,024 rows 0.86: a BERT of that width takes 0.97 of the
#: time, 1.0 on two threads.
LEFT, RESULT = 1 << 19, 1 << 20
#: Panels that are filled together for so many rows of the result, so that rows of it and of the right operand are written and
#: read in runs of a kilobyte: of shorter ones processors fetch little ahead. 256 x 64 times (64, 16384) takes 0.8 of the time
#: so, 96 x 16 times (16, 12544) too; two take 0.95. Of 24 rows it would take 1.15 of the time, but where the right operand has
#: so few rows that the result is nearly all of the memory: 32 x 2 times (2, 16384) takes 0.72 on a Zen 4. On wide registers
#: what the next ones are filled with is fetched while these are multiplied: 64 x 256 times (256, 4096) takes 0.95 of the time.
BESIDE, TOGETHER, FLAT = 4, 48, 8
#: Rows of the result from which panels are filled one by one all the same, as filling takes little of the time. Where the left
#: operand has dense rows only if panels of twice the depth then hold all that is summed up, so that nothing is added to: 2,048
#: rows times (192, 576) and (192, 768) take 0.95 of the time so on a Xeon, gradients by weights of 256 x 1,024 over 1,024 rows
#: 0.95.
MANY = 256
#: Rows of a panel that is read where it lies while the next one is fetched, and rows of the result that do so at most: of more
#: the copy pays. It does too where rows lie so many bytes, or a multiple, apart: too few are in the first level cache at once.
#: (16, 96) times (96, 12544) takes 0.6 of the time so, (24, 144) times (144, 3136) 0.73, (40, 240) times (240, 784) 0.85;
#: (64, 64) times (64, 3136) would take as long, (256, 64) 1.2.
SHALLOW, FEW, APART = 32, 48, 2048
#: Rows of the result from which a panel is worth its copy.
ROWS = 64


def side(n: int, m: int, k: int, a: Strides, b: Strides, c: Strides, dtype: DType) -> bool | None:
    """Whether a product of (n, k) and (k, m), given the strides of operands and result, is written here: as it is (False), or
    as the transposed product (True). None if it is not."""
    if _takes(n, m, k, a, b, c, dtype):
        return False
    if _takes(m, n, k, b[::-1], a[::-1], c[::-1], dtype):
        return True
    return None


def _takes(n: int, m: int, k: int, a: Strides, b: Strides, c: Strides, dtype: DType) -> bool:
    if n < ROWS or k < 2 or c[1] != 1:
        return False
    if k * m * dtype.itemsize > gemm.largest():
        small = n * DEPTH * dtype.itemsize <= LEFT and n * m * dtype.itemsize <= RESULT
        rows = a[1] == 1 and k * m * dtype.itemsize <= LARGEST
        if not (registers().wide and (rows or (a[1] != 1 and b[1] == 1 and small))):
            return False
    wide = gemm.across(n, dtype)
    if b[1] == 1:
        return m >= wide and (b[0] > 2 * wide or (a[1] != 1 and k > DEPTH))
    # Else BLAS does it, which is as fast with narrower registers.
    return b[0] == 1 and 4 * m >= wide and registers().wide


def write(
    k: Kernel, lengths: tuple[int | str, Index, int | str], matrices: list[gemm.Matrix], add: bool | str, turned: bool = False,
    columns: tuple[Value, Value] | None = None, rows: tuple[int, ...] | None = None, left: int = 0,
    far: bool = False, lie: bool = False, bias: str = "", whole: str = "",
) -> None:  # fmt: skip
    """The product of (n, k) and (k, m), c = a @ b or c += a @ b, or that which a register says; `matrices` are a, b and c. With
    `turned` it is computed as the transposed one. Then the rows of c are dense, and the rows or the columns of b. The lengths n
    and k may be registers of the running code, k with a number of at least 1. Of c only the `columns` from one on up to another
    are computed, both multiples of a panel's width, or the other beyond the last. `rows` and `far` as for `gemm.write`. Where m
    is counted as the code runs, so many columns are `left` over behind whole panels. If they `lie`, panels are
    read where they are, in rows of b. Where c is not added to, `bias` may point to a number for each column that is. Of a part
    of a result, `whole` says how many rows all of it has: how sums are grouped goes by that."""
    n, m, depth = lengths
    a, b, c = matrices
    if turned:
        assert isinstance(n, int)
        assert isinstance(m, int)
        n, m, a, b, c = m, n, b.transposed, a.transposed, c.transposed
    wide = gemm.across(n, k.dtype)
    dense = a.column == 1
    beside = BESIDE if columns and b.column == 1 and not lie else 1
    end, single = Value(k, str(depth), "i64"), Value(k, whole or str(n), "i64") >= MANY
    most = SHALLOW if lie else 2 * DEPTH if dense else DEPTH // 2
    deep = k.index(most)
    if dense and beside > 1:
        single = single & (end > DEPTH) & (end <= most)
        deep = single.where(deep, DEPTH)
    apart = (DEPTH if dense else most) * wide
    pointer = "" if lie else k.room(k.dtype, max(beside * apart, most * wide))
    panels = Array(k, pointer, (apart, wide, 1), k.dtype)

    def block(n: int | str, a: gemm.Matrix, c: gemm.Matrix, rows: tuple[int, ...] | None, first: Value) -> None:
        """What some rows of a panel add to some rows of the result."""
        many = (end - first).at_most(deep)
        again = first > 0
        more = add if add is True else (again | Value(k, add, "i1")).name if add else again.name
        above = gemm.Matrix(offset(k, a.pointer, first.name, a.column, k.dtype), a.row, a.column)
        right = gemm.Matrix(offset(k, b.pointer, first.name, b.row, k.dtype), b.row, b.column)

        def part(start: Value, width: int, number: int = 1) -> None:
            if not lie:
                _fill(k, panels, right, start, (number, width), many)
            out = gemm.Matrix(offset(k, c.pointer, start.name, 1, k.dtype), c.row, 1)
            lengths = n, width, many.name
            now = right._replace(pointer=offset(k, right.pointer, start.name, 1, k.dtype))
            panel = now if lie else gemm.Matrix(pointer, wide, 1)
            ahead = lie or (number > 1 and registers().wide)
            soon = now._replace(pointer=offset(k, now.pointer, number * wide, 1, k.dtype)) if ahead else None
            matrices, others = [above, panel, out], (number, apart)
            add_to = gemm.Matrix(offset(k, bias, start.name, 1, k.dtype), 0, 1) if bias else None
            gemm.write(k, lengths, matrices, k.dtype, more, add_to, rows, others, far, soon)

        whole: Index = m // wide * wide if isinstance(m, int) else m - left
        rest = m % wide if isinstance(m, int) else left
        if columns is None:
            if whole:
                for start in k.turns(whole, 0, wide):
                    part(start, wide)
            if rest:
                part(k.index(0) + whole, rest)
            return
        begin, last = columns
        if whole:
            upto = last.at_most(whole)
            if beside > 1:
                alone = upto - (upto - begin).op("urem", upto - begin, beside * wide)
                few = (Value(k, str(n), "i64") < TOGETHER) & (end > FLAT)
                alone = (few | single).where(begin, alone)
                for start in k.turns(alone, begin, beside * wide):
                    part(start, wide, beside)
                begin = alone
            for start in k.turns(upto, begin, wide):
                part(start, wide)
        if rest:
            for start in k.turns(last, begin.at_least(whole), rest):
                part(start, rest)

    longest = min(depth, most) if isinstance(depth, int) else most
    if not dense or (isinstance(n, int) and n * longest * k.dtype.itemsize < 2 * BLOCK):
        for i in k.turns(over(end, deep)):
            block(n, a, c, rows, i * deep)
        return
    tall = rows[0] if rows else gemm.tall(n if isinstance(n, int) else BLOCK, k.dtype)
    if isinstance(n, int):
        rows = tall, n % tall
    row = end.at_most(deep) * k.dtype.itemsize
    total = Value(k, str(n), "i64")
    number = (total * row) >> (BLOCK.bit_length() - 1)
    high = over(total, (number < 1).where(k.index(tall), number * tall)) * tall
    for i in k.turns(over(total, high)):
        start = i * high
        some = (total - start).at_most(high)
        left_rows, out = (x._replace(pointer=offset(k, x.pointer, start.name, x.row, k.dtype)) for x in (a, c))
        for j in k.turns(over(end, deep)):
            block(some.name, left_rows, out, rows, j * deep)


def over(a: Value, b: Value) -> Value:
    """Their quotient, rounded up."""
    more = a + b - 1
    return more.op("udiv", more, b)


def _fill(
    k: Kernel, panels: Array, source: gemm.Matrix, start: Value, columns: tuple[int, int], rows: Value
) -> None:  # fmt: skip
    """Copy so many rows to panels, so many of so many columns."""
    number, width = columns
    at = Array(k, offset(k, source.pointer, start.name, source.column, k.dtype), (1,), k.dtype)
    row, column = (Value(k, str(stride), "i64") for stride in (source.row, source.column))
    if source.column != 1:
        turn(k, at, panels, width, rows, column, panels.strides[1])
        return
    for i in k.turns(rows):
        for p in range(number):
            for j, some in k.vectors(0, width):
                value = at.load(i * row + (p * width + j), lanes=k.lanes, count=some)
                panels.store(value, p, i, j, count=some)
