"""Bessel functions in programs, over lanes and at special points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.special import bessel_orders
from tapenet.testing import check_grads

V, Z = np.array([0.25, 1.0, 3.5]), np.array([0.5, 2.0, 20.0])
C = np.array([1 + 2j, -2 + 0.5j, 3 - 1j])


def total(v: Any, z: Any) -> Any:
    """A real number of functions of all kinds, scaled ones too."""
    s = tn.special
    real = s.jv(v, z) + s.kve(v, z) + s.ive(v, z) + s.struve(v, z)
    return (real + np.real(s.hankel1e(v, z) * (1 + 2j))).sum()


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_compiled(backend: Any) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    slopes = tn.grad(total, (0, 1))
    compiled = tn.compile(slopes, backend=backend)
    for _ in range(2):
        for got, expected in zip(compiled(V, Z), slopes(V, Z), strict=True):
            np.testing.assert_allclose(got.numpy(), expected.numpy(), rtol=1e-12)


def test_forward_mode_and_lanes() -> None:
    by_order, by_argument = tn.grad(total, (0, 1))(V, Z)
    _, along = tn.jvp(total, (V, Z), (np.ones(3), 2 * np.ones(3)))
    np.testing.assert_allclose(along.item(), by_order.numpy().sum() + 2 * by_argument.numpy().sum(), rtol=1e-12)
    lanes = tn.vmap(tn.grad(total, (0, 1)))(V, Z)
    np.testing.assert_allclose(lanes[0].numpy(), by_order.numpy(), rtol=1e-12)
    np.testing.assert_allclose(lanes[1].numpy(), by_argument.numpy(), rtol=1e-12)


@pytest.mark.slow
def test_hessian() -> None:
    check_grads(total, [V, Z], order=3)


@pytest.mark.parametrize("name", ["jve", "yve", "ive", "kve", "hankel1e", "hankel2e"])
def test_scaled_functions_of_complex_numbers(name: str) -> None:
    """The factors that are no complex functions, such as exp(-|Im z|), have their real derivatives."""
    check_grads(getattr(tn.special, name), [V, C], order=2)


def test_scaled_airy_functions_of_complex_numbers() -> None:
    for i in range(4):
        check_grads(lambda z, i=i: tn.special.airye(z)[i], [C], order=2)


def test_a_scaled_airy_function_that_is_not_there_leaves_the_others() -> None:
    check_grads(lambda x: tn.special.airye(x)[2], [np.array([-1.0, 2.0])], order=2)


def test_at_order_zero() -> None:
    """∂J/∂v = π/2 Y, ∂Y/∂v = -π/2 J, ∂I/∂v = -K and ∂K/∂v = 0, although K is 1e-40 of I."""
    x = np.array([0.1, 3.0, 50.0, 300.0])
    s = tn.special
    for of, value, rtol in [
        (s.jv, np.pi / 2 * s.y0(x), 1e-11),
        (s.yv, -np.pi / 2 * s.j0(x), 1e-11),
        (s.iv, -s.k0(x), 1e-11),
        (s.kv, 0 * x, 0),
    ]:
        found = tn.grad(lambda v, of=of: of(v, x).sum())(np.zeros(4))
        np.testing.assert_allclose(found.numpy(), value, rtol=rtol)


def test_at_zero() -> None:
    """A power of z with a positive exponent has derivative 0 by it; one with a negative exponent none."""
    slope = tn.vmap(tn.grad(lambda v: tn.special.jv(v, 0.0)))
    np.testing.assert_array_equal(slope(np.array([0.5, 2.0])).numpy(), 0)
    assert np.isnan(tn.grad(lambda v: tn.special.jv(v, 0.0))(-0.5).item())


def test_derivatives_of_third_order() -> None:
    """∂³K/∂v³ at v = 1/2, by the integral of t³ sinh(t v) exp(-z cosh t)."""
    t = np.linspace(0, 8, 4001)
    for z in (0.1, 1.0, 30.0):
        expected = (t**3 * np.sinh(t / 2) * np.exp(-z * np.cosh(t))).sum() * 0.002
        found = bessel_orders.derivative("kv", np.array(0.5), np.array(z), bessel_orders.OF_K, 3, 0)
        np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_floats_of_32_bits() -> None:
    v, z = tn.tensor(V.astype("f"), requires_grad=True), tn.tensor(Z.astype("f"), requires_grad=True)
    total(v, z).backward()
    assert v.grad.dtype == z.grad.dtype == np.float32
    expected = tn.grad(total, (0, 1))(V, Z)
    np.testing.assert_allclose(v.grad.numpy(), expected[0].numpy(), rtol=1e-4)
    np.testing.assert_allclose(z.grad.numpy(), expected[1].numpy(), rtol=1e-4)


@pytest.mark.parametrize("name", ["spherical_jn", "spherical_yn", "spherical_in", "spherical_kn"])
def test_spherical_functions_of_negative_numbers(name: str) -> None:
    """SciPy has them by reflection, which is in functions around its ufuncs."""
    import scipy.special

    ours, theirs = getattr(tn.special, name), getattr(scipy.special, name)
    n, z = np.arange(5)[:, None], np.array([-30.0, -3.0, -0.5, 0.5, 4.0])
    np.testing.assert_array_equal(ours(n, z), theirs(n, z))
    np.testing.assert_array_equal(ours(n, z, True), theirs(n, z, True))
    np.testing.assert_allclose(tn.compile(ours)(n, z), theirs(n, z), rtol=1e-12)
    np.testing.assert_allclose(
        tn.grad(lambda z: ours(n, z).sum())(z).numpy(), theirs(n, z, True).sum(axis=0), rtol=1e-10
    )
