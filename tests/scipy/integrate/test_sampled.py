"""Integrals of samples: SciPy's values, and derivatives by samples and places."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate

import tapenet as tn

RULES = ("trapezoid", "simpson", "cumulative_trapezoid", "cumulative_simpson")
ours = tn.scipy.integrate


def grows(y: np.ndarray) -> tn.Tensor:
    return tn.tensor(y, requires_grad=True)


def samples(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    steps = rng.uniform(0.1, 1, (2, n))
    return rng.normal(size=(2, n)), steps[0].cumsum(), steps.cumsum(1)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 9])
def test_values_are_those_of_scipy(rule: str, n: int) -> None:
    y, x, each = samples(n)
    for options in ({}, {"dx": 0.3}, {"x": x}, {"x": each}):
        found, expected = getattr(ours, rule)(tn.tensor(y), **options), getattr(integrate, rule)(y, **options)
        assert isinstance(found, tn.Tensor)
        np.testing.assert_array_equal(found, expected, strict=False)
        found = getattr(ours, rule)(tn.tensor(y, requires_grad=True), **options).detach()
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)
        turned = {"x": each.T} if options.get("x") is each else options
        np.testing.assert_allclose(
            getattr(ours, rule)(y.T, axis=0, **turned),
            getattr(integrate, rule)(y.T, axis=0, **turned),
            rtol=1e-13,
            atol=1e-14,
        )


def test_what_sums_begin_with() -> None:
    y, x, _ = samples(5)
    for initial in (2.0, np.array([[1.0], [2.0]])):
        expected = integrate.cumulative_simpson(y, x=x, initial=initial)
        np.testing.assert_allclose(
            ours.cumulative_simpson(grows(y), x=x, initial=initial).detach(), expected, rtol=1e-13
        )
    expected = integrate.cumulative_trapezoid(y, x, initial=0)
    np.testing.assert_allclose(ours.cumulative_trapezoid(grows(y), x, initial=0).detach(), expected, rtol=1e-13)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [4, pytest.param(5, marks=pytest.mark.slow)])
def test_derivatives_by_samples_and_places(rule: str, n: int) -> None:
    y, x, _ = samples(n)
    tn.testing.check_grads(lambda y, x: getattr(ours, rule)(y, x=x), [y, x], order=2)
    tn.testing.check_grads(lambda y, dx: getattr(ours, rule)(y, dx=dx), [y, np.array(0.3)], order=2)
    compiled = tn.compile(tn.grad(lambda y: (getattr(ours, rule)(y, x=x) ** 2).sum()), backend="numpy")
    np.testing.assert_allclose(compiled(y), tn.grad(lambda y: (getattr(ours, rule)(y, x=x) ** 2).sum())(y), rtol=1e-13)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("n", [4, 5])
def test_steps_of_no_length(rule: str, n: int) -> None:
    y = samples(n)[0]
    f = lambda y, dx: getattr(ours, rule)(y, dx=dx)
    np.testing.assert_array_equal(f(grows(y), 0.0).detach(), getattr(integrate, rule)(y, dx=0.0))
    tn.testing.check_grads(f, [y, np.array(0.0)])


def test_samples_at_one_place_have_finite_derivatives() -> None:
    y, x = np.array([1.0, 2.0, 4.0, 3.0]), np.array([0.0, 1.0, 1.0, 2.0])
    np.testing.assert_allclose(ours.simpson(grows(y), x).detach(), integrate.simpson(y, x=x), rtol=1e-13)
    assert np.isfinite(tn.grad(ours.simpson)(y, x)).all()


def test_romberg_and_gauss_and_newton_cotes() -> None:
    for n in (2, 3, 5, 9, 17):
        y = samples(n)[0]
        np.testing.assert_allclose(ours.romb(grows(y), dx=0.2).detach(), integrate.romb(y, dx=0.2), rtol=1e-13)
    tn.testing.check_grads(lambda y, dx: ours.romb(y, dx), [samples(5)[0], np.array(0.2)], order=2)
    value, nothing = ours.fixed_quad(lambda x, k: np.exp(-k * x), 0.0, 2.0, (0.7,), 6)
    assert nothing is None
    assert value.item() == integrate.fixed_quad(lambda x, k: np.exp(-k * x), 0.0, 2.0, (0.7,), 6)[0]
    f = lambda a, b, k: ours.fixed_quad(lambda x: np.exp(-k * x), a, b)[0]
    tn.testing.check_grads(f, [np.array(0.1), np.array(2.0), np.array(0.7)], order=2)
    points = np.array([0.0, 1.0, 1.5, 3.0])
    for rn, equal in ((4, 0), (points, 0), (points, 1)):
        np.testing.assert_allclose(ours.newton_cotes(rn, equal)[0], integrate.newton_cotes(rn, equal)[0], rtol=1e-13)
    inner = lambda x: ours.newton_cotes(tn.concatenate([np.zeros(1), x, np.full(1, 3.0)]))[0]
    np.testing.assert_allclose(
        inner(tn.tensor(points[1:3], requires_grad=True)).detach(), integrate.newton_cotes(points)[0], rtol=1e-12
    )
    tn.testing.check_grads(inner, [points[1:3]], order=2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ours.simpson(grows(np.ones((2, 3))), np.ones(4)), "length of x along axis"),
        (lambda: ours.simpson(grows(np.ones((2, 3))), np.ones((1, 2, 3))), "shape of x must be 1-D"),
        (lambda: ours.cumulative_simpson(grows(np.ones(3)), axis=2), r"`axis=2` is not valid for `y` with `y.ndim=1`"),
        (lambda: ours.cumulative_simpson(grows(np.ones(3)), x=np.array([0.0, 1.0, 1.0])), "strictly increasing"),
        (lambda: ours.cumulative_simpson(np.ones(3), x=np.array([0.0, 1.0, 1.0])), "strictly increasing"),
        (lambda: ours.cumulative_trapezoid(grows(np.ones(3)), initial=1), "`initial` must be"),
        (lambda: ours.romb(grows(np.ones(4))), "one plus a non-negative power of 2"),
        (lambda: ours.fixed_quad(np.exp, 0.0, np.inf), "finite limits"),
    ],
)
def test_errors(call, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call()
