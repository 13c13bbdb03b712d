"""Everything beside its peers, at one thread and at two: `python -m tests.benchmarks.all`.

pip install -e '.[bench]'

Writes docs/benchmarks.json, and from it docs/benchmarks.md and its plot. That takes hours; so `--only SUITE` or
`--only SUITE/WORKLOAD` measures a part and puts it in the place of what the file has of it, and `--read` measures nothing and
makes the page anew. Every candidate has a process of its own, pinned to as many cores as it has threads; candidates
take turns round by round, and medians count.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.benchmarks.all.page import IMAGE, PAGE, page
from tests.benchmarks.all.plot import plot
from tests.benchmarks.all.suites import chosen, suites
from tests.benchmarks.side_by_side.command import failed, pin
from tests.benchmarks.side_by_side.measure import Plan, Result
from tests.benchmarks.side_by_side.report import machine


def main() -> int:
    """Measure what was asked for, write the file and the page; 1 if a candidate failed or a bound was missed."""
    made = argparse.ArgumentParser(prog=f"python -m {__package__}", description=(__doc__ or "").partition(":")[0])
    made.add_argument("--only", nargs="+", metavar="SUITE[/WORKLOAD]")
    made.add_argument("--candidates", nargs="+", metavar="CANDIDATE", help="all, if not given")
    made.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    made.add_argument("--rounds", type=int, default=9)
    made.add_argument("--seconds", type=float, default=0.1, help="of a round")
    made.add_argument("--read", action="store_true", help="measure nothing")
    made.add_argument("--folder", type=Path, default=PAGE.parent, help="where to write, if not to docs")
    options = made.parse_args()
    file = options.folder / PAGE.with_suffix(".json").name
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() and (options.read or options.only) else {}
    found: Result = {"machine": {}, "suites": {}} | kept
    work = [] if options.read else chosen(options.only or suites())
    plan = Plan(options.rounds, options.seconds)
    results = []
    # From many to few: who is pinned to one core cannot go back to two.
    for threads in sorted(options.threads if work else (), reverse=True):
        pin(threads)
        found["machine"][str(threads)] = machine(threads)
        for suite, workload in work:
            candidates = [c for c in suite.candidates if c in (options.candidates or suite.candidates)]
            result = suite.measure(workload, candidates, plan)
            results.append(result)
            for times in result["times"].values():
                del times["rounds"]
            found["suites"].setdefault(suite.name, {}).setdefault(str(threads), {})[workload] = result
            file.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (options.folder / PAGE.name).write_text(page(found), encoding="utf-8", newline="\n")
    image = options.folder / IMAGE
    image.parent.mkdir(exist_ok=True)
    image.write_text(plot(found), encoding="utf-8", newline="\n")
    return int(failed(results))


if __name__ == "__main__":
    sys.exit(main())
