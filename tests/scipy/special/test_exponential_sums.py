"""`tn.special.logsumexp`, `softmax` and `log_softmax` against SciPy's and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special

import tapenet as tn
from tapenet.testing import check_grads

A = np.random.default_rng(0).normal(size=(2, 3, 2))
B = np.random.default_rng(1).normal(size=(3, 2))


@pytest.mark.parametrize("options", [{}, {"axis": 1}, {"axis": (0, -1)}, {"axis": -1, "keepdims": True}])
def test_logsumexp(options: Any) -> None:
    for b in (None, B, 2.0):
        for return_sign in (False, True):
            weight = np.abs(b) if b is not None and not return_sign else b

            def first(a: Any, b: Any = None, s: bool = return_sign) -> Any:
                out = tn.special.logsumexp(a, b=b, return_sign=s, **options)
                return out[0] if s else out

            got = first(tn.tensor(A, requires_grad=True), weight)
            expected = scipy.special.logsumexp(A, b=weight, return_sign=return_sign, **options)
            np.testing.assert_array_equal(got.numpy(), expected[0] if return_sign else expected)
            check_grads(first, [A] if b is None else [A, np.asarray(weight)], order=1)
            if b is not B:
                np.testing.assert_allclose(tn.compile(first)(A, weight).numpy(), got.numpy(), rtol=1e-13)


@pytest.mark.parametrize("options", [{"axis": (0, -1)}, {"axis": -1, "keepdims": True}])
def test_logsumexp_to_second_order(options: Any) -> None:
    a = A[:, :2, :2]
    check_grads(lambda a, b: tn.special.logsumexp(a, b=b, **options), [a, np.abs(B[:2, :2])], order=2)
    check_grads(lambda a: tn.special.logsumexp(a * (1 + 0.5j), **options), [a], order=2)


def test_logsumexp_of_nothing() -> None:
    """exp(-inf) adds nothing to a sum, and a sum of these alone has gradient 0."""
    a = np.array([[-np.inf, 1.0], [-np.inf, -np.inf]])
    np.testing.assert_array_equal(tn.special.logsumexp(tn.tensor(a), axis=1).numpy(), [1.0, -np.inf])
    got = tn.grad(lambda x: tn.special.logsumexp(x, axis=1).sum())(a)
    np.testing.assert_array_equal(got.numpy(), [[0.0, 1.0], [0.0, 0.0]])
    with pytest.raises(TypeError, match="leave it out"):
        tn.special.logsumexp(tn.tensor(a + 1j), return_sign=True)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("axis", [None, 1, (0, 2)])
def test_softmax(name: str, axis: Any) -> None:
    mine, theirs = getattr(tn.special, name), getattr(scipy.special, name)
    np.testing.assert_array_equal(mine(tn.tensor(A), axis).numpy(), theirs(A, axis))
    assert mine(tn.tensor(A.astype(np.float32)), axis).dtype == np.float32
    check_grads(lambda x: mine(x, axis=axis), [A], order=2)
    np.testing.assert_allclose(tn.compile(mine)(A).numpy(), theirs(A), rtol=1e-13)
    np.testing.assert_allclose(tn.vmap(mine)(A).numpy(), np.stack([theirs(a) for a in A]), rtol=1e-13)


def test_log_softmax_of_infinities() -> None:
    """Beside inf all others have the probability 0, compiled too."""
    x = np.array([[np.inf, 0.0, -np.inf], [-np.inf, -np.inf, -np.inf], [np.nan, 0.0, 1.0]])
    with np.errstate(invalid="ignore"):
        expected = scipy.special.log_softmax(x, 1)
        np.testing.assert_array_equal(tn.compile(tn.special.log_softmax, from_first=True)(x, 1).numpy(), expected)
        np.testing.assert_array_equal(tn.vmap(tn.special.log_softmax)(x).numpy(), expected)
