"""The process of one candidate: reads commands, one a line, and answers each with a line of JSON.

Nothing but the standard library is imported before the clock runs that measures imports.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any

from tests.benchmarks.compiled import clock


class Worker:
    """One candidate of one workload; each method is a command."""

    def __init__(self, workload: str, candidate: str) -> None:
        self.workload = workload
        self.side, _, self.how = candidate.partition("-")

    def start(self) -> float:
        """Import the library and make everything up to the first call; microseconds of the import."""
        begin = clock()
        side = importlib.import_module(f"tests.benchmarks.compiled.{self.side}_side")
        imports = clock() - begin
        self.step, self.wait, self.numbers = side.build(self._task(), self.how)
        return imports * 1e6

    def _task(self) -> Any:
        task = importlib.import_module("tests.benchmarks.compiled.workloads").WORKLOADS[self.workload].task
        return getattr(task, "task", task)

    def first(self) -> float:
        """Microseconds of the first call."""
        begin = clock()
        self.wait(self.step())
        return (clock() - begin) * 1e6

    def check(self, calls: int) -> list[float]:
        """The numbers after that many calls."""
        for _ in range(calls):
            out = self.step()
        return list(self.numbers(out))

    def calibrate(self, seconds: float) -> int:
        """How many calls take about that long, once warm."""
        for _ in range(3):
            self.wait(self.step())
        calls, begin = 0, clock()
        while clock() - begin < seconds:
            self.wait(self.step())
            calls += 1
        return calls

    def run(self, calls: int) -> float:
        """Microseconds per call; a tenth of the calls, before the clock starts, fetches what others drove from the
        caches."""
        step = self.step
        for _ in range(calls // 10):
            self.wait(step())
        begin = clock()
        for _ in range(calls):
            out = step()
        self.wait(out)
        return (clock() - begin) / calls * 1e6

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
