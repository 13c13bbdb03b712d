"""Exchanges between ranks: values and derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn
from tapenet.parallel.agreement import _steps
from tests.parallel.launching import needs_mpi, passes


@needs_mpi
@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_values_and_derivatives(ranks: int) -> None:
    passes(ranks, "collectives.py")


@pytest.mark.parametrize(
    ("size", "count", "whole"),
    [(2, 1027, True), *((size, *case) for size in (2, 4, 16) for case in ((1027, False), (1026, False), (1026, True)))],
)
def test_steps_of_a_sum(size: int, count: int, whole: bool) -> None:
    """As many ranks take them that exchange by copies: all have the sum, and none sends from where it receives."""
    given = np.random.default_rng(0).integers(-50, 50, (size, count))
    out = np.zeros_like(given)

    def part(rank: int, place: int, length: int) -> np.ndarray:
        assert place // 2 + length <= count
        return (out if place % 2 else given)[rank, place // 2 : place // 2 + length]

    for steps in zip(*(_steps(rank, size, count, 1, whole) for rank in range(size)), strict=True):
        sent = [part(rank, *step[1:3]).copy() for rank, step in enumerate(steps)]
        for rank, (peer, send, length, receive, taken, *_) in enumerate(steps):
            assert steps[peer][0] == rank
            assert not np.shares_memory(part(rank, send, length), part(rank, receive, taken))
            part(rank, receive, taken)[:] = sent[peer]
        for rank, (*_, a, b, into, length) in enumerate(steps):
            if length:
                part(rank, into, length)[:] = part(rank, a, length) + part(rank, b, length)
    assert np.array_equal(out, np.broadcast_to(given.sum(axis=0), out.shape))


def test_one_rank() -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert (tn.parallel.rank, tn.parallel.size) == (0, 1)
    for name in ("allreduce", "allgather", "reduce_scatter", "broadcast", "reduce"):
        exchange = getattr(tn.parallel, name)
        found = exchange(x)
        assert np.array_equal(found, x)
        assert found is not x
        w = tn.tensor(x, requires_grad=True)
        (exchange(w) ** 2).sum().backward()
        assert np.array_equal(w.grad.numpy(), 2 * x)


def test_wrong_arguments() -> None:
    x = np.ones(3)
    with pytest.raises(ValueError, match="there is no rank 1; of 1 ranks the last is 0"):
        tn.parallel.broadcast(x, 1)
    with pytest.raises(ValueError, match="op='maximum'; give one of 'sum', 'mean', 'max', 'min'"):
        tn.parallel.allreduce(x, "maximum")
    with pytest.raises(ValueError, match="no axis"):
        tn.parallel.allgather(np.float64(1))
    with pytest.raises(TypeError, match="does not add up bool"):
        tn.parallel.allreduce(np.array([True]))
    with pytest.raises(TypeError, match="a mean of int64 is none"):
        tn.parallel.allreduce(np.array([1]), "mean")
    with pytest.raises(TypeError, match="complex128 has no max"):
        tn.parallel.allreduce(np.array([1j]), "max")
    with pytest.raises(ValueError, match="rank 0 would send to itself"):
        tn.parallel.send(x, 0)
    with pytest.raises(ValueError, match="rank 0 would wait for itself"):
        tn.parallel.recv(x, 0)
