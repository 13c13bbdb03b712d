"""Scratch memory that programs share."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.native import scratch
from tapenet.typing import Array

pytest.importorskip("llvmlite")

N = scratch.FREED // 8  # float64s


def sums(x: Any) -> Any:
    """Its scratch memory is as large as `x`."""
    return np.cumsum(np.tanh(x))


def expected(x: Array) -> Array:
    return np.cumsum(np.tanh(x))


def compiled(f: Any, *args: Any) -> Any:
    """A function with the program for these arguments."""
    made = tn.compile(f)
    for _ in range(2):
        made(*args)
    return made


def scratch_of(made: Any) -> scratch.Scratch:
    found: scratch.Scratch = made.variants[0].runner._scratch
    return found


def numbers(n: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=n)


def test_programs_share_one_block_and_results_are_outside() -> None:
    """The second, larger program makes a larger block, which the first takes at its next call."""
    x, y = numbers(N), numbers(2 * N)
    one, two = compiled(sums, x), compiled(lambda y: sums(y) + 1, y)
    results = [one(x), two(y), one(x), two(y)]
    for found, want in zip(results, [expected(x), expected(y) + 1] * 2, strict=True):
        assert np.allclose(found.numpy(), want, rtol=1e-12)
    assert scratch_of(one).shared
    assert scratch_of(one).bytes is scratch_of(two).bytes
    assert not any(np.may_share_memory(scratch_of(one).bytes, found.numpy()) for found in results)


def test_small_programs_have_their_own() -> None:
    x = numbers(1000)
    one, two = compiled(sums, x), compiled(lambda x: sums(x) + 1, x)
    assert not scratch_of(one).shared
    assert not np.may_share_memory(scratch_of(one).bytes, scratch_of(two).bytes)


def test_a_call_within_a_call_has_another_block() -> None:
    """What the outer program has computed is there when the op has run, which calls the inner one."""
    x = numbers(N)
    inner = compiled(sums, x)
    call = inner.variants[0].runner.call

    @tn.op
    def called(x: Array) -> Array:
        return np.asarray(call(x)[0] * 2)

    def outer(x: Any) -> Any:
        a = np.tanh(x)
        return np.cumsum(a) + called(a) + np.cumsum(a[::-1])

    made = compiled(outer, x)
    a = np.tanh(x)
    for _ in range(2):
        assert np.allclose(made(x).numpy(), np.cumsum(a) + 2 * expected(a) + np.cumsum(a[::-1]), rtol=1e-12)
    assert scratch_of(made).bytes is not scratch_of(inner).bytes


def test_threads_have_blocks_of_their_own() -> None:
    xs = [numbers(N, seed) for seed in range(3)]
    made = [compiled(lambda x, k=k: sums(x) + k, x) for k, x in enumerate(xs)]
    wrong: list[int] = []

    def run(k: int) -> None:
        found = [made[k](xs[k]).numpy() for _ in range(4)]
        wrong.extend(k for f in found if not np.allclose(f, expected(xs[k]) + k, rtol=1e-12))

    threads = [threading.Thread(target=run, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_error_gives_the_block_back() -> None:
    x = numbers(N)

    def picked(x: Any, i: Any) -> Any:
        return np.cumsum(np.tanh(x))[i]

    made = compiled(picked, x, np.array([0, 1]))
    with pytest.raises(IndexError):
        made(x, np.array([0, N]))
    assert scratch._free[-1].bytes is scratch_of(made).bytes
    assert np.allclose(made(x, np.array([5, N - 1])).numpy(), expected(x)[[5, N - 1]])


#: Whether a system can take pages back and tells how many it may take.
TELLS = scratch._huge() and Path("/proc/self/smaps_rollup").exists()


def in_use() -> int:
    """Bytes of this process that the system may not take."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    fields = {name: int(number.split()[0]) for name, number in (line.split(":") for line in lines)}
    return 1024 * (fields["Rss"] - fields["LazyFree"])


def test_the_system_may_have_it_after_a_pause() -> None:
    x = numbers(4 * N)
    made = compiled(sums, x)
    made(x)
    memory = scratch_of(made)
    ended = time.monotonic() + 60
    while any(block.used for block in scratch._free):
        assert time.monotonic() < ended, "nobody lets the system have it"
        time.sleep(scratch.PAUSE)
    if not TELLS:  # it stays, and is written anew
        assert np.allclose(made(x).numpy(), expected(x), rtol=1e-12)
        return
    between = in_use()
    memory.take()
    memory.bytes[:: 1 << 12] = 1
    during = in_use()
    memory.give()
    assert during - between > 0.9 * x.nbytes


def test_a_block_that_is_too_small_is_given_back() -> None:
    """Also while the program that had it is there."""
    size = scratch.SHARED // 8
    one = compiled(sums, numbers(size))
    block = scratch._free[-1]
    assert scratch_of(one).bytes is block.bytes
    compiled(lambda y: sums(y) + 1, numbers(1 + len(block.bytes) // 8))
    assert block not in scratch._free
    assert not (scratch._huge() and block.bytes.any())


def test_memory_that_the_system_may_not_have_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As that of a process that has locked all of its own."""

    class Locked:
        def madvise(self, *args: int) -> None:
            raise OSError(22, "Invalid argument")

    x = numbers(N)
    made = compiled(sums, x)
    block = scratch._free[-1]
    monkeypatch.setattr(block, "_map", Locked())
    monkeypatch.setattr(block, "_first", 0, raising=False)
    block.free()
    for _ in range(2):
        assert np.allclose(made(x).numpy(), expected(x), rtol=1e-12)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_writes_to_its_own() -> None:
    x = numbers(N)
    made = compiled(sums, x)
    child = os.fork()
    if child == 0:
        fine = all(np.allclose(made(x * k).numpy(), expected(x * k), rtol=1e-12) for k in range(3))
        os._exit(0 if fine else 1)
    assert np.allclose(made(x).numpy(), expected(x), rtol=1e-12)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
