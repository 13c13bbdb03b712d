"""The inner loop of a ufunc whose elements a C function computes, as LLVM IR."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.llvm.c_functions import CFunction, call_of, declaration
from tapenet.llvm.code import Code, declarations
from tapenet.llvm.emitter import load, store

_HEAD = "define void @loop(ptr %args, ptr %dims, ptr %steps, ptr %data) #0 {\nentry:\n"


def text(function: CFunction) -> str:
    """The module of a function `loop`, which NumPy calls with pointers to the arrays, their lengths, the bytes between
    neighbours, and data that is not used."""
    write = _arrays if function.signature.of_arrays else _numbers
    code = Code()
    count = code.emit("load i64, ptr %dims")
    code.where(code.emit(f"icmp sgt i64 {count}, 0"), lambda: write(code, function, count))
    declares = declarations(code.declares) + "\n" + declaration(function.symbol, function.signature)
    body = "\n".join([*code.cells, *code.lines])
    return f"{declares}{_HEAD}{body}\n  ret void\n}}\n"


def _word(code: Code, pointer: str, place: int, kind: str = "i64") -> str:
    at = code.emit(f"getelementptr inbounds i64, ptr {pointer}, i64 {place}") if place else pointer
    return code.emit(f"load {kind}, ptr {at}")


def _moved(code: Code, pointer: str, index: str, step: str) -> str:
    return code.emit(f"getelementptr inbounds i8, ptr {pointer}, i64 {code.emit(f'mul nsw i64 {index}, {step}')}")


def _numbers(code: Code, function: CFunction, count: str) -> None:
    """A call for each element."""
    dtypes = function.signature.dtypes
    starts = [(_word(code, "%args", k, "ptr"), _word(code, "%steps", k), dtype) for k, dtype in enumerate(dtypes)]

    def turn(index: str) -> None:
        *given, (out, dtype) = ((_moved(code, pointer, index, step), dtype) for pointer, step, dtype in starts)
        operands = [load(code, pointer, dtype) for pointer, dtype in given]
        store(code, code.emit(call_of(function.symbol, function.signature, operands)), out, dtype)

    code.loop(count, turn)


def _arrays(code: Code, function: CFunction, count: str) -> None:
    """A call for each place in the leading axes. An array that is not contiguous is copied to memory that is, a result from
    there."""
    signature = function.signature
    parts = [*signature.inputs, *signature.outputs]
    lengths = {name: _word(code, "%dims", k + 1) for k, name in enumerate(signature.sizes)}
    at = len(parts)
    scattered: list[str] = []
    memory: list[str] = []
    strides: list[list[str]] = []
    for part, dtype in zip(parts, signature.dtypes, strict=True):
        sizes = [lengths[n] for n in part.sizes or ()]
        strides.append([_word(code, "%steps", at + j) for j in range(len(sizes))])
        at += len(sizes)
        expected, dense = str(dtype.itemsize), "true"
        for n, step in zip(reversed(sizes), reversed(strides[-1]), strict=True):
            same = code.emit(
                f"or i1 {code.emit(f'icmp eq i64 {step}, {expected}')}, {code.emit(f'icmp slt i64 {n}, 2')}"
            )
            dense = code.emit(f"and i1 {dense}, {same}")
            expected = code.emit(f"mul i64 {expected}, {n}")
        full = code.emit(f"icmp ne i64 {expected}, 0")
        scattered.append(code.emit(f"and i1 {full}, {code.emit(f'xor i1 {dense}, true')}"))
        room = code.emit(f"select i1 {scattered[-1]}, i64 {expected}, i64 1")
        memory.append(code.emit(f"call ptr @malloc(i64 {room})"))

    def turn(index: str) -> None:
        pointers = []
        for k in range(len(parts)):
            place = _moved(code, _word(code, "%args", k, "ptr"), index, _word(code, "%steps", k))
            if k < len(signature.inputs):
                copied(k, place, False)
            pointers.append((place, code.emit(f"select i1 {scattered[k]}, ptr {memory[k]}, ptr {place}")))
        given = [f"ptr {p}" for _, p in pointers] + [f"i64 {n}" for n in lengths.values()]
        code.line(f"  call void @{function.symbol}({', '.join(given)})")
        for k in range(len(signature.inputs), len(parts)):
            copied(k, pointers[k][0], True)

    def copied(k: int, place: str, back: bool) -> None:
        """Copy an array that is scattered to its memory, or back."""
        sizes = [lengths[n] for n in parts[k].sizes or ()]
        rest = strides[k], place, memory[k], signature.dtypes[k], back
        code.where(scattered[k], lambda: _copy(code, sizes, *rest))

    code.loop(count, turn)
    for pointer in memory:
        code.line(f"  call void @free(ptr {pointer})")
    code.declares |= {"declare ptr @malloc(i64)", "declare void @free(ptr)"}


def _copy(
    code: Code, sizes: Sequence[str], strides: Sequence[str], place: str, dense: str, dtype: np.dtype, back: bool
) -> None:
    """Copy between elements that lie apart and such that lie side by side; there are some."""
    item = f"i{8 * dtype.itemsize}"

    def walk(axis: int, one: str, number: str) -> None:
        if axis == len(sizes):
            two = code.emit(f"getelementptr inbounds {item}, ptr {dense}, i64 {number}")
            source, target = (two, one) if back else (one, two)
            value = code.emit(f"load {item}, ptr {source}, align 1")
            code.line(f"  store {item} {value}, ptr {target}, align 1")
            return

        def turn(index: str) -> None:
            before = code.emit(f"mul i64 {number}, {sizes[axis]}")
            walk(axis + 1, _moved(code, one, index, strides[axis]), code.emit(f"add i64 {before}, {index}"))

        code.loop(sizes[axis], turn)

    walk(0, place, "0")
