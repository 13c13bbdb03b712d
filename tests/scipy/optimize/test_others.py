"""Newton's method for arrays, brackets, linear least squares and global searches: values, and derivatives of what they find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize, sparse

import tapenet as tn
from tapenet.testing import check_grads

R = np.random.default_rng(0)
A, B = R.normal(size=(8, 4)), R.normal(size=8)


def kepler(e: Any, eccentricity: Any, anomaly: Any) -> Any:
    return e - eccentricity * np.sin(e) - anomaly


def test_newton_solves_for_all_elements() -> None:
    anomalies = np.linspace(0.1, 3.0, 600).reshape(2, 300)

    def solved(k: Any, m: Any) -> Any:
        return tn.optimize.newton(kepler, m, args=(k, m), tol=1e-14, fprime2=True)

    root = solved(0.3, anomalies).numpy()
    np.testing.assert_allclose(kepler(root, 0.3, anomalies), 0, atol=1e-14)
    slope = 1 / (1 - 0.3 * np.cos(root))
    by_k, by_m = tn.grad(lambda k, m: solved(k, m).sum(), (0, 1))(0.3, anomalies)
    np.testing.assert_allclose(by_m.numpy(), slope, rtol=1e-12)
    np.testing.assert_allclose(by_k.numpy(), (slope * np.sin(root)).sum(), rtol=1e-12)
    check_grads(solved, [np.array(0.3), np.array([0.5, 1.0])], order=1)
    assert tn.optimize.newton(kepler, 1.0, args=(0.3, 1.0)).shape == ()


def test_brackets() -> None:
    root, told = tn.optimize.brentq(kepler, 0, 3, args=(0.3, 1.0), full_output=True)
    expected, _ = optimize.brentq(kepler, 0, 3, args=(0.3, 1.0), full_output=True)
    assert abs(root.item() - expected) < 1e-12
    assert told.converged
    with pytest.raises(RuntimeError, match="failed to converge after 2 iterations"):
        tn.optimize.brentq(kepler, 0, 3, args=(0.3, 1.0), maxiter=2)


def test_linear_least_squares() -> None:
    bounds = (-0.1, 0.3)
    expected = optimize.lsq_linear(A, B, bounds, tol=1e-14)
    assert np.count_nonzero(expected.active_mask) in (1, 2, 3)
    found = tn.optimize.lsq_linear(A, B, bounds, tol=1e-14)
    np.testing.assert_allclose(found.x.numpy(), expected.x, rtol=1e-10)
    np.testing.assert_allclose(found.cost.numpy(), expected.cost, rtol=1e-10)
    check_grads(lambda b: tn.optimize.lsq_linear(A, b, bounds, tol=1e-14, method="bvls").x, [B], order=1)
    np.testing.assert_allclose(
        tn.optimize.lsq_linear(sparse.csr_array(A), B, bounds, tol=1e-14).x.numpy(), expected.x, rtol=1e-10
    )
    with pytest.raises(TypeError, match=r"A is a .*LinearOperator, and must be a matrix"):
        tn.optimize.lsq_linear(sparse.linalg.aslinearoperator(A), B)
    with pytest.raises(ValueError, match=r"A has shape \(8, 4\) and b \(4,\)"):
        tn.optimize.lsq_linear(A, B[:4])


def test_nonnegative_least_squares() -> None:
    (x, rest), expected = tn.optimize.nnls(A, B), optimize.nnls(A, B)
    np.testing.assert_allclose(x.numpy(), expected[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(rest.numpy(), expected[1], rtol=1e-12)
    np.testing.assert_allclose(
        tn.optimize.nnls(A, B[:, None])[0].numpy(), x.numpy(), rtol=1e-12, atol=1e-15
    )  # a column is a vector, as in SciPy
    with pytest.raises(ValueError, match=r"^tn\.optimize\.nnls: A has shape"):
        tn.optimize.nnls(A, np.ones((B.size, 2)))
    with pytest.raises(ValueError, match=r"^tn\.optimize\.nnls: array must not contain"):
        tn.optimize.nnls(A * np.nan, B)
    check_grads(lambda a: tn.optimize.nnls(a, B)[0], [A], order=1)
    run = tn.compile(lambda b: tn.optimize.nnls(A, b)[0], backend="numpy")
    run(B + 1)
    np.testing.assert_allclose(run(B).numpy(), expected[0], rtol=1e-10, atol=1e-14)


def rugged(x: Any, a: Any) -> Any:
    return ((x - a) ** 2).sum() + 2 * np.sin(5 * x).sum()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["shgo", "differential_evolution", "dual_annealing", "direct", "basinhopping"])
def test_global_minima(method: str) -> None:
    search = getattr(tn.optimize, method)
    where = np.ones(2) if method == "basinhopping" else [(-2.0, 2.0)] * 2
    options: Any = {"basinhopping": {"stepsize": 1.0, "niter": 50}, "direct": {"eps": 1e-6}}.get(method, {})
    if method not in ("shgo", "direct"):
        options |= {"rng": 0} if "rng" in str(optimize.basinhopping.__doc__) else {"seed": 0}

    def found(a: Any) -> Any:
        return search(rugged, where, (a,), **options)

    x = found(0.0).x.numpy()
    np.testing.assert_allclose(x, -0.3020691, atol=1e-3 if method == "direct" else 1e-5)
    if method == "direct":  # which ends when it has made as many evaluations as it may
        return
    slope = 2 / (2 - 50 * np.sin(5 * x))
    np.testing.assert_allclose(tn.jacobian(lambda a: found(a).x)(0.0).numpy(), slope, rtol=1e-6)
