"""Steps of layers beside their peers: `python -m tests.benchmarks.layers`.

pip install -e '.[jit,bench]'

Everything runs on one core with one thread, or on as many as `--threads` says; see `workloads` for what is measured, the
`_side` modules for how each library does it, and docs/layers.md for what comes of it. `--json docs/layers.json --write` makes
the figures there anew. With `--read FILE` only what `--only` names is measured, and the rest is taken from what `--json` wrote.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.benchmarks.harness import fill
from tests.benchmarks.layers.measure import measure
from tests.benchmarks.layers.report import PAGE, page, table
from tests.benchmarks.layers.workloads import CANDIDATES, WORKLOADS
from tests.benchmarks.side_by_side.command import begin, failed, parser
from tests.benchmarks.side_by_side.measure import Result
from tests.benchmarks.side_by_side.report import machine, save


def main() -> int:
    """Measure, print the tables, write what was asked for; 1 if a candidate failed or a bound was missed."""
    made = parser(__package__, (__doc__ or "").partition(":")[0], WORKLOADS, CANDIDATES)
    made.add_argument("--write", action="store_true", help="put the tables for so many threads into docs/layers.md")
    made.add_argument("--read", type=Path, metavar="FILE", help="figures of what is not measured")
    made.set_defaults(only=[])
    options = made.parse_args()
    results: dict[str, Result] = {}
    if options.read:
        found = json.loads(options.read.read_text(encoding="utf-8"))
        where, results = found["machine"], found["workloads"]
        options.threads = where["threads"]
    chosen = options.only or ([] if options.read else list(WORKLOADS))
    if chosen:
        plan = begin(options)
        where = machine(options.threads)
        results |= {name: measure(name, options.candidates, plan) for name in chosen}
    print(table(results))
    if options.json:
        save(options.json, where, results)
    if options.write:
        fill(PAGE, f"threads {options.threads}", page(where, results))
    return int(failed(results.values()))


if __name__ == "__main__":
    sys.exit(main())
