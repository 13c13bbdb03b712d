"""Fits: the likelihood is greatest, what is held stays, and the result is differentiated by the data."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import tapenet as tn
from tapenet.scipy import stats

_DATA = np.random.default_rng(0).gamma(3.0, 2.0, 40)


def test_a_fit_is_scipys_and_more_exact() -> None:
    a, loc, scale = stats.gamma.fit(_DATA, floc=0)
    assert loc.item() == 0
    np.testing.assert_allclose([a.item(), 0, scale.item()], scipy.stats.gamma.fit(_DATA, floc=0), rtol=1e-6)
    at = tn.grad(lambda a, s: stats.gamma.logpdf(_DATA, a, 0.0, s).mean(), argnums=(0, 1))(a, scale)
    assert max(abs(g.item()) for g in at) < 1e-10


def test_a_fit_is_differentiated_by_the_data() -> None:
    found = tn.grad(lambda x: stats.norm.fit(x)[1])(_DATA)
    np.testing.assert_allclose(found, (_DATA - _DATA.mean()) / (len(_DATA) * _DATA.std()), rtol=1e-8)
    tn.testing.check_grads(lambda x: tn.stack(stats.gamma.fit(x, floc=0)[::2]), [_DATA[:10]], eps=1e-5, rtol=1e-4)


def test_a_maximum_at_an_end_or_a_kink_has_no_derivative() -> None:
    data = tn.tensor(_DATA, requires_grad=True)
    np.testing.assert_allclose(
        [v.item() for v in stats.pareto.fit(_DATA, floc=0)], scipy.stats.pareto.fit(_DATA, floc=0)
    )
    with pytest.raises(TypeError, match="hold a parameter that is at an end"):
        stats.pareto.fit(data, floc=0)
    with pytest.raises(TypeError, match="or the likelihood has a kink there"):
        stats.gennorm.fit(data, f0=1.0)
    with pytest.raises(TypeError, match="only of method='MLE'"):
        stats.gamma.fit(data, floc=0, method="MM")


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("expon", {}), ("expon", {"floc": 0.0}), ("expon", {"fscale": 2.0}), ("uniform", {}), ("uniform", {"floc": -1.0}),
        ("uniform", {"fscale": 100.0}), ("laplace", {}), ("laplace", {"floc": 1.0}), ("laplace", {"fscale": 2.0}),
    ],
)  # fmt: skip
def test_maxima_that_are_known(name: str, held: dict[str, float]) -> None:
    ours, theirs = getattr(stats, name), getattr(scipy.stats, name)
    for data in (_DATA, _DATA[:-1]):
        np.testing.assert_allclose(tn.stack(ours.fit(tn.tensor(data), **held)).numpy(), theirs.fit(data, **held))
        tn.testing.check_grads(lambda x: tn.stack(ours.fit(x, **held)), [data], order=1)


def test_standard_errors_by_the_hessian() -> None:
    """Those of a normal distribution are known."""
    loc, scale = stats.norm.fit(_DATA)
    information = tn.hessian(lambda theta: stats.norm.nnlf([theta[0], theta[1]], _DATA))(tn.stack([loc, scale]))
    errors = np.sqrt(np.diagonal(np.linalg.inv(information.numpy())))
    np.testing.assert_allclose(errors, scale.item() / np.sqrt([len(_DATA), 2 * len(_DATA)]), rtol=1e-9)


def test_random_values_move_with_the_parameters() -> None:
    a = tn.tensor(2.5, requires_grad=True)
    x = stats.gamma(a).rvs(size=3, random_state=1)
    np.testing.assert_array_equal(x.detach(), scipy.stats.gamma.rvs(2.5, size=3, random_state=1))
    x.sum().backward()
    moved = tn.grad(lambda a: stats.gamma.ppf(scipy.stats.gamma.cdf(x.detach().numpy(), 2.5), a).sum())(2.5)
    np.testing.assert_allclose(a.grad, moved, rtol=1e-9)
    tn.random.seed(0)
    first = stats.norm.rvs(size=4).numpy()
    tn.random.seed(0)
    np.testing.assert_array_equal(stats.norm.rvs(size=4), first)
