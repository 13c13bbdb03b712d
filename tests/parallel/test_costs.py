"""The model of what training costs on many hosts: its limits, and the page that it writes."""

from __future__ import annotations

import json
import re

import pytest

from tests.benchmarks.parallel.model import Network, Training, exchange, fit_network, gain, pays_to, step
from tests.benchmarks.parallel.page import PAGE, page, plot

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
    pytest.importorskip("scipy")
    times = {size: exchange(size, 4, NETWORK) for size in (64, 4096, 1 << 20, 1 << 26)}
    found = fit_network(times, 4)
    assert found.latency == pytest.approx(NETWORK.latency, rel=1e-3)
    assert found.byte == pytest.approx(NETWORK.byte, rel=1e-3)


def test_page() -> None:
    """It has the figures of its file. (What is fitted to them may differ in a last digit.)"""
    pytest.importorskip("scipy")
    found = json.loads(PAGE.with_suffix(".json").read_text(encoding="utf-8"))
    made, kept = (re.findall("^#.*|^[|] [^|]*", text, re.M) for text in (page(found), PAGE.read_text(encoding="utf-8")))
    assert made == kept
    assert plot(found).startswith("<svg")
