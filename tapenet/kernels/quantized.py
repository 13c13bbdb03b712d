"""Products with weights of 8 bits, which are made floats in registers: a quarter of the memory is read."""

from __future__ import annotations

import numpy as np

from tapenet.llvm.emitter import Value
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Array, Index, Kernel, Variable
from tapenet.llvm.sharing import Shared

#: Outputs that are computed together, and rows.
_OUTPUTS, _ROWS = 4, 4
#: What making a weight a float costs, in multiply-adds.
_FLOAT = 8


def product(x: np.ndarray, weight: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """x @ (scale · weight)ᵀ of rows x (n, in), int8 weight (out, in) and scale (out,), all in C order."""
    n, inputs = x.shape
    outputs = len(weight)
    out = np.empty((n, outputs), x.dtype)
    _product(x.dtype.char)(outputs, _cost(n, weight), x, weight, scale, out, n, inputs, outputs)
    return out


def _cost(n: int, weight: np.ndarray) -> int:
    return weight.size * (n + -(-n // _ROWS) * _FLOAT)


@factory(4)
def _product(char: str) -> Shared:
    k = Kernel("quantized", char)
    x, weight, scale, out = k.array(1), k.array(1, dtype=np.int8), k.array(1), k.array(1)
    n, inputs, outputs = (k.integer() for _ in range(3))
    first, last = k.range(_OUTPUTS)

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
    return k.shared()


def transposed(y: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """y @ weight of rows y (n, out) and int8 weight (out, in), both in C order."""
    n, outputs = y.shape
    inputs = weight.shape[1]
    found = np.empty((n, inputs), y.dtype)
    _transposed(y.dtype.char)(inputs, _cost(n, weight), y, weight, found, n, inputs, outputs)
    return found


@factory(4)
def _transposed(char: str) -> Shared:
    k = Kernel("quantized_transposed", char)
    y, weight, found = k.array(1), k.array(1, dtype=np.int8), k.array(1)
    n, inputs, outputs = (k.integer() for _ in range(3))
    lanes = k.lanes
    first, last = k.range(_OUTPUTS * lanes)

    def tile(j: Value, row: Value, wide: int, vectors: int, rows: int) -> None:
        """Some rows of `vectors` vectors of columns; of single columns where `wide` is 0."""
        zero = k.number(0.0, wide)
        sums = [[k.variable(zero) for _ in range(vectors)] for _ in range(rows)]
        for o in k.turns(outputs):
            values = [_floats(k, weight.at(o * inputs + j + v * wide), wide) for v in range(vectors)]
            for r, totals in enumerate(sums):
                factor = y.load((row + r) * outputs + o)
                factor = k.spread(factor, wide) if wide else factor
                for total, value in zip(totals, values, strict=True):
                    total += value * factor
        for r, totals in enumerate(sums):
            for v, total in enumerate(totals):
                found.store(total.value, (row + r) * inputs + j + v * wide)

    step = _OUTPUTS * lanes
    whole = first + (last - first).op("udiv", last - first, step) * step
    single = whole + (last - whole).op("udiv", last - whole, lanes) * lanes
    parts = ((first, whole, lanes, _OUTPUTS), (whole, single, lanes, 1), (single, last, 0, 1))
    for begin, end, wide, vectors in parts:
        for j in k.turns(end, begin, max(1, wide * vectors)):
            most = n.op("udiv", n, _ROWS) * _ROWS
            for start, stop, rows in ((k.index(0), most, _ROWS), (most, n, 1)):
                for row in k.turns(stop, start, rows):
                    tile(j, row, wide, vectors, rows)
    return k.shared()


def _sums(k: Kernel, weight: Array, x: Array, inputs: Value, height: int, rows: int) -> list[list[Value]]:
    """The inner products of some rows of both."""
    lanes = k.lanes
    sums = [[k.variable(k.number(0.0, lanes)) for _ in range(rows)] for _ in range(height)]
    rest = [[k.variable(k.number(0.0)) for _ in range(rows)] for _ in range(height)]

    def step(j: Index, wide: int, into: list[list[Variable]]) -> None:
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
