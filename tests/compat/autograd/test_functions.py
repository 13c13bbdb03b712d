"""SciPy's functions with gradients: values are SciPy's, gradients those of finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.special
import scipy.stats

from tapenet.compat.autograd import grad, value_and_grad
from tapenet.compat.autograd.misc.flatten import flatten
from tapenet.compat.autograd.scipy import integrate, linalg, signal, special, stats
from tapenet.compat.autograd.test_util import check_grads

ORDERS = [1, pytest.param(2, marks=pytest.mark.slow)]
POSITIVE = np.array([[1.3, 2.6, 0.9], [3.1, 0.4, 5.2]])
SIGNED = np.array([[0.3, -1.6, 0.9], [2.1, -0.4, 1.2]])
SHARE = np.array([0.2, 0.45, 0.8])
ROW = np.array([1.5, 2.2, 0.7])

#: Function of `special`: the arguments, and the places of those that it is differentiable by.
SPECIAL: dict[str, tuple[tuple[Any, ...], tuple[int, ...]]] = {
    **dict.fromkeys(
        ["psi", "digamma", "gamma", "gammaln", "rgamma", "j0", "j1", "y0", "y1", "i0", "i1"], ((POSITIVE,), (0,))
    ),
    **dict.fromkeys(["erf", "erfc", "expit", "ndtr", "log_ndtr"], ((SIGNED,), (0,))),
    **dict.fromkeys(["erfinv", "erfcinv", "logit"], ((SHARE,), (0,))),
    **dict.fromkeys(["polygamma", "jn", "yn"], ((2, POSITIVE), (1,))),
    **dict.fromkeys(["iv", "ive", "gammainc", "gammaincc"], ((ROW, POSITIVE), (1,))),
    **dict.fromkeys(["beta", "betaln"], ((POSITIVE, ROW), (0, 1))),
    "betainc": ((POSITIVE, ROW, SHARE), (2,)),
    "multigammaln": ((POSITIVE + 2, 3), (0,)),
    "logsumexp": ((SIGNED,), (0,)),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", SPECIAL)
def test_special(name: str, order: int) -> None:
    args, places = SPECIAL[name]
    function = getattr(special, name)
    np.testing.assert_allclose(function(*args), getattr(scipy.special, name)(*args), rtol=1e-13)
    for place in places:
        check_grads(function, place, order=order)(*args)


def test_what_has_no_gradient_is_scipys() -> None:
    assert special.comb(5, 2) == 10
    with pytest.raises(TypeError, match="gammainc: a tensor that needs a gradient was given as 'n'"):
        grad(lambda a: special.gammainc(a, 2.0))(1.5)


def test_logsumexp_of_axes_and_weights() -> None:
    weights = np.array([0.5, 2.0, 1.0])
    for kwargs in (
        {"axis": 1},
        {"axis": (0, 1)},
        {"axis": 0, "keepdims": True},
        {"axis": -1, "b": weights},
        {"b": 3.0},
    ):
        want = scipy.special.logsumexp(SIGNED, **kwargs)
        np.testing.assert_allclose(special.logsumexp(SIGNED, **kwargs), want)
        np.testing.assert_allclose(
            value_and_grad(lambda x, k=kwargs: np.sum(special.logsumexp(x, **k)))(SIGNED)[0], want.sum()
        )
        check_grads(lambda x, kwargs=kwargs: special.logsumexp(x, **kwargs))(SIGNED)


SQUARE = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, -0.4], [0.1, -0.4, 1.1]])
MVN = (SIGNED, ROW, SQUARE)
#: Function of a distribution: its arguments, and the places of those that it is differentiable by.
DENSITIES: dict[str, tuple[tuple[Any, ...], tuple[int, ...]]] = {
    **{
        f"norm.{name}": ((SIGNED, ROW, POSITIVE), (0, 1, 2))
        for name in ("pdf", "logpdf", "cdf", "logcdf", "sf", "logsf")
    },
    **{f"t.{name}": ((SIGNED, ROW, 0.3, POSITIVE), (0, 1, 2, 3)) for name in ("pdf", "logpdf")},
    **{f"t.{name}": ((SIGNED, ROW, 0.3, POSITIVE), (0, 2, 3)) for name in ("cdf", "logcdf")},
    **{f"gamma.{name}": ((POSITIVE, ROW), (0, 1)) for name in ("pdf", "logpdf")},
    **{f"beta.{name}": ((SHARE, POSITIVE, ROW), (0, 1, 2)) for name in ("pdf", "logpdf")},
    **{f"chi2.{name}": ((POSITIVE, ROW), (0, 1)) for name in ("pdf", "logpdf")},
    "gamma.cdf": ((POSITIVE, ROW), (0,)),
    "beta.cdf": ((SHARE, POSITIVE, ROW), (0,)),
    "chi2.cdf": ((POSITIVE, ROW), (0,)),
    **{f"poisson.{name}": ((np.array([0.0, 3.0, 2.0]), POSITIVE), (1,)) for name in ("pmf", "logpmf", "cdf")},
    **{f"dirichlet.{name}": ((np.array([0.2, 0.3, 0.5]), ROW), (1,)) for name in ("pdf", "logpdf")},
    **{f"multivariate_normal.{name}": (MVN, (0, 1, 2)) for name in ("pdf", "logpdf")},
    "multivariate_normal.entropy": (MVN[1:], (1,)),
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", DENSITIES)
def test_density(name: str, order: int) -> None:
    args, places = DENSITIES[name]
    distribution, _, what = name.partition(".")
    function = getattr(getattr(stats, distribution), what)
    want = getattr(getattr(scipy.stats, distribution), what)(*args)
    np.testing.assert_array_equal(function(*args), want)  # SciPy's own
    seen: list[Any] = []

    def traced(x: Any) -> Any:
        seen.append(function(*args[: places[0]], x, *args[places[0] + 1 :]))
        return np.sum(seen[0])

    grad(traced)(args[places[0]])
    np.testing.assert_allclose(seen[0].numpy(), want, rtol=1e-12)
    if distribution == "multivariate_normal":  # which looks at a triangle of the matrix alone
        whole, function = function, lambda *args: whole(*args[:-1], (args[-1] + args[-1].T) / 2)
    for place in places:
        check_grads(function, place, order=order)(*args)


def test_singular_covariance() -> None:
    flat = np.diag([2.0, 0.0])
    x, mean = np.array([0.3, 1.0]), np.array([0.1, 1.0])
    args = (x, mean, flat, True)
    np.testing.assert_allclose(grad(stats.multivariate_normal.logpdf)(*args), [-(0.3 - 0.1) / 2.0, 0.0], atol=1e-12)
    with pytest.raises(NotImplementedError, match="no gradient by a singular covariance"):
        grad(stats.multivariate_normal.logpdf, 2)(*args)


TRIANGLE = np.array([[2.0, 0.3, 0.1], [0.7, 1.5, -0.4], [0.9, -0.2, 1.1]])


@pytest.mark.parametrize(
    "options", [{}, {"lower": True}, {"trans": 1}, {"trans": "T", "lower": True, "unit_diagonal": True}]
)
def test_solve_triangular(options: dict[str, Any]) -> None:
    for b in (ROW, SIGNED.T):
        args = (TRIANGLE, b)
        want = scipy.linalg.solve_triangular(*args, **options)
        np.testing.assert_array_equal(linalg.solve_triangular(*args, **options), want)
        check_grads(lambda a, b: linalg.solve_triangular(a, b, **options), (0, 1))(*args)


def test_equations_of_matrices() -> None:
    check_grads(linalg.sqrtm)(SQUARE)
    check_grads(linalg.solve_sylvester, (0, 1, 2))(SQUARE, TRIANGLE, TRIANGLE.T)
    bands = np.array([[0.0, 0.3, -0.2, 0.5], [2.0, 1.8, 2.2, 1.5], [0.4, -0.3, 0.6, 0.0], [0.1, 0.2, 0.0, 0.0]])
    inside = lambda b: b * (bands != 0)  # what stands outside of the matrix has no meaning
    for b in (np.arange(4.0), np.arange(8.0).reshape(4, 2)):
        check_grads(lambda a, b: linalg.solve_banded((2, 1), inside(a), b), (0, 1))(bands, b)
    assert linalg.norm(SQUARE) == scipy.linalg.norm(SQUARE)


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
def test_convolve(mode: Any) -> None:
    a, b = SIGNED[:, :2].repeat(2, axis=0), np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 0.1]])
    np.testing.assert_allclose(signal.convolve(a, b, mode=mode), scipy.signal.convolve(a, b, mode=mode))
    check_grads(lambda a, b: signal.convolve(a, b, mode=mode), (0, 1))(a, b)


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
def test_convolve_along_some_axes(mode: Any) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 4, 3)), rng.normal(size=(2, 4, 2, 3, 2))
    found = signal.convolve(a, b, axes=([1, 2], [2, 4]), dot_axes=([0, 3], [0, 3]), mode=mode)
    want = sum(scipy.signal.convolve(a[i, :, :, j], b[i, 2, :, j, :], mode) for i in range(2) for j in range(3))
    np.testing.assert_allclose(found[2], want)
    if mode == "valid":  # also where the second is the larger
        other = signal.convolve(b, a, axes=([2, 4], [1, 2]), dot_axes=([0, 3], [0, 3]), mode=mode)
        np.testing.assert_allclose(other, found)


def test_convolve_refuses() -> None:
    with pytest.raises(ValueError, match="mode='circular' must be"):
        signal.convolve(ROW, ROW, mode="circular")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least as long as the other along each axis"):
        signal.convolve(np.ones((2, 3)), np.ones((3, 2)), mode="valid")


@pytest.mark.parametrize("order", ORDERS)
def test_odeint_by_everything(order: int) -> None:
    def force(y: Any, t: Any, a: Any, b: Any) -> Any:
        return -np.sqrt(t) - y + a - np.mean((y + b) ** 2)

    solve: Callable[..., Any] = lambda y, t, p: integrate.odeint(force, y, t, p, rtol=1e-10, atol=1e-10)
    check_grads(solve, (0, 1, 2), ["rev"], order)(ROW, np.linspace(0.1, 0.3, 3), (SHARE, ROW))


def test_flatten_is_differentiable() -> None:
    tree = {"b": [np.ones((2, 2)), (3.0, np.arange(2.0))], "a": 1.0}
    vector, unflatten = flatten(tree)
    assert vector.tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, 3.0, 0.0, 1.0]
    again = unflatten(vector * 2)
    assert (list(again), again["a"]) == (["b", "a"], 2.0)
    assert isinstance(again["b"][1], tuple)
    slope = grad(lambda tree: np.sum(flatten(tree)[0] ** 2))(tree)
    assert (slope["b"][0].tolist(), slope["b"][1][0]) == ([[2.0, 2.0], [2.0, 2.0]], 6.0)
    assert flatten([])[0].size == 0
