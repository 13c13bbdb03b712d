"""Every distribution, method and parameter, against differences of SciPy's values."""

from __future__ import annotations

import json
import sys
import zlib

import numpy as np
import pytest
import scipy.special
import scipy.stats

import tapenet as tn
from tapenet.scipy import stats
from tests import stats_table
from tests.scipy.stats.points import FILE, LONG, MASS, METHODS, PLAIN, SHAPES, Q, arguments, discrete

DERIVATIVES = json.loads(FILE.read_text())
#: The error of the differences, where SciPy's own values are integrals or roots that are not exact to more, or the density is
#: made of pieces.
LOOSE = {
    "levy_stable": 1e-5,
    "studentized_range": 1e-5,
    "genhyperbolic": 1e-6,
    "geninvgauss": 1e-6,
    "norminvgauss": 1e-5,
}
#: What runs by default: each way to a derivative once.
SAMPLE = ("norm", "gamma", "genextreme", "binom", "zipf")


def differentiated(name: str, method: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The value and the gradients of a method."""
    distribution = getattr(stats, name)
    args = np.broadcast_arrays(*arguments(name, method))
    first = [] if method in PLAIN else ["q" if method in ("ppf", "isf") else "x"]
    names = [*first, *distribution.parameters]
    free = [not discrete(name) or n not in ("x", "loc") for n in names]
    ts = [
        tn.tensor(a.copy(), requires_grad=f and n not in distribution.integers)
        for n, a, f in zip(names, args, free, strict=True)
    ]
    value = getattr(distribution, method)(*ts)
    if value.requires_grad:
        value.sum().backward()
    return value.numpy(), {
        n: np.atleast_1d(t.grad.numpy()) for n, t in zip(names, ts, strict=True) if t.grad is not None
    }


def hold(name: str, method: str) -> None:
    """One method's value is SciPy's, and its derivatives are those of the file."""
    value, found = differentiated(name, method)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(value, getattr(scipy.stats, name)(*arguments(name, "mean")).__getattribute__(method)(
            *arguments(name, method)[:1] if method not in PLAIN else ()))  # fmt: skip
    known = DERIVATIVES[name][method]
    assert set(known) == set(found), (method, set(known) ^ set(found))
    scale = 1e-3 * float(np.max(np.abs(value), where=np.isfinite(value), initial=0)) + 1e-9
    for parameter, expected in known.items():
        some = np.isfinite(expected)  # differences across an infinite value say nothing
        error = np.abs(found[parameter] - expected) / (np.abs(expected) + scale)
        assert np.all(error[some] < LOOSE.get(name, 1e-6)), (method, parameter, found[parameter], expected, error)


def test_every_distribution_is_there() -> None:
    scipys = [
        n for n, d in vars(scipy.stats).items() if isinstance(d, (scipy.stats.rv_continuous, scipy.stats.rv_discrete))
    ]
    assert set(scipys) == {*SHAPES, "poisson_binom"} == {n for n in dir(stats) if n in scipys}
    for name in SHAPES:
        assert ", ".join(getattr(stats, name).shapes) == (getattr(scipy.stats, name).shapes or "")


def test_the_page_tells_of_each() -> None:
    assert stats_table.written() == stats_table.PAGE.read_text(), "python -m tests.stats_table"


@pytest.mark.slow
def test_poisson_binomial() -> None:
    p = np.array([0.1, 0.6, 0.7])
    k = np.array([0, 1, 2])
    for method in ("logpmf", "pmf", "cdf", "sf", "logcdf", "logsf"):
        expected = getattr(scipy.stats.poisson_binom, method)(k, p)
        np.testing.assert_array_equal(getattr(stats.poisson_binom, method)(k, p), expected)
        tn.testing.check_grads(lambda p, m=method: getattr(stats.poisson_binom, m)(k, p), [p], order=2)
    for method in ("mean", "var", "std", "entropy"):
        tn.testing.check_grads(getattr(stats.poisson_binom, method), [p], order=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["norm", "gamma", "truncnorm"])
def test_second_derivatives(name: str) -> None:
    for method in ("logpdf", "logcdf", "sf", "isf", "entropy", "var"):
        tn.testing.check_grads(getattr(getattr(stats, name), method), arguments(name, method), order=2)


def test_compiled() -> None:
    def slope(df: tn.Tensor) -> tn.Tensor:
        return tn.grad(lambda df: (stats.t.logpdf(Q, df) + stats.t.cdf(Q, df) + stats.t.ppf(Q, df)).sum())(df)

    expected = slope(np.array(4.0))
    for backend in ("numpy", "native"):
        if backend == "native":
            pytest.importorskip("llvmlite")
        np.testing.assert_allclose(tn.compile(slope, backend=backend)(np.array(4.0)), expected, rtol=1e-10)


def test_in_lanes_and_forward() -> None:
    def slope(df: tn.Tensor) -> tn.Tensor:
        return tn.grad(lambda df: (stats.t.logpdf(Q, df) + stats.t.cdf(Q, df) + stats.t.ppf(Q, df)).sum())(df)

    expected = slope(np.array(4.0))
    np.testing.assert_allclose(tn.vmap(slope)(np.array([4.0, 4.0])), [expected, expected], rtol=1e-10)
    found = tn.jvp(lambda df: stats.t.logcdf(-40.0, df), (np.array(4.0),), (np.array(1.0),))[1]
    np.testing.assert_allclose(found, tn.grad(lambda df: stats.t.logcdf(-40.0, df))(4.0), rtol=1e-12)


def test_tails_do_not_underflow() -> None:
    """The mean of the score over the tail, of an exponential distribution as a Weibull distribution: d log sf = -x^c log x."""
    found = tn.grad(lambda c: stats.weibull_min.logsf(1e4, c))(1.0)
    np.testing.assert_allclose(found, -1e4 * np.log(1e4), rtol=1e-12)
    found = tn.grad(lambda a: stats.gamma.logsf(600.0, a))(1.0)
    expected = np.log(600) + scipy.special.exp1(600) * np.exp(600) + np.euler_gamma
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_wrong_calls() -> None:
    with pytest.raises(TypeError, match=r"gamma\.pdf: the parameter a is missing"):
        stats.gamma.pdf(1.0)
    with pytest.raises(TypeError, match=r"gamma\.cdf: the parameter b is none of a, loc, scale"):
        stats.gamma.cdf(1.0, 2.0, b=1)
    for distribution in (stats.irwinhall, stats.binom):
        with pytest.raises(TypeError, match="has no derivative by n, which is a whole number"):
            distribution.cdf(1.0, tn.tensor(3.0, requires_grad=True), *((0.5,) if distribution is stats.binom else ()))


def test_values_of_many_elements_are_scipys_too() -> None:
    x = np.linspace(-3, 3, 5001)
    for method in ("pdf", "logpdf", "cdf"):
        expected = getattr(scipy.stats.laplace, method)(x, 0.1, 1.3)
        np.testing.assert_array_equal(getattr(stats.laplace, method)(tn.tensor(x), 0.1, 1.3), expected)


def test_infinite_arguments() -> None:
    slope = tn.grad(lambda a: stats.gamma.logcdf(np.array([-1.0, 2.0, np.inf]), a).sum())(2.0)
    np.testing.assert_allclose(slope, tn.grad(lambda a: stats.gamma.logcdf(2.0, a))(2.0), rtol=1e-12)
    assert tn.grad(lambda x: stats.gamma.cdf(x, 2.0))(np.inf).item() == 0
    slope = tn.grad(lambda a: stats.truncnorm.logpdf(31.0, a, np.inf))(30.0)
    np.testing.assert_allclose(slope, 30.0332596675, rtol=1e-10)  # the hazard of a normal variable at 30
    found = tn.compile(lambda a: stats.truncnorm.logpdf(31.0, a, np.inf))(np.array(30.0))
    np.testing.assert_allclose(found, scipy.stats.truncnorm.logpdf(31.0, 30.0, np.inf), rtol=1e-13)


@pytest.mark.parametrize("name", SAMPLE)
def test_derivatives(name: str) -> None:
    for method in ("logpmf", "cdf") if discrete(name) else ("logpdf", "cdf", "ppf"):
        hold(name, method)


def tried(name: str) -> list[str]:
    """The methods of a distribution that are tried."""
    methods = [m for m in (MASS if discrete(name) else METHODS) if m not in LONG.get(name, ())]
    return [m for m in methods if name != "kstwo" or m not in ("logpdf", "pdf")]  # its density has no derivative


@pytest.mark.slow
@pytest.mark.parametrize("name", SHAPES)
def test_a_method_of_each_distribution(name: str) -> None:
    """A method of each; `python -m tests.scipy.stats.test_derivatives` tries all of them, which takes minutes."""
    methods = tried(name)
    hold(name, methods[zlib.crc32(name.encode()) % len(methods)])


if __name__ == "__main__":
    for given in sys.argv[1:] or SHAPES:
        print(given, flush=True)
        for each in tried(given):
            try:
                hold(given, each)
            except AssertionError as error:
                print("   ", error)
