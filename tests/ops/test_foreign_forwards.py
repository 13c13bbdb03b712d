"""Forwards that are no NumPy code: they run as they stand, eager and from compiled programs."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

X = np.array([0.5, -1.0, 2.0])


def called(function: Any, *arrays: Any) -> dict[str, str]:
    """The ops that a compiled function calls as they stand, and why."""
    step = tn.compile(function, backend="numpy")
    step(*arrays)
    return {c.op.name: c.reason for c in step.variants[0].called}


# -- Numba -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def squares() -> Any:
    numba = pytest.importorskip("numba")
    made: Any = numba.njit(lambda x: x * x)
    return made


@backends
def test_a_numba_function_is_called_from_a_program(compiled: Compile, squares: Any) -> None:
    op = tn.op(lambda x: squares(x), name="squares", x=lambda g, x: 2 * g * x)
    step = compiled(lambda x: op(x).sum())
    for x in (X, X + 1):
        assert step(x).item() == (x * x).sum()
    assert called(op, X) == {"squares": "calls Numba"}


def test_an_error_that_somebody_keeps_keeps_no_tensor() -> None:
    kept: SimpleQueue[Exception] = SimpleQueue()  # as in a library: nothing that a program could depend on

    def forward(x: Any) -> Any:
        try:
            return np.asarray(x) * 2
        except Exception as error:
            kept.put(error)
            raise

    double = tn.op(forward, name="double", nondiff=True)
    assert called(lambda x: double(x).sum(), X) == {"double": "asks for the elements"}
    assert kept.qsize() == 1
