"""Compiled training steps beside their peers: `python -m tests.benchmarks.compiled`.

pip install -e '.[jit,bench]'

Everything runs on one core with one thread, or on as many as `--threads` says; see `workloads` for what is measured,
`measure` for how, and `limits` for the limit printed beside each figure. On one core the clock is the time that the
process has run, which other programs do not disturb as much.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from tests.benchmarks.compiled.measure import Plan, measure
from tests.benchmarks.compiled.report import machine, plot, table
from tests.benchmarks.compiled.workloads import CANDIDATES, WORKLOADS


def pin(threads: int) -> None:
    """Let the processes to come use so many threads, and as many cores."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def main() -> int:
    """Measure, print the table, write what was asked for; 1 if a candidate failed or a bound was missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.compiled", description=__doc__.split(":")[0])
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=list(WORKLOADS), metavar="WORKLOAD")
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, default=CANDIDATES, metavar="CANDIDATE")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, help="15, or 3 with --quick")
    parser.add_argument("--quick", action="store_true", help="short rounds, and programs of up to 1,000 nodes")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = parser.parse_args()
    pin(options.threads)
    rounds = options.rounds or (3 if options.quick else 15)
    plan = Plan(rounds, 0.02, 1000) if options.quick else Plan(rounds, 0.1, 10_000)
    where = machine(options.threads)
    print(", ".join(f"{key} {value}" for key, value in where.items()))
    results = {name: measure(name, options.candidates, plan) for name in options.only}
    print(table(results))
    if options.json:
        options.json.write_text(
            json.dumps({"machine": where, "workloads": results}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    if options.plot:
        options.plot.write_text(plot(results), encoding="utf-8")
    failed = any(r["errors"] or not all(q["met"] for q in r["ratios"]) for r in results.values())
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
