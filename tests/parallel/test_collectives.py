"""Exchanges between ranks: values and derivatives."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn
from tests.parallel.launching import needs_mpi, passes


@needs_mpi
@pytest.mark.parametrize("ranks", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_values_and_derivatives(ranks: int) -> None:
    passes(ranks, "collectives.py")


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
