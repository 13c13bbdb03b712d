"""The code of matrix products: loops for small ones, BLAS for the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from tapenet.kernels import linear, panels, products
from tapenet.kernels.products import Product, arranged
from tapenet.llvm import gemm, gemv, sharing, workers
from tapenet.llvm.blas import GRAIN, Matrix, find, matrix
from tapenet.llvm.emitter import llvm_type
from tapenet.llvm.kernel import Array, Kernel
from tapenet.llvm.kernel import Value as Register
from tapenet.llvm.loops import Access, Accumulator, Carried, Code, copy, fill, identity, nest, offset, places
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared
from tapenet.program.ir import Builder, Instruction, Value
from tapenet.program.layout import Layouts, Strides, c_strides
from tapenet.program.native import pieces
from tapenet.program.native.kernels import Function, moving
from tapenet.program.native.pieces import called, either, given, launch, share
from tapenet.program.native.writer import Family
from tapenet.typing import DType, Shape

#: Products of up to so many multiplications are loops: a call of BLAS costs more than it saves.
SMALL = 2048
#: What a result costs beside its products, in multiply-adds.
RESULT = 10
#: Matrices from which a batch is cut into such.
FEW = 4
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

#: What code that computes by BLAS declares: its functions, and products in parts.
_CALLS, _PARTS = ("declare void @tn_sge", "declare void @tn_dge"), "declare void @product_"


def operands(instruction: Instruction, layouts: Layouts) -> list[tuple[Value, Shape, Strides]]:
    """The two factors of a product with shape and strides after `ta` and `tb`."""
    found = []
    for arg, flag in zip(instruction.args[-2:], ("ta", "tb"), strict=True):
        shape, strides = arg.shape, layouts[arg].strides
        if instruction.params.get(flag):
            shape, strides = _exchanged(shape), _exchanged(strides)
        found.append((arg, shape, strides))
    return found


def _exchanged(axes: Shape) -> Shape:
    return (*axes[:-2], axes[-1], axes[-2])


def multiply_adds(instruction: Instruction) -> int:
    """How many multiplications, each with an addition, a product takes."""
    (result,) = instruction.results
    a = instruction.args[-2]
    return result.size * (a.shape[-2] if instruction.params.get("ta") else a.shape[-1])


def writes(instruction: Instruction, layouts: Layouts, out: Strides) -> bool:
    """Whether a product is computed where its operands are, and a result with these strides: by BLAS, or by code for its shape,
    which reads a left operand with any strides. 1,024 x 1,024 numbers in reverse times (1024, 8) take 1.1 of the time of dense
    ones so, every second column 1.1, with a copy 2.0 to 3.0. Numbers farther apart are copied: they are read often."""
    (_, a_shape, a), (_, b_shape, b) = operands(instruction, layouts)
    (result,) = instruction.results
    if matrix(result.shape, out) is None:
        return False
    if matrix(a_shape, a) is not None and matrix(b_shape, b) is not None:
        return True
    if instruction.name != "dot" or parts(instruction) > 1 or min(map(abs, a[-2:])) > 2:
        return False
    (n, m), k, dtype = result.shape[-2:], a_shape[-1], result.dtype
    inner = a[-2:], b[-2:], out[-2:]
    if gemv.shape(n, m, k, *inner, dtype) is not None:
        return True
    return panels.side(n, m, k, *inner, dtype) is not None or gemm.fits(n, m, k, *inner, dtype)


def as_sum(instruction: Instruction, args: Sequence[Value], scattered: Sequence[int], builder: Builder) -> Value | None:
    """A product of a vector and a matrix that BLAS cannot read, as the kernel of a sum, which reads it where it lies; None for
    any other. In reverse a matrix of 256 x 256 (1,024 x 1,024) takes 1.0 (1.2) of the time of a dense one, with a copy 2.2
    (3.2); every second column of one, which is twice as much memory, 2.1 (2.5), with a copy 2.4 (4.6)."""
    if instruction.name != "dot":
        return None
    (result,) = instruction.results
    n, m = result.shape[-2:]
    matrix_at = 0 if m == 1 else 1
    if min(n, m) > 1 or matrix_at not in scattered or result.dtype.char not in "fd":
        return None
    turned = instruction.params.get("ta", False), not instruction.params.get("tb", False)
    rows = [
        builder.transpose(a, (*range(a.ndim - 2), a.ndim - 1, a.ndim - 2)) if t else a
        for a, t in zip(args, turned, strict=True)
    ]
    summed = builder.emit("reduce_add", builder.emit("multiply", *rows), axes=(result.ndim - 1,))
    return builder.reshape(summed, result.shape)


def write(
    instruction: Instruction,
    layouts: Layouts,
    buffer: Callable[[Value], Hashable],
    space: Hashable | None,
    name: Callable[[Function], str],
) -> Function:
    """The function of one product.

    Args:
        instruction, layouts, buffer: what it computes, and where that lies.
        space: the buffer for the sums of parts, if it is cut along what it sums up.
        name: adds a function to the module, and gives its name there.
    """
    (result,) = instruction.results
    code = Kernel("product", result.dtype)
    (a, a_shape, a_strides), (b, b_shape, b_strides) = operands(instruction, layouts)
    pointers: dict[Hashable, str] = {}

    def base(value: Value) -> str:
        place = layouts[value]
        pointer = pointers.setdefault(buffer(place.root), f"%b{len(pointers)}")
        return offset(code, pointer, place.offset, 1, value.dtype)

    left, right, out = base(a), base(b), base(result)
    out_strides = layouts[result].strides
    batch = result.shape[:-2]
    n, m = result.shape[-2:]
    k = a_shape[-1]
    dtype = result.dtype
    inner = a_strides[-2:], b_strides[-2:], out_strides[-2:]
    vector = gemv.shape(n, m, k, *inner, dtype)
    turned = None if vector else panels.side(n, m, k, *inner, dtype)
    fits = turned is not None or gemm.fits(n, m, k, *inner, dtype)
    own = vector is not None or fits
    add = instruction.name == "dot_add"
    if add:
        copied = _begin(code, instruction, layouts, base, out)
        own = own and not copied  # a copy is to become vectors
    elif vector is None and not fits and multiply_adds(instruction) <= SMALL and layouts[result].root is result:
        _loops(code, (*batch, n, m, k), left, a_strides, right, b_strides, out, out_strides, result.size, dtype)
        return Function.of(code, pointers)

    read = matrix(a_shape, a_strides), matrix(b_shape, b_strides), matrix(result.shape, out_strides)

    def by_blas(at: Sequence[str], c: Matrix | None, add: bool = add) -> tuple[Product, Sequence[str]]:
        assert read[0] is not None
        assert read[1] is not None
        assert c is not None
        return arranged(Product(n, m, k, read[0], read[1], c, dtype, add), at)

    def one(code: Kernel, at: Sequence[str], wanted: int) -> None:
        """One product of two matrices, in as many pieces."""
        if vector is not None:
            gemv.write(code, vector, (at[0], at[1], at[2]), dtype, add=add)
        elif fits:
            matrices = [gemm.Matrix(p, *s) for p, s in zip(at, inner, strict=True)]
            _own(code, (n, m, k), matrices, add, turned, wanted, name)
        else:
            _blocks(code, *by_blas(at, read[2]), wanted)

    if space is not None and fits and own and vector is None and inner[2] in ((m, 1), (1, n)):
        matrices = [gemm.Matrix(x, *s) for x, s in zip((left, right, out), inner, strict=True)]
        _by_sums(code, (n, m, k), matrices, f"%b{len(pointers)}", add, turned, own_parts(instruction), name)
        return Function.of(code, [*pointers, space], vectors=own)

    few = _few_rows((n, m, k), inner, dtype) if vector is None and not fits and not add and not batch else None
    if few is not None:
        # Weights lie where the threads have updated them: less is read out of another's cache than in eager mode.
        run, length, numbers = few
        work = n * m * k
        wanted = pieces.parts(code, run.most(length, work), run.few(length, work), run.rounds)
        values = [*(f"ptr {x}" for x in (left, right, out)), *(f"i64 {x}" for x in numbers)]
        launch(code, run, length, wanted, values, wakes=work >= sharing.WAKES)
        return Function.of(code, pointers)

    if space is not None and parts(instruction) > 1:
        count, sums = parts(instruction), f"%b{len(pointers)}"
        found, at = by_blas((left, right, sums), Matrix(False, m), False)
        values = [*(f"ptr {p}" for p in at), f"i64 {n * m * dtype.itemsize}", *_numbers(found)]
        launch(code, products.parts(found.kind, "sums"), k, count, values)
        _add_up(code, (n, m), count, sums, Access(out, out_strides[-2:], dtype), add)
        return Function.of(code, [*pointers, space])

    outer = [a_strides[:-2], b_strides[:-2], out_strides[:-2]]
    count = min(pieces_of(instruction), math.prod(batch))
    if count < 2 or math.prod(batch) < FEW:
        each = pieces_of(instruction) // math.prod(batch)
        places(code, batch, (left, right, out), outer, lambda at: one(code, at, each), dtype)
        return Function.of(code, pointers, vectors=own)

    item, each = Kernel("products", dtype), -(-math.prod(batch) // count)
    _some(item, batch, each, outer, lambda at: one(item, at, 1))
    share(code, name(called(item, own)), [f"ptr {p}" for p in (left, right, out)], -(-math.prod(batch) // each))
    return Function.of(code, pointers)


def _some(
    item: Kernel, batch: Shape, each: int, strides: Sequence[Strides], one: Callable[[Sequence[str]], None]
) -> None:
    """A piece of a batch: so many of its products in a row, each by a function of the pointers to its matrices."""
    at = given(item, ["ptr"] * len(strides))
    first = item.emit(f"mul nuw nsw i64 %item, {each}")
    rest = item.emit(f"sub nsw i64 {math.prod(batch)}, {first}")

    def turn(index: str) -> None:
        left_over = item.emit(f"add nuw nsw i64 {first}, {index}")
        here = at
        for axis in reversed(range(len(batch))):
            place = item.emit(f"urem i64 {left_over}, {batch[axis]}")
            left_over = item.emit(f"udiv i64 {left_over}, {batch[axis]}")
            here = [offset(item, p, place, s[axis], item.dtype) for p, s in zip(here, strides, strict=True)]
        one(here)

    item.loop(item.emit(f"call i64 @llvm.smin.i64(i64 {rest}, i64 {each})"), turn)
    item.declares.add("declare i64 @llvm.smin.i64(i64, i64)")


def _few_rows(
    lengths: tuple[int, int, int], strides: Sequence[Strides], dtype: DType
) -> tuple[Shared, int, tuple[int, ...]] | None:
    """The code of a product of few rows where that is quicker than BLAS: eager mode's."""
    n, m, k = lengths
    if strides[0] != (k, 1) or strides[1] not in ((m, 1), (1, k)) or strides[2] != (m, 1):
        return None
    return linear.few_rows(n, k, m, strides[1] == (1, k), dtype)


def cycles(instruction: Instruction) -> float:
    """Roughly how many cycles a product takes: those of its operations, more where vectors are filled in part and for each
    result, or those of reading its operands."""
    (result,) = instruction.results
    lanes = registers().bytes // result.dtype.itemsize
    moved = sum(v.nbytes for v in (*instruction.args, result))
    side = min(result.shape[-2:])
    filled = side / lanes if lanes // 2 <= side < lanes else 1
    operations = (multiply_adds(instruction) + RESULT * result.size) / lanes / filled
    return max(operations / 1.6, moving(moved))


def pieces_of(instruction: Instruction) -> int:
    """How many pieces a product is worth."""
    return min(int(cycles(instruction) / pieces.PART), pieces.MOST)


def parts(instruction: Instruction) -> int:
    """Into how many parts a product is cut along what it sums up: one, unless it has far more to sum up than sums."""
    (result,) = instruction.results
    n, m = result.shape[-2:]
    k = multiply_adds(instruction) // max(result.size, 1)
    across = max(n, m) if min(n, m) == 1 else min(n, m)
    by_blas = k * across * result.dtype.itemsize > gemm.largest()
    most = min(pieces_of(instruction), k // (GRAIN * max(result.size, GRAIN)))
    if not by_blas or most < 2 or max(n, m) >= 2 * GRAIN or result.size > n * m:
        return 1
    return most


def own_parts(instruction: Instruction) -> int:
    """Into how many parts a product by own code is cut along what it sums up, at most: one, unless threads would otherwise
    read so much out of each other's caches that adding up costs less: 32 rows times weights (784, 512), of which each thread
    has updated half the rows, take 0.75 of the time so on two. As with BLAS's blocks, the last digits may differ."""
    (result,) = instruction.results
    n, m = result.shape[-2:]
    if result.size != n * m or min(n, m) < 4:
        return 1
    k = multiply_adds(instruction) // result.size
    if k * (max(n, m) + 2 * min(n, m)) < 8 * n * m:
        return 1
    return max(1, min(pieces_of(instruction), k // panels.DEPTH, workers.EVEN))


class MatrixProduct(Family):
    """Products of matrices."""

    kind = "product"

    @classmethod
    def supports(cls, instruction: Instruction) -> bool:
        return find() is not None and instruction.results[0].dtype.char in "fd"

    @classmethod
    def room(cls, instruction: Instruction) -> int:
        """For the sums of parts."""
        count = parts(instruction)
        return (count if count > 1 else own_parts(instruction) - 1) * instruction.results[0].nbytes

    @classmethod
    def scattered(cls, instruction: Instruction, layouts: Layouts) -> list[int]:
        """Of those that BLAS cannot read."""
        if writes(instruction, layouts, c_strides(instruction.results[0].shape)):
            return []
        first = len(instruction.args) - 2
        found = operands(instruction, layouts)
        return [first + i for i, (_, shape, strides) in enumerate(found) if matrix(shape, strides) is None]

    def write(self) -> Function:
        """By BLAS, or in vectors or loops of its own."""
        return write(self.instruction, self.layouts, self.buffer, self.workspace, self.name)


def uses_blas(function: Function) -> bool:
    """Whether a function computes by BLAS."""
    return in_blocks(function) or any(d.startswith(_CALLS) for d in function.declares)


def in_blocks(function: Function) -> bool:
    """Whether a function shares out parts of products by BLAS among the threads of the pool."""
    return workers.able() and any(d.startswith(_PARTS) for d in function.declares)


def _own(
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
            either(
                item,
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
        rows=(tall, 2, 1) if n % tall % 2 else (tall, 2), left=left_over,
    )  # fmt: skip
    return item, [n, m, k, *map(int, strides)]


def _by_sums(
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
    _tile(item, (n, m, (rest < deep).where(rest, deep).name), [left, right, out], there.name if add else False, packed)
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


def _blocks(code: Code, p: Product, at: Sequence[str], wanted: int) -> None:
    """A product by BLAS: in one call for one thread, else in blocks of rows or columns, as many as there are threads."""
    if min(wanted, p.blocks) < 2:
        products.write(code, p.kind, p.lengths, p.leading, at)
        return
    code.declares.add(workers.declaration())
    count = code.emit(f"call i64 @tn_blocks(i64 {p.blocks})")
    values = [*(f"ptr {x}" for x in at), *_numbers(p)]
    launch(code, products.parts(p.kind, p.along), max(p.n, p.m), count, values)


def _numbers(p: Product) -> list[str]:
    """The integers that the code of a product is given."""
    return [f"i64 {number}" for number in (*p.lengths, *p.leading)]


def _add_up(code: Code, shape: tuple[int, int], count: int, sums: str, out: Access, add: bool) -> None:
    """The sums of parts in order, added to what is there or in its place."""
    t = llvm_type(out.dtype)

    def number(index: str) -> None:
        row, column = (code.emit(f"{how} i64 {index}, {shape[1]}") for how in ("udiv", "urem"))
        place = offset(
            code, offset(code, out.pointer, row, out.strides[0], out.dtype), column, out.strides[1], out.dtype
        )
        first = offset(code, sums, index, 1, out.dtype)
        total = Carried(code.emit(f"load {t}, ptr {place}") if add else "-0.0", t)

        def part(number: str) -> None:
            more = code.emit(f"load {t}, ptr {offset(code, first, number, shape[0] * shape[1], out.dtype)}")
            total.after = code.emit(f"fadd {t} {total.register}, {more}")

        code.loop(count, part, [total])
        code.line(f"  store {t} {total.register}, ptr {place}")

    code.loop(shape[0] * shape[1], number)


def _begin(code: Code, instruction: Instruction, layouts: Layouts, base: Callable[[Value], str], out: str) -> bool:
    """Bring what a product is added to to where the result is, unless it is there: whether it was not."""
    c = instruction.args[0]
    (result,) = instruction.results
    source = base(c)
    if source == out:
        return False
    copy(code, c.shape, Access(source, layouts[c].strides, c.dtype), Access(out, layouts[result].strides, c.dtype))
    return True


def _loops(
    code: Code, lengths: Shape, left: str, a: Strides, right: str, b: Strides, out: str, c: Strides,
    size: int, dtype: np.dtype,
) -> None:  # fmt: skip
    """The product as loops over rows, columns and what is summed."""
    t = llvm_type(dtype)
    fill(code, out, size, identity("reduce_add", dtype), dtype)
    accesses = [
        Access(left, (*a[:-2], a[-2], 0, a[-1]), dtype),
        Access(right, (*b[:-2], 0, b[-1], b[-2]), dtype),
    ]

    def body(at: list[Access]) -> list[str]:
        x, y = (code.emit(f"load {t}, ptr {access.pointer}") for access in at)
        return [code.emit(f"fmul contract {t} {x}, {y}")]

    def add(code: Code, x: str, y: str) -> str:
        return code.emit(f"fadd reassoc contract {t} {x}, {y}")

    nest(code, lengths, accesses, body, [Accumulator("reduce_add", Access(out, (*c, 0), dtype), add)])
