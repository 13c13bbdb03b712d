"""Weights as the turns read them: those of one tile behind each other; and the biases that their sums begin with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.kernels import aligned
from tapenet.kernels.blocks import turn
from tapenet.kernels.constants import zeros
from tapenet.kernels.moves import COST
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Index, Kernel
from tapenet.llvm.processor import registers
from tapenet.llvm.sharing import Shared


def vectors_of(blocks: int) -> int:
    """How many vectors of each block a strip has, so that a tile has about four beside each other if there are 32
    registers."""
    return max(1, registers().number // 8 // blocks)


def packed(weight: np.ndarray, blocks: int, order: Sequence[tuple[int, int]] = ()) -> np.ndarray:
    """The transpose of a matrix (blocks · columns, inner), strip by strip: each is (inner, blocks, columns of a strip), with
    zeros for what is missing in the last vector.

    Args:
        order: runs of the inner axis, first and last, in the order in which they are packed; by default all.
    """
    if not (weight.flags.c_contiguous or weight.flags.f_contiguous):
        weight = np.ascontiguousarray(weight)
    dense = weight.flags.c_contiguous
    rows, inner = weight.shape
    lanes = registers().bytes // weight.itemsize
    columns = rows // blocks
    out = aligned((blocks * -(-columns // lanes) * lanes * inner,), weight.dtype)
    run, place = _packed(columns, blocks, dense, weight.dtype.char), 0
    strips = -(-columns // (lanes * vectors_of(blocks)))
    for first, last in order or [(0, inner)]:
        some = weight[:, first:]
        run(strips * blocks, COST * some.size, some, out, last - first, inner, inner if dense else rows, place)
        place += last - first
    return out


@factory(64)
def _packed(columns: int, blocks: int, dense: bool, char: str) -> Shared:
    """Of a matrix whose inner axis is `dense`, or else the other. Arguments behind the arrays: how much of the inner axis, of
    how much there is in a strip; numbers between neighbours along the axis that is not dense; and where in the strip it
    begins. The range is that of the blocks of all strips."""
    k = Kernel("packed", char, vectors=True)
    source, out = k.array(1), k.array(1)
    inner, whole, step, place = (k.integer() for _ in range(4))
    begin, end = k.range()
    width = k.lanes * vectors_of(blocks)

    def piece(strip: Index, block: Index, count: int) -> None:
        room = -(-count // k.lanes) * k.lanes
        row = blocks * room
        to = out.moved(strip * (width * blocks) * whole + place * row + block * room)
        at = block * columns + strip * width
        if not dense:
            for i in k.turns(inner):
                for c, some in k.vectors(0, count):
                    to.store(source.load(at + i * step + c, lanes=k.lanes, count=some), i * row + c)
            return
        if count % k.lanes:
            for i in k.turns(inner):
                to.store(k.number(0.0, k.lanes), i * row + (room - k.lanes))
        turn(k, source.moved(at * step), to, count, inner, step, row)

    strips, rest = divmod(columns, width)
    for i in k.turns(end, begin):
        strip = i.op("udiv", i, blocks)
        block, last = i - strip * blocks, strip.eq(strips)
        if strips:
            for _ in k.when(~last):
                piece(strip, block, width)
        if rest:
            for _ in k.when(last):
                piece(strip, block, rest)
    return k.shared()


def biases(
    kind: str, units: int, by_inputs: np.ndarray | None, by_states: np.ndarray | None, dtype: np.dtype
) -> np.ndarray:
    """What sums begin with, (4, units): both biases; of a GRU's third gate that by the inputs, and the other one as the
    fourth. Zeros for what there is not."""
    none = zeros(4 * units, dtype)
    gates = {"lstm": 4, "gru": 3}.get(kind, 1)
    out = aligned((4, units), dtype)
    given = [none if b is None else np.ascontiguousarray(b, dtype) for b in (by_inputs, by_states)]
    if by_inputs is None and by_states is None:
        return none.reshape(4, units)
    _biases(gates, dtype.char)(units, 8 * units, *given, out, units)
    return out


@factory(8)
def _biases(gates: int, char: str) -> Shared:
    """The range is that of the units."""
    k = Kernel("biases", char)
    by_inputs, by_states, out, units = k.array(1), k.array(1), k.array(1), k.integer()
    begin, end = k.range(16)
    for i in k.turns(end, begin):
        for gate in range(4):
            at = i + units * gate
            one, other = (b.load(at) if gate < gates else k.number(0.0) for b in (by_inputs, by_states))
            if gates == 3 and gate > 1:
                one, other = (one, k.number(0.0)) if gate == 2 else (other, by_states.load(i + units * 2))
            out.store(one + other, at)
    return k.shared()
