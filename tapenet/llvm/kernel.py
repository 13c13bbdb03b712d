"""Kernels for one shape, written as loops in Python.

A `Kernel` is the body of one function of machine code. Loops of the kernel are Python's `for` over `kernel.turns(count)`,
whose body runs once and is emitted once; a `for` over a `range` is unrolled. `Array` reads and writes memory, `Value` has
Python's operators, and a `Variable` changes from turn to turn:

    k = Kernel("sums", np.float32)
    x, out = k.array(8, 1000), k.array(8)
    for row in k.turns(8):
        total = k.variable(k.number(0.0))
        for i in k.turns(1000):
            total += x.load(row, i)
        out.store(total.value, row)
    sums = k.compile()
    sums(a, b)                        # a of 8 x 1000 float32, b of 8

A kernel may do a part of a range, `begin, end = k.range()`; `k.shared()` in place of `k.compile()` gives what deals the whole
of it out to threads: `run(length, cost, *arguments)` (`tapenet.llvm.sharing`).

Shapes are constants of the code, so that LLVM knows every distance; arrays do not overlap. A load of several `lanes` is a
vector, and so are the results of arithmetic on it; a plain innermost loop LLVM turns into vectors by itself.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapenet.llvm import rehearsal, sharing
from tapenet.llvm.addresses import address
from tapenet.llvm.code import Code, near
from tapenet.llvm.emitter import Number, element, literal, llvm_type, splat, suffix
from tapenet.llvm.emitter import Value as Value
from tapenet.llvm.gemm import load_masked, mask, spread, store_masked
from tapenet.llvm.parts import AS_WRITTEN, OWN_VECTORS
from tapenet.llvm.processor import registers
from tapenet.llvm.reductions import run_length
from tapenet.llvm.scalar import definitions
from tapenet.llvm.toolchain import Library, begin
from tapenet.typing import DType

if TYPE_CHECKING:
    from tapenet.typing import DTypeLike

#: Where in an array: numbers known now, or values of the running kernel.
Index = int | Value
#: What is added to each of several sums at an index.
Terms = Callable[[Value], Sequence[Value]]


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Of an array in C order, in elements."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))


class Variable:
    """A value of a kernel that changes as it runs. LLVM keeps it in a register."""

    __slots__ = ("kernel", "pointer", "type")

    def __init__(self, kernel: Kernel, start: Value) -> None:
        self.kernel = kernel
        self.type = start.type
        self.pointer = f"%cell{len(kernel.cells)}"
        kernel.cells.append(f"  {self.pointer} = alloca {start.type}")
        self.set(start)

    @property
    def value(self) -> Value:
        """What it is now."""
        return Value(self.kernel, self.kernel.emit(f"load {self.type}, ptr {self.pointer}"), self.type)

    def set(self, value: Value) -> None:
        """Give it another value."""
        self.kernel.line(f"  store {self.type} {value.name}, ptr {self.pointer}")

    def __iadd__(self, other: Value) -> Variable:
        self.set(self.value + other)
        return self

    def gather(self, other: Value) -> None:
        """Add to a sum whose terms may be added in any order, so that LLVM may add vectors of them."""
        text = f"fadd reassoc contract {self.type} {self.value.name}, {other.name}"
        self.set(Value(self.kernel, self.kernel.emit(text), self.type))


class Array:
    """Memory in C order, from a pointer on; its elements are reached by one index per axis."""

    __slots__ = ("dtype", "kernel", "pointer", "strides")

    def __init__(self, kernel: Kernel, pointer: str, strides: tuple[int, ...], dtype: DType) -> None:
        self.kernel = kernel
        self.pointer = pointer
        self.strides = strides
        self.dtype = dtype

    def at(self, *indices: Index) -> str:
        """The pointer to an element. Indices that are missing at the end are 0."""
        fixed, moving = 0, None
        for index, stride in zip(indices, self.strides, strict=False):
            if isinstance(index, int):
                fixed += index * stride
            else:
                step = index if stride == 1 else index.op("mul nsw", index, stride)
                moving = step if moving is None else step.op("add nsw", moving, step)
        t = llvm_type(self.dtype, memory=True)
        pointer = self.pointer
        if moving is not None:
            pointer = self.kernel.emit(f"getelementptr inbounds {t}, ptr {pointer}, i64 {moving.name}")
        if fixed:
            pointer = self.kernel.emit(f"getelementptr inbounds {t}, ptr {pointer}, i64 {fixed}")
        return pointer

    def part(self, *indices: Index) -> Array:
        """The array at an index of its first axes, with those that have none."""
        return Array(self.kernel, self.at(*indices), self.strides[len(indices) :], self.dtype)

    def shaped(self, *shape: int) -> Array:
        """The memory from its pointer on as an array of another shape."""
        return Array(self.kernel, self.pointer, _strides(shape), self.dtype)

    def moved(self, *indices: Index) -> Array:
        """The array with all its axes, from an element on."""
        return Array(self.kernel, self.at(*indices), self.strides, self.dtype)

    def near(self) -> Array:
        """The same, by a pointer of which LLVM knows nothing: what lies near it is reached by known distances."""
        return Array(self.kernel, near(self.kernel, self.pointer), self.strides, self.dtype)

    def load(self, *indices: Index, lanes: int = 0, count: int | None = None) -> Value:
        """An element; with `lanes` a vector of those from there on, with `count` zeros behind the first so many."""
        t = llvm_type(self.dtype, memory=True)
        pointer = self.at(*indices)
        if not lanes:
            return Value(self.kernel, self.kernel.emit(f"load {t}, ptr {pointer}"), t)
        vector = f"<{lanes} x {t}>"
        which = None if count is None else mask(count, lanes)
        return Value(self.kernel, load_masked(self.kernel, pointer, vector, which, self.dtype), vector)

    def store(self, value: Value, *indices: Index, count: int | None = None) -> None:
        """Write an element, or a vector of them: its first `count`."""
        pointer = self.at(*indices)
        if not value.lanes:
            self.kernel.line(f"  store {value.type} {value.name}, ptr {pointer}")
            return
        which = None if count is None else mask(count, value.lanes)
        store_masked(self.kernel, value.name, pointer, value.type, which, self.dtype)


class Kernel(Code):
    """The body of one function. See the module.

    Attributes:
        dtype: of arrays and numbers, where none is named.
        lanes: how many numbers of it a vector register holds.
        long: whether sums are of `long_length()` numbers and more. These are added up in runs, and the runs in double
            precision: one by one in a few registers, what each addition rounds would grow with the sum.
    """

    def __init__(self, name: str, dtype: DTypeLike, long: bool = False, vectors: bool = False) -> None:
        """Begin a kernel.

        Args:
            name: of its function.
            dtype, long: see the class.
            vectors: whether all that takes time is done with vectors of its own, so that LLVM is to look for none.
        """
        super().__init__()
        self.long = long
        self._vectors = vectors
        self.name = name
        self.dtype = np.dtype(dtype)
        self.lanes = registers().bytes // self.dtype.itemsize
        self._parameters: list[str] = []
        self._kinds: list[str] = []
        self._grain, self._rounds = 1, sharing.ROUNDS

    # -- parameters ---------------------------------------------------------------------------------------------

    def array(self, *shape: int, dtype: DTypeLike | None = None) -> Array:
        """The next argument: a C-contiguous array of this shape."""
        return self._array(sharing.POINTER, shape, dtype)

    def each(self, *shape: int, dtype: DTypeLike | None = None) -> Array:
        """The next argument: what each part of a range has of its own, of an array (parts, *shape)."""
        return self._array(sharing.EACH, shape, dtype)

    def scratch(self, *shape: int, dtype: DTypeLike | None = None) -> Array:
        """Memory for each thread, whose length in bytes is the next argument."""
        return self._array(sharing.SCRATCH, shape, dtype)

    def _array(self, kind: str, shape: tuple[int, ...], dtype: DTypeLike | None) -> Array:
        name = self._parameter(kind, "ptr noalias")
        return Array(self, name, _strides(shape), self.dtype if dtype is None else np.dtype(dtype))

    def integer(self) -> Value:
        """The next argument: an integer."""
        return Value(self, self._parameter(sharing.INTEGER, "i64"), "i64")

    def range(self, grain: int = 1, rounds: int = sharing.ROUNDS) -> tuple[Value, Value]:
        """The part of a range that a call does, from and to.

        Args:
            grain: parts begin at multiples of it.
            rounds: how many parts there are for each thread at most.
        """
        self._grain, self._rounds = grain, rounds
        begin, end = (Value(self, self._parameter(kind, "i64"), "i64") for kind in (sharing.BEGIN, sharing.END))
        return begin, end

    def _parameter(self, kind: str, type: str) -> str:
        name = f"%a{len(self._parameters)}"
        self._parameters.append(f"{type} {name}")
        self._kinds.append(kind)
        return name

    # -- values -------------------------------------------------------------------------------------------------

    def number(self, value: Number, lanes: int = 0) -> Value:
        """A constant of the kernel's dtype; a vector of it if `lanes` are given."""
        t = llvm_type(self.dtype)
        text = literal(value, self.dtype)
        return Value(self, splat(text, t, lanes), f"<{lanes} x {t}>") if lanes else Value(self, text, t)

    def index(self, value: int) -> Value:
        """A constant integer."""
        return Value(self, str(value), "i64")

    def opaque(self, n: int) -> str:
        """A length as a number that LLVM does not know: it would unroll a long loop whole, past the instruction cache."""
        return self.emit(f'call i64 asm "", "=r,0"(i64 {n})')

    def spread(self, value: Value, lanes: int) -> Value:
        """A vector of one number."""
        return Value(self, spread(self, value.name, value.type, lanes), f"<{lanes} x {value.type}>")

    def total(self, value: Value) -> Value:
        """The sum of a vector's lanes, in any order."""
        t = element(value.type)
        zero = literal(-0.0, self.dtype)
        text = f"call reassoc {t} @llvm.vector.reduce.fadd.{suffix(value.type)}({t} {zero}, {value.type} {value.name})"
        return Value(self, self.emit(text), t)

    def most(self, value: Value) -> Value:
        """The largest of a vector's lanes, without regard to nan."""
        t = element(value.type)
        text = f"call nnan {t} @llvm.vector.reduce.fmax.{suffix(value.type)}({value.type} {value.name})"
        return Value(self, self.emit(text), t)

    def transposed(self, rows: list[Value]) -> list[Value]:
        """The columns of as many vectors as they have lanes, a power of two."""
        n = len(rows)
        half = 1
        while half < n:
            # Two rows `half` apart exchange every other block of `half` lanes.
            low = [i + n if i & half else i for i in range(n)]
            first = [i - half if i & half else i for i in low]
            second = [i + n if i & half else i + half for i in range(n)]
            new = list(rows)
            for i in range(n):
                if not i & half:
                    a, b = rows[i], rows[i + half]
                    new[i], new[i + half] = self.shuffled(a, b, first), self.shuffled(a, b, second)
            rows = new
            half *= 2
        return rows

    def every(self, value: Value, step: int, each: int = 1, first: int = 0) -> Value:
        """Of a vector in groups of `each` lanes every `step`-th group, from the `first` on."""
        groups = range(first, value.lanes // each, step)
        return self.shuffled(value, value, [group * each + i for group in groups for i in range(each)])

    def interleaved(self, a: Value, b: Value, each: int = 1) -> Value:
        """Groups of `each` lanes of two vectors by turns."""
        groups = range(a.lanes // each)
        return self.shuffled(a, b, [g * each + i for g in groups for at in (0, a.lanes) for i in range(at, at + each)])

    def shuffled(self, a: Value, b: Value, lanes: list[int]) -> Value:
        """These lanes of two vectors, the second one's behind those of the first."""
        chosen = ", ".join(f"i32 {i}" for i in lanes)
        text = f"shufflevector {a.type} {a.name}, {b.type} {b.name}, <{len(lanes)} x i32> <{chosen}>"
        return Value(self, self.emit(text), f"<{len(lanes)} x {element(a.type)}>")

    def copy(self, source: str, target: str, bytes: Value) -> None:
        """Copy so many bytes between pointers."""
        self.declares.add("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        self.line(f"  call void @llvm.memcpy.p0.p0.i64(ptr {target}, ptr {source}, i64 {bytes.name}, i1 false)")

    def variable(self, start: Value) -> Variable:
        """A value that changes."""
        return Variable(self, start)

    def vectors(self, start: Index, count: int) -> Iterator[tuple[Index, int | None]]:
        """Unrolled: where the vectors of a run of `count` numbers begin, and how many numbers the last one has, if fewer."""
        for at in range(0, count, self.lanes):
            rest = count - at
            yield (start + at if at else start), (rest if rest < self.lanes else None)

    # -- control ------------------------------------------------------------------------------------------------

    def turns(self, count: Index, start: Index = 0, step: int = 1) -> Iterator[Value]:
        """A loop: the body of the `for` over it is emitted once, with the index start, start + step, ... below `count`."""
        first, last = (n if isinstance(n, int) else n.name for n in (start, count))
        for index in self.counted(last, first, step):
            yield Value(self, index, "i64")

    def blocks(self, count: Index, size: int, start: Index = 0) -> Iterator[tuple[Value, Value]]:
        """A loop from `start` up to `count` in blocks: where each begins, and how many there are in it."""
        end = self.index(count) if isinstance(count, int) else count
        for at in self.turns(end, start, size):
            yield at, (end - at).at_most(size)

    def when(self, condition: Value) -> Iterator[Value]:
        """The body of the `for` over it runs where a condition holds."""
        return self.turns(condition.where(self.index(1), 0))

    def sums(self, many: int, count: Value, terms: Terms) -> list[Value]:
        """So many sums over i below `count`; `terms` gives what each takes in at i."""
        totals = self.totals(many)
        self.add_up(totals, count, terms)
        return self.rounded(totals)

    def totals(self, many: int) -> list[Variable]:
        """Sums, to begin with 0."""
        dtype = np.dtype(np.float64) if self.long else self.dtype
        return [self.variable(Value(self, literal(0.0, dtype), llvm_type(dtype))) for _ in range(many)]

    def add_up(self, totals: list[Variable], count: Value, terms: Terms) -> None:
        """Add terms(i) for i below `count` to the totals, in any order, so that LLVM may add vectors of them."""
        if not self.long:
            self._gather(totals, 0, count, terms)
            return
        size = run_length()
        for start, some in self.blocks(count, size):
            parts = [self.variable(self.number(0.0)) for _ in totals]
            self._gather(parts, start, start + some, terms)
            for total, part in zip(totals, parts, strict=True):
                total += part.value if part.type == total.type else part.value.convert("fpext", total.type)

    def _gather(self, sums: list[Variable], start: Index, end: Value, terms: Terms) -> None:
        for i in self.turns(end, start):
            for cell, term in zip(sums, terms(i), strict=True):
                cell.gather(term)

    def rounded(self, totals: list[Variable]) -> list[Value]:
        """The totals in the kernel's dtype."""
        t = llvm_type(self.dtype)
        return [total.value if total.type == t else total.value.convert("fptrunc", t) for total in totals]

    # -- the function -------------------------------------------------------------------------------------------

    def text(self) -> str:
        """The function, and what it calls, as LLVM IR."""
        body = "\n".join([*self.cells, *self.lines])
        declares = sorted(line for line in self.declares if line.startswith("declare "))
        parameters = ", ".join(self._parameters)
        return "\n".join(
            [
                OWN_VECTORS if self._vectors else AS_WRITTEN,
                *declares,
                definitions(self.needs),
                f"define void @{self.name}({parameters}) #0 {{\nentry:\n{body}\n  ret void\n}}\n",
            ]
        )

    def compile(self) -> Callable[..., None]:
        """Machine code, as a function of arrays and integers, which waits at its first call until it is there. It runs without
        the interpreter's lock."""
        library = self._begun(self.text())
        types = [ctypes.c_void_p if p.startswith("ptr") else ctypes.c_int64 for p in self._parameters]
        code: list[tuple[Callable[..., None], Library]] = []  # which lives as long as the function

        def call(*arguments: np.ndarray | int) -> None:
            if rehearsal.state.on:
                if rehearsal.state.record is not None:
                    raise rehearsal.Unrecorded
                return
            if not code:
                made = library()
                code.append((ctypes.CFUNCTYPE(None, *types)(made.address(self.name)), made))
            code[0][0](*[a if isinstance(a, int) else address(a) for a in arguments])

        return call

    def shared(self) -> sharing.Shared:
        """Machine code that deals its range out to threads, as a function of the range's length, what it costs in
        multiply-adds, arrays and integers. It waits at its first call until the code is there."""
        text = self.text() + sharing.text(self.name, self._kinds, self._grain)
        symbol = f"{self.name}_{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        return sharing.Shared(self._begun(text), self.name, self._kinds, self._grain, self._rounds, symbol)

    def _begun(self, text: str) -> Callable[[], Library]:
        rehearsal.state.begun += 1
        return begin(text)
