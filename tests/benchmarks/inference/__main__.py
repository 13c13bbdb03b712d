"""Models in eval mode beside onnxruntime: `python -m tests.benchmarks.inference`.

pip install -e '.[jit,bench]'

Everything runs on one core with one thread, or on as many as `--threads` says; see `workloads` for what is measured, and the
`_side` modules for how each library does it.
"""

from __future__ import annotations

import sys

from tests.benchmarks.inference.measure import measure
from tests.benchmarks.inference.workloads import CANDIDATES, WORKLOADS
from tests.benchmarks.side_by_side.command import begin, failed, parser
from tests.benchmarks.side_by_side.measure import Result, medians
from tests.benchmarks.side_by_side.report import aligned, machine, microseconds, ratio, save


def table(results: dict[str, Result]) -> str:
    """Times, ratios, and memory in MB below."""
    rows = [["µs (MB)", *CANDIDATES, ""]]
    for name, found in results.items():
        times, memory = medians(found["times"]), found.get("memory", {})
        cells = [
            f"{microseconds(times[c])} ({(memory.get(c) or 0) / 1e6:.1f})"
            if c in times
            else found["errors"].get(c, "")[:20]
            for c in CANDIDATES
        ]
        rows.append([name, *cells, "; ".join(map(ratio, found["ratios"]))])
    return "\n".join(aligned(rows))


def main() -> int:
    """Measure, print the table, write what was asked for; 1 if a candidate failed or a bound was missed."""
    options = parser(__package__ or "", (__doc__ or "").partition(":")[0], WORKLOADS, CANDIDATES).parse_args()
    plan = begin(options)
    results = {name: measure(name, options.candidates, plan) for name in options.only}
    print(table(results))
    if options.json:
        save(options.json, machine(options.threads), results)
    return int(failed(results.values()))


if __name__ == "__main__":
    sys.exit(main())
