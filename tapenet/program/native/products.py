"""The code of matrix products: loops for small ones, BLAS for the others."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import numpy as np

from tapenet.kernels import panels
from tapenet.llvm import gemm, gemv
from tapenet.llvm.emitter import llvm_type
from tapenet.llvm.kernel import Kernel
from tapenet.llvm.loops import Access, Accumulator, Code, copy, fill, identity, nest, offset
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Layouts, Strides
from tapenet.program.native.kernels import Function
from tapenet.typing import Shape

#: Products of up to so many multiplications are loops: a call of BLAS costs more than it saves.
SMALL = 2048

_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112


class Matrix(NamedTuple):
    """How BLAS reads an operand: transposed or not, and the distance between its rows."""

    transposed: bool
    leading: int


def matrix(shape: Shape, strides: Strides) -> Matrix | None:
    """The last two axes as BLAS reads them in row-major order, or None if no axis is dense."""
    (n, m), (sn, sm) = shape[-2:], strides[-2:]
    if (m == 1 or sm == 1) and (n == 1 or sn >= m):
        return Matrix(False, sn if n > 1 else max(m, 1))
    if (n == 1 or sn == 1) and (m == 1 or sm >= n):
        return Matrix(True, sm if m > 1 else max(n, 1))
    return None


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


def write(instruction: Instruction, layouts: Layouts, buffer: Callable[[Value], Hashable]) -> Function:
    """The function of one product."""
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
    beta = 0.0
    inner = a_strides[-2:], b_strides[-2:], out_strides[-2:]
    vector = gemv.shape(n, m, k, *inner, dtype)
    turned = None if vector else panels.side(n, m, k, *inner, dtype)
    fits = turned is not None or gemm.fits(n, m, k, *inner, dtype)
    if instruction.name == "dot_add":
        beta = 1.0
        _begin(code, instruction, layouts, base, out)
    elif vector is None and not fits and multiply_adds(instruction) <= SMALL and layouts[result].root is result:
        _loops(code, (*batch, n, m, k), left, a_strides, right, b_strides, out, out_strides, result.size, dtype)
        return Function.of(code, pointers)

    def product(indices: list[str], lengths: Shape) -> None:
        if lengths:
            code.loop(lengths[0], lambda index: product([*indices, index], lengths[1:]))
            return
        at = []
        for pointer, strides in ((left, a_strides), (right, b_strides), (out, out_strides)):
            for index, stride in zip(indices, strides, strict=False):
                pointer = offset(code, pointer, index, stride, dtype)
            at.append(pointer)
        if vector is not None:
            gemv.write(code, vector, (at[0], at[1], at[2]), dtype, add=beta != 0)
        elif fits:
            matrices = [gemm.Matrix(p, *s) for p, s in zip(at, inner, strict=True)]
            if turned is not None:
                panels.write(code, (n, m, k), matrices, beta != 0, turned)
                return
            gemm.write(code, (n, m, k), matrices, dtype, add=beta != 0)
        else:
            _blas(code, n, m, k, at, matrix(a_shape, a_strides), matrix(b_shape, b_strides),
                  matrix(result.shape, out_strides), (a_strides, b_strides, out_strides), dtype, beta)  # fmt: skip

    product([], batch)
    return Function.of(code, pointers)


def _begin(code: Code, instruction: Instruction, layouts: Layouts, base: Callable[[Value], str], out: str) -> None:
    """Bring what a product is added to to where the result is, unless it is there."""
    c = instruction.args[0]
    (result,) = instruction.results
    source = base(c)
    if source == out:
        return
    copy(code, c.shape, Access(source, layouts[c].strides, c.dtype), Access(out, layouts[result].strides, c.dtype))


def _loops(
    code: Code, lengths: Shape, left: str, a: Strides, right: str, b: Strides, out: str, c: Strides,
    size: int, dtype: np.dtype,
) -> None:  # fmt: skip
    """The product as loops over rows, columns and what is summed."""
    t = llvm_type(dtype)
    start = identity("reduce_add", dtype)
    fill(code, out, size, start, dtype)
    accesses = [
        Access(left, (*a[:-2], a[-2], 0, a[-1]), dtype),
        Access(right, (*b[:-2], 0, b[-1], b[-2]), dtype),
    ]

    def body(at: list[Access]) -> list[str]:
        x, y = (code.emit(f"load {t}, ptr {access.pointer}") for access in at)
        return [code.emit(f"fmul contract {t} {x}, {y}")]

    def add(code: Code, x: str, y: str) -> str:
        return code.emit(f"fadd reassoc contract {t} {x}, {y}")

    nest(code, lengths, accesses, body, [Accumulator(Access(out, (*c, 0), dtype), start, add)])


def _blas(
    code: Code, n: int, m: int, k: int, at: list[str], a: Matrix | None, b: Matrix | None, c: Matrix | None,
    strides: tuple[Strides, ...], dtype: np.dtype, beta: float = 0.0,
) -> None:  # fmt: skip
    """One call of BLAS. A result whose columns are dense is computed as the transposed product."""
    left, right, out = at
    assert a is not None
    assert b is not None
    assert c is not None
    t = llvm_type(dtype)
    letter = "s" if dtype.itemsize == 4 else "d"
    one, zero = _number(1.0), _number(beta)
    if n == 1 or m == 1:
        vector, matrix_, place, other = (left, right, b, m) if n == 1 else (right, left, a, n)
        step = strides[0][-1] if n == 1 else strides[1][-2]
        out_step = strides[2][-1] if n == 1 else strides[2][-2]
        if (step > 0 and out_step > 0) or (k == 1 and out_step > 0):
            # As a matrix in row-major order it is (k, m) for a row vector and (n, k) for a column vector.
            rows, columns = (k, other) if n == 1 else (other, k)
            transposed = n == 1
            if place.transposed:
                rows, columns, transposed = columns, rows, not transposed
            code.declares.add(f"tn_{letter}gemv")
            code.line(
                f"  call void @tn_{letter}gemv(i32 {_ROW_MAJOR}, i32 {_TRANSPOSED if transposed else _PLAIN}, "
                f"INT {rows}, INT {columns}, {t} {one}, ptr {matrix_}, INT {place.leading}, ptr {vector}, "
                f"INT {max(step, 1)}, {t} {zero}, ptr {out}, INT {out_step})"
            )
            return
    if c.transposed:
        n, m, left, right, a, b = (
            m, n, right, left, Matrix(not b.transposed, b.leading), Matrix(not a.transposed, a.leading)
        )  # fmt: skip
    code.declares.add(f"tn_{letter}gemm")
    code.line(
        f"  call void @tn_{letter}gemm(i32 {_ROW_MAJOR}, i32 {_TRANSPOSED if a.transposed else _PLAIN}, "
        f"i32 {_TRANSPOSED if b.transposed else _PLAIN}, INT {n}, INT {m}, INT {k}, {t} {one}, ptr {left}, "
        f"INT {a.leading}, ptr {right}, INT {b.leading}, {t} {zero}, ptr {out}, INT {c.leading})"
    )


def _number(value: float) -> str:
    return f"{value:e}"


def declarations(names: set[str], integer: str) -> str:
    """Declarations of the BLAS functions used; `integer` is the type of its lengths."""
    lines = []
    for name in sorted(names):
        t = "float" if name[3] == "s" else "double"
        if name.endswith("gemm"):
            types = f"i32, i32, i32, INT, INT, INT, {t}, ptr, INT, ptr, INT, {t}, ptr, INT"
        else:
            types = f"i32, i32, INT, INT, {t}, ptr, INT, ptr, INT, {t}, ptr, INT"
        lines.append(f"declare void @{name}({types})".replace("INT", integer))
    return "\n".join(lines)
