"""Everything beside its peers, at one thread and at two: `python -m tests.benchmarks.all`.

pip install -e '.[bench,mpi]'

Writes docs/benchmarks.json, and from it docs/benchmarks.md and its plots, after each workload. `--only SUITE` or
`--only SUITE/WORKLOAD` (or a pattern, as 'parallel/allreduce-2-*') measures a part and puts it in the place of what the file
has of it; `--missing` measures what the file does not have, and so goes on where a run was ended; `--read` measures nothing and
makes the page anew. Every candidate has a process of its own, or one for each rank, pinned to as many cores as it has threads;
candidates take turns round by round, and medians count. Memory does not depend on threads, and is measured with the fewest.
`--quick` takes some 30 minutes on two cores, 17 of them for one thread (`--threads 1`), a fraction of the whole: fewer and
shorter rounds, and no torch.compile, which takes minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
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
    made.add_argument("--rounds", type=int, help="9, or 5 with --quick")
    made.add_argument("--seconds", type=float, help="of a round: 0.1, or 0.03 with --quick")
    made.add_argument("--quick", action="store_true")
    made.add_argument("--missing", action="store_true", help="what the file does not have")
    made.add_argument("--read", action="store_true", help="measure nothing")
    made.add_argument("--folder", type=Path, default=PAGE.parent, help="where to write, if not to docs")
    options = made.parse_args()
    file = options.folder / PAGE.with_suffix(".json").name
    keeps = options.read or options.only or options.missing
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() and keeps else {}
    found: Result = {"machine": {}, "suites": {}} | kept
    work = [] if options.read else chosen(options.only or suites())
    results = []
    with tempfile.TemporaryDirectory() as cache:
        os.environ.setdefault("TAPENET_CACHE", cache)  # what one number of threads compiled the other need not
        # From many to few: who is pinned to one core cannot go back to two.
        for threads in sorted(options.threads if work else (), reverse=True):
            pin(threads)
            rounds, seconds = (5, 0.03) if options.quick else (9, 0.1)
            memory = threads == min(options.threads)
            plan = Plan(options.rounds or rounds, options.seconds or seconds, memory)
            for suite, workload in work:
                there = found["suites"].setdefault(suite.name, {}).setdefault(str(threads), {})
                if (options.missing and workload in there) or (threads > 1 and workload in suite.alone):
                    continue
                where = found["machine"][str(threads)] = machine(threads)
                asked = options.candidates or suite.candidates
                left_out = suite.slow if options.quick else ()
                candidates = [c for c in suite.candidates if c in asked and c not in left_out]
                there[workload] = suite.measure(workload, candidates, plan) | {"cpu": where["cpu"]}
                results.append(there[workload])
                for times in there[workload]["times"].values():
                    del times["rounds"]
                _write(options.folder, found)
    _write(options.folder, found)
    return int(failed(results))


def _write(folder: Path, found: Result) -> None:
    """The figures, the page and the plot."""
    text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    written = {PAGE.with_suffix(".json").name: text, PAGE.name: page(found), IMAGE: plot(found)}
    written |= {f"{Path(IMAGE).parent}/{name}.svg": suite.more(found)[1] for name, suite in suites().items()}
    (folder / IMAGE).parent.mkdir(parents=True, exist_ok=True)
    for file, content in written.items():
        if content:
            (folder / file).write_text(content, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    sys.exit(main())
