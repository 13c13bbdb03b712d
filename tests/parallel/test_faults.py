"""Whatever goes wrong on a rank, all end soon with an error that says what it was."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest

from tapenet.parallel import launched
from tapenet.parallel.ranks import Waiting, World
from tests.parallel.launching import ended, needs_mpi, processes, start

WRONG = "ValueError: what went wrong"
KILLED = "rank {rank} of {size} was killed"
ENDED = "rank {rank} has ended after"
OTHER = "each for something else"
GONE = "of {size} ranks on this machine one has ended before MPI started, and only"
LATE = "other ranks, and rank {rank} does not wait"
#: Where processors are busy, one that waits too may not have been heard.
LATER = re.compile(r"other ranks, and ranks [0-9, ]+ do not wait")
#: How it goes wrong, and what standard error has to say. Of each rank "{rank}" is the one where it goes wrong.
FAULTS = {
    "exception": WRONG,
    "exit": ENDED,
    "exit text": ENDED,
    "leaves": ENDED,
    "leaves at once": KILLED,
    "exit at once": KILLED,
    "kill": KILLED,
    "terminate": KILLED,
    "segfault": KILLED,
    "interrupt": "KeyboardInterrupt",
    "interrupted wait": "rank {rank} of {size} ends all: Ctrl-C came",
    "stopped": LATE,
    "sleeps": LATE,
    "before": GONE,
    "exits before": GONE,
    "shape": "rank {rank}: allreduce float64 (4,) sum",
    "dtype": "rank {rank}: allreduce float32 (3,) sum",
    "call": "rank {rank}: allgather float64 (3,)",
    "model": "rank {rank}: weight float32 (4, 2)",
    "layers": "the ranks have other parameters",
    "recv": OTHER,
    "receive each other": OTHER,
    "unreceived": "rank {rank} sent it an array that it never received",
    "other array": "rank {rank} sent float64 (5,), where rank {next} wants float64 (3,)",
    "data": "the ranks make different calls",
    "bucket": OTHER,
    "bucket compiled": OTHER,
    "buckets": "the ranks make different calls",
    "steps": OTHER,
    "compiled": OTHER,
    "left out step": OTHER,
    "own state": "rank {rank}: state_dict of an optimizer with shared state",
    "killed step": KILLED,
    "killed compiled": KILLED,
    "stopped step": LATE,
    "ends in steps": ENDED,
    "backward": WRONG,
    "loader": WRONG,
    "workers": WRONG,
    "callback": WRONG,
    "killed in fit": KILLED,
    "stops in fit": ENDED,
    "diverges": "FloatingPointError: fit: the loss is nan",
    "checkpoint": "FileExistsError",
    "endless KILL": KILLED,
    "endless TERM": KILLED,
    "endless STOP": LATE,
    "sums KILL": KILLED,
    "sums STOP": LATE,
    "unborn KILL": "",
}


class Fault(NamedTuple):
    """How it goes wrong, on which of how many ranks, after how many exchanges or steps, and seconds until a signal comes where
    it comes from outside."""

    how: str
    ranks: int = 2
    rank: int = 1
    after: int = 2
    moment: float = 0.0


def _check(about: Fault, folder: Path) -> int:
    """All ranks end, none well, with the right words, and leave nothing behind; the exit status."""
    how, ranks, rank, after, moment = about
    tag = secrets.token_hex(8)
    running = start(ranks, "faults.py", how, rank, after, folder, TAPENET_RUN=tag)
    kind, _, name = how.partition(" ")
    if kind in ("endless", "sums", "unborn"):
        file = folder / f"rank {rank}"
        while not file.exists() and running.poll() is None:
            time.sleep(0.01)
        if kind != "unborn":
            while not (folder / f"rank {rank} begins").exists() and running.poll() is None:
                time.sleep(0.01)
        time.sleep(moment / 5 if kind == "unborn" else moment)
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(file.read_text()), getattr(signal, f"SIG{name}"))
    done = ended(running)
    assert done.returncode, f"{about}: it ended well"
    want = FAULTS[how].format(rank=rank, size=ranks, next=(rank + 1) % ranks)
    late = FAULTS[how] is LATE and LATER.search(done.stderr)
    assert want in done.stderr or (late and str(rank) in late[0]), f"{about}: {done.stderr}"
    for _ in range(100):  # the processes that tell of killed ones end some seconds later
        if not (left := processes(tag)):
            break
        time.sleep(0.1)
    assert not left, f"{about}: it leaves {left}"
    memory = folder / "shared memory"
    left = [name for name in memory.read_text().split() if Path(name).exists()] if memory.exists() else []
    assert not left, f"{about}: it leaves {left}"
    return done.returncode


@needs_mpi
@pytest.mark.parametrize("how", ["exception", "kill", "leaves", "leaves at once", "shape", "sums KILL"])
def test_fault(how: str, tmp_path: Path) -> None:
    _check(Fault(how, moment=0.3), tmp_path)


@needs_mpi
@pytest.mark.parametrize("rank", [0, 1])
def test_ranks_that_end_late(rank: int, tmp_path: Path) -> None:
    """The others wait for them, and know when they have ended."""
    done = ended(start(2, "faults.py", "late", rank, 1, tmp_path))
    assert not done.returncode, done.stderr


@needs_mpi
@pytest.mark.slow
def test_an_item_may_take_longer_than_the_timeout(tmp_path: Path) -> None:
    done = ended(start(2, "faults.py", "long item", 1, 1, tmp_path))
    assert not done.returncode, done.stderr


@needs_mpi
@pytest.mark.slow
def test_many_faults(tmp_path: Path) -> None:
    """Of any kind, on ranks and at moments by chance. TAPENET_FAULTS says how many, as each kind has its turn. Several run at
    a time: most of their time they wait."""
    rng = np.random.default_rng()
    kinds = rng.permutation(list(FAULTS)).tolist()

    def drawn(i: int) -> Fault:
        ranks = int(rng.integers(2, 4))
        moment = round(float(rng.uniform(0, 2)), 2)
        return Fault(kinds[i % len(kinds)], ranks, int(rng.integers(ranks)), int(rng.integers(5)), moment)

    def wrong(i: int, fault: Fault) -> str:
        folder = tmp_path / str(i)
        folder.mkdir()
        begun, found = time.monotonic(), ""
        try:
            status = _check(fault, folder)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            found = f"{error}"
        print(f"{i} {fault}: {time.monotonic() - begun:.0f} s, {found or f'exit status {status}'}", flush=True)
        return found

    faults = [drawn(i) for i in range(int(os.environ.get("TAPENET_FAULTS", 6)))]
    with ThreadPoolExecutor(3) as pool:
        found = [text for text in pool.map(wrong, range(len(faults)), faults) if text]
    assert not found, "\n".join(found)


class _Control:
    """Messages from rank 1, in place of a communicator."""

    def __init__(self) -> None:
        self.messages: list[object] = []

    def iprobe(self, status: object) -> bool:
        return bool(self.messages)

    def recv(self, source: int) -> object:
        return self.messages.pop(0)

    def isend(self, what: object, to: int) -> object:
        return SimpleNamespace(Test=lambda: True)


def test_what_was_said_once_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rank that is stopped for a while may be past what it told that it waits for."""
    said: list[str] = []
    monkeypatch.setattr(World, "abort", lambda self, why: said.append(why))
    control = _Control()
    mpi = SimpleNamespace(Status=lambda: SimpleNamespace(Get_source=lambda: 1))
    ranks = World(mpi, None, None, control, 0, 2, 1000.0)
    ranks._waiting = Waiting(8, "whether to stop", True)
    ranks._since = time.monotonic() - 100
    for i in range(4):
        assert not said, i
        control.messages.append(Waiting(7, "the number of samples", True))
        ranks._look()
    assert said == [
        "all ranks wait for each other, each for something else: rank 0: whether to stop; rank 1: the number of samples"
    ]


def test_who_computes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """For as long as it says so."""
    said: list[str] = []
    monkeypatch.setattr(World, "abort", lambda self, why: said.append(why))
    control = _Control()
    mpi = SimpleNamespace(Status=lambda: SimpleNamespace(Get_source=lambda: 1))
    ranks = World(mpi, None, None, control, 0, 2, 1000.0)
    ranks._waiting = Waiting(8, "map", True)
    ranks._since = time.monotonic() - 2000
    control.messages.append("at work")
    ranks._look()
    assert not said
    ranks._heard_of_work -= 2000
    ranks._look()
    assert said == ["it has waited 1000 s for other ranks, and rank 1 does not wait, in map"]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere it is heard of later")
def test_ctrl_c_within_a_call_of_mpi(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends this rank and all, where it comes twice: the program has an answer of its own to the first."""
    said: list[str] = []
    monkeypatch.setattr(World, "abort", lambda self, why: said.append(why))
    ranks = World(SimpleNamespace(Status=SimpleNamespace), None, None, _Control(), 0, 2, 1e6)
    before = signal.signal(signal.SIGINT, lambda *_: None)
    ranks.hear()
    try:
        signal.raise_signal(signal.SIGINT)  # before it waits: the program has heard of it
        ranks._waiting = Waiting(8, "map", True)
        ranks._since = time.monotonic()
        ranks._look()
        ranks._since -= 2000
        for _ in range(2):
            assert not said
            signal.raise_signal(signal.SIGINT)
            ranks._look()
            ranks._interrupts = [at - 100 for at in ranks._interrupts]
            ranks._look()
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, before)
    assert said == ["Ctrl-C came while it waits for other ranks, in map"]


def test_what_native_code_waits_for() -> None:
    """Is known as long as there is code that may wait for it: a program that runs on for long says ever new things."""
    ranks = World(None, None, None, None, 0, 2, 1000.0)
    label = ranks.label("map of 3 items")
    for i in range(3):
        assert ranks.label(str(i)).words[1] != label.number
    ranks.inside[:] = 5, label.number
    assert ranks._now() == Waiting(-5, "map of 3 items", True)
    assert list(ranks._labels) == [label.number]


def test_variables_of_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that a rank starts inherit them, and are none. Where nobody started MPI before, something is wrong."""
    for name in [name for name in os.environ if name.startswith((*launched._LAUNCHERS, "TAPENET_RANK"))]:
        monkeypatch.delenv(name)
    assert launched.launched() == 0
    monkeypatch.setenv("PMI_SIZE", "2")
    with socket.socket() as connection:
        monkeypatch.setenv("PMI_FD", str(connection.fileno()))
        assert launched.launched() == 2
        monkeypatch.setenv("TAPENET_RANK", "")
        launched.mark()
        assert launched.launched() == 2
        child = os.getpid() + 1
        monkeypatch.setattr(os, "getpid", lambda: child)
        assert launched.launched() == 0
        with socket.socket() as other:  # launched anew from there
            monkeypatch.setenv("PMI_FD", str(other.fileno()))
            assert launched.launched() == 2
        monkeypatch.setenv("PMI_FD", str(connection.fileno()))
    assert launched.launched() == 0
    monkeypatch.delenv("TAPENET_RANK")
    with pytest.raises(RuntimeError, match="no connection to it"):
        launched.launched()
    monkeypatch.setenv("PMI_SIZE", "1")  # it is alone, with or without a connection
    assert launched.launched() == 0
    for name in [name for name in os.environ if name.startswith("PMI")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PMIX_RANK", "0")  # left over from a job
    assert launched.launched() == 0
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("PMIX_SERVER_URI4", f"server.1;tcp4://127.0.0.1:{server.getsockname()[1]}")
        assert launched.launched() == 1
    assert launched.launched() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="tells by /proc")
@pytest.mark.parametrize("shown", [True, False])
def test_a_rank_ends_where_another_is_gone(shown: bool, tmp_path: Path) -> None:
    """If the system shows that. Of two processes of a launcher one is no rank any more."""
    sleep = tmp_path / "sleep"  # twenty looks, and no time between them
    sleep.write_text(f"#!/bin/sh\necho >>{tmp_path}/looks; test $(wc -l <{tmp_path}/looks) -lt 20\n")
    sleep.chmod(0o755)
    memory = Path(f"/dev/shm/mpich_test_{os.getpid()}_{shown}")  # which the rank has mapped
    before = " ".join(map(str, memory.parent.glob("mpich*")))
    memory.write_bytes(bytes(10))
    maps = "import mmap, sys, time; f = open(sys.argv[1], 'r+'); m = mmap.mmap(f.fileno(), 0); print(flush=True)"
    maps += "; time.sleep(100)"
    begin = 'PMI_RANK=0 "$0" -Sc "$1" "$2" & echo $!; /bin/sleep 100 & echo $!; wait'
    command = ["/bin/sh", "-c", begin, sys.executable, maps, str(memory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as launcher:
        assert launcher.stdout is not None
        rank, other = sorted(int(line) for _ in range(3) if (line := launcher.stdout.readline()).strip())
        seen = str(launcher.pid) if shown else "0"
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        looks = ["/bin/sh", "-c", launched._SCRIPT, "tapenet", seen, "2", str(rank), before]
        done = subprocess.run(looks, env={**os.environ, "PATH": path}, capture_output=True, text=True)
        assert ("and only 0 is left" in done.stderr) == shown
        assert memory.exists() != shown
        memory.unlink(missing_ok=True)
        for pid in (rank, other):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_no_mpi() -> None:
    """Of several processes each has to join the others: without mpi4py that is an error, which says what to install."""
    program = (
        "import sys; sys.modules['mpi4py'] = None; import tapenet as tn; print(tn.parallel.rank, tn.parallel.size)"
    )
    alone = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert alone.stdout.split() == ["0", "1"], alone.stderr
    several = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PMI_SIZE": "2", "PMI_RANK": "0"},
    )
    assert several.returncode
    assert 'this is one of 2 ranks, and there is no mpi4py: pip install "tapenet[mpi]"' in several.stderr
