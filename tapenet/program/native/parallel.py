"""Kernels in parts, which the threads of the pool take (`llvm/workers.py`).

How a kernel is cut depends on its work and its shape alone, not on the number of threads: so that may change without a new
program. Sums are added up per part, in memory of the part's own, and then in the order of the parts: they are the same for
any number of threads.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable
from typing import NamedTuple

import numpy as np

from tapenet.llvm.addresses import LINE
from tapenet.llvm.code import Code, offset
from tapenet.llvm.emitter import load, store
from tapenet.llvm.loops import BLOCKED, LONG, fill, weight
from tapenet.llvm.processor import registers
from tapenet.llvm.reductions import combiner, identity
from tapenet.program.fusion import Kernel, aligned
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Layouts
from tapenet.program.native import pieces
from tapenet.program.native.boxes import BoxCode
from tapenet.program.native.functions import Function
from tapenet.program.native.kernels import KernelCode, cycles
from tapenet.program.native.pieces import called, given, share
from tapenet.typing import DType

#: Parts at most of a kernel that reads through what is joined: each is a function of its own.
JOINED = 4
#: Of its work that a kernel may spend on sums of its parts.
SUMS = 0.02
#: Steps along the innermost axis that a part takes at least, so that its loop is one of vectors.
RUN = 128
_BYTE = np.dtype(np.int8)


class Cut(NamedTuple):
    """How a kernel is cut: along which axis, the steps of a part, and how many parts there are. The last may be shorter."""

    axis: int
    steps: int
    parts: int


def cut(kernel: Kernel, layouts: Layouts) -> Cut | None:
    """The parts of a kernel; None for one that is not cut."""
    work = cycles(kernel)
    if pieces.wanted(work, min(pieces.PART, pieces.ROWS)) < 2:
        return None
    split = len(kernel.domain) if kernel.split is None else kernel.split
    strides = _strides(kernel, layouts)
    rows = next((axis for s in strides if (axis := pieces.rows(kernel.domain, s)) is not None and axis < split), None)
    least = pieces.PART if rows is None else pieces.ROWS
    wanted = pieces.wanted(work, least)
    if kernel.joins:
        wanted = min(wanted, JOINED)
    if wanted < 2 or not split:
        return None
    if rows is not None and (found := _along(kernel, rows, wanted, innermost=False)):
        return found
    best = None
    outside = {axis: weight(axis, list(kernel.domain), strides) for axis in range(split)}  # as loops are ordered
    for axis in sorted(outside, key=outside.__getitem__, reverse=True):
        dense = any(s[axis] == 1 for s in strides)  # whether neighbours along it are neighbours in memory
        found = _along(kernel, axis, wanted, innermost=split > 1 and dense)
        if found and (best is None or found.parts > 2 * best.parts):  # further outside parts lie closer together
            best = found
    return best


def _along(kernel: Kernel, axis: int, wanted: int, innermost: bool) -> Cut | None:
    length = kernel.domain[axis]
    if wanted < length < 2 * wanted and length <= (JOINED if kernel.joins else pieces.PARTS):
        wanted = length  # parts of two would leave one for whoever comes first
    most = min(wanted, length // RUN if innermost else length)
    if not innermost and _short(kernel):
        most = min(most, math.prod(kernel.domain) // BLOCKED)
    shared = sum(r.size for m in _sums(kernel) for r in m.results if axis in m.params["axes"])
    if shared:
        most = min(most, 1 + int(SUMS / 2 * math.prod(kernel.domain) / shared))
    if most < 2:
        return None
    most -= most % 2  # so that two threads have as much to do
    even = [n for n in range(most, most // 2 - 1, -2) if length % n == 0]  # then one function does for all
    steps = -(-length // (even[0] if even else most))
    return Cut(axis, steps, -(-length // steps))


def _short(kernel: Kernel) -> bool:
    """Whether rows are shorter than vectors or have a rest, so that a part has to be a block (`loops`)."""
    if kernel.split is not None or len(kernel.domain) < 2:
        return False
    item = max(r.dtype.itemsize for m in kernel.members for r in m.results)
    return kernel.domain[-1] < LONG and kernel.domain[-1] % (registers().bytes // item) > 0


def _strides(kernel: Kernel, layouts: Layouts) -> list[tuple[int, ...]]:
    """Those of all that lies in memory over the domain, by its axes."""
    inside = set(kernel.members)
    read = {a: None for m in kernel.members for a in m.args if a.source not in inside}
    values = [*read, *(r for m in kernel.members if m.kind != "reduction" for r in m.results)]
    found = (aligned(v.shape, layouts[v].strides, kernel.domain) for v in values)
    return [strides for strides in found if strides is not None]


def workspace(kernel: Kernel, found: Cut | None) -> int:
    """Bytes in which the parts of a kernel but the first keep their sums."""
    return (found.parts - 1) * _own(kernel, found) if found else 0


def _own(kernel: Kernel, cut: Cut) -> int:
    return sum(_room(r) for m in _sums(kernel) for r in m.results if _shared(m, cut))


def _room(value: Value) -> int:
    return -(-value.nbytes // LINE) * LINE


def _sums(kernel: Kernel) -> list[Instruction]:
    return [m for m in kernel.members if m.kind == "reduction" and not kernel.is_row_reduction(m)]


def _shared(member: Instruction, cut: Cut) -> bool:
    """Whether all parts of a kernel add to the same sums."""
    return cut.axis in member.params["axes"]


def write(
    kernel: Kernel,
    cut: Cut,
    layouts: Layouts,
    stored: Callable[[Value], bool],
    buffer: Callable[[Value], Hashable],
    space: Hashable | None,
    name: Callable[[Function], str],
) -> Function:
    """The function of a kernel that runs in parts.

    Args:
        kernel, layouts, stored, buffer: as for `KernelCode`.
        cut: its parts.
        space: the buffer for the sums of all parts but the first.
        name: adds a function to the module, and gives its name there.
    """
    axis, steps, count = cut
    lengths = [min(steps, kernel.domain[axis] - i * steps) for i in range(count)]
    if kernel.joins:
        parts = [(axis, i * steps, n) for i, n in enumerate(lengths)]
        functions = [BoxCode(kernel, layouts, stored, buffer, part).write() for part in parts]
    else:
        made = {n: KernelCode(kernel, layouts, stored, buffer, (axis, n)).write() for n in dict.fromkeys(lengths)}
        functions = [made[n] for n in lengths]
    buffers = list(functions[0].buffers)
    pointers = {b: f"%b{i}" for i, b in enumerate(buffers)}
    base = f"%b{len(buffers)}"
    code = Code()
    #: What the parts share: the result, its place in the buffers, and where its sums begin in those of a part.
    shared: list[tuple[Instruction, int, int]] = []
    at = 0
    for member in _sums(kernel):
        (result,) = member.results
        if _shared(member, cut):
            shared.append((member, buffers.index(buffer(result)), at))
            at += _room(result)
        else:
            fill(code, pointers[buffer(result)], result.size, identity(member.name, result.dtype), result.dtype)
    item = _item([name(f) for f in functions], len(buffers), steps, shared, at, name)
    if shared:
        assert space is not None
        buffers.append(space)
    values = [f"ptr %b{i}" for i in range(len(buffers))]
    share(code, name(item), values, count, wakes=pieces.wakes(cycles(kernel)))
    for member, place, first in shared:
        others, (result,) = offset(code, base, first, 1, _BYTE), member.results
        adding = name(_combining(member.name, result.dtype))
        code.line(f"  call void @{adding}(ptr %b{place}, ptr {others}, i64 {result.size}, i64 {count - 1}, i64 {at})")
    return Function.of(code, buffers)


def _item(
    names: list[str], buffers: int, steps: int, shared: list[tuple[Instruction, int, int]], own: int,
    name: Callable[[Function], str],
) -> Function:  # fmt: skip
    """The function that does one part."""
    code = Code()
    pointers = given(code, ["ptr"] * (buffers + bool(shared)))
    if shared:
        first = code.emit("icmp eq i64 %item, 0")
        before = code.emit(f"mul nsw i64 {code.emit('sub nsw i64 %item, 1')}, {own}")
        sums = offset(code, pointers.pop(), before, 1, _BYTE)
        for member, place, at in shared:
            (result,) = member.results
            further = offset(code, sums, at, 1, _BYTE)
            pointers[place] = code.emit(f"select i1 {first}, ptr {pointers[place]}, ptr {further}")
            code.line(
                f"  call void @{name(_filling(member.name, result.dtype))}(ptr {pointers[place]}, i64 {result.size})"
            )
    begin = code.emit(f"mul nuw nsw i64 %item, {steps}")
    arguments = ", ".join([*(f"ptr {p}" for p in pointers), f"i64 {begin}"])
    ((usual, _),) = Counter(names).most_common(1)
    others = {i: (code.label(), other) for i, other in enumerate(names) if other != usual}
    if others:
        end, default = code.label(), code.label()
        cases = " ".join(f"i64 {i}, label %{label}" for i, (label, _) in others.items())
        code.line(f"  switch i64 %item, label %{default} [ {cases} ]")
        for label, other in others.values():
            code.begin(label)
            code.line(f"  call void @{other}({arguments})")
            code.line(f"  br label %{end}")
        code.begin(default)
        code.line(f"  call void @{usual}({arguments})")
        code.line(f"  br label %{end}")
        code.begin(end)
    else:
        code.line(f"  call void @{usual}({arguments})")
    return called(code)


# What is done for the sums of all kernels, whatever their number. Written out for each kernel it took LLVM 170 ms of a U-Net's
# first call; now the code that calls parts has no loops (`parts.CALLS`).


def _filling(reduction: str, dtype: DType) -> Function:
    """The function that sets so many sums to their first value."""
    code = Code()
    fill(code, "%b0", "%size", identity(reduction, dtype), dtype)
    return Function.of(code, ["sums"], "i64 %size")


def _combining(reduction: str, dtype: DType) -> Function:
    """The function that adds the sums of so many other parts, each so many bytes behind the one before, to so many of the
    first."""
    code = Code()
    combine = combiner(reduction, dtype)

    def part(number: str) -> None:
        other = offset(code, "%b1", number, "%apart", _BYTE)

        def turn(index: str) -> None:
            target = offset(code, "%b0", index, 1, dtype)
            more = load(code, offset(code, other, index, 1, dtype), dtype)
            store(code, combine(code, load(code, target, dtype), more), target, dtype)

        code.loop("%size", turn)

    code.loop("%count", part)
    return Function.of(code, ["sums", "others"], "i64 %size, i64 %count, i64 %apart")
