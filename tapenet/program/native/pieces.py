"""Work of a program that the threads of the pool share (`llvm/workers.py`)."""

from __future__ import annotations

import numpy as np

from tapenet.llvm import workers
from tapenet.llvm.loops import Code, offset
from tapenet.program.native.kernels import Function

#: Cycles of a piece at least, as they are estimated: some 10 µs. A second thread is there within one to five.
PART = 30_000
#: Pieces at most.
MOST = 64
_POINTER = np.dtype(np.int64)  # as wide as a pointer


def share(code: Code, function: str, values: list[str], count: int | str) -> None:
    """Have the pool call a function for each item below a count, given values with their types."""
    context = f"%context{len(code.cells)}"
    code.cells.append(f"  {context} = alloca [{len(values)} x i64]")
    for i, value in enumerate(values):
        code.line(f"  store {value}, ptr {offset(code, context, i, 1, _POINTER)}")
    code.declares.add(workers.declaration())
    code.line(f"  call void @tn_share(ptr @{function}, ptr {context}, i64 {count}, i64 {workers.MOST})")


def given(code: Code, types: list[str]) -> list[str]:
    """What a function that the pool calls is given, out of memory."""
    return [code.emit(f"load {t}, ptr {offset(code, '%context', i, 1, _POINTER)}") for i, t in enumerate(types)]


def called(code: Code) -> Function:
    """A function that the pool calls."""
    return Function.of(code, (), "ptr %context, i64 %item, i64 %thread")
