"""The code of matrix products: in vectors of its own, by BLAS, or as loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tapenet.kernels import linear, panels, products
from tapenet.kernels.products import Product, arranged
from tapenet.llvm import gemm, gemv, sharing, workers
from tapenet.llvm.blas import GRAIN, Matrix, find, matrix
from tapenet.llvm.code import Access, Carried, Code, offset, places
from tapenet.llvm.emitter import llvm_type
from tapenet.llvm.kernel import Kernel
from tapenet.llvm.loops import copy, fill, nest, within
from tapenet.llvm.processor import registers
from tapenet.llvm.reductions import Accumulator, identity
from tapenet.llvm.sharing import Shared
from tapenet.program.ir import Builder, Instruction, Value
from tapenet.program.layout import Layouts, Strides, c_strides
from tapenet.program.native import pieces, product_tiles
from tapenet.program.native.functions import Function
from tapenet.program.native.kernels import moving
from tapenet.program.native.pieces import called, given, launch, share
from tapenet.program.native.writer import Family
from tapenet.typing import DType, Shape

#: Products of up to so many multiplications are loops: a call of BLAS costs more than it saves.
SMALL = 2048
#: What a result costs beside its products, in multiply-adds.
RESULT = 10
#: Matrices from which a batch is cut into such.
FEW = 4

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
    which reads a left operand with any strides. Every second column of (1024, 2048) numbers times (1024, 8) takes 1.1 of the
    time of dense ones so, with a copy 2.0 to 3.0. Numbers farther apart are copied: they are read often."""
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


def elsewise(
    instruction: Instruction, args: Sequence[Value], scattered: Sequence[int], layouts: Layouts, builder: Builder
) -> Value | None:
    """A product by a matrix in reverse, or one that BLAS cannot read, in another way; None where it is to be computed as it is.
    `scattered` as for a family."""
    if instruction.name != "dot":
        return None
    for at in range(2):
        if (forwards := _matrix_forwards(instruction, args, at, layouts, builder)) is not None:
            return forwards
    return _as_sum(instruction, args, scattered, builder)


def _as_sum(
    instruction: Instruction, args: Sequence[Value], scattered: Sequence[int], builder: Builder
) -> Value | None:
    """A product of a vector and a matrix that BLAS cannot read, as the kernel of a sum, which reads it where it lies; None for
    any other. Every second column of a matrix of 256 x 256 (1,024 x 1,024), which is twice as much memory, takes 2.1 (2.5) of
    the time of a dense one so, with a copy 2.4 (4.6)."""
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


def _matrix_forwards(
    instruction: Instruction, args: Sequence[Value], at: int, layouts: Layouts, builder: Builder
) -> Value | None:
    """The product by a matrix whose rows or columns lie in reverse, as one by the matrix in the order of memory: in its place
    the smaller factor is turned round, or the result, or both. `at` is the matrix's position among the arguments. None where
    BLAS cannot read the matrix in that order either, or where the smaller factor and the result have more than half as many
    elements. So 256 x 256 (1,024 x 1,024) numbers take 0.9 to 1.1 of the time of dense ones; read in reverse, or copied,
    they take 1.2 to 3.4 (1.3 to 5.6)."""
    (result,) = instruction.results
    whole, other = args[at], args[1 - at]
    steps = layouts[whole].strides
    if (
        whole.ndim != 2
        or other.ndim != 2
        or min(steps) >= 0
        or matrix(whole.shape, (abs(steps[0]), abs(steps[1]))) is None
    ):
        return None
    if 2 * (other.size + result.size) > whole.size:
        return None
    summed, others = (_summed(instruction, i) for i in (at, 1 - at))
    given = list(args)
    given[at] = _turned_round(builder, whole, [step < 0 for step in steps])
    if steps[summed] < 0:
        other = _turned_round(builder, other, [axis == others for axis in range(2)])
    readable = matrix(other.shape, layouts[other].strides) is not None
    given[1 - at] = other if readable else builder.emit("copy", other, row_major=True)
    made = builder.emit("dot", *given, **instruction.params)
    return _turned_round(builder, made, [axis == at for axis in range(2)]) if steps[1 - summed] < 0 else made


def _summed(instruction: Instruction, at: int) -> int:
    """The axis along which a product sums up one of its factors."""
    turned = instruction.params.get("tb" if at else "ta", False)
    return 1 if turned == bool(at) else 0


def _turned_round(builder: Builder, value: Value, axes: Sequence[bool]) -> Value:
    """A view along some axes from the end."""
    slices = [(n - 1, -1, -1) if turned else (0, n, 1) for n, turned in zip(value.shape, axes, strict=True)]
    return builder.emit("slice", value, slices=tuple(slices))


def _some(
    item: Kernel, batch: Shape, each: int, strides: Sequence[Strides], one: Callable[[Sequence[str]], None]
) -> None:
    """A piece of a batch: so many of its products in a row, each by a function of the pointers to its matrices."""
    at = given(item, ["ptr"] * len(strides))
    first = item.emit(f"mul nuw nsw i64 %item, {each}")

    def turn(index: str) -> None:
        left_over = item.emit(f"add nuw nsw i64 {first}, {index}")
        here = at
        for axis in reversed(range(len(batch))):
            place = item.emit(f"urem i64 {left_over}, {batch[axis]}")
            left_over = item.emit(f"udiv i64 {left_over}, {batch[axis]}")
            here = [offset(item, p, place, s[axis], item.dtype) for p, s in zip(here, strides, strict=True)]
        one(here)

    item.loop(within(item, math.prod(batch), first, each), turn)


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
    return min(int(cycles(instruction) / pieces.PART), pieces.PARTS)


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
    """Products of matrices.

    Attributes:
        at: the pointers to the two factors and to the result.
        strides: theirs.
        matrices: how they lie as BLAS reads them; None for what it cannot read.
        inner: the strides of their matrices.
        batch, lengths: how many products there are, and of which lengths n, m and k each is.
        add: whether it is added to something.
        vector, turned, fits: which code of its own there is for such matrices (`gemv.shape`, `panels.side`, `gemm.fits`).
    """

    kind = "product"
    code: Kernel

    def __post_init__(self) -> None:
        (result,) = self.instruction.results
        (a, a_shape, a_strides), (b, b_shape, b_strides) = operands(self.instruction, self.layouts)
        self.strides = a_strides, b_strides, self.layouts[result].strides
        self.matrices = matrix(a_shape, a_strides), matrix(b_shape, b_strides), matrix(result.shape, self.strides[2])
        self.inner = a_strides[-2:], b_strides[-2:], self.strides[2][-2:]
        self.batch, self.dtype = result.shape[:-2], result.dtype
        self.add = self.instruction.name == "dot_add"
        n, m, k = self.lengths = result.shape[-2], result.shape[-1], a_shape[-1]
        self.vector = gemv.shape(n, m, k, *self.inner, self.dtype)
        self.turned = None if self.vector else panels.side(n, m, k, *self.inner, self.dtype)
        self.fits = self.turned is not None or gemm.fits(n, m, k, *self.inner, self.dtype)
        self.code = Kernel("product", self.dtype)
        self.at = [self._base(v) for v in (a, b, result)]

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
        code, (n, m, k), count = self.code, self.lengths, math.prod(self.batch)
        (result,) = self.instruction.results
        own = self.vector is not None or self.fits
        if self.add:
            own = not self._begin() and own  # a copy is to become vectors
        elif not own and multiply_adds(self.instruction) <= SMALL and self.layouts[result].root is result:
            self._loops()
            return self.done()
        if self.workspace is not None and own and self.vector is None and self.inner[2] in ((m, 1), (1, n)):
            sums, most = self.parameter(self.workspace), own_parts(self.instruction)
            matrices = self._own(self.at)
            product_tiles.write_sums(code, self.lengths, matrices, sums, self.add, self.turned, most, self.name)
            return Function.of(code, self.pointers, vectors=True)
        plain = self.vector is None and not self.fits and not self.add and not self.batch
        if plain and (few := _few_rows(self.lengths, self.inner, self.dtype)) is not None:
            # Weights lie where the threads have updated them: less is read out of another's cache than in eager mode.
            run, length, numbers = few
            work = n * m * k
            wanted = pieces.parts(code, run.most(length, work), run.few(length, work), run.rounds)
            values = [*(f"ptr {x}" for x in self.at), *(f"i64 {x}" for x in numbers)]
            launch(code, run, length, wanted, values, wakes=work >= sharing.WAKES)
            return self.done()
        if self.workspace is not None and parts(self.instruction) > 1:
            self._by_sums(parts(self.instruction))
            return self.done()
        outer = [s[:-2] for s in self.strides]
        shares = min(pieces_of(self.instruction), count)
        if shares < 2 or count < FEW:
            each = pieces_of(self.instruction) // count
            places(code, self.batch, self.at, outer, lambda at: self._one(code, at, each), self.dtype)
            return Function.of(code, self.pointers, vectors=own)
        item, each = Kernel("products", self.dtype), -(-count // shares)
        _some(item, self.batch, each, outer, lambda at: self._one(item, at, 1))
        share(code, self.name(called(item, own)), [f"ptr {p}" for p in self.at], -(-count // each))
        return self.done()

    def _base(self, value: Value) -> str:
        place = self.layouts[value]
        return offset(self.code, self.parameter(self.buffer(place.root)), place.offset, 1, value.dtype)

    def _own(self, at: Sequence[str]) -> list[gemm.Matrix]:
        """The matrices at these pointers, for code of its own."""
        return [gemm.Matrix(p, *s) for p, s in zip(at, self.inner, strict=True)]

    def _by_blas(self, at: Sequence[str], c: Matrix | None, add: bool) -> tuple[Product, Sequence[str]]:
        """One product as BLAS computes it, with a result that lies so, and the pointers that it is given."""
        a, b, _ = self.matrices
        assert a is not None
        assert b is not None
        assert c is not None
        return arranged(Product(*self.lengths, a, b, c, self.dtype, add), at)

    def _one(self, code: Kernel, at: Sequence[str], wanted: int) -> None:
        """One product of two matrices, in as many pieces."""
        if self.vector is not None:
            gemv.write(code, self.vector, (at[0], at[1], at[2]), self.dtype, add=self.add)
        elif self.fits:
            product_tiles.write(code, self.lengths, self._own(at), self.add, self.turned, wanted, self.name)
        else:
            _blocks(code, *self._by_blas(at, self.matrices[2], self.add), wanted)

    def _by_sums(self, count: int) -> None:
        """By BLAS, cut along what it sums up into so many parts."""
        code, (n, m, k) = self.code, self.lengths
        left, right, out = self.at
        sums = self.parameter(self.workspace)
        found, at = self._by_blas((left, right, sums), Matrix(False, m), False)
        values = [*(f"ptr {p}" for p in at), f"i64 {n * m * self.dtype.itemsize}", *_numbers(found)]
        launch(code, products.parts(found.kind, "sums"), k, count, values)
        _add_up(code, (n, m), count, sums, Access(out, self.inner[2], self.dtype), self.add)

    def _begin(self) -> bool:
        """Bring what a product is added to to where the result is, unless it is there: whether it was not."""
        c, out = self.instruction.args[0], self.at[2]
        source = self._base(c)
        if source == out:
            return False
        strides = self.layouts[c].strides
        copy(self.code, c.shape, Access(source, strides, c.dtype), Access(out, self.strides[2], c.dtype))
        return True

    def _loops(self) -> None:
        """The product as loops over rows, columns and what is summed."""
        code, dtype, (left, right, out), (a, b, c) = self.code, self.dtype, self.at, self.strides
        (result,) = self.instruction.results
        t = llvm_type(dtype)
        fill(code, out, result.size, identity("reduce_add", dtype), dtype)
        accesses = [
            Access(left, (*a[:-2], a[-2], 0, a[-1]), dtype),
            Access(right, (*b[:-2], 0, b[-1], b[-2]), dtype),
        ]

        def body(at: list[Access]) -> list[str]:
            x, y = (code.emit(f"load {t}, ptr {access.pointer}") for access in at)
            return [code.emit(f"fmul contract {t} {x}, {y}")]

        def add(code: Code, x: str, y: str) -> str:
            return code.emit(f"fadd reassoc contract {t} {x}, {y}")

        sums = Accumulator("reduce_add", Access(out, (*c, 0), dtype), add)
        nest(code, (*self.batch, *self.lengths), accesses, body, [sums])


def uses_blas(function: Function) -> bool:
    """Whether a function computes by BLAS."""
    return in_blocks(function) or any(d.startswith(_CALLS) for d in function.declares)


def in_blocks(function: Function) -> bool:
    """Whether a function shares out parts of products by BLAS among the threads of the pool."""
    return workers.able() and any(d.startswith(_PARTS) for d in function.declares)


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
