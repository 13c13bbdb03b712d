"""`tn.optimize.least_squares` and `curve_fit`: beside SciPy's, and the derivatives of what they find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize, sparse

import tapenet as tn
from tapenet.optimize import functions
from tapenet.testing import check_grads

SLOW = pytest.mark.slow
T = np.linspace(0, 4, 9)
Y = 2.5 * np.exp(-1.3 * T) + 0.05 * np.cos(5 * T)


def decay(x: Any, a: Any, b: Any) -> Any:
    return a * np.exp(-b * x)


def residuals(p: Any, y: Any) -> Any:
    return decay(T, p[0], p[1]) - y


@pytest.mark.parametrize(
    "loss", ["cauchy", *(pytest.param(n, marks=SLOW) for n in ("linear", "soft_l1", "huber", "arctan"))]
)
def test_values_and_derivatives_with_each_loss(loss: str) -> None:
    options: Any = {"loss": loss, "f_scale": 0.03, "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-13}

    def found(y: Any) -> Any:
        return tn.optimize.least_squares(residuals, np.array([2.0, 1.0]), args=(y,), **options)

    expected = optimize.least_squares(residuals, np.array([2.0, 1.0]), args=(Y,), **options)
    np.testing.assert_allclose(found(Y).x.numpy(), expected.x, rtol=1e-5)
    np.testing.assert_allclose(found(Y).cost.numpy(), expected.cost, rtol=1e-6)
    check_grads(lambda y: found(y).x, [Y], order=1)


def test_a_loss_of_ones_own_and_bounds() -> None:
    def loss(z: Any) -> Any:
        return tn.stack([np.log1p(z), 1 / (1 + z), -1 / (1 + z) ** 2])

    def found(y: Any, high: Any) -> Any:
        return tn.optimize.least_squares(
            residuals, np.array([2.0, 1.0]), args=(y,), loss=loss, bounds=(0, tn.stack([5.0, high])), gtol=1e-13
        ).x

    expected = optimize.least_squares(residuals, [2.0, 1.0], args=(Y,), loss="cauchy", bounds=(0, [5, 1.1]), gtol=1e-13)
    np.testing.assert_allclose(found(Y, 1.1).numpy(), expected.x, rtol=1e-6)
    by_y, by_high = tn.jacobian(found, (0, 1))(Y, 1.1)
    np.testing.assert_allclose(by_y[1].numpy(), 0, atol=1e-12)
    assert by_high[1].numpy() == 1


def test_a_sparse_jacobian_is_found() -> None:
    def chain(x: Any) -> Any:
        return tn.concatenate([10 * (x[1:] - x[:-1] ** 2), x - 1])

    found = tn.optimize.least_squares(chain, np.full(80, 0.5))
    assert sparse.issparse(found.jac)
    assert found.jac.nnz == 79 * 2 + 80
    np.testing.assert_allclose(found.x.numpy(), 1, atol=1e-6)
    assert not sparse.issparse(tn.optimize.least_squares(chain, np.full(80, 0.5), tr_solver="exact").jac)


def test_parameters_and_arguments_by_name() -> None:
    def off(p: Any, *, y: Any) -> Any:
        return {"fit": decay(T, p["a"], p["b"]) - y, "prior": 0.0 * p["a"]}

    found = tn.optimize.least_squares(off, {"a": 1.0, "b": 1.0}, kwargs={"y": Y}, bounds={"b": (0.0, 2.0)})
    plain = tn.optimize.least_squares(residuals, [1.0, 1.0], args=(Y,))
    np.testing.assert_allclose([found.x["a"].item(), found.x["b"].item()], plain.x.numpy(), rtol=1e-9)
    assert found.fun.shape == (10,)


@pytest.mark.parametrize(
    "sigma", [None, pytest.param(0.1 + 0.02 * T, marks=SLOW), pytest.param(np.diag(0.1 + 0.02 * T) + 0.01, marks=SLOW)]
)
def test_a_curve_and_its_covariance_are_scipys(sigma: Any) -> None:
    robust = {"method": "trf", "loss": "cauchy", "f_scale": 0.3}
    for options in ({}, {"absolute_sigma": True}, {"bounds": ([0.0, 0.0], [3.0, 3.0])}, robust):
        settings: Any = {"sigma": sigma, "xtol": 1e-14, "ftol": 1e-14, **options}
        expected = optimize.curve_fit(decay, T, Y, **settings)
        found = tn.optimize.curve_fit(decay, T, Y, **settings)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a.numpy(), b, rtol=2e-5)
        y = tn.tensor(Y, requires_grad=True)  # then the covariance is computed once more
        np.testing.assert_allclose(tn.optimize.curve_fit(decay, T, y, **settings)[1].detach(), found[1], rtol=1e-9)


def test_derivatives_of_the_covariance_by_hand() -> None:
    """Of a straight line through the origin: the variance is the sum of squared residuals over (n - 1) Σ x²."""
    x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.5, 2.9])
    found = tn.grad(lambda y: tn.optimize.curve_fit(lambda x, a: a * x, x, y)[1].sum())(y)
    off = y - (x @ y) / (x @ x) * x
    np.testing.assert_allclose(found.numpy(), 2 * off / (2 * x @ x), rtol=1e-9)


@pytest.mark.slow
def test_derivatives_of_a_curve_and_of_its_covariance() -> None:
    sigma = 0.1 + 0.02 * T

    def found(x: Any, y: Any, sigma: Any) -> Any:
        popt, pcov = tn.optimize.curve_fit(decay, x, y, p0=[2.0, 1.0], sigma=sigma)
        return tn.concatenate([popt, 100 * pcov.reshape(-1)])

    run = tn.compile(tn.jacobian(found, 1), backend="numpy")
    run(T, Y + 0.1, sigma)
    np.testing.assert_allclose(run(T, Y, sigma).numpy(), tn.jacobian(found, 1)(T, Y, sigma).numpy(), rtol=1e-7)
    check_grads(found, [T, Y, sigma], order=1)


@pytest.mark.slow
def test_derivatives_of_two_orders() -> None:
    check_grads(lambda y: tn.optimize.curve_fit(decay, T, y, p0=[2.0, 1.0])[1] * 100, [Y], order=2)
    check_grads(lambda y: tn.optimize.least_squares(residuals, [2.0, 1.0], args=(y,)).x, [Y], order=2)


@pytest.mark.parametrize("method", ["lm", "trf"])
def test_differences_where_they_are_asked_for(method: Any) -> None:
    expected = tn.optimize.curve_fit(decay, T, Y)[0]
    found = tn.optimize.curve_fit(decay, T, Y, method=method, jac="2-point", full_output=True)
    np.testing.assert_allclose(found[0].numpy(), expected.numpy(), rtol=1e-9)
    assert found[2]["nfev"] > 6 or method == "trf"
    fit = tn.optimize.least_squares(residuals, [2.0, 1.0], args=(Y,), jac="3-point", method=method)
    np.testing.assert_allclose(fit.x.numpy(), expected.numpy(), rtol=1e-9)


def test_missing_values() -> None:
    y = Y.copy()
    y[3] = np.nan
    with pytest.raises(ValueError, match="ydata must not contain infs or NaNs"):
        tn.optimize.curve_fit(decay, T, y)
    with pytest.raises(ValueError, match="nan"):
        tn.optimize.curve_fit(decay, T, y, nan_policy="raise")
    expected = tn.optimize.curve_fit(decay, np.delete(T, 3), np.delete(Y, 3), sigma=np.delete(1 + T, 3))
    found = tn.optimize.curve_fit(decay, T, y, nan_policy="omit", sigma=1 + T)
    np.testing.assert_allclose(found[0].numpy(), expected[0].numpy(), rtol=1e-12)


def test_programs_are_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A curve that is fitted to other data is not compiled again."""

    def curve(x: Any, a: Any, b: Any) -> Any:
        return decay(x, a, b)

    tn.optimize.curve_fit(curve, T, Y)
    monkeypatch.setattr(functions._Program, "__init__", None)
    for shift in (0.1, 0.2, 0.3):
        tn.optimize.curve_fit(curve, T, Y + shift)
    with pytest.raises(TypeError):
        tn.optimize.curve_fit(lambda x, a, b: decay(x, a, b), T, Y)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tn.optimize.curve_fit(decay, T, Y[:0]), ValueError, "ydata must not be empty"),
        (lambda: tn.optimize.curve_fit(lambda x: x, T, Y), ValueError, "give p0"),
        (lambda: tn.optimize.curve_fit(decay, T, Y, sigma=Y[:3]), ValueError, r"sigma has shape \(3,\)"),
        (
            lambda: tn.optimize.curve_fit(decay, T, Y, sigma=-np.eye(T.size)),
            ValueError,
            "sigma must be positive definite",
        ),
        (
            lambda: tn.optimize.curve_fit(decay, T, Y, p0=[3.0, 1.0], bounds=(0, 1)),
            ValueError,
            r"^tn\.optimize\.curve_fit: I",
        ),
        (lambda: tn.optimize.least_squares(residuals, [1.0, 1.0], args=(Y,), bounds=3), TypeError, "bounds is int"),
        (
            lambda: tn.optimize.least_squares(residuals, [1.0, 1.0], args=(Y,), bounds=([0] * 3, 9)),
            ValueError,
            r"have shape \(3,\)",
        ),
        (lambda: tn.optimize.least_squares(lambda x: None, [1.0, 1.0]), TypeError, "gives None"),
        (lambda: tn.optimize.curve_fit(decay, T[:1], Y[:1]), TypeError, "must not exceed"),
        (lambda: tn.optimize.least_squares(residuals, [1.0, 1.0], args=(Y,), loss="l3"), ValueError, "loss='l3'"),
        (lambda: tn.optimize.least_squares(residuals, [1.0, 1.0], args=(Y,), method="x"), ValueError, "method"),
    ],
)
def test_errors(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_a_covariance_that_data_do_not_determine_is_infinite() -> None:
    y = tn.tensor(np.arange(1.0, 7.0), requires_grad=True)
    with pytest.warns(optimize.OptimizeWarning):
        pcov = tn.optimize.curve_fit(lambda x, a, b: a * x, np.arange(1.0, 7.0), y)[1]
    assert np.isinf(pcov.numpy()).all()


def test_a_jacobian_that_programs_for_scipy_give() -> None:
    """It is taken, and the exact one is used."""
    expected = tn.optimize.least_squares(residuals, [1.0, 1.0], args=(Y,)).x.numpy()
    for jac in (tn.jacobian(residuals), np.sin):
        found = tn.optimize.least_squares(residuals, [1.0, 1.0], jac=jac, args=(Y,))
        np.testing.assert_allclose(found.x.numpy(), expected, rtol=1e-10)
        np.testing.assert_allclose(tn.optimize.curve_fit(decay, T, Y, jac=jac)[0].numpy(), expected, rtol=1e-8)


def test_every_parameter_on_a_bound() -> None:
    bounds = ([0.0, 2.0], [1.0, 3.0])
    for method in ("trf", "dogbox"):
        found = tn.optimize.least_squares(residuals, [0.5, 2.5], args=(Y,), bounds=bounds, method=method)
        np.testing.assert_allclose(found.x.numpy(), [1.0, 2.0], rtol=1e-6)
    popt, _ = tn.optimize.curve_fit(decay, T, Y, bounds=bounds, method="dogbox")
    np.testing.assert_allclose(popt.numpy(), [1.0, 2.0], rtol=1e-6)
