"""Times of a workload, by candidates of several processes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from tests.benchmarks.parallel.workloads import CANDIDATES, WORKLOADS
from tests.benchmarks.side_by_side.measure import MPIEXEC, Plan, Result, announced, result, steps

PACKAGE = __package__


def measure(name: str, candidates: Iterable[str], plan: Plan) -> Result:
    """Microseconds of one workload, with the ratios asked for and what failed."""
    workload = WORKLOADS[name]
    of = workload.task.of
    there = CANDIDATES if isinstance(of, int) else ("tapenet-native",) if isinstance(of, str) else CANDIDATES[:-1]
    if MPIEXEC is None or importlib.util.find_spec("mpi4py") is None:
        return result(workload, {}, {"mpi4py": "needs an MPI library: pip install -e '.[mpi]'"})
    with announced(name):
        chosen = [c for c in candidates if c in there]
        return result(workload, *steps(PACKAGE, name, chosen, plan, workload.task.ranks))
