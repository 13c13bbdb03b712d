"""Loops over memory, as LLVM IR: what all kernels are made of.

A nest walks over some axes of a domain. Each array in it is an `Access`: a pointer and a stride per axis. Axes are put
into the order of memory, neighbours that lie behind each other become one, and the innermost loop is left plain, so
that LLVM turns it into vector instructions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from tapenet.llvm.emitter import Emitter, literal, llvm_type, load, store
from tapenet.llvm.processor import registers
from tapenet.typing import DType

#: Numbers of elements between neighbours, by axis.
Strides = tuple[int, ...]

#: Turns of a loop from which vectors pay, and up to which LLVM might write it out instead.
VECTOR, FEW = 8, 128
#: Elements of a block at most and of what is walked over in blocks at least, and bytes of its copies at most, so that they
#: stay in the first level cache.
BLOCK, BLOCKED, COPIES = 1024, 512, 1 << 14
#: Bytes of what is between the stages of a block.
ROWS = 1 << 15
#: Turns of the innermost loop from which one by one at its end do not count.
LONG = 512
#: Operations for each array that is copied from which blocks pay.
EACH = 12
#: Arrays up to which LLVM sees by itself that they do not overlap; loops over more would stay single numbers. Only kernels have
#: so many.
ARRAYS = 100
#: Bytes of the shortest registers with masks, by which what is left over of a vector is computed at once; it pays in loops of
#: known length only where an element costs more than so many additions.
MASKS, DEAR = 64, 8
_BYTE = np.dtype(np.int8)
#: What reads or writes memory.
_ACCESS = re.compile(r"^  (?:%\w+ = load|store) .*", re.MULTILINE)


def run_length() -> int:
    """Numbers in one run of a long sum: as many for each number in the registers, so that none adds up more of them
    where registers are short."""
    return 64 * registers().bytes


def long_length() -> int:
    """Sums of so many floats keep what rounding loses from run to run, so that their error does not grow with their
    length."""
    return 4 * run_length()


def left_over(length: int, lanes: int, work: float) -> int:
    """How many turns at the end of a loop of known length masks are for: where they are more than half a vector, and dear."""
    rest = length % lanes
    pays = registers().bytes >= MASKS and work > DEAR and length > lanes and 2 * rest > lanes
    return rest if pays else 0


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

    def loop(
        self,
        count: int | str,
        body: Callable[[str], None],
        carried: Sequence[Carried] = (),
        vectors: bool = False,
        parallel: bool = False,
        masked: bool = False,
    ) -> None:
        """Run `body(index)` for 0, 1, ..., count - 1. `carried` values live in registers from turn to turn: the body
        sets `after`, and after the loop `register` is the final value. With `vectors` LLVM leaves a loop of few turns as it
        is until it has made vectors of them: written out, turn by turn, they would stay single numbers. With `parallel` it does
        not ask whether a turn reads or writes what another one writes: none does. With `masked` no turn is done by itself:
        the last vector has lanes that are off."""
        head, end = self.label(), self.label()
        before = self.block
        index = self.fresh()
        following = self.fresh()
        first = [c.register for c in carried]
        phis = [self.fresh() for _ in carried]
        self.line(f"  br label %{head}")
        self.begin(head)
        place = len(self.lines)
        for c, phi in zip(carried, phis, strict=True):
            c.register = phi
        body(index)
        if parallel:
            turn = "\n".join(self.lines[place:])
            self.lines[place:] = _ACCESS.sub(r"\g<0>, !llvm.access.group !turns", turn).split("\n")
        latch = self.block
        self.line(f"  {following} = add nuw nsw i64 {index}, 1")
        done = self.emit(f"icmp eq i64 {following}, {count}")
        said = ".rolled" * vectors + ".parallel" * parallel + ".masked" * masked
        self.line(f"  br i1 {done}, label %{end}, label %{head}{f', !llvm.loop !loop{said}' if said else ''}")
        inserted = [f"  {index} = phi i64 [ 0, %{before} ], [ {following}, %{latch} ]"]
        for c, phi, start in zip(carried, phis, first, strict=True):
            inserted.append(f"  {phi} = phi {c.type} [ {start}, %{before} ], [ {c.after}, %{latch} ]")
            c.register = c.after
        self.lines[place:place] = inserted
        self.begin(end)


#: How a reduction combines two values.
Combine = Callable[[Code, str, str], str]


class Carried:
    """A value that a loop carries from turn to turn."""

    __slots__ = ("after", "register", "type")

    def __init__(self, register: str, type: str) -> None:
        self.register = register
        self.type = type
        self.after = register


class Reducing(Carried):
    """A reduction that a loop carries from turn to turn. After the loop `total` is what it comes to.

    The largest or smallest float is carried as an integer of the same order, with nan beyond all: compared as floats, so that
    nan stays, a vector waits 15 cycles for the one before it, and in the end lane for lane. The largest of each of 1,000 rows
    of 100 takes 0.28 of the time so, softmax of them 0.69.
    """

    __slots__ = ("combine", "keys", "low")

    def __init__(self, name: str, dtype: DType, combine: Combine | None = None) -> None:
        self.keys: DType | None = np.dtype(f"i{dtype.itemsize}") if dtype.kind == "f" and name in _EXTREMES else None
        self.low = name == "reduce_minimum"
        self.combine = combine or combiner(name, self.keys or dtype)
        start = identity(name, dtype)
        if self.keys is not None:
            bits = int(np.array(np.inf if self.low else -np.inf, dtype).view(self.keys))
            start = str(bits ^ (int(np.iinfo(self.keys).max) if bits < 0 else 0))
        super().__init__(start, llvm_type(self.keys or dtype))

    def take(self, code: Code, value: str) -> None:
        """Combine with a value, in a turn of the loop."""
        if self.keys is not None:
            t = _FLOATS[self.type]
            unordered = code.emit(f"fcmp uno {t} {value}, 0.0")
            nan = int(np.array(np.nan, f"f{self.keys.itemsize}").view(self.keys))
            beyond = nan if not self.low else ~nan
            key = self._turned(code, code.emit(f"bitcast {t} {value} to {self.type}"))
            value = code.emit(f"select i1 {unordered}, {self.type} {beyond}, {self.type} {key}")
        self.after = self.combine(code, self.register, value)

    def total(self, code: Code) -> str:
        """The value, after the loop."""
        if self.keys is None:
            return self.register
        return code.emit(f"bitcast {self.type} {self._turned(code, self.register)} to {_FLOATS[self.type]}")

    def _turned(self, code: Code, bits: str) -> str:
        """The integer of a float's order by its bits, or the bits by it: of negative ones all but the sign is turned."""
        assert self.keys is not None
        sign = code.emit(f"ashr {self.type} {bits}, {8 * self.keys.itemsize - 1}")
        changed = code.emit(f"and {self.type} {sign}, {np.iinfo(self.keys).max}")
        return code.emit(f"xor {self.type} {bits}, {changed}")


class Access:
    """An array in a loop nest: where its element for index 0 is, and how far it moves along each axis."""

    __slots__ = ("dtype", "pointer", "strides")

    def __init__(self, pointer: str, strides: Sequence[int], dtype: DType) -> None:
        self.pointer = pointer
        self.strides = tuple(strides)
        self.dtype = dtype

    def moved(self, code: Code, axis: int, index: str) -> Access:
        """The same access at an index of one axis, which it loses."""
        rest = self.strides[:axis] + self.strides[axis + 1 :]
        return Access(offset(code, self.pointer, index, self.strides[axis], self.dtype), rest, self.dtype)

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


def fetch(code: Code, pointer: str, writes: bool = False) -> None:
    """Have the line of memory fetched that is read, or written, soon; it need not be there."""
    # Declared here alone: LLVM takes no function that is declared twice in other words.
    code.declares.add("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)")
    code.line(f"  call void @llvm.prefetch.p0(ptr {pointer}, i32 {int(writes)}, i32 3, i32 1)")


class Accumulator:
    """A reduction in a nest: its name, and where its results are (strides of 0 along reduced axes).

    Attributes:
        combine: how it combines two values; by default as `combiner` says.
        sums: whether it is a sum of floats.
        lost: while it is a long one, the pointer to what rounding has lost of it so far.
    """

    __slots__ = ("access", "combine", "lost", "name", "sums")

    def __init__(self, name: str, access: Access, combine: Combine | None = None) -> None:
        self.name = name
        self.access = access
        self.combine = combine or combiner(name, access.dtype)
        self.sums = combine is None and name == "reduce_add" and access.dtype.kind == "f"
        self.lost: str | None = None

    def at(self, access: Access) -> Accumulator:
        """The same somewhere else."""
        made = Accumulator(self.name, access, self.combine)
        made.sums, made.lost = self.sums, self.lost
        return made

    def cell(self, code: Code) -> Accumulator:
        """The same on the stack, in a number of its own."""
        access = Access(code.cell(self.access.dtype), (0,) * len(self.access.strides), self.access.dtype)
        made = self.at(access)
        made.lost = None
        return made

    def begin(self, code: Code) -> None:
        """Set its number to what changes nothing."""
        store(code, identity(self.name, self.access.dtype), self.access.pointer, self.access.dtype)

    def end(self, code: Code, pointer: str) -> None:
        """Add its number to where it belongs."""
        value = load(code, self.access.pointer, self.access.dtype)
        store(code, self.combine(code, load(code, pointer, self.access.dtype), value), pointer, self.access.dtype)


#: Given the accesses at the element the loop is at, computes, stores, and returns what each accumulator takes in.
Body = Callable[[list[Access]], list[str]]


class Stage(NamedTuple):
    """A part of what a nest does at each element.

    Attributes:
        body: what it does; it is given the accesses that it uses, and then the rows.
        uses: numbers of accesses.
        rows: numbers of rows, in which stages hand on what they compute.
        sums: numbers of the accumulators that it is for.
    """

    body: Body
    uses: Sequence[int]
    rows: Sequence[int] = ()
    sums: Sequence[int] = ()


class Run(NamedTuple):
    """What a nest does at each element.

    Attributes:
        stages: which go one after another, over a block of elements each.
        rows: the dtypes of what is between them.
        read: how many of the accesses, the first ones, are only read.
        work: operations. Where it is much beside what is read, short innermost loops go in blocks (`_blocked`).
    """

    stages: Sequence[Stage]
    rows: Sequence[DType] = ()
    read: int = 0
    work: float = 0.0

    @staticmethod
    def of(body: Body, accesses: int, accumulators: int = 0) -> Run:
        """In one stage."""
        return Run([Stage(body, range(accesses), (), range(accumulators))])


def nest(
    code: Code,
    lengths: Sequence[int],
    accesses: Sequence[Access],
    body: Body | Run,
    accumulators: Sequence[Accumulator] = (),
    order: bool = True,
) -> None:
    """Walk over all axes. Each accumulator's memory holds a value to begin with.

    Args:
        code: where the loops go.
        lengths: of the axes.
        accesses: what the body reads and writes; it is given them at each element.
        body: see `Body`; or stages.
        accumulators: reductions.
        order: whether the axes may be put into another order.
    """
    every = [*accesses, *(a.access for a in accumulators)]
    lengths, strides = _arranged(list(lengths), [a.strides for a in every], order)
    every = [Access(a.pointer, s, a.dtype) for a, s in zip(every, strides, strict=True)]
    run = body if isinstance(body, Run) else Run.of(body, len(accesses), len(accumulators))
    _walk(code, lengths, every[: len(accesses)], run, _placed(accumulators, every[len(accesses) :]))


def _placed(accumulators: Sequence[Accumulator], accesses: Sequence[Access]) -> list[Accumulator]:
    """The same accumulators somewhere else."""
    return [a.at(access) for a, access in zip(accumulators, accesses, strict=True)]


def _arranged(
    lengths: list[int], strides: list[tuple[int, ...]], order: bool
) -> tuple[list[int], list[tuple[int, ...]]]:
    """Axes of length one dropped, the rest ordered by memory, and neighbours merged where every array allows it."""
    axes = [i for i, n in enumerate(lengths) if n != 1]
    if order and axes:
        axes.sort(key=lambda i: -weight(i, lengths, strides))
    merged: list[int] = []
    columns: list[list[int]] = []  # per kept axis, the stride of each array
    for i in axes:
        column = [s[i] for s in strides]
        if merged and all(outer == inner * lengths[i] for outer, inner in zip(columns[-1], column, strict=True)):
            merged[-1] *= lengths[i]
            columns[-1] = column
        else:
            merged.append(lengths[i])
            columns.append(column)
    return merged, [tuple(column[k] for column in columns) for k in range(len(strides))]


def weight(axis: int, lengths: list[int], strides: list[tuple[int, ...]]) -> float:
    """How far outside an axis belongs: arrays vote with their strides, large ones with more weight."""
    total = 0.0
    for s in strides:
        if s[axis]:
            extent = 1
            for n, step in zip(lengths, s, strict=True):
                if step:
                    extent *= n
            total += extent * math.log2(abs(s[axis]) + 1)
    return total


def _walk(code: Code, lengths: list[int], accesses: list[Access], run: Run, accumulators: list[Accumulator]) -> None:
    size = math.prod(lengths)
    long = [
        a for a in accumulators if size >= long_length() and a.sums and a.lost is None and not any(a.access.strides)
    ]
    if long:
        _long_sums(code, lengths, accesses, run, accumulators, long)
    elif not lengths:
        (stage,) = run.stages
        _turn(code, accesses, stage.body, accumulators, [None] * len(accumulators))
    elif size > run_length() > size // lengths[0] and any(a.lost is not None for a in accumulators):
        _runs(code, lengths, accesses, run, accumulators)
    else:
        _axis(code, lengths[0], lengths[1:], accesses, run, accumulators)


def _axis(
    code: Code,
    length: int | str,
    inner: list[int],
    accesses: list[Access],
    run: Run,
    accumulators: list[Accumulator],
) -> None:
    """Walk along one axis, and at each step over those inside."""
    if not inner:
        if len(run.stages) == 1:
            _innermost(code, length, accesses, run.stages[0].body, accumulators, run.work)
        else:
            _staged(code, length, accesses, run, accumulators)
        return
    rows = _rows(length, inner, accesses, run, accumulators)
    if rows:
        _blocked(code, length, inner, rows, accesses, run, accumulators)
        return

    def turn(index: str) -> None:
        at = [a.moved(code, 0, index) for a in accesses]
        places = [a.access.moved(code, 0, index) for a in accumulators]
        _walk(code, inner, at, run, _placed(accumulators, places))

    code.loop(length, turn)


def _merged(access: Access, inner: list[int]) -> bool:
    """Whether an array goes on from row to row as it does inside of one, so that the axes are as one."""
    return all(s == t * n for s, t, n in zip(access.strides[:-1], access.strides[1:], inner, strict=True))


def _rows(
    length: int | str, inner: list[int], accesses: list[Access], run: Run, accumulators: list[Accumulator]
) -> int:
    """Of how many steps along the first axis a block is (`_blocked`); 0 where blocks do not pay."""
    every = [*accesses, *(a.access for a in accumulators)]
    short = [i for i, a in enumerate(every) if not _merged(a, inner)]
    if not short or any(run.read <= i < len(accesses) for i in short) or run.work < EACH * len(short):
        return 0
    lanes = registers().bytes // max(a.dtype.itemsize for a in every)
    row = math.prod(inner)
    if inner[-1] >= LONG or inner[-1] % lanes == 0 or (isinstance(length, int) and length * row < BLOCKED):
        return 0
    item = sum(every[i].dtype.itemsize for i in short)
    least = -(-2 * lanes // row)
    most = max(min(BLOCK, COPIES // item) // row, least if least * row * item <= 4 * COPIES else 0)
    if isinstance(length, int):
        most = min(most, length)
    whole = lanes // math.gcd(row, lanes)  # rows that are a number of vectors
    most -= most % whole if most > whole else 0
    return most if most > (len(inner) < 2) and most * row >= 2 * lanes else 0


def _blocked(
    code: Code,
    length: int | str,
    inner: list[int],
    rows: int,
    accesses: list[Access],
    run: Run,
    accumulators: list[Accumulator],
) -> None:
    """Walk along one axis and those inside in blocks of so many rows, each with one long loop. What does not lie behind each
    other from row to row, such as a row that is added to all of them, is copied to where it does, and sums are as many as there
    are elements in a block until its end, or that of all blocks.
    366 instructions on (32, 32, 4) and (1, 1, 4) numbers take 0.6 of the time of an innermost loop of 4."""
    row = math.prod(inner)
    short = [i for i, a in enumerate(accesses) if not _merged(a, inner)]
    steps = tuple(math.prod(inner[i:]) for i in range(len(inner) + 1))
    copies = {i: Access(code.room(accesses[i].dtype, rows * row), steps, accesses[i].dtype) for i in short}
    sums = {i: accumulators[i] for i, a in enumerate(accumulators) if not _merged(a.access, inner)}
    many = {i: a.at(Access(code.room(a.access.dtype, rows * row), steps, a.access.dtype)) for i, a in sums.items()}

    def spread(i: int, source: Access, count: int | str) -> None:
        def move(at: list[Access]) -> list[str]:
            store(code, load(code, at[0].pointer, source.dtype), at[1].pointer, source.dtype)
            return []

        _axis(code, count, inner, [source, copies[i]], Run.of(move, 2), [])

    def begin(i: int) -> None:
        access = many[i].access
        fill(code, access.pointer, rows * row, identity(many[i].name, access.dtype), access.dtype)

    def end(i: int, place: Access, count: int | str) -> None:
        def total(at: list[Access]) -> list[str]:
            return [load(code, at[0].pointer, at[0].dtype)]

        _axis(code, count, inner, [many[i].access], Run.of(total, 1, 1), [sums[i].at(place)])

    lasting = [i for i, a in sums.items() if not a.access.strides[0]]
    for i in lasting:
        begin(i)
    for i in short:
        if not accesses[i].strides[0]:
            spread(i, accesses[i], rows)

    def block(index: str) -> None:
        start = code.emit(f"mul nuw nsw i64 {index}, {rows}")
        count = within(code, length, start, rows)
        trips = count * row if isinstance(count, int) else code.emit(f"mul nuw nsw i64 {count}, {row}")

        def here(access: Access) -> Access:
            return Access(
                offset(code, access.pointer, start, access.strides[0], access.dtype), access.strides, access.dtype
            )

        line = []
        for i, access in enumerate(accesses):
            if i in copies and access.strides[0]:
                spread(i, here(access), count)
            line.append(_line(copies[i] if i in copies else here(access)))
        to = [_line(many[i].access if i in many else here(a.access)) for i, a in enumerate(accumulators)]
        own = [i for i in sums if i not in lasting]
        for i in own:
            begin(i)
        _axis(code, trips, [], line, run, _placed(accumulators, to))
        for i in own:
            end(i, here(sums[i].access), count)

    code.loop(-(-length // rows) if isinstance(length, int) else _blocks(code, length, rows), block)
    for i in lasting:
        end(i, sums[i].access, rows)


def _blocks(code: Code, length: str, rows: int) -> str:
    """How many blocks there are of a number of rows that is known when the code runs."""
    return code.emit(f"udiv i64 {code.emit(f'add nuw nsw i64 {length}, {rows - 1}')}, {rows}")


def _line(access: Access) -> Access:
    """An access whose axes are as one, along it."""
    return Access(access.pointer, access.strides[-1:], access.dtype)


def _long_sums(
    code: Code,
    lengths: list[int],
    accesses: list[Access],
    run: Run,
    accumulators: list[Accumulator],
    long: list[Accumulator],
) -> None:
    """Walk with some sums on the stack, together with what rounding loses of them."""
    cells = {}
    for accumulator in long:
        cell = cells[accumulator] = accumulator.cell(code)
        cell.begin(code)
        cell.lost = code.cell(cell.access.dtype)
        store(code, literal(0, cell.access.dtype), cell.lost, cell.access.dtype)
    _walk(code, lengths, accesses, run, [cells.get(a, a) for a in accumulators])
    for accumulator, cell in cells.items():
        cell.end(code, accumulator.access.pointer)


def _runs(code: Code, lengths: list[int], accesses: list[Access], run: Run, accumulators: list[Accumulator]) -> None:
    """Walk along the first axis in runs of some `run_length()` elements. The long sums get the sum of each run."""
    length, inner = lengths[0], lengths[1:]
    step = run_length() // math.prod(inner)
    cells = {a: a.cell(code) for a in accumulators if a.lost is not None}

    def part(index: str) -> None:
        start = code.emit(f"mul nuw nsw i64 {index}, {step}")
        rest = code.emit(f"sub nuw nsw i64 {length}, {start}")
        code.declares.add("llvm.umin.i64")
        trips = code.emit(f"call i64 @llvm.umin.i64(i64 {rest}, i64 {step})")

        def moved(a: Access) -> Access:
            return Access(offset(code, a.pointer, start, a.strides[0], a.dtype), a.strides, a.dtype)

        for cell in cells.values():
            cell.begin(code)
        others = _placed(accumulators, [moved(a.access) for a in accumulators])
        parts = [cells.get(a, b) for a, b in zip(accumulators, others, strict=True)]
        _axis(code, trips, inner, [moved(a) for a in accesses], run, parts)
        for accumulator, cell in cells.items():
            _add(code, accumulator, accumulator.access.pointer, load(code, cell.access.pointer, cell.access.dtype))

    code.loop(-(-length // step), part)


def _staged(code: Code, length: int | str, accesses: list[Access], run: Run, accumulators: list[Accumulator]) -> None:
    """Walk along the innermost axis in blocks of a few vectors, with the loops of all stages over each."""
    every = [*run.rows, *(a.dtype for a in accesses)]
    count = _few(length, len(run.rows), max(dtype.itemsize for dtype in every))
    rows = [Access(code.room(dtype, count), (1,), dtype) for dtype in run.rows]

    def block(index: str) -> None:
        start = code.emit(f"mul nuw nsw i64 {index}, {count}")
        turns = within(code, length, start, count)

        def here(access: Access) -> Access:
            return Access(
                offset(code, access.pointer, start, access.strides[0], access.dtype), access.strides, access.dtype
            )

        at = [here(a) for a in accesses]
        placed = _placed(accumulators, [here(a.access) for a in accumulators])
        for stage in run.stages:
            used = [*(at[i] for i in stage.uses), *(rows[i] for i in stage.rows)]
            _innermost(code, turns, used, stage.body, [placed[i] for i in stage.sums])

    code.loop(-(-length // count) if isinstance(length, int) else _blocks(code, length, count), block)


def _few(length: int | str, rows: int, item: int) -> int:
    """How many elements, of so many bytes, are a block of stages: a number of vectors, two at least, so that the rows between
    the stages stay in the first level cache."""
    lanes = registers().bytes // item
    most = max(2, min(8, ROWS // (max(rows, 1) * registers().bytes)))
    even = (n for n in range(most, 1, -1) if isinstance(length, int) and length % (n * lanes) == 0)
    return lanes * next(even, most)


def within(code: Code, length: int | str, start: str, count: int) -> int | str:
    """How many of `count` elements from a start on lie within so many."""
    if isinstance(length, int) and length % count == 0:
        return count
    rest = code.emit(f"sub nuw nsw i64 {length}, {start}")
    code.declares.add("llvm.umin.i64")
    return code.emit(f"call i64 @llvm.umin.i64(i64 {rest}, i64 {count})")


def _innermost(
    code: Code, length: int | str, accesses: list[Access], body: Body, accumulators: list[Accumulator], work: float = 0
) -> None:
    """The loop that becomes vector instructions. A reduction along it stays in a register until its end. What is left over of a
    vector, where it is much, is a loop of its own: softmax of rows of 31, 63 or 127 takes 0.7 to 0.8 of the time."""
    every = [*accesses, *(a.access for a in accumulators)]
    several = len(every) > ARRAYS

    def part(first: int, count: int | str, masked: bool) -> None:
        carried = [
            None
            if a.access.strides[0]
            else Reducing(a.name, a.access.dtype, None if a.name in _EXTREMES else a.combine)
            for a in accumulators
        ]

        def turn(index: str) -> None:
            if first:
                index = code.emit(f"add nuw nsw i64 {index}, {first}")
            at = [a.moved(code, 0, index) for a in accesses]
            places = [a.access.moved(code, 0, index) for a in accumulators]
            _turn(code, at, body, _placed(accumulators, places), carried)

        vectors = isinstance(count, int) and VECTOR <= count <= FEW and not masked
        code.loop(count, turn, [c for c in carried if c is not None], vectors, several, masked)
        for accumulator, c in zip(accumulators, carried, strict=True):
            if c is not None:
                _add(code, accumulator, accumulator.access.pointer, c.total(code))

    rest = 0
    if isinstance(length, int) and length < LONG and not several:
        rest = left_over(length, registers().bytes // max((a.dtype.itemsize for a in every), default=1), work)
        length -= rest
    part(0, length, False)
    if rest:
        part(int(length), rest, True)


def _turn(
    code: Code,
    at: list[Access],
    body: Body,
    accumulators: list[Accumulator],
    carried: Sequence[Reducing | None],
) -> None:
    for accumulator, c, value in zip(accumulators, carried, body(at), strict=True):
        if c is None:
            _add(code, accumulator, accumulator.access.pointer, value)
        else:
            c.take(code, value)


def _add(code: Code, accumulator: Accumulator, pointer: str, value: str) -> None:
    """Combine a value with what is in memory. For a long sum, what rounding loses is subtracted from the next value
    (Kahan's summation); nothing is lost of infinities and nan."""
    dtype = accumulator.access.dtype
    before = load(code, pointer, dtype)
    if accumulator.lost is None:
        store(code, accumulator.combine(code, before, value), pointer, dtype)
        return
    t = llvm_type(dtype)
    value = code.emit(f"fsub {t} {value}, {load(code, accumulator.lost, dtype)}")
    after = code.emit(f"fadd {t} {before}, {value}")
    added = code.emit(f"fsub {t} {after}, {before}")
    lost = code.emit(f"fsub {t} {added}, {value}")
    finite = code.emit(f"fcmp ord {t} {lost}, {lost}")
    store(code, code.emit(f"select i1 {finite}, {t} {lost}, {t} {literal(0, dtype)}"), accumulator.lost, dtype)
    store(code, after, pointer, dtype)


def fill(code: Code, pointer: str, size: int | str, value: str, dtype: DType) -> None:
    """Set dense memory to one value."""
    if size == 1:
        store(code, value, pointer, dtype)
        return

    def turn(index: str) -> None:
        store(code, value, offset(code, pointer, index, 1, dtype), dtype)

    code.loop(size, turn)


def copy(code: Code, lengths: Sequence[int], source: Access, target: Access, add: bool = False) -> None:
    """Copy elements to where others are, or add them to these."""
    if add and source.dtype.kind == "c":
        lengths, source, target = (*lengths, 2), source.parts(), target.parts()

    def body(at: list[Access]) -> list[str]:
        value = load(code, at[0].pointer, source.dtype)
        if add:
            before = load(code, at[1].pointer, target.dtype)
            operation = "fadd" if target.dtype.kind == "f" else "add"
            value = code.emit(f"{operation} {llvm_type(target.dtype)} {before}, {value}")
        store(code, value, at[1].pointer, target.dtype)
        return []

    nest(code, lengths, [source, target], body)


# -- reductions --------------------------------------------------------------------------------------------------


#: The reductions to one of the values themselves.
_EXTREMES = ("reduce_maximum", "reduce_minimum")
#: The float as wide as an integer.
_FLOATS = {"i32": "float", "i64": "double"}


def reducible(name: str, dtype: DType) -> bool:
    """Whether there is a reduction of this name for a dtype."""
    if name in ("reduce_logical_and", "reduce_logical_or"):
        return dtype.kind == "b"
    return dtype.char in "fd" or (dtype.kind in "iu" and dtype.itemsize >= 4)


def identity(name: str, dtype: DType) -> str:
    """What changes nothing in a reduction."""
    if name == "reduce_add":
        return literal(-0.0 if dtype.kind == "f" else 0, dtype)  # 0.0 + -0.0 would be 0.0
    if name == "reduce_multiply":
        return literal(1, dtype)
    if name in ("reduce_logical_and", "reduce_logical_or"):
        return literal(name == "reduce_logical_and", dtype)
    low = name == "reduce_maximum"
    if dtype.kind == "f":
        return literal(-np.inf if low else np.inf, dtype)
    limits = np.iinfo(dtype)
    return literal(limits.min if low else limits.max, dtype)


def combiner(name: str, dtype: DType) -> Combine:
    """How a reduction combines two values. Sums and products may be regrouped (`reassoc`), so that a loop over them
    becomes vector instructions; nothing else is relaxed."""
    t = llvm_type(dtype)
    float_ = dtype.kind == "f"
    if name in _EXTREMES:
        short = name.removeprefix("reduce_")
        if float_:
            intrinsic = f"llvm.{short}.{'f32' if dtype.itemsize == 4 else 'f64'}"  # gives nan if one is
        else:
            intrinsic = f"llvm.{'s' if dtype.kind == 'i' else 'u'}{short[:3]}.{t}"

        def extreme(code: Code, a: str, b: str) -> str:
            code.declares.add(intrinsic)
            return code.emit(f"call {t} @{intrinsic}({t} {a}, {t} {b})")

        return extreme
    operation = {
        "reduce_add": "fadd reassoc" if float_ else "add",
        "reduce_multiply": "fmul reassoc" if float_ else "mul",
        "reduce_logical_and": "and",
        "reduce_logical_or": "or",
    }[name]

    def combine(code: Code, a: str, b: str) -> str:
        return code.emit(f"{operation} {t} {a}, {b}")

    return combine


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
