"""Ranges that are dealt out to threads: each part is done once, with memory of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import tapenet as tn

pytest.importorskip("llvmlite")
from tapenet.llvm import sharing, workers
from tapenet.llvm.kernel import Kernel

#: Turns of a loop for each place of a range: some 20 µs.
TURNS = 20_000


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    tn.set_num_threads(None)


def counter(grain: int = 1, rounds: int = sharing.ROUNDS) -> sharing.Shared:
    """Adds to each place of a range the number of the first place of its part, and 1; the latter by way of scratch memory."""
    k = Kernel("counter", np.int64)
    out, room = k.array(1), k.scratch(1)
    begin, end = k.range(grain, rounds)
    for i in k.turns(end, begin):
        room.store(k.index(1), i - begin)
        for _ in k.turns(k.index(TURNS)):
            k.line('  call void asm sideeffect "", "~{memory}"()')
    for i in k.turns(end, begin):
        out.store(out.load(i) + room.load(i - begin) + begin * 1000, i)
    return k.shared()


def counted(run: sharing.Shared, length: int, cost: int) -> Any:
    """For each place, where its part begins. Each was done once."""
    out = np.zeros(length, np.int64)
    run(length, cost, out, 8 * max(1, length))
    assert (out % 1000 == 1).all()
    return out // 1000


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("grain", [1, 4])
def test_each_place_is_done_once(threads: int, grain: int) -> None:
    tn.set_num_threads(threads)
    run = counter(grain)
    for length in (0, 1, 2, 9, 50):
        begins = counted(run, length, 100 * sharing.PART)
        assert (begins % grain == 0).all()
        assert len(set(begins)) == (run.parts(length, 100 * sharing.PART) if length else 0)


def test_work_is_cut_by_what_it_costs() -> None:
    free, one = counter(), counter(rounds=1)
    tn.set_num_threads(1)
    assert {run.parts(100, 100 * sharing.PART) for run in (free, one)} == {1}
    tn.set_num_threads(3)
    assert free.parts(100, 2 * sharing.PART - 1) == 1  # too short
    assert free.parts(100, 2 * sharing.PART) == 2
    assert free.parts(100, 100 * sharing.PART) == 3 * sharing.ROUNDS
    assert one.parts(100, 100 * sharing.PART) == 3
    assert free.parts(5, 100 * sharing.PART) == 3  # each thread has as many
    tn.set_num_threads(100)
    assert free.parts(1000, 10**12) == workers.PARTS


def test_sums_of_parts_do_not_depend_on_the_threads() -> None:
    k = Kernel("total", np.float32)
    x, out = k.array(1), k.each(1)
    begin, end = k.range()
    for i in k.turns(end, begin):
        out.store(out.load(0) + x.load(i), 0)
    run = k.shared()
    values = np.random.default_rng(0).normal(size=100_000).astype("f")
    found = []
    for threads in (1, 2, 3):
        tn.set_num_threads(threads)
        parts = run.parts(values.size, 10 * sharing.PART)
        sums = np.zeros((parts, 1), "f")
        run(values.size, 10 * sharing.PART, values, sums, parts=parts)
        found.append(sums.tolist())
    assert len(found[0]) == 10
    assert found[0] == found[1] == found[2]
    np.testing.assert_allclose(np.sum(found[0]), values.sum(dtype="d"), atol=0.1)
    # Sums of many numbers are not worth as many parts.
    assert run.parts(values.size, 10 * sharing.PART, 10 * sharing.PART // sharing.OWN) == 1


def test_threads_of_python_at_once() -> None:
    tn.set_num_threads(2)
    run = counter()
    with ThreadPoolExecutor(4) as callers:
        for begins in callers.map(lambda length: counted(run, length, 100 * sharing.PART), [7, 20, 33, 50] * 5):
            assert begins[0] == 0
