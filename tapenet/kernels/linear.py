"""The three products of a linear layer, in tiles held in registers, for any number of rows.

Where there are many, the right operand is packed into panels (`kernels/panels.py`). Threads take pieces of columns of the
result, so that none packs what another does; of a long and narrow one pieces of some rows and columns."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np

from tapenet.kernels import aligned, moves, panels
from tapenet.kernels.blocks import counted, kind
from tapenet.llvm import gemm, sharing, workers
from tapenet.llvm.code import offset
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared

#: Numbers of the matrix of weights, at most, in products by rows and for their gradient. Of (512, 768) and (768, 768) a product
#: takes 0.8 of BLAS's time, of (2048, 1024) and (1024, 4096) 0.9 (Xeon, AVX-512); a gradient by (768, 3072) weights would take
#: 1.2 for 512 rows.
LARGEST, GRADIENT = 1 << 22, 1 << 19
#: Multiply-adds from which a kernel is worth the time that it takes to compile once.
WORTH = 1_500_000
#: Rows from which kernels are quicker than BLAS. Of 16 rows it takes 0.8 to 1.0 of their time.
LEAST = {"product": 24, "product_turned": panels.ROWS, "weight_grad": 1}
#: Multiply-adds up to which OpenBLAS has kernels that pack nothing.
SMALL = 1_000_000
#: Up to so many rows, of so many weights at least, all weights are streamed through registers once: (1024, 1024) take 0.35 of
#: BLAS's time for 8 rows, 0.55 for 32; (512, 512) 0.55 for 8 rows, 0.75 for 16.
STREAMED = ((16, 1 << 17), (32, 3 << 17))
#: Bytes of a column up to which products with a transpose are inner products: of (512, 512) 4 rows take 0.20 of BLAS's time, 16
#: rows 0.45 and 32 rows 0.8, of (2048, 2048) 0.28, 0.62 and 0.76. OpenBLAS has a kernel for results of so many numbers.
INNER, TINY = 128, 1200
#: Rows of weights that are streamed at once, bytes of a block of columns at most, and columns that it has a multiple of; fewer
#: are left to tiles.
STREAMS, BLOCK, NARROW = 16, 2048, 64
#: Rows of either factor in a tile of inner products, and rows up to which a convolution's gradient by its weights is made of
#: such: 2 by 32 over 16,384 places take 0.6 to 0.8 of the time of direct sums, 10 by 256 over 784 0.67 of that of panels. More
#: than a tile's are read again for each: 12 by 256 over 16,384 places take 0.82, over 65,536, which no cache near holds, 1.6.
SIDE, LINES = 4, 12
#: Length of sums from which a convolution's gradient by its weights is made as its transpose where that has fewer columns by
#: such a factor: only these are brought into panels, and turning the result costs little. On a Xeon with AVX-512 64 by 256 over
#: 3,136 places take 0.89 of the time so, 16 by 96 over 12,544 0.81; 64 by 128 over 3,136 and 64 by 384 over 196 as long, 256 by
#: 1,024 over 196 1.25. 24 by 96 over 3,136, which fill a vector in part, would take 1.05.
DEEP, FEWER = 2048, 3
#: Rows up to which the gradient of weights, of so many at least, is made of outer products: BLAS packs both operands, panels
#: write runs of 256 bytes. 4 rows and (512, 512) take 0.35 of BLAS's time, 16 rows and (1024, 1024) or (768, 3072) half.
THIN, WEIGHTS = 32, 1 << 17
#: Weights from which that of one row is: (48, 1152) and (784, 512) take 0.35 of the time of NumPy's multiplication, (100, 100)
#: 1.1.
ONE = 1 << 15
#: Of outer products: rows of the result and vectors in a tile, and bytes of g that are copied to be read again for each.
OUTER, ACROSS, COPIED = 6, 4, 1 << 16
#: Rows that the gradient of the weights takes at a time, so that they stay in the second level cache.
ROWS = 256
#: Bytes of a left operand up to which it is read again for each group of columns, of so many bytes of the result, as are added
#: to in the second level cache for one depth of panels after the other: 64 x 256 times (256, 16384) takes 0.93 of the time.
FACTOR, GROUP = 1 << 19, 1 << 19
#: Pieces for each thread at least, where there are rows enough; rows of such a piece at least.
PIECES, TALL = 2, 128
#: Rows of a piece at least where threads would have unequal work otherwise, and in the time of how many rows a panel is packed,
#: which each piece does anew. (64, 8192) times (8192, 64) takes 0.59 of the time on two threads, (64, 4096) times (4096, 192)
#: 0.86.
LOW, PACKED = 24, 24


def takes(product: str, n: int, inputs: int, outputs: int, itemsize: int = 4) -> bool:
    """Whether `product` or another, by its name, is faster for so many rows, inputs and outputs than one call of BLAS:
    with wide registers, for which OpenBLAS has kernels of its own for little work too."""
    work, weights = n * inputs * outputs, inputs * outputs
    if not wide() or min(inputs, outputs) < 4:
        return False
    if product == "product_turned" and itemsize < n * itemsize <= INNER:
        return n * outputs > TINY
    if product == "product":
        few = _streams(n, inputs, outputs)
    else:
        thin = 1 < n <= THIN and WEIGHTS <= weights <= GRADIENT
        few = product == "weight_grad" and (thin or _outer_pays(n, inputs, outputs))
    most = GRADIENT if product == "weight_grad" else LARGEST
    return few or (n >= LEAST[product] and work >= WORTH and weights <= most)


def _outer_pays(n: int, inputs: int, outputs: int) -> bool:
    """Whether the gradient of weights is made of outer products."""
    return 0 < n <= THIN and inputs * outputs >= (ONE if n == 1 else WEIGHTS) and outputs >= NARROW


def _streams(n: int, inputs: int, outputs: int) -> bool:
    """Whether weights are streamed through registers for so many rows."""
    return n > 1 and n * inputs * outputs > SMALL and any(n <= m and inputs * outputs >= w for m, w in STREAMED)


def product(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """x @ weight + bias for rows x (n, in), a dense matrix (in, out) and a vector (out,), all in C order."""
    n, (inputs, outputs) = len(x), weight.shape
    if not _streams(n, inputs, outputs):
        return _rows(x, weight, False, bias)
    out = aligned((n, outputs), x.dtype)
    run, length, numbers = _stream(n, inputs, outputs, x.dtype, workers.threads())
    run(length, n * inputs * outputs, x, weight, out, *numbers)
    if bias is not None:
        out += bias
    return out


def product_turned(g: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """g @ weightᵀ + bias for rows g (n, out), a matrix (in, out) and a vector (in,), all in C order."""
    n, (inputs, outputs) = len(g), weight.shape
    if n >= panels.ROWS:
        return _rows(g, weight, True, bias)
    out = aligned((n, inputs), g.dtype)
    _inner(n, inputs, outputs, g.dtype.char)(inputs, _cost(n, inputs, outputs, g.itemsize), g, weight, out)
    if bias is not None:
        out += bias
    return out


def few_rows(
    n: int, inputs: int, outputs: int, turned: bool, dtype: np.dtype
) -> tuple[Shared, int, tuple[int, ...]] | None:
    """The code of `product` of few rows, or of `product_turned` with (in, out) for (out, in), the length of its range and its
    integers; None where others are as quick."""
    if turned:
        taken = n < panels.ROWS and takes("product_turned", n, outputs, inputs, dtype.itemsize)
        return (_inner(n, outputs, inputs, dtype.char), outputs, ()) if taken else None
    taken = takes("product", n, inputs, outputs) and _streams(n, inputs, outputs)
    return _stream(n, inputs, outputs, dtype) if taken else None


def _stream(
    n: int, inputs: int, outputs: int, dtype: np.dtype, threads: int = 2
) -> tuple[Shared, int, tuple[int, ...]]:  # fmt: skip
    """Two blocks at least, if there are as many threads. One alone is quicker with whole rows: 8 rows times (25088, 512) take
    0.78 of the time of two blocks, times (512, 512) 0.95."""
    block = min(BLOCK // dtype.itemsize, -(-outputs // (min(threads, 2) * NARROW)) * NARROW)
    run = _streamed(n, outputs % NARROW, BLOCK // dtype.itemsize, dtype.char)
    return run, -(-outputs // block), (inputs, outputs, block)


def panelled(a: np.ndarray, b: np.ndarray, out: np.ndarray, transposed: str = "") -> None:
    """Write a @ b of matrices in C order, or the product with the "left" or the "right" one transposed. For wide registers."""
    (n, outputs), depth, left = out.shape, a.size // len(out), transposed == "left"
    if transposed == "right" and (n <= SIDE or (n <= LINES and not gemm.far(a.nbytes))):
        _inner(n, outputs, depth, a.dtype.char)(outputs, n * outputs * depth, a, b, out)
        return
    if transposed == "right" and _exchanges(n, outputs, depth, a.dtype):
        turned = aligned((outputs, n), a.dtype)
        panelled(b, a, turned, "right")
        moves.turned_into(turned, out)
        return
    # One row too, which for layers is BLAS's: 64-1 channels on 8 images of 64 x 64 take 0.54 of the time of panels. Of up to 16
    # it pays where panels are not read where they lie and come from beyond the second level cache: (16, 64) times (64, 16384)
    # takes 0.85 of the time, (16, 96) times (96, 16384) 0.65 to 0.83; (16, 24) times (24, 16384) would take 1.6.
    beyond = b.nbytes > gemm.largest() and outputs * b.itemsize % panels.APART == 0
    most = STREAMS if beyond else 0 if left else SIDE
    if transposed != "right" and n <= most and _streams(max(n, 2), depth, outputs):
        a = moves.transposed(a) if left else a
        run, length, numbers = _stream(n, depth, outputs, a.dtype, workers.threads())
        run(length, n * outputs * depth, a, b, out, *numbers)
        return
    run, length, cost, numbers = _panelled(n, outputs, depth, transposed, a.dtype, workers.threads())
    run(length, cost, a, b, out, *(() if left else (out,)), *numbers)


def _exchanges(n: int, outputs: int, depth: int, dtype: np.dtype) -> bool:
    """Whether operands that both have what is summed up innermost change places: the fewer rows are brought into panels then.
    They fill vectors, two at least where tiles would have few rows: 16 by 96 over 16,384 places would take 1.06 of the time."""
    lanes, wide = registers().bytes // dtype.itemsize, gemm.across(ROWS, dtype)
    apart = depth * dtype.itemsize % gemm.APART == 0
    full = n % lanes == 0 and (2 * lanes if apart else lanes) <= n <= wide
    return full and FEWER * n <= outputs and depth >= DEEP


@functools.lru_cache(maxsize=512)
def _panelled(
    n: int, outputs: int, depth: int, transposed: str, dtype: np.dtype, threads: int
) -> tuple[Shared, int, int, tuple[int, ...]]:
    """The code of `panelled` on so many threads, the length of its range, what is to be shared, and its integers.

    What it costs to read operands is not counted: images are shared so that each core has most of what it reads, and (24, 144)
    times (144, 3136) takes 0.5 of the time on two threads."""
    length, tall = _pieces(n, outputs, dtype)
    cost, columns = n * depth * outputs, _kind(outputs, dtype)
    far = outputs <= gemm.across(ROWS, dtype) and gemm.far(n * depth * dtype.itemsize)
    several = outputs > gemm.across(ROWS, dtype) and outputs * dtype.itemsize % panels.APART
    lie = n <= panels.FEW and transposed != "right" and bool(several)
    if transposed == "left":
        return _weight_grad(columns, True, dtype.char, far, lie), length, cost, (depth, tall, n, outputs)
    run = _product(depth, columns, transposed == "right", True, False, dtype.char, far, lie)
    return run, length, cost, (n, tall, outputs)


def wide() -> bool:
    """Whether registers are wide enough for kernels to be quicker than BLAS."""
    return registers().wide


def _rows(x: np.ndarray, weight: np.ndarray, turned: bool, bias: np.ndarray | None = None) -> np.ndarray:
    """x @ weight, or x @ weightᵀ; plus bias."""
    n, inputs = x.shape
    outputs = weight.shape[0 if turned else 1]
    out = aligned((n, outputs), x.dtype)
    run = _product(inputs, _kind(outputs, x.dtype), turned, n >= panels.ROWS, bias is not None, x.dtype.char)
    length, tall = _pieces(n, outputs, x.dtype)
    run(length, _cost(n, inputs, outputs, x.itemsize), x, weight, out if bias is None else bias, out, n, tall, outputs)
    return out


def weight_grad(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    """xᵀ @ g of rows x (n, in) and g (n, out), both in C order: (in, out), in C order."""
    n, inputs, outputs = len(x), x.shape[1], g.shape[1]
    if not n:
        return np.zeros((inputs, outputs), x.dtype)
    found = aligned((inputs, outputs), x.dtype)
    if _outer_pays(n, inputs, outputs):
        run = _outer(n, outputs % NARROW, COPIED // (n * x.itemsize), x.dtype.char)
        run(inputs, _cost(n, inputs, outputs, x.itemsize), x, g, found, inputs, outputs)
        return found
    run = _weight_grad(_kind(outputs, x.dtype), inputs >= panels.ROWS, x.dtype.char)
    length, tall = _pieces(inputs, outputs, x.dtype)
    run(length, _cost(n, inputs, outputs, x.itemsize), x, g, found, n, tall, inputs, outputs)
    return found


def _cost(n: int, inputs: int, outputs: int, itemsize: int) -> int:
    """What is to be shared, in multiply-adds."""
    return n * inputs * outputs - sharing.BYTE * itemsize * (n * inputs + n * outputs + inputs * outputs)


def _pieces(rows: int, columns: int, dtype: np.dtype) -> tuple[int, int]:
    """Into how many pieces a result is cut, and how many rows they have."""
    beside = -(-columns // gemm.across(ROWS, dtype))
    threads = workers.threads()
    least = 1 if threads == 1 else max(1, min(-(-PIECES * threads // beside), rows // TALL))

    def time(below: int) -> int:
        return -(-beside * below // threads) * (-(-rows // below) + PACKED)

    most = max(least, min(least + threads - 1, rows // LOW))
    tall = -(-rows // min(range(least, most + 1), key=time))
    return beside * -(-rows // tall), tall  # rounded up, fewer may be enough


def _kind(columns: int, dtype: np.dtype) -> int:
    """Columns of a result whose code serves for so many too."""
    return kind(columns, gemm.across(ROWS, dtype))


def _cut(
    k: Kernel, rows: Index, columns: Index, tall: Value, part: tuple[Value, Value]
) -> Iterator[tuple[Value, Value, tuple[Value, Value]]]:
    """The pieces of a part, those beside each other at once: where their rows begin, how many these are, and from which
    pieces to which."""
    wide = gemm.across(ROWS, k.dtype)
    more = k.index(wide - 1) + columns
    beside = more.op("udiv", more, wide)
    begin, end = part
    last = end + (beside - 1)
    for below in k.turns(last.op("udiv", last, beside), begin.op("udiv", begin, beside)):
        start = below * tall
        within = (begin - below * beside).at_least(0), (end - below * beside).at_most(beside)
        yield start, (rows - start).at_most(tall), within


@factory(256)
def _product(
    inputs: int, columns: int, turned: bool, packed: bool, biased: bool, char: str, far: bool = False, lie: bool = False
) -> Shared:  # fmt: skip
    """Of a kind of columns: how many there are is the last argument. Inputs are known, so that rows of x need no registers.
    `far` and `lie` as for `panels.write`. A bias is added in registers: where it was written to the result first, (10000, 16)
    times (16, 16) took 1.5 times as long, (100000, 8) times (8, 32) 2.7 times, (1024, 256) times (256, 1024) 1.12 times."""
    k = Kernel("linear", char, vectors=True)
    x, weight, bias, out = k.array(1, inputs), k.array(1), k.array(1), k.array(1)
    n, tall, wide = k.integer(), k.integer(), gemm.across(ROWS, k.dtype)
    outputs = counted(k, columns, wide)
    row = _name(outputs)
    right = gemm.Matrix(weight.pointer, 1, inputs) if turned else gemm.Matrix(weight.pointer, row, 1)
    for first, count, within in _cut(k, n, outputs, tall, k.range()):
        matrices = [gemm.Matrix(x.at(first), inputs, 1), right, gemm.Matrix(out.at(first * outputs), row, 1)]
        depth, more = inputs if packed else k.opaque(inputs), bias.pointer if biased else ""
        _write(k, (count.name, outputs, depth), matrices, packed, False, within, columns % wide, far, lie, more, n.name)
    return k.shared()


@factory(256)
def _inner(n: int, inputs: int, outputs: int, char: str) -> Shared:
    """g @ weightᵀ of few rows in tiles of `SIDE` rows of either: the weights are read once, as they lie."""
    k = Kernel("linear_inner", char, vectors=True)
    g, weight, out = k.array(n, outputs), k.array(inputs, outputs), k.array(n, inputs)
    begin, end = k.range(SIDE)
    lanes, zero = k.lanes, k.number(0.0, k.lanes)
    whole = outputs - outputs % lanes

    def tile(row: Index, rows: int, first: Index, count: int) -> None:
        sums = [[k.variable(zero) for _ in range(count)] for _ in range(rows)]

        def step(j: Index, some: int | None) -> None:
            right = [weight.load(first + i, j, lanes=lanes, count=some) for i in range(count)]
            for r, line in enumerate(sums):
                left = g.load(row + r, j, lanes=lanes, count=some)
                for cell, b in zip(line, right, strict=True):
                    cell += left * b

        if whole:
            for j in k.turns(Value(k, k.opaque(whole), "i64"), 0, lanes):
                step(j, None)
        if whole < outputs:
            step(whole, outputs - whole)
        for r, line in enumerate(sums):
            for i, cell in enumerate(line):
                out.store(k.total(cell.value), row + r, first + i)

    def column(first: Index, count: int) -> None:
        for row in k.turns(n - n % SIDE, 0, SIDE) if n >= SIDE else ():
            tile(row, SIDE, first, count)
        if n % SIDE:
            tile(n - n % SIDE, n % SIDE, first, count)

    rest = (end - begin).op("urem", end - begin, SIDE)
    for first in k.turns(end - rest, begin, SIDE):
        column(first, SIDE)
    for first in k.turns(end, end - rest):
        column(first, 1)
    return k.shared()


@factory(256)
def _streamed(n: int, left_over: int, wide: int, char: str) -> Shared:
    """x @ weight of few rows, for a range of blocks of columns; behind multiples of `NARROW` columns some are left over. The
    integers are inputs, outputs and the columns of a block, at most `wide`. Weights are read once, runs of `STREAMS` rows at a
    time, each vector into a register, for all rows of x; the sums of a block are in the first level cache."""
    k = Kernel("linear_streamed", char, vectors=True)
    x, weight, out = k.array(1), k.array(1), k.array(1)
    inputs, outputs, block = k.integer(), k.integer(), k.integer()
    begin, end = k.range(rounds=1)
    lanes, rest = k.lanes, left_over % k.lanes
    sums, left = (Array(k, k.room(k.dtype, n * width), (width, 1), k.dtype) for width in (wide, STREAMS))

    def add(first: Value, rows: int, start: Value, whole: Value, tail: Value) -> None:
        """The products with so many rows of the weights from the first on, of the columns from `start` on."""
        for r in k.turns(n):
            for d in range(rows):
                left.store(x.load(r * inputs + first + d), r, d)

        def step(j: Value, some: int | None = None) -> None:
            right = [weight.load((first + d) * outputs + start + j, lanes=lanes, count=some) for d in range(rows)]
            for r in range(n):
                total = sums.load(r, j, lanes=lanes)
                for d, vector in enumerate(right):
                    total = total + k.spread(left.load(r, d), lanes) * vector
                sums.store(total, r, j)

        for j in k.turns(whole, 0, lanes):
            step(j)
        for _ in k.when(tail) if rest else ():
            step(whole, rest)

    for i in k.turns(end, begin):
        start = i * block
        many = outputs - start
        last = many <= block
        whole = last.where(many - rest, block)
        for r in k.turns(n):
            for j in k.turns(block, 0, lanes):
                sums.store(k.number(0.0, lanes), r, j)
        deep = inputs - inputs.op("urem", inputs, STREAMS)
        for first in k.turns(deep, 0, STREAMS):
            add(first, STREAMS, start, whole, last)
        for first in k.turns(inputs, deep):
            add(first, 1, start, whole, last)
        for r in k.turns(n):
            for j in k.turns(whole, 0, lanes):
                out.store(sums.load(r, j, lanes=lanes), r * outputs + start + j)
            for _ in k.when(last) if rest else ():
                out.store(sums.load(r, whole, lanes=lanes), r * outputs + start + whole, count=rest)
    return k.shared()


@factory(256)
def _outer(n: int, left_over: int, copied: int, char: str) -> Shared:
    """xᵀ @ g of few rows, for a range of inputs; behind multiples of `NARROW` columns some are left over. Integers are
    inputs and outputs. Up to so many columns of g are copied next to each other; rows of the result are written along these."""
    k = Kernel("linear_outer", char, vectors=True)
    x, g, found = k.array(1), k.array(1), k.array(1)
    inputs, outputs = k.integer(), k.integer()
    begin, end = k.range(OUTER)
    lanes, rest, tile = k.lanes, left_over % k.lanes, ACROSS * k.lanes
    width = copied // tile * tile
    right, left = (Array(k, k.room(k.dtype, n * size), (size, 1), k.dtype) for size in (width, OUTER))

    def products(i: Value, rows: int, at: Value, j: Value, vectors: int, some: int | None = None) -> None:
        """Some rows of the result from i on, of so many vectors from column j on of those that are copied."""
        sums = [[k.variable(k.number(0.0, lanes)) for _ in range(vectors)] for _ in range(rows)]
        for r in k.turns(n):
            loaded = [right.load(r, j + v * lanes, lanes=lanes) for v in range(vectors)]
            for row, cells in enumerate(sums):
                number = k.spread(left.load(r, row), lanes)
                for cell, vector in zip(cells, loaded, strict=True):
                    cell += number * vector
        for row, cells in enumerate(sums):
            for v, cell in enumerate(cells):
                found.store(cell.value, (i + row) * outputs + at + j + v * lanes, count=some)

    for at, many in k.blocks(outputs, width):
        short = many.op("urem", many, lanes)
        whole = many - short
        tail = short > 0
        for r in k.turns(n):
            for j in k.turns(whole, 0, lanes):
                right.store(g.load(r * outputs + at + j, lanes=lanes), r, j)
            for _ in k.when(tail) if rest else ():
                right.store(g.load(r * outputs + at + whole, lanes=lanes, count=rest), r, whole)

        def rows(i: Value, count: int, at: Value = at, whole: Value = whole, tail: Value = tail) -> None:
            for r in k.turns(n):
                for row in range(count):
                    left.store(x.load(r * inputs + i + row), r, row)
            tiles = whole - whole.op("urem", whole, tile)
            for j in k.turns(tiles, 0, tile):
                products(i, count, at, j, ACROSS)
            for j in k.turns(whole, tiles, lanes):
                products(i, count, at, j, 1)
            for _ in k.when(tail) if rest else ():
                products(i, count, at, whole, 1, rest)

        last = end - (end - begin).op("urem", end - begin, OUTER)
        for i in k.turns(last, begin, OUTER):
            rows(i, OUTER)
        for i in k.turns(end, last):
            rows(i, 1)
    return k.shared()


@factory(256)
def _weight_grad(columns: int, packed: bool, char: str, far: bool = False, lie: bool = False) -> Shared:
    """Of a kind of columns. The last arguments are inputs and outputs. `far` and `lie` as for `panels.write`."""
    k = Kernel("linear_weight", char, vectors=True)
    x, g, found = k.array(1), k.array(1), k.array(1)
    n, tall, inputs, wide = k.integer(), k.integer(), k.integer(), gemm.across(ROWS, k.dtype)
    outputs = counted(k, columns, wide)
    row, left = _name(outputs), columns % wide
    for begin, count, within in _cut(k, inputs, outputs, tall, k.range()):

        def matrices(first: Index, begin: Value = begin) -> list[gemm.Matrix]:
            return [
                gemm.Matrix(x.at(inputs * first + begin), 1, inputs.name),
                gemm.Matrix(g.at(outputs * first), row, 1),
                gemm.Matrix(found.at(outputs * begin), row, 1),
            ]

        if packed:
            _write(k, (count.name, outputs, n.name), matrices(0), True, False, within, left, far, lie, "", inputs.name)
            continue
        for first, rows in k.blocks(n, ROWS):
            _write(k, (count.name, outputs, rows.name), matrices(first), False, (first > 0).name, within, left)
    return k.shared()


def _name(length: Index) -> int | str:
    """As the stride of a matrix."""
    return length if isinstance(length, int) else length.name


def _write(
    k: Kernel, lengths: tuple[str, Index, int | str], matrices: list[gemm.Matrix], packed: bool, add: bool | str,
    within: tuple[Value, Value], left: int, far: bool = False, lie: bool = False, bias: str = "", whole: str = "",
) -> None:  # fmt: skip
    """The pieces beside each other of a product, of which the last has so many columns if it has fewer than the others."""
    n, m, depth = lengths
    wide = gemm.across(ROWS, k.dtype)
    if packed:
        assert isinstance(add, bool)
        begin, end = within
        rows = Value(k, n, "i64")
        small = rows * Value(k, str(depth), "i64") <= FACTOR // k.dtype.itemsize
        group = panels.over(k.index(GROUP // (wide * k.dtype.itemsize)), rows)
        group = small.where(group, end - begin)
        for i in k.turns(panels.over(end - begin, group)):
            first = begin + i * group
            columns = first * wide, ((first + group).at_most(end) * wide).at_most(m)
            panels.write(
                k, lengths, matrices, add, columns=columns, left=left, far=far, lie=lie, bias=bias, whole=whole
            )
        return
    a, b, c = matrices
    for start, width in _columns(k, m, wide, within, left):
        right, out = (gemm.Matrix(offset(k, x.pointer, start.name, 1, k.dtype), x.row, 1) for x in (b, c))
        more = gemm.Matrix(offset(k, bias, start.name, 1, k.dtype), 0, 1) if bias else None
        gemm.write(k, (n, width, depth), [a, right, out], k.dtype, add, more)


def _columns(
    k: Kernel, m: Index, wide: int, within: tuple[Value, Value], left: int
) -> Iterator[tuple[Value, int]]:  # fmt: skip
    """So many columns in pieces: where one begins, and how many it has. Those from one piece to another."""
    whole = k.index(m // wide) if isinstance(m, int) else m.op("udiv", m, wide)
    if not isinstance(m, int) or m >= wide:
        for i in k.turns(within[1].at_most(whole), within[0]):
            yield i * wide, wide
    if left:
        for _ in k.when(within[1] > whole):
            yield whole * wide, left
