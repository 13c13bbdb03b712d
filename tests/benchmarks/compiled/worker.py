"""The process of one candidate: reads commands, one a line, and answers each with a line of JSON.

Nothing but the standard library is imported before the clock runs that measures imports.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from typing import Any

from tests.benchmarks.compiled import cores


class Worker:
    """One candidate of one workload; each method is a command."""

    def __init__(self, workload: str, candidate: str) -> None:
        self.workload = workload
        self.side, _, self.how = candidate.partition("-")

    def start(self) -> float:
        """Import the library and make everything up to the first call; microseconds of the import."""
        begin = time.perf_counter()
        side = importlib.import_module(f"tests.benchmarks.compiled.{self.side}_side")
        imports = time.perf_counter() - begin
        self.step, self.wait, self.numbers = side.build(self._task(), self.how)
        return imports * 1e6

    def _task(self) -> Any:
        task = importlib.import_module("tests.benchmarks.compiled.workloads").WORKLOADS[self.workload].task
        return getattr(task, "task", task)

    def first(self) -> float:
        """Microseconds of the first call."""
        begin = time.perf_counter()
        self.wait(self.step())
        return (time.perf_counter() - begin) * 1e6

    def check(self, calls: int) -> list[float]:
        """The numbers after that many calls."""
        for _ in range(calls):
            out = self.step()
        return list(self.numbers(out))

    def calibrate(self, seconds: float) -> int:
        """How many calls take about that long, once warm."""
        for _ in range(3):
            self.wait(self.step())
        calls, begin = 0, time.perf_counter()
        while time.perf_counter() - begin < seconds:
            self.wait(self.step())
            calls += 1
        return calls

    def run(self, calls: int) -> float:
        """Microseconds per call. A tenth of the calls, before the clock starts, fetches what others drove from the
        caches; on a single core a turn is repeated while other programs take more than 3 % of it, at most ten times."""
        step, least = self.step, float("inf")
        for _ in range(10):
            for _ in range(calls // 10 + 1):
                out = step()
            self.wait(out)
            begin, begin_cpu = time.perf_counter(), time.process_time()
            for _ in range(calls):
                out = step()
            self.wait(out)
            wall, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
            least = min(least, wall)
            if wall < 1.03 * cpu or cores() > 1:
                break
        return least / calls * 1e6

    def limit(self) -> dict[str, Any]:
        """The bound from below."""
        found: dict[str, Any] = importlib.import_module("tests.benchmarks.compiled.limits").limit(self._task())
        return found

    def grow(self, count: int) -> float:
        """Microseconds per node to compile so many."""
        side = importlib.import_module(f"tests.benchmarks.compiled.{self.side}_side")
        return float(side.grow(self._task(), self.how, count))


def main() -> None:
    """Serve until the pipe is closed."""
    # What libraries print must not come between the answers.
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    worker = Worker(*sys.argv[1:])
    for line in sys.stdin:
        command, *arguments = json.loads(line)
        try:
            answer = {"answer": getattr(worker, command)(*arguments)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
        print(json.dumps(answer), file=pipe, flush=True)


if __name__ == "__main__":
    main()
