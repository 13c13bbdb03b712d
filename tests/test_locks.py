"""A fork leaves no lock held in the child, whatever other threads were doing."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import locks
from tapenet.llvm.blas import _Alone
from tapenet.locks import lock
from tapenet.ops.op import Op

HALF = """
import os
from tests import test_locks
if os.getpid() == test_locks.PARENT:
    test_locks.held.set()
    test_locks.over.wait(60)
whole = True
"""
PARENT = os.getpid()
held, over = threading.Event(), threading.Event()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_what_another_thread_holds_is_free_in_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Locks of ours, of Python's modules and cached properties, of NumPy's generators, and the one around LLVM."""
    compiled = tn.compile(lambda x: x * 2)
    compiled(np.ones(3))
    tn.random.normal(size=3)
    kinds = (type(threading.Lock()), type(threading.RLock()))
    ours = [module for name, module in sys.modules.items() if name.startswith("tapenet.")]
    found = [value for module in ours for value in list(vars(module).values()) if isinstance(value, kinds)]
    assert len(found) >= 6  # of the toolchain, captures, gradients, writes ...
    found.append(tn.random.generator().bit_generator.lock)
    found += [vars(value)["lock"] for value in vars(Op).values() if "lock" in getattr(value, "__dict__", ())]
    (tmp_path / "half_there.py").write_text(HALF)
    monkeypatch.syspath_prepend(tmp_path)

    def hold() -> None:
        for one in found:
            one.acquire()
        __import__("half_there")
        for one in found:
            one.release()

    def compute() -> None:
        with llvmlite.ffi.lib._lock:
            inside.set()
            time.sleep(0.02)  # the fork waits meanwhile

    threads = [threading.Thread(target=hold)]
    threads[0].start()
    held.wait(60)
    llvmlite: Any = sys.modules.get("llvmlite.binding")
    if llvmlite is not None:
        inside = threading.Event()
        threads.append(threading.Thread(target=compute))
        threads[1].start()
        inside.wait(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fork beside threads, which is what this is about
        child = os.fork()
    if child == 0:
        works = False
        try:
            leaf = tn.tensor(np.ones(3), requires_grad=True)
            (leaf * 2).sum().backward()
            tn.random.normal(size=3)
            if llvmlite is not None:
                llvmlite.parse_assembly("")
            works = __import__("half_there").whole and (compiled(np.ones(3)) == leaf.grad).all()
        finally:
            os._exit(0 if works else 1)
    watch = threading.Timer(30, os.kill, (child, 9))
    watch.start()
    status = os.waitpid(child, 0)[1]
    watch.cancel()
    over.set()
    for thread in threads:
        thread.join()
    assert status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_who_forks_goes_on_holding_its_own() -> None:
    mine = lock()
    with mine, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
        if child == 0:
            try:
                mine.release()  # raises where it is no longer the child's
            except BaseException:
                os._exit(1)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize("mine", [False, True])
def test_who_keeps_blas_alone_does_so_no_longer_in_a_child(mine: bool) -> None:
    """But for the thread that forks."""
    count, there, over = [4], threading.Event(), threading.Event()
    alone = _Alone(lambda: count[0], lambda n: count.__setitem__(0, n))

    def another() -> None:
        with alone:
            there.set()
            over.wait()

    thread = threading.Thread(target=another)
    thread.start()
    there.wait()
    try:
        with alone if mine else contextlib.nullcontext(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            child = os.fork()
            kept = count[0]
        if child == 0:
            os._exit(0 if (kept, count[0]) == (1 if mine else 4, 4) else 1)
    finally:
        over.set()
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    assert count == [4]


@pytest.mark.usefixtures("no_garbage")
def test_locks_are_known_no_longer_than_they_live() -> None:
    before = len(locks._made)
    made = [lock() for _ in range(5)]
    assert len(locks._made) == before + 5
    del made
    assert len(locks._made) == before
