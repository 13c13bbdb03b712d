"""Special functions that are no ufuncs, those that are given a characteristic value, and programs of special functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import tapenet as tn
from tapenet.testing import check_grads

X = np.array([0.3, 2.5, -7.0, 2 * np.pi + 0.01, 0.0])


@pytest.mark.parametrize("n", [1, 2, 7])
def test_diric(n: int) -> None:
    np.testing.assert_array_equal(tn.special.diric(tn.tensor(X), n).numpy(), scipy.special.diric(X, n))
    check_grads(lambda x: tn.special.diric(x, n), [X], order=2)


@pytest.mark.parametrize("name", ["comb", "perm"])
def test_numbers_of_choices(name: str) -> None:
    mine, theirs = getattr(tn.special, name), getattr(scipy.special, name)
    n, k = np.array([5.0, 3.2, 7.7, -1.0, 2.0]), np.array([2.0, 1.5, 3.0, 1.0, 3.0])
    np.testing.assert_array_equal(mine(tn.tensor(n), k).numpy(), theirs(n, k))
    check_grads(mine, [n, k], order=2)
    with pytest.raises(TypeError, match="leave exact=True out"):
        mine(5, 2, exact=True)


def test_factorial() -> None:
    n = np.array([3.0, 0.5, -1.5, 0.0, 7.25])
    np.testing.assert_array_equal(tn.special.factorial(tn.tensor(n)).numpy(), scipy.special.factorial(n))
    check_grads(tn.special.factorial, [n[n != 0]], order=2)  # below 0 it is 0


@pytest.mark.parametrize("name", ["jvp", "yvp", "ivp", "kvp"])
def test_scipys_functions_of_its_ufuncs_take_tensors(name: str) -> None:
    theirs = getattr(scipy.special, name)
    z = np.array([0.7, 2.5])
    np.testing.assert_array_equal(theirs(1.5, tn.tensor(z), 2).numpy(), theirs(1.5, z, 2))
    check_grads(lambda z: theirs(1.5, z, 2), [z], order=1)


def test_combinations_with_repetition() -> None:
    got = tn.special.comb(tn.tensor([5.0, 3.5]), 2.0, repetition=True)
    np.testing.assert_array_equal(got.numpy(), scipy.special.comb([5.0, 3.5], 2.0, repetition=True))


def test_lambertw_is_complex_and_takes_branches() -> None:
    z = np.array([-0.3, 0.3, 4.0])
    for k in (0, -1):
        for f in (tn.special.lambertw, scipy.special.lambertw):
            np.testing.assert_array_equal(f(tn.tensor(z), k).numpy(), scipy.special.lambertw(z, k))
    check_grads(lambda z: tn.special.lambertw(z).real, [z], order=2)
    check_grads(lambda z: abs(tn.special.lambertw(z, 1)) ** 2, [z * (1 + 2j)], order=1)


@pytest.mark.parametrize("name", ["pro_ang1", "obl_ang1", "pro_rad1", "pro_rad2", "obl_rad1", "obl_rad2"])
def test_given_their_characteristic_value_they_are_the_same(name: str) -> None:
    """In derivatives of both orders: the value counts as a function of c."""
    c, x = np.array([0.7, 2.5]), np.array([0.3, 0.6]) + (2 if "rad" in name else 0)
    value, plain = getattr(tn.special, f"{name[:3]}_cv"), getattr(tn.special, name)
    given = getattr(tn.special, f"{name}_cv")

    def loss(c: Any, x: Any) -> Any:
        y, dy = plain(1, 2, c, x)
        return (y * dy).sum()

    def same(c: Any, x: Any) -> Any:
        y, dy = given(1, 2, c, value(1, 2, c), x)
        return (y * dy).sum()

    for i in (0, 1):
        got, expected = tn.grad(same, i), tn.grad(loss, i)
        np.testing.assert_allclose(got(c, x).numpy(), expected(c, x).numpy(), rtol=1e-12)
        for j in (0, 1):
            second, wanted = (tn.grad(lambda *a, f=f: f(*a).sum(), j)(c, x).numpy() for f in (got, expected))
            np.testing.assert_allclose(second, wanted, rtol=1e-7)


def _hypergeometric(x: Any) -> Any:
    return tn.special.hyp2f1(x, 1.3, x + 1.5, -x) + tn.special.hyperu(x, 0.5, 1 + x)


def _elliptic(x: Any) -> Any:
    sn, _, dn, _ = tn.special.ellipj(3 * x, x / 2)
    return sn * dn + tn.special.elliprj(x, 1.0, 2.0, x + 1) + tn.special.ellipkinc(4 * x, x / 2)


def _wave(x: Any) -> Any:
    value, slope = tn.special.mathieu_cem(2, x, 40 * x)
    return value * slope + tn.special.pro_ang1(1, 2, x, x / 2)[0] + tn.special.eval_legendre(x, x)


@pytest.mark.parametrize("f", [_hypergeometric, _elliptic, _wave])
@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_compiled_forward_and_over_lanes(f: Callable[..., Any], backend: Any) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    x = np.array([0.3, 0.8])
    slope = tn.grad(lambda x: f(x).sum())
    expected = slope(x).numpy()
    np.testing.assert_allclose(tn.compile(slope, backend=backend)(x).numpy(), expected, rtol=1e-10)
    if backend == "numpy":
        np.testing.assert_allclose(tn.jvp(f, (x,), (np.ones(2),))[1].numpy(), expected, rtol=1e-10)
        np.testing.assert_allclose(tn.vmap(slope)(x[:, None]).numpy()[:, 0], expected, rtol=1e-10)
