"""`np.random` inside of lifted functions: NumPy's numbers, drawn anew by programs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tests.lifting.ways import agrees, same

A = np.random.default_rng(0).uniform(0.5, 2, size=(2, 3))


def old(a: Any) -> Any:
    np.random.seed(3)
    return a * np.random.rand(2, 3) + np.random.normal(size=3) + np.random.uniform(-1, 1)


def state(a: Any) -> Any:
    r = np.random.RandomState(2)
    x = r.uniform(a, a + 2) + r.exponential(a * a)
    x[0] = r.randn(3)
    return x


def moved(a: Any) -> Any:
    r = np.random.default_rng(4)
    x = r.normal(a, 0.5) + r.laplace(0.0, a) + r.logistic(a, a) + r.gumbel(scale=a) + r.rayleigh(a)
    return x + r.lognormal(a, 0.1) + r.normal(a[0], 1.0, size=(2, 3))


def order(a: Any) -> Any:
    r = np.random.default_rng(4)
    x = r.random((2, 3)) * a
    r.shuffle(x)
    r.shuffle(x, axis=1)
    return (
        x
        + r.permutation(a)
        + a[0, r.permutation(3)]
        + r.choice(a[0])
        + r.choice(a, 2, axis=1).sum()
        + a[1, r.integers(3)]
    )


def made(a: Any) -> Any:
    r = np.random.Generator(np.random.PCG64(5))
    return a + r.standard_normal(3) if isinstance(r, np.random.Generator) else a


@pytest.mark.parametrize("f", [old, state, moved, order])
def test_the_numbers_are_numpys(f: Callable[[Any], Any]) -> None:
    agrees(f, A)


def test_a_generator_made_inside_of_bits() -> None:
    """It cannot be told whether its bits are another's: then a program must not begin them anew."""
    agrees(made, A, compiled=False)
    with pytest.raises(tn.CaptureError, match=r"made of a PCG64 .* np\.random\.default_rng\(seed\)"):
        tn.compile(tn.lift(made))(A)


OUTSIDE = np.random.default_rng(0)


def noise(a: Any) -> Any:
    return a + OUTSIDE.normal(size=3)


def test_a_generator_from_outside_goes_on() -> None:
    expected = np.random.default_rng(0).normal(size=(3, 3))
    for step in (tn.lift(noise), tn.compile(tn.lift(noise), backend="numpy")):
        OUTSIDE.bit_generator.state = np.random.default_rng(0).bit_generator.state
        for row in expected:
            same(step(tn.tensor(np.ones(3), requires_grad=True)), 1 + row)
    rng = np.random.default_rng(0)
    given = tn.lift(lambda rng, a: a * rng.normal(size=3))
    for row in expected:
        same(given(rng, tn.tensor(np.ones(3), requires_grad=True)), row)


def test_what_has_no_derivative_says_so() -> None:
    with pytest.raises(TypeError, match="no derivative by what a random number is drawn with"):
        tn.lift(lambda a: np.random.default_rng(0).gamma(a))(tn.tensor(A, requires_grad=True))


def test_monte_carlo_fits_its_drift() -> None:
    """A path is a function of its drift, once its noise is given by a seed."""

    def end(drift: Any) -> Any:
        rng = np.random.default_rng(1)
        x = np.zeros(50)
        for _ in range(4):
            x += drift + 0.1 * rng.standard_normal(50)
        return (x.mean() - 2.0) ** 2

    drift = 0.0
    for _ in range(20):
        drift = drift - 0.03 * tn.grad(tn.lift(end))(drift).item()
    assert end(drift) < 1e-9
