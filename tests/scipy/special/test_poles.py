"""The derivatives of gamma functions where factors have poles, and those of the zeta function."""

from __future__ import annotations

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads


def test_where_a_beta_function_is_0() -> None:
    check_grads(tn.special.beta, [np.array([-1.5, 0.4]), np.array([0.5, 1.3])], order=2)


def test_binomials_of_more_than_there_are() -> None:
    n = np.array([3.0, 4.0, 2.5])
    check_grads(lambda k: tn.special.binom(n, k), [np.array([5.0, 2.0, -1.0])], order=2)
    check_grads(lambda n: tn.special.binom(n, 5.0), [n], order=2)


def test_factorials_that_pass_0() -> None:
    """Those of a negative whole number, of whole and of broken length."""
    m = np.array([2.0, 1.5, 2.3])
    check_grads(lambda x: tn.special.poch(x, m), [np.array([-3.0, -1.0, 0.4])], order=2)


# mpmath's: diff(lambda x: zeta(x, q), x, n)
@pytest.mark.parametrize(
    ("x", "q", "first", "second"),
    [
        (1.001, 1.0, -999999.927194066, 1999999999.99),
        (2.5, 0.3, 23.9442381790294, 29.9997563638),
        (30.0, 2.0, -6.45548953880003e-10, 4.47462601647e-10),
        (3.0, 1000000.0, -7.15776218674079e-12, 1.02592016702e-10),
    ],
)
def test_zeta_by_its_order(x: float, q: float, first: float, second: float) -> None:
    slope = tn.grad(tn.special.zeta)
    np.testing.assert_allclose(slope(x, q).item(), first, rtol=1e-10)
    np.testing.assert_allclose(tn.grad(slope)(x, q).item(), second, rtol=1e-7)


def test_zeta_of_riemann() -> None:
    check_grads(tn.special.zeta, [np.array([-3.5, 0.5, 4.0])], order=2)
    check_grads(tn.special.zeta, [np.array([2.0, 3.0]), np.array([0.5, 2.0])], order=2)
    z = np.array([1 + 2j, -3.3 + 0.1j])
    check_grads(tn.special.digamma, [z], order=2)
