"""`np.nditer`, `np.ndenumerate`, `np.ndindex` and `.flat` inside of lifted functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tests.lifting.ways import agrees

A = np.random.default_rng(0).normal(size=(2, 3))


def enumerated(a: Any) -> Any:
    total = 0.0
    for (i, j), x in np.ndenumerate(a):
        total += (i + 2 * j) * x * x
    return total


def indexed(a: Any) -> Any:
    out = np.zeros_like(a)
    for i, j in np.ndindex(a.shape):
        out[i, j] = a[i, j] ** 2 + (out[i, j - 1] if j else 0)
    return out


def changed(a: Any) -> Any:
    b = a.copy()
    with np.nditer(b.T, op_flags=["readwrite"]) as it:
        for x in it:
            x[...] = 2 * x + 1
    return b


def with_index(a: Any) -> Any:
    out = np.zeros(a.shape)
    it = np.nditer(a, flags=["multi_index", "c_index"])
    while not it.finished:
        out[it.multi_index] = it[0] * it.index
        it.iternext()
    return out


def broadcast(a: Any, b: Any) -> Any:
    with np.nditer([a, b, None]) as it:
        for x, y, out in it:
            out[...] = x * y
        return it.operands[2]


def reduced(a: Any) -> Any:
    total = np.zeros((1, 3))
    it = np.nditer([a, total], flags=["reduce_ok"], op_flags=[["readonly"], ["readwrite"]])
    for x, y in it:
        y[...] += x * x
    return total


def in_one_row(a: Any) -> Any:
    total = 0.0
    for row in np.nditer(a, flags=["external_loop", "buffered"], order="C"):
        total = total + (row * row).sum()
    return total


def in_columns(a: Any) -> Any:
    total = 0.0
    for x in np.nditer(a, order="F"):
        total = total * 0.5 + x
    return total


def flat(a: Any) -> Any:
    b = np.zeros((3, 3))
    b.flat[::4] = a[0]
    b[1:].flat = b.flat[:6] * 2
    part = b[:2, 1:]
    part.flat[-1] = a.flat[4]
    return b


CALLS: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (enumerated, (A,)), (indexed, (A,)), (changed, (A,)), (with_index, (A,)), (broadcast, (A, A[0])), (reduced, (A,)),
    (in_one_row, (A,)), (in_columns, (A,)), (flat, (A,)),
]  # fmt: skip


@pytest.mark.parametrize(("f", "args"), CALLS, ids=[f.__name__ for f, _ in CALLS])
def test_it_goes_as_numpys(f: Callable[..., Any], args: tuple[Any, ...]) -> None:
    agrees(f, *args)


def test_mistakes() -> None:
    t = tn.tensor(A, requires_grad=True)

    def given(**options: Any) -> Any:
        return tn.lift(lambda a: list(np.nditer(a, **options)))(t)

    with pytest.raises(TypeError, match="op_axes= cannot be followed"):
        given(op_axes=[[1, 0]])
    with pytest.raises(TypeError, match=r'"external_loop" cannot be followed .* order="C" on copies'):
        given(flags=["external_loop"], order="F")

    @tn.lift
    def writes(a: Any) -> None:
        it = np.nditer(a * 1)
        it[0] = 3

    with pytest.raises(ValueError, match="read alone is written to"):
        writes(t)

    @tn.lift
    def asks(a: Any) -> Any:
        return np.nditer(a).multi_index

    with pytest.raises(ValueError, match="give flags="):
        asks(t)


@pytest.mark.parametrize("f", [enumerated, indexed])
def test_many_indices_are_one_loop_of_the_program(f: Callable[..., Any]) -> None:
    a = np.random.default_rng(1).normal(size=(20, 30))
    step = tn.compile(f, lift=True, backend="numpy")
    for _ in range(2):
        np.testing.assert_allclose(step(a).numpy(), f(a), rtol=1e-12)
    assert str(step.explain()).count("\n") < 60
