"""Timing side by side: the candidates take turns, round by round, and medians are compared.

Machines are shared and noisy, so only ratios taken in one run mean anything. Run pinned, one thread:

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 taskset -c 1 python -m tests.benchmarks.overhead
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

Step = Callable[[], object]


def interleaved(
    steps: dict[str, Step], rounds: int = 15, seconds: float = 0.05, clock: Callable[[], float] = time.perf_counter
) -> dict[str, float]:
    """Median microseconds per call of each step, timed in turns of about `seconds` each."""
    calls = {}
    for name, step in steps.items():
        for _ in range(3):
            step()
        start = clock()
        count = 0
        while clock() - start < seconds:
            step()
            count += 1
        calls[name] = max(1, count)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            n = calls[name]
            start = clock()
            for _ in range(n):
                step()
            times[name].append((clock() - start) / n * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}


def report(title: str, times: dict[str, float], bounds: dict[str, float]) -> dict[str, float]:
    """Print the medians and the ratio of the first candidate to each other one, beside the bound it has to meet."""
    (mine, time_mine), *others = times.items()
    print(f"{title}: {mine} {time_mine:.1f} µs", end="")
    ratios = {}
    for name, value in others:
        ratios[name] = time_mine / value
        bound = f" (at most {bounds[name]})" if name in bounds else ""
        print(f", over {name} ({value:.1f} µs) {ratios[name]:.3f}{bound}", end="")
    print()
    return ratios


def fill(page: Path, name: str, text: str) -> None:
    """Put a text between the marks of that name on a page of the documentation."""
    begin, end = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    before, _, rest = page.read_text(encoding="utf-8").partition(begin)
    assert end in rest, f"{page} has no place for {name!r}"
    page.write_text(before + begin + text + end + rest.partition(end)[2], encoding="utf-8", newline="\n")
