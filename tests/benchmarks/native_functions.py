"""What a C function costs: by `tn.native` and as an op whose forward calls it by ctypes, eager and in compiled programs.

    OPENBLAS_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.native_functions

Ten calls in a row of the C library's sine, on arrays of 8 and of 10,000 numbers, beside NumPy's.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
from tests.benchmarks.harness import interleaved, report

ROW = 10


def candidates() -> dict[str, Callable[..., Any]]:
    """The sine in three ways, ten of them in a row."""
    sine = ctypes.CDLL(ctypes.util.find_library("m")).sin
    sine.restype, sine.argtypes = ctypes.c_double, [ctypes.c_double]
    one = tn.native(sine)
    each = np.frompyfunc(sine, 1, 1)
    called = tn.op(lambda x: each(x).astype(float), name="called", nondiff=True, opaque="calls C by ctypes")

    def row(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(x: Any) -> Any:
            for _ in range(ROW):
                x = function(x)
            return x

        return run

    return {"native": row(one), "ctypes": row(called), "numpy": row(np.sin)}


def main() -> None:
    for size in (8, 10_000):
        x = tn.tensor(np.linspace(0, 1, size))
        rows = candidates()
        report(f"eager, {size} numbers", interleaved({n: functools.partial(f, x) for n, f in rows.items()}), {})
        for backend in ("numpy", "native"):
            steps = {n: tn.compile(f, backend=backend) for n, f in rows.items()}
            for step in steps.values():
                step(x)
            title = f"compiled ({backend}), {size} numbers"
            report(title, interleaved({n: functools.partial(f, x) for n, f in steps.items()}), {})


if __name__ == "__main__":
    main()
