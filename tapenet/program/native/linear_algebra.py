"""The code of linear algebra: calls of the loops that NumPy runs, which call LAPACK."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tapenet.llvm import blas, lapack
from tapenet.llvm.code import Access, offset, places
from tapenet.llvm.emitter import literal, llvm_type, load, store
from tapenet.llvm.inner_loops import INVALID, InnerLoop, call, errors, inner_loop
from tapenet.llvm.loops import copy
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Layouts, c_strides
from tapenet.program.linear_algebra import ROWS, axes
from tapenet.program.native import raising
from tapenet.program.native.functions import Function, Offset
from tapenet.program.native.writer import Family
from tapenet.typing import Shape

_BYTE = np.dtype(np.int8)
_WORD = np.dtype(np.int64)
_PIVOT = np.dtype(np.int32)
_FLOAT = np.dtype(np.float64)


def loops(instruction: Instruction) -> list[InnerLoop] | None:
    """The loops that compute an instruction; None where NumPy does not have them as it is known to."""
    found = []
    if instruction.name == "solve_triangular":  # BLAS's
        return [] if blas.find() else None
    if instruction.name == "lu_factor":
        return [] if lapack.getrf(instruction.args[0].dtype.char) else None
    row = ROWS[instruction.name]
    try:
        module = importlib.import_module("numpy.linalg._umath_linalg")
        for name in row.loops(instruction.params):
            ufunc: np.ufunc = getattr(np if name == "matmul" else module, name)
            given = f"{instruction.args[0].dtype.char * ufunc.nin}->"
            found.append(inner_loop(ufunc, next(types for types in ufunc.types if types.startswith(given))))
    except (ImportError, AttributeError, StopIteration):
        return None
    return None if None in found else [loop for loop in found if loop is not None]


class _Array(NamedTuple):
    """An array for a loop: its first element, bytes from one matrix to the next, and the strides in bytes of its axes."""

    pointer: str
    step: int
    strides: Sequence[int]


class LinearAlgebra(Family):
    """Factorisations of matrices, and what is made of them."""

    kind = "linear algebra"

    @classmethod
    def supports(cls, instruction: Instruction) -> bool:
        return loops(instruction) is not None

    @classmethod
    def room(cls, instruction: Instruction) -> int:
        """Of a factorisation what LAPACK gives of one matrix."""
        if instruction.name not in ("qr", "lu_factor"):
            return 0
        m, n = instruction.args[0].shape[-2:]
        return (m * n + min(m, n)) * instruction.args[0].dtype.itemsize

    @classmethod
    def scattered(cls, instruction: Instruction, layouts: Layouts) -> list[int]:
        """Of those that BLAS cannot read."""
        a = instruction.args[0]
        triangles = instruction.name == "solve_triangular"
        return [0] if triangles and blas.matrix(a.shape, layouts[a].strides) is None else []

    def __post_init__(self) -> None:
        instruction = self.instruction
        before, _, after = ROWS[instruction.name].sizes(instruction.params).partition("->")
        self.names = [*axes(before), *axes(after)]
        self.values = (*instruction.args, *instruction.results)
        self.own = [len(names) for names in self.names]
        result = instruction.results[0]
        self.lead = result.shape[: result.ndim - self.own[len(instruction.args)]]
        self.sizes = dict(
            pair
            for names, v in zip(self.names, self.values, strict=True)
            for pair in zip(names, v.shape[v.ndim - len(names) :], strict=True)
        )

    def strides(self, value: Value, own: int) -> tuple[Shape, Shape]:
        """Those of the leading axes, as far as all have them, and of the others, in bytes."""
        found = [0 if n == 1 else s for n, s in zip(value.shape, self.layouts[value].strides, strict=True)]
        found = [s * value.dtype.itemsize for s in found]
        lead, rest = found[: value.ndim - own], found[value.ndim - own :]
        return (*[0] * (len(self.lead) - len(lead)), *lead), tuple(rest)

    def write(self) -> Function:
        """A call for all of the last leading axis, at each place in those before it."""
        found = loops(self.instruction)
        assert found is not None
        instruction, code = self.instruction, self.code
        begins, steps, rests = [], [], []
        for value, own in zip(self.values, self.own, strict=True):
            place = self.layouts[value]
            key = Offset.of(self.buffer(place.root), place.offset * value.dtype.itemsize, _BYTE)
            begins.append(self.parameter(key))
            lead, rest = self.strides(value, own)
            steps.append(lead)
            rests.append(rest)
        error = ROWS[instruction.name].error
        if error and found:
            code.needs.add(errors())
            code.emit(f"call i32 @{errors()}()")  # what was before is no error of this
        one = {"qr": self.qr, "solve_triangular": self.triangle, "lu_factor": self.factors}.get(instruction.name)
        if instruction.name == "solve_triangular":
            self.zero = code.cell(_WORD)
            code.line(f"  store i64 0, ptr {self.zero}")

        def several(at: Sequence[str]) -> None:
            arrays = [_Array(p, s[-1] if s else 0, rest) for p, s, rest in zip(at, steps, rests, strict=True)]
            self.call(
                found[0],
                self.lead[-1] if self.lead else 1,
                list(dict.fromkeys(size for names in self.names for size in names)),
                arrays,
            )

        if one is None:
            places(code, self.lead[:-1], begins, [s[:-1] for s in steps], several)
        else:  # of one matrix after the other
            places(code, self.lead, begins, steps, lambda at: one(found, at, rests))
        if instruction.name == "solve_triangular":
            wrong = code.emit(f"icmp ne i64 {load(code, self.zero, _WORD)}, 0")
            if self.instruction.params["refuses"] and not self.instruction.params["unit"]:
                raising.write(code, wrong, np.linalg.LinAlgError, error, self.parameter(raising.STATUS))
        elif error:
            flags = code.emit(f"call i32 @{errors()}()")
            wrong = code.emit(f"icmp ne i32 {code.emit(f'and i32 {flags}, {INVALID}')}, 0")
            raising.write(code, wrong, np.linalg.LinAlgError, error, self.parameter(raising.STATUS))
        return self.done()

    def call(self, loop: InnerLoop, count: int, sizes: Sequence[str], arrays: Sequence[_Array]) -> None:
        """The call of a loop: `count` times of matrices of such sizes, in the order in which its signature names them."""
        lengths = [count, *(self.sizes[size] for size in sizes)]
        steps = [*(a.step for a in arrays), *(s for a in arrays for s in a.strides)]
        call(self.code, loop, [a.pointer for a in arrays], lengths, steps)

    def factors(self, _: Sequence[InnerLoop], at: Sequence[str], strides: Sequence[Shape]) -> None:
        """LAPACK factors a copy by columns; its pivots count from 1."""
        code, dtype, n, m = self.code, self.instruction.args[0].dtype, self.sizes["n"], self.sizes["m"]
        columns = Access(self.parameter(self.workspace), (1, m), dtype)
        pivots = offset(code, columns.pointer, m * n, 1, dtype)
        given, packed = (
            Access(p, tuple(x // dtype.itemsize for x in s), dtype) for p, s in zip(at[:2], strides, strict=False)
        )
        copy(code, (m, n), given, columns)
        cells = [code.cell(_PIVOT) for _ in range(4)]
        for cell, number in zip(cells, (m, n, m, 0), strict=True):
            code.line(f"  store i32 {number}, ptr {cell}")
        symbol = lapack.getrf(dtype.char)
        assert symbol is not None
        code.needs.add(symbol)
        rows, width, apart, singular = cells
        arguments = rows, width, columns.pointer, apart, pivots, singular
        code.line(f"  call void @{symbol}({', '.join(f'ptr {a}' for a in arguments)})")
        copy(code, (m, n), columns, packed)

        def pivot(i: str) -> None:
            number = code.emit(f"sub i32 {load(code, offset(code, pivots, i, 1, _PIVOT), _PIVOT)}, 1")
            store(code, number, offset(code, at[2], i, strides[2][0], _BYTE), _PIVOT)

        code.loop(min(m, n), pivot)

    def triangle(self, _: Sequence[InnerLoop], at: Sequence[str], strides: Sequence[Shape]) -> None:
        """BLAS solves where the right side is: so that is copied to the result first."""
        code, dtype, params = self.code, self.instruction.args[0].dtype, self.instruction.params
        m, n = self.sizes["m"], self.sizes["n"]
        steps = [tuple(s // dtype.itemsize for s in own) for own in strides]
        a, x = blas.matrix((m, m), steps[0]), blas.matrix((m, n), steps[2])
        assert a is not None
        assert x is not None
        copy(code, (m, n), Access(at[1], steps[1], dtype), Access(at[2], steps[2], dtype))

        def look(i: str) -> None:
            place = offset(code, at[0], i, sum(steps[0]), dtype)
            parts = [load(code, offset(code, place, k, 1, _FLOAT), _FLOAT) for k in range(1 + (dtype.kind == "c"))]
            zeros = [code.emit(f"zext i1 {code.emit(f'fcmp oeq double {part}, 0.0')} to i64") for part in parts]
            none = zeros[0] if len(zeros) == 1 else code.emit(f"and i64 {zeros[0]}, {zeros[1]}")
            store(code, code.emit(f"or i64 {none}, {load(code, self.zero, _WORD)}"), self.zero, _WORD)

        code.loop(m, look)
        turned = a.transposed != x.transposed  # a column-major result has all else read by columns
        lower, transposed = params["lower"] != turned, params["transposed"] != turned
        options = (
            blas.COLUMN_MAJOR if x.transposed else blas.ROW_MAJOR,
            blas.LEFT,
            blas.LOWER if lower else blas.UPPER,
            blas.TRANSPOSED if transposed else blas.PLAIN,
            blas.UNIT if params["unit"] else blas.GIVEN,
        )
        blas.call(code, "trsm", dtype, options, m, n, 1.0, at[0], a.leading, at[2], x.leading)

    def qr(self, found: Sequence[InnerLoop], at: Sequence[str], strides: Sequence[Shape]) -> None:
        """LAPACK's factors first, of a copy, for its loop writes over what it is given; then Q, and R above the diagonal."""
        code, dtype = self.code, self.instruction.args[0].dtype
        m, n, k = self.sizes["m"], self.sizes["n"], min(self.sizes["m"], self.sizes["n"])
        item, type = dtype.itemsize, llvm_type(dtype)
        factors = self.parameter(self.workspace)
        tau = offset(code, factors, m * n, 1, dtype)
        own = c_strides((m, n))
        inside = [tuple(s // item for s in steps) for steps in strides]
        copy(code, (m, n), Access(at[0], inside[0], dtype), Access(factors, own, dtype))
        raw = _Array(factors, 0, [s * item for s in own])
        self.sizes["k"] = k
        self.call(found[0], 1, ["m", "n"], [raw, _Array(tau, 0, [item])])
        sizes = ["m", "n"] if self.instruction.params["mode"] == "complete" else ["m", "n", "k"]
        self.call(found[1], 1, sizes, [raw, _Array(tau, 0, [item]), _Array(at[1], 0, strides[1])])
        rows = self.instruction.results[1].shape[-2]

        def row(i: str) -> None:
            def element(j: str) -> None:
                value = load(code, offset(code, offset(code, factors, i, own[0], dtype), j, own[1], dtype), dtype)
                above = code.emit(f"icmp ule i64 {i}, {j}")
                value = code.emit(f"select i1 {above}, {type} {value}, {type} {literal(0, dtype)}")
                target = offset(code, offset(code, at[2], i, inside[2][0], dtype), j, inside[2][1], dtype)
                store(code, value, target, dtype)

            code.loop(n, element)

        code.loop(rows, row)
