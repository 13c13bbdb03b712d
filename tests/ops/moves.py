"""What the tests of functions share that only move elements about."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
from tapenet.program.trees import tree_leaves


def leaf(values: Any) -> Any:
    return tn.tensor(values, requires_grad=True)


def moves(f: Callable[..., Any], *arrays: Any, fill: float = 0.0) -> None:
    """The value is NumPy's; the gradient puts each element of a seed where the element came from.

    Checked exactly: the function only copies elements, each of which is nonzero here, or fills in `fill`; so applying it
    to their numbers says where they went.
    """
    tensors = [leaf(a) for a in arrays]
    outs, expected = tree_leaves(f(*tensors)), tree_leaves(f(*arrays))
    assert [type(o) for o in outs] == [tn.Tensor] * len(expected)
    start = 1
    numbers = []
    for a in arrays:
        numbers.append(np.arange(start, start + a.size, dtype=float).reshape(a.shape))
        start += a.size
    gathered = np.zeros(start)
    r = np.random.default_rng(3)
    loss: Any = 0.0
    for out, value, went in zip(outs, expected, tree_leaves(f(*numbers)), strict=True):
        assert (out.shape, out.dtype) == (np.shape(value), np.asarray(value).dtype)
        np.testing.assert_array_equal(out.data, value)
        seed = r.normal(size=out.shape)
        loss = loss + (out * seed).sum()
        source = np.where(went == fill, 0, went).astype(int)
        np.add.at(gathered, source.ravel(), seed.ravel())
    if outs:
        loss.backward()
    for t, n in zip(tensors, numbers, strict=True):
        expected_grad = gathered[n.astype(int)]
        if t.grad is None:
            assert not expected_grad.any()
            continue
        assert t.grad.shape == t.shape
        np.testing.assert_allclose(t.grad.data, expected_grad, atol=1e-12)
