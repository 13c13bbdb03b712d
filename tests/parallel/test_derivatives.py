"""Lanes, columns, colours and independent work, split over ranks."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn
from tests.parallel.launching import needs_mpi, passes


@needs_mpi
def test_as_on_one_rank() -> None:
    """Of three ranks, since there is work for fewer, for as many, and for an uneven number of turns of each."""
    passes(3, "derivatives.py")


def test_one_rank() -> None:
    """The same calls without MPI."""
    x = np.arange(3.0)
    assert np.array_equal(tn.vmap(np.sin, over=tn.parallel)(x), np.sin(x))
    assert np.array_equal(tn.jacobian(np.sin, over=tn.parallel)(x), np.diag(np.cos(x)))
    assert tn.hessian(lambda x: (x**3).sum(), sparse=True, over=tn.parallel)(x).diagonal().tolist() == [0, 6, 12]
    assert tn.parallel.map(lambda i: i + 1, range(3)) == [1, 2, 3]


def test_wrong_arguments() -> None:
    for transform in (tn.vmap, tn.jacobian, tn.hessian):
        with pytest.raises(TypeError, match=r"over=3 is nothing that work can be split over: give over=tn\.parallel"):
            transform(lambda x: (x**2).sum(), over=3)(np.ones(2))
    with pytest.raises(TypeError, match="over=True is nothing"):
        tn.jacobian(np.sin, sparse=True, over=True)
    with pytest.raises(RuntimeError, match="call it outside"):
        tn.compile(lambda x: tn.parallel.map(lambda i: i * x, range(2))[1])(np.ones(2))
