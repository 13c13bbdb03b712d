"""The command line of a suite."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.side_by_side.measure import Plan, Result
from tests.benchmarks.side_by_side.report import machine


def parser(
    package: str, description: str, workloads: Iterable[str], candidates: Iterable[str]
) -> argparse.ArgumentParser:
    """The options that all suites have."""
    made = argparse.ArgumentParser(prog=f"python -m {package}", description=description)
    made.add_argument("--only", nargs="+", choices=list(workloads), default=list(workloads), metavar="WORKLOAD")
    made.add_argument(
        "--candidates", nargs="+", choices=list(candidates), default=list(candidates), metavar="CANDIDATE"
    )
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--rounds", type=int, help="15, or 3 with --quick")
    made.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    made.add_argument("--json", type=Path, metavar="FILE")
    return made


def begin(options: argparse.Namespace) -> Plan:
    """Pin the processes to come, say where they run, and return how to measure."""
    pin(options.threads)
    print(", ".join(f"{key} {value}" for key, value in machine(options.threads).items()))
    return Plan(options.rounds or (3 if options.quick else 15), 0.02 if options.quick else 0.1)


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
