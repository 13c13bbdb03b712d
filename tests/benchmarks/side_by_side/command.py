"""What the commands of suites share."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tests.benchmarks.side_by_side.measure import Result


def pin(threads: int) -> None:
    """Let the processes to come use so many threads, and as many cores."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def failed(results: Iterable[Result]) -> bool:
    """Whether a candidate failed or a bound was missed."""
    return any(r["errors"] or not all(q["met"] for q in r["ratios"] + r.get("memory ratios", [])) for r in results)
