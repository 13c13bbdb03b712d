"""Times of a workload."""

from __future__ import annotations

from collections.abc import Iterable

from tests.benchmarks.elementwise.workloads import WORKLOADS
from tests.benchmarks.side_by_side.measure import Plan, Result, announced, result, steps

PACKAGE = __package__


def measure(name: str, candidates: Iterable[str], plan: Plan) -> Result:
    """Microseconds of one workload. Of gradients there are none by hand."""
    gradient = WORKLOADS[name].task.gradient
    with announced(name):
        chosen = [c for c in candidates if not (gradient and c in ("numba", "numpy"))]
        return result(WORKLOADS[name], *steps(PACKAGE, name, chosen, plan))
