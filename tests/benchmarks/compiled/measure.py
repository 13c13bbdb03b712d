"""Timing side by side: a process for each candidate, and rounds that take turns.

While one process runs the others wait for their next command. A candidate that fails, or whose numbers differ from the
others', is reported with its error and takes no part in the ratios.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from tests.benchmarks.compiled import cores
from tests.benchmarks.compiled.workloads import COUNTS, WORKLOADS, Bound, FirstCall, Growth

ROOT = Path(__file__).parents[3]
Result = dict[str, Any]
Times = dict[str, list[float]]
Errors = dict[str, str]


class Plan(NamedTuple):
    """How to measure.

    Attributes:
        rounds: how often each candidate has its turn, of about `seconds`.
        nodes: the largest number of nodes compiled.
        patience: seconds after which a candidate that does not answer is given up.
    """

    rounds: int
    seconds: float
    nodes: int
    patience: float = 900.0


class Failed(Exception):
    """A candidate could not do what was asked; the message says why."""


class Process:
    """A worker, asked one thing at a time."""

    def __init__(self, workload: str, candidate: str, patience: float, **environment: str) -> None:
        self.patience = patience
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", workload, candidate],
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


def measure(name: str, candidates: Iterable[str], plan: Plan) -> Result:
    """Times of one workload, in microseconds, with the ratios asked for, the limit, and what failed."""
    workload = WORKLOADS[name]
    print(f"{name} ...", file=sys.stderr, end="", flush=True)
    begin = time.perf_counter()
    if isinstance(workload.task, FirstCall):
        times, errors = first_calls(name, candidates, plan)
    elif isinstance(workload.task, Growth):
        times, errors = growth(name, candidates, plan)
    else:
        times, errors = steps(name, candidates, plan)
    result: Result = {"title": workload.title, "times": {c: summary(t) for c, t in times.items()}, "errors": errors}
    result["ratios"] = [r for bound in workload.bounds if (r := ratio(bound, result["times"]))]
    if not isinstance(workload.task, (FirstCall, Growth)):
        with Process(name, "limits", plan.patience) as process:
            result["limit"] = process.ask("limit")
    print(f" {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    return result


def steps(name: str, candidates: Iterable[str], plan: Plan) -> tuple[Times, Errors]:
    """Microseconds per call of each candidate and round."""
    times: Times = {}
    errors: Errors = {}
    numbers, calls = {}, {}
    with ExitStack() as stack:
        cache = stack.enter_context(tempfile.TemporaryDirectory())
        processes = {c: stack.enter_context(Process(name, c, plan.patience, TAPENET_CACHE=cache)) for c in candidates}
        for c, process in processes.items():
            try:
                process.ask("start")
                numbers[c] = process.ask("check", 3)
                calls[c] = process.ask("calibrate", plan.seconds)
            except Failed as error:
                errors[c] = str(error)
        errors |= disagreements(numbers)
        for _ in range(plan.rounds):
            for c in [c for c in processes if c not in errors]:
                # Threads of the last one's pool may spin for a while before they sleep.
                time.sleep(0.05 if cores() > 1 else 0)
                try:
                    times.setdefault(c, []).append(processes[c].ask("run", calls[c]))
                except Failed as error:
                    errors[c] = str(error)
    return {c: times[c] for c in processes if c in times.keys() - errors.keys()}, errors


def disagreements(numbers: dict[str, list[float]]) -> Errors:
    """Who has numbers other than the middle ones of all."""
    expected = [statistics.median(values) for values in zip(*numbers.values(), strict=True)]
    return {
        c: f"does other work: {values} after three calls, where {expected} is expected"
        for c, values in numbers.items()
        if not all(math.isclose(v, e, rel_tol=1e-4) for v, e in zip(values, expected, strict=True))
    }


def first_calls(name: str, candidates: Iterable[str], plan: Plan) -> tuple[Times, Errors]:
    """Microseconds of the first call in a fresh process, without and with the imports: `cold`, with an empty cache on
    disk, and `warm`, with one that another process has filled. JAX keeps none unless it is told to, so it is told only
    for `warm`. (PyTorch compiles in further processes and takes tens of seconds.)"""
    times: Times = {}
    errors: Errors = {}
    chosen = [c for c in candidates if c in ("tapenet-plan", "tapenet-native", "jax")]

    def call(c: str, state: str, cache: str) -> None:
        environment = {"TAPENET_CACHE": cache}
        if state != "cold":
            environment |= {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        with Process(name, c, plan.patience, **environment) as process:
            imports = process.ask("start")
            first = process.ask("first")
        times.setdefault(f"{c} {state}", []).append(first)
        times.setdefault(f"{c} {state}, with import", []).append(imports + first)

    with ExitStack() as stack:
        filled = {c: stack.enter_context(tempfile.TemporaryDirectory()) for c in chosen}
        for turn in range(1 + max(1, plan.rounds // 3)):
            for c in chosen:
                if c in errors:
                    continue
                try:
                    if turn:
                        with tempfile.TemporaryDirectory() as empty:
                            call(c, "cold", empty)
                    call(c, "warm" if turn else "filling", filled[c])
                except Failed as error:
                    errors[c] = str(error)
    return {key: values for key, values in times.items() if "filling" not in key}, errors


def growth(name: str, candidates: Iterable[str], plan: Plan) -> tuple[Times, Errors]:
    """Microseconds per node to compile programs of several lengths, each in a process of its own."""
    times: Times = {}
    errors: Errors = {}
    for c in candidates:
        if c not in ("tapenet-plan", "tapenet-native"):
            continue
        for count in (n for n in COUNTS if n <= plan.nodes):
            try:
                for _ in range(max(1, plan.rounds // 5)):
                    with (
                        tempfile.TemporaryDirectory() as empty,
                        Process(name, c, plan.patience, TAPENET_CACHE=empty) as process,
                    ):
                        found = process.ask("grow", count)
                    times.setdefault(f"{c} {count:,}", []).append(found)
            except Failed as error:
                errors[f"{c} {count:,}"] = str(error)
    return times, errors


def summary(rounds: list[float]) -> Result:
    """Median and quartiles."""
    ordered = sorted(rounds)
    quarter = len(ordered) // 4
    return {
        "median": statistics.median(ordered),
        "quartiles": [ordered[quarter], ordered[-1 - quarter]],
        "rounds": rounds,
    }


def ratio(bound: Bound, times: dict[str, Result]) -> Result | None:
    """The quotient of two medians beside its bound, if both were measured."""
    peers = [c for c in bound.over if c in times]
    if bound.mine not in times or not peers:
        return None
    over = min(peers, key=lambda c: times[c]["median"])
    value = times[bound.mine]["median"] / times[over]["median"]
    return {"of": bound.mine, "over": over, "ratio": value, "at most": bound.at_most, "met": value <= bound.at_most}
