"""The code of sorting, searching and running sums."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet.llvm.code import Access, Code, offset
from tapenet.llvm.emitter import llvm_type, load, store, supported
from tapenet.llvm.inner_loops import InnerLoop, call, inner_loop
from tapenet.llvm.loops import copy, nest
from tapenet.llvm.scalar import apply
from tapenet.llvm.sorting_functions import extreme_function, sorting_function
from tapenet.program.ir import Instruction
from tapenet.program.layout import c_strides
from tapenet.program.native import raising
from tapenet.program.native.functions import Function
from tapenet.program.native.writer import Family
from tapenet.typing import DType

_INDEX = np.dtype(np.int64)
#: Numbers of a row from which NumPy's function finds its extreme, and rows from which those whose numbers lie apart go
#: together.
_LONG, _TOGETHER = 32, 16


def _product(dtype: DType) -> InnerLoop | None:
    return inner_loop(np.multiply, f"{dtype.char}{dtype.char}->{dtype.char}")


def _compared(code: Code, name: str, a: str, b: str, dtype: DType) -> str:
    return apply(code, name, (dtype, dtype), np.dtype(bool), (a, b))


class Ordering(Family):
    """Sorting, searching and running sums."""

    kind = "order"

    @classmethod
    def supports(cls, instruction: Instruction) -> bool:
        name, dtype = instruction.name, instruction.args[0].dtype
        if name in ("sort", "argsort"):
            return sorting_function(name, instruction.params["kind"], dtype) is not None
        if name == "cumprod" and dtype.kind == "c":
            return _product(dtype) is not None
        return name == "cumsum" or all(supported(a.dtype) for a in instruction.args)

    @classmethod
    def room(cls, instruction: Instruction) -> int:
        """To sort a row of numbers, and of indices, that lie side by side."""
        if instruction.name not in ("sort", "argsort"):
            return 0
        (x,) = instruction.args
        length = x.shape[instruction.params["axis"]]
        return length * (x.dtype.itemsize + (_INDEX.itemsize if instruction.name == "argsort" else 0))

    def __post_init__(self) -> None:
        self.out = self.access(self.instruction.results[0])
        self.x = self.access(self.instruction.args[0])
        self.shape = self.instruction.args[0].shape

    def write(self) -> Function:
        """By the method of that name."""
        getattr(self, self.instruction.name)()
        return self.done()

    def rows(self, body: Callable[[Access, Access], None]) -> None:
        """Give a body each row along the axis, of the argument and of the result."""
        axis, shape = self.instruction.params["axis"], self.shape

        def row(at: list[Access]) -> list[str]:
            body(*(Access(a.pointer, (w.strides[axis],), w.dtype) for a, w in zip(at, (self.x, self.out), strict=True)))
            return []

        others = [a.moved(self.code, axis, 0) for a in (self.x, self.out)]
        nest(self.code, [*shape[:axis], *shape[axis + 1 :]], others, row, order=False)

    def sort(self) -> None:
        """NumPy's function on a copy of each row, for rows may lie anyhow."""
        code, name = self.code, self.instruction.name
        length = self.instruction.args[0].shape[self.instruction.params["axis"]]
        dtype = self.x.dtype
        symbol = sorting_function(name, self.instruction.params["kind"], dtype)
        assert symbol is not None
        code.needs.add(symbol)
        # Indices first, which begin where memory is aligned for them.
        indices = self.parameter(self.workspace)
        numbers = offset(code, indices, length, 1, _INDEX) if name == "argsort" else indices
        failed = code.cell(np.dtype(np.int32))
        code.line(f"  store i32 0, ptr {failed}")

        def row(x: Access, out: Access) -> None:
            copy(code, [length], x, Access(numbers, (1,), dtype))
            pointers = f"ptr {numbers}"
            if name == "argsort":
                code.loop(length, lambda i: store(code, i, offset(code, indices, i, 1, _INDEX), _INDEX))
                pointers += f", ptr {indices}"
            status = code.emit(f"call i32 @{symbol}({pointers}, i64 {length}, ptr null)")
            before = code.emit(f"load i32, ptr {failed}")
            code.line(f"  store i32 {code.emit(f'or i32 {status}, {before}')}, ptr {failed}")
            copy(code, [length], Access(indices, (1,), out.dtype), out)

        self.rows(row)
        wrong = code.emit(f"icmp slt i32 {code.emit(f'load i32, ptr {failed}')}, 0")
        raising.write(code, wrong, MemoryError, "no memory to sort in", self.parameter(raising.STATUS))

    argsort = sort

    def cumsum(self) -> None:
        """One after the other: as NumPy adds them, and not as a sum does. Where rows do not lie side by side, all go
        together, in vectors."""
        if self.x.dtype.kind == "c":
            self.shape, self.x, self.out = (*self.shape, 2), self.x.parts(), self.out.parts()
        code, dtype, axis, shape = self.code, self.x.dtype, self.instruction.params["axis"], self.shape
        length, others = shape[axis], [*shape[:axis], *shape[axis + 1 :]]
        if any(n > 1 and abs(s) < abs(self.out.strides[axis]) for n, s in zip(shape, self.out.strides, strict=True)):
            copy(code, others, self.x.moved(code, axis, 0), self.out.moved(code, axis, 0))

            def add(at: list[Access]) -> list[str]:
                before, value = (load(code, a.pointer, dtype) for a in at[:2])
                store(code, self.combined(before, value), at[2].pointer, dtype)
                return []

            def together(i: str) -> None:
                place = code.emit(f"add i64 {i}, 1")
                x, out = (a.moved(code, axis, place) for a in (self.x, self.out))
                nest(code, others, [self.out.moved(code, axis, i), x, out], add)

            if length > 1:
                code.loop(length - 1, together)
            return

        def row(x: Access, out: Access) -> None:
            total = code.cell(dtype)
            first = load(code, x.pointer, dtype)
            store(code, first, total, dtype)
            store(code, first, out.pointer, dtype)

            def turn(i: str) -> None:
                place = code.emit(f"add i64 {i}, 1")
                value = load(code, offset(code, x.pointer, place, x.strides[0], dtype), dtype)
                now = self.combined(load(code, total, dtype), value)
                store(code, now, total, dtype)
                store(code, now, offset(code, out.pointer, place, out.strides[0], dtype), dtype)

            if length > 1:
                code.loop(length - 1, turn)

        self.rows(row)

    cummax = cummin = cumsum

    def cumprod(self) -> None:
        """Of complex numbers by NumPy's inner loop, which reads what it has written before."""
        if self.x.dtype.kind != "c":
            self.cumsum()
            return
        code, dtype, length = self.code, self.x.dtype, self.shape[self.instruction.params["axis"]]
        loop = _product(dtype)
        assert loop is not None

        def row(x: Access, out: Access) -> None:
            store(code, load(code, x.pointer, dtype), out.pointer, dtype)
            if length > 1:
                pointers = [out.pointer, *(offset(code, a.pointer, 1, a.strides[0], dtype) for a in (x, out))]
                steps = [a.strides[0] * dtype.itemsize for a in (out, x, out)]
                call(code, loop, pointers, [length - 1], steps)

        self.rows(row)

    def combined(self, before: str, value: str) -> str:
        """What an element makes of what was before. Of equal extremes the last is taken, as by `maximum`; a nan stays."""
        code, dtype, name = self.code, self.x.dtype, self.instruction.name
        t = llvm_type(dtype)
        if name in ("cumsum", "cumprod"):
            operation = "add" if name == "cumsum" else "mul"
            return code.emit(f"{'f' if dtype.kind == 'f' else ''}{operation} {t} {before}, {value}")
        stays = _compared(code, "greater" if name == "cummax" else "less", before, value, dtype)
        if dtype.kind == "f":
            stays = code.emit(f"or i1 {stays}, {code.emit(f'fcmp uno {t} {before}, {before}')}")
        return code.emit(f"select i1 {stays}, {t} {before}, {t} {value}")

    def searchsorted(self) -> None:
        """By halves. Nan counts as larger than all numbers, as where NumPy sorts."""
        code, line, values = self.code, self.x, self.access(self.instruction.args[1])
        dtype, length = line.dtype, self.instruction.args[0].size
        t = llvm_type(dtype)

        def less(a: str, b: str) -> str:
            smaller = _compared(code, "less", a, b, dtype)
            if dtype.kind != "f":
                return smaller
            nan, number = code.emit(f"fcmp uno {t} {b}, {b}"), code.emit(f"fcmp ord {t} {a}, {a}")
            return code.emit(f"or i1 {smaller}, {code.emit(f'and i1 {nan}, {number}')}")

        def search(at: list[Access]) -> list[str]:
            value = load(code, at[0].pointer, dtype)
            low, high = code.cell(_INDEX), code.cell(_INDEX)
            store(code, "0", low, _INDEX)
            store(code, str(length), high, _INDEX)

            def halve(_: str) -> None:
                begin, end = load(code, low, _INDEX), load(code, high, _INDEX)
                open_ = code.emit(f"icmp slt i64 {begin}, {end}")
                middle = code.emit(f"lshr i64 {code.emit(f'add i64 {begin}, {end}')}, 1")
                place = code.emit(f"select i1 {open_}, i64 {middle}, i64 0")
                element = load(code, offset(code, line.pointer, place, line.strides[0], dtype), dtype)
                if self.instruction.params["side"] == "left":
                    behind = less(element, value)
                else:
                    behind = code.emit(f"xor i1 {less(value, element)}, true")
                right = code.emit(f"and i1 {open_}, {behind}")
                left = code.emit(f"and i1 {open_}, {code.emit(f'xor i1 {behind}, true')}")
                following = code.emit(f"add i64 {middle}, 1")
                store(code, code.emit(f"select i1 {right}, i64 {following}, i64 {begin}"), low, _INDEX)
                store(code, code.emit(f"select i1 {left}, i64 {middle}, i64 {end}"), high, _INDEX)

            code.loop(length.bit_length(), halve)
            store(code, load(code, low, _INDEX), at[1].pointer, _INDEX)
            return []

        nest(code, self.instruction.args[1].shape, [values, self.out], search)


class Extreme(Family):
    """Where the largest element of a row is, or the smallest."""

    @classmethod
    def takes(cls, instruction: Instruction) -> bool:
        return instruction.name in ("argmax", "argmin")

    @classmethod
    def supports(cls, instruction: Instruction) -> bool:
        (x,) = instruction.args
        return x.dtype.char in "fd" or x.dtype.kind in "iu"

    @classmethod
    def room(cls, instruction: Instruction) -> int:
        """For a row whose numbers lie apart, or for the extremes so far of all rows."""
        (x,), (result,) = instruction.args, instruction.results
        return max(x.shape[instruction.params["axis"]], result.size) * x.dtype.itemsize

    def write(self) -> Function:
        """The first place of the largest element along an axis; the first nan counts as largest. Rows whose numbers lie apart,
        with those of other rows between, go together, in vectors: 256 of 256 float32 take 12 µs, one number after the other
        300. Where a row's numbers lie next to one another, NumPy's function finds the place: it takes 9 µs in place of 300,
        but 2.7 times as long for rows of 10 numbers, so short rows are searched one number after the other."""
        (arg,), (result,) = self.instruction.args, self.instruction.results
        axis = self.instruction.params["axis"]
        x, out = self.access(arg), self.access(result)
        shape = [*arg.shape[:axis], *arg.shape[axis + 1 :]]
        others = x.moved(self.code, axis, 0)
        length, step = arg.shape[axis], x.strides[axis]
        across = any(n > 1 and abs(s) < abs(step) for n, s in zip(shape, others.strides, strict=True))
        if across and result.size >= _TOGETHER:
            self._together(Access(x.pointer, [step, *others.strides], x.dtype), out, [length, *shape])
            return self.done()
        known = extreme_function(self.instruction.name, arg.dtype) if length >= _LONG else None

        def search(at: list[Access]) -> list[str]:
            row, place = Access(at[0].pointer, (step,), x.dtype), at[1].pointer
            if known is None:
                self._one_by_one(row, place, length)
            else:
                self._by_function(known, row, place, length)
            return []

        rows = [others, out]
        for i, n in enumerate(shape):
            if others.strides[i] < 0:
                rows = [a.turned(self.code, i, n) for a in rows]
        nest(self.code, shape, rows, search, order=False)
        return self.done()

    def _better(self, value: str, held: str, dtype: DType) -> str:
        """Whether a number comes before the extreme so far."""
        code, t, largest = self.code, llvm_type(dtype), self.instruction.name == "argmax"
        if dtype.kind != "f":
            return _compared(code, "greater" if largest else "less", value, held, dtype)
        beyond = code.emit(f"fcmp {'ugt' if largest else 'ult'} {t} {value}, {held}")
        return code.emit(f"and i1 {beyond}, {code.emit(f'fcmp ord {t} {held}, {held}')}")

    def _choose(self, value: str, index: str, best: str, place: str, dtype: DType) -> None:
        """Put a number and its index where the extreme so far and its index are, if it is better."""
        code, t = self.code, llvm_type(dtype)
        held, before = load(code, best, dtype), load(code, place, _INDEX)
        better = self._better(value, held, dtype)
        store(code, code.emit(f"select i1 {better}, {t} {value}, {t} {held}"), best, dtype)
        store(code, code.emit(f"select i1 {better}, i64 {index}, i64 {before}"), place, _INDEX)

    def _one_by_one(self, row: Access, place: str, length: int) -> None:
        code, dtype = self.code, row.dtype
        best, where = code.cell(dtype), code.cell(_INDEX)
        store(code, load(code, row.pointer, dtype), best, dtype)
        store(code, "0", where, _INDEX)

        def turn(i: str) -> None:
            self._choose(load(code, row.moved(code, 0, i).pointer, dtype), i, best, where, dtype)

        code.loop(length, turn)
        store(code, load(code, where, _INDEX), place, _INDEX)

    def _by_function(self, symbol: str, row: Access, place: str, length: int) -> None:
        code = self.code
        code.needs.add(symbol)
        if row.strides != (1,):
            side_by_side = Access(self.parameter(self.workspace), (1,), row.dtype)
            source, target = row, side_by_side
            if row.strides[0] < 0:
                source, target = (a.turned(code, 0, length) for a in (row, side_by_side))
            copy(code, [length], source, target)
            row = side_by_side
        code.emit(f"call i32 @{symbol}(ptr {row.pointer}, i64 {length}, ptr {place}, ptr null)")

    def _together(self, x: Access, out: Access, shape: list[int]) -> None:
        """With the axis in front."""
        code, dtype = self.code, x.dtype
        best = Access(self.parameter(self.workspace), c_strides(tuple(shape[1:])), dtype)
        copy(code, shape[1:], x.moved(code, 0, 0), best)

        def begin(at: list[Access]) -> list[str]:
            store(code, "0", at[0].pointer, _INDEX)
            return []

        def row(i: str) -> None:
            def look(at: list[Access]) -> list[str]:
                value, best, place = (a.pointer for a in at)
                self._choose(load(code, value, dtype), i, best, place, dtype)
                return []

            nest(code, shape[1:], [x.moved(code, 0, i), best, out], look)

        nest(code, shape[1:], [out], begin)
        code.loop(shape[0], row)
