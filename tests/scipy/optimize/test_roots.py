"""`tn.optimize.root` and `root_scalar`: beside SciPy's, and the derivatives of what they find."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize

import tapenet as tn
from tapenet.testing import check_grads

SLOW = pytest.mark.slow
A = np.array([1.0, 2.0, 0.5])
OPTIONS = [{"bracket": [0, 3], "method": m} for m in ("bisect", "ridder", "brenth", "toms748")] + [
    {"x0": 1.0, "x1": 1.1}
]


def equations(x: Any, a: Any) -> Any:
    return x**3 + 2 * x + x[::-1] - a


def kepler(e: Any, eccentricity: Any, anomaly: Any) -> Any:
    return e - eccentricity * np.sin(e) - anomaly


@pytest.mark.parametrize(
    "method", ["hybr", *(pytest.param(m, marks=SLOW) for m in ("lm", "broyden1", "anderson", "krylov", "df-sane"))]
)
def test_methods(method: str) -> None:
    found = tn.optimize.root(equations, np.full(3, 0.5), args=(A,), method=method)
    assert found.success
    np.testing.assert_allclose(equations(found.x.numpy(), A), 0, atol=1e-4)
    assert type(found.x) is type(found.fun) is tn.Tensor


def test_the_jacobian_is_exact_where_the_method_takes_one() -> None:
    found = tn.optimize.root(equations, np.full(3, 0.5), args=(A,), tol=1e-13)
    by_differences = optimize.root(equations, np.full(3, 0.5), args=(A,), tol=1e-13)
    assert found.njev >= 1
    assert found.nfev < by_differences.nfev


def test_derivatives() -> None:
    check_grads(lambda a: tn.optimize.root(equations, np.full(3, 0.5), (a,), tol=1e-13).x, [A], order=1)


def test_nested_unknowns_compiled() -> None:
    def solved(a: Any) -> Any:
        x = tn.optimize.root(lambda x: (x["u"] ** 2 + x["v"] - a, x["u"] - x["v"]), {"u": 1.0, "v": 1.0}, tol=1e-13).x
        return x["u"]

    run = tn.compile(tn.value_and_grad(solved), backend="numpy")
    for a in (2.0, 3.0, 6.0):
        value, slope = run(np.float64(a))
        root = (np.sqrt(1 + 4 * a) - 1) / 2
        np.testing.assert_allclose([value.numpy(), slope.numpy()], [root, 1 / (2 * root + 1)], rtol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        {"bracket": [0, 3]}, {"x0": 1.0}, *(pytest.param(o, marks=SLOW) for o in OPTIONS),
        {"x0": 1.0, "method": "halley"},
    ],
)  # fmt: skip
def test_of_a_number(options: Any) -> None:
    def solved(e: Any, m: Any) -> Any:
        return tn.optimize.root_scalar(kepler, args=(e, m), xtol=1e-13, **options).root

    found = tn.optimize.root_scalar(kepler, args=(0.3, 1.0), **options)
    assert found.converged
    root = solved(0.3, 1.0).item()
    assert abs(kepler(root, 0.3, 1.0)) < 1e-12
    by_e, by_m = tn.grad(solved, (0, 1))(0.3, 1.0)
    slope = 1 / (1 - 0.3 * np.cos(root))
    np.testing.assert_allclose([by_e.numpy(), by_m.numpy()], [slope * np.sin(root), slope], rtol=1e-10)


def test_newtons_method_gets_exact_derivatives() -> None:
    newton, halley = (
        tn.optimize.root_scalar(kepler, args=(0.9, 0.1), x0=1.0, method=m).iterations for m in ("newton", "halley")
    )
    expected = optimize.root_scalar(
        kepler, args=(0.9, 0.1), x0=1.0, fprime=lambda e, k, m: 1 - k * np.cos(e), method="newton"
    )
    assert newton == expected.iterations
    assert halley < newton


def test_errors() -> None:
    with pytest.raises(ValueError, match="2 value"):
        tn.optimize.root(lambda x: x[:2], np.ones(3))
    with pytest.raises(ValueError, match=r"^tn\.optimize\.root_scalar: unable to select a solver"):
        tn.optimize.root_scalar(kepler, args=(0.3, 1.0))
    with pytest.raises(ValueError, match="different signs"):
        tn.optimize.root_scalar(kepler, args=(0.3, 1.0), bracket=[2, 3])
    failed = tn.optimize.root(lambda x, a: x**2 + a, np.ones(1), args=(A[:1],))
    assert not failed.success
    with pytest.raises(RuntimeError, match="did not converge"):
        tn.grad(lambda a: tn.optimize.root(lambda x, a: x**2 + a, np.ones(1), args=(a,)).x.sum())(A[:1])


def test_derivatives_that_programs_for_scipy_give() -> None:
    """They are taken, and the exact ones are used."""
    exact = tn.jacobian(equations)
    expected = optimize.root(lambda x: equations(x, A), np.ones(3)).x
    for fun, jac in ((equations, exact), (equations, np.zeros_like), (lambda x, a: (equations(x, a), None), True)):
        found = tn.optimize.root(fun, np.ones(3), args=(A,), jac=jac)
        np.testing.assert_allclose(found.x.numpy(), expected, rtol=1e-8)
    check_grads(lambda a: tn.optimize.root(equations, np.ones(3), args=(a,), jac=exact, tol=1e-13).x, [A], order=1)
    given = {"fprime": lambda e, k, m: 1 - k * np.cos(e), "fprime2": lambda e, k, m: k * np.sin(e)}
    scipys = optimize.root_scalar(kepler, args=(0.9, 0.1), x0=1.0, **given)
    found = tn.optimize.root_scalar(kepler, args=(0.9, 0.1), x0=1.0, **given)
    assert abs(found.iterations - scipys.iterations) <= 1  # where one is 0 to the bit, the other may not be
    assert found.method == scipys.method == "halley"
    np.testing.assert_allclose(found.root.numpy(), scipys.root, rtol=1e-12)


def test_newton_tells_of_its_run() -> None:
    root, told = tn.optimize.newton(lambda x: x**2 - 2, 1.0, fprime=lambda x: 2 * x, full_output=True)
    expected = optimize.newton(lambda x: x**2 - 2, 1.0, fprime=lambda x: 2 * x, full_output=True)[1]
    assert told.root is root
    assert told.converged
    assert abs(told.iterations - expected.iterations) <= 1
    roots, converged, flat = tn.optimize.newton(lambda x: x**2 - A, np.ones(3), full_output=True)
    np.testing.assert_allclose(roots.numpy(), np.sqrt(A), rtol=1e-12)
    assert converged.all()
    assert not flat.any()
    _, told = tn.optimize.newton(lambda x: x**2 - 2, 100.0, maxiter=2, full_output=True, disp=False)
    assert not told.converged
    with pytest.raises(RuntimeError, match=r"^tn\.optimize\.newton: Failed to converge"):
        tn.optimize.newton(lambda x: x**2 - 2, 100.0, maxiter=2)


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("method", ["bisect", "brentq", "brenth", "ridder", "toms748"])
def test_errors_of_searches_name_them(method: str, recorded: bool) -> None:
    mode = tn.enable_grad() if recorded else tn.no_grad()
    with pytest.raises(ValueError, match=rf"^tn\.optimize\.{method}: f\(a\)"), mode:
        getattr(tn.optimize, method)(lambda x: x**2 + 1, 0.0, 1.0)
