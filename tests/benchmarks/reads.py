"""What the gradient of many reads `x[i]` of one array costs, beside PyTorch: time by reads, not by reads times size.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.reads [--write]

`--write` puts the table into docs/numpy.md.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

import tapenet as tn
from tests.benchmarks.harness import fill

PAGE = Path(__file__).parents[2] / "docs" / "numpy.md"
SIZES, READS = (10_000, 1_000_000), (1_000, 10_000)


def total(x: Any, reads: int) -> Any:
    """The sum of so many elements, each read for itself."""
    found = x[0]
    for i in range(1, reads):
        found = found + x[i]
    return found


def seconds(x: Any, reads: int, rounds: int = 3) -> float:
    """How long backward takes: the quickest round."""
    found = []
    for _ in range(rounds):
        loss = total(x, reads)
        start = time.perf_counter()
        loss.backward()
        found.append(time.perf_counter() - start)
        x.grad = None
    return min(found)


def peak(size: int, reads: int) -> int:
    """Bytes that backward needs at most, the gradient among them."""
    loss = total(tn.tensor(np.zeros(size), requires_grad=True), reads)
    tracemalloc.start()
    try:
        loss.backward()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def lines() -> list[str]:
    """The table."""
    import torch

    torch.set_num_threads(1)
    made = [
        "| elements of x | reads `x[i]` | backward, ms | its memory over that of x | PyTorch's backward, ms |",
        "|---|---|---|---|---|",
    ]
    for size in SIZES:
        for reads in READS:
            ours = seconds(tn.tensor(np.zeros(size), requires_grad=True), reads)
            memory = peak(size, reads) / (8 * size)
            theirs = seconds(torch.zeros(size, dtype=torch.float64, requires_grad=True), reads, 1)  # up to ten seconds
            row = f"| {size:,} | {reads:,} | {ours * 1e3:.1f} | {memory:.2f} | {theirs * 1e3:.0f} |"
            made.append(row)
            print(row, flush=True)
    return made


if __name__ == "__main__":
    table = "\n".join(lines())
    if "--write" in sys.argv:
        fill(PAGE, "reads", table)
