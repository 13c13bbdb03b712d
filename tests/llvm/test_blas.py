"""NumPy's BLAS kept from using its own threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import tapenet.llvm.blas as blas

CODE = """
import threading
import numpy as np
from tapenet.llvm import blas
get, put = blas._counts()
several = get()
assert several > 1
with blas.alone():
    assert get() == 1
    with blas.alone():
        assert get() == 1
    assert get() == 1
assert get() == several
try:
    with blas.alone():
        raise KeyError
except KeyError:
    assert get() == several
seen, gate = [], threading.Barrier(4)
def other(turn):
    with blas.alone():
        gate.wait()  # all are inside
        seen.append(get())
        np.ones((300, 300)) @ np.ones((300, 300))
threads = [threading.Thread(target=other, args=(i,)) for i in range(4)]
for t in threads: t.start()
for t in threads: t.join()
assert seen == [1] * 4 and get() == several
put(1)  # as its user may
with blas.alone():
    assert get() == 1
assert get() == 1
print("done")
"""


def run(code: str, threads: int) -> str:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout


def test_inside_there_is_one_thread_and_afterwards_as_many_as_before() -> None:
    if run("from tapenet.llvm import blas; print(blas._counts())", 2) != "None\n":  # OpenBLAS, and several processors
        assert run(CODE, 2) == "done\n"


def test_one_thread_and_other_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("from tapenet.llvm import blas; print(blas._counts())", 1) == "None\n"
    monkeypatch.setattr(blas, "_limit", blas._limit.__wrapped__)
    for name, value in (("_COUNTS", ("no_{}_such",)), ("_library", lambda: None)):
        monkeypatch.setattr(blas, name, value)
        with blas.alone() as found:
            assert found is None
        assert blas._limit() is None
