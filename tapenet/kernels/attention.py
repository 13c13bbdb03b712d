"""Attention by rows of queries: a block of rows of the scores at a time, never all of them.

For each block the scores, their softmax and its product with the values are made while they are in the cache. Of each row
the logarithm of the sum of exponentials is kept, and from it the backward pass makes the weights anew (Dao et al.,
arXiv:2205.14135; since a block has all of its columns, no running maximum is needed). Tiles in the future of a causal
mask are left out.

Arrays have any leading axes, which all of them have. Vectors of one head are copied behind each other, in whole blocks, so
that the code depends on their lengths alone, and serves sequences of any length.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np

from tapenet.kernels import dense, vectors_like
from tapenet.kernels.blocks import turn
from tapenet.kernels.constants import lasting
from tapenet.llvm import gemm
from tapenet.llvm.formulas import call
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.sharing import Shared

#: Rows and columns of a tile of scores, and of the one tile of short sequences: of 128 of 16 vectors of 16 numbers, tiles of 32
#: take 2.5 times as long.
BLOCK, SHORT = 32, 16
#: Keys at most, whose scores of one block of rows fit the scratch memory; and numbers of a vector.
LONGEST, WIDEST = 1 << 16, 256


def takes(query: np.ndarray, key: np.ndarray, value: np.ndarray) -> bool:
    """Whether there is a kernel for arrays of these shapes."""
    widths = query.shape[-1], value.shape[-1]
    some = min(*query.shape, *key.shape, *value.shape) > 0
    return bool(some and key.shape[-2] <= LONGEST and max(widths) <= WIDEST)


def multiply_adds(query: np.ndarray, key: np.ndarray, value: np.ndarray, causal: bool) -> int:
    """Those of the forward pass, counting all scores that are seen."""
    scores = math.prod(query.shape[:-1]) * key.shape[-2]
    return int(scores * (query.shape[-1] + value.shape[-1]) // (2 if causal else 1))


def forward(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, causal: bool, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """softmax(query @ keyᵀ · scale) @ value, and the logarithm of the sum of exponentials of each row, (..., L, 1)."""
    query, key, value = map(_dense, (query, key, value))
    dtype = query.dtype
    out = vectors_like(query, value.shape[-1], dtype)
    below = vectors_like(query, 1, dtype)
    arrays = (query, key, value, out, below)
    rows, columns = query.shape[-2], key.shape[-2]
    block = _block(rows, columns)
    run = _forward(query.shape[-1], value.shape[-1], causal, block, dtype.char)
    blocks = -(-columns // block)
    heads = _heads(*arrays)
    number = _number(scale, dtype)

    width, wide = (block * a.shape[-1] * dtype.itemsize for a in (query, value))  # bytes of a block of vectors
    scratch = blocks * width, blocks * width, blocks * wide, blocks * block * block * dtype.itemsize, width, wide
    arguments = *arrays, heads, number, *scratch, 2 * block * dtype.itemsize, rows, columns
    run(len(heads), multiply_adds(query, key, value, causal), *arguments)
    return out, below


def backward(
    g: np.ndarray,
    query: np.ndarray,
    key: np.ndarray,
    value: np.ndarray,
    out: np.ndarray,
    below: np.ndarray,
    causal: bool,
    scale: float,
) -> tuple[np.ndarray, ...]:
    """The gradients by query, key and value, from that by the result."""
    given = tuple(map(_dense, (g, query, key, value, out)))
    dtype = query.dtype
    found = tuple(vectors_like(a, a.shape[-1], dtype) for a in given[1:4])
    arrays = (*given, *found, below)
    width, wide = query.shape[-1], value.shape[-1]
    rows, columns = query.shape[-2], key.shape[-2]
    block = _block(rows, columns)
    run = _backward(width, wide, causal, block, dtype.char)
    blocks = -(-columns // block)
    heads = _heads(*arrays)
    number = _number(scale, dtype)

    width, wide, tile = (block * n * dtype.itemsize for n in (width, wide, block))  # bytes of a block
    scratch = *[blocks * width] * 3, *[blocks * wide] * 3, *[blocks * tile] * 2, width, width, wide, wide
    arguments = *arrays, heads, number, *scratch, rows, columns
    run(len(heads), 5 * multiply_adds(query, key, value, causal) // 2, *arguments)
    return found


def _block(rows: int, columns: int) -> int:
    """Rows and columns of a tile."""
    return SHORT if max(rows, columns) <= SHORT else BLOCK


def _dense(a: np.ndarray) -> np.ndarray:
    """The array with vectors that are dense."""
    return a if a.strides[-1] == a.itemsize else dense(a)


def _heads(*arrays: np.ndarray) -> np.ndarray:
    """By head and array, in elements: where it begins, and how far its vectors lie apart."""
    (itemsize,) = {a.itemsize for a in arrays}
    return lasting(_places(arrays[0].shape[:-2], tuple(tuple(s // itemsize for s in a.strides[:-1]) for a in arrays)))


def _number(value: float | np.ndarray, dtype: np.dtype) -> np.ndarray:
    """An array of one number. It stays unless that is given in an array, in which it may be another one at the next call."""
    return np.full(1, value, dtype) if isinstance(value, np.ndarray) else lasting(_lasting(value, dtype))


@functools.lru_cache(maxsize=64)
def _lasting(value: float, dtype: np.dtype) -> np.ndarray:
    return np.full(1, value, dtype)


@functools.lru_cache(maxsize=16)
def _places(lead: tuple[int, ...], strides: tuple[tuple[int, ...], ...]) -> np.ndarray:
    """The same from the leading lengths, and all strides but the last of each array."""
    found = []
    for *steps, vector in strides:
        offsets = np.zeros((), np.int64)
        for n, step in zip(lead, steps, strict=True):
            offsets = np.add.outer(offsets, np.arange(n) * step)
        found.append(np.stack([offsets.reshape(-1), np.full(offsets.size, vector)], -1))
    return np.ascontiguousarray(np.stack(found, 1), np.int64)


# -- kernels -----------------------------------------------------------------------------------------------------


class _Head:
    """What both kernels do with one head."""

    def __init__(self, k: Kernel, causal: bool, rows: Value, columns: Value, block: int) -> None:
        self.k, self.causal, self.rows, self.columns, self.block = k, causal, rows, columns, block
        self.blocks = (columns + (self.block - 1)).op("udiv", columns + (self.block - 1), self.block)

    def gather(
        self, source: Array, row: Value, first: Index, count: Value, to: Array, total: Index, width: int
    ) -> None:
        """Copy `count` vectors, `row` numbers apart, behind each other, and zeros up to `total` vectors."""
        for i in self.k.turns(count):
            at = (i + first) * row
            for j, some in self.k.vectors(0, width):
                to.store(source.load(at + j, lanes=self.k.lanes, count=some), i, j, count=some)
        self.clear(to, total, width, count)

    def spread(self, source: Array, to: Array, row: Value, first: Index, count: Value, width: int) -> None:
        """The inverse."""
        for i in self.k.turns(count):
            at = (i + first) * row
            for j, some in self.k.vectors(0, width):
                to.store(source.load(i, j, lanes=self.k.lanes, count=some), at + j, count=some)

    def turned(self, source: Array, to: Array, width: int) -> None:
        """The transpose of each block of vectors."""
        for b in self.k.turns(self.blocks):
            turn(self.k, source.moved(b * self.block), to.moved(b * self.block), self.block, self.k.index(width))

    def row_blocks(self) -> Iterator[tuple[Value, Value, Value]]:
        """The blocks of rows: where one begins, its rows, and how many tiles it sees."""
        for first in self.k.turns(self.rows, 0, self.block):
            count = self.least(self.rows - first, self.k.index(self.block))
            tiles = self.blocks
            if self.causal:
                tiles = self.least(first.op("udiv", first, self.block) + 1, tiles)
            yield first, count, tiles

    def least(self, a: Value, b: Value) -> Value:
        return (a < b).where(a, b)

    def gemm(
        self, a: Array, a_row: int, b: Array, b_row: int, c: Array, columns: int, inner: int, add: bool, turned: bool = False
    ) -> None:  # fmt: skip
        """c = a b or c += a b, of `block` rows; or with aᵀ."""
        left = gemm.Matrix(a.pointer, 1, a_row) if turned else gemm.Matrix(a.pointer, a_row, 1)
        matrices = [left, gemm.Matrix(b.pointer, b_row, 1), gemm.Matrix(c.pointer, columns, 1)]
        gemm.write(self.k, (self.block, columns, self.k.opaque(inner)), matrices, self.k.dtype, add)

    def visible(self, i: Value, first: Value) -> Value:
        """How many columns a row sees, in all lanes."""
        seen = self.least(first + i + 1, self.columns) if self.causal else self.columns
        return self.k.spread(seen.convert("trunc", "i32"), self.k.lanes)

    def vectors(self, tiles: Value, i: Value) -> Iterator[tuple[Value, int, Value]]:
        """The vectors of a row of scores: their row in the tiles, their place in it, and the numbers of their columns."""
        lanes = self.k.lanes
        numbers = ", ".join(f"i32 {n}" for n in range(lanes))
        for t in self.k.turns(tiles):
            column = self.k.spread((t * self.block).convert("trunc", "i32"), lanes) + Value(
                self.k, f"<{numbers}>", f"<{lanes} x i32>"
            )
            for at in range(0, self.block, lanes):
                yield t * self.block + i, at, column + at if at else column

    def clear(self, a: Array, count: Index, width: int, first: Index = 0) -> None:
        """Set vectors to 0."""
        zero = self.k.number(0.0, self.k.lanes)
        for i in self.k.turns(count, first):
            for j, some in self.k.vectors(0, width):
                a.store(zero, i, j, count=some)

    def scale(self, a: Array, count: Index, width: int, factor: Callable[[Index], Value]) -> None:
        """Multiply each vector by factor(its number)."""
        for i in self.k.turns(count):
            value = self.k.spread(factor(i), self.k.lanes)
            for j, some in self.k.vectors(0, width):
                a.store(a.load(i, j, lanes=self.k.lanes, count=some) * value, i, j, count=some)

    def inner(self, a: Array, b: Array, i: Value, width: int) -> Value:
        """The inner product of a vector of each."""
        total = None
        for j, some in self.k.vectors(0, width):
            product = a.load(i, j, lanes=self.k.lanes, count=some) * b.load(i, j, lanes=self.k.lanes, count=some)
            total = product if total is None else total + product
        assert total is not None
        return self.k.total(total)


@functools.lru_cache(maxsize=64)
def _forward(width: int, wide: int, causal: bool, block: int, char: str) -> Shared:
    k = Kernel("attention", char, vectors=True)
    arrays = [k.array(1) for _ in range(5)]
    heads = k.array(1, dtype=np.int64)
    scale = k.array(1)
    keys, turned, values = k.scratch(1, width), k.scratch(1, width), k.scratch(1, wide)
    scores = k.scratch(1, block)
    own, sums, totals = k.scratch(1, width), k.scratch(1, wide), k.scratch(1, block)
    begin, end = k.range()
    rows, columns = k.integer(), k.integer()
    head = _Head(k, causal, rows, columns, block)
    lanes = k.lanes
    factor = k.spread(scale.load(0), lanes)
    lowest, zero = k.number(-float("inf"), lanes), k.number(0.0, lanes)
    padded = head.blocks * block
    for h in k.turns(end, begin):
        (query, by), (key, key_by), (value, value_by), (out, out_by), (below, below_by) = _placed(arrays, heads, h)
        head.gather(key, key_by, 0, columns, keys, padded, width)
        head.gather(value, value_by, 0, columns, values, padded, wide)
        head.turned(keys, turned, width)
        for first, count, tiles in head.row_blocks():
            head.gather(query, by, first, count, own, block, width)
            for t in k.turns(tiles):
                head.gemm(own, width, turned.moved(t * block), block, scores.moved(t * block), block, width, False)
            for i in k.turns(block):
                seen = head.visible(i, first)
                most, total = k.variable(k.number(-float("inf"), lanes)), k.variable(k.number(0.0, lanes))
                for row, at, column in head.vectors(tiles, i):
                    score = (column < seen).where(scores.load(row, at, lanes=lanes) * factor, lowest)
                    most.set((score > most.value).where(score, most.value))
                top = k.most(most.value)
                tops = k.spread(top, lanes)
                for row, at, column in head.vectors(tiles, i):
                    shifted = scores.load(row, at, lanes=lanes) * factor - tops
                    # Some processors take a hundred times as long where a result underflows, as e^-inf would here.
                    weight = call("exp", (column < seen).where(shifted, zero))
                    weight = (column < seen).where(weight, zero)
                    scores.store(weight, row, at)
                    total += weight
                totals.store(k.total(total.value), 0, i)
                totals.store(top, 1, i)
            head.clear(sums, block, wide)
            for t in k.turns(tiles):
                head.gemm(scores.moved(t * block), block, values.moved(t * block), wide, sums, wide, block, True)
            head.scale(sums, block, wide, lambda i: 1.0 / totals.load(0, i))
            head.spread(sums, out, out_by, first, count, wide)
            for i in k.turns(count):
                below.store(totals.load(1, i) + call("log", totals.load(0, i)), (first + i) * below_by)
    return k.shared()


def _placed(arrays: list[Array], heads: Array, h: Value) -> list[tuple[Array, Value]]:
    """Each array at a head, and how far its vectors lie apart."""
    count = len(arrays)
    places = [(h * count + i) * 2 for i in range(count)]
    return [(a.moved(heads.load(at)), heads.load(at + 1)) for a, at in zip(arrays, places, strict=True)]


@functools.lru_cache(maxsize=64)
def _backward(width: int, wide: int, causal: bool, block: int, char: str) -> Shared:
    k = Kernel("attention_grad", char, vectors=True)
    arrays = [k.array(1) for _ in range(9)]
    heads = k.array(1, dtype=np.int64)
    scale = k.array(1)
    keys, keys_turned, key_sums = (k.scratch(1, width) for _ in range(3))
    values, values_turned, value_sums = (k.scratch(1, wide) for _ in range(3))
    weights, by_scores = k.scratch(1, block), k.scratch(1, block)
    own, own_sums = k.scratch(1, width), k.scratch(1, width)
    upper, results = k.scratch(1, wide), k.scratch(1, wide)
    begin, end = k.range()
    rows, columns = k.integer(), k.integer()
    head = _Head(k, causal, rows, columns, block)
    lanes = k.lanes
    number = scale.load(0)
    factor = k.spread(number, lanes)
    padded = head.blocks * block
    for h in k.turns(end, begin):
        placed = _placed(arrays, heads, h)
        (g, g_by), (query, by), (key, key_by), (value, value_by), (out, out_by), *_, (below, below_by) = placed
        head.gather(key, key_by, 0, columns, keys, padded, width)
        head.gather(value, value_by, 0, columns, values, padded, wide)
        head.turned(keys, keys_turned, width)
        head.turned(values, values_turned, wide)
        head.clear(key_sums, padded, width)
        head.clear(value_sums, padded, wide)
        for first, count, tiles in head.row_blocks():
            head.gather(query, by, first, count, own, block, width)
            head.gather(g, g_by, first, count, upper, block, wide)
            head.gather(out, out_by, first, count, results, block, wide)
            for t in k.turns(tiles):
                tile = t * block
                head.gemm(own, width, keys_turned.moved(tile), block, weights.moved(tile), block, width, False)
                head.gemm(upper, wide, values_turned.moved(tile), block, by_scores.moved(tile), block, wide, False)
            for i in k.turns(count):
                seen = head.visible(i, first)
                off = k.spread(head.inner(upper, results, i, wide), lanes)
                less = k.spread(below.load((first + i) * below_by), lanes)
                for row, at, column in head.vectors(tiles, i):
                    weight = call("exp", weights.load(row, at, lanes=lanes) * factor - less)
                    weight = (column < seen).where(weight, k.number(0.0, lanes))
                    weights.store(weight, row, at)
                    by_scores.store((by_scores.load(row, at, lanes=lanes) - off) * weight, row, at)
            for i in k.turns(block, count):  # rows that are not there
                for row, at, _ in head.vectors(tiles, i):
                    weights.store(k.number(0.0, lanes), row, at)
                    by_scores.store(k.number(0.0, lanes), row, at)
            head.clear(own_sums, block, width)
            for t in k.turns(tiles):
                tile = t * block
                head.gemm(by_scores.moved(tile), block, keys.moved(tile), width, own_sums, width, block, True)
                head.gemm(
                    by_scores.moved(tile), block, own, width, key_sums.moved(tile), width, block, True, turned=True
                )
                head.gemm(
                    weights.moved(tile), block, upper, wide, value_sums.moved(tile), wide, block, True, turned=True
                )
            head.scale(own_sums, block, width, lambda i: number)
            head.spread(own_sums, *placed[5], first, count, width)
        head.scale(key_sums, columns, width, lambda i: number)
        head.spread(key_sums, *placed[6], 0, columns, width)
        head.spread(value_sums, *placed[7], 0, columns, wide)
    return k.shared()
