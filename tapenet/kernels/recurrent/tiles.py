"""What the code of a turn is made of: where its arrays lie, and products in tiles of rows and vectors of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tapenet.llvm.code import Carried
from tapenet.llvm.emitter import Value
from tapenet.llvm.kernel import Array, Index, Kernel
from tapenet.llvm.processor import registers

#: Rows of the batch of a thread, or a multiple of it: weights are read for a few rows at a time.
GRAIN = 2


class Layer(NamedTuple):
    """What code is made for.

    Attributes:
        kind: "lstm", "gru", "tanh" or "relu".
        units: of the layer.
        inputs: of the layer, if the code multiplies them or by their weights, else 0.
        char: of the dtype.
        seen: going backwards, whether there is a gradient by the outputs.
        keeps: going forwards, whether what the gradient needs beside the states is written.
    """

    kind: str
    units: int
    inputs: int
    char: str
    seen: bool = True
    keeps: bool = True

    @property
    def gates(self) -> int:
        """Blocks of rows of the weights."""
        return {"lstm": 4, "gru": 3}.get(self.kind, 1)


class Spot:
    """A vector of one row of arrays (rows, units): reads and writes them there."""

    def __init__(self, k: Kernel, row: Index, unit: Index, count: int | None) -> None:
        self.k, self.row, self.unit, self.count = k, row, unit, count

    def load(self, array: Array) -> Value:
        return array.load(self.row, self.unit, lanes=self.k.lanes, count=self.count)

    def store(self, value: Value, *arrays: Array) -> None:
        for array in arrays:
            array.store(value, self.row, self.unit, count=self.count)


class Turn:
    """One turn: where what it reads and writes lies, as arrays of (rows, units)."""

    def __init__(self, k: Kernel, units: int, step: Value, counts: Sequence[Value], backwards: bool) -> None:
        steps, batch, reverse = counts
        down = 1 - reverse if backwards else reverse
        self.k, self.units, self.reverse = k, units, reverse
        self.time = step + down * (steps - 1 - step * 2)
        self.size = batch * units
        #: How far gates lie apart.
        self.apart = steps * self.size

    def now(self, array: Array, gate: int = 0) -> Array:
        """An array of all turns, at this one."""
        return self._at(array, self.time * self.size + self.apart * gate)

    def before(self, array: Array) -> Array:
        """A history, before this turn."""
        return self._at(array, (self.time + self.reverse) * self.size)

    def after(self, array: Array) -> Array:
        """A history, after this turn."""
        return self._at(array, (self.time + 1 - self.reverse) * self.size)

    def _at(self, array: Array, place: Value) -> Array:
        return array.moved(place).shaped(1, self.units)


class Tiles:
    """The rows from `first` to `last` in tiles of about equal height, as high as registers allow for so many vectors."""

    def __init__(self, k: Kernel, first: Value, last: Value, vectors: int) -> None:
        self.k = k
        self.most = most = max(1, (registers().number - 2 - vectors) // vectors)
        rows = (last - first).at_least(0)
        number = (rows + (most - 1)).op("udiv", rows + (most - 1), most).at_least(1)
        small = rows.op("udiv", rows, number)
        middle = first + (rows - small * number) * (small + 1)
        self.runs = []
        for height in range(most, 0, -1):
            high, low = (small + 1).eq(height), small.eq(height)
            begin = high.where(first, middle)
            self.runs.append((height, begin, high.where(middle, low.where(last, begin))))

    def __iter__(self) -> Iterator[tuple[int, Value]]:
        """The height of a tile, and its first row."""
        for height, begin, end in self.runs:
            for at in self.k.turns(end, begin, height):
                yield height, at


class Strip:
    """Columns of some blocks that are computed together: the vectors of each block, and where its packed weights begin."""

    def __init__(self, k: Kernel, begin: Index, vectors: int, rest: int | None) -> None:
        self.k, self.begin = k, begin
        #: Where each vector begins, and how many numbers it has, if fewer than lanes.
        self.parts = [(begin + v * k.lanes if v else begin, rest if v == vectors - 1 else None) for v in range(vectors)]

    def weights(self, packed: Array, inner: int, blocks: int) -> Array:
        """Its weights as (inner, blocks · vectors)."""
        place = self.begin * (inner * blocks)
        return packed.moved(place).shaped(1, blocks * len(self.parts) * self.k.lanes)

    @staticmethod
    def of(k: Kernel, columns: int, most: int, within: tuple[Value, Value] | None = None) -> Iterator[Strip]:
        """All strips of so many columns, of `most` vectors but for the last; or those from one to another."""
        width = k.lanes * most
        whole = columns // width
        rest = columns - whole * width
        first, last = (0, whole) if within is None else (within[0], within[1].at_most(whole))
        if whole:
            for i in k.turns(last, first):
                yield Strip(k, i * width, most, None)
        if rest:
            strip = Strip(k, k.index(whole * width), -(-rest // k.lanes), rest % k.lanes or None)
            if within is None:
                yield strip
            else:
                for _ in k.when(within[1] > whole):
                    yield strip


Sums = list[list[Value]]


def add_product(
    k: Kernel, sums: Sums, columns: Sequence[int], a: Array, b: Array, inner: int, gates: int = 1,
    apart: Value | None = None,
) -> None:  # fmt: skip
    """Add the product of some rows and a strip of weights to the sums of a tile.

    Args:
        sums: by row and column, vectors.
        columns: those that the strip has, in its order.
        a: (rows, inner), from the first row of the tile on.
        b: (inner, columns).
        gates: how many matrices a there are, `apart` numbers from one another, each with `inner` rows of b.
    """
    cells = [[Carried(row[c].name, row[c].type) for c in columns] for row in sums]
    type = sums[0][0].type
    length = k.opaque(inner)

    def product(a: Array, b: Array) -> None:
        def step(index: str) -> None:
            i = Value(k, index, "i64")
            vectors = [b.load(i, v * k.lanes, lanes=k.lanes) for v in range(len(columns))]
            for r, row in enumerate(cells):
                number = k.spread(a.load(r, i), k.lanes)
                for cell, vector in zip(row, vectors, strict=True):
                    cell.after = (Value(k, cell.register, type) + number * vector).name

        k.loop(length, step, [cell for row in cells for cell in row])

    def gate(index: str) -> None:
        g = Value(k, index, "i64")
        assert apart is not None
        pointer = a.shaped(1).at(g * apart)
        product(Array(k, pointer, a.strides, a.dtype), b.moved(g * inner))

    if gates == 1:
        product(a, b)
    else:
        k.loop(k.opaque(gates), gate, [cell for row in cells for cell in row])
    for row, carried in zip(sums, cells, strict=True):
        for c, cell in zip(columns, carried, strict=True):
            row[c] = Value(k, cell.register, type)
