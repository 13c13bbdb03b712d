"""`tn.training.fit` beside a loop by hand, and beside PyTorch and Keras on the way to an accuracy.

    TAPENET_DATA=FOLDER python -m tests.benchmarks.training [--rounds N] [--json FILE] [--only overhead dense small-cnn]

Everything runs on one core with one thread. The clock is the time that the process has run, which other programs do not
disturb as much (`side_by_side.clock`). On the way to an accuracy each candidate has a process of its own, and tapenet starts
with an empty cache of compiled code, and again with the one that it left.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.side_by_side.command import pin
from tests.benchmarks.side_by_side.report import machine
from tests.benchmarks.training.nets import NETS
from tests.benchmarks.training.overhead import measure
from tests.benchmarks.training.sides import CANDIDATES


def to_accuracy(name: str, rounds: int, candidates: list[str]) -> dict[str, Any]:
    """Seconds and epochs of each candidate, with all rounds."""
    found: dict[str, Any] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:
            turns = [(c, c) for c in candidates]
            if "tapenet" in candidates:
                turns.append(("tapenet", "tapenet, compiled before"))
            for candidate, title in turns:
                done = subprocess.run(
                    [sys.executable, "-m", f"{__package__}.sides", candidate, name],
                    stdout=subprocess.PIPE, text=True, check=True, env=os.environ | {"TAPENET_CACHE": cache},
                )  # fmt: skip
                answer = json.loads(done.stdout.splitlines()[-1])
                entry = found.setdefault(title, {"epochs": len(answer["accuracies"]), "rounds": []})
                entry["rounds"].append(answer["seconds"])
                print(name, title, answer, flush=True)
    return {title: {"seconds": statistics.median(entry["rounds"]), **entry} for title, entry in found.items()}


def main() -> None:
    """Measure, and print or save as JSON."""
    parser = argparse.ArgumentParser(prog=f"python -m {__package__}")
    parser.add_argument("--only", nargs="+", choices=["overhead", *NETS], default=["overhead", *NETS])
    parser.add_argument("--candidates", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    pin(1)
    results: dict[str, Any] = {"machine": machine(1)}
    for name in options.only:
        if name == "overhead":
            results[name] = measure(5 * options.rounds)
        else:
            results[name] = to_accuracy(name, options.rounds, options.candidates)
        print(name, json.dumps(results[name], indent=1, ensure_ascii=False))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
