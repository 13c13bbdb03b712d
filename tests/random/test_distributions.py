"""`tn.random`: what is drawn, derivatives by the parameters, compiled, in lanes, saved and restored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.stats

import tapenet as tn
from tapenet.testing import check_grads

R = tn.random
SPREAD = np.array([[1.5, 0.4], [0.4, 1.0]])

#: Parameters, and SciPy's distribution with them.
CONTINUOUS: dict[str, tuple[tuple[float, ...], Callable[..., Any]]] = {
    "beta": ((2.0, 3.0), scipy.stats.beta),
    "cauchy": ((0.5, 2.0), scipy.stats.cauchy),
    "chisquare": ((3.0,), scipy.stats.chi2),
    "exponential": ((2.0,), lambda s: scipy.stats.expon(scale=s)),
    "f": ((5.0, 8.0), scipy.stats.f),
    "gamma": ((0.4, 2.0), lambda k, s: scipy.stats.gamma(k, scale=s)),
    "gumbel": ((0.5, 2.0), scipy.stats.gumbel_r),
    "half_cauchy": ((2.0,), lambda s: scipy.stats.halfcauchy(scale=s)),
    "half_normal": ((2.0,), lambda s: scipy.stats.halfnorm(scale=s)),
    "inverse_gamma": ((3.0, 2.0), lambda k, s: scipy.stats.invgamma(k, scale=s)),
    "laplace": ((0.5, 2.0), scipy.stats.laplace),
    "logistic": ((0.5, 2.0), scipy.stats.logistic),
    "lognormal": ((0.5, 0.7), lambda m, s: scipy.stats.lognorm(s, scale=np.exp(m))),
    "noncentral_chisquare": ((3.0, 2.0), scipy.stats.ncx2),
    "normal": ((0.5, 2.0), scipy.stats.norm),
    "pareto": ((3.0,), scipy.stats.lomax),
    "power": ((3.0,), scipy.stats.powerlaw),
    "rayleigh": ((2.0,), lambda s: scipy.stats.rayleigh(scale=s)),
    "standard_gamma": ((7.0,), scipy.stats.gamma),
    "standard_t": ((5.0,), scipy.stats.t),
    "triangular": ((-1.0, 0.5, 3.0), lambda a, m, b: scipy.stats.triang((m - a) / (b - a), a, b - a)),
    "uniform": ((-1.0, 2.0), lambda a, b: scipy.stats.uniform(a, b - a)),
    "vonmises": ((0.3, 2.0), lambda m, k: scipy.stats.vonmises(k, m)),
    "wald": ((1.5, 2.0), lambda m, s: scipy.stats.invgauss(m / s, scale=s)),
    "weibull": ((1.5,), scipy.stats.weibull_min),
    "truncated_normal": (
        (0.5, 2.0, -1.0, 1.5),
        lambda m, s, a, b: scipy.stats.truncnorm((a - m) / s, (b - m) / s, m, s),
    ),
}
DISCRETE: dict[str, tuple[tuple[float, ...], Callable[..., Any]]] = {
    "bernoulli": ((0.3,), scipy.stats.bernoulli),
    "binomial": ((10, 0.3), scipy.stats.binom),
    "geometric": ((0.3,), scipy.stats.geom),
    "hypergeometric": ((5, 7, 4), lambda good, bad, n: scipy.stats.hypergeom(good + bad, good, n)),
    "logseries": ((0.3,), scipy.stats.logser),
    "negative_binomial": ((3.5, 0.4), scipy.stats.nbinom),
    "poisson": ((2.5,), scipy.stats.poisson),
    "zipf": ((3.0,), scipy.stats.zipf),
}
MULTIVARIATE: dict[str, tuple[Any, ...]] = {
    "dirichlet": (np.array([0.5, 2.0, 3.0]),),
    "multivariate_normal": (np.array([0.5, -1.0]), SPREAD),
    "multivariate_t": (np.array([0.5, -1.0]), SPREAD, 9.0),
    "wishart": (5.0, SPREAD),
}
#: Those that NumPy's generator has, and draws in the same way.
AS_NUMPY = [
    *("chisquare", "exponential", "gamma", "gumbel", "laplace", "logistic", "lognormal", "normal", "pareto", "power"),
    *("rayleigh", "standard_gamma", "triangular", "uniform", "wald", "weibull"),
]


@pytest.mark.parametrize("name", CONTINUOUS)
def test_draws_follow_the_distribution(name: str) -> None:
    parameters, law = CONTINUOUS[name]
    drawn = getattr(R, name)(*parameters, size=4000, rng=1)
    assert isinstance(drawn, np.ndarray)
    assert scipy.stats.kstest(drawn, law(*parameters).cdf).pvalue > 1e-4


@pytest.mark.parametrize("name", DISCRETE)
def test_whole_numbers_follow_the_distribution(name: str) -> None:
    parameters, law = DISCRETE[name]
    drawn = getattr(R, name)(*parameters, size=4000, rng=1)
    found, expected = np.mean(drawn <= 3), law(*parameters).cdf(3)
    assert abs(found - expected) < 5 * np.sqrt(0.25 / 4000)
    assert abs(np.mean(drawn == 1) - law(*parameters).pmf(1)) < 5 * np.sqrt(0.25 / 4000)


@pytest.mark.parametrize("name", AS_NUMPY)
def test_the_numbers_are_numpys(name: str) -> None:
    parameters, _ = CONTINUOUS[name]
    theirs = getattr(np.random.default_rng(5), name)(*parameters, size=(3, 2))
    np.testing.assert_allclose(getattr(R, name)(*parameters, size=(3, 2), rng=5), theirs, rtol=1e-13)
    t = getattr(R, name)(*map(tn.tensor, parameters), size=(3, 2), rng=5)
    np.testing.assert_allclose(t.numpy(), theirs, rtol=1e-13)


#: Draws that are smooth functions of their parameters for fixed random numbers.
SMOOTH = sorted(
    CONTINUOUS.keys() - {"beta", "chisquare", "f", "gamma", "inverse_gamma", "noncentral_chisquare", "standard_gamma"}
    - {"standard_t", "vonmises", "wald"}
)  # fmt: skip


@pytest.mark.parametrize("name", SMOOTH)
def test_derivatives_at_fixed_random_numbers(name: str) -> None:
    parameters, _ = CONTINUOUS[name]
    check_grads(lambda *p: getattr(R, name)(*p, size=4, rng=1), [np.asarray(p) for p in parameters], order=2)


@pytest.mark.parametrize(
    ("name", "place"), [("gamma", 0), ("standard_gamma", 0), ("vonmises", 1), ("wald", 0), ("wald", 1)]
)
def test_implicit_derivatives_are_those_of_the_quantile(name: str, place: int) -> None:
    parameters, law = CONTINUOUS[name]
    for value in (0.3, 1.0, 20.0):
        given = [tn.tensor(p) for p in parameters]
        given[place] = tn.tensor(value, requires_grad=True)
        drawn = getattr(R, name)(*given, size=5, rng=2)
        x = drawn.numpy()

        def at(p: float, q: Any = None, x: Any = x) -> Any:
            others = [*parameters]
            others[place] = p
            return law(*others).cdf(x) if q is None else law(*others).ppf(q)

        q, h = at(value), 1e-4 * value
        expected = (at(value + h, q) - at(value - h, q)) / (2 * h)
        found = [tn.gradients(drawn[i], given[place], retain_graph=True).item() for i in range(5)]
        np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["beta", "chisquare", "f", "gamma", "inverse_gamma", "standard_t", "wald"])
def test_the_mean_of_derivatives_is_the_derivative_of_the_mean(name: str) -> None:
    """Of a bounded function of the draws, in every parameter, with the standard error of 20,000."""
    parameters, law = CONTINUOUS[name]
    count = 20_000
    points = (np.arange(4000) + 0.5) / 4000

    def exact(*p: float) -> float:
        return float(np.mean(np.cos(law(*p).ppf(points))))

    for i, value in enumerate(parameters):
        p = tn.tensor(np.full(count, value), requires_grad=True)
        given = [p if k == i else v for k, v in enumerate(parameters)]
        np.cos(getattr(R, name)(*given, rng=3)).sum().backward()
        each = p.grad.numpy()
        h = 1e-3 * value
        up, down = ([v + s * h if k == i else v for k, v in enumerate(parameters)] for s in (1, -1))
        expected = (exact(*up) - exact(*down)) / (2 * h)
        assert abs(each.mean() - expected) < 5 * each.std() / np.sqrt(count) + 1e-3


@pytest.mark.parametrize("name", ["gamma", "vonmises", "wald", "standard_t", "beta"])
def test_second_derivatives_of_implicit_draws(name: str) -> None:
    """The derivative of the pathwise derivative, against differences of it along the path of the draw."""
    parameters, _ = CONTINUOUS[name]
    place = 1 if name == "vonmises" else 0
    draw = getattr(R, name)

    def of(p: Any) -> Any:
        given = [p if k == place else v for k, v in enumerate(parameters)]
        return draw(*given, size=3, rng=4).sum()

    hessian = tn.grad(tn.grad(of))(parameters[place])
    assert np.isfinite(hessian.item())
    if name in ("gamma", "wald"):
        p, x = tn.tensor(parameters[place]), draw(*parameters, size=3, rng=4)
        law = CONTINUOUS[name][1]
        others = [*parameters]

        def quantiles(value: float) -> Any:
            others[place] = value
            return law(*others).ppf(q)

        q = law(*parameters).cdf(x)
        h = 3e-3 * float(p)
        expected = (quantiles(float(p) + h) - 2 * quantiles(float(p)) + quantiles(float(p) - h)).sum() / h**2
        np.testing.assert_allclose(hessian.item(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", sorted(CONTINUOUS.keys() | MULTIVARIATE.keys()))
def test_float32_in_float32_out(name: str) -> None:
    parameters = MULTIVARIATE.get(name) or CONTINUOUS[name][0]
    given = [tn.tensor(np.asarray(p, np.float32), requires_grad=True) for p in parameters]
    drawn = getattr(R, name)(*given, size=7, rng=1)
    assert drawn.dtype == np.float32
    (drawn**2).sum().backward()
    for p in given:
        assert p.grad.dtype == np.float32
        assert np.isfinite(p.grad.numpy()).all()
    assert getattr(R, name)(*parameters, size=7, dtype="float32", rng=1).dtype == np.float32


COMPILED = ["normal", "gamma", "standard_t", "vonmises", "dirichlet", "truncated_normal", "multivariate_normal"]


@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize("name", COMPILED)
def test_compiled(name: str, backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    parameters = MULTIVARIATE.get(name) or CONTINUOUS[name][0]
    gradient = tn.value_and_grad(lambda p, *rest: (getattr(R, name)(p, *rest, size=3) ** 2).sum())
    compiled = tn.compile(gradient, backend=backend)
    values = set()
    for seed in (0, 0, 1):
        R.seed(seed)
        value, slope = compiled(*parameters)
        R.seed(seed)
        expected = gradient(*parameters)
        np.testing.assert_allclose(value.numpy(), expected[0].numpy(), rtol=1e-10)
        np.testing.assert_allclose(slope.numpy(), expected[1].numpy(), rtol=1e-8, atol=1e-12)
        values.add(round(value.item(), 9))
    assert len(values) == 2


def test_moments_of_vectors_and_matrices() -> None:
    n = 20_000
    mean, spread = MULTIVARIATE["multivariate_normal"]
    drawn = R.multivariate_normal(mean, spread, size=n, rng=1)
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.05)
    np.testing.assert_allclose(np.cov(drawn.T), spread, atol=0.06)
    heavy = R.multivariate_t(mean, spread, 9.0, size=n, rng=1)
    np.testing.assert_allclose(np.cov(heavy.T), spread * 9 / 7, atol=0.1)
    (alpha,) = MULTIVARIATE["dirichlet"]
    np.testing.assert_allclose(R.dirichlet(alpha, size=n, rng=1).mean(0), alpha / alpha.sum(), atol=0.01)
    np.testing.assert_allclose(R.wishart(5.0, spread, size=n, rng=1).mean(0), 5 * spread, atol=0.15)
    np.testing.assert_allclose(R.categorical([1.0, 3.0], size=n, rng=1).mean(), 0.75, atol=0.02)
    np.testing.assert_allclose(R.multinomial(8, [0.25, 0.75], size=n, rng=1).mean(0), [2, 6], atol=0.05)


def test_tiny_shapes_of_dirichlet_and_beta_have_finite_gradients() -> None:
    alpha = tn.tensor([1e-3, 2e-3, 1e-3], requires_grad=True)
    drawn = R.dirichlet(alpha, size=200, rng=0)
    np.testing.assert_allclose(drawn.detach().numpy().sum(-1), 1, rtol=1e-12)
    (drawn[:, 0] ** 2).sum().backward()
    assert np.isfinite(alpha.grad.numpy()).all()


def test_truncated_in_the_tails() -> None:
    for low, high in ((8.0, 9.0), (-9.0, -8.0), (37.0, np.inf), (-1.0, 40.0)):
        drawn = R.truncated_normal(0.0, 1.0, low, high, size=500, rng=0)
        assert ((drawn >= low) & (drawn <= high)).all()
        if low in (8.0, 37.0):
            assert scipy.stats.kstest(drawn - low, lambda x, low=low: 1 - np.exp(-low * x - x * x / 2)).pvalue > 1e-4
    cut = tn.tensor(8.0, requires_grad=True)
    R.truncated_normal(0.0, 1.0, cut, 9.0, size=10, rng=0).sum().backward()
    assert 0 < cut.grad.item() < 20


BAD = [
    (lambda: R.gamma(-1.0), "tn.random.gamma: shape is positive, not -1.0"),
    (lambda: R.gamma(1.0, [1.0, -2.0]), r"tn.random.gamma: scale is 0 or more, not -2.0"),
    (lambda: R.normal(tn.tensor(np.nan)), "tn.random.normal: loc is finite, not nan"),
    (lambda: R.binomial(3, 1.5), "tn.random.binomial: p is a probability, from 0 to 1, not 1.5"),
    (lambda: R.binomial(2.5, 0.5), "n is a whole number of 0 or more, not 2.5"),
    (lambda: R.noncentral_chisquare(0.5, 1.0), "df is greater than 1, not 0.5"),
    (lambda: R.beta([1.0, 2.0], 1.0, size=3), r"size=3 does not fit parameters of shape \(2,\)"),
    (lambda: R.uniform(2.0, 1.0), "low is at most high, not 2.0 and 1.0"),
    (lambda: R.triangular(0.0, tn.tensor([3.0]), 2.0), "mode is at most right"),
    (lambda: R.truncated_normal(0.0, 1.0, 2.0, -2.0), "low is at most high"),
    (lambda: R.dirichlet([1.0, 0.0]), "alpha is positive, not 0.0"),
]


@pytest.mark.parametrize("k", range(len(BAD)))
def test_bad_parameters_are_named(k: int) -> None:
    call, words = BAD[k]
    with pytest.raises(ValueError, match=words):
        call()


def test_wrong_arguments() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'shape'"):
        R.gamma()
    with pytest.raises(TypeError, match="dtype=int64; these are drawn as floats"):
        R.gamma(1.0, dtype="int64")
    with pytest.raises(TypeError, match="missing a required argument: 'shape'"):
        R.gamma(k=1.0)


def test_an_integer_gives_independent_parts() -> None:
    """A distribution made of several draws does not draw the same numbers twice."""
    drawn = R.beta(2.0, 2.0, size=1000, rng=0)
    assert drawn.std() > 0.1
    np.testing.assert_array_equal(drawn, R.beta(2.0, 2.0, size=1000, rng=0))


def test_state_is_saved_and_restored_and_spawned() -> None:
    R.seed(3)
    state = R.get_state()
    first = [R.gamma(2.0, size=3).tolist(), R.choice(10, 3).tolist(), R.permutation(5).tolist()]
    R.set_state(state)
    assert [R.gamma(2.0, size=3).tolist(), R.choice(10, 3).tolist(), R.permutation(5).tolist()] == first
    R.seed(3)
    one, two = R.spawn(2)
    assert R.normal(size=3, rng=one).tolist() != R.normal(size=3, rng=two).tolist()


def test_choice_and_permutation_of_tensors() -> None:
    t = tn.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    R.choice(t, 5, axis=1, rng=0).sum().backward()
    assert t.grad.sum().item() == 10
    assert sorted(R.permutation(t, rng=0).detach().numpy()[:, 0].tolist()) == [1, 3]
    assert R.choice([3, 5], p=[0.0, 1.0], rng=0) == 5


def test_lanes_draw_on_their_own() -> None:
    found = tn.vmap(lambda a: R.gamma(a, size=2), randomness="different")(np.full(3, 2.0))
    assert len(np.unique(found.numpy())) == 6


@pytest.mark.parametrize("name", sorted(CONTINUOUS.keys() | DISCRETE.keys()))
def test_log_prob(name: str) -> None:
    parameters, law = CONTINUOUS.get(name) or DISCRETE[name]
    x = np.asarray(getattr(R, name)(*parameters, size=3, rng=1), float)
    given = law(*parameters)
    expected = given.logpmf(x) if name in DISCRETE else given.logpdf(x)
    f = getattr(R, name)
    np.testing.assert_allclose(f.log_prob(x, *parameters).numpy(), expected, rtol=1e-10, atol=1e-12)
    whole = {"binomial": [0], "hypergeometric": [0, 1, 2]}.get(name, [])
    by = [i for i in range(len(parameters)) if i not in whole]
    if by:

        def of(*p: Any) -> Any:
            rest = iter(p)
            return f.log_prob(x, *(next(rest) if i in by else v for i, v in enumerate(parameters)))

        check_grads(of, [np.asarray(parameters[i]) for i in by], order=1)


def test_truncated_by_quantiles() -> None:
    law = tn.scipy.stats.gamma(2.0)
    drawn = R.truncated(law, 1.0, 3.0, size=2000, rng=0)
    theirs = scipy.stats.gamma(2.0)
    low, high = theirs.cdf(1.0), theirs.cdf(3.0)
    assert scipy.stats.kstest(drawn.numpy(), lambda x: (theirs.cdf(x) - low) / (high - low)).pvalue > 1e-4
    check_grads(
        lambda a, b: R.truncated(tn.scipy.stats.gamma(a), b, 3.0, size=3, rng=0),
        [np.array(2.0), np.array(1.0)],
        order=1,
    )


def test_log_prob_of_vectors() -> None:
    x = R.multivariate_normal(*MULTIVARIATE["multivariate_normal"], size=3, rng=0)
    laws = {
        "multivariate_normal": (x, scipy.stats.multivariate_normal.logpdf),
        "multivariate_t": (x, scipy.stats.multivariate_t.logpdf),
    }
    for name, (at, theirs) in laws.items():
        found = getattr(R, name).log_prob(at, *MULTIVARIATE[name])
        np.testing.assert_allclose(found.numpy(), theirs(at, *MULTIVARIATE[name]), rtol=1e-10)
    at = R.dirichlet(*MULTIVARIATE["dirichlet"], size=3, rng=0)
    np.testing.assert_allclose(
        R.dirichlet.log_prob(at, *MULTIVARIATE["dirichlet"]).numpy(),
        scipy.stats.dirichlet.logpdf(at.T, *MULTIVARIATE["dirichlet"]),
        rtol=1e-10,
    )
    at = R.wishart(*MULTIVARIATE["wishart"], size=3, rng=0)
    np.testing.assert_allclose(
        R.wishart.log_prob(at, *MULTIVARIATE["wishart"]).numpy(),
        scipy.stats.wishart.logpdf(np.moveaxis(at, 0, -1), *MULTIVARIATE["wishart"]),
        rtol=1e-10,
    )
    np.testing.assert_allclose(
        R.categorical.log_prob([0, 1, 1], [1.0, 3.0]).numpy(), np.log([0.25, 0.75, 0.75]), rtol=1e-14
    )
    counts = R.multinomial(6, [0.2, 0.8], size=3, rng=0)
    np.testing.assert_allclose(
        R.multinomial.log_prob(counts, 6, [0.2, 0.8]).numpy(), scipy.stats.multinomial.logpmf(counts, 6, [0.2, 0.8])
    )
    with pytest.raises(TypeError, match=r"log_prob takes x, shape, scale"):
        R.gamma.log_prob(1.0)


def test_bernoulli_of_many_probabilities() -> None:
    p = np.array([0.0, 0.3, 1.0])
    drawn = R.bernoulli(tn.tensor(p), size=(4000, 3), rng=0)
    assert drawn.dtype == bool
    np.testing.assert_allclose(drawn.numpy().mean(0), p, atol=0.03)
    assert R.bernoulli(p, rng=0).shape == (3,)
    assert R.bernoulli(p, dtype=np.float32, rng=0).dtype == np.float32
    with pytest.raises(ValueError, match=r"tn\.random\.bernoulli: p is a probability, from 0 to 1, not 1\.5"):
        R.bernoulli([0.2, 1.5])
    run = tn.compile(lambda p: R.bernoulli(p, size=(100, 3)) * p)
    assert (run(p).numpy() != run(p).numpy()).any()
