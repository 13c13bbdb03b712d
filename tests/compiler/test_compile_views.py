"""Compiled functions in which arrays show the same memory: views of what is written, and indices that are broadcast."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import optim
from tapenet.autodiff.observe.tape import CaptureError
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

VIEWS: dict[str, Callable[[Any], Any]] = {
    "itself": lambda w: w,
    "slice": lambda w: w[:1],
    "row": lambda w: w[0],
    "reshape": lambda w: w.reshape(4),
    "T": lambda w: w.T,
    "view of a view": lambda w: w.T.reshape(2, 1, 2)[1:],
    "detached": lambda w: w.detach()[:1],
    "one of several": lambda w: np.split(w, 2)[1],
    "broadcast": lambda w: np.broadcast_to(w[:, :1], (2, 3)),
    "no view": lambda w: w[:1] * 1,
}


def doubling(update: Any) -> tuple[Any, Any]:
    """A parameter, and what doubles it in place."""
    w = tn.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    opt = optim.SGD([w], lr=0.5)

    def double() -> None:
        if update == "step":
            opt.zero_grad()
            (-w * w).sum().backward()
            opt.step()
        else:
            w.data = w * 2

    return w, double


@backends
@pytest.mark.parametrize("update", ["step", "data"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shows_what_is_written_after_it(compiled: Compile, view: str, update: str) -> None:
    def run(compile_step: Any) -> list[Any]:
        w, double = doubling(update)

        def step() -> Any:
            seen = VIEWS[view](w)
            before = seen + 0
            double()
            between = seen.sum(axis=0)
            double()
            return before, between, seen

        made = compile_step(step)
        return [[t.numpy().copy() for t in made()] for _ in range(3)]

    for found, expected in zip(run(compiled), run(lambda f: f), strict=True):
        for got, wanted in zip(found, expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


@backends
def test_a_view_of_an_argument_shows_what_is_written_after_it(compiled: Compile) -> None:
    for compile_step in (lambda f: f, compiled):
        w = tn.tensor([1.0, 2.0, 3.0], requires_grad=True)

        def step(w: Any) -> Any:
            seen, other = w[1:], w.detach()
            with tn.no_grad():
                w.data = w * 2
            return seen, other

        made = compile_step(step)
        for n in (2.0, 4.0, 8.0):
            seen, other = made(w)
            assert (seen.tolist(), other.tolist()) == ([2 * n, 3 * n], [n, 2 * n, 3 * n])


@backends
def test_a_view_in_the_body_of_a_loop_shows_what_is_written_after_it(compiled: Compile) -> None:
    def run(compile_step: Any) -> list[Any]:
        w, double = doubling("step")

        def body(carry: Any, x: Any) -> Any:
            seen = w[:1]
            double()
            return carry + seen.sum(), seen * x

        made = compile_step(lambda xs: (*tn.scan(body, 0.0, xs), w[1:] + 0))
        return [[t.numpy() for t in made(np.ones(2))] for _ in range(3)]

    for found, expected in zip(run(compiled), run(lambda f: f), strict=True):
        for got, wanted in zip(found, expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_an_argument_that_is_a_view_of_what_is_written_is_refused() -> None:
    w, double = doubling("data")

    def step(v: Any) -> Any:
        double()
        return v + w.sum()

    with pytest.raises(CaptureError, match="another way"):
        tn.compile(step)(w.detach()[:1])
    assert w.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_a_view_that_changes_in_the_body_of_a_loop_is_refused() -> None:
    w, double = doubling("step")

    def step(xs: Any) -> Any:
        seen = w[:1]

        def body(carry: Any, x: Any) -> Any:
            double()
            return carry + (seen * x).sum(), None

        return tn.scan(body, 0.0, xs)[0]

    before = w.numpy().copy()
    with pytest.raises(CaptureError, match=r"a view of shape \(1, 2\), made before it, .*make the view inside"):
        tn.compile(step)(np.ones(2))
    np.testing.assert_array_equal(w.numpy(), before)


def test_a_view_that_a_branch_returned_is_refused_where_it_changes() -> None:
    w, double = doubling("data")

    def step(x: Any) -> Any:
        seen = tn.cond(x > 0, lambda: w[:1], lambda: w[1:])
        double()
        return seen

    with pytest.raises(CaptureError, match=r"cond gives a view .*return a copy from it"):
        tn.compile(step)(np.float64(1.0))


# -- indices -----------------------------------------------------------------------------------------------------

ROWS = np.array([0, 1, 1])
INDICES: dict[str, Callable[[Any], Any]] = {
    "broadcast_to": lambda i: tn.broadcast_to(i, (4, 3)),
    "broadcast column": lambda i: tn.broadcast_to(i[:, None], (3, 2)),
    "repeat": lambda i: np.repeat(i[None], 4, axis=0),
    "tile": lambda i: np.tile(i, (4, 1)),
    "meshgrid": lambda i: np.meshgrid(i, np.arange(2))[0],
    "zeros_like": lambda i: np.zeros_like(i),
    "one": lambda i: tn.broadcast_to(i[0], (5,)),
}


@backends
@pytest.mark.parametrize("read", ["getitem", "with another", "between slices", "take", "embedding"])
@pytest.mark.parametrize("index", INDICES)
def test_the_gradient_of_a_broadcast_index_counts_each_repetition(compiled: Compile, index: str, read: str) -> None:
    def step(i: Any, w: Any) -> Any:
        at = INDICES[index](i)
        found = {
            "getitem": lambda: w[at],
            "with another": lambda: w[at, at],
            "between slices": lambda: w[:, at],
            "take": lambda: np.take(w, at, axis=0),
            "embedding": lambda: F.embedding(at, w),
        }[read]()
        loss = found.sum()
        w.grad = None
        loss.backward()
        return loss, w.grad

    w = np.arange(9.0).reshape(3, 3)
    run = compiled(step)
    for i in (ROWS, ROWS[::-1].copy(), np.array([2, 2, 2])):
        given, expected = (tn.tensor(w, requires_grad=True) for _ in range(2))
        for got, wanted in zip(run(i, given), step(i, expected), strict=True):
            np.testing.assert_array_equal(got.numpy(), wanted.numpy())


@backends
def test_assigning_at_a_broadcast_index(compiled: Compile) -> None:
    def step(i: Any, x: Any) -> Any:
        t = x * 1
        t[tn.broadcast_to(i[:, None], (3, 2)), np.arange(2)] = np.arange(6.0).reshape(3, 2)
        t[tn.broadcast_to(i, (2, 3))] += 1
        return t

    x = np.arange(8.0).reshape(4, 2)
    run = compiled(step)
    for i in (np.array([0, 1, 3]), np.array([3, 2, 0])):
        np.testing.assert_array_equal(run(i, x).numpy(), step(i, tn.tensor(x)).numpy())
