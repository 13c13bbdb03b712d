"""The benchmark suites run, and take no notice of a candidate that does other work."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.benchmarks import rules
from tests.benchmarks.all import page as everything
from tests.benchmarks.all.plot import plot
from tests.benchmarks.layers.report import page
from tests.benchmarks.layers.workloads import WORKLOADS
from tests.benchmarks.loader import candidates
from tests.benchmarks.networks import workloads as networks
from tests.benchmarks.side_by_side import memory
from tests.benchmarks.side_by_side.measure import disagreements, ratio
from tests.benchmarks.side_by_side.tasks import Bound

ROOT = Path(__file__).parents[1]
CANDIDATES = ["numpy", "tapenet-eager", "tapenet-plan"]


def measured(suite: str, written: Path, *options: str) -> tuple[dict[str, Any], list[str]]:
    """What a suite wrote and printed; it runs in a process of its own, since the command pins itself to a core."""
    command = [sys.executable, "-m", f"tests.benchmarks.{suite}", "--quick", "--rounds", "1", "--json", str(written)]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
    assert written.exists(), done.stdout + done.stderr
    found = json.loads(written.read_text(encoding="utf-8"))
    assert found["machine"]["threads"] == 1
    return found["workloads"], done.stdout.splitlines()


def test_a_workload_is_measured_and_reported(tmp_path: Path) -> None:
    drawn = tmp_path / "times.svg"
    options = "--only", "xor", "--candidates", *CANDIDATES, "--plot", str(drawn)
    found, printed = measured("compiled", tmp_path / "times.json", *options)
    result = found["xor"]
    assert result["errors"] == {}
    assert list(result["times"]) == CANDIDATES
    times = {c: t["median"] for c, t in result["times"].items()}
    assert all(0 < result["limit"]["µs"] < time < 1e5 for time in times.values()), times
    assert any(line.startswith("xor ") for line in printed)
    titles = [e.text for e in ElementTree.fromstring(drawn.read_text(encoding="utf-8")).iter() if "title" in e.tag]
    assert [str(t).partition(":")[0] for t in titles] == ["tapenet-eager", "tapenet-plan", "numpy"]


def test_a_layer_is_measured_in_time_and_memory(tmp_path: Path) -> None:
    pytest.importorskip("llvmlite")
    options = "--only", "tutorial", "--candidates", "tapenet-eager", "tapenet-native"
    found, printed = measured("layers", tmp_path / "times.json", *options)
    result = found["tutorial"]
    assert result["errors"] == {}
    assert list(result["times"]) == ["tapenet-eager", "tapenet-native"]
    assert all(0 < t["median"] < 1e5 for t in result["times"].values())
    if memory.measurable():
        assert list(result["memory"]) == ["tapenet-eager", "tapenet-native"]
        # The gradient of the large weight has 0.27 MB.
        assert all(2.5e5 < size < 1e8 for size in result["memory"].values()), result["memory"]
    assert sum(line.startswith("tutorial ") for line in printed) == 2


@pytest.mark.parametrize("name", WORKLOADS)
def test_layers_do_the_same_work_in_each_library(name: str) -> None:
    """And three calls change what is compared by far more than candidates may differ."""
    pytest.importorskip("torch")
    from tests.benchmarks.layers import tapenet_side, torch_side

    task = WORKLOADS[name].task
    found = {}
    for side in (tapenet_side, torch_side):
        candidate = side.build(task, "eager")
        found[side.__name__] = [candidate.numbers(candidate.step()) for _ in range(3)]
    assert disagreements({side: calls[-1] for side, calls in found.items()}) == {}
    if hasattr(task, "lr"):
        assert all(abs(last[0] / first[0] - 1) > 2e-3 for first, _, last in found.values()), found


@pytest.mark.parametrize("name", networks.SMALL)
@pytest.mark.parametrize("peer", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_networks_do_the_same_work_in_each_library(name: str, peer: str) -> None:
    """And four steps change what is compared by far more than candidates may differ."""
    pytest.importorskip(peer)
    found = {}
    for side in ("tapenet", peer):
        made = importlib.import_module(f"tests.benchmarks.networks.{side}_side").build(networks.SMALL[name], "eager")
        found[side] = [made.numbers(made.step()) for _ in range(4)]
    assert disagreements({side: calls[-1] for side, calls in found.items()}) == {}
    assert all(abs(last[0] / first[0] - 1) > 2e-3 for first, *_, last in found.values()), found


def test_all_measures_parts_and_makes_a_page_of_them(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.all", "--rounds", "1", "--seconds", "0.01", "--threads", "1"]
    command += ["--folder", str(tmp_path), "--candidates", "tapenet-eager", "numpy"]
    for part in ("compiled/xor", "layers/tutorial"):
        done = subprocess.run([*command, "--only", part], cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
        assert (tmp_path / "benchmarks.md").exists(), done.stderr
    found = json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))
    assert {name: list(by["1"]) for name, by in found["suites"].items()} == {
        "compiled": ["xor"],
        "layers": ["tutorial"],
    }
    text = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "| XOR 2-3-1 tanh, batch 4 |" in text
    assert text.count("| 28x28, conv 1, tanh, dense 100, tanh, 10; one image |") == (3 if memory.measurable() else 1)


def test_the_page_says_what_misses_and_what_threads_gain() -> None:
    def result(mine: float, peer: float) -> dict[str, Any]:
        times = {c: {"median": t} for c, t in (("tapenet-native", mine), ("torch-eager", peer))}
        asked = ratio(Bound("tapenet-native", ("torch-eager",), 0.8), {"tapenet-native": mine, "torch-eager": peer})
        return {"title": "GPT", "times": times, "errors": {"jax": "ValueError: no"}, "ratios": [asked]}

    where = {
        "cpu": "a",
        "cores": 2,
        "date": "2026-01-01",
        **dict.fromkeys(("numpy", "llvmlite", "torch", "jax", "python")),
    }
    results = {"1": {"gpt": result(100.0, 200.0)}, "2": {"gpt": result(80.0, 90.0)}}
    found = {"machine": {n: where | {"threads": int(n)} for n in results}, "suites": {"networks": results}}
    text = everything.page(found)
    assert "| GPT | - | 100 | 200 | - | - | 0.50 (0.8) |" in text.replace("100.0", "100").replace("200.0", "200")
    assert "| **0.89** (0.8) | 1.25 |" in text
    assert "- GPT (2 threads), time: tapenet-native 0.89 of torch-eager, at most 0.8" in text
    assert "- GPT (1 thread): jax failed: ValueError: no" in text
    drawn = ElementTree.fromstring(plot(found))
    assert sum(e.tag.endswith("circle") and len(e) == 1 for e in drawn.iter()) == 4


@pytest.mark.parametrize("work", ["arrays", "images", "records"])
def test_loaders_give_the_same_samples(work: str) -> None:
    pytest.importorskip("torch")
    found = {}
    for name, loader in candidates(work, 150).items():
        if "processes" not in name:
            batches = [batch.values() if isinstance(batch, dict) else batch for batch in loader]
            assert [len(part) for batch in batches for part in batch][-1] == 150 % 64
            found[name] = sum(
                float(np.asarray(part, np.float64).sum()) for batch in batches for part in list(batch)[:2]
            )
    assert len(found) > 2
    assert all(abs(total / found["tapenet"] - 1) < 1e-6 for total in found.values()), found


@pytest.mark.parametrize("file", sorted((ROOT / "docs").glob("layers*.json")), ids=lambda file: file.name)
def test_the_page_on_layers_shows_what_was_measured(file: Path) -> None:
    found = json.loads(file.read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "layers.md").read_text(encoding="utf-8")
    mark = f"threads {found['machine']['threads']}"
    assert f"<!-- {mark} -->\n{page(found['machine'], found['workloads'])}\n<!-- /{mark} -->" in text


@pytest.mark.skipif(not memory.measurable(), reason="only Linux says it")
def test_the_peak_of_memory_is_what_was_held_at_once() -> None:
    """In a process of its own: in this one malloc may have the bytes already, from tests before."""
    program = """if True:
        import numpy as np

        from tests.benchmarks.side_by_side import memory

        before = memory.settled()
        for _ in range(2):
            large = np.ones(5_000_000)
            del large
        memory.forget_peak()
        for _ in range(3):
            held = np.ones(2_500_000)
            del held
        print(memory.peak() - before)
    """
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True)
    assert 20e6 <= int(done.stdout) < 25e6


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


def test_stated_gradient_rules_are_measured_beside_derived_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rules, "SIZES", (1000,))
    monkeypatch.setattr(sys, "argv", ["rules", "roll", "maximum"])
    rules.main()
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0].rpartition(".")[2] for line in lines] == ["maximum", "roll"]
    for line in lines:
        small, large, errors = line.split("|")
        assert all(float(n) > 0 for part in (small.split()[1:], large.split()) for n in part)
        assert all(float(e) < 1e-6 for e in errors.split())
