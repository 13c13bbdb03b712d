"""Kernels on several threads: the first axis is dealt out, each thread takes one part.

Threads are started for the kernel and joined behind it. That costs some 20 µs and more, so only kernels that take much
longer are split, and nothing waits in a loop between them: BLAS's own threads never compete with these. Sums are added up per
part, in memory of the part's own, and then in the order of the parts: the result depends on the number of threads, never
on their timing.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
from collections.abc import Callable, Hashable

import numpy as np

from tapenet.llvm.emitter import load, store
from tapenet.llvm.loops import Code, combiner, fill, identity, offset
from tapenet.llvm.processor import processors
from tapenet.program.fusion import Kernel
from tapenet.program.ir import Instruction, Value
from tapenet.program.layout import Layouts
from tapenet.program.native.boxes import BoxCode
from tapenet.program.native.kernels import Function, KernelCode, work

#: Cycles of a kernel from which threads pay, as `work` estimates them: some milliseconds. Behind a product, BLAS's own
#: threads still wait for the next one in a loop, and a shorter kernel would be done before it gets their processors.
WORTH = 10_000_000
#: Numbers in one sum, at most: each thread has its own copy.
LARGEST_SUM = 1 << 16
_POINTER = np.dtype(np.int64)  # as wide as a pointer


def threads() -> int:
    """How many threads a kernel may use: as many as there are processors, if this machine starts any."""
    return processors() if _startable() else 1


@functools.cache
def _startable() -> bool:
    """Whether this process has the functions of POSIX that threads are started with."""
    try:
        return hasattr(ctypes.CDLL(None), "pthread_create")
    except (OSError, TypeError):  # Windows
        return False


def parts(kernel: Kernel, count: int) -> list[int]:
    """The steps along the first axis that each thread takes; one entry where a kernel is not split."""
    if count < 2 or not kernel.domain or kernel.split == 0 or work(kernel) < WORTH:
        return [0]
    if any(r.size > LARGEST_SUM for m in _sums(kernel) for r in m.results if _shared(m)):
        return [0]
    length = kernel.domain[0]
    if length < 2 * count:
        return [0]
    each = -(-length // count)
    found = [each] * (length // each)
    return [*found, length % each] if length % each else found


def workspace(kernel: Kernel, count: int) -> int:
    """Bytes in which the threads but the first keep their sums."""
    if len(parts(kernel, count)) == 1:
        return 0
    return (count - 1) * sum(_room(r) for m in _sums(kernel) for r in m.results if _shared(m))


def _room(value: Value) -> int:
    return -(-value.nbytes // 64) * 64


def _sums(kernel: Kernel) -> list[Instruction]:
    return [m for m in kernel.members if m.kind == "reduction" and not kernel.is_row_reduction(m)]


def _shared(member: Instruction) -> bool:
    """Whether all parts of a kernel add to the same sums."""
    return 0 in member.params["axes"]


def write(
    kernel: Kernel,
    layouts: Layouts,
    stored: Callable[[Value], bool],
    buffer: Callable[[Value], Hashable],
    lengths: list[int],
    space: Hashable | None,
    name: Callable[[Function], str],
    define: Callable[[str], None],
) -> Function:
    """The function of a kernel that runs in parts.

    Args:
        kernel, layouts, stored, buffer: as for `KernelCode`.
        lengths: from `parts`.
        space: the buffer for the sums of all parts but the first.
        name: gives a function its name in the module.
        define: adds the text of another function to the module.
    """
    if kernel.joins:
        begins = itertools.accumulate(lengths, initial=0)
        parts = zip(begins, lengths, strict=False)
        functions = [BoxCode(kernel, layouts, stored, buffer, part).write() for part in parts]
    else:
        made = {n: KernelCode(kernel, layouts, stored, buffer, part=n).write() for n in dict.fromkeys(lengths)}
        functions = [made[n] for n in lengths]
    names = [name(function) for function in functions]
    buffers = list(functions[0].buffers)
    code = Code()
    pointers = {b: f"%b{i}" for i, b in enumerate(buffers)}
    base = f"%b{len(buffers)}"
    own: dict[Hashable, list[str]] = {}  # the pointers of each part for what it sums up by itself
    at = 0
    sums = _sums(kernel)
    for member in sums:
        (result,) = member.results
        key = buffer(result)
        copies = [pointers[key]]
        if _shared(member):
            for _ in lengths[1:]:
                copies.append(offset(code, base, at, 1, np.dtype(np.int8)))
                at += _room(result)
        own[key] = copies if _shared(member) else copies * len(lengths)
        for pointer in dict.fromkeys(copies):
            fill(code, pointer, result.size, identity(member.name, result.dtype), result.dtype)
    begin = 0
    started = []
    code.declares |= {
        "declare i32 @pthread_create(ptr, ptr, ptr, ptr)",
        "declare i32 @pthread_join(i64, ptr)",
    }
    for t, length in enumerate(lengths):
        arguments = [own.get(b, [pointers[b]] * len(lengths))[t] for b in buffers]
        if t == len(lengths) - 1:  # this thread's own part
            code.line(f"  call void @{names[t]}({_list(arguments)}, i64 {begin})")
        else:
            started.append(_start(code, t, names[t], arguments, begin, define))
        begin += length
    for t, (thread, failed) in enumerate(started):
        _join(code, thread, failed, names[t], t)
    for member in sums:
        (result,) = member.results
        if _shared(member):
            for pointer in own[buffer(result)][1:]:
                _combine(code, member, own[buffer(result)][0], pointer, result)
    if space is not None:
        buffers.append(space)
    return Function.of(code, buffers)


def _list(pointers: list[str]) -> str:
    return ", ".join(f"ptr {p}" for p in pointers)


def _start(
    code: Code, t: int, name: str, arguments: list[str], begin: int, define: Callable[[str], None]
) -> tuple[str, str]:
    """Start a thread on a part; gives the thread, and whether it could not be started."""
    context, thread = f"%context{t}", f"%thread{t}"
    code.cells += [f"  {context} = alloca [{len(arguments) + 1} x i64]", f"  {thread} = alloca i64"]
    for i, argument in enumerate(arguments):
        code.line(f"  store ptr {argument}, ptr {offset(code, context, i, 1, _POINTER)}")
    code.line(f"  store i64 {begin}, ptr {offset(code, context, len(arguments), 1, _POINTER)}")
    status = code.emit(f"call i32 @pthread_create(ptr {thread}, ptr null, ptr @{name}_start, ptr {context})")
    define(_thunk(name, len(arguments)))
    return thread, code.emit(f"icmp ne i32 {status}, 0")


def _thunk(name: str, count: int) -> str:
    """The function that a thread begins with: it takes its arguments out of memory."""
    lines = [f"define internal ptr @{name}_start(ptr %context) {{"]
    for i in range(count + 1):
        lines.append(f"  %p{i} = getelementptr i64, ptr %context, i64 {i}")
        lines.append(f"  %a{i} = load {'i64' if i == count else 'ptr'}, ptr %p{i}")
    arguments = _list([f"%a{i}" for i in range(count)])
    return "\n".join([*lines, f"  call void @{name}({arguments}, i64 %a{count})", "  ret ptr null", "}"])


def _join(code: Code, thread: str, failed: str, name: str, t: int) -> None:
    """Wait for a thread; if it could not be started, do its part here."""
    here, wait, end = code.label(), code.label(), code.label()
    code.line(f"  br i1 {failed}, label %{here}, label %{wait}")
    code.begin(here)
    code.emit(f"call ptr @{name}_start(ptr %context{t})")
    code.line(f"  br label %{end}")
    code.begin(wait)
    code.emit(f"call i32 @pthread_join(i64 {code.emit(f'load i64, ptr {thread}')}, ptr null)")
    code.line(f"  br label %{end}")
    code.begin(end)


def _combine(code: Code, member: Instruction, into: str, other: str, result: Value) -> None:
    """Add the sums of one part to those of the first."""
    combine = combiner(member.name, result.dtype)

    def turn(index: str) -> None:
        target = offset(code, into, index, 1, result.dtype)
        more = load(code, offset(code, other, index, 1, result.dtype), result.dtype)
        store(code, combine(code, load(code, target, result.dtype), more), target, result.dtype)

    code.loop(result.size, turn)
