"""Complex numbers in compiled loops: moved by native code, computed and transformed by NumPy's inner loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.elementwise.elementary import safe_mul
from tapenet.program.native import entry
from tests.ops.test_native_functions import calls_python
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(3, 4, 6)) + 1j * RNG.normal(size=(3, 4, 6))
Z[0, 0, :4] = np.nan, np.inf, 1j * np.inf, -0.0
BODIES: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda z: (z + z.T[:1].T) * z - z / (z[0] + 3.0),
    "functions": lambda z: np.abs(np.exp(z) * np.sqrt(z)) + np.tanh(z * 0.1),
    "parts and moves": lambda z: np.where(np.isnan(z), 0, np.concatenate([z[1:], z[:1]]))[::-1, [2, 0, 1]],
    "conjugates and parts": lambda z: np.real(z.conj() * 2j) + np.imag(z.T[:2].T)[..., :1] * 1.5 + z.real * z.imag + 1j,
    "whole numbers": lambda z: z * np.arange(6),
    "sums": lambda z: np.sum(z, axis=0) + np.matmul(z.T, z)[0, 0] + z[1:].prod() + z.cumsum(0)[0] + z.cumsum(1)[1],
    "running products": lambda z: z.cumprod(1)[1] + z[::-1].cumprod(0) + np.cumprod(z[:, ::2], 1)[:, :1],
    "products that are 0 where a factor is": lambda z: (
        safe_mul(z.T[:, :, None], z[0]) + safe_mul(z[0, 3], z[:, ::2])[0, 1]
    ),
    "transforms": lambda z: np.fft.ifft(np.fft.fft(z) * 2) + np.fft.rfft(np.abs(z))[:, :1],
}


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize("name", BODIES)
@backends
def test_loops_with_complex_numbers_stay_native(compiled: Compile, name: str, dtype: type) -> None:
    def f(zs: Any) -> Any:
        return tn.scan(lambda c, z: (c * 0.5 + z[1, 5], BODIES[name](z)), dtype(1j), zs)

    step, zs = compiled(f), Z.astype(dtype)
    with np.errstate(all="ignore"):
        for given in (zs, zs, zs[::-1], zs):
            for found, right in zip(step(given), f(given), strict=True):
                assert found.dtype == right.dtype
                np.testing.assert_allclose(found, right, rtol=2e-6 if dtype is np.complex64 else 1e-14)
    assert not calls_python(step)


TRANSFORMS: dict[str, Callable[[Any], Any]] = {
    "complex": lambda x: np.fft.ifft(np.fft.fft(x + 0j, 7, axis=0) * 2j, 4, 0, "ortho").real,
    "real": lambda x: np.fft.irfft(np.fft.rfft(x, norm="forward") * np.arange(4, dtype=x.dtype), 6),
    "odd": lambda x: np.fft.irfft(np.fft.rfft(x, 5, norm="ortho"), 6, norm="ortho"),
    "several axes": lambda x: np.imag(np.fft.fft2(x)) + np.fft.irfft2(np.fft.rfft2(x)),
    "conjugates": lambda x: (np.conj(x * (2 - 1j)) * (1j * x)).real,
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", TRANSFORMS)
@backends
def test_transforms_and_parts_are_numpys_without_python(compiled: Compile, name: str, dtype: type) -> None:
    def f(xs: Any) -> Any:
        carry = tn.scan(lambda c, x: (c * 0.5 + TRANSFORMS[name](x + c), None), np.zeros((4, 6), dtype), xs)[0]
        return (carry * carry).sum()

    xs = RNG.normal(size=(3, 4, 6)).astype(dtype)
    near = {"rtol": 2e-4, "atol": 1e-4} if dtype is np.float32 else {"rtol": 1e-11, "atol": 1e-12}
    for whole in (f, tn.grad(f)):
        step = compiled(whole)
        for given in (xs, xs, xs[::-1]):
            found, right = step(given), whole(given)
            assert found.dtype == right.dtype
            np.testing.assert_allclose(found, right, **near)
        assert not entry.usable() or not calls_python(step)


@backends
def test_running_products_have_gradients_without_python(compiled: Compile) -> None:
    """With zeros among the factors, and what is infinite behind them."""
    zs = Z[1:].copy()
    zs[0, 1, 2:4] = 0, np.inf
    whole = tn.grad(lambda zs: tn.scan(lambda c, z: (c + np.cumprod(z, 1).sum().real, None), np.float64(0), zs)[0])
    step = compiled(whole)
    with np.errstate(all="ignore"):
        for _ in range(2):
            np.testing.assert_allclose(step(zs), whole(zs), rtol=1e-12)
    assert not calls_python(step)


def test_identities_of_real_numbers_are_none_of_complex_ones() -> None:
    """1 times what is infinite is nan there, and a sum with 0 has no sign to keep."""
    z = np.array([complex(np.inf, 0), complex(-0.0, -0.0), 1 + 2j])
    step = tn.compile(lambda z: (z * 1, z + 0j, z - 0.0, z * (-1 + 0j)))
    with np.errstate(all="ignore"):
        for _ in range(2):
            for found, right in zip(step(z), (z * 1, z + 0j, z - 0.0, z * (-1 + 0j)), strict=True):
                np.testing.assert_array_equal(found.numpy().view(float), right.view(float))
                assert (np.signbit(found.numpy().view(float)) == np.signbit(right.view(float))).all()


SUMMARIES: dict[str, Callable[[Any], Any]] = {
    "sums": lambda z: (z.sum(0), z.sum((0, 2)), z.mean(0)),
    "products": lambda z: (z.prod(0), z.prod((0, 2))),
    "norms": lambda z: (np.linalg.vector_norm(z, axis=0), np.linalg.norm(z[0]), np.linalg.norm(z, axis=(0, 2))),
}


@pytest.mark.parametrize("name", SUMMARIES)
@backends
def test_over_an_axis_of_length_1_complex_numbers_begin_with_0_or_1(compiled: Compile, name: str) -> None:
    """So -0.0 becomes 0.0, and an infinite part makes a product nan; the norm of inf + nan i is nan, its absolute value not."""
    z = np.array([complex(np.inf, 0), complex(-0.0, -0.0), complex(np.inf, np.nan), 1 + 2j]).reshape(1, 4, 1)
    step, f = compiled(SUMMARIES[name]), SUMMARIES[name]
    with np.errstate(all="ignore"):
        for _ in range(2):
            for found, right in zip(step(z), f(z), strict=True):
                found, right = found.numpy().view(float), np.asarray(right).view(float)
                np.testing.assert_array_equal(found, right)
                assert (np.signbit(found) == np.signbit(right))[~np.isnan(right)].all()


def test_an_op_made_of_transforms_has_derivatives() -> None:
    op = tn.op(lambda x: np.abs(np.fft.rfft(x * x)) ** 2 + np.imag(np.fft.fft(x)).sum(), name="spectrum")
    x = RNG.normal(size=5)
    plain = lambda x: (tn.abs(tn.fft.rfft(x * x)) ** 2 + tn.imag(tn.fft.fft(x)).sum()).sum()
    expected = tn.grad(plain)(x).numpy()
    for grad in (tn.grad(lambda x: op(x).sum()), tn.compile(tn.grad(lambda x: op(x).sum()))):
        np.testing.assert_allclose(grad(x).numpy(), expected, rtol=1e-9)


@pytest.mark.parametrize("axis", [0, -1])
@backends
def test_an_infinite_part_leaves_the_other_as_it_is(compiled: Compile, axis: int) -> None:
    """In gradients of transforms of real numbers, whose coefficients are weighed."""
    slopes = np.ones((4, 4)) * np.where(np.arange(4) == 1, np.inf, 1)
    slopes = slopes if axis else slopes.T
    there = lambda x: tn.vjp(lambda x: np.fft.rfft(x, 6, axis).real, x)[1](slopes)
    back = lambda z: tn.vjp(lambda z: np.fft.irfft(z, 4, axis), z)[1](slopes)
    x = RNG.normal(size=(4, 4))
    for f, given in ((there, x), (back, x + 1j)):
        step, expected = compiled(f), f(given).numpy()
        assert np.isinf(expected.view(float)).any()
        for _ in range(2):
            with np.errstate(invalid="ignore"):
                np.testing.assert_array_equal(step(given).numpy(), expected)


@backends
def test_complex_arrays_of_the_users_are_read_at_each_call(compiled: Compile) -> None:
    """One program serves for all that is in them."""
    x, z = np.arange(3.0), np.ones(3, complex)
    step = compiled(lambda x: np.concatenate([x * z, z]))
    for i in range(3):
        z[1] = i * 1j
        np.testing.assert_array_equal(step(x).numpy(), np.concatenate([x * z, z]))
    assert len(step.variants) == 1


def test_signs_of_zeros_and_what_is_infinite_stay_in_complex_numbers() -> None:
    """On the cut of a root they decide; and 1 times what is infinite is no choice."""
    sides = np.array([complex(-1, 0.0), complex(-1, -0.0)])
    sides.flags.writeable = False
    root = lambda x: np.sqrt(np.where(x > 0, sides, 1j * x))
    masked = lambda z: safe_mul(z, (z.real > 0).astype(complex))
    for f, given in ((root, np.ones(2)), (masked, np.array([complex(np.inf, 0), -1, 2j]))):
        step = tn.compile(f)
        for _ in range(2):
            with np.errstate(all="ignore"):
                expected = f(tn.tensor(given)).numpy()
                np.testing.assert_array_equal(step(given).numpy().view(float), expected.view(float))


def test_powers_of_complex_numbers_are_those_of_numpy() -> None:
    """By one number, for which it takes roots and reciprocals, and by an array."""
    z = np.array([1 + 2j, complex(np.inf, 0), complex(-1, -0.0), complex(-np.inf, 1)])
    for exponent in (-1, 0, 0.5, 1, 2, 3, 1.5):
        for power in (exponent, np.full(4, exponent)):
            step = tn.compile(lambda z, power=power: z**power)
            for _ in range(2):
                with np.errstate(all="ignore"):
                    expected = (tn.tensor(z) ** power).numpy()
                    np.testing.assert_allclose(step(z).numpy().view(float), expected.view(float), rtol=1e-14)
