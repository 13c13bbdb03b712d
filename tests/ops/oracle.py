"""What the tests of single ops share: comparisons with PyTorch, and of a replay with a fresh run; memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np

import tapenet as tn
from tapenet.autodiff.observe.capture import Capture
from tests.replay import Replay

#: Allowed difference by dtype, relative to the largest element.
TOLERANCE = {np.dtype(kind): 1e-12 for kind in (np.float64, np.complex128)}
TOLERANCE |= {np.dtype(kind): 3e-6 for kind in (np.float32, np.complex64)}


def close(got: Any, expected: Any, what: str = "") -> None:
    """Same shape and dtype, and equal but for rounding (nan equal to nan)."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape, what
    assert got.dtype == expected.dtype, what
    finite = np.abs(expected[np.isfinite(expected)])
    tolerance = TOLERANCE.get(got.dtype, 0.0)
    np.testing.assert_allclose(
        got, expected, rtol=tolerance, atol=tolerance * max(1.0, float(finite.max(initial=0))), err_msg=what
    )


def agrees_with_torch(
    ours: Callable[..., Any], theirs: Callable[..., Any], *arrays: Any, dtypes: Any = (np.float64, np.float32)
) -> None:
    """Value, dtype and gradients by all float arrays equal PyTorch's, for a random upstream gradient."""
    import torch

    for dtype in dtypes:
        cast = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
        mine = [tn.tensor(a, requires_grad=a.dtype.kind == "f") for a in cast]
        other = [torch.tensor(a.copy("C"), requires_grad=a.dtype.kind == "f") for a in cast]
        out, expected = ours(*mine), theirs(*other)
        close(out.data, expected.detach().numpy(), "value")
        g = np.asarray(np.random.default_rng(0).normal(size=out.shape), dtype)
        out.backward(g)
        expected.backward(torch.tensor(g))
        for i, (a, b) in enumerate(zip(mine, other, strict=True)):
            if b.grad is not None:
                assert a.grad is not None, f"no gradient by argument {i}"
                close(a.grad.data, b.grad.numpy(), f"gradient by argument {i}")


def replays(f: Callable[[Any], Any], first: Any, second: Any) -> None:
    """Captured on one array and replayed on another, the gradient is that of a fresh run on the other."""
    x = tn.tensor(first, requires_grad=True)
    with Capture() as tape:
        f(x).backward()
        gradient = x.grad
        assert gradient is not None
    fresh = tn.tensor(second, requires_grad=True)
    f(fresh).backward()
    close(Replay(tape, [x], gradient)(second), fresh.grad.data)


def peak(f: Callable[[], Any]) -> int:
    """The most bytes that are taken at one time during a call."""
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def peak_of_backward(f: Callable[..., Any], *arrays: Any) -> float:
    """The most memory that a backward pass takes at a time, in sizes of the arrays that it is of. A first pass, which may
    generate code, is not looked at."""
    for measured in (False, True):
        tensors = [tn.tensor(a, requires_grad=True) for a in arrays]
        out = f(*tensors)
        seed = np.ones(out.shape, out.dtype)
        if not measured:
            out.backward(seed)
    return peak(lambda: out.backward(seed)) / sum(a.nbytes for a in arrays)
