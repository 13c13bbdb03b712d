"""The process of one candidate, `python -m tests.benchmarks.side_by_side.worker PACKAGE WORKLOAD CANDIDATE`: reads commands,
one a line, and answers each with a line of JSON.

Nothing but the standard library is imported before the clock runs that measures imports.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Any, TextIO

from tests.benchmarks.side_by_side import clock
from tests.benchmarks.side_by_side.memory import forget_peak, peak, settled


class Worker:
    """One candidate of one workload; each method is a command."""

    clock = staticmethod(clock)

    def __init__(self, package: str, workload: str, candidate: str) -> None:
        self.package = package
        self.workload = workload
        name, slash, variant = candidate.partition("/")
        self.side, _, how = name.partition("-")
        self.how = how + slash + variant

    def start(self) -> float:
        """Import the library and make everything up to the first call; microseconds of the import."""
        begin = clock()
        side = self._module(f"{self.side}_side")
        imports = clock() - begin
        self._build(side)
        return imports * 1e6

    def _build(self, side: Any) -> None:
        self.step, self.wait, self.numbers, beside = side.build(self._task(), self.how)
        self.steps = {"": self.step, **beside}

    def _module(self, name: str) -> Any:
        return importlib.import_module(f"{self.package}.{name}")

    def _task(self) -> Any:
        task = self._module("workloads").WORKLOADS[self.workload].task
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

    def names(self) -> list[str]:
        """The steps that are timed; that of the candidate itself has an empty name."""
        return list(self.steps)

    def calibrate(self, seconds: float, name: str = "") -> int:
        """How many calls take about that long, once warm: after three, or one that takes as long itself."""
        begin = clock()
        for _ in range(3):
            if clock() - begin < seconds:
                self.wait(self.steps[name]())
        calls, begin = 0, clock()
        while clock() - begin < seconds:
            self.wait(self.steps[name]())
            calls += 1
        return calls

    def run(self, calls: int, name: str = "") -> float:
        """Microseconds per call; a tenth of the calls, before the clock starts, fetches what others drove from the
        caches."""
        step = self.steps[name]
        for _ in range(calls // 10):
            self.wait(step())
        begin = self.clock()
        for _ in range(calls):
            out = step()
        self.wait(out)
        return (self.clock() - begin) / calls * 1e6

    def alone(self, calls: int, name: str = "") -> float:
        """The same on one thread of tapenet's: a gain is measured in the same minute, since a machine that others share has
        been 1.7 times slower half an hour later, and by the same clock."""
        from tapenet import set_num_threads
        from tapenet.llvm import blas

        set_num_threads(1)
        try:
            with blas.alone():
                return self.run(calls, name)
        finally:
            set_num_threads(None)

    def limit(self) -> dict[str, Any]:
        """The bound from below."""
        found: dict[str, Any] = self._module("limits").limit(self._task())
        return found

    def describe(self) -> Any:
        """What the side tells of the step."""
        return self._module(f"{self.side}_side").describe(self.step)

    def grow(self, count: int) -> float:
        """Microseconds per node to compile so many."""
        return float(self._module(f"{self.side}_side").grow(self._task(), self.how, count))

    def memory(self, calls: int) -> tuple[int, int]:
        """Bytes by which this process is larger than before the first call: during calls, at the worst moment, and after them.

        What the library loads for its first call of all is there before; what the first calls only need to compile is
        gone before the peak is taken, what they keep is part of it.
        """
        self._module(f"{self.side}_side").load(self.how)
        return self._grown(settled(), calls)

    def memory_of_all(self, calls: int) -> tuple[int, int]:
        """The same from before the task is made: parameters, and what is made of them, count too."""
        side = self._module(f"{self.side}_side")
        side.load(self.how)
        before = settled()
        self._build(side)
        return self._grown(before, calls)

    def _grown(self, before: int, calls: int) -> tuple[int, int]:
        for _ in range(2):
            self.wait(self.step())
        settled()
        forget_peak()
        for _ in range(calls):
            self.wait(self.step())
        return peak() - before, settled() - before


def answer(worker: Worker, line: str) -> str:
    """What a worker says to a command, or its error."""
    command, *arguments = json.loads(line)
    try:
        return json.dumps({"answer": getattr(worker, command)(*arguments)})
    except Exception as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()})


def answers() -> TextIO:
    """Where to write them: what libraries print must not come between."""
    pipe = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return pipe


def main() -> None:
    """Serve until the pipe is closed."""
    pipe = answers()
    worker = Worker(*sys.argv[1:])
    for line in sys.stdin:
        print(answer(worker, line), file=pipe, flush=True)


if __name__ == "__main__":
    main()
