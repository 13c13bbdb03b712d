"""What the benchmarks would take on other processors: `python -m tests.benchmarks.scaling`.

pip install -e '.[bench]'

Measures this processor and the compiled steps of the suites, at one thread, two, four and so on to as many as there are, and
for vectors of 128, 256 and 512 bits; writes the figures into docs/scaling.json beside those of other processors, after each
workload, and makes docs/scaling.md and its plot of all of them. `--only` measures some workloads and keeps the other figures;
`--read` measures nothing. Takes some ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from tests.benchmarks.scaling.figures import measure, widths
from tests.benchmarks.scaling.page import IMAGE, PAGE, page, plot
from tests.benchmarks.scaling.workloads import WORKLOADS
from tests.benchmarks.side_by_side import cores
from tests.benchmarks.side_by_side.measure import Plan
from tests.benchmarks.side_by_side.report import machine


def main() -> int:
    """Measure what was asked for, write the figures and the page."""
    made = argparse.ArgumentParser(prog=f"python -m {__package__}", description=(__doc__ or "").partition(":")[0])
    made.add_argument("--only", nargs="+", choices=list(WORKLOADS), metavar="WORKLOAD", default=list(WORKLOADS))
    made.add_argument("--threads", nargs="+", type=int)
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--seconds", type=float, default=0.05, help="of a round")
    made.add_argument("--read", action="store_true", help="measure nothing")
    options = made.parse_args()
    file = PAGE.with_suffix(".json")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if not options.read:
        powers = [2**i for i in range(cores().bit_length())]
        threads = options.threads or sorted({*(n for n in powers if n <= cores()), cores()})
        here = machine(cores())
        of = found.setdefault(f"{here['cpu']}, {here['cores']} cores", {"machine": here})
        of |= {"near": _cache(2), "shared": _cache(3)}
        save = lambda: file.write_text(_written(found), encoding="utf-8")
        measure(of, options.only, threads, widths(_flags()), Plan(options.rounds, options.seconds), save)
    PAGE.write_text(page(found), encoding="utf-8", newline="\n")
    image = PAGE.parent / IMAGE
    image.write_text(plot(found), encoding="utf-8", newline="\n")
    return 0


def _written(found: dict[str, Any]) -> str:
    """The figures as JSON, each list without lists in one line."""
    text = json.dumps(found, indent=1, ensure_ascii=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda m: " ".join(m.group().split()), text) + "\n"


def _flags() -> str:
    """What the processor says that it has, where Linux tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("flags")), "")


def _cache(level: int) -> int:
    """Bytes of a level of cache, where Linux tells; else what is usual."""
    for folder in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        if (folder / "level").read_text().strip() == str(level):
            return int((folder / "size").read_text().strip().removesuffix("K")) * 1024
    return {2: 1 << 20, 3: 1 << 25}[level]


if __name__ == "__main__":
    sys.exit(main())
