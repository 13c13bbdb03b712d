"""Sums along rows."""

from __future__ import annotations

import numpy as np

from tapenet.kernels import empty
from tapenet.llvm.factories import factory
from tapenet.llvm.kernel import Kernel
from tapenet.llvm.reductions import run_length
from tapenet.llvm.sharing import Shared

#: What a number costs, in multiply-adds.
COST = 8
#: Vectors that are added to at once.
VECTORS = 4


def along_rows(rows: np.ndarray) -> np.ndarray:
    """The sum of each row of a matrix in C order, which has columns. Long rows are added up in runs, and the runs in double
    precision: then a number of a register adds up 16, as in NumPy's blocks of 128, and rounding errors are like NumPy's."""
    number, length = rows.shape
    run = run_length() // rows.itemsize
    pieces = -(-length // run)
    found = empty((number, pieces), rows.dtype)
    _along_rows(rows.dtype.char)(found.size, COST * rows.size, rows, found, length, run, pieces)
    if pieces == 1:
        return found[:, 0]
    with np.errstate(over="ignore", invalid="ignore"):  # the kernel warns of nothing either
        total: np.ndarray = np.add.reduce(found, 1, np.float64).astype(rows.dtype)
    return total


@factory(2)
def _along_rows(char: str) -> Shared:
    """Arguments behind the arrays: how long rows are, and a run, and how many of them a row has. The range is that of the
    runs. What fills no vector is added up by itself: one by one it would be rounded to the whole sum's precision."""
    k = Kernel("row_sums", char, vectors=True)
    rows, out = k.array(1), k.array(1)
    length, run, pieces = k.integer(), k.integer(), k.integer()
    begin, end = k.range()
    for i in k.turns(end, begin):
        row = i.op("udiv", i, pieces)
        first = (i - row * pieces) * run
        numbers, count = rows.moved(row * length + first), (length - first).at_most(run)
        many, vectors = (count - count.op("urem", count, n) for n in (VECTORS * k.lanes, k.lanes))
        totals = [k.variable(k.number(0.0, k.lanes)) for _ in range(VECTORS)]
        rest = k.variable(k.number(0.0))
        for at in k.turns(many, 0, VECTORS * k.lanes):
            for v, total in enumerate(totals):
                total += numbers.load(at + v * k.lanes, lanes=k.lanes)
        for at in k.turns(vectors, many, k.lanes):
            totals[0] += numbers.load(at, lanes=k.lanes)
        for at in k.turns(count, vectors):
            rest += numbers.load(at)
        a, b, c, d = (total.value for total in totals)
        out.store(k.total((a + b) + (c + d)) + rest.value, i)
    return k.shared()
