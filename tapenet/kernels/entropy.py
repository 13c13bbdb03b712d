"""The cross entropy and its gradient, with nothing kept but two numbers for each position.

Scores are (before, classes, after) in memory. With after = 1 classes lie side by side, and a position is a row; else the
positions do, and are taken in blocks for which the running sums stay in the first level cache.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tapenet.kernels import like
from tapenet.kernels.threads import deal
from tapenet.native.emitter import Value
from tapenet.native.formulas import call
from tapenet.native.gemm import load_masked, store_masked
from tapenet.native.kernel import Array, Kernel, Variable

#: What one element costs, in multiply-adds.
COST = 20
#: Positions side by side that are taken together.
BLOCK = 1024
#: Vectors whose largest numbers are looked for side by side.
TOGETHER = 4


class Share(NamedTuple):
    """What each class counts at a position: w · (slope · target + shift), where `target` and `w` are 1 if not given.

    Attributes:
        target: numbers like the scores.
        weight: a number for each class.
    """

    target: Any = None
    weight: Any = None
    slope: float = 0.0
    shift: float = 1.0

    def arguments(self, dtype: Any) -> list[Any]:
        """For the kernel: the arrays there are, and the two numbers."""
        arrays = [np.ascontiguousarray(a, dtype) for a in (self.target, self.weight) if a is not None]
        return [*arrays, np.array([self.slope, self.shift], dtype)]


def measured(x: Any, share: Share | None) -> tuple[Any, Any, Any, Any]:
    """Of each position: the largest score m, Σ exp(x - m), and with shares q: Σ q · (x - m), and Σ q; each in the order
    (before, after) as one axis. A position of -inf alone has a finite m and a sum that is not 0."""
    most, total, along, sums = np.empty((4, x.shape[0] * x.shape[2]), x.dtype)
    shares = [] if share is None else [along, sums, *share.arguments(x.dtype)]
    _deal(_run("measured", x, share), x, most, total, *shares)
    return most, total, along, sums


def gradient(x: Any, most: Any, factor: Any, share: Share | None, each: Any, classes: Any, part: Any) -> Any:
    """exp(x - most) · factor, less the shares times `each`, and less `part` at each position's class; numbers by position.
    Without `classes` no part is taken off."""
    dx = like(x)
    arguments = [dx, most, factor]
    if share is not None:
        arguments += [each, *share.arguments(x.dtype)]
    if classes is not None:
        arguments += [np.require(classes, np.int64, ("C", "A")), part]
    _deal(_run("gradient", x, share, classes is not None), x, *arguments)
    return dx


def _run(name: str, x: Any, share: Share | None, chosen: bool = False) -> Any:
    given = None if share is None else (share.target is not None, share.weight is not None)
    return _compiled(name, x.dtype.char, x.shape[2] == 1, given, chosen)


def _deal(run: Any, x: Any, *arguments: Any) -> None:
    before, classes, after = x.shape
    parts = before * -(-after // BLOCK)
    deal(lambda first, last: run(x, *arguments, first, last, classes, after), parts, COST * x.size)


class _Share:
    """The shares, inside a kernel."""

    def __init__(self, k: Kernel, targets: bool, weights: bool) -> None:
        self.target = k.array(1) if targets else None
        self.weight = k.array(1) if weights else None
        self.numbers = k.array(1)

    def slope(self) -> Value:
        return self.numbers.load(0)

    def shift(self) -> Value:
        return self.numbers.load(1)


@functools.lru_cache(maxsize=64)
def _compiled(name: str, char: str, rows: bool, given: tuple[bool, bool] | None, chosen: bool) -> Any:
    k = Kernel(name, char)
    x = k.array(1)
    _WRITERS[name, rows](k, x, given, chosen)
    return k.compile()


# -- classes side by side ----------------------------------------------------------------------------------------


class _Row:
    """A row in vectors of classes, the last of which may hold fewer."""

    def __init__(self, k: Kernel, n: Value) -> None:
        self.k = k
        self.n = n
        self.whole = n - n.op("urem", n, k.lanes)
        places = ", ".join(f"i64 {i}" for i in range(k.lanes))
        numbers = Value(k, f"<{places}>", f"<{k.lanes} x i64>")
        self.last = numbers < k.spread(n - self.whole, k.lanes)

    def vectors(self) -> Iterator[tuple[Value, Value | None]]:
        """The class of the first lane, and which lanes there are, None for all."""
        for c in self.k.turns(self.whole, step=self.k.lanes):
            yield c, None
        yield self.whole, self.last

    def load(self, a: Array, at: Value, lanes: Value | None) -> Value:
        """A vector; zeros where there are no lanes."""
        if lanes is None:
            return a.load(at, lanes=self.k.lanes)
        vector = self._vector(a)
        return Value(self.k, load_masked(self.k, a.at(at), vector, f"{lanes.type} {lanes.name}", a.dtype), vector)

    def store(self, a: Array, value: Value, at: Value, lanes: Value | None) -> None:
        if lanes is None:
            a.store(value, at)
        else:
            store_masked(self.k, value.name, a.at(at), value.type, f"{lanes.type} {lanes.name}", a.dtype)

    def _vector(self, a: Array) -> str:
        return f"<{self.k.lanes} x {a.load(0).type}>"

    def spread(self, value: Value) -> Value:
        return self.k.spread(value, self.k.lanes)

    def largest(self, row: Array) -> Value:
        """The largest score, without regard to nan, which shows in the sum."""
        k = self.k
        lowest = k.number(-math.inf, k.lanes)
        cells = [k.variable(lowest) for _ in range(TOGETHER)]

        def look(cell: Variable, value: Value) -> None:
            cell.set((value > cell.value).where(value, cell.value))

        step = TOGETHER * k.lanes
        long = self.n - self.n.op("urem", self.n, step)
        for c in k.turns(long, step=step):
            for i, cell in enumerate(cells):
                look(cell, row.load(c + i * k.lanes, lanes=k.lanes))
        for c in k.turns(self.whole, long, k.lanes):
            look(cells[0], row.load(c, lanes=k.lanes))
        look(cells[0], self.last.where(self.load(row, self.whole, self.last), lowest))
        for cell in cells[1:]:
            look(cells[0], cell.value)
        return k.most(cells[0].value).at_least(-float(np.finfo(k.dtype).max))

    def share(self, share: _Share, start: Value, c: Value, lanes: Value | None) -> Value:
        """The shares of classes from c on, whose targets begin at `start`."""
        q = self.spread(share.shift())
        if share.target is not None:
            q = self.load(share.target.moved(start), c, lanes) * self.spread(share.slope()) + q
        return q if share.weight is None else q * self.load(share.weight, c, lanes)


def _measured_rows(k: Kernel, x: Array, given: tuple[bool, bool] | None, _: bool) -> None:
    most, total = k.array(1), k.array(1)
    more = [k.array(1), k.array(1)] if given else []
    share = _Share(k, *given) if given else None
    begin, end, classes, _after = (k.integer() for _ in range(4))
    vectors = _Row(k, classes)
    zero = k.number(0.0, k.lanes)
    for i in k.turns(end, begin):
        start = i * classes
        row = x.moved(start)
        highest = vectors.largest(row)
        off = vectors.spread(highest)
        found, *others = (k.variable(zero) for _ in range(1 + len(more)))
        for c, lanes in vectors.vectors():
            below = vectors.load(row, c, lanes) - off
            terms = [call("exp", below)]
            if share is not None:
                q = vectors.share(share, start, c, lanes)
                terms += [q * below, q]
            for cell, term in zip((found, *others), terms, strict=True):
                cell += term if lanes is None else lanes.where(term, zero)
        most.store(highest, i)
        total.store(k.total(found.value).at_least(float(np.finfo(k.dtype).tiny)), i)
        for a, cell in zip(more, others, strict=True):
            a.store(k.total(cell.value), i)


def _gradient_rows(k: Kernel, x: Array, given: tuple[bool, bool] | None, chosen: bool) -> None:
    dx, most, factor = (k.array(1) for _ in range(3))
    each = k.array(1) if given else None
    share = _Share(k, *given) if given else None
    picks = (k.array(1, dtype=np.int64), k.array(1)) if chosen else None
    begin, end, classes, _after = (k.integer() for _ in range(4))
    vectors = _Row(k, classes)
    for i in k.turns(end, begin):
        start = i * classes
        row, to = x.moved(start), dx.moved(start)
        highest, times = (vectors.spread(a.load(i)) for a in (most, factor))
        off = None if each is None else vectors.spread(each.load(i))
        for c, lanes in vectors.vectors():
            value = call("exp", vectors.load(row, c, lanes) - highest) * times
            if share is not None and off is not None:
                value = value - vectors.share(share, start, c, lanes) * off
            vectors.store(to, value, c, lanes)
        if picks is not None:
            at = picks[0].load(i)
            to.store(to.load(at) - picks[1].load(i), at)


# -- positions side by side --------------------------------------------------------------------------------------


def _block(k: Kernel, i: Value, classes: Value, after: Value) -> tuple[Value, Value, Value]:
    """Of the i-th block: where its scores of the first class begin, where its positions do, and how many there are."""
    blocks = (after + (BLOCK - 1)).op("udiv", after + (BLOCK - 1), BLOCK)
    b = i.op("udiv", i, blocks)
    start = (i - b * blocks) * BLOCK
    rest = after - start
    return b * classes * after + start, b * after + start, (rest < BLOCK).where(rest, BLOCK)


def _share_of(share: _Share, start: Value, j: Value, c: Value) -> Value:
    """The share of class c, whose target is the j-th from `start` on."""
    q = share.shift()
    if share.target is not None:
        q = share.target.moved(start).load(j) * share.slope() + q
    return q if share.weight is None else q * share.weight.load(c)


def _measured_columns(k: Kernel, x: Array, given: tuple[bool, bool] | None, _: bool) -> None:
    most, total = k.array(1), k.array(1)
    more = [k.array(1), k.array(1)] if given else []
    share = _Share(k, *given) if given else None
    begin, end, classes, after = (k.integer() for _ in range(4))
    for i in k.turns(end, begin):
        scores, place, count = _block(k, i, classes, after)
        highest, found, *others = (a.moved(place) for a in (most, total, *more))
        for j in k.turns(count):
            highest.store(k.number(-math.inf), j)
            for a in (found, *others):
                a.store(k.number(0.0), j)
        for c in k.turns(classes):
            row = x.moved(scores + c * after)
            for j in k.turns(count):
                value, before = row.load(j), highest.load(j)
                highest.store((value > before).where(value, before), j)
        for j in k.turns(count):
            highest.store(highest.load(j).at_least(-float(np.finfo(k.dtype).max)), j)
        for c in k.turns(classes):
            start = scores + c * after
            row = x.moved(start)
            for j in k.turns(count):
                below = row.load(j) - highest.load(j)
                found.store(found.load(j) + call("exp", below), j)
                if share is not None:
                    q = _share_of(share, start, j, c)
                    others[0].store(others[0].load(j) + q * below, j)
                    others[1].store(others[1].load(j) + q, j)
        for j in k.turns(count):
            found.store(found.load(j).at_least(float(np.finfo(k.dtype).tiny)), j)


def _gradient_columns(k: Kernel, x: Array, given: tuple[bool, bool] | None, chosen: bool) -> None:
    dx, most, factor = (k.array(1) for _ in range(3))
    each = k.array(1) if given else None
    share = _Share(k, *given) if given else None
    picks = (k.array(1, dtype=np.int64), k.array(1)) if chosen else None
    begin, end, classes, after = (k.integer() for _ in range(4))
    for i in k.turns(end, begin):
        scores, place, count = _block(k, i, classes, after)
        highest, times = most.moved(place), factor.moved(place)
        for c in k.turns(classes):
            start = scores + c * after
            row, to = x.moved(start), dx.moved(start)
            for j in k.turns(count):
                value = call("exp", row.load(j) - highest.load(j)) * times.load(j)
                if share is not None and each is not None:
                    value = value - _share_of(share, start, j, c) * each.moved(place).load(j)
                to.store(value, j)
        if picks is not None:
            at, part = (a.moved(place) for a in picks)
            for j in k.turns(count):
                to = dx.moved(scores + at.load(j) * after)
                to.store(to.load(j) - part.load(j), j)


_WRITERS: dict[tuple[str, bool], Any] = {
    ("measured", True): _measured_rows,
    ("gradient", True): _gradient_rows,
    ("measured", False): _measured_columns,
    ("gradient", False): _gradient_columns,
}
