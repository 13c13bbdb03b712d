"""Every distribution, method and parameter, against differences of SciPy's values."""

from __future__ import annotations

import json
import sys
import zlib

import numpy as np
import pytest
import scipy.stats

import tapenet as tn
from tapenet.scipy import stats
from tests.scipy.stats.points import FILE, LONG, MASS, METHODS, PLAIN, SHAPES, arguments, discrete

DERIVATIVES = json.loads(FILE.read_text())
#: Where SciPy's own values are integrals or roots that are not exact to more: the error of their differences.
LOOSE = {
    "levy_stable": 1e-5,
    "studentized_range": 1e-5,
    "genhyperbolic": 1e-6,
    "geninvgauss": 1e-6,
    "norminvgauss": 1e-5,
}
#: What runs by default: each way to a derivative once.
SAMPLE = ("norm", "gamma", "t", "genextreme", "truncnorm", "nct", "binom", "skellam", "zipf")


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
