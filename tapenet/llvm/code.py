"""The code of one function, as LLVM IR: instructions, labels, loops, and where in memory arrays are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from tapenet.llvm.emitter import Emitter, llvm_type
from tapenet.typing import DType

#: Numbers of elements between neighbours, by axis.
Strides = tuple[int, ...]

_BYTE = np.dtype(np.int8)
#: What reads or writes memory.
_ACCESS = re.compile(r"^  (?:%\w+ = load|store) .*", re.MULTILINE)


class Code(Emitter):
    """The body of one function: instructions, labels and loops."""

    def __init__(self) -> None:
        super().__init__()
        self.labels = 0
        self.block = "entry"
        #: Allocations on the stack, which belong at the beginning of the function.
        self.cells: list[str] = []
        #: Intrinsics that loops use.
        self.declares: set[str] = set()

    def label(self) -> str:
        """A new label."""
        self.labels += 1
        return f"L{self.labels}"

    def begin(self, label: str) -> None:
        """Begin a basic block."""
        self.lines.append(f"{label}:")
        self.block = label

    def cell(self, dtype: DType) -> str:
        """The pointer to a number on the stack, which LLVM keeps in a register."""
        name = f"%cell{len(self.cells)}"
        self.cells.append(f"  {name} = alloca {llvm_type(dtype, memory=True)}")
        return name

    def room(self, dtype: DType, count: int) -> str:
        """The pointer to so many numbers on the stack, from the beginning of a cache line."""
        name = f"%cell{len(self.cells)}"
        self.cells.append(f"  {name} = alloca [{count} x {llvm_type(dtype, memory=True)}], align 64")
        return name

    def counted(
        self, last: int | str, first: int | str = 0, step: int = 1, exact: bool = False, carried: Sequence[Carried] = (),
        said: str = "",
    ) -> Iterator[str]:  # fmt: skip
        """A loop: the body of the `for` over it is emitted once, with the register of the index, which is first, first + step,
        ... below `last`. `carried` values live in registers from turn to turn: the body sets `after`, and after the loop
        `register` is the final value. `exact`: there is at least one turn, and another one would begin at `last`. `said` tells
        LLVM more of the loop."""
        head, end, before = self.label(), self.label(), self.block
        index, following = self.fresh(), self.fresh()
        starts, phis = [c.register for c in carried], [self.fresh() for _ in carried]
        entered = exact or (isinstance(first, int) and isinstance(last, int) and first < last)
        if entered:
            self.line(f"  br label %{head}")
        else:
            self.line(f"  br i1 {self.emit(f'icmp slt i64 {first}, {last}')}, label %{head}, label %{end}")
        self.begin(head)
        place = len(self.lines)
        for c, phi in zip(carried, phis, strict=True):
            c.register = phi
        yield index
        latch = self.block
        self.line(f"  {following} = add nuw nsw i64 {index}, {step}")
        reached = self.emit(f"icmp {'eq' if exact else 'slt'} i64 {following}, {last}")
        ways = (end, head) if exact else (head, end)
        self.line(f"  br i1 {reached}, label %{ways[0]}, label %{ways[1]}{said and f', !llvm.loop !loop{said}'}")
        inserted = [f"  {index} = phi i64 [ {first}, %{before} ], [ {following}, %{latch} ]"]
        for c, phi, start in zip(carried, phis, starts, strict=True):
            inserted.append(f"  {phi} = phi {c.type} [ {start}, %{before} ], [ {c.after}, %{latch} ]")
            c.register = c.after
        self.lines[place:place] = inserted
        self.begin(end)
        if not entered:
            for c, start in zip(carried, starts, strict=True):
                c.register = self.emit(f"phi {c.type} [ {start}, %{before} ], [ {c.after}, %{latch} ]")

    def loop(
        self,
        count: int | str,
        body: Callable[[str], None],
        carried: Sequence[Carried] = (),
        vectors: bool = False,
        parallel: bool = False,
        masked: bool = False,
        pairs: bool = False,
    ) -> None:
        """Run `body(index)` for 0, 1, ..., count - 1, of which there is one at least; `carried` as of `counted`. With `vectors`
        LLVM leaves a loop of few turns as it is until it has made vectors of them: written out, turn by turn, they would stay
        single numbers. With `parallel` it does not ask whether a turn reads or writes what another one writes: none does. With
        `masked` no turn is done by itself: the last vector has lanes that are off. With `pairs` a turn of the loop of vectors
        does two, not four."""
        said = ".rolled" * vectors + ".parallel" * parallel + ".masked" * masked + ".pairs" * pairs
        for index in self.counted(count, exact=True, carried=carried, said=said):
            place = len(self.lines)
            body(index)
            if parallel:
                turn = "\n".join(self.lines[place:])
                self.lines[place:] = _ACCESS.sub(r"\g<0>, !llvm.access.group !turns", turn).split("\n")

    def where(self, condition: str, then: Callable[[], None], other: Callable[[], None] | None = None) -> None:
        """Code for when a condition holds, and for when it does not."""
        yes, no = self.label(), self.label()
        end = no if other is None else self.label()
        self.line(f"  br i1 {condition}, label %{yes}, label %{no}")
        for label, write in ((yes, then), (no, other)):
            if write is not None:
                self.begin(label)
                write()
                self.line(f"  br label %{end}")
        self.begin(end)

    def as_long_as(self, test: Callable[[], str], body: Callable[[], None]) -> None:
        """Run `body()` as long as `test()` gives the register of a truth."""
        head, turn, end = self.label(), self.label(), self.label()
        self.line(f"  br label %{head}")
        self.begin(head)
        self.line(f"  br i1 {test()}, label %{turn}, label %{end}")
        self.begin(turn)
        body()
        self.line(f"  br label %{head}")
        self.begin(end)

    def leave(self, wrong: str, last: Sequence[str] = ()) -> None:
        """Return where something is wrong, after some last lines."""
        stop, following = self.label(), self.label()
        self.line(f"  br i1 {wrong}, label %{stop}, label %{following}")
        self.begin(stop)
        self.lines += [*last, "  ret void"]
        self.begin(following)

    def least(self, a: str | int, b: str | int) -> str:
        """The smaller of two lengths."""
        self.declares.add("llvm.umin.i64")
        return self.emit(f"call i64 @llvm.umin.i64(i64 {a}, i64 {b})")

    def zeros(self, pointer: str, bytes: str | int) -> None:
        """Set so many bytes to 0."""
        self.declares.add("declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)")
        self.line(f"  call void @llvm.memset.p0.i64(ptr {pointer}, i8 0, i64 {bytes}, i1 false)")


class Carried:
    """A value that a loop carries from turn to turn."""

    __slots__ = ("after", "register", "type")

    def __init__(self, register: str, type: str) -> None:
        self.register = register
        self.type = type
        self.after = register


class Access:
    """An array in a loop nest: where its element for index 0 is, and how far it moves along each axis."""

    __slots__ = ("dtype", "pointer", "strides")

    def __init__(self, pointer: str, strides: Sequence[int], dtype: DType) -> None:
        self.pointer = pointer
        self.strides = tuple(strides)
        self.dtype = dtype

    def moved(self, code: Code, axis: int, index: str | int) -> Access:
        """The same access at an index of one axis, which it loses."""
        rest = self.strides[:axis] + self.strides[axis + 1 :]
        return Access(offset(code, self.pointer, index, self.strides[axis], self.dtype), rest, self.dtype)

    def after(self, code: Code, start: str) -> Access:
        """The same access from an index of the first axis on."""
        return Access(offset(code, self.pointer, start, self.strides[0], self.dtype), self.strides, self.dtype)

    def turned(self, code: Code, axis: int, length: int) -> Access:
        """The same access along one axis from its end to its beginning."""
        steps = self.strides
        pointer = offset(code, self.pointer, length - 1, steps[axis], self.dtype)
        return Access(pointer, (*steps[:axis], -steps[axis], *steps[axis + 1 :]), self.dtype)

    def parts(self) -> Access:
        """Of complex numbers real and imaginary parts, along one more axis, of length 2."""
        return Access(self.pointer, (*(2 * s for s in self.strides), 1), self.dtype.type(0).real.dtype)


def offset(code: Code, pointer: str, index: str | int, stride: int | str, dtype: DType) -> str:
    """A pointer moved by index * stride elements."""
    if stride == 0 or index == 0:
        return pointer
    if stride == 1:
        by: str | int = index
    elif isinstance(index, int) and isinstance(stride, int):
        by = index * stride
    else:
        by = code.emit(f"mul nsw i64 {index}, {stride}")
    return code.emit(f"getelementptr inbounds {llvm_type(dtype, memory=True)}, ptr {pointer}, i64 {by}")


def places(
    code: Code, lengths: Sequence[int], pointers: Sequence[str], strides: Sequence[Sequence[int]],
    body: Callable[[Sequence[str]], None], dtype: DType = _BYTE,
) -> None:  # fmt: skip
    """Loops over axes of some lengths, the first outermost: a body is given the pointers at each place. Strides are each
    array's by these axes, in elements of a dtype."""
    if not lengths:
        body(pointers)
        return

    def turn(index: str) -> None:
        moved = [offset(code, p, index, s[0], dtype) for p, s in zip(pointers, strides, strict=True)]
        places(code, lengths[1:], moved, [s[1:] for s in strides], body, dtype)

    code.loop(lengths[0], turn)


def near(code: Code, pointer: str) -> str:
    """The same pointer, of which LLVM knows nothing. What is read at known distances from it is left so: its search for
    cheaper pointers in loops took a third of the time to compile kernels of convolutions, and found none."""
    return code.emit(f'call ptr asm "", "=r,0"(ptr {pointer})')


def fetch(code: Code, pointer: str, writes: bool = False, level: int = 1) -> None:
    """Have the line of memory fetched that is read, or written, soon, to the cache of a level; it need not be there."""
    # Declared here alone: LLVM takes no function that is declared twice in other words.
    code.declares.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    code.line(f"  call void @llvm.prefetch.p0(ptr {pointer}, i32 {int(writes)}, i32 {4 - level}, i32 1)")


def declarations(names: Iterable[str]) -> str:
    """Declarations of the intrinsics that loops use, each once; what is written out is taken as it is."""
    lines = set()
    for name in names:
        if name.startswith(("declare ", "define ", "@")):
            lines.add(name)
            continue
        t = {"f32": "float", "f64": "double"}.get(name.rsplit(".", 1)[1], name.rsplit(".", 1)[1])
        lines.add(f"declare {t} @{name}({t}, {t})")
    return "\n".join(sorted(lines))
