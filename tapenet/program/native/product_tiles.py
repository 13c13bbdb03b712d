"""Products of matrices by code for their shapes, in pieces for threads: tiles of the result, or parts of what is summed up."""

from __future__ import annotations

from collections.abc import Callable

from tapenet.kernels import panels
from tapenet.llvm import gemm, workers
from tapenet.llvm.code import offset
from tapenet.llvm.kernel import Array, Kernel
from tapenet.llvm.kernel import Value as Register
from tapenet.program.native.functions import Function
from tapenet.program.native.pieces import called, given, share
from tapenet.typing import DType

#: Rows of a piece at least, of a product in panels, which each piece packs for itself, and of another.
PACKED, PLAIN = 128, 64
#: A result of so many times as many rows as columns is cut into rows, another into columns first: what both threads read of
#: a transformer block's 1,024 rows would come from the other's cache, at a fifth of the speed of their own.
TALL = 2
#: Rows first too where so many times as many rows as numbers are summed up: what reads the result, as the update of a weight
#: reads its gradient, is cut along rows, and both threads read little.
DEEP = 8
#: Pieces that are enough without more work for them.
ENOUGH = 8


def write(
    code: Kernel, lengths: tuple[int, int, int], matrices: list[gemm.Matrix], add: bool, turned: bool | None,
    wanted: int, name: Callable[[Function], str],
) -> None:  # fmt: skip
    """A product by code for its shape: in panels, as the transposed one with `turned`; by what lies there if that is None.
    Its pieces are tiles of the result, in which numbers are what they would be in the whole."""
    n, m, k = lengths
    a, b, c = matrices
    packed = turned is not None
    if turned or (not packed and n > 1 and not (b.column == 1 and c.column == 1)):
        n, m, a, b, c = m, n, b.transposed, a.transposed, c.transposed
    wide = gemm.across(n, code.dtype)
    panes = -(-m // wide)
    # Then all pieces read the whole of the smaller operand, not of the larger one.
    rows_first = n >= TALL * m or n >= DEEP * k
    across = min(wanted, panes)
    down = _down(n, wanted // max(across, 1) if rows_first or across < ENOUGH else 1, PLAIN)
    if wanted < 2 or (max(panes, n // PACKED) < 2 if packed else across * down < 2):
        _tile(code, (n, m, k), [a, b, c], add, packed)
        return
    if packed:
        item, numbers = _packed_tile((n, m, k), (a, b, c), add, code.dtype)
        tall = gemm.tall(n, code.dtype)
        code.declares.add(workers.declaration())
        count = Register(code, code.emit(f"call i64 @tn_blocks(i64 {wanted})"), "i64")
        axes = (-(-n // tall), n // PACKED), (panes, panes)
        dealt = _dealt(code, count, axes if rows_first else axes[::-1])
        (highs, downs), (broads, acrosses) = dealt if rows_first else dealt[::-1]
        by_row, by_column = (acrosses.name, "1") if rows_first else ("1", downs.name)
        sizes = [(highs * tall).name, (broads * wide).name, by_row, by_column, downs.name, acrosses.name]
        sizes += map(str, numbers)
        items = (downs * acrosses).name
    else:
        item = Kernel("tile", code.dtype)
        *at, high, broad, inside = given(item, [*["ptr"] * 3, *["i64"] * 3])
        # Pieces of the same rows follow each other, or those of the same columns: so many are `inside`.
        outer, inner = (item.emit(f"{how} i64 %item, {inside}") for how in ("udiv", "urem"))
        row, column = (
            Register(item, item.emit(f"mul nuw nsw i64 {i}, {size}"), "i64")
            for i, size in zip((outer, inner) if rows_first else (inner, outer), (high, broad), strict=True)
        )
        left, right, out = (gemm.Matrix(p, s.row, s.column) for p, s in zip(at, (a, b, c), strict=True))
        left = left._replace(pointer=offset(item, left.pointer, row.name, a.row, code.dtype))
        out = out._replace(pointer=offset(item, out.pointer, row.name, c.row, code.dtype))
        rows, width = n // down, min(-(-panes // across) * wide, m)
        across = -(-m // width)
        right = right._replace(pointer=offset(item, right.pointer, column.name, 1, code.dtype))
        out = out._replace(pointer=offset(item, out.pointer, column.name, 1, code.dtype))
        last = m - (across - 1) * width
        if last == width:
            _tile(item, (rows, width, k), [left, right, out], add, False)
        else:
            item.where(
                (column < m - last).name,
                lambda: _tile(item, (rows, width, k), [left, right, out], add, False),
                lambda: _tile(item, (rows, last, k), [left, right, out], add, False),
            )
        sizes = [str(rows), str(width), str(across if rows_first else down)]
        items = str(across * down)
    share(
        code,
        name(called(item, vectors=True)),
        [*(f"ptr {x.pointer}" for x in (a, b, c)), *(f"i64 {x}" for x in sizes)],
        items,
    )


def _packed_tile(
    lengths: tuple[int, int, int], matrices: tuple[gemm.Matrix, gemm.Matrix, gemm.Matrix], add: bool, dtype: DType
) -> tuple[Kernel, list[int]]:  # fmt: skip
    """Code that does a piece of a product in panels, and the integers that it is given last. All products with as many columns
    left over behind whole panels share it: those of a GPT's layers take LLVM 0.2 s in place of 0.4.

    A thread packs all its panels in one piece: the rows of the left operand are in the cache then."""
    n, m, k = lengths
    strides = [stride for x in matrices for stride in (x.row, x.column) if stride != 1]
    item = Kernel("tile", dtype)
    known = given(item, [*["ptr"] * 3, *["i64"] * (9 + len(strides))])
    at, others = known[:3], iter(known[12:])
    # How high and broad pieces are; of how many pieces each one's rows, and columns, are; and how many differ in these.
    high, broad, by_row, by_column, downs, acrosses, rows, columns, depth = (
        Register(item, x, "i64") for x in known[3:12]
    )
    number = Register(item, "%item", "i64")
    row, column = (
        i.op("urem", i.op("udiv", number, by), many) * size
        for i, by, many, size in ((number, by_row, downs, high), (number, by_column, acrosses, broad))
    )
    left, right, out = (
        gemm.Matrix(p, *(1 if stride == 1 else next(others) for stride in (x.row, x.column)))
        for p, x in zip(at, matrices, strict=True)
    )
    left = left._replace(pointer=offset(item, left.pointer, row.name, left.row, dtype))
    out = out._replace(pointer=offset(item, out.pointer, row.name, out.row, dtype))
    some, end = rows - row, column + broad
    within = column, (end < columns).where(end, columns)
    tall, left_over = gemm.tall(n, dtype), m % gemm.across(n, dtype)
    panels.write(
        item, ((some < high).where(some, high).name, columns, depth.name), [left, right, out], add, columns=within,
        rows=(tall, 2, 1) if n % tall % 2 else (tall, 2), left=left_over, whole=rows.name,
    )  # fmt: skip
    return item, [n, m, k, *map(int, strides)]


def write_sums(
    code: Kernel, lengths: tuple[int, int, int], matrices: list[gemm.Matrix], sums: str, add: bool, turned: bool | None,
    most: int, name: Callable[[Function], str],
) -> None:  # fmt: skip
    """A product by code for its shape, cut along what it sums up in as many parts as there are threads, `most` at most. The
    first is where the result is, and the others are added to that."""
    (n, m, k), (a, b, c), packed = lengths, matrices, turned is not None
    if c.column != 1:
        n, m, a, b, c = m, n, b.transposed, a.transposed, c.transposed
    code.declares.add(workers.declaration())
    count = Register(code, code.emit(f"call i64 @tn_blocks(i64 {most})"), "i64")
    item = Kernel("tile", code.dtype)
    *at, own, each = given(item, [*["ptr"] * 4, "i64"])
    part, deep = Register(item, "%item", "i64"), Register(item, each, "i64")
    first = part * deep
    rest = k - first
    left = a._replace(pointer=offset(item, at[0], first.name, a.column, code.dtype))
    right = b._replace(pointer=offset(item, at[1], first.name, b.row, code.dtype))
    apart = Register(item, offset(item, own, (part - 1).name, n * m, code.dtype), "ptr")
    there = part.eq(0)
    out = c._replace(pointer=there.where(Register(item, at[2], "ptr"), apart).name)
    _tile(item, (n, m, rest.at_most(deep).name), [left, right, out], there.name if add else False, packed)
    values = [*(f"ptr {x.pointer}" for x in (a, b, c)), f"ptr {sums}", f"i64 {panels.over(code.index(k), count).name}"]
    share(code, name(called(item, vectors=True)), values, count.name)

    item = Kernel("sums", code.dtype)
    to, own, others = given(item, ["ptr", "ptr", "i64"])
    size = -(-n * m // workers.EVEN)
    begin = Register(item, "%item", "i64") * size
    end = ((begin + size) < n * m).where(begin + size, item.index(n * m))
    total, more = (Array(item, x, (1,), code.dtype) for x in (to, own))
    for i in item.turns(Register(item, others, "i64")):
        some = more.moved(i * (n * m))
        for j in item.turns(end, begin):
            total.store(total.load(j) + some.load(j), j)
    adding = name(called(item))
    for _ in code.turns((count > 1).where(code.index(1), 0)):
        share(code, adding, [f"ptr {c.pointer}", f"ptr {sums}", f"i64 {(count - 1).name}"], workers.EVEN)


def _dealt(code: Kernel, count: Register, axes: tuple[tuple[int, int], ...]) -> list[tuple[Register, Register]]:
    """Deal two axes out to so many threads: the first to as many as it has parts for at most, the second to those left over.
    Given are their grains and parts at most; of each come the grains of a part, and how many parts there are."""
    found = []
    for grains, most in axes:
        parts = (count < max(most, 1)).where(count, max(most, 1))
        each = panels.over(Register(code, str(grains), "i64"), parts)
        found.append((each, panels.over(Register(code, str(grains), "i64"), each)))
        count = panels.over(count, parts)
    return found


def _tile(
    code: Kernel, lengths: tuple[int, int, int | str], matrices: list[gemm.Matrix], add: bool | str, packed: bool
) -> None:  # fmt: skip
    """Some rows and columns of a result."""
    if packed:
        panels.write(code, lengths, matrices, add)
    else:
        gemm.write(code, lengths, matrices, code.dtype, add)


def _down(n: int, most: int, least: int) -> int:
    """Into how many pieces of at least so many rows each these are cut."""
    return max((d for d in range(1, most + 1) if n % d == 0 and n // d >= least), default=1)
