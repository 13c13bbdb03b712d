"""What the first call of each op costs, beside the second: `python -m tests.benchmarks.first_use`.

Each op is called in a process of its own, after a few calls that load what all ops share. What NumPy and SciPy load at first
use is loaded before. The least of some runs counts.
"""

from __future__ import annotations

import argparse
import importlib
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import tapenet as tn
from tapenet.ops.registry import everything, registry


def _calls() -> list[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """A call of each op: its name, and arguments that can be sent to another process."""
    everything()
    found = []
    for name, op in sorted(registry.items()):
        if op.samples is None or not name.startswith("tapenet."):
            continue
        for sample in op.samples(np.random.default_rng(0)):
            try:
                pickle.dumps(sample)
            except Exception:  # a function among the arguments
                continue
            found.append((name, *sample))
            break
    return found


def _tensors(value: Any) -> Any:
    """The arrays of floats among arguments as tensors that need a gradient."""
    if type(value) in (list, tuple):
        return type(value)(map(_tensors, value))
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return tn.tensor(value, requires_grad=True)
    return value


def _measure(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[float]:
    """Milliseconds of the first call and of the second."""
    for module in ("numpy.fft", "numpy.linalg", "numpy.ma", "scipy.special"):
        importlib.import_module(module)
    x = tn.tensor(np.ones((2, 2)), requires_grad=True)
    (np.sum(x * x, axis=0) @ x).sum().backward()
    module, _, short = name.rpartition(".")
    given = [_tensors(a) for a in args]
    times = []
    for _ in range(2):
        start = perf_counter()
        getattr(importlib.import_module(module), short)(*given, **kwargs)
        times.append((perf_counter() - start) * 1e3)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=30, help="how many of the slowest are printed")
    parser.add_argument("--every", type=int, default=1, help="only each so many-th op")
    parser.add_argument("--call", type=Path, help=argparse.SUPPRESS)  # what the processes are started with
    options = parser.parse_args()
    if options.call:
        print(*_measure(*pickle.loads(options.call.read_bytes())))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "call"
        for call in _calls()[:: options.every]:
            path.write_bytes(pickle.dumps(call))
            command = [sys.executable, "-m", __spec__.name, "--call", str(path)]
            runs = [subprocess.run(command, capture_output=True, text=True).stdout for _ in range(options.rounds)]
            times = [list(map(float, run.split())) for run in runs if run]
            if times:
                rows.append((*np.min(times, axis=0), call[0]))
    rows.sort(reverse=True)
    first = np.array([row[0] for row in rows])
    print(f"{len(rows)} ops; first call: median {np.median(first):.2f} ms; {(first > 1).sum()} above 1 ms")
    for row in rows[: options.rows]:
        print(f"{row[0]:8.2f} {row[1]:8.3f}  {row[2]}")


if __name__ == "__main__":
    main()
