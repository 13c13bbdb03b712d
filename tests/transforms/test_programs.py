"""Nothing of what starts a derivative is left in the compiled program of a transformation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.program.ir import Program

R = np.random.default_rng(0)
V, W = R.normal(size=(6, 5)), R.normal(size=(5, 6))


def net(x: Any) -> Any:
    return np.tanh(x @ V) @ W


def energy(x: Any) -> Any:
    return np.exp(x @ V).sum()


def program(function: Any, *args: Any) -> Program:
    step = tn.compile(function)
    plain = function(*args)
    np.testing.assert_allclose(step(*args).numpy(), plain.numpy(), rtol=1e-10)
    (variant,) = step.variants
    found: Program = variant.program
    return found


@pytest.mark.parametrize(
    ("function", "products"),
    [
        (tn.jacfwd(net), 2),  # x @ V for the slopes; V times these times W
        (tn.jacrev(net), 2),
        (tn.hessian(energy), 2),
    ],
)
def test_unit_vectors_are_folded(function: Any, products: int) -> None:
    found = program(function, R.normal(size=6))
    assert [i.name for i in found.body].count("dot") == products
    assert all(c.size <= 1 or not np.array_equal(c.array, np.eye(6)) for c in found.constants)


def test_the_seed_of_a_gradient_is_folded() -> None:
    found = program(tn.grad(lambda x: np.sin(x).sum()), R.normal(size=6))
    assert [i.name for i in found.body] == ["cos"]
