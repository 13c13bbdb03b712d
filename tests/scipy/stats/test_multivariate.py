"""Multivariate distributions: SciPy's values, and derivatives of two orders."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

import tapenet as tn
from tapenet.scipy import stats

_COV = np.array([[2.0, 0.3, 0.1], [0.3, 1.5, 0.2], [0.1, 0.2, 1.1]])
_MEAN = np.array([0.1, 0.2, 0.3])
_X = np.array([[0.3, -0.2, 1.1], [0.9, 0.4, -0.5]])
#: Variables and parameters of each.
CASES: dict[str, tuple[list[object], list[object]]] = {
    "dirichlet": ([np.array([0.2, 0.3])], [np.array([1.0, 2.0, 3.0])]),
    "dirichlet_multinomial": ([np.array([1, 2, 3])], [np.array([1.2, 2.3, 0.5]), 6]),
    "invwishart": ([_COV + np.eye(3)], [5.0, _COV]),
    "matrix_normal": ([_X], [_X / 3, _COV[:2, :2], _COV]),
    "multinomial": ([np.array([1, 2, 3])], [6, np.array([0.25, 0.25, 0.5])]),
    "multivariate_normal": ([_X], [_MEAN, _COV]),
    "multivariate_t": ([_X], [_MEAN, _COV, 4.0]),
    "normal_inverse_gamma": ([0.3, 1.2], [0.1, 2.0, 3.0, 1.5]),
    "wishart": ([_COV + np.eye(3)], [5.0, _COV]),
}


def _symmetric(a: tn.Tensor) -> tn.Tensor:
    return (a + a.T) / 2 if a.ndim == 2 and a.shape[0] == a.shape[1] else a


@pytest.mark.parametrize(
    "name", [n if n == "multivariate_normal" else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_density(name: str) -> None:
    ours, theirs = getattr(stats, name), getattr(scipy.stats, name)
    variables, parameters = CASES[name]
    args = [*variables, *parameters]
    method = "logpmf" if hasattr(theirs, "logpmf") else "logpdf"
    np.testing.assert_array_equal(getattr(ours, method)(*args).numpy(), getattr(theirs, method)(*args))
    frozen = ours(*parameters)
    np.testing.assert_array_equal(getattr(frozen, method[3:])(*variables), getattr(theirs, method[3:])(*args))
    floats = [i for i, a in enumerate(args) if not isinstance(a, int) and np.asarray(a).dtype.kind == "f"]

    def f(*given: tn.Tensor) -> tn.Tensor:
        full = list(args)
        for i, value in zip(floats, given, strict=True):
            full[i] = _symmetric(value)
        return getattr(ours, method)(*full)

    if name == "multinomial":  # whose last probability follows from the others
        given = [np.array([0.25, 0.25])]
        tn.testing.check_grads(lambda p: ours.logpmf(args[0], 6, tn.concatenate([p, 1 - p.sum(keepdims=True)])), given)
    else:
        tn.testing.check_grads(f, [np.asarray(args[i]) for i in floats], order=2)


def test_multivariate_hypergeom() -> None:
    found = tn.compile(lambda x: stats.multivariate_hypergeom.logpmf(x, [10, 8, 7], 6))(
        np.array([[3, 2, 1], [2, 2, 2]])
    )
    expected = scipy.stats.multivariate_hypergeom.logpmf([[3, 2, 1], [2, 2, 2]], [10, 8, 7], 6)
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_von_mises_fisher() -> None:
    mu, x = np.array([0.6, 0.8, 0.0]), np.array([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]])
    expected = scipy.stats.vonmises_fisher.logpdf(x, mu, 3.0)
    np.testing.assert_array_equal(stats.vonmises_fisher.logpdf(x, mu, 3.0), expected)
    tn.testing.check_grads(lambda kappa: stats.vonmises_fisher.logpdf(x, mu, kappa), [np.array(3.0)], order=2)
    np.testing.assert_allclose(tn.grad(lambda x: stats.vonmises_fisher.logpdf(x, mu, 3.0).sum())(x), [3 * mu, 3 * mu])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dirichlet", "multivariate_normal", "multivariate_t", "wishart"])
def test_entropy(name: str) -> None:
    ours, parameters = getattr(stats, name), CASES[name][1]
    expected = getattr(scipy.stats, name).entropy(*parameters)
    assert ours.entropy(*parameters).item() == expected
    tn.testing.check_grads(
        lambda *given: ours.entropy(*map(_symmetric, given)), [np.asarray(p) for p in parameters], order=2
    )


def test_numbers_and_diagonals_are_covariances() -> None:
    for mean, cov in ((None, 1.0), (_MEAN, 2.0), (_MEAN, _MEAN), (None, _COV)):
        x = _X[:, 0] if mean is None and np.ndim(cov) == 0 else _X
        found = stats.multivariate_normal.logpdf(x, mean, cov)
        np.testing.assert_allclose(found, scipy.stats.multivariate_normal.logpdf(x, mean, cov), rtol=1e-13)


def test_compiled_and_in_lanes() -> None:
    gradient = tn.grad(lambda cov: stats.multivariate_normal.logpdf(_X, _MEAN, cov).sum())
    np.testing.assert_allclose(tn.compile(gradient)(_COV), gradient(_COV), rtol=1e-12)
    lanes = tn.vmap(lambda x: stats.multivariate_normal.logpdf(x, _MEAN, _COV))(_X)
    np.testing.assert_allclose(lanes, scipy.stats.multivariate_normal.logpdf(_X, _MEAN, _COV), rtol=1e-13)


def test_a_method_that_is_not_there_says_so() -> None:
    with pytest.raises(AttributeError, match="has logpdf, pdf, entropy, and no var"):
        stats.multivariate_normal.var(_MEAN, _COV)
    with pytest.raises(TypeError, match=r"multinomial\.logpmf: the parameter p is missing"):
        stats.multinomial.logpmf([1, 2], 3)
