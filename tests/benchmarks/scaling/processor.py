"""What a processor does in a nanosecond: short measurements of compiled programs, by as many threads as there are now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
from tests.benchmarks.compiled.limits import fastest
from tests.benchmarks.scaling.steps import of_compiled

#: Bytes that a loop goes over, again and again: of the first and second level cache, of the one that cores share, of memory.
SIZES = {"first": 1 << 14, "second": 1 << 19, "third": 1 << 24, "memory": 1 << 29}
#: Polynomials side by side, and the degree of each: they compute far more than they move, and do not wait for each other.
MANY, DEGREE = 4, 16


def rates() -> dict[str, Any]:
    """Operations of kernels and multiply-adds of products in a nanosecond, GB/s by where the data are, and the microseconds of
    a call."""
    r = np.random.default_rng(0)
    side = r.uniform(-1, 1, (256, 256)).astype(np.float32)
    many = r.uniform(-1, 1, 1 << 15).astype(np.float32)
    found: dict[str, Any] = {
        "kernel": _rate(polynomials, many, kind="kernel"),
        "product": _rate(lambda a: a @ a, side, kind="product"),
        "call": fastest(_compiled(lambda a: a + a, many[:4])),
        "bandwidth": {},
    }
    for level, size in SIZES.items():
        a = np.ones(size // 4, np.float32)
        taken = fastest(_compiled(lambda a: (a * a).sum(), a)) - found["call"] * (size < SIZES["third"])
        found["bandwidth"][level] = size / taken / 1e3
    return found


def polynomials(x: Any) -> Any:
    """The sum of some, by Horner's rule."""
    ys = [x * np.float32(j + 0.5) for j in range(MANY)]
    for i in range(DEGREE):
        ys = [y * x + np.float32(1 / (i + j + 2)) for j, y in enumerate(ys)]
    return sum(ys[1:], ys[0]).sum()


def _compiled(f: Callable[..., Any], *arrays: Any) -> Callable[[], Any]:
    program = tn.compile(f)
    call = lambda: program(*arrays)
    for _ in range(2):
        call()
    call.func = program  # type: ignore[attr-defined]
    return call


def _rate(f: Callable[..., Any], array: Any, kind: str) -> float:
    """Operations in a nanosecond of a program's kernel or product."""
    call = _compiled(f, array)
    operations = sum(step[1] * step[-1] for step in of_compiled(call.func) if step[0] == kind)  # type: ignore[attr-defined]
    return float(operations / fastest(call) / 1e3)
