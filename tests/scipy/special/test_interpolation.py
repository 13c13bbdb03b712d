"""Derivatives by interpolation beside those by formula."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn
from tapenet.special.interpolation import slope

X = np.array([1.5, 3.0, 10.5])


def test_they_are_those_of_the_formula_to_any_order() -> None:
    def by_values(x: tn.Tensor) -> tn.Tensor:
        return slope(tn.special.gamma, (x,), 0, 0.3)

    def by_formula(x: tn.Tensor) -> tn.Tensor:
        return tn.special.gamma(x) * tn.special.psi(x)

    f, g = by_values, by_formula
    for tolerance in (1e-12, 1e-11, 1e-9):
        np.testing.assert_allclose(f(tn.tensor(X)).numpy(), g(tn.tensor(X)).numpy(), rtol=tolerance)
        f, g = (lambda x, f=f: tn.grad(lambda t: f(t).sum())(x)), (lambda x, g=g: tn.grad(lambda t: g(t).sum())(x))


@pytest.mark.parametrize("i", [0, 1])
def test_arguments_broadcast(i: int) -> None:
    x, y = X[:, None], np.array([2.0, 4.0])
    got = slope(tn.special.beta, (x, y), i, 0.3)
    expected = tn.grad(lambda *a: tn.special.beta(*a).sum(), i)(*np.broadcast_arrays(x, y)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-12)
