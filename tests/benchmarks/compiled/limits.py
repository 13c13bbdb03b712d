"""What no implementation can go below: the matrix products at BLAS's peak, and the memory that has to be touched.

limit = floating-point operations of the matrix products / rate of a product of large square matrices by NumPy's sgemm
      + bytes that have to be touched outside of them (see `traffic` of each task) / bandwidth.

A byte read, written, or both in one pass counts once. The bandwidth is the best of a copy, a pass in place and a dot
product over a working set of the same size, so in the cache that holds it. Transcendental functions, calls and
allocation are free. Beside it stands the time of sgemm on the shapes at hand, each in its fastest layout: what a
program that leaves all products to BLAS cannot go below.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.compiled.workloads import BlackScholes, Dense, Logistic, Update
from tests.benchmarks.side_by_side import clock


def limit(task: Dense | Logistic | BlackScholes | Update) -> dict[str, Any]:
    """The limit of a task and its parts in microseconds, with the rates measured."""
    flops = sum(2 * m * k * n for m, k, n in task.products())
    touched = [(size, bandwidth(working_set)) for size, working_set in task.traffic()]
    products = flops / peak() / 1e3
    traffic = sum(size / rate / 1e3 for size, rate in touched)
    return {
        "µs": products + traffic,
        "products µs": products,
        "traffic µs": traffic,
        "products by sgemm µs": sum(count * product(*shape) for shape, count in Counter(task.products()).items()),
        "flops": flops,
        "peak GFLOP/s": peak(),
        "traffic": [{"bytes": size, "GB/s": rate} for size, rate in touched],
    }


def fastest(f: Callable[[], object], seconds: float = 0.1) -> float:
    """The least time of a call in microseconds, in batches long enough for the clock."""
    f()
    start = clock()
    f()
    calls = max(1, int(1e-4 / (clock() - start)))
    best, end = float("inf"), clock() + seconds
    while (start := clock()) < end:
        for _ in range(calls):
            f()
        best = min(best, (clock() - start) / calls)
    return best * 1e6


@functools.cache
def product(m: int, k: int, n: int) -> float:
    """Microseconds of an (m, k) @ (k, n)."""
    out = np.empty((m, n), np.float32)
    return min(
        fastest(functools.partial(np.dot, np.ones((m, k), np.float32, left), np.ones((k, n), np.float32, right), out))
        for left in "CF"
        for right in "CF"
    )


@functools.cache
def bandwidth(working_set: int) -> float:
    """GB/s of touching so many bytes over and over, or the 256 kB below which calls would count."""
    a = np.ones(max(working_set, 1 << 18) // 4, np.float32)
    half, other = np.split(a[: len(a) // 2 * 2], 2)
    passes = (
        functools.partial(np.copyto, half, other),
        functools.partial(np.negative, a, a),
        functools.partial(np.dot, half, other),
    )
    return a.nbytes / min(map(fastest, passes)) / 1e3


@functools.cache
def peak() -> float:
    """GFLOP/s of a product of large square matrices."""
    return 2 * 1024**3 / product(1024, 1024, 1024) / 1e3
