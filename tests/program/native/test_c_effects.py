"""C functions that go on in the memory of an op's argument, called by compiled programs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.op import Op, op
from tapenet.program.c_effects import CCall, CEffect, Where, Word
from tapenet.typing import Array

pytest.importorskip("llvmlite")

_C = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_double), ctypes.c_int64, ctypes.c_int)
State = ctypes.c_int64 * 2


class Pair:
    """Two ops: from the first on an array is doubled, the second waits for that."""

    def __init__(self, status: int = 0) -> None:
        self.state, self.waited, self.ended = State(), list[Sequence[int]](), 0
        self.status = status
        self.compiled: list[str] = []
        self.c = [_C(self._begin), _C(self._end)]
        self.begin = self._op("begin", lambda x: 2 * x, None)
        self.end = self._op("end", lambda x: x.copy(), (ctypes.addressof(self.state), 7))

    def _begin(self, x: ctypes.Array[ctypes.c_double], seven: int, size: int) -> int:
        assert (seven, self.state[1]) == (-7, 0)
        for i in range(size):
            x[i] *= 2
        self.compiled.append("begin")
        return 0

    def _end(self, x: ctypes.Array[ctypes.c_double], seven: int, size: int) -> int:
        self.waited.append(list(self.state))
        self.compiled.append("end")
        return self.status

    def _op(self, name: str, forward: Callable[[Array], Array], waits: tuple[int, int] | None) -> Op:
        function = self.c[len(name) < 5]
        address = ctypes.cast(function, ctypes.c_void_p).value
        assert address
        call = CCall(f"test_{name}_{id(self)}", address, [Where.RESULT, Word(64, -7), Word(32, 5)])
        vars(forward)["c_effect"] = CEffect([call], waits, "it failed", self._failed, self)
        return op(forward, name=name, ordered=np.zeros_like, nondiff=True)

    def _failed(self) -> None:
        self.ended += 1


def test_in_place() -> None:
    """No Python runs, and what is waited for is said meanwhile; loops call them too."""
    pair = Pair()

    def step(x: Array) -> Array:
        return pair.end(pair.begin(x + 1)) + 1

    run = tn.compile(step, backend="native")
    x = np.arange(5.0)
    for _ in range(3):
        assert np.array_equal(run(x).numpy(), 2 * x + 3)
    assert pair.compiled == ["begin", "end"] * 2
    assert pair.waited == [[1, 7], [2, 7]]
    assert list(pair.state) == [2, 0]
    assert "native calls each time: 1, calls of Python: 0" in str(run.explain())
    turns = tn.compile(lambda x: tn.scan(lambda c, _: (step(c), None), x, length=2)[0], backend="native")
    for _ in range(2):
        assert np.array_equal(turns(x).numpy(), 4 * x + 9)
    assert len(pair.compiled) == 8


def test_what_is_read_otherwise_stays() -> None:
    pair = Pair()
    run = tn.compile(lambda x: (pair.end(pair.begin(y := x + 1)), y), backend="native")
    x = np.arange(5.0)
    for _ in range(2):
        doubled, whole = run(x)
        assert np.array_equal(whole.numpy(), x + 1)
        assert np.array_equal(doubled.numpy(), 2 * x + 2)
    assert pair.compiled == ["begin", "end"]


def test_errors() -> None:
    """What has begun is ended where a program fails."""
    pair = Pair(status=3)
    run = tn.compile(lambda x: pair.end(pair.begin(x)), backend="native")
    run(np.ones(5))
    with pytest.raises(RuntimeError, match="it failed"):
        run(np.ones(5))
    assert pair.ended == 2
