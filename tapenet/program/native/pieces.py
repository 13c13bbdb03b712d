"""Work of a program that the threads of the pool share (`llvm/workers.py`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tapenet.llvm import loops, workers
from tapenet.llvm.addresses import LINE
from tapenet.llvm.code import Access, Code, offset
from tapenet.llvm.emitter import literal
from tapenet.llvm.processor import processors
from tapenet.llvm.sharing import Shared
from tapenet.program.native.functions import Function
from tapenet.program.native.kernels import moving

PART, AWAKE, PARTS = workers.PART, workers.AWAKE, workers.PARTS
#: The same of work on images, of which convolutions have left to each core its rows: what lies in the other's cache is read
#: at a fifth of the speed. A small network's step takes 0.92 of the time on two threads where all are cut along rows.
ROWS = 10_000
#: Rows of a map at least that are shared.
HIGH = 4
_POINTER = np.dtype(np.int64)  # as wide as a pointer


def share(
    code: Code, function: str, values: list[str], count: int | str, threads: int = workers.MOST, wakes: bool = True
) -> None:  # fmt: skip
    """Have the pool call a function for each item below a count, given values with their types; on so many threads at most,
    and on those that are awake unless it `wakes` others."""
    context = _stored(code, values)
    code.declares.add(workers.declaration())
    code.line(
        f"  call void @tn_share{'' if wakes else '_awake'}(ptr @{function}, ptr {context}, i64 {count}, i64 {threads})"
    )


def launch(
    code: Code, shared: Shared, length: int, count: int | str, values: list[str], own: tuple[str, int] = ("null", 0),
    threads: int = workers.MOST, wakes: bool = True,
) -> None:  # fmt: skip
    """Have the pool do a range by shared code in so many parts, given its arguments with their types, and the memory that
    threads have for themselves: where it is, and how many bytes each has."""
    symbol = shared.symbol()
    code.declares.add(f"declare void @{symbol}(ptr, i64, i64)")
    share(
        code,
        symbol,
        [f"i64 {length}", f"i64 {count}", f"ptr {own[0]}", f"i64 {own[1]}", *values],
        count,
        threads,
        wakes,
    )


def parts(code: Code, most: int, few: int, rounds: int | None) -> str:
    """Into how many parts shared code cuts a range: `rounds` for each thread, but no more than `most`, and a multiple of the
    threads; up to `few` where that is one part for each thread. One part where there is one thread."""
    if max(most, few) < 2 or rounds is None:
        return str(most)
    code.declares.add(workers.declaration())
    threads = code.emit(f"call i64 @tn_blocks(i64 {workers.MOST})")
    several = code.emit(f"icmp sgt i64 {threads}, 1")
    wanted = code.emit(f"mul nsw i64 {threads}, {rounds}")
    code.declares |= {"declare i64 @llvm.smin.i64(i64, i64)", "declare i64 @llvm.smax.i64(i64, i64)"}
    one = code.emit(f"call i64 @llvm.smin.i64(i64 {threads}, i64 {few})")
    worth = code.emit(f"call i64 @llvm.smax.i64(i64 {most}, i64 {one})")
    over = code.emit(f"urem i64 {worth}, {threads}")
    some = code.emit(f"icmp sge i64 {worth}, {threads}")
    even = code.emit(f"sub nsw i64 {worth}, {code.emit(f'select i1 {some}, i64 {over}, i64 0')}")
    least = code.emit(f"call i64 @llvm.smin.i64(i64 {wanted}, i64 {even})")
    return code.emit(f"select i1 {several}, i64 {least}, i64 1")


def _stored(code: Code, values: list[str]) -> str:
    """The pointer to memory in which values with their types lie one after the other."""
    context = f"%context{len(code.cells)}"
    code.cells.append(f"  {context} = alloca [{len(values)} x i64]")
    for i, value in enumerate(values):
        code.line(f"  store {value}, ptr {offset(code, context, i, 1, _POINTER)}")
    return context


def given(code: Code, types: list[str]) -> list[str]:
    """What a function that the pool calls is given, out of memory."""
    return [code.emit(f"load {t}, ptr {offset(code, '%context', i, 1, _POINTER)}") for i, t in enumerate(types)]


def called(code: Code, vectors: bool = False) -> Function:
    """A function that the pool calls; `vectors` as in `Function`."""
    return Function.of(code, (), "ptr %context, i64 %item, i64 %thread", vectors=vectors)


def rows(lengths: Sequence[int], strides: Sequence[int]) -> int | None:
    """Which axis of images (batch, channels, height, ...) threads share, those with the batch innermost in memory, as
    convolutions give them: that which these share. None of others, and of maps of a few rows."""
    return 2 if 3 <= len(lengths) <= 5 and strides[0] == 1 < lengths[0] and lengths[2] >= HIGH else None


def wanted(cycles: float, least: int) -> int:
    """How many parts of so many cycles at least work is cut into: two where it only pays if threads are awake."""
    return max(min(int(cycles / least), PARTS), min(int(cycles / AWAKE), 2))


def threads() -> int:
    """For how many threads there is memory, where each has its own."""
    return max(workers.threads(), processors())


def wakes(cycles: float) -> bool:
    """Whether work is worth to wake threads."""
    return cycles >= 2 * PART


def clear(code: Code, name: Callable[[Function], str], pointer: str, size: int, dtype: np.dtype) -> None:
    """Fill dense memory with zeros, in pieces if that is worth it."""
    bytes = size * dtype.itemsize
    cycles = moving(bytes)
    count = wanted(cycles, PART)
    if count < 2:
        loops.fill(code, pointer, size, literal(0, dtype), dtype)
        return
    each = -(-bytes // (count - count % 2) // LINE) * LINE
    item = Code()
    (start,) = given(item, ["ptr"])
    begin = item.emit(f"mul nuw nsw i64 %item, {each}")
    some = loops.within(item, bytes, begin, each)
    item.zeros(offset(item, start, begin, 1, np.dtype(np.int8)), some)
    share(code, name(called(item)), [f"ptr {pointer}"], -(-bytes // each), wakes=wakes(cycles))


def copy(
    code: Code, name: Callable[[Function], str], lengths: Sequence[int], source: Access, target: Access, add: bool
) -> None:
    """Copy elements to where others are, or add them to these: in pieces along the axis that is outermost in memory, if that
    is worth it. `name` adds a function to the module, and gives its name there."""
    moved = math.prod(lengths) * (source.dtype.itemsize + target.dtype.itemsize)
    axis = rows(lengths, target.strides)
    least = PART if axis is None else ROWS
    if axis is None:
        axis = max(range(len(lengths)), key=lambda i: (lengths[i] > 1) * abs(target.strides[i]), default=0)
    cycles = moving(moved)
    count = min(wanted(cycles, least), lengths[axis] if lengths else 0)
    if count < 2:
        loops.copy(code, lengths, source, target, add)
        return
    steps = -(-lengths[axis] // (count - count % 2))
    count = -(-lengths[axis] // steps)
    item = Code()
    begin = item.emit(f"mul nuw nsw i64 %item, {steps}")
    pointers = given(item, ["ptr", "ptr"])
    read, written = (
        Access(offset(item, p, begin, a.strides[axis], a.dtype), a.strides, a.dtype)
        for p, a in zip(pointers, (source, target), strict=True)
    )

    def part(steps: int) -> None:
        loops.copy(item, [*lengths[:axis], steps, *lengths[axis + 1 :]], read, written, add)

    last = lengths[axis] - (count - 1) * steps
    if last == steps:
        part(steps)
    else:
        item.where(item.emit(f"icmp slt i64 %item, {count - 1}"), lambda: part(steps), lambda: part(last))
    share(code, name(called(item)), [f"ptr {source.pointer}", f"ptr {target.pointer}"], count, wakes=wakes(cycles))
