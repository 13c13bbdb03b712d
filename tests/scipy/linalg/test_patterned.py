"""Matrices that are made of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import tapenet as tn
from tests.scipy.linalg.cases import Case, has_derivatives, has_scipys_values, one_each, runs_in_every_way

T: Any = tn.scipy.linalg
R = np.random.default_rng(0)
V, W = R.normal(size=4), R.normal(size=6) + 1j * R.normal(size=6)
STACK = R.normal(size=(2, 4))
PAIRS = np.array([1 + 2j, 0.5, 1 - 2j, 3 - 1j, 3 + 1j])


def case(name: str, *args: Any, **options: Any) -> Case:
    theirs = getattr(scipy.linalg, name)
    return Case(lambda *a: getattr(T, name)(*a, **options), lambda *a: theirs(*a, **options), args)


def real_form(w: Any, v: Any) -> Case:
    """Of conjugate pairs; a difference of one of two is refused."""

    def of(f: Any) -> Any:
        def call(w: Any, v: Any) -> Any:
            paired = np.where(np.array([0, 0, 1, 0, 1]), np.conj(w)[np.array([0, 1, 0, 3, 3])], w)
            return f(np.where(np.arange(5) == 1, paired.real, paired), v)

        return call

    return Case(of(T.cdf2rdf), of(scipy.linalg.cdf2rdf), (w, v))


CASES = {
    "toeplitz": case("toeplitz", W),
    "toeplitz with a row": case("toeplitz", V, W),
    "toeplitz of a stack": case("toeplitz", STACK, V),
    "hankel": case("hankel", W),
    "hankel with a row": case("hankel", V, W),
    "circulant": case("circulant", STACK),
    "leslie": case("leslie", W, V[0] + R.normal(size=5)),
    **{f"convolution_matrix {mode} {n}": case("convolution_matrix", STACK, n=n, mode=mode)
       for mode in ("full", "same", "valid") for n in (3, 7)},
    "diagsvd": case("diagsvd", V, M=4, N=6),
    "diagsvd tall": case("diagsvd", V, M=5, N=4),
    "companion": case("companion", STACK),
    **{f"fiedler_companion {n}": case("fiedler_companion", W[:n]) for n in range(2, 7)},
    "fiedler": case("fiedler", STACK),
    "fiedler, complex": case("fiedler", STACK + 1j * STACK[::-1] ** 2),
    "block_diag": case("block_diag", STACK, V, W.reshape(3, 2)),
    "block_diag of a stack": case("block_diag", STACK.reshape(2, 2, 2), W.reshape(3, 2)),
    "cdf2rdf": real_form(PAIRS, R.normal(size=(5, 5)) + 1j * R.normal(size=(5, 5))),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name: str) -> None:
    has_scipys_values(CASES[name])
    has_derivatives(CASES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", one_each(CASES))
def test_every_way_to_run(name: str) -> None:
    runs_in_every_way(CASES[name])
