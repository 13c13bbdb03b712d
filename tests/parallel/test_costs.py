"""The model of what training costs on many hosts: its limits, and the page that it writes."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.benchmarks.all.page import PAGE
from tests.benchmarks.parallel.measure import measure
from tests.benchmarks.parallel.model import Network, Training, exchange, fit_network, gain, pays_to, step
from tests.benchmarks.parallel.page import made
from tests.benchmarks.parallel.workloads import CANDIDATES
from tests.benchmarks.side_by_side.measure import ROOT, Plan
from tests.parallel.launching import CONTAINED, needs_mpi

NETWORK = Network(20e-6, 1e-9)
TRAINING = Training(0.01, 0.09, 0.02, 40_000_000)


def test_one_rank_costs_nothing() -> None:
    assert exchange(1e6, 1, NETWORK) == 0
    assert step(TRAINING, 1, NETWORK) == pytest.approx(0.12)
    assert gain(TRAINING, 1, NETWORK, strong=True) == gain(TRAINING, 1, NETWORK, strong=False) == 1


def test_limits() -> None:
    free = Network(0.0, 0.0)
    assert gain(TRAINING, 64, free, strong=False) == pytest.approx(64)
    assert gain(TRAINING, 1 << 20, free, strong=True) == pytest.approx(0.12 / 0.03, rel=1e-3)  # what is fixed remains
    # Of large messages all is sent and taken once; of small ones the rounds count.
    assert exchange(1e12, 1024, NETWORK) == pytest.approx(2e12 * 1023 / 1024 * 1e-9, rel=1e-3)
    assert exchange(1, 1024, NETWORK) == pytest.approx(10 * 20e-6, rel=1e-3)
    assert exchange(1e9, 64, NETWORK, 1) == pytest.approx(exchange(1e9, 64, NETWORK) / 2)


def test_monotone() -> None:
    hosts = [2**i for i in range(11)]
    for sharded in (False, True):
        weak = [step(TRAINING, n, NETWORK, 1.0, sharded) + TRAINING.update * sharded * (1 - 1 / n) for n in hosts]
        assert weak == sorted(weak)
        assert step(TRAINING, 8, NETWORK, 1.0, sharded) <= step(TRAINING, 8, Network(1e-4, 1e-8), 1.0, sharded)
    assert pays_to(TRAINING, NETWORK, strong=True) < pays_to(TRAINING, NETWORK, strong=False)


def test_sharding_pays_where_updates_are_long() -> None:
    gathering = exchange(TRAINING.size, 2, NETWORK, 1)
    for update, quicker in ((gathering * 4, True), (gathering / 4, False)):
        t = TRAINING._replace(update=update)
        assert (step(t, 2, NETWORK, sharded=True) < step(t, 2, NETWORK)) == quicker


def test_network_is_found() -> None:
    found = fit_network({size: exchange(size, 2, NETWORK) for size in (64, 4096, 1 << 20, 1 << 26)})
    assert found.latency == pytest.approx(NETWORK.latency)
    assert found.byte == pytest.approx(NETWORK.byte)


def test_page() -> None:
    """It has the figures of its file. (What is fitted to them may differ in a last digit.)"""
    found = json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))
    results, machine = found["suites"]["parallel"]["1"], found["machine"]["1"]
    text, drawn = made(results, machine)
    there = PAGE.read_text(encoding="utf-8")
    assert "| GPT of 1.9 million parameters" in text
    for line in re.findall("^#.*|^[|] [^|]*", text, re.M):
        assert line in there
    assert drawn.startswith("<svg")
    del results["cnn-2"]
    assert made(results, machine) == ("", "")


@needs_mpi
def test_a_rank_that_is_alone_measures_nothing() -> None:
    """As where mpiexec is of another MPI library than mpi4py's."""
    command = [sys.executable, "-m", "tests.benchmarks.side_by_side.ranks", "tests.benchmarks.parallel"]
    done = subprocess.run([*command, "allreduce-2-64", "mpi4py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "mpiexec is of another MPI library" in done.stderr


@needs_mpi
def test_the_suite_measures_on_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each candidate that takes part, and what it has beside; whose numbers differ is an error."""
    for name, value in CONTAINED.items():
        monkeypatch.setenv(name, value)
    pytest.importorskip("torch")
    pytest.importorskip("llvmlite")
    plan = Plan(1, 0.001, patience=120.0)
    found = {name: measure(name, CANDIDATES, plan) for name in ("allreduce-2-64", "draws-2")}
    assert all(r["errors"] == {} for r in found.values())
    assert list(found["allreduce-2-64"]["times"]) == list(CANDIDATES)
    assert list(found["draws-2"]["times"]) == ["tapenet-native", "tapenet-native solo 1"]
    assert len(found["allreduce-2-64"]["ratios"]) == 2
