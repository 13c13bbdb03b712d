"""What every function of `tn.scipy.linalg` has to be: SciPy's values, right derivatives, compiled, over lanes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import tapenet as tn
from tapenet.testing import check_grads


class Case(NamedTuple):
    """A call.

    Attributes:
        ours, theirs: the function, and SciPy's.
        args: arrays, by which it is differentiated.
        seen: what of the result is determined, and so has a derivative.
        lanes: whether `tn.vmap` is tried.
        tolerance: of derivatives.
        exact: whether SciPy gives the same each time.
    """

    ours: Callable[..., Any]
    theirs: Callable[..., Any]
    args: Sequence[Any]
    seen: Callable[..., Any] = lambda out: out
    lanes: bool = True
    tolerance: float = 1e-6
    exact: bool = True


def leaves(out: Any) -> list[np.ndarray[Any, Any]]:
    """The arrays of a result."""
    if isinstance(out, (tuple, list)):  # of stacks SciPy gives lists
        return [leaf for part in out for leaf in leaves(part)]
    return [out.numpy() if isinstance(out, tn.Tensor) else np.asarray(out)]


def has_scipys_values(case: Case) -> None:
    """The values are SciPy's to the bit, with their dtypes and shapes, in tensors."""
    for kind in (np.asarray, lambda a: np.asarray(a).astype(np.complex64 if np.iscomplexobj(a) else np.float32)):
        args = [kind(a) for a in case.args]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # SciPy's, of 32 bits
            found, expected = case.ours(*map(tn.tensor, args)), case.theirs(*args)
        for mine, its in zip(leaves(found), leaves(expected), strict=True):
            assert mine.dtype == its.dtype
            if case.exact:
                np.testing.assert_array_equal(mine, its)
            else:
                np.testing.assert_allclose(mine, its, rtol=1e3 * np.finfo(mine.dtype).eps ** 0.75)


def _loss(case: Case) -> Callable[..., Any]:
    """A number of what is determined of the result."""

    def loss(*args: Any) -> Any:
        out = case.seen(case.ours(*args))
        parts = out if isinstance(out, (tuple, list)) else (out,)
        return sum((abs(p * w) ** 2).sum() for p, w in zip(parts, weights(parts), strict=True))

    def weights(parts: Sequence[Any]) -> list[Any]:
        return [np.cos(np.arange(np.size(p)).reshape(np.shape(p))) for p in parts]

    return loss


def has_derivatives(case: Case, order: int = 1) -> None:
    """They are those of finite differences."""
    check_grads(lambda *a: case.seen(case.ours(*a)), case.args, order=order, rtol=case.tolerance, atol=case.tolerance)


def runs_in_every_way(case: Case) -> None:
    """Compiled on both backends, over lanes and forward the gradient is that of an eager call."""
    loss = _loss(case)
    every = tuple(range(len(case.args)))
    gradient = tn.grad(loss, argnums=every)
    eager = [g.numpy() for g in gradient(*case.args)]
    for backend in ("native", "numpy"):
        for mine, its in zip(tn.compile(gradient, backend=backend)(*case.args), eager, strict=True):
            np.testing.assert_allclose(mine.numpy(), its, rtol=1e-9, atol=1e-9)
    tangents = [np.ones_like(a) for a in case.args]
    along = tn.jvp(loss, tuple(case.args), tuple(tangents))[1].numpy()
    expected = sum(np.sum(np.conj(g) * t).real for g, t in zip(eager, tangents, strict=True))
    np.testing.assert_allclose(along, expected, rtol=1e-8, atol=1e-8)
    if case.lanes:
        stacked = [np.stack([a, 1.01 * a]) for a in case.args]
        for mine, first in zip(tn.vmap(gradient)(*stacked), eager, strict=True):
            np.testing.assert_allclose(mine.numpy()[0], first, rtol=1e-8, atol=1e-8)


def one_each(cases: dict[str, Case]) -> list[str]:
    """The first case of each function, whose name a case begins with."""
    return list({name.split()[0]: name for name in reversed(cases)}.values())
