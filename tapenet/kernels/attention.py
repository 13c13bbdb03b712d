"""Attention by rows of queries: a block of rows of the scores at a time, never all of them.

For each block the scores, their softmax and its product with the values are made while they are in the cache. Of each row
the maximum and the sum of exponentials are kept, and from them the backward pass makes the weights anew (Dao et al.,
arXiv:2205.14135; since a block has all of its columns, no running maximum is needed). Tiles in the future of a causal
mask are left out.

Arrays have any leading axes, which all of them have. Vectors of one head are copied behind each other, in whole blocks, so
that the code depends on their lengths alone, and serves sequences of any length. So are rows of the mask, and of what dropout
leaves.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import numpy as np

from tapenet.kernels import clear, dense, vectors_like
from tapenet.kernels.blocks import turn
from tapenet.kernels.constants import lasting
from tapenet.llvm import gemm
from tapenet.llvm.emitter import llvm_type
from tapenet.llvm.factories import factory
from tapenet.llvm.formulas import FORMATS, call
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.sharing import Shared

Ints = tuple[int, ...]
#: Of arrays: lengths, bytes from one element to the next along each axis, and bytes of one.
_Lie = tuple[tuple[Ints, Ints, int], ...]
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


def forward(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None, left: np.ndarray | None,
    dropout_p: float, causal: bool, scale: float,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The result, and of each row of scores the maximum and the sum of exponentials, (..., L, 2).

    Args:
        query, key, value, mask, causal, scale: of `whole.forward`.
        left: which weights dropout leaves, in the shape of the scores; None for all.
        dropout_p: how likely it leaves none.
    """
    query, key, value = map(_dense, (query, key, value))
    dtype = query.dtype
    out = vectors_like(query, value.shape[-1], dtype)
    sums = vectors_like(query, 2, dtype)
    beside = _beside(key.shape[-2], mask, left)
    arrays = (query, key, value, out, sums, *beside)
    run, cost, heads, lengths = _plan(_lie(arrays), causal, dtype, _kinds(mask, left))
    run(len(heads), cost, *arrays, lasting(heads), _numbers(scale, dropout_p, dtype), *lengths)
    return out, sums


def backward(
    g: np.ndarray, query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None, out: np.ndarray,
    sums: np.ndarray, left: np.ndarray | None, dropout_p: float, causal: bool, scale: float, mask_gradient: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """The gradients by query, key and value and, with `mask_gradient`, by the scores, from that by the result."""
    given = tuple(map(_dense, (g, query, key, value, out, sums)))
    dtype = query.dtype
    found = tuple(vectors_like(a, a.shape[-1], dtype) for a in given[1:4])
    columns = key.shape[-2]
    beside = _beside(columns, mask, left)
    if mask_gradient:
        found = *found, vectors_like(query, columns, dtype)
        if causal:
            clear(found[3])
    arrays = (*given, *found, *beside)
    run, cost, heads, lengths = _plan(_lie(arrays), causal, dtype, _kinds(mask, left), mask_gradient)
    run(len(heads), cost, *arrays, lasting(heads), _numbers(scale, dropout_p, dtype), *lengths)
    return found


def _lie(arrays: tuple[np.ndarray, ...]) -> _Lie:
    """How arrays lie in memory."""
    return tuple([(a.shape, a.strides, a.itemsize) for a in arrays])


@functools.lru_cache(maxsize=128)
def _plan(
    lie: _Lie, causal: bool, dtype: np.dtype, kinds: tuple[str, bool], mask_gradient: bool | None = None
) -> tuple[Shared, int, np.ndarray, Ints]:  # fmt: skip
    """The code of `forward`, or of `backward` where there may be a gradient by the mask, what is to be shared, `_heads`, and
    the bytes and lengths that the code is given. Kept, since to find them took a third of the time of a call with 32 vectors
    of 64 numbers, and a sixth of one with a mask, gradients and 32 heads of 16 of 32."""
    back = mask_gradient is not None
    (*lead, rows, width), (*_, columns, _), (*_, wide) = (shape for shape, *_ in lie[back : back + 3])
    block = _block(rows, columns)
    blocks = -(-columns // block)
    beside = [blocks * block * block * itemsize for *_, itemsize in lie[len(lie) - (kinds[0] != "") - kinds[1] :]]
    cost = math.prod(lead) * rows * columns * (width + wide) // (2 if causal else 1)  # of scores that are seen
    short, long, tile = (block * n * dtype.itemsize for n in (width, wide, block))  # bytes of a block
    if mask_gradient is not None:
        run = _backward(width, wide, causal, block, dtype.char, *kinds, mask_gradient)
        scratch = *[blocks * short] * 3, *[blocks * long] * 3, *[blocks * tile] * 2, short, short, long, long
    else:
        run = _forward(width, wide, causal, block, dtype.char, *kinds)
        scratch = blocks * short, blocks * short, blocks * long, blocks * tile, short, long, block * dtype.itemsize
    return run, 5 * cost // 2 if back else cost, _heads(lie), (*scratch, *beside, rows, columns)


def _beside(columns: int, *arrays: np.ndarray | None) -> list[np.ndarray]:
    """Those that are there, which broadcast to the scores, with rows that are dense and whole."""
    given = (a for a in arrays if a is not None)
    return [_dense(a if a.shape[-1] == columns else np.broadcast_to(a, (*a.shape[:-1], columns))) for a in given]


def _kinds(mask: np.ndarray | None, left: np.ndarray | None) -> tuple[str, bool]:
    """What a kernel is made for: the mask's dtype, and whether there is dropout."""
    return "" if mask is None else mask.dtype.char, left is not None


def _block(rows: int, columns: int) -> int:
    """Rows and columns of a tile."""
    return SHORT if max(rows, columns) <= SHORT else BLOCK


def _dense(a: np.ndarray) -> np.ndarray:
    """The array with vectors that are dense."""
    return a if a.strides[-1] == a.itemsize else dense(a)


def _heads(lie: _Lie) -> np.ndarray:
    """By head and array, in elements: where it begins, and how far its vectors lie apart; 0 where they are one for all."""
    lead, found = lie[0][0][:-2], []
    for shape, strides, itemsize in lie:
        *steps, vector = (s // itemsize if n > 1 else 0 for n, s in zip(shape[:-1], strides, strict=False))
        offsets = np.zeros((), np.int64)
        for n, step in zip(lead, [0] * (len(lead) - len(steps)) + steps, strict=True):
            offsets = np.add.outer(offsets, np.arange(n) * step)
        found.append(np.stack([offsets.reshape(-1), np.full(offsets.size, vector)], -1))
    return np.ascontiguousarray(np.stack(found, 1), np.int64)


def _numbers(scale: float | np.ndarray, dropout_p: float, dtype: np.dtype) -> np.ndarray:
    """The factors of the scores, and of the weights that dropout leaves. They stay unless the first is given in an array, in
    which it may be another one at the next call."""
    factors = scale, 1 / (1 - dropout_p) if dropout_p < 1 else 0.0
    return np.array(factors, dtype) if isinstance(scale, np.ndarray) else lasting(_lasting(factors, dtype))


@functools.lru_cache(maxsize=64)
def _lasting(numbers: tuple[float, ...], dtype: np.dtype) -> np.ndarray:
    return np.array(numbers, dtype)


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
        for first, count in self.k.blocks(self.rows, self.block):
            tiles = self.blocks
            if self.causal:
                tiles = (first.op("udiv", first, self.block) + 1).at_most(tiles)
            yield first, count, tiles

    def gemm(
        self, a: Array, a_row: int, b: Array, b_row: int, c: Array, columns: int, inner: int, add: bool, turned: bool = False
    ) -> None:  # fmt: skip
        """c = a b or c += a b, of `block` rows; or with aᵀ."""
        left = gemm.Matrix(a.pointer, 1, a_row) if turned else gemm.Matrix(a.pointer, a_row, 1)
        matrices = [left, gemm.Matrix(b.pointer, b_row, 1), gemm.Matrix(c.pointer, columns, 1)]
        gemm.write(self.k, (self.block, columns, self.k.opaque(inner)), matrices, self.k.dtype, add)

    def visible(self, i: Value, first: Value) -> Value:
        """How many columns a row sees, in all lanes."""
        seen = (first + i + 1).at_most(self.columns) if self.causal else self.columns
        return self.k.spread(seen.convert("trunc", "i32"), self.k.lanes)

    def vectors(self, tiles: Value) -> Iterator[tuple[Value, int, Value]]:
        """The vectors of a row of scores: where their tile begins, their place in it, and the numbers of their columns."""
        lanes = self.k.lanes
        numbers = ", ".join(f"i32 {n}" for n in range(lanes))
        for t in self.k.turns(tiles):
            column = self.k.spread((t * self.block).convert("trunc", "i32"), lanes) + Value(
                self.k, f"<{numbers}>", f"<{lanes} x i32>"
            )
            for at in range(0, self.block, lanes):
                yield t * self.block, at, column + at if at else column

    def copied(
        self, source: tuple[Array, Value], first: Index, count: Value, to: Array
    ) -> Callable[[Value, Index], Value]:
        """Copy `count` rows of an array of the shape of the scores, or the one that all of them are: what reads vectors of
        them, by row and column, also behind their end."""
        array, row = source
        same = row.eq(0)
        apart = same.where(self.k.index(0), self.blocks * self.block)
        for i in self.k.turns(same.where(self.k.index(1), count)):
            self.k.copy(array.at((first + i) * row), to.at(i * apart), self.columns * array.dtype.itemsize)
        return lambda i, column: to.load(i * apart + column, lanes=self.k.lanes)

    def put(self, source: Array, i: Value, tiles: Value, to: tuple[Array, Value], row: Value) -> None:
        """Copy a row of tiles to one of an array of the shape of the scores."""
        array, apart = to
        for t in self.k.turns(tiles):
            tile = t * self.block
            length = (self.columns - tile).at_most(self.block)
            self.k.copy(source.at(tile + i), array.at(row * apart + tile), length * array.dtype.itemsize)

    def score(self, product: Value, unseen: Value, mask: Value | None) -> Value:
        """A vector of scores: -inf where a key is not seen, which a mask of bytes says with a 0."""
        if mask is not None and mask.is_float:
            product = product + mask
        elif mask is not None:
            unseen = unseen | mask.eq(0)
        return unseen.where(self.k.number(-math.inf, self.k.lanes), product)

    def weight(self, score: Value, most: Value) -> Value:
        """e^(score - most). Some processors take a hundred times as long where a result underflows, as e^-inf would."""
        zero = self.k.number(0.0, self.k.lanes)
        less = score - most
        none = less < FORMATS[llvm_type(self.k.dtype)].exp_range[0]
        return none.where(zero, call("exp", none.where(zero, less)))

    def clear(self, a: Array, count: Index, width: int, first: Index = 0) -> None:
        """Set vectors to 0."""
        zero = self.k.number(0.0, self.k.lanes)
        for i in self.k.turns(count, first):
            for j, some in self.k.vectors(0, width):
                a.store(zero, i, j, count=some)

    def multiply(self, a: Array, i: Index, width: int, factor: Value) -> None:
        """Multiply a vector by a number."""
        value = self.k.spread(factor, self.k.lanes)
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


@factory(64)
def _forward(width: int, wide: int, causal: bool, block: int, char: str, mask: str, dropout: bool) -> Shared:
    k = Kernel("attention", char, vectors=True)
    beside = [np.dtype(c) for c in (mask, "?" * dropout) if c]
    arrays = [*(k.array(1) for _ in range(5)), *(k.array(1, dtype=dtype) for dtype in beside)]
    heads = k.array(1, dtype=np.int64)
    numbers = k.array(1)
    keys, turned, values = k.scratch(1, width), k.scratch(1, width), k.scratch(1, wide)
    scores = k.scratch(1, block)
    own, results, totals = k.scratch(1, width), k.scratch(1, wide), k.scratch(1)
    copies = [k.scratch(1, dtype=dtype) for dtype in beside]
    begin, end = k.range()
    rows, columns = k.integer(), k.integer()
    head = _Head(k, causal, rows, columns, block)
    lanes = k.lanes
    factor, kept = k.spread(numbers.load(0), lanes), numbers.load(1)
    # Finite, so that a row without a key has weights of 0, and not of nan.
    lowest, zero = k.number(float(np.finfo(char).min), lanes), k.number(0.0, lanes)
    padded = head.blocks * block
    for h in k.turns(end, begin):
        (query, by), (key, key_by), (value, value_by), out, (sums, sums_by), *others = _placed(arrays, heads, h)
        head.gather(key, key_by, 0, columns, keys, padded, width)
        head.gather(value, value_by, 0, columns, values, padded, wide)
        head.turned(keys, turned, width)
        for first, count, tiles in head.row_blocks():
            head.gather(query, by, first, count, own, block, width)
            for t in k.turns(tiles):
                head.gemm(own, width, turned.moved(t * block), block, scores.moved(t * block), block, width, False)
            read = [head.copied(a, first, count, to) for a, to in zip(others, copies, strict=True)]
            for i in k.turns(count):
                seen = head.visible(i, first)
                most, total = k.variable(lowest), k.variable(zero)
                for tile, at, column in head.vectors(tiles):
                    product = scores.load(tile + i, at, lanes=lanes) * factor
                    score = head.score(product, column >= seen, read[0](i, tile + at) if mask else None)
                    scores.store(score, tile + i, at)
                    most.set((score > most.value).where(score, most.value))
                top = k.most(most.value)
                tops = k.spread(top, lanes)
                for tile, at, _ in head.vectors(tiles):
                    weight = head.weight(scores.load(tile + i, at, lanes=lanes), tops)
                    total += weight
                    if dropout:
                        weight = read[-1](i, tile + at).ne(0).where(weight, zero)
                    scores.store(weight, tile + i, at)
                below = k.total(total.value).at_least(1.0)  # more than 0 in a row without a key
                totals.store(below, i)
                sums.store(top, (first + i) * sums_by)
                sums.store(below, (first + i) * sums_by + 1)
            head.clear(results, block, wide)
            for t in k.turns(tiles):
                head.gemm(scores.moved(t * block), block, values.moved(t * block), wide, results, wide, block, True)
            for i in k.turns(count):
                head.multiply(results, i, wide, (kept if dropout else k.number(1.0)) / totals.load(i))
            head.spread(results, *out, first, count, wide)
    return k.shared()


def _placed(arrays: list[Array], heads: Array, h: Value) -> list[tuple[Array, Value]]:
    """Each array at a head, and how far its vectors lie apart."""
    count = len(arrays)
    places = [(h * count + i) * 2 for i in range(count)]
    return [(a.moved(heads.load(at)), heads.load(at + 1)) for a, at in zip(arrays, places, strict=True)]


@factory(64)
def _backward(
    width: int, wide: int, causal: bool, block: int, char: str, mask: str, dropout: bool, mask_gradient: bool
) -> Shared:
    k = Kernel("attention_grad", char, vectors=True)
    beside = [np.dtype(c) for c in (mask, "?" * dropout) if c]
    arrays = [*(k.array(1) for _ in range(9 + mask_gradient)), *(k.array(1, dtype=dtype) for dtype in beside)]
    heads = k.array(1, dtype=np.int64)
    numbers = k.array(1)
    keys, keys_turned, key_sums = (k.scratch(1, width) for _ in range(3))
    values, values_turned, value_sums = (k.scratch(1, wide) for _ in range(3))
    weights, by_scores = k.scratch(1, block), k.scratch(1, block)
    own, own_sums = k.scratch(1, width), k.scratch(1, width)
    upper, results = k.scratch(1, wide), k.scratch(1, wide)
    copies = [k.scratch(1, dtype=dtype) for dtype in beside]
    begin, end = k.range()
    rows, columns = k.integer(), k.integer()
    head = _Head(k, causal, rows, columns, block)
    lanes = k.lanes
    scale, zero = numbers.load(0), k.number(0.0, lanes)
    factor, kept = k.spread(scale, lanes), k.spread(numbers.load(1), lanes)
    padded = head.blocks * block
    for h in k.turns(end, begin):
        placed = _placed(arrays, heads, h)
        (g, g_by), (query, by), (key, key_by), (value, value_by), (out, out_by), (sums, sums_by), *rest = placed
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
            # What divides the weights divides g in their place: all that they are multiplied with has it as a factor.
            for i in k.turns(count):
                head.multiply(upper, i, wide, 1.0 / sums.load((first + i) * sums_by + 1))
            for t in k.turns(tiles):
                tile = t * block
                head.gemm(own, width, keys_turned.moved(tile), block, weights.moved(tile), block, width, False)
                head.gemm(upper, wide, values_turned.moved(tile), block, by_scores.moved(tile), block, wide, False)
            read = [head.copied(a, first, count, to) for a, to in zip(rest[3 + mask_gradient :], copies, strict=True)]
            for i in k.turns(count):
                seen = head.visible(i, first)
                off = k.spread(head.inner(upper, results, i, wide), lanes)
                tops = k.spread(sums.load((first + i) * sums_by), lanes)
                for tile, at, column in head.vectors(tiles):
                    product = weights.load(tile + i, at, lanes=lanes) * factor
                    score = head.score(product, column >= seen, read[0](i, tile + at) if mask else None)
                    weight = used = head.weight(score, tops)
                    by_weight = by_scores.load(tile + i, at, lanes=lanes)
                    if dropout:
                        left = read[-1](i, tile + at).ne(0).where(kept, zero)
                        used, by_weight = weight * left, by_weight * left
                    weights.store(used, tile + i, at)
                    by_scores.store((by_weight - off) * weight, tile + i, at)
                if mask_gradient:
                    head.put(by_scores, i, tiles, rest[3], first + i)
            for i in k.turns(block, count):  # rows that are not there
                for tile, at, _ in head.vectors(tiles):
                    weights.store(zero, tile + i, at)
                    by_scores.store(zero, tile + i, at)
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
            for i in k.turns(count):
                head.multiply(own_sums, i, width, scale)
            head.spread(own_sums, *rest[0], first, count, width)
        for i in k.turns(columns):
            head.multiply(key_sums, i, width, scale)
        head.spread(key_sums, *rest[1], 0, columns, width)
        head.spread(value_sums, *rest[2], 0, columns, wide)
    return k.shared()
