"""Times of a workload and the memory it takes."""

from __future__ import annotations

from collections.abc import Iterable

from tests.benchmarks.layers.workloads import MEMORY, WORKLOADS
from tests.benchmarks.side_by_side.measure import Plan, Result, with_memory

PACKAGE = __package__


def measure(name: str, candidates: Iterable[str], plan: Plan) -> Result:
    """Microseconds and bytes of one workload, with the ratios asked for and what failed."""
    return with_memory(PACKAGE, name, WORKLOADS[name], candidates, MEMORY, plan)
