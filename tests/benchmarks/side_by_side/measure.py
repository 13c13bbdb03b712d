"""Timing side by side: a process for each candidate, and rounds that take turns.

While one process runs the others wait for their next command. A candidate that fails, or whose numbers differ from the
others', is reported with its error and takes no part in the ratios.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.side_by_side import cores
from tests.benchmarks.side_by_side.memory import measurable
from tests.benchmarks.side_by_side.tasks import Bound, Workload, base, with_variants

ROOT = Path(__file__).parents[3]
#: What starts several ranks, if there is an MPI library.
MPIEXEC = shutil.which("mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
Result = dict[str, Any]
Times = dict[str, list[float]]
Errors = dict[str, str]
Bounds = Iterable[Bound]
#: What is behind a candidate's name where it was measured on one of several threads.
ALONE = " alone"
#: How often in a turn. A machine that others share changes its speed: the times of a pair are of the same tenth of a second.
PAIRS = 3


class Plan(NamedTuple):
    """How to measure.

    Attributes:
        rounds: how often each candidate has its turn, of about `seconds`; half as often where the slowest call takes longer.
        memory: whether memory is measured too.
        patience: seconds after which a candidate that does not answer is given up.
    """

    rounds: int
    seconds: float
    memory: bool = True
    patience: float = 900.0


class Failed(Exception):
    """A candidate could not do what was asked; the message says why."""


class Process:
    """A worker for a workload of a package, asked one thing at a time; with `ranks`, so many that do it together."""

    def __init__(
        self, package: str, workload: str, candidate: str, patience: float, ranks: int = 0, **environment: str
    ) -> None:
        self.patience = patience
        launcher = [MPIEXEC or "mpiexec", "-n", str(ranks)] if ranks else []
        worker = f"{__package__}.{'ranks' if ranks else 'worker'}"
        self.process = subprocess.Popen(
            [*launcher, sys.executable, "-m", worker, package, workload, candidate],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | environment,
        )

    def ask(self, command: str, *arguments: Any) -> Any:
        """The answer to a command of the worker."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        hung = threading.Timer(self.patience, self.process.kill)
        hung.start()
        try:
            print(json.dumps([command, *arguments]), file=stdin, flush=True)
            answer = json.loads(stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError):
            raise Failed(f"ended with code {self.process.wait()} during {command!r}") from None
        finally:
            hung.cancel()
        if "error" in answer:
            print(answer["traceback"], file=sys.stderr)
            raise Failed(answer["error"])
        return answer["answer"]

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()  # type: ignore[union-attr]  # the worker ends with its input
        self.process.stdout.close()  # type: ignore[union-attr]
        self.process.wait()


def steps(package: str, name: str, candidates: Iterable[str], plan: Plan, ranks: int = 0) -> tuple[Times, Errors]:
    """Microseconds per call of each candidate and round; of what a candidate has beside, by its name and that behind it. Where
    there are several threads, tapenet's are measured on one too, and ALONE is behind their names."""
    times: Times = {}
    errors: Errors = {}
    numbers, calls = {}, {}
    with ExitStack() as stack:
        cache = os.environ.get("TAPENET_CACHE") or stack.enter_context(tempfile.TemporaryDirectory())
        processes = {
            c: stack.enter_context(Process(package, name, c, plan.patience, ranks, TAPENET_CACHE=cache))
            for c in candidates
        }
        for c, process in processes.items():
            try:
                process.ask("start")
                numbers[c] = process.ask("check", 3)
                calls[c] = {step: process.ask("calibrate", plan.seconds, step) for step in process.ask("names")}
            except Failed as error:
                errors[c] = str(error)
        errors |= disagreements(numbers)
        fewest = min((n for each in calls.values() for n in each.values()), default=2)
        for _ in range(plan.rounds if fewest > 1 else -(-plan.rounds // 2)):
            for c in [c for c in processes if c not in errors]:
                # Threads of the last one may spin before they sleep: those of OpenBLAS and Numba for more than 0.05 s.
                time.sleep(0.3 if cores() > 1 else 0)
                try:
                    for step, n in calls[c].items():
                        key = f"{c} {step}".strip()
                        paired = cores() > 1 and not ranks and c.startswith("tapenet")
                        for _ in range(PAIRS if paired else 1):
                            # A core that was idle is slow at first: 1.3 times over 5 ms, in a virtual machine.
                            if cores() > 1:
                                processes[c].ask("run", max(1, n // 3), step)
                            times.setdefault(key, []).append(processes[c].ask("run", n, step))
                            if paired:
                                times.setdefault(key + ALONE, []).append(processes[c].ask("alone", n, step))
                except Failed as error:
                    errors[c] = str(error)
    return {c: found for c, found in times.items() if c.partition(" ")[0] not in errors}, errors


def disagreements(numbers: dict[str, list[float]]) -> Errors:
    """Who has numbers other than the middle ones of all."""
    expected = [statistics.median(values) for values in zip(*numbers.values(), strict=True)]
    return {
        c: f"does other work: {values} after three calls, where {expected} is expected"
        for c, values in numbers.items()
        if not all(math.isclose(v, e, rel_tol=1e-4) for v, e in zip(values, expected, strict=True))
    }


def summary(rounds: list[float]) -> Result:
    """Median and quartiles."""
    ordered = sorted(rounds)
    quarter = len(ordered) // 4
    return {
        "median": statistics.median(ordered),
        "quartiles": [ordered[quarter], ordered[-1 - quarter]],
        "rounds": rounds,
    }


def medians(times: dict[str, Result]) -> dict[str, float]:
    """The middle time of each candidate."""
    return {c: t["median"] for c, t in times.items()}


def best(of: Iterable[str], values: dict[str, float]) -> str | None:
    """The candidate, or variant of one, with the least value, if there is one."""
    return min((c for c in values if base(c) in of), key=values.__getitem__, default=None)


def ratio(bound: Bound, values: dict[str, float]) -> Result | None:
    """The quotient of two candidates' values beside its bound, if both were measured."""
    mine, over = best((bound.mine,), values), best(bound.over, values)
    if mine is None or over is None:
        return None
    value = values[mine] / values[over]
    return {"of": mine, "over": over, "ratio": value, "at most": bound.at_most, "met": value <= bound.at_most}


def ratios(bounds: Iterable[Bound], values: dict[str, float]) -> list[Result]:
    """Those of the ratios asked for whose candidates were measured."""
    return [r for bound in bounds if (r := ratio(bound, values))]


def result(workload: Workload, times: Times, errors: Errors) -> Result:
    """What was measured, with what threads gain, the ratios asked for and what failed."""
    summaries = {c: summary(t) for c, t in times.items()}
    found = ratios(workload.bounds, medians(summaries))
    return {"title": workload.title, "times": summaries, "gains": gains(times), "errors": errors, "ratios": found}


def gains(times: Times) -> dict[str, float]:
    """The time of each candidate on one thread over that on several: the median of the pairs' quotients."""
    pairs = {c: zip(times[c + ALONE], t, strict=True) for c, t in times.items() if c + ALONE in times}
    return {c: statistics.median(alone / together for alone, together in of) for c, of in pairs.items()}


def with_memory(
    package: str, name: str, workload: Workload, candidates: Iterable[str], bounds: Bounds, plan: Plan
) -> Result:
    """Microseconds of one workload in all variants, with peak and kept bytes, the ratios asked for and what failed.

    Args:
        bounds: of peaks, and of what is kept.
    """
    with announced(name):
        chosen = with_variants(candidates, workload)
        found = result(workload, *steps(package, name, chosen, plan))
        if not plan.memory:
            return found
        taken, failures = memory(package, name, [c for c in chosen if c not in found["errors"]], plan)
        found["errors"] |= failures
        found["memory"] = {c: most for c, (most, _) in taken.items()}
        found["kept"] = {c: kept for c, (_, kept) in taken.items()}
        found["memory ratios"] = ratios(bounds, found["memory"])
        found["kept ratios"] = ratios(bounds, found["kept"])
    return found


def memory(
    package: str, name: str, candidates: Iterable[str], plan: Plan
) -> tuple[dict[str, tuple[float, float]], Errors]:
    """Bytes by which each candidate's process, a fresh one, grows over what it was before the first step: during steps, at
    the worst moment, and after them."""
    found: dict[str, tuple[float, float]] = {}
    errors: Errors = {}
    if not measurable():
        return found, errors
    for c in candidates:
        # Nothing is compiled before: what the compiler itself needs is then there when the first step begins.
        with (
            tempfile.TemporaryDirectory() as cache,
            Process(package, name, c, plan.patience, TAPENET_CACHE=cache) as process,
        ):
            try:
                process.ask("start")
                found[c] = process.ask("memory", 5)
            except Failed as error:
                errors[f"{c}, memory"] = str(error)
    return found, errors


@contextmanager
def announced(name: str) -> Iterator[None]:
    """Says on the terminal what is measured, and how long that took."""
    print(f"{name} ...", file=sys.stderr, end="", flush=True)
    begin = time.perf_counter()
    yield
    print(f" {time.perf_counter() - begin:.0f} s", file=sys.stderr)
