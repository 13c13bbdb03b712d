"""Parts of the grid: `python -m tests.benchmarks.shapes`.

With `--json FILE` times are kept, and those of candidates that are not measured this time are read from there. `--prepare`
only compiles, into TAPENET_CACHE and the JAX_COMPILATION_CACHE_DIR. `--part 2/3` measures the second third of the rows.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from tests.benchmarks.shapes.grid import Times, calls, rows, times
from tests.benchmarks.shapes.page import ABOVE, listed, summary
from tests.benchmarks.shapes.workloads import CANDIDATES, WORKLOADS, name
from tests.benchmarks.side_by_side.command import pin


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("--kind", choices=WORKLOADS, help="all, if not given")
    parser.add_argument("--only", default="", metavar="PATTERN", help="of rows' names")
    parser.add_argument("--part", default="1/1", metavar="I/N")
    parser.add_argument("--candidates", nargs="*", default=CANDIDATES, choices=CANDIDATES)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.002, help="of a turn")
    parser.add_argument("--above", type=float, default=ABOVE, help="list rows above this")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    pin(1)
    found: Times = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    kinds = {str(row): name(row.kind) for row in rows()}
    asked = lambda row: re.search(options.only, row) and options.kind in (None, kinds[row])
    chosen = [row for row in rows() if asked(str(row))]
    i, n = map(int, options.part.split("/"))
    for row in chosen[len(chosen) * (i - 1) // n : len(chosen) * i // n]:
        if options.prepare:
            for _, of in calls(row, options.candidates):
                for call in of:
                    call()
            continue
        for product, t in times(row, options.candidates, options.rounds, options.seconds).items():
            found.setdefault(str(row), {}).setdefault(product, {}).update(t)
    if options.prepare:
        return
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    shown: dict[str, Times] = {}
    for row, products in found.items():
        if asked(row):
            shown.setdefault(kinds[row], {})[row] = products
    print(summary(shown), listed(shown, options.above), sep="\n\n")


if __name__ == "__main__":
    main()
