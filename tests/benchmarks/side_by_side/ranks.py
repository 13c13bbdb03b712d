"""A candidate that is several processes, each on a core of its own: `mpiexec -n RANKS python -m
tests.benchmarks.side_by_side.ranks PACKAGE WORKLOAD CANDIDATE`. All do what the first is asked, and it answers.
"""

from __future__ import annotations

import os
import sys
import time

from mpi4py import MPI

from tests.benchmarks.side_by_side.worker import Worker, answer, answers

comm = MPI.COMM_WORLD


class Rank(Worker):
    """The worker that is one of them."""

    clock = staticmethod(time.perf_counter)  # who waits for others takes no processor time

    def calibrate(self, seconds: float, name: str = "") -> int:
        """How many calls take about that long, once warm: the same for all."""
        self.run(3, name)
        calls = 1
        for part in (0.1, 1.0):
            calls = max(1, int(part * seconds * 1e6 / self.run(calls, name)))
        return calls

    def run(self, calls: int, name: str = "") -> float:
        """Microseconds per call of the slowest. What is "solo" the first does while the others sleep."""
        meet()
        comm.Barrier()  # the others may have slept on
        spent = super().run(calls, name) if not comm.rank or not name.startswith("solo") else 0.0
        meet()
        slowest: float = comm.allreduce(spent, MPI.MAX)
        return slowest


def meet() -> None:
    """Wait for all, without taking a core from who works."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.01)


def told() -> str:
    """The next command; nothing at the end."""
    line = "" if comm.rank else sys.stdin.readline()
    meet()
    line = comm.bcast(line)
    return line


def main() -> None:
    """Serve until the pipe is closed, or one of them fails."""
    if comm.size == 1:  # each would answer for itself
        sys.exit(f"alone: mpiexec is of another MPI library than mpi4py's, {MPI.Get_library_version().splitlines()[0]}")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))  # the parent is pinned as a candidate of one process
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[comm.rank % len(cores)]})
    pipe = answers()
    worker = Rank(*sys.argv[1:])
    while line := told():
        said = answer(worker, line)
        failed = said.startswith('{"error"')
        if failed or not comm.rank:
            print(said, file=sys.stderr if comm.rank else pipe, flush=True)
        if failed:
            time.sleep(1)  # until that is read
            comm.Abort(1)


if __name__ == "__main__":
    main()
