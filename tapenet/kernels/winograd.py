"""Convolution with 3 x 3 kernels in fewer multiplications: Winograd's minimal filtering, F(2x2, 3x3).

A tile of 2 x 2 results reads 4 x 4 inputs d. With the kernel g brought to U = G g Gᵀ and the inputs to V = Bᵀ d B, the
tile is Aᵀ (U ∘ V) A: 16 products in place of 36. Over channels and tiles each of the 16 is a product of matrices. The
gradient by the weights is the adjoint: Gᵀ ((A y Aᵀ) ∘ V summed over tiles) G.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (2016); Winograd, "Arithmetic complexity of
computations" (1980).

Arrays lie as (channel, height, width, batch), so the transforms are sums of dense runs over the batch; where that fills no
vector, over the tiles of a row, for which even and odd places of an image are brought apart and back. Some tiles of one
row are worked on at a time, whose V and products stay in the second level cache; their sixteen matrices lie an odd number
of rows apart, since powers of two would have a tile's sixteen numbers compete for one place in the first level cache.
What a tile sees beyond the input is read from a row of zeros: no copy with a border is made.

The error stays within a small multiple of the direct sum's: the transforms only add, at most four numbers along each axis.
F(4x4, 3x3) would take 36 products in place of 64 for four such tiles, but multiplies inputs by up to 25 and loses a
digit by it; where images are small, as behind pooling, its tiles fit badly too.

What is nan makes nan those results that see it, and no more. So may an infinity, where the direct sum would be infinite:
it comes in with both signs. So may numbers beyond a sixteenth of the largest there is, whose sums of sixteen are infinite.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from tapenet.kernels import aligned, empty
from tapenet.kernels.blocks import even, planes, turn
from tapenet.kernels.constants import made_of, zeros
from tapenet.kernels.moves import clear
from tapenet.llvm import gemm
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Array, Index, Kernel, Value
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import ROUNDS, Shared, parts

#: Columns (tiles times batch) that are worked on at a time: V and the products of 64 channels are 256 kB each.
COLUMNS = 64
#: Kernels from which flipped ones are transformed in their order, and rows of these that are read at a time: written in the
#: other order 512 x 512 take 8 ms in place of 2.
LARGE, DEEP = 1 << 16, 64
#: What a number of the transformed weights costs, in multiply-adds: it is written, and read again from afar. Of gradients it
#: costs less beside other sums, which bring weights into another order too.
TRANSFORM, GRADIENT = 60, 45
#: The same for threads.
MOVED = 20
#: The same with stride 2, of up to LARGE kernels and of more, as measured.
STRIDED = 10, 30
#: Known, or counted as a kernel runs.
Number = TypeVar("Number", int, Value)
#: Rows of whole numbers.
Matrix = Sequence[Sequence[int]]
#: The transform of kernels along one axis.
Sums = Callable[[Value, Value, Value], tuple[Value, Value, Value, Value]]
B = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))  # Bᵀ
A = ((1, 1, 1, 0), (0, 1, -1, -1))  # Aᵀ


class Shape(NamedTuple):
    """Channels of input and output, height and width of the output, batch, height and width of the input, how much
    border there is above and to the left of it, the stride, and how many results a tile has along an axis."""

    channels: int
    outs: int
    height: int
    width: int
    batch: int
    inputs: tuple[int, int]
    befores: tuple[int, int]
    stride: int = 1
    tile: int = 2

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // self.tile)

    @property
    def columns(self) -> int:
        """Columns of tiles."""
        return -(-self.width // self.tile)

    @property
    def seen(self) -> int:
        """Products of each pair of channels by other sums."""
        taps = (
            sum((1 - n) * self.stride <= t - before < length for t in range(3))
            for n, length, before in zip((self.height, self.width), self.inputs, self.befores, strict=True)
        )
        return math.prod(taps) * self.height * self.width * self.batch

    @property
    def multiply_adds(self) -> int:
        return self.products * self.rows * self.columns * self.batch * self.channels * self.outs

    @property
    def products(self) -> int:
        """Products of a tile, for each pair of channels."""
        return 16 if self.stride == 1 else 25


def pays(char: str, shape: Shape, gradient: bool = False) -> bool:
    """Whether this beats other sums: there are enough channels to make up for the transforms of images, and enough tiles for
    those of the weights. Other sums leave out taps that see nothing but border. Forward with stride 2 and short registers,
    a single block of a narrow batch would take 1.04 to 1.16 of their time, more blocks take 0.80 to 1.07."""
    if char not in "fd":
        return False
    lanes, columns = lanes_of(np.dtype(char)), shape.columns * shape.batch
    few, strided = narrow(shape, np.dtype(char)), shape.stride > 1
    if few and (lanes % shape.batch or not lanes <= 4 * columns <= 256 * lanes):
        return False
    if few and strided and not gradient and registers().bytes < 64 and shape.rows * columns <= COLUMNS:
        return False
    c, o = shape.channels, shape.outs
    seen = shape.seen
    if strided and gradient:  # even places see one tap, odd ones two
        seen = math.prod(n + n // 2 for n in shape.inputs) * shape.batch
    saved = seen - shape.products * shape.rows * columns
    cost = STRIDED[c * o > LARGE] if strided else GRADIENT if gradient else TRANSFORM
    return c * o >= (16 if few else 8 if strided else 12) * (c + o) and saved >= 16 * cost


def narrow(shape: Shape, dtype: np.dtype) -> bool:
    """Whether a batch fills no vector."""
    return 2 * shape.batch < lanes_of(dtype)


def lanes_of(dtype: np.dtype) -> int:
    """How many numbers a vector register holds."""
    return registers().bytes // dtype.itemsize


def _apart(size: Number) -> Number:
    """How many numbers the sixteen matrices of so many lie apart: not at a distance at which they compete for places in a
    cache."""
    return size + 16


def transformed(weight: np.ndarray, flipped: bool = False, turned: bool = False) -> np.ndarray:
    """U = G g Gᵀ of kernels (outs, channels, 3, 3), as (16, outs, channels). With `flipped` that of the kernels flipped
    along both axes, as (16, channels, outs), or `turned` as they are. Behind each of the sixteen matrices is a cache line of
    nothing."""
    outs, channels = weight.shape[:2]
    found = aligned((16, _apart(outs * channels)), weight.dtype)
    lanes, by_outs = lanes_of(weight.dtype), flipped and not turned
    run = _transform((outs if by_outs else channels) % lanes, flipped, by_outs, weight.dtype.char)
    length = -(-outs // lanes) if by_outs else outs
    run(length, MOVED * found.size, np.ascontiguousarray(weight), found, outs, channels)
    return found


def back(found: np.ndarray, outs: int, channels: int) -> np.ndarray:
    """The adjoint of `transformed`: Gᵀ f G, as (outs, channels, 3, 3), of the sum f of what is found in parts."""
    gradient = empty((outs, channels, 3, 3), found.dtype)
    run = _back(channels % lanes_of(found.dtype), found.dtype.char)
    run(outs, MOVED * found.size, found, gradient, len(found), outs, channels)
    return gradient


def convolve(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray, shape: Shape, flipped: bool = False
) -> None:  # fmt: skip
    """out = bias + the cross-correlation of x and weight.

    Args:
        x: (channels, *shape.inputs, batch), C-contiguous. Around it are zeros.
        weight: (outs, channels, 3, 3); with `flipped`, as the gradient by the input needs them, (channels, outs, 3, 3), to
            be flipped.
        bias: (outs,).
        out: (outs, height, width, batch), C-contiguous.
        shape: of all this.
    """
    turned = flipped and weight.shape[0] * weight.shape[1] >= LARGE
    far, odd = gemm.far(16 * shape.outs * shape.channels * x.itemsize), leaves_odd(shape, x.dtype)
    alike = shape._replace(channels=0, outs=0)
    run = _convolve(alike, matrix_rows(shape), odd, far, x.dtype.char, turned)
    border = zeros(shape.batch * shape.inputs[1], x.dtype)
    scratch = 17 * matrix_rows(shape) * most_columns(shape, x.dtype) * x.itemsize
    u = made_of(weight, ("winograd", flipped, turned), lambda: transformed(weight, flipped, turned))
    lengths = shape.channels, shape.outs
    run(
        length_of(shape, x.dtype),
        shape.multiply_adds,
        x,
        border,
        u,
        bias,
        out,
        scratch,
        _images(shape, x.dtype),
        *lengths,
    )


def weight_grad(x: np.ndarray, y: np.ndarray, shape: Shape) -> np.ndarray:
    """The gradient of `convolve` by the weights, (outs, channels, 3, 3), where y, shaped like `out`, is the one by its
    result. Sums are over the tiles of a part of the rows, and then over parts, in their order.

    Where weights are so many that sums of their own would cost threads more than they save, each takes lines of the transformed
    tiles, and reads all of x and y."""
    border = zeros(shape.batch * max(shape.inputs[1], shape.width), x.dtype)
    size, length = 16 * _apart(shape.outs * shape.channels), length_of(shape, x.dtype)
    number = parts(length, shape.multiply_adds, size)
    by_lines = number == 1
    run = _weight_grad(shape, x.dtype.char, by_lines)
    u = aligned((number, 16, _apart(shape.outs * shape.channels)), x.dtype)
    clear(u)
    column = most_columns(shape, x.dtype) * x.itemsize
    scratch = 16 * (shape.channels | 1) * column, 16 * (shape.outs | 1) * column, shape.channels * column
    arguments = x, border, u, y, *scratch, _images(shape, x.dtype)
    if by_lines:
        run(4, shape.multiply_adds, *arguments)
    else:
        run(length, shape.multiply_adds, *arguments, parts=number)
    return back(u, shape.outs, shape.channels)


def length_of(shape: Shape, dtype: np.dtype) -> int:
    """The range that kernels do: that of the blocks of tiles; of bands of rows, where batches are narrow."""
    if narrow(shape, dtype):
        return sum(count for _, count, _ in bands(shape))
    return shape.rows * sum(count for _, count, _, _ in _steps(shape))


def bands(shape: Shape) -> list[tuple[int, int, int]]:
    """The rows of tiles in bands, for narrow batches: where those of one size begin, how many there are, and the size."""
    return list(even(shape.rows, max(1, COLUMNS // (shape.columns * shape.batch))))


def _most(shape: Shape) -> int:
    """How many tiles a block has at most."""
    return max(1, COLUMNS // shape.batch)


def matrix_rows(shape: Shape) -> int:
    """How many rows apart the matrices of a block lie: an odd number, the same for about as many channels."""
    return 1 << (max(shape.channels, shape.outs) - 1).bit_length() | 1


def leaves_odd(shape: Shape, dtype: np.dtype) -> bool:
    """Whether the tallest tiles of a block leave an odd number of outputs over, of which tiles of two rows leave one."""
    return shape.outs % gemm.tall(matrix_rows(shape), dtype) % 2 > 0


def most_columns(shape: Shape, dtype: np.dtype) -> int:
    """Columns of the largest block of tiles, or of the largest band."""
    if narrow(shape, dtype):
        return max(size for *_, size in bands(shape)) * shape.columns * shape.batch
    return min(_most(shape), shape.columns) * shape.batch


# -- kernels -----------------------------------------------------------------------------------------------------


def _applied(matrix: Matrix, values: Sequence[Value]) -> list[Value]:
    """A matrix of 0, 1 and -1, times values."""
    found = []
    for row in matrix:
        total = None
        for factor, value in sorted(zip(row, values, strict=True), key=lambda pair: -pair[0]):
            if factor:
                total = value * factor if total is None else total + value if factor > 0 else total - value
        assert total is not None
        found.append(total)
    return found


def both(
    matrix: Matrix, tile: list[list[Value]], lines: Sequence[int] | None = None
) -> list[list[Value]]:  # fmt: skip
    """M t Mᵀ of a tile; only these of its lines, if any are named."""
    some = matrix if lines is None else [matrix[i] for i in lines]
    rows = [list(row) for row in zip(*(_applied(some, column) for column in zip(*tile, strict=True)), strict=True)]
    return [_applied(matrix, row) for row in rows]


def _steps(shape: Shape) -> list[tuple[int, int, int, int]]:
    """The tiles of one row in blocks: where those of one kind begin, how many there are, the tiles of each, and how many
    columns of a tile are results."""
    whole, rest = divmod(shape.width, shape.tile)
    found = [(*some, shape.tile) for some in even(whole, _most(shape))] if whole else []
    return [*found, (whole, 1, 1, rest)] if rest else found


def tile_blocks(
    k: Kernel, shape: Shape, begin: Value, end: Value
) -> Iterator[tuple[Value, Value, int, tuple[int, int]]]:  # fmt: skip
    """The blocks of tiles of a part of the range. Gives the row, the first tile, the tiles, and how many rows and columns of a
    tile are in the result."""
    steps = _steps(shape)
    row_of = sum(count for _, count, _, _ in steps)
    over = end + (row_of - 1)
    first_row, last_row = begin.op("udiv", begin, row_of), over.op("udiv", over, row_of)
    full, rest = divmod(shape.height, shape.tile)
    whole = k.index(full)
    for lowest, highest, high in (
        (first_row, last_row.at_most(whole), shape.tile),
        (first_row.at_least(whole), last_row, rest),
    ):
        if not high:
            continue
        for row in k.turns(highest, lowest):
            done = 0
            for first, count, size, wide in steps:
                start, stop = begin - row * row_of - done, end - row * row_of - done
                for block in k.turns(stop.at_most(count), start.at_least(0)):
                    yield row, block * size + first, size, (high, wide)
                done += count


def _inputs(
    k: Kernel, shape: Shape, channels: Index, x: Array, border: Array, v: Array, row: Value, first: Index, size: int,
    lines: Sequence[int] = range(4),
) -> None:  # fmt: skip
    """V of a block of tiles, these lines of them."""
    n = shape.batch
    above, before = shape.befores
    rows = [is_there(shape, 0, row, i) for i in range(4)]
    for c in k.turns(channels):
        for t in k.turns(size):
            columns = [is_there(shape, 1, first + t, j) for j in range(4)]
            corner, cells = x.moved(c, row * 2, (first + t) * 2).near(), v.moved(0, c, t * n).near()
            places = [
                [
                    seen_at(corner.moved(0, i - above, j - before), border, (line, column))
                    for j, column in enumerate(columns)
                ]
                for i, line in enumerate(rows)
            ]
            for at, count in k.vectors(0, n):
                tile = [[place.load(at, lanes=k.lanes, count=count) for place in line] for line in places]
                for i, values in zip(lines, both(B, tile, lines), strict=True):
                    for j, value in enumerate(values):
                        cells.store(value, 4 * i + j, 0, at, count=count)


def is_there(shape: Shape, axis: int, tile: Value, i: int) -> Value | None:
    """Whether the i-th row or column of a tile is in the input, None if each tile's is."""
    length, before = shape.inputs[axis], shape.befores[axis]
    step = 2 * shape.stride
    last = step * ((shape.rows, shape.columns)[axis] - 1) + i - before
    if i >= before and last < length:
        return None
    return (tile * step + (i - before)).compare("ult", length)


def seen_at(array: Array, border: Array, there: Sequence[Value | None]) -> Array:
    """The batch of one place, or zeros where it is not there."""
    k, pointer = array.kernel, array.pointer
    for condition in there:
        if condition is not None:
            pointer = condition.where(Value(k, pointer, "ptr"), Value(k, border.pointer, "ptr")).name
    return Array(k, pointer, border.strides, border.dtype)


@factory(128)
def _transform(rest: int, flipped: bool, by_outs: bool, char: str) -> Shared:
    """The range is that of the outs; with `by_outs` of vectors of them. Lengths are arguments, so that few kernels serve all:
    only how many channels, or outs with `by_outs`, are left over behind whole vectors is known."""
    k = Kernel("winograd_kernels", char, vectors=True)
    weight, u = k.array(1), k.array(1)
    outs, channels = k.integer(), k.integer()
    begin, end = k.range()
    row: Index = channels * 9 if by_outs else 9
    rows = [row * i for i in range(k.lanes)]
    matrices = _matrices(outs, channels)

    def some(o: Value, c: Index, count: int) -> None:
        at = channels * o + c
        write_kernels(
            k,
            weight.moved(at * 9).near(),
            rows,
            u.moved(outs * c + o if by_outs else at).near(),
            matrices,
            count,
            flipped,
        )

    length = outs if by_outs else channels
    whole = length.op("udiv", length, k.lanes)
    if by_outs:
        for block in k.turns(end.at_most(whole), begin):
            for c in k.turns(channels):
                some(block * k.lanes, c, k.lanes)
        for block in k.turns(end, whole) if rest else ():
            for c in k.turns(channels):
                some(block * k.lanes, c, rest)
        return k.shared()
    for o in k.turns(end, begin):
        for c in k.turns(whole * k.lanes, 0, k.lanes):
            some(o, c, k.lanes)
        if rest:
            some(o, whole * k.lanes, rest)
    return k.shared()


def _matrices(outs: Value, channels: Value) -> list[Value]:
    """Where each of the sixteen matrices begins."""
    apart = _apart(outs * channels)
    return [apart * q for q in range(16)]


def _by_g(a: Value, b: Value, c: Value) -> tuple[Value, Value, Value, Value]:
    """G times (a, b, c)."""
    outer, inner = (a + c) * 0.5, b * 0.5
    return a, outer + inner, outer - inner, c


def write_kernels(
    k: Kernel, weight: Array, rows: Sequence[Index], u: Array, matrices: Sequence[Value], count: int, flipped: bool,
    by_column: Sums = _by_g, by_row: Sums = _by_g,
) -> None:  # fmt: skip
    """U of so many kernels: where each begins, and where each of the sixteen matrices does."""
    zero, taps = k.number(0.0, k.lanes), []
    for t in range(0, 9, k.lanes):
        some = min(9 - t, k.lanes)
        loaded = [weight.load(row + t, lanes=k.lanes, count=some) if i < count else zero for i, row in enumerate(rows)]
        taps += k.transposed(loaded)[:some]
    if flipped:
        taps.reverse()
    lines = zip(*(by_column(*taps[i::3]) for i in range(3)), strict=True)
    values = [value for line in lines for value in by_row(*line)]
    for at, value in zip(matrices, values, strict=True):
        u.store(value, at, count=count if count < k.lanes else None)


@factory(128)
def _back(rest: int, char: str) -> Shared:
    """The range is that of the outs. Of the lengths only how many channels are left over behind whole vectors is known."""
    k = Kernel("winograd_back", char, vectors=True)
    u, found = k.array(1), k.array(1)
    parts, outs, channels = k.integer(), k.integer(), k.integer()
    begin, end = k.range()
    matrices = _matrices(outs, channels)
    part = _apart(outs * channels) * 16
    whole = channels.op("udiv", channels, k.lanes) * k.lanes

    def some(at: Value, count: int | None) -> None:
        places = [u.moved(at + place) for place in matrices]
        totals = [k.variable(place.load(lanes=k.lanes, count=count)) for place in places]
        for more in k.turns(parts, 1):
            for place, total in zip(places, totals, strict=True):
                total += place.load(part * more, lanes=k.lanes, count=count)
        sums = [total.value for total in totals]
        tile = [sums[i : i + 4] for i in range(0, 16, 4)]
        lines = zip(*(_by_g_turned(*column) for column in zip(*tile, strict=True)), strict=True)
        taps = [value for line in lines for value in _by_g_turned(*line)]
        zero, kernels = k.number(0.0, k.lanes), found.moved(at * 9)
        for t in range(0, 9, k.lanes):
            few = taps[t : t + k.lanes]
            rows = k.transposed(few + [zero] * (k.lanes - len(few)))
            for i, value in enumerate(rows[:count]):
                kernels.store(value, 9 * i + t, count=len(few) if len(few) < k.lanes else None)

    for o in k.turns(end, begin):
        for c in k.turns(whole, 0, k.lanes):
            some(channels * o + c, None)
        if rest:
            some(channels * o + whole, rest)
    return k.shared()


def _by_g_turned(a: Value, b: Value, c: Value, d: Value) -> tuple[Value, Value, Value]:
    """Gᵀ times (a, b, c, d)."""
    both = (b + c) * 0.5
    return a + both, (b - c) * 0.5, both + d


@factory(128)
def _convolve(shape: Shape, rows: int, odd: bool, far: bool, char: str, turned: bool) -> Shared:
    """With `turned` the sixteen matrices are transposed, and some of their rows are read at a time: each is another line.
    Channels and outputs are arguments, so that a U-Net has 5 such kernels, not 11: of the shape all else is known, how many
    `rows` apart the matrices of a block lie, whether an `odd` number of outputs is left over, and whether weights
    come from `far`."""
    k = Kernel("winograd", char, vectors=True)
    n = shape.batch
    x, border = k.array(1, *shape.inputs, n), k.array(n)
    u, bias = k.array(1), k.array(1)
    out = k.array(1, shape.height, shape.width * n)
    memory, images = k.scratch(1), k.scratch(1)
    channels, outs = k.integer(), k.integer()

    def products(columns: int) -> Array:
        # Each product goes where the matrix before its own was.
        m = memory.shaped(17, rows, columns)
        tiles = gemm.tall(rows, k.dtype), 2, *([1] if odd else [])
        for q in k.turns(16):
            matrix = u.moved(q * _apart(outs * channels))
            left = gemm.Matrix(matrix.pointer, channels.name, 1)
            right, out = (gemm.Matrix(m.at(q + i), columns, 1) for i in (1, 0))
            if not turned:
                lengths = outs.name, columns, channels.name
                gemm.write(k, lengths, [left, right, out], k.dtype, False, rows=tiles, far=far)
                continue
            for first, some in k.blocks(channels, DEEP):
                lengths = outs.name, columns, some.name
                left = gemm.Matrix(matrix.at(first * outs), 1, outs.name)
                right = gemm.Matrix(m.at(q + 1, first), columns, 1)
                gemm.write(k, lengths, [left, right, out], k.dtype, (first > 0).name, rows=tiles, far=far)
        return m

    if narrow(shape, k.dtype):
        for row, size in row_blocks(k, shape, *k.range()):
            columns = size * shape.columns * n
            _row_inputs(k, shape, channels, x, border, images, memory.shaped(17, rows, columns).moved(1), row, size)
            write_rows(k, shape, outs, products(columns), bias, out, row, size)
        return k.shared()
    for row, first, size, part in tile_blocks(k, shape, *k.range()):
        _inputs(k, shape, channels, x, border, memory.shaped(17, rows, size * n).moved(1), row, first, size)
        write_tiles(k, shape, outs, products(size * n), bias, out, row, first, size, part)
    return k.shared()


def write_tiles(
    k: Kernel, shape: Shape, outs: Index, m: Array, bias: Array, out: Array, row: Index, first: Index, size: int,
    part: tuple[int, int], matrix: Matrix = A,
) -> None:  # fmt: skip
    """Aᵀ M A plus the bias: the upper left part of each tile."""
    n, side = shape.batch, len(matrix[0])
    for o in k.turns(outs):
        number = k.spread(bias.load(o), k.lanes)
        for t in k.turns(size):
            cells, corner = m.moved(0, o, t * n).near(), out.moved(o, row * 2, (first + t) * (2 * n)).near()
            for at, count in k.vectors(0, n):
                tile = _products(k, cells, side, at, count)
                for i, values in enumerate(both(matrix, tile)[: part[0]]):
                    for j, value in enumerate(values[: part[1]]):
                        corner.store(value + number, 0, i, j * n + at, count=count)


def _products(k: Kernel, cells: Array, side: int, at: Index, count: int | None) -> list[list[Value]]:
    """M of some tiles."""
    return [[cells.load(side * i + j, 0, at, lanes=k.lanes, count=count) for j in range(side)] for i in range(side)]


@factory(128)
def _weight_grad(shape: Shape, char: str, by_lines: bool) -> Shared:
    """The range is that of the blocks of tiles, and each part has sums of its own; or that of the four lines of transformed
    tiles."""
    k = Kernel("winograd_weights", char, vectors=True)
    n = shape.batch
    x, border = k.array(shape.channels, *shape.inputs, n), k.array(n)
    u = (k.array if by_lines else k.each)(16, _apart(shape.outs * shape.channels))
    y = k.array(shape.outs, shape.height, shape.width * n)
    v_memory, m_memory, turned, images = (k.scratch(1) for _ in range(4))
    part_of = k.range(rounds=1 if by_lines else ROUNDS)
    whole = k.index(0), k.index(length_of(shape, k.dtype))
    begin, end = whole if by_lines else part_of
    first_line, last_line = part_of if by_lines else (k.index(0), k.index(4))

    def matrices(columns: int) -> tuple[Array, Array]:
        return v_memory.shaped(16, shape.channels | 1, columns), m_memory.shaped(16, shape.outs | 1, columns)

    def products(columns: int) -> None:
        v, m = matrices(columns)
        for q in k.turns(last_line * 4, first_line * 4):
            turn(k, v.part(q), turned, shape.channels, k.index(columns))
            operands = [
                gemm.Matrix(m.at(q), columns, 1),
                gemm.Matrix(turned.pointer, shape.channels, 1),
                gemm.Matrix(u.at(q), shape.channels, 1),
            ]
            gemm.write(k, (shape.outs, shape.channels, columns), operands, k.dtype, True)

    def lines() -> Iterator[Sequence[int]]:
        """Those that are made at once: all if they are in the part, which reads less; else each."""
        if not by_lines:
            yield range(4)
            return
        every = first_line.eq(0) & last_line.eq(4)
        for some in (range(4), *((i,) for i in range(4))):
            there = every if len(some) == 4 else (first_line <= some[0]) & (last_line > some[0]) & ~every
            for _ in k.when(there):
                yield some

    if narrow(shape, k.dtype):
        for row, size in row_blocks(k, shape, begin, end):
            v, m = matrices(size * shape.columns * n)
            for some in lines():
                _row_inputs(k, shape, shape.channels, x, border, images, v, row, size, some)
                _row_adjoint(k, shape, y, border, m, row, size, some)
            products(size * shape.columns * n)
        return k.shared()
    for row, first, size, part in tile_blocks(k, shape, begin, end):
        v, m = matrices(size * n)
        for some in lines():
            _inputs(k, shape, shape.channels, x, border, v, row, first, size, some)
            _adjoint(k, shape, y, m, row, first, size, part, some)
        products(size * n)
    return k.shared()


def _adjoint(
    k: Kernel, shape: Shape, y: Array, m: Array, row: Index, first: Index, size: int, part: tuple[int, int],
    lines: Sequence[int],
) -> None:  # fmt: skip
    """These lines of A y Aᵀ of a block of tiles, whose rows and columns beyond `part` are 0."""
    n = shape.batch
    zero = k.number(0.0, k.lanes)
    matrix = tuple(zip(*A, strict=True))
    for o in k.turns(shape.outs):
        for t in k.turns(size):
            corner, cells = y.moved(o, row * 2, (first + t) * (2 * n)).near(), m.moved(0, o, t * n).near()
            for at, count in k.vectors(0, n):
                tile = [[zero, zero], [zero, zero]]
                for i in range(part[0]):
                    for j in range(part[1]):
                        tile[i][j] = corner.load(0, i, j * n + at, lanes=k.lanes, count=count)
                for i, values in zip(lines, both(matrix, tile, lines), strict=True):
                    for j, value in enumerate(values):
                        cells.store(value, 4 * i + j, 0, at, count=count)


# -- narrow batches ----------------------------------------------------------------------------------------------


def row_blocks(k: Kernel, shape: Shape, begin: Value, end: Value) -> Iterator[tuple[Value, int]]:
    """The bands of a part of the range: the first row of tiles, and how many there are."""
    done = 0
    for first, count, size in bands(shape):
        for band in k.turns(end.at_most(done + count), begin.at_least(done)):
            yield (band - done) * size + first, size
        done += count


def _image(shape: Shape) -> tuple[int, int, int]:
    """How many channels of a band are brought apart before they are read, its rows at most, and the numbers of half a row."""
    rows, half = 2 * max(size for *_, size in bands(shape)) + 2, (shape.columns + 1) * shape.batch
    return max(1, min(8, 4096 // (2 * rows * half))), rows, half


def _images(shape: Shape, dtype: np.dtype) -> int:
    """Bytes of these channels, and of a vector behind them."""
    channels, rows, half = _image(shape)
    return (channels * rows * 2 * half + 16) * dtype.itemsize if narrow(shape, dtype) else 0


def _row_inputs(
    k: Kernel, shape: Shape, channels: Index, x: Array, border: Array, images: Array, v: Array, row: Value, size: int,
    lines: Sequence[int] = range(4),
) -> None:  # fmt: skip
    """V of some rows of tiles, these lines of them."""
    n = shape.batch
    several, rows, half = _image(shape)
    image = images.shaped(several, rows, 2, half)
    (height, width), (above, before) = shape.inputs, shape.befores
    for first, count in k.blocks(channels, several):
        for c in k.turns(count):
            for line in k.turns(2 * size + 2):
                place = row * 2 + line - above
                seen = seen_at(x.part(first + c, place), border, (place.compare("ult", height), None)).shaped(1)
                planes(k, seen, image.part(c, line), (width, -before, 2, shape.columns + 1), n)
        for c in k.turns(count):
            for r in k.turns(size):
                corner = image.moved(c, r * 2).near()
                cells = v.moved(0, first + c, r * (shape.columns * n)).near()
                for at, some in k.vectors(0, shape.columns * n):
                    tile = [
                        [corner.load(0, i, j % 2, j // 2 * n + at, lanes=k.lanes) for j in range(4)] for i in range(4)
                    ]
                    for i, values in zip(lines, both(B, tile, lines), strict=True):
                        for j, value in enumerate(values):
                            cells.store(value, 4 * i + j, 0, at, count=some)


def _pairs(k: Kernel, shape: Shape) -> Iterator[tuple[int, int | None, int | None]]:
    """The vectors of a row of tiles: where they begin, how many numbers they have, and how many results two of them make; None
    for all."""
    for at, count in k.vectors(0, shape.columns * shape.batch):
        assert isinstance(at, int)
        some = shape.width * shape.batch - 2 * at
        yield at, count, some if some < 2 * k.lanes else None


def write_rows(
    k: Kernel, shape: Shape, outs: Index, m: Array, bias: Array, out: Array, row: Value, size: int, matrix: Matrix = A
) -> None:  # fmt: skip
    """Aᵀ M A plus the bias, of some rows of tiles."""
    n, side = shape.batch, len(matrix[0])
    for o in k.turns(outs):
        number = k.spread(bias.load(o), k.lanes)
        for r in k.turns(size):
            lines: list[list[Value]] = [[], []]
            cells = m.moved(0, o, r * (shape.columns * n)).near()
            for at, count, _ in _pairs(k, shape):
                tile = _products(k, cells, side, at, count)
                for line, (even_places, odd) in zip(lines, both(matrix, tile), strict=True):
                    line.append(k.interleaved(even_places + number, odd + number, n))
            for i, results in enumerate(lines):
                place = (row + r) * 2 + i
                for _ in k.when(place < shape.height) if shape.height % 2 else range(1):
                    for value, (at, _, some) in zip(results, _pairs(k, shape), strict=True):
                        out.store(value, o, place, 2 * at, count=some)


def _row_adjoint(
    k: Kernel, shape: Shape, y: Array, border: Array, m: Array, row: Value, size: int, lines: Sequence[int]
) -> None:  # fmt: skip
    """These lines of A y Aᵀ of some rows of tiles. What lies beyond the last row and column is 0."""
    n = shape.batch
    matrix = tuple(zip(*A, strict=True))
    for o in k.turns(shape.outs):
        for r in k.turns(size):
            seen = []
            for i in range(2):
                place = (row + r) * 2 + i
                there = place.compare("ult", shape.height) if shape.height % 2 else None
                seen.append(seen_at(y.part(o, place), border, (there, None)))
            cells = m.moved(0, o, r * (shape.columns * n)).near()
            for at, count, some in _pairs(k, shape):
                pair = [line.load(2 * at, lanes=2 * k.lanes, count=some) for line in seen]
                tile = [[k.every(value, 2, n, j) for j in range(2)] for value in pair]
                for i, values in zip(lines, both(matrix, tile, lines), strict=True):
                    for j, value in enumerate(values):
                        cells.store(value, 4 * i + j, 0, at, count=count)
