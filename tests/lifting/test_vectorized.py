"""`np.vectorize` and `np.frompyfunc` inside of lifted functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tests.lifting.ways import agrees, same

A = np.random.default_rng(0).normal(size=(2, 3))


@np.vectorize
def wave(x: Any, k: Any = 2.0) -> Any:
    return np.sin(k * x) * x


def decorated(a: Any) -> Any:
    return wave(a) + wave(a, k=a[0])


def inside(a: Any) -> Any:
    return np.vectorize(lambda x, y: x * y)(a, a[0])


def several(a: Any) -> Any:
    return np.vectorize(lambda x: (x * x, 2.0 * x))(a)


def with_signature(a: Any) -> Any:
    return np.vectorize(lambda row, k: (row * k).sum(), signature="(n),()->()")(a, 3.0)


def with_excluded(a: Any) -> Any:
    return np.vectorize(lambda x, p: p[0] + p[1] * x, excluded={1})(a, [1.0, 2.0])


def with_otypes(a: Any) -> Any:
    return np.vectorize(lambda x: x * 2, otypes=[np.float64])(a)


def by_options(a: Any) -> Any:
    @np.vectorize(otypes=[float])
    def f(x: Any) -> Any:
        return x**2

    return f(a)


def from_python(a: Any) -> Any:
    return np.frompyfunc(lambda x, y: x * y, 2, 1)(a, 3.0).astype(float)


CALLS = [decorated, inside, several, with_signature, with_excluded, with_otypes, by_options, from_python]


@pytest.mark.parametrize("f", CALLS)
def test_it_computes_as_numpys(f: Callable[[Any], Any]) -> None:
    agrees(f, A)


def branching(a: Any) -> Any:
    def f(x: Any) -> Any:
        if x > 0:
            return x * x
        return 3.0 * x

    return np.vectorize(f)(a)


def test_branches() -> None:
    agrees(branching, A)


def test_the_first_result_says_the_dtype() -> None:
    def f(a: Any) -> Any:
        return np.vectorize(lambda x: 1 if x > 0 else x)(a)

    for array in (np.array([2.0, -1.5]), np.array([-1.5, 2.0])):
        got = tn.lift(f)(tn.tensor(array, requires_grad=True))
        assert got.dtype == f(array).dtype
        same(got, f(array))


def test_no_elements() -> None:
    t = tn.tensor(np.zeros((0, 2)), requires_grad=True)
    with pytest.raises(ValueError, match="set otypes="):
        tn.lift(decorated)(t)
    assert tn.lift(with_otypes)(t).shape == (0, 2)
