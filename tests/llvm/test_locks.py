"""A fork leaves no lock held in the child, whatever other threads were doing."""

from __future__ import annotations

import os
import sys
import threading
import warnings

import numpy as np
import pytest

import tapenet as tn
from tapenet.llvm import locks
from tapenet.llvm.locks import lock, reentrant_lock


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_what_another_thread_holds_is_free_in_the_child() -> None:
    compiled = tn.compile(lambda x: x * 2)
    kinds = (type(threading.Lock()), type(threading.RLock()))
    ours = [m for name, m in sys.modules.items() if name.startswith(("tapenet.llvm.", "tapenet.compiler."))]
    found = [value for module in ours for value in vars(module).values() if isinstance(value, kinds)]
    assert len(found) >= 2  # of the toolchain and of captures
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        for one in found:
            one.acquire()
        held.set()
        over.wait(60)
        for one in found:
            one.release()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a fork beside threads, which is what this is about
        child = os.fork()
    if child == 0:
        works = False
        try:
            works = compiled(np.ones(3)).sum() == 6
        finally:
            os._exit(0 if works else 1)
    watch = threading.Timer(30, os.kill, (child, 9))
    watch.start()
    status = os.waitpid(child, 0)[1]
    watch.cancel()
    over.set()
    holder.join()
    assert status == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_who_forks_goes_on_holding_its_own() -> None:
    mine = reentrant_lock()
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


@pytest.mark.usefixtures("no_garbage")
def test_locks_are_known_no_longer_than_they_live() -> None:
    before = len(locks._made)
    made = [lock() for _ in range(5)]
    assert len(locks._made) == before + 5
    del made
    assert len(locks._made) == before
