"""Times of a workload and the peak of memory during it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable

from tests.benchmarks.layers.workloads import MEMORY, WORKLOADS
from tests.benchmarks.side_by_side.measure import (
    Errors,
    Failed,
    Plan,
    Process,
    Result,
    announced,
    ratios,
    result,
    steps,
)
from tests.benchmarks.side_by_side.memory import measurable
from tests.benchmarks.side_by_side.tasks import with_variants

PACKAGE = __package__


def measure(name: str, candidates: Iterable[str], plan: Plan) -> Result:
    """Microseconds and bytes of one workload, with the ratios asked for and what failed."""
    workload = WORKLOADS[name]
    with announced(name):
        chosen = with_variants(candidates, workload)
        found = result(workload, *steps(PACKAGE, name, chosen, plan))
        found["memory"], failures = memory(name, [c for c in chosen if c not in found["errors"]], plan)
        found["errors"] |= failures
        found["memory ratios"] = ratios(MEMORY, found["memory"])
    return found


def memory(name: str, candidates: Iterable[str], plan: Plan) -> tuple[dict[str, float], Errors]:
    """Bytes by which each candidate's process, a fresh one, grows over what it was before the first step."""
    found: dict[str, float] = {}
    errors: Errors = {}
    if not measurable():
        return found, errors
    for c in candidates:
        # Nothing is compiled before: what the compiler itself needs is then there when the first step begins.
        with (
            tempfile.TemporaryDirectory() as cache,
            Process(PACKAGE, name, c, plan.patience, TAPENET_CACHE=cache) as process,
        ):
            try:
                process.ask("start")
                found[c] = process.ask("memory", 5)
            except Failed as error:
                errors[f"{c}, memory"] = str(error)
    return found, errors
