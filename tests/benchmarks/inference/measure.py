"""One workload: time of a call, and memory of a fresh process."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable

from tests.benchmarks.inference.workloads import WORKLOADS
from tests.benchmarks.side_by_side.measure import Failed, Plan, Process, Result, announced, result, steps
from tests.benchmarks.side_by_side.memory import measurable

#: Calls after which the peak is read.
CALLS = 20


def measure(name: str, candidates: Iterable[str], plan: Plan) -> Result:
    """Times, and bytes by which a process grows from before it has a model to the worst moment of its calls."""
    candidates = list(candidates)
    package = __package__ or ""
    with announced(name):
        times, errors = steps(package, name, candidates, plan)
        found = result(WORKLOADS[name], times, errors)
        if plan.memory and measurable():
            found["memory"] = {c: _memory(package, name, c, plan) for c in candidates if c in times}
    return found


def _memory(package: str, name: str, candidate: str, plan: Plan) -> int | None:
    with (
        tempfile.TemporaryDirectory() as cache,
        Process(package, name, candidate, plan.patience, TAPENET_CACHE=cache) as p,
    ):
        try:
            return int(p.ask("memory_of_all", CALLS)[0])
        except Failed:
            return None
