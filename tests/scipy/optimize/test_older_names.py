"""The functions that are older than `root`, `root_scalar` and `least_squares`, beside SciPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize

import tapenet as tn
from tapenet.testing import check_grads

A = np.array([1.0, 2.0, 0.5])
T = np.linspace(0, 3, 7)
DATA = 2.5 * np.exp(-1.3 * T) + 0.02 * np.cos(5 * T)


def equations(x: Any, a: Any) -> Any:
    return x**3 + 2 * x + x[::-1] - a


def residuals(p: Any, y: Any) -> Any:
    return p[0] * np.exp(-p[1] * T) - y


def test_fsolve() -> None:
    found, told, ier, _ = tn.optimize.fsolve(equations, [0.5, 0.5, 0.5], (A,), full_output=True)
    expected = optimize.fsolve(equations, np.full(3, 0.5), (A,))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
    assert ier == 1
    np.testing.assert_allclose(told["fvec"].numpy(), 0, atol=1e-9)
    check_grads(lambda a: tn.optimize.fsolve(equations, np.full(3, 0.5), (a,), xtol=1e-13), [A], order=1)
    with pytest.warns(RuntimeWarning, match="fsolve"):
        tn.optimize.fsolve(lambda x: x**2 + 1, [1.0])


def test_a_given_jacobian_is_taken() -> None:
    """And the exact one is used, as programs written for SciPy go on to work."""
    expected = optimize.fsolve(equations, np.full(3, 0.5), (A,))
    for jac in (tn.jacobian(equations), lambda x, a: np.eye(3)):
        np.testing.assert_allclose(
            tn.optimize.fsolve(equations, np.full(3, 0.5), (A,), jac).numpy(), expected, rtol=1e-9
        )
    expected = optimize.leastsq(residuals, [1.0, 1.0], DATA)[0]
    found, _ = tn.optimize.leastsq(residuals, [1.0, 1.0], DATA, Dfun=tn.jacobian(residuals), col_deriv=False)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    with pytest.raises(TypeError, match=r"^tn\.optimize\.leastsq: Improper input"):
        tn.optimize.leastsq(lambda x: x[:1], [1.0, 1.0])
    with pytest.raises(ValueError, match=r"^tn\.optimize\.fsolve: fun gives 1"):
        tn.optimize.fsolve(lambda x: x[:1], [1.0, 1.0])


def test_newton_krylov() -> None:
    def solved(a: Any) -> Any:
        return tn.optimize.newton_krylov(lambda x: equations(x, a), np.full(3, 0.5), f_tol=1e-12)

    np.testing.assert_allclose(
        solved(A).numpy(), optimize.newton_krylov(lambda x: equations(x, A), np.full(3, 0.5), f_tol=1e-12), rtol=1e-10
    )
    check_grads(solved, [A], order=1)
    with pytest.raises(optimize.NoConvergence):
        tn.optimize.newton_krylov(lambda x: equations(x, A), np.full(3, 0.5), maxiter=1, f_tol=1e-12)


def test_leastsq() -> None:
    x, cov, told, _, ier = tn.optimize.leastsq(residuals, [1.0, 1.0], DATA, full_output=True)
    expected = optimize.leastsq(residuals, [1.0, 1.0], DATA, full_output=True)
    np.testing.assert_allclose(x.numpy(), expected[0], rtol=1e-6)
    np.testing.assert_allclose(cov.numpy(), expected[1], rtol=1e-4)
    np.testing.assert_allclose(told["fvec"].numpy(), residuals(x.numpy(), DATA), atol=1e-14)
    assert ier in (1, 2, 3, 4)
    for start in ([[1.0, 1.0]], np.ones((1, 2))):  # taken as a vector
        np.testing.assert_allclose(tn.optimize.leastsq(residuals, start, DATA)[0].numpy(), expected[0], rtol=1e-6)
    np.testing.assert_allclose(tn.optimize.fsolve(lambda x: x**2 - 4, [[1.0, 3.0]]).numpy(), [2, 2])
    check_grads(lambda y: tn.optimize.leastsq(residuals, [1.0, 1.0], y)[0], [DATA], order=1)
    check_grads(lambda y: tn.optimize.leastsq(residuals, [1.0, 1.0], y, full_output=True)[1], [DATA], order=1)


@pytest.mark.parametrize("method", ["del2", "iteration"])
def test_fixed_point(method: str) -> None:
    def step(x: Any, a: Any) -> Any:
        return np.sqrt(a + 0.3 * x + 0.1 * x[::-1])

    def solved(a: Any) -> Any:
        return tn.optimize.fixed_point(step, np.ones(3), (a,), xtol=1e-13, method=method)

    expected = optimize.fixed_point(step, np.ones(3), (A,), xtol=1e-13, method=method)
    np.testing.assert_allclose(solved(A).numpy(), expected, rtol=1e-12)
    check_grads(solved, [A], order=1)
    run = tn.compile(tn.grad(lambda a: solved(a).sum()), backend="numpy")
    np.testing.assert_allclose(run(A), tn.grad(lambda a: solved(a).sum())(A), rtol=1e-12)
    with pytest.raises(RuntimeError, match="Failed to converge"):
        tn.optimize.fixed_point(lambda x: 2 * x + 1, 1.0, maxiter=3, method="iteration")


@pytest.mark.parametrize("name", ["bisect", "ridder", "brentq", "brenth", "toms748"])
def test_between_two_numbers(name: str) -> None:
    ours, theirs = (getattr(space, name) for space in (tn.optimize, optimize))

    def f(x: Any, k: Any) -> Any:
        return np.cos(x) - k * x

    assert ours(f, 0, 2, (1.0,)).item() == theirs(f, 0, 2, (1.0,))
    root, told = ours(f, 0, 2, (1.0,), full_output=True)
    assert told.converged
    slope = -root.item() / (np.sin(root.item()) + 1)
    np.testing.assert_allclose(tn.grad(lambda k: ours(f, 0, 2, (k,)))(1.0).item(), slope, rtol=1e-10)
    with pytest.raises(RuntimeError, match=name):
        ours(f, 0, 2, (1.0,), maxiter=2)


def test_rosenbrock() -> None:
    x, p = np.array([0.3, -1.2, 0.7, 1.4]), np.array([1.0, 0.5, -2.0, 0.3])
    for name, args in {"rosen": (x,), "rosen_der": (x,), "rosen_hess": (x,), "rosen_hess_prod": (x, p)}.items():
        ours, theirs = (getattr(space, name) for space in (tn.optimize, optimize))
        np.testing.assert_allclose(ours(*map(tn.tensor, args)).numpy(), theirs(*args), rtol=1e-13)
    np.testing.assert_allclose(tn.grad(tn.optimize.rosen)(x), tn.optimize.rosen_der(x), rtol=1e-13)
    np.testing.assert_allclose(tn.hessian(tn.optimize.rosen)(x), tn.optimize.rosen_hess(x), rtol=1e-13)
    check_grads(tn.optimize.rosen_hess_prod, [x, p], order=2)
