"""Compiled training steps beside their peers: `python -m tests.benchmarks.compiled`.

pip install -e '.[jit,bench]'

Everything runs on one core with one thread, or on as many as `--threads` says; see `workloads` for what is measured,
`measure` for how, and `limits` for the limit printed beside each figure. On one core the clock is the time that the
process has run, which other programs do not disturb as much.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.benchmarks.compiled.measure import measure
from tests.benchmarks.compiled.report import plot, table
from tests.benchmarks.compiled.workloads import CANDIDATES, WORKLOADS
from tests.benchmarks.side_by_side.command import begin, failed, parser
from tests.benchmarks.side_by_side.report import machine, save


def main() -> int:
    """Measure, print the table, write what was asked for; 1 if a candidate failed or a bound was missed."""
    made = parser(__package__, (__doc__ or "").partition(":")[0], WORKLOADS, CANDIDATES)
    made.add_argument("--plot", type=Path, metavar="FILE.svg")
    options = made.parse_args()
    plan = begin(options)
    most = 1000 if options.quick else 10_000
    results = {name: measure(name, options.candidates, plan, most) for name in options.only}
    print(table(results))
    if options.json:
        save(options.json, machine(options.threads), results)
    if options.plot:
        options.plot.write_text(plot(results), encoding="utf-8")
    return int(failed(results.values()))


if __name__ == "__main__":
    sys.exit(main())
