"""Gradients beside JAX's, of what JAX has of `scipy.linalg` and compiles in a second."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn

T: Any = tn.scipy.linalg
R = np.random.default_rng(0)
A = 0.3 * R.normal(size=(3, 3)) + np.diag([1.0, 2.0, 4.0])
P = A @ A.T
B = R.normal(size=3)
M = R.normal(size=(3, 2))

#: What is computed, as functions of the module and arrays.
CALLS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "solve": (lambda L, a, b: L.solve(a, b), [A, B]),
    "solve_triangular": (lambda L, a, b: L.solve_triangular(a, b, lower=True, trans=1), [A, M]),
    "cho_solve": (lambda L, a, b: L.cho_solve((L.cholesky(a + a.T), False), b), [P, B]),
    "lu": (lambda L, a: L.lu(a)[1] @ L.lu(a)[2] + L.lu(a)[1], [A]),
    "lu_solve": (lambda L, a, b: L.lu_solve(L.lu_factor(a), b, 1), [A, M]),
    "svd": (lambda L, a: abs(L.svd(a, full_matrices=False)[0]) ** 2, [R.normal(size=(3, 3))]),
    "eigh": (lambda L, a: abs(L.eigh(a + a.T)[1]) ** 2, [A]),
    "det": (lambda L, a: L.det(a), [A]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
def test_beside_jax(name: str) -> None:
    jax = pytest.importorskip("jax")
    f, args = CALLS[name]
    with jax.enable_x64(True):

        def loss(module: Any, *arrays: Any) -> Any:
            out = f(module, *arrays)
            return (out * out * np.cos(np.arange(out.size)).reshape(out.shape)).sum()

        theirs = jax.scipy.linalg
        every = tuple(range(len(args)))
        expected = jax.grad(lambda *a: loss(theirs, *a), argnums=every)(*args)
        for mine, its in zip(tn.grad(lambda *a: loss(T, *a), argnums=every)(*args), expected, strict=True):
            np.testing.assert_allclose(mine.numpy(), its, rtol=1e-9, atol=1e-9)
