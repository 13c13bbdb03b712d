"""Figures of a processor: its rates, and the time and the steps of each workload, by width of vectors and number of threads."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from tests.benchmarks.scaling.workloads import PROCESSOR
from tests.benchmarks.side_by_side.command import pin
from tests.benchmarks.side_by_side.measure import Plan, Process, announced

#: Widths of vectors in bits, with the processor that code is made for, and that whose kernels OpenBLAS takes.
WIDTHS = {
    "128": {"TAPENET_CPU": "x86-64-v2", "OPENBLAS_CORETYPE": "Nehalem"},
    "256": {"TAPENET_CPU": "x86-64-v3", "OPENBLAS_CORETYPE": "Haswell"},
    "512": {"TAPENET_CPU": "x86-64-v4", "OPENBLAS_CORETYPE": "SkylakeX"},
}


def widths(flags: str) -> list[str]:
    """Those that a processor has, given what it says of itself; of one that is no x86-64, its own alone."""
    if "sse4_2" not in flags.split():
        return ["own"]
    return ["128"] + ["256"] * ("avx2" in flags.split()) + ["512"] * ("avx512vl" in flags.split())


def measure(
    found: dict[str, Any],
    names: Iterable[str],
    threads: Iterable[int],
    chosen: Iterable[str],
    plan: Plan,
    save: Callable[[], object],
) -> None:
    """Put figures of workloads, by "WIDTH/THREADS", into those of a processor, and save them after each."""
    names = list(names)
    for n in sorted(threads, reverse=True):  # who is pinned to one core cannot go back to two
        pin(n)
        for name in names:
            with announced(f"{name}, {n}"), ExitStack() as stack:
                processes = {w: stack.enter_context(_process(name, w, plan)) for w in chosen}
                for p in processes.values():
                    p.ask("start")
                if name == PROCESSOR:
                    found.setdefault("rates", {}).update({f"{w}/{n}": p.ask("describe") for w, p in processes.items()})
                else:
                    _workload(found.setdefault("workloads", {}).setdefault(name, {}), processes, n, plan)
            save()


def _process(name: str, width: str, plan: Plan) -> Process:
    return Process(__package__, name, "tapenet-native", plan.patience, **WIDTHS.get(width, {}))


def _workload(found: dict[str, Any], processes: Mapping[str, Process], threads: int, plan: Plan) -> None:
    calls = {}
    for width, p in processes.items():
        p.ask("check", 2)
        calls[width] = p.ask("calibrate", plan.seconds)
        found.setdefault("steps", {})[width] = p.ask("describe")
    times: dict[str, list[float]] = {width: [] for width in processes}
    for _ in range(plan.rounds):
        for width, p in processes.items():
            times[width].append(p.ask("run", calls[width]))
    found.setdefault("times", {}).update({f"{w}/{threads}": statistics.median(t) for w, t in times.items()})
