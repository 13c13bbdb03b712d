"""A function lifted in each way, against NumPy: on arrays, recorded, differentiated, compiled."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
from tapenet.testing import check_grads


def _floats(args: tuple[Any, ...]) -> list[int]:
    return [i for i, a in enumerate(args) if isinstance(a, np.ndarray) and a.dtype.kind == "f"]


def same(got: Any, expected: Any) -> None:
    """A tensor with NumPy's values."""
    if isinstance(expected, tuple):
        assert isinstance(got, tuple)
        for g, e in zip(got, expected, strict=True):
            same(g, e)
        return
    got = got.numpy() if isinstance(got, tn.Tensor) else np.asarray(got)
    assert got.shape == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)


def agrees(f: Callable[..., Any], *args: Any, compiled: bool = True, gradients: bool = True) -> None:
    """Each way gives what NumPy gives, and gradients are those of finite differences."""
    lifted = tn.lift(f)
    expected = f(*copy.deepcopy(args))
    same(lifted(*copy.deepcopy(args)), expected)
    leaves = list(copy.deepcopy(args))
    for i in _floats(args):
        leaves[i] = tn.tensor(args[i], requires_grad=True)
    same(lifted(*leaves), expected)

    def of_floats(*values: Any) -> Any:
        given = list(copy.deepcopy(args))
        for i, value in zip(_floats(args), values, strict=True):
            given[i] = value
        return lifted(*given)

    if gradients:
        check_grads(of_floats, [args[i] for i in _floats(args)], order=1)
    if compiled:
        step = tn.compile(of_floats, backend="numpy")
        for _ in range(2):
            same(step(*(args[i] for i in _floats(args))), expected)
