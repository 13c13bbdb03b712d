"""A chain of a million nodes: time and memory per node, forward, backward and release, beside PyTorch.

OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.chain
"""

from __future__ import annotations

import functools
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn


def chain(f: Callable[[Any], Any], x: Any, n: int) -> float:
    """Microseconds per node of a chain of n nodes, from the first op until the graph is gone."""
    start = time.perf_counter()
    y = x
    for _ in range(n):
        y = f(y)
    y.backward()
    del y
    return (time.perf_counter() - start) / n * 1e6


def bytes_per_node(f: Callable[[Any], Any], n: int) -> float:
    """Peak bytes per node, forward and backward."""
    x = tn.tensor([0.5], requires_grad=True)
    f(x)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    y = x
    for _ in range(n):
        y = f(y)
    y.backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return (peak - before) / n


def main() -> None:
    """Print time and memory per node for several ops and lengths, the collector at its default settings."""
    ops: dict[str, Callable[[Any, Any], Any]] = {
        "sin": lambda np, x: np.sin(x),
        "tanh": lambda np, x: np.tanh(x),
        "x + 1": lambda np, x: x + 1.0,
        "-x": lambda np, x: -x,
    }
    lines = {}
    x = tn.tensor([0.5], requires_grad=True)
    for name, f in ops.items():
        g = functools.partial(f, tn)
        times = {}
        for n, rounds in ((1000, 301), (10_000, 31), (100_000, 5), (1_000_000, 5)):
            times[n] = statistics.median(chain(g, x, n) for _ in range(rounds))
        lengths = ", ".join(f"{n:,}: {t:.2f}" for n, t in times.items())
        lines[name] = (
            f"{name:6} µs a node for {lengths} (at most 2.5); longest over shortest "
            f"{times[1_000_000] / times[1000]:.2f} (at most 1.5); {bytes_per_node(g, 100_000):.0f} bytes a node (at most 500)"
        )
    # Only now: the objects that PyTorch brings along would count in every pass of the collector above.
    import torch

    torch.set_num_threads(1)
    tx = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    for name, f in ops.items():
        peer = statistics.median(chain(functools.partial(f, torch), tx, 10_000) for _ in range(21))
        print(f"{lines[name]}; PyTorch at 10,000: {peer:.2f}")
    print(f"numpy {np.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
