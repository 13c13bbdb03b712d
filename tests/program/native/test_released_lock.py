"""The interpreter's lock is free while long native segments run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("llvmlite")

import tapenet as tn
from tapenet.program.native import entry
from tests.program.native.running import compiled
from tests.program.passes.programs import Build

pytestmark = pytest.mark.skipif(not entry.usable(), reason="segments are called by ctypes here")
BEGIN = """
import os, sys, threading, time
import numpy as np
import tapenet as tn

@tn.compile(backend="native")
def long(x, turns):
    return tn.while_loop(lambda c: c[0] < turns, lambda c: (c[0] + 1, np.sin(c[1])), (np.int64(0), x))[1]

x = np.ones(100)
for turns in (10, 10):
    long(x, np.int64(turns))

def begun():
    thread = threading.Thread(target=long, args=(x, np.int64(FOREVER)), daemon=True)
    thread.start()
    time.sleep(0.05)
    return thread
"""


def run(script: str, turns: int) -> str:
    made = subprocess.run(
        [sys.executable, "-c", BEGIN.replace("FOREVER", str(turns)) + script],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def others_turns(call: Callable[[], object]) -> int:
    """How often another thread comes to run while one is in a call that gives nothing up by itself."""
    count, ends = [0], threading.Event()
    ready = threading.Event()

    def other() -> None:
        while not ends.is_set():
            count[0] += 1
            ready.set()
            ends.wait(1e-4)

    before = sys.getswitchinterval()
    thread = threading.Thread(target=other)
    try:
        sys.setswitchinterval(100)  # nobody is interrupted
        thread.start()
        ready.wait()
        begun = count[0]
        call()
        return count[0] - begun
    finally:
        ends.set()
        sys.setswitchinterval(before)
        thread.join()


def test_another_thread_runs_meanwhile() -> None:
    b = Build()
    long = b.input(4_000_000)
    runner = compiled(b.program(b.emit("exp", long)))
    assert list(runner._outline.segments.values()) == [True]
    x = np.ones(4_000_000, np.float32)
    assert others_turns(lambda: [runner.call(x) for _ in range(20)]) > 2


def test_a_short_segment_keeps_it() -> None:
    b = Build()
    runner = compiled(b.program(b.emit("exp", b.input(100))))
    assert list(runner._outline.segments.values()) == [False]


def test_calls_at_once_are_right() -> None:
    """Of one function, and of several; with results and state of their own."""
    total = tn.asarray(np.zeros(30_000))

    @tn.compile(backend="native")
    def sums(x: Any) -> Any:
        tn.assign(total, total + x)
        return np.exp(x).sum()

    @tn.compile(backend="native")
    def product(x: Any) -> Any:
        y = x.reshape(200, 150)
        return np.tanh(y @ y.T), y.sum(0)

    wrong: list[str] = []
    count, threads = 20, 4

    def work(seed: int) -> None:
        x = np.random.default_rng(seed).normal(size=30_000)
        y = x.reshape(200, 150)
        expected = np.exp(x).sum(), np.tanh(y @ y.T), y.sum(0)
        for _ in range(count):
            try:
                found = sums(x).numpy(), *(t.numpy() for t in product(x))
                for f, e in zip(found, expected, strict=True):
                    np.testing.assert_allclose(f, e, rtol=1e-9, atol=1e-9)
            except Exception as error:
                wrong.append(repr(error))

    sums(np.zeros(30_000)), product(np.zeros(30_000))
    sums(np.zeros(30_000)), product(np.zeros(30_000))
    started = [threading.Thread(target=work, args=(seed,)) for seed in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    assert not wrong
    everything = sum(np.random.default_rng(seed).normal(size=30_000) for seed in range(threads))
    np.testing.assert_allclose(total.numpy(), count * everything, rtol=1e-9, atol=1e-9)


def test_errors_are_raised_with_the_lock() -> None:
    @tn.compile(backend="native")
    def f(x: Any) -> Any:
        return tn.while_loop(lambda x: x.sum() > 0, lambda x: x * 1.01, x, max_turns=500)

    x = np.ones(2000)
    f(-x), f(-x)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="500"):
            f(x)


def test_the_process_ends_while_a_thread_is_in_a_segment() -> None:
    assert run("thread = begun(); print('end', thread.is_alive())", 10**12) == "end True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_while_another_thread_is_in_a_segment() -> None:
    script = """
thread = begun()
child = os.fork()
if not child:
    np.testing.assert_allclose(long(x, np.int64(1)), np.sin(x))
    os._exit(0)
assert thread.is_alive()
assert os.waitpid(child, 0)[1] == 0
print("done")
os._exit(0)
"""
    assert run(script, 10**12) == "done"
