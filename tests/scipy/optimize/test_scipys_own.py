"""SciPy's own optimizers, given tapenet's functions as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize

import tapenet as tn

START = np.array([0.5, 0.6, 0.4])
METHODS = (
    "Nelder-Mead", "Powell", "CG", "BFGS", "Newton-CG", "L-BFGS-B", "TNC", "COBYLA", "COBYQA", "SLSQP", "trust-constr",
    "dogleg", "trust-ncg", "trust-krylov", "trust-exact",
)  # fmt: skip
#: The methods that failed, or gave tensors, are of every run of the tests.
QUICK = ("Newton-CG", "L-BFGS-B", "SLSQP", "BFGS", "CG", "trust-ncg")


def bowl(x: Any) -> Any:
    return ((x - 1) ** 4 / 4).sum() + ((x - 1) ** 2).sum() + x[0] * x[1] - x[0] - x[1]


def residuals(x: Any) -> Any:
    return np.concatenate([10 * (x[1:] - x[:-1] ** 2), 1 - x[:-1]])


def equations(x: Any) -> Any:
    return x**3 + x[::-1] - 1


@pytest.mark.filterwarnings("ignore:Method .* does not use gradient")
@pytest.mark.parametrize("method", [pytest.param(m, marks=() if m in QUICK else pytest.mark.slow) for m in METHODS])
def test_every_method_takes_a_value_and_gradient(method: str) -> None:
    if method == "COBYQA" and not hasattr(optimize, "show_options"):
        pytest.skip("this SciPy has no COBYQA")
    hess = {"hess": tn.hessian(bowl)} if method in ("dogleg", "trust-ncg", "trust-krylov", "trust-exact") else {}
    found = optimize.minimize(tn.value_and_grad(bowl), START, jac=True, method=method, **hess)
    assert found.success
    np.testing.assert_allclose(found.x, 1.0, atol=1e-3 if method in ("COBYLA", "Nelder-Mead") else 1e-4)
    assert type(found.x) is np.ndarray
    assert isinstance(found.fun, float)
    assert type(found.get("jac", START)) in (np.ndarray, list)


@pytest.mark.slow
def test_constraints_take_functions_and_jacobians() -> None:
    def constraint(x: Any) -> Any:
        return np.stack([x[0] - 2 * x[1] + 0.2, x.sum()])

    stated = optimize.NonlinearConstraint(
        constraint, 0, [5, 1.8], jac=tn.jacobian(constraint), hess=lambda x, v: 0 * np.eye(3)
    )
    by_name = {
        "type": "ineq",
        "fun": lambda x: tn.stack([constraint(x)[0], 1.8 - x.sum()]),
        "jac": tn.jacobian(lambda x: tn.stack([constraint(x)[0], 1.8 - x.sum()])),
    }
    found = [
        optimize.minimize(tn.value_and_grad(bowl), START, jac=True, method=m, constraints=[c], tol=1e-10)
        for m, c in (("SLSQP", by_name), ("trust-constr", stated))
    ]
    np.testing.assert_allclose(found[0].x, found[1].x, atol=1e-5)
    np.testing.assert_allclose(found[0].x.sum(), 1.8)
    assert all(type(f.x) is np.ndarray for f in found)


@pytest.mark.parametrize("method", ["lm", *(pytest.param(m, marks=pytest.mark.slow) for m in ("trf", "dogbox"))])
def test_least_squares_take_a_jacobian(method: str) -> None:
    found = optimize.least_squares(residuals, START, jac=tn.jacobian(residuals), method=method)
    np.testing.assert_allclose(found.x, 1)
    assert {type(found[name]) for name in ("x", "fun", "jac", "grad")} == {np.ndarray}


def test_roots_take_a_jacobian() -> None:
    for found in (
        optimize.root(tn.value_and_jacobian(equations), START, jac=True).x,
        optimize.root(equations, START, jac=tn.jacobian(equations), method="lm").x,
        optimize.fsolve(equations, START, fprime=tn.jacobian(equations)),
    ):
        assert type(found) is np.ndarray
        np.testing.assert_allclose(equations(found), 0, atol=1e-8)


def test_what_belongs_to_a_graph_is_refused() -> None:
    scale = tn.tensor(2.0, requires_grad=True)
    with pytest.raises(ValueError, match="scalar value") as caught:
        optimize.minimize(tn.value_and_grad(lambda x: scale * (x**2).sum()), START, jac=True, method="L-BFGS-B")
    assert "needs a gradient" in str(caught.value.__cause__)


def test_elsewhere_the_functions_of_numpy_give_tensors() -> None:
    assert type(np.atleast_1d(tn.tensor(1.0))) is tn.Tensor
    assert type(np.atleast_2d(tn.tensor([1.0]))) is tn.Tensor


def test_code_without_a_name_gets_tensors_too() -> None:
    space: dict[str, Any] = {"np": np, "t": tn.tensor(1.0)}
    exec("found = np.atleast_1d(t)", space)
    assert type(space["found"]) is tn.Tensor
