"""Products with weights of 8 bits, which are made floats in registers: a quarter of the memory is read."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tapenet.kernels.threads import deal
from tapenet.native.kernel import Array, Index, Kernel, Value

#: Outputs that are computed together, and rows.
_OUTPUTS, _ROWS = 4, 4


def product(x: Any, weight: Any, scale: Any) -> Any:
    """x @ (scale · weight)ᵀ of rows x (n, in), int8 weight (out, in) and scale (out,), all in C order."""
    n, inputs = x.shape
    outputs = len(weight)
    out = np.empty((n, outputs), x.dtype)
    run = _product(x.dtype.char)
    deal(lambda first, last: run(x, weight, scale, out, n, inputs, outputs, first, last), outputs, n * weight.size)
    return out


@functools.lru_cache(maxsize=4)
def _product(char: str) -> Any:
    k = Kernel("quantized", char)
    x, weight, scale, out = k.array(1), k.array(1, dtype=np.int8), k.array(1), k.array(1)
    n, inputs, outputs, first, last = (k.integer() for _ in range(5))

    def tile(o: Value, row: Value, height: int, rows: int) -> None:
        totals = _sums(k, weight.moved(o * inputs), x.moved(row * inputs), inputs, height, rows)
        for i in range(height):
            factor = scale.load(o + i)
            for r in range(rows):
                out.store(totals[i][r] * factor, (row + r) * outputs + o + i)

    whole = first + (last - first).op("udiv", last - first, _OUTPUTS) * _OUTPUTS
    for begin, end, height in ((first, whole, _OUTPUTS), (whole, last, 1)):
        for o in k.turns(end, begin, height):
            most = n.op("udiv", n, _ROWS) * _ROWS
            for start, stop, rows in ((k.index(0), most, _ROWS), (most, n, 1)):
                for row in k.turns(stop, start, rows):
                    tile(o, row, height, rows)
    return k.compile()


def _sums(k: Kernel, weight: Array, x: Array, inputs: Value, height: int, rows: int) -> list[list[Value]]:
    """The inner products of some rows of both."""
    lanes = k.lanes
    sums = [[k.variable(k.number(0.0, lanes)) for _ in range(rows)] for _ in range(height)]
    rest = [[k.variable(k.number(0.0)) for _ in range(rows)] for _ in range(height)]

    def step(j: Index, wide: int, into: list[list[Any]]) -> None:
        vectors = [x.load(inputs * r + j, lanes=wide) for r in range(rows)]
        for i, row in enumerate(into):
            value = _floats(k, weight.at(inputs * i + j), wide)
            for total, vector in zip(row, vectors, strict=True):
                total += value * vector

    whole = inputs.op("udiv", inputs, lanes) * lanes
    for j in k.turns(whole, 0, lanes):
        step(j, lanes, sums)
    for j in k.turns(inputs, whole):
        step(j, 0, rest)
    return [[k.total(a.value) + b.value for a, b in zip(*pair, strict=True)] for pair in zip(sums, rest, strict=True)]


def _floats(k: Kernel, pointer: str, lanes: int) -> Value:
    """Bytes as floats: so many of them as a vector, or for 0 one."""
    t = "float" if k.dtype.char == "f" else "double"
    byte, number = (f"<{lanes} x i8>", f"<{lanes} x {t}>") if lanes else ("i8", t)
    loaded = Value(k, k.emit(f"load {byte}, ptr {pointer}, align 1"), byte)
    return loaded.convert("sitofp", number)
