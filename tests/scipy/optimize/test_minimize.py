"""`tn.optimize.minimize`: SciPy's methods with exact derivatives, results, and derivatives of what was found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import optimize

import tapenet as tn
from tapenet.testing import check_grads
from tests.scipy.optimize.test_scipys_own import METHODS, START, bowl

SLOW = pytest.mark.slow
A = np.array([0.3, 0.2, 0.1])
SHARP = {"tol": 1e-12, "options": {"maxiter": 500}}


def valley(x: Any) -> Any:
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


@pytest.mark.parametrize("method", [pytest.param(m, marks=() if m == "SLSQP" else SLOW) for m in METHODS])
def test_every_method_finds_the_minimum(method: str) -> None:
    found = tn.optimize.minimize(bowl, START, method=method)
    assert found.success
    np.testing.assert_allclose(found.x.numpy(), 1.0, atol=1e-3 if method in ("COBYLA", "Nelder-Mead") else 1e-4)
    assert type(found.x) is type(found.fun) is tn.Tensor


@pytest.mark.parametrize(
    "method", ["L-BFGS-B", *(pytest.param(m, marks=SLOW) for m in ("BFGS", "Newton-CG", "trust-exact"))]
)
def test_the_steps_are_those_of_exact_derivatives(method: str) -> None:
    """As many evaluations as SciPy makes of the same function with derivatives in closed form."""
    second = {"hess": optimize.rosen_hess} if method == "trust-exact" else {}
    if method == "Newton-CG":
        second = {"hessp": optimize.rosen_hess_prod}
    expected = optimize.minimize(optimize.rosen, START, jac=optimize.rosen_der, method=method, **second)
    found = tn.optimize.minimize(valley, START, method=method)
    assert (found.nit, found.nfev) == (expected.nit, expected.nfev)
    np.testing.assert_allclose(found.x.numpy(), expected.x, rtol=1e-5)
    np.testing.assert_allclose(found.jac.numpy(), expected.jac, atol=1e-5)


def test_parameters_may_be_nested() -> None:
    target = {"w": np.arange(6.0).reshape(2, 3), "b": (np.float32(2.0), np.array([3.0]))}

    def misfit(p: Any) -> Any:
        return sum(((a - b) ** 2).sum() for a, b in zip(tn.tree.leaves(p), tn.tree.leaves(target), strict=True))

    seen = []
    found = tn.optimize.minimize(
        misfit,
        {"w": np.zeros((2, 3)), "b": (np.float32(0), np.zeros(1))},
        bounds={"w": (-1.0, np.array([4.0, 4.0, 2.5])), "b": (None, [(0.0, 2.0)])},
        callback=lambda p: seen.append(tn.tree.structure(p)),
    )
    np.testing.assert_allclose(found.x["w"].numpy(), [[0, 1, 2], [3, 4, 2.5]], atol=1e-5)
    np.testing.assert_allclose(found.x["b"][0].numpy(), 2, atol=1e-5)
    assert found.x["b"][0].dtype == np.float32
    assert found.x["b"][1].numpy() == 2.0
    assert found.jac["w"].shape == (2, 3)
    assert set(seen) == {tn.tree.structure(found.x)}


def test_what_scipy_takes_for_a_vector_is_one() -> None:
    for x0 in ([0, 0], np.zeros(2, np.int64), tn.tensor([0.0, 0.0])):
        assert tn.optimize.minimize(lambda x: ((x - 1) ** 2).sum(), x0).x.shape == (2,)
    assert tn.optimize.minimize(lambda x: ((x - 1) ** 2).sum(), 0.0).x.shape == (1,)


def limited(a: Any, low: Any) -> Any:
    return tn.optimize.minimize(
        lambda x, a: valley(x) + ((x - a) ** 2).sum(), START, (a,), bounds=(low, 3.0), **SHARP
    ).x


def constrained(a: Any, b: Any) -> Any:
    """One side of the second constraint holds, the third holds nowhere."""
    return tn.optimize.minimize(
        lambda x: ((x - a) ** 4).sum() + ((x - a) ** 2).sum(),
        START,
        constraints=[
            {"type": "eq", "fun": lambda x: x.sum() - b[0]},
            {"type": "ineq", "fun": lambda x, k: k - x[0] ** 2, "args": (b[1],)},
            optimize.NonlinearConstraint(lambda x: x[1] * x[2], -5, 5),
        ],
        **SHARP,
    ).x


LOW, B = np.array([0.0, 0.5, 0.0]), np.array([2.0, 0.04])


def test_derivatives_where_bounds_hold() -> None:
    assert limited(A, LOW).numpy()[1] == 0.5
    by_a, by_low = (j.numpy() for j in tn.jacobian(limited, (0, 1))(A, LOW))
    np.testing.assert_allclose(by_a[1], 0, atol=1e-15)
    assert by_low[1, 1] == 1
    np.testing.assert_allclose(by_low[:, 0], 0, atol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("f", [limited, constrained])
def test_the_derivatives_of_two_orders(f: Any) -> None:
    check_grads(f, [A, LOW if f is limited else B], order=2)


@pytest.mark.slow
def test_derivatives_where_constraints_hold() -> None:
    """By differences; and by hand: of the first, which the second constraint sets, 0.2 = sqrt(0.04)."""
    np.testing.assert_allclose(constrained(A, B).numpy(), [0.2, 0.95, 0.85], atol=1e-7)
    by_b = tn.jacobian(constrained, 1)(A, B).numpy()
    np.testing.assert_allclose(by_b, [[0, 2.5], [0.5, -1.25], [0.5, -1.25]], atol=1e-6)


def test_a_linear_constraint_is_of_the_vector_of_all_unknowns() -> None:
    def found(a: Any) -> Any:
        x = tn.optimize.minimize(
            lambda p: ((p["u"] - a) ** 2).sum() + p["v"] ** 2,
            {"u": np.zeros(2), "v": 0.0},
            constraints=optimize.LinearConstraint([[1.0, 1.0, 1.0]], 3, 3),
            **SHARP,
        ).x
        return tn.concatenate([x["u"], x["v"].reshape(1)])

    a = np.array([1.0, 0.5])
    np.testing.assert_allclose(found(a).numpy(), [1.5, 1.0, 0.5], atol=1e-8)
    np.testing.assert_allclose(tn.jacobian(found)(a).numpy(), np.array([[2, -1], [-1, 2], [-1, -1]]) / 3, atol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(("f", "backend"), [(limited, "numpy"), (limited, "native"), (constrained, "native")])
def test_compiled_and_in_other_transformations(f: Any, backend: str) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    second = LOW if f is limited else B

    def loss(a: Any) -> Any:
        return (f(a, second) ** 2).sum()

    for g in (tn.value_and_grad(loss), *([tn.hessian(loss)] if f is limited else [])):
        run = tn.compile(g, backend=backend)
        run(A + 0.1)
        for found, expected in zip(tn.tree.leaves(run(A)), tn.tree.leaves(g(A)), strict=True):
            np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-6, atol=1e-8)
    lanes = np.stack([A, A + 0.1])
    expected = np.stack([f(a, second).numpy() for a in lanes])
    np.testing.assert_allclose(tn.vmap(lambda a: f(a, second))(lanes).numpy(), expected, atol=1e-8)
    pushed = tn.jvp(lambda a: f(a, second), (A,), (np.ones(3),))[1]
    np.testing.assert_allclose(pushed.numpy(), tn.jacobian(lambda a: f(a, second))(A).numpy().sum(1), atol=1e-7)


def test_compiled_it_solves_anew_at_each_call() -> None:
    def lowest(a: Any) -> Any:
        return tn.optimize.minimize(lambda x: ((x - a) ** 2).sum() + (x**4).sum(), [0.0], bounds=[(None, 0.4)]).x[0]

    run = tn.compile(tn.value_and_grad(lowest))
    for a in (2.0, 0.3, 0.5, 3.0):
        found, expected = run(np.float64(a)), tn.value_and_grad(lowest)(a)
        np.testing.assert_allclose([t.numpy() for t in found], [t.numpy() for t in expected], rtol=1e-6, atol=1e-9)
    assert found[1].numpy() == 0


def test_a_compiled_step_tells_nothing_of_the_run_that_was_captured() -> None:
    def step(a: Any) -> Any:
        found = tn.optimize.minimize(lambda x: ((x - a) ** 2).sum(), [0.0])
        return found.x, sorted(found)

    assert tn.compile(step)(np.float64(1.0))[1] == ["fun", "x"]


def test_the_value_has_a_derivative_too() -> None:
    """By the theorem of the envelope it is that of the function alone."""
    t = tn.tensor([1.0, 2.0], requires_grad=True)
    found = tn.optimize.minimize(lambda x: ((x - t) ** 2).sum() + t[0] * 3, [0.0, 0.0])
    found.fun.backward()
    np.testing.assert_allclose(t.grad.numpy(), [3, 0], atol=1e-6)


def test_programs_follow_what_a_function_reads() -> None:
    global LEVEL
    shift = np.array([1.0, 2.0])

    def f(x: Any) -> Any:
        return ((x - LEVEL - shift) ** 2).sum()

    for LEVEL in (1.0, 3.0):
        np.testing.assert_allclose(tn.optimize.minimize(f, [0.0, 0.0]).x.numpy(), LEVEL + shift, atol=1e-6)
    shift[:] = 0
    np.testing.assert_allclose(tn.optimize.minimize(f, [0.0, 0.0]).x.numpy(), 3.0, atol=1e-6)


LEVEL = 0.0


def test_a_function_that_looks_at_values_runs_as_it_is() -> None:
    def f(x: Any) -> Any:
        return ((x - 1) ** 2).sum() * (1 if x[0].item() > 0.5 else 2)

    for method in ("BFGS", "trust-exact", "Newton-CG"):
        np.testing.assert_allclose(tn.optimize.minimize(f, [0.0, 3.0], method=method).x.numpy(), 1, atol=1e-6)


def test_what_did_not_converge_has_no_derivative() -> None:
    def f(a: Any) -> Any:
        return tn.optimize.minimize(lambda x: valley(x - a), START, method="BFGS", options={"maxiter": 2})

    assert not f(1.0).success
    with pytest.raises(RuntimeError, match=r"did not converge.*Maximum number of iterations"):
        tn.grad(lambda a: f(a).x.sum())(1.0)
    with pytest.raises(RuntimeError, match="did not converge"):
        tn.compile(lambda a: f(a).x)(np.float64(1.0))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: tn.optimize.minimize(bowl, START * 1j), TypeError, "x0 holds complex128"),
        (lambda: tn.optimize.minimize(bowl, {"a": "x"}), TypeError, r"x0\['a'\] is str"),
        (lambda: tn.optimize.minimize(lambda x: x * 2, START), ValueError, r"gives shape \(3,\)"),
        (lambda: tn.optimize.minimize(bowl, START, bounds=[(0, 1)] * 2 + [(1, 0)]), ValueError, "above its upper"),
        (lambda: tn.optimize.minimize(bowl, START, bounds=[(0, 1)] * 4), ValueError, r"4, and it has shape \(3,\)"),
        (lambda: tn.optimize.minimize(bowl, START, constraints=[3]), TypeError, "int is no constraint"),
        (lambda: tn.optimize.minimize(bowl, START, method="none"), ValueError, r"^tn\.optimize\.minimize: Unknown s"),
    ],
)
def test_errors_say_what_to_write(call: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        call()


def test_of_a_function_of_one_number() -> None:
    def lowest(a: Any, high: Any) -> Any:
        return tn.optimize.minimize_scalar(
            lambda x: np.cosh(x - a**2), bounds=(0.0, high), method="bounded", options={"xatol": 1e-10}
        ).x

    check_grads(lambda a: lowest(a, 5.0), [np.array(1.5)], order=1)
    np.testing.assert_allclose(lowest(1.5, 5.0).numpy(), 2.25, rtol=1e-7)
    assert tn.grad(lowest, 1)(1.5, 2.0).item() == 1.0


def test_that_nothing_is_kept_when_the_function_goes() -> None:
    import gc
    import weakref

    f: Any = lambda x: (x**2).sum()
    tn.optimize.minimize(f, START)
    gone = weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None


def test_derivatives_that_programs_for_scipy_give() -> None:
    """They are taken, and the exact ones are used."""
    expected = tn.optimize.minimize(valley, START, method="trust-exact").x.numpy()
    given: list[dict[str, Any]] = [
        {"jac": tn.grad(valley), "hess": tn.hessian(valley)}, {"jac": np.sin, "hess": np.cos},
        {"jac": tn.grad(valley), "hessp": tn.hvp(valley)},
    ]  # fmt: skip
    for derivatives in given:
        found = tn.optimize.minimize(valley, START, method="trust-exact", **derivatives)
        np.testing.assert_allclose(found.x.numpy(), expected, rtol=1e-12)
    both = tn.optimize.minimize(tn.value_and_grad(valley), START, jac=True, method="trust-exact")
    np.testing.assert_allclose(both.x.numpy(), expected, rtol=1e-12)
    assert both.nfev == found.nfev


def test_bounds_of_single_elements_that_are_tensors() -> None:
    def lowest(high: Any) -> Any:
        bounds = [(0, high), (None, None), (-high, None)]
        return tn.optimize.minimize(lambda x: ((x - 2) ** 2).sum(), np.zeros(3), bounds=bounds, method="L-BFGS-B").x

    np.testing.assert_allclose(tn.jacobian(lowest)(np.array(0.1)).numpy(), [1, 0, 0], atol=1e-8)
    np.testing.assert_allclose(tn.vmap(lowest)(np.array([0.1, 0.2])).numpy()[:, 0], [0.1, 0.2])
