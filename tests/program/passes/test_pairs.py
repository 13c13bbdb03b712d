"""Complex numbers of loops as pairs of floats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import Program, Result
from tapenet.program.passes import pairs

X = np.array([1 + 2j, -3 + 0.5j, complex(0.0, -0.0), 2 - 4j, complex(np.inf, 1), complex(1, np.nan), -1j, 8])


def butterflies(x: Any) -> Any:
    y = x.copy()
    for s in range(0, len(y), 2):
        even = y[s : s + 1].copy()
        odd = x[7] * y[s + 1 : s + 2]
        y[s : s + 1] = even + odd
        y[s + 1 : s + 2] = even - odd
    return y


def of_floats(x: Any) -> Any:
    y, parts = np.zeros(8, dtype=complex), abs(x)
    for i in range(8):
        y[7 - i] = parts[i]
    return y


def matrix(x: Any) -> Any:
    y = np.zeros((5, 8), dtype=np.complex64)
    row = x.astype(np.complex64)
    for t in range(5):
        row = -(row * row[::-1]) + np.reshape(np.reshape(row, (2, 4)).T, 8)
        y[t, 2:] = row[:-2]
    return y, row


def nested(x: Any) -> Any:
    y = np.zeros((6, 6), dtype=complex) + x[1]
    for i in range(1, 6):
        for j in range(1, 6):
            y[i, j] = x[0] * y[i - 1, j] - y[i, j - 1]
    return y


def with_exp(x: Any) -> Any:
    y = np.zeros(8, dtype=complex)
    for i in range(8):
        y[i] = np.exp(x[i])
    return y


def program_of(f: Callable[..., Any]) -> Program:
    step = tn.compile(f, lift=True, backend="numpy")
    step(X)
    program = step.variants[0].program
    assert isinstance(program, Program)
    return program


@pytest.mark.parametrize("f", [butterflies, of_floats, matrix, nested])
def test_loops_that_write_complex_numbers_compute_with_floats(f: Callable[..., Any]) -> None:
    program = program_of(f)
    changed = pairs.run(program)
    (loop,) = (i for i in changed.body if i.name == "loop")
    assert all(v.dtype.kind != "c" for v in (*loop.args, *loop.results))
    with np.errstate(all="ignore"):
        for a, b in zip(changed.evaluate([X]), program.evaluate([X]), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            for part in ("real", "imag"):  # infinities, nan and signed zeros too
                np.testing.assert_allclose(getattr(a, part), getattr(b, part), rtol=1e-6)
                np.testing.assert_array_equal(np.signbit(getattr(a, part)), np.signbit(getattr(b, part)))


def test_loops_with_other_operations_stay_as_they_are() -> None:
    program = program_of(with_exp)
    assert pairs.run(program) is program
    assert any(isinstance(v, Result) and v.dtype.kind == "c" for v in program.outputs)


@pytest.mark.parametrize("f", [butterflies, of_floats, matrix, nested])
def test_such_loops_are_native(f: Callable[..., Any]) -> None:
    pytest.importorskip("llvmlite")
    x = X.copy()
    x[4:6] = 3j, -1  # infinities of products may be nan, or not, where a product and a sum are one instruction
    step = tn.compile(f, lift=True, backend="native")
    found, expected = step(x), f(x)
    assert "loop of" in str(step.explain(full=True))  # what native ones are called
    for a, b in zip(*(v if isinstance(v, tuple) else (v,) for v in (found, expected)), strict=True):
        np.testing.assert_allclose(np.asarray(a), b, rtol=1e-6)
