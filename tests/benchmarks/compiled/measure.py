"""What is timed here beside steps: the limit, first calls, and compiling programs of several lengths."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack

from tests.benchmarks.compiled.workloads import COUNTS, LOOPS, WORKLOADS, FirstCall, Growth
from tests.benchmarks.side_by_side.measure import Errors, Failed, Plan, Process, Result, Times, announced, result, steps

PACKAGE = __package__


def measure(name: str, candidates: Iterable[str], plan: Plan, nodes: int = 10_000) -> Result:
    """Times of one workload, in microseconds, with the ratios asked for, the limit, and what failed.

    Args:
        nodes: the largest number of nodes compiled.
    """
    workload = WORKLOADS[name]
    candidates = [c for c in candidates if c != "numba" or name in LOOPS]
    with announced(name):
        if isinstance(workload.task, FirstCall):
            return result(workload, *first_calls(name, candidates, plan))
        if isinstance(workload.task, Growth):
            return result(workload, *growth(name, candidates, plan, nodes))
        found = result(workload, *steps(PACKAGE, name, candidates, plan))
        with Process(PACKAGE, name, "limits", plan.patience) as process:
            found["limit"] = process.ask("limit")
    return found


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
        with Process(PACKAGE, name, c, plan.patience, **environment) as process:
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


def growth(name: str, candidates: Iterable[str], plan: Plan, most: int) -> tuple[Times, Errors]:
    """Microseconds per node to compile programs of several lengths, each in a process of its own.

    Args:
        most: the largest number of nodes.
    """
    times: Times = {}
    errors: Errors = {}
    for c in candidates:
        if c not in ("tapenet-plan", "tapenet-native"):
            continue
        for count in (n for n in COUNTS if n <= most):
            try:
                for _ in range(max(1, plan.rounds // 5)):
                    with (
                        tempfile.TemporaryDirectory() as empty,
                        Process(PACKAGE, name, c, plan.patience, TAPENET_CACHE=empty) as process,
                    ):
                        found = process.ask("grow", count)
                    times.setdefault(f"{c} {count:,}", []).append(found)
            except Failed as error:
                errors[f"{c} {count:,}"] = str(error)
    return times, errors
