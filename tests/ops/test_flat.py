"""`t.flat` against `ndarray.flat`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads

X = np.random.default_rng(0).normal(size=(3, 4))
READS: list[Any] = [0, -1, 5, slice(2, 9, 3), slice(None), [1, 1, 7], np.array([[0, 1], [2, 3]]), X.ravel() > 0, (4,)]


@pytest.mark.parametrize("index", READS, ids=str)
@pytest.mark.parametrize("make", [lambda a: a, lambda a: a.T, lambda a: a[1:, None]], ids=["whole", "turned", "part"])
def test_what_is_read(index: Any, make: Callable[[Any], Any]) -> None:
    if isinstance(index, np.ndarray) and index.dtype == bool:
        index = index[: make(X).size]
    found = make(tn.tensor(X, requires_grad=True)).flat[index]
    np.testing.assert_array_equal(found.numpy(), make(X).flat[index])
    assert found.requires_grad


WRITES: list[Callable[[Any], None]] = [
    lambda a: a.flat.__setitem__(3, 2.5),
    lambda a: a.flat.__setitem__(slice(None, None, 5), 1),
    lambda a: a.flat.__setitem__(slice(2, 9), [1, 2, 3]),  # again from the first
    lambda a: a.flat.__setitem__([0, 0, 2], [1, 2, 3]),
    lambda a: a.flat.__setitem__(X.ravel() < 0, 0),
    lambda a: setattr(a, "flat", np.arange(5.0)),
    lambda a: setattr(a, "flat", 7),
]


@pytest.mark.parametrize("write", WRITES)
def test_what_is_written(write: Callable[[Any], None]) -> None:
    for array in (X.copy(), X.T.copy()):
        t = tn.tensor(array, requires_grad=True) * 1
        write(t)
        write(array)
        np.testing.assert_array_equal(t.numpy(), array)


def test_gradients() -> None:
    def f(a: Any, b: Any) -> Any:
        a = a * 1
        a.flat[::5] = b
        a.flat[-2] = a.flat[0] * a.flat[3]
        total = 0
        for x in a.flat:
            total = total * 0.5 + x * x
        return total

    check_grads(f, [X, np.array([2.0, 3.0, 4.0])], order=2)


def test_the_rest() -> None:
    t = tn.tensor(X)
    assert len(t.flat) == 12
    assert [x.item() for x in t.flat] == list(X.flat)
    np.testing.assert_array_equal(np.asarray(t.flat), X.ravel())
    assert t.flat.copy().shape == (12,)
    assert t.flat.base is t
    one = tn.tensor(3.0)
    assert one.flat[0].item() == 3
    assert one.flat[:].tolist() == [3.0]
    one.flat[0] = 4
    assert one.item() == 4
    one.flat = 5
    assert one.item() == 5
    with pytest.raises(IndexError, match="takes one index, not 2"):
        t.flat[0, 1]
    with pytest.raises(IndexError, match="out of bounds"):
        t.flat[12]
    with pytest.raises(RuntimeError, match="a leaf that needs a gradient"):
        tn.tensor(X, requires_grad=True).flat[0] = 1
