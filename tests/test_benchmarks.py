"""The benchmark suite runs, and takes no notice of a candidate that does other work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

from tests.benchmarks.side_by_side.measure import disagreements, ratio
from tests.benchmarks.side_by_side.tasks import Bound

CANDIDATES = ["numpy", "tapenet-eager", "tapenet-plan"]


def test_a_workload_is_measured_and_reported(tmp_path: Path) -> None:
    """In a process of its own, since the command pins itself to a core."""
    written, drawn = tmp_path / "times.json", tmp_path / "times.svg"
    command = [sys.executable, "-m", "tests.benchmarks.compiled", "--quick", "--rounds", "1", "--only", "xor"]
    done = subprocess.run(
        [*command, "--candidates", *CANDIDATES, "--json", str(written), "--plot", str(drawn)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(written.read_text(encoding="utf-8"))
    result = found["workloads"]["xor"]
    assert result["errors"] == {}
    assert list(result["times"]) == CANDIDATES
    times = {c: t["median"] for c, t in result["times"].items()}
    assert all(0 < result["limit"]["µs"] < time < 1e5 for time in times.values()), times
    assert found["machine"]["threads"] == 1
    assert any(line.startswith("xor ") for line in done.stdout.splitlines())
    titles = [e.text for e in ElementTree.fromstring(drawn.read_text(encoding="utf-8")).iter() if "title" in e.tag]
    assert [str(t).partition(":")[0] for t in titles] == ["tapenet-eager", "tapenet-plan", "numpy"]


def test_who_does_other_work_is_named() -> None:
    found = disagreements({"a": [1.0, 2.0], "b": [1.0, 2.00001], "c": [1.0, 2.001]})
    assert list(found) == ["c"]
    assert "2.001" in found["c"]


def test_who_gives_nan_is_named() -> None:
    assert list(disagreements({"a": [1.0], "b": [1.0], "c": [float("nan")]})) == ["c"]


def test_a_ratio_is_taken_over_the_fastest_peer() -> None:
    times = {"mine": 4.0, "slow": 10.0, "fast": 6.0, "fast/other way": 5.0}
    found = ratio(Bound("mine", ("slow", "fast", "absent"), 0.9), times)
    assert found == {"of": "mine", "over": "fast/other way", "ratio": 0.8, "at most": 0.9, "met": True}
    assert ratio(Bound("mine", ("absent",), 0.9), times) is None
