"""Times of all rows of a kind, measured in a process of their own."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.shapes.page import judged
from tests.benchmarks.shapes.workloads import WORKLOADS
from tests.benchmarks.side_by_side.measure import ROOT, Plan, Result, announced

#: Medians of more would take long over so many rows.
ROUNDS = 5


def measure(name: str, candidates: Iterable[str], plan: Plan) -> Result:
    """Microseconds by row, product and candidate, the ratios asked for and what failed. A turn takes a fiftieth of what it does
    elsewhere."""
    workload, rounds = WORKLOADS[name], min(plan.rounds, ROUNDS)
    found: Result = {"title": workload.title, "times": {}, "errors": {}, "ratios": [], "rows": {}}
    found |= {"rounds": rounds, "commit": commit()}
    there = []
    for c in candidates:
        library = c.partition("-")[0]
        if importlib.util.find_spec(library):
            there.append(c)
        else:
            found["errors"][c] = f"{library} is not installed"
    with announced(name), tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "times.json"
        options = {"kind": name, "rounds": rounds, "seconds": plan.seconds / 50, "json": file}
        command = [sys.executable, "-m", __package__ or "", "--candidates", *there]
        command += [str(text) for option, value in options.items() for text in (f"--{option}", value)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            found["errors"][", ".join(there)] = (done.stderr.strip().splitlines() or ["no output"])[-1]
        else:
            found["rows"] = json.loads(file.read_text(encoding="utf-8"))
            found["ratios"] = judged(found["rows"])
    return found


def commit() -> str:
    """That of the code which is measured, or nothing where it is no checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=8", "--exclude=*"]
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False).stdout.strip()
