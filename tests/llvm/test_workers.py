"""Threads that stay: whatever becomes of them, each item is done once."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import tapenet as tn
from tapenet.llvm import processor

pytest.importorskip("llvmlite")
from tapenet.llvm import toolchain, workers

#: Counts each item, says which thread did it, and takes context[0] turns of a loop for it.
_ITEM = """
@numbers = internal global [64 x i64] zeroinitializer
define void @item(ptr %c, i64 %i, i64 %t) {
entry:
  %n = load i64, ptr %c
  br label %loop
loop:
  %k = phi i64 [ 0, %entry ], [ %k1, %loop ]
  %k1 = add i64 %k, 1
  %at = and i64 %k, 63
  %p = getelementptr i64, ptr @numbers, i64 %at
  store volatile i64 %k, ptr %p
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %loop, label %done
done:
  %j = add i64 %i, 1
  %place = getelementptr { i32, i32 }, ptr %c, i64 %j
  %count = load i32, ptr %place
  %next = add i32 %count, 1
  store i32 %next, ptr %place
  %who = getelementptr { i32, i32 }, ptr %c, i64 %j, i32 1
  %thread = trunc i64 %t to i32
  store i32 %thread, ptr %who
  ret void
}

; Counts how many items are done.
define void @counted(ptr %c, i64 %i, i64 %t) {
  %before = atomicrmw add ptr %c, i64 1 monotonic
  ret void
}

declare void @tn_share(ptr, ptr, i64, i64)

; Work that has work to share: context[0] is the context of the inner one.
define void @nested(ptr %c, i64 %i, i64 %t) {
  %table = getelementptr ptr, ptr %c, i64 %i
  %inner = load ptr, ptr %table
  call void @tn_share(ptr @item, ptr %inner, i64 50, i64 1024)
  ret void
}

declare void @tn_share_awake(ptr, ptr, i64, i64)

; Work that wakes threads, and right behind it work that does not: their contexts are in context[0] and context[1].
define void @twice(ptr %c) {
  %second = getelementptr ptr, ptr %c, i64 1
  %a = load ptr, ptr %c
  %b = load ptr, ptr %second
  call void @tn_share(ptr @item, ptr %a, i64 40, i64 1024)
  call void @tn_share_awake(ptr @item, ptr %b, i64 40, i64 1024)
  ret void
}
"""


@pytest.fixture(scope="module")
def code() -> toolchain.Library:
    workers.declaration()
    return toolchain.build(_ITEM)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    tn.set_num_threads(None)


def shared(
    code: toolchain.Library, count: int, turns: int = 1000, most: int = workers.MOST
) -> tuple[np.ndarray, np.ndarray]:
    """How often each item was done, and by which thread."""
    context = np.zeros((count + 1, 2), np.int32)
    context.view(np.int64)[0] = turns
    workers.share(code.address("item"), context.ctypes.data, count, most)
    return context[1:, 0], context[1:, 1]


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 100, 5000])
def test_each_item_is_done_once(code: toolchain.Library, threads: int, count: int) -> None:
    tn.set_num_threads(threads)
    for _ in range(5):
        done, who = shared(code, count, 200)
        assert (done == 1).all()
        assert not count or who.max() < min(threads, count)


def test_the_first_items_are_the_callers(code: toolchain.Library) -> None:
    """So each thread comes to the same part of an array in the next kernel."""
    tn.set_num_threads(2)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        _, who = shared(code, 40, 20_000)
        assert (np.diff(who) >= 0).all()
        if who.any():
            return
    pytest.fail("no worker came to help")


def test_small_work_wakes_nobody(code: toolchain.Library) -> None:
    """It starts no thread, and wakes none that sleeps; those that are awake take part in it."""
    small = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 2)(toolchain.symbols["tn_share_awake"])
    twice = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(code.address("twice"))

    def helped(behind: bool) -> bool:
        """Whether a worker took part in small work, alone or right behind other work."""
        contexts = np.zeros((2, 41, 2), np.int32)
        contexts.view(np.int64)[:, 0] = 20_000 if behind else 1_000_000  # in which one that is woken comes
        if behind:
            table = np.array([c.ctypes.data for c in contexts], np.uint64)
            twice(table.ctypes.data)
        else:
            small(code.address("item"), contexts[1].ctypes.data, 40, workers.MOST)
        assert (contexts[1, 1:, 0] == 1).all()
        return bool(contexts[1, 1:, 1].any())

    def soon(happens: Callable[[], bool]) -> bool:
        """Whether it happens within half a minute: the system may let a worker wait for long."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if happens():
                return True
            time.sleep(0.05)
        return False

    tn.set_num_threads(1)
    assert soon(lambda: workers._pool().count() == 0)
    tn.set_num_threads(2)
    helped(behind=False)
    assert workers._pool().count() == 0
    assert soon(lambda: helped(behind=True))
    assert soon(lambda: not helped(behind=False))


def test_work_has_room_for_so_many_threads(code: toolchain.Library) -> None:
    tn.set_num_threads(8)
    for _ in range(50):
        _, who = shared(code, 200, 500, most=3)
        assert who.max() < 3


def test_the_number_goes_up_and_down(code: toolchain.Library) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        threads = int(rng.integers(1, 9))
        tn.set_num_threads(threads)
        done, who = shared(code, 30, 300)
        assert (done == 1).all()
        assert who.max() < threads
    tn.set_num_threads(2)
    for _ in range(1000):
        if workers._pool().count() <= 1:
            return
        time.sleep(0.01)
    pytest.fail("the workers that are too many did not end")


def test_threads_of_python_at_once(code: toolchain.Library) -> None:
    tn.set_num_threads(3)
    wrong: list[object] = []

    def work() -> None:
        for _ in range(200):
            done, _ = shared(code, 50, 500)
            if not (done == 1).all():
                wrong.append(done)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_work_within_work(code: toolchain.Library) -> None:
    tn.set_num_threads(3)
    inner = np.zeros((20, 51, 2), np.int32)
    inner.view(np.int64)[:, 0, 0] = 100
    table = np.array([c.ctypes.data for c in inner], np.uint64)
    workers.share(code.address("nested"), table.ctypes.data, 20)
    assert (inner[:, 1:, 0] == 1).all()


def test_the_lock_of_the_interpreter_is_free_meanwhile(code: toolchain.Library) -> None:
    tn.set_num_threads(1)
    turns: list[int] = []
    begun, over = threading.Event(), threading.Event()

    def other() -> None:
        begun.wait()
        while not over.is_set():
            turns.append(1)

    thread = threading.Thread(target=other)
    thread.start()
    begun.set()
    before = len(turns)
    shared(code, 4, 20_000_000)
    after = len(turns)
    over.set()
    thread.join()
    assert after > before


def _run(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text], env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip


_BEGIN = f"""
import ctypes, gc, os, signal, sys, threading, time
import numpy as np
import tapenet as tn
from tapenet.llvm import toolchain, workers
workers.declaration()
code = toolchain.build('''{_ITEM}''')
item = code.address("item")  # llvmlite has a lock for it, which another thread may hold when this one forks
def shared(count=50, turns=2000):
    context = np.zeros((count + 1, 2), np.int32)
    context.view(np.int64)[0] = turns
    workers.share(item, context.ctypes.data, count)
    assert (context[1:, 0] == 1).all()
    return context[1:, 1]
tn.set_num_threads(3)
shared()
"""


def test_work_of_more_items_than_threads_can_share() -> None:
    """It once waited for ever for items that nobody was given."""
    done = _run(
        _BEGIN
        + """
from tapenet.llvm.pool_code import ITEMS
count = np.zeros(1, np.int64)
workers.share(code.address("counted"), count.ctypes.data, ITEMS + 1)
assert count[0] == ITEMS + 1
shared()
print("fine")
"""
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_the_child_of_a_fork_has_workers_of_its_own() -> None:
    done = _run(
        _BEGIN
        + """
other = threading.Thread(target=lambda: [shared(200, 20_000) for _ in range(200)])
other.start()  # in the midst of its work
for _ in range(20):
    child = os.fork()
    if not child:
        assert workers._pool().count() == 0
        for _ in range(20):
            shared()
        assert workers._pool().count() == 2
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
other.join()
print("fine")
""",
        PYTHONWARNINGS="ignore",
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_the_interpreter_ends_while_workers_work() -> None:
    for wait in ("0", "0.001", "0.02"):
        done = _run(
            _BEGIN
            + f"""
for _ in range(3):
    threading.Thread(target=lambda: [shared(200, 20_000) for _ in range(100_000)], daemon=True).start()
time.sleep({wait})
print("fine")
"""
        )
        assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_a_system_that_gives_no_threads() -> None:
    done = _run(
        """
import resource
import numpy as np
import tapenet as tn
from tapenet.llvm import toolchain, workers
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
"""
        + _BEGIN.replace(
            "tn.set_num_threads(3)", "ctypes.CDLL(None).setuid(65534) if os.getuid() == 0 else 0\ntn.set_num_threads(3)"
        )
        + """
assert not shared().any() and not workers._pool().count()
print("fine")
"""
    )
    assert (done.returncode, done.stdout) == (0, "fine\n"), done.stderr


def test_workers_sleep_when_there_is_nothing() -> None:
    """Those of a process that waits take no time of the processors."""
    done = _run(
        _BEGIN + "time.sleep(0.05)\nbefore = time.process_time()\ntime.sleep(0.5)\nprint(time.process_time() - before)"
    )
    assert float(done.stdout) < 0.1, done.stderr


@pytest.mark.parametrize("count", [0, -1, 1025, 10**30])
def test_impossible_numbers_of_threads(count: int) -> None:
    with pytest.raises(ValueError, match=r"set_num_threads: .* give 1 to 1,024, or None"):
        tn.set_num_threads(count)


@pytest.mark.parametrize("count", [1.0, "2", True])
def test_what_is_no_number_of_threads(count: object) -> None:
    with pytest.raises(TypeError, match=r"set_num_threads: .* is no number of threads"):
        tn.set_num_threads(count)  # type: ignore[arg-type]


def test_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    monkeypatch.setattr(processor, "_quota", lambda: 4.0)
    for said, count in (("", 4), ("3", 3), ("2,1", 2), ("64", 4), ("0", 4), ("many", 4)):
        monkeypatch.setenv("OMP_NUM_THREADS", said)
        assert tn.get_num_threads() == count
    tn.set_num_threads(7)
    assert tn.get_num_threads() == 7


@pytest.mark.parametrize(
    ("files", "line", "limit"),
    [
        ({"cpu.max": "150000 100000\n"}, "0::/\n", 2),
        ({"cpu.max": "max 100000\n"}, "0::/\n", float("inf")),
        ({"a/cpu.max": "max 100000\n", "cpu.max": "100000 100000"}, "0::/a/b\n", 1),
        ({"a/b/cpu.max": "50000 100000\n", "cpu.max": "max 100000"}, "0::/a/b\n", 1),
        ({"cpu,cpuacct/a/cpu.cfs_quota_us": "300000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
         "4:cpu,cpuacct:/a\n3:memory:/a\n0::/\n", 3),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, "4:cpu:/outside\n", float("inf")),
        ({"cpu.max": "nonsense"}, "0::/\n", float("inf")),
        ({}, "0::/\n", float("inf")),
    ],
)  # fmt: skip
def test_limits_of_control_groups(tmp_path: Path, files: dict[str, str], line: str, limit: float) -> None:
    for name, text in files.items():
        (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "cgroup" / name).write_text(text)
    (tmp_path / "own").write_text(line)
    assert processor._quota.__wrapped__(tmp_path / "cgroup", tmp_path / "own") == limit
    assert processor._quota.__wrapped__(tmp_path / "cgroup", tmp_path / "none") == float("inf")
