"""NumPy programs as they are: which run, are differentiated and compiled, and how long they take beside NumPy and JAX.

The thirty of `tests/lifting/programs`; with `TAPENET_NPBENCH`, a checkout of NPBench, its 54 too (size S). Each program is
measured in a process of its own, on one thread. "check" takes small sizes and compares values and gradients; "measure"
takes large ones and times NumPy and compiled programs, "jax" those of JAX. With --json numbers are added to those in a file:

    python -m tests.benchmarks.lifting check [NAME ...]
    python -m tests.benchmarks.lifting jax [NAME ...] --json FILE
    python -m tests.benchmarks.lifting measure [NAME ...] --json FILE [--seconds LIMIT]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.lifting.cases import npbench_names
from tests.benchmarks.lifting.measure import CHECKS
from tests.lifting.programs import NAMES

ROOT = Path(__file__).parents[3]


def run(name: str, what: str, seconds: float) -> dict[str, Any]:
    """What one program does, in a process of its own."""
    threads = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
    command = [sys.executable, "-m", "tests.benchmarks.lifting.measure", name, what]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            capture_output=True,
            encoding="utf-8",
            timeout=seconds,
            env=os.environ | threads,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"name": name, "errors": {"all": f"more than {seconds:.0f} s"}}
    if done.returncode:
        return {"name": name, "errors": {"all": done.stderr.strip().splitlines()[-1]}}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def cells(found: dict[str, Any], what: str) -> Iterator[str]:
    """A row of the table."""
    yield found["name"]
    if what == "check":
        for key in CHECKS:
            yield {True: "yes", False: "NO", None: "-"}[found.get(key)]
        return
    for key in TIMES:
        yield f"{found[key]:.3g}" if key in found else "-"


TIMES = (
    "numpy", "compiled", "jax", "gradient", "jax gradient", "compile s", "jax compile s", "gradient compile s",
    "jax gradient compile s",
)  # fmt: skip


def mean(found: list[dict[str, Any]], above: str, below: str) -> str:
    """The geometric mean of a ratio, its extremes, and of how many programs."""
    ratios = [math.log(max(f[above], 1e-4) / max(f[below], 1e-4)) for f in found if above in f and below in f]
    if not ratios:
        return f"{above} / {below}: none"
    values = [math.exp(value) for value in (sum(ratios) / len(ratios), min(ratios), max(ratios))]
    return f"{above} / {below}: {values[0]:.2f} (from {values[1]:.2f} to {values[2]:.2f}, {len(ratios)} programs)"


def main() -> None:
    """Run them all."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.lifting")
    parser.add_argument("what", choices=["check", "measure", "jax"])
    parser.add_argument("names", nargs="*", help="heat, npbench:lu, ... (all)")
    parser.add_argument("--json", type=Path, help="a file to write all numbers to")
    parser.add_argument("--seconds", type=float, default=120, help="the most that one program may take")
    options = parser.parse_args()
    names = options.names or [*NAMES, *(f"npbench:{name}" for name in npbench_names())]
    head = CHECKS if options.what == "check" else TIMES
    print(" | ".join(["program", *head]))
    before: dict[str, dict[str, Any]] = {}
    if options.json and options.json.exists():
        before = {f["name"]: f for f in json.loads(options.json.read_text(encoding="utf-8"))}
    found = []
    for name in names:
        found.append(before.pop(name, {}) | {"errors": {}} | run(name, options.what, options.seconds))
        print(" | ".join(cells(found[-1], options.what)), flush=True)
        if options.json:
            options.json.write_text(json.dumps([*found, *before.values()], indent=1) + "\n", encoding="utf-8")
        for key, error in found[-1].get("errors", {}).items():
            print(f"    {key}: {error.splitlines()[0][:300] if error else error}", flush=True)
    if options.what == "check":
        for key in CHECKS:
            print(f"{key}: {sum(f.get(key) is True for f in found)} of {sum(f.get(key) is not None for f in found)}")
    else:
        for above, below in (
            ("numpy", "compiled"), ("compiled", "jax"), ("gradient", "jax gradient"), ("compile s", "jax compile s"),
            ("gradient compile s", "jax gradient compile s"),
        ):  # fmt: skip
            print(mean(found, above, below))


if __name__ == "__main__":
    main()
