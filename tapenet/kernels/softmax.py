"""The softmax of rows, its logarithm, and their gradients, a row at a time in the first level cache."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from tapenet.kernels import aligned
from tapenet.kernels.threads import deal
from tapenet.native.formulas import call
from tapenet.native.kernel import LONG, Array, Kernel, Value

#: What one element costs, in multiply-adds.
COST = 20


def softmax(rows: Any) -> Any:
    """exp(x - max) over its sum, for each row of a matrix; zeros for a row of -inf alone."""
    return _run("softmax", rows)


def log_softmax(rows: Any) -> Any:
    """x - max - ln Σ exp(x - max), for each row of a matrix; -inf for a row of -inf alone."""
    return _run("log_softmax", rows)


def softmax_grad(g: Any, out: Any) -> Any:
    """out · (g - Σ g out), for each row."""
    return _run("softmax_grad", g, out)


def log_softmax_grad(g: Any, out: Any) -> Any:
    """g - exp(out) · Σ g, for each row."""
    return _run("log_softmax_grad", g, out)


def _run(name: str, *arrays: Any) -> Any:
    count, n = arrays[0].shape
    made = aligned((count, n), arrays[0].dtype)
    run = _compiled(name, arrays[0].dtype.char, n >= LONG)
    deal(lambda first, last: run(made, *arrays, first, last, n), count, COST * made.size)
    return made


@functools.lru_cache(maxsize=8)
def _compiled(name: str, char: str, long: bool) -> Any:
    k = Kernel(name, char, long)
    count = 2 if name.endswith("grad") else 1
    made, *arrays = (k.array(1) for _ in range(1 + count))
    begin, end, n = k.integer(), k.integer(), k.integer()
    for i in k.turns(end, begin):
        _WRITERS[name](k, made.moved(i * n), *(a.moved(i * n) for a in arrays), n)
    return k.compile()


def largest(k: Kernel, row: Array, n: Value) -> Value:
    """The largest number of a row; nan if there is one."""
    most = k.variable(k.number(-math.inf))
    for j in k.turns(n):
        most.set(most.value.intrinsic("maximum", row.load(j)))
    return most.value


def _shifted(k: Kernel, to: Array, row: Array, n: Value, keep: bool) -> tuple[Value, Value]:
    """The largest number of a row, and the sum of exp(x - it), written to `to` if they are kept. Both are finite and not 0
    where all of the row is -inf."""
    most = largest(k, row, n).at_least(-float(np.finfo(k.dtype).max))

    def look(j: Value) -> list[Value]:
        value = call("exp", row.load(j) - most)
        if keep:
            to.store(value, j)
        return [value]

    (total,) = k.sums(1, n, look)
    return most, total.at_least(float(np.finfo(k.dtype).tiny))


def _softmax(k: Kernel, to: Array, row: Array, n: Value) -> None:
    _, total = _shifted(k, to, row, n, True)
    factor = 1.0 / total
    for j in k.turns(n):
        to.store(to.load(j) * factor, j)


def _log_softmax(k: Kernel, to: Array, row: Array, n: Value) -> None:
    most, total = _shifted(k, to, row, n, False)
    below = call("log", total)
    for j in k.turns(n):
        to.store(row.load(j) - most - below, j)


def _softmax_grad(k: Kernel, to: Array, g: Array, out: Array, n: Value) -> None:
    (along,) = k.sums(1, n, lambda j: [g.load(j) * out.load(j)])
    for j in k.turns(n):
        to.store(out.load(j) * (g.load(j) - along), j)


def _log_softmax_grad(k: Kernel, to: Array, g: Array, out: Array, n: Value) -> None:
    (along,) = k.sums(1, n, lambda j: [g.load(j)])
    for j in k.turns(n):
        to.store(g.load(j) - call("exp", out.load(j)) * along, j)


_WRITERS: dict[str, Any] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "softmax_grad": _softmax_grad,
    "log_softmax_grad": _log_softmax_grad,
}
