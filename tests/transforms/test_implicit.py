"""Derivatives of what solvers find: beside closed forms, JAX and finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.testing import check_grads

pytest.importorskip("scipy")

R = np.random.default_rng(0)
A = R.normal(size=(3, 3)) + 4 * np.eye(3)
B = R.normal(size=3)


def cubic(x: Any, a: Any, b: Any) -> Any:
    return x**3 + a @ x - b


def contraction(x: Any, a: Any, b: Any) -> Any:
    return np.tanh(a @ x / 10 + b)


def bowl(x: Any, a: Any, b: Any) -> Any:
    return (x**4).sum() / 4 + ((a @ x - b) ** 2).sum()


def solve_root(a: Any, b: Any) -> Any:
    return tn.implicit.root(cubic, np.zeros(3), a, b)


def solve_fixed_point(a: Any, b: Any) -> Any:
    return tn.implicit.fixed_point(contraction, np.zeros(3), a, b)


def solve_minimum(a: Any, b: Any) -> Any:
    return tn.implicit.minimize(bowl, np.zeros(3), a, b)


def solve_linear(a: Any, b: Any) -> Any:
    return tn.implicit.linear_solve(lambda x, a: a @ x, b, a)


SOLVED = {f.__name__: f for f in (solve_root, solve_fixed_point, solve_minimum, solve_linear)}


@pytest.mark.parametrize("name", SOLVED)
def test_the_derivatives_of_two_orders(name: str) -> None:
    check_grads(SOLVED[name], [A, B], order=2)


def values(f: Any) -> list[Any]:
    """Value, gradients, and a second derivative."""

    def loss(a: Any, b: Any) -> Any:
        return (f(a, b) ** 2).sum()

    def second(a: Any, b: Any) -> Any:
        return tn.grad(lambda b: (tn.grad(loss, 0)(a, b) ** 2).sum())(b)

    return [loss, tn.grad(loss, (0, 1)), second]


@pytest.mark.parametrize("name", SOLVED)
def test_compiled_they_give_the_same(name: str) -> None:
    """For other arguments than those of the capture, too."""
    for f in values(SOLVED[name]):
        run = tn.compile(f)
        run(A + 1, B)
        run(A + 1, B)
        found, expected = run(A, B), f(A, B)
        for x, y in zip(tn.tree.leaves(found), tn.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(x.numpy(), y.numpy(), rtol=1e-8, atol=1e-12)


def test_a_linear_system_is_that_of_numpy() -> None:
    found = values(solve_linear)
    expected = values(np.linalg.solve)
    for f, g in zip(found, expected, strict=True):
        for x, y in zip(tn.tree.leaves(f(A, B)), tn.tree.leaves(g(A, B)), strict=True):
            np.testing.assert_allclose(x.numpy(), tn.asarray(y).numpy(), rtol=1e-10)


@pytest.mark.slow
def test_a_root_is_that_of_jax() -> None:
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):

        def solve(f: Any, x: Any) -> Any:
            for _ in range(8):
                x = x - jax.numpy.linalg.solve(jax.jacobian(f)(x), f(x))
            return x

        def tangent(g: Any, y: Any) -> Any:
            return jax.numpy.linalg.solve(jax.jacobian(g)(y), y)

        def loss(a: Any, b: Any) -> Any:
            x = jax.lax.custom_root(lambda x: x**3 + a @ x - b, jax.numpy.zeros(3), solve, tangent)
            return (x**2).sum()

        expected = [loss, jax.grad(loss, (0, 1)), jax.grad(lambda a, b: (jax.grad(loss)(a, b) ** 2).sum(), 1)]
        for f, g in zip(values(solve_root), expected, strict=True):
            for x, y in zip(tn.tree.leaves(f(A, B)), jax.tree.leaves(g(A, B)), strict=True):
                np.testing.assert_allclose(x.numpy(), np.asarray(y), rtol=1e-8)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_is_closed_over_gets_gradients(compiled: bool) -> None:
    """Parameters of a module, and values that were computed before."""
    layer = nn.Linear(3, 3, dtype="float64", rng=0)
    layer.weight.data = layer.weight.data * 0.3

    def step(x: Any, inside: bool) -> Any:
        shift = tn.exp(x)
        if inside:
            z = tn.implicit.fixed_point(lambda z: tn.tanh(layer(z) + shift), np.zeros(3))
        else:
            z = tn.tensor(np.zeros(3))
            for _ in range(200):
                z = tn.tanh(layer(z) + shift)
        loss = (z**2).sum()
        layer.zero_grad()
        loss.backward()
        return loss, layer.weight.grad, layer.bias.grad

    run = tn.compile(step) if compiled else step
    run(B + 1, True)
    for found, expected in zip(run(B, True), step(B, False), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-9)
    x = tn.tensor(B, requires_grad=True)
    tn.implicit.fixed_point(lambda z: tn.tanh(layer(z) + tn.exp(x)), np.zeros(3)).sum().backward()
    assert (x.grad.numpy() != 0).all()


def test_solvers_of_scipy_and_others() -> None:
    from scipy import optimize

    def bracketed(f: Any, x0: Any) -> Any:
        return optimize.brentq(lambda s: f(np.array([s]))[0], 0, 2)

    solvers: list[tuple[Any, dict[str, Any]]] = [
        (optimize.root, {"method": "lm"}),
        (optimize.newton_krylov, {"f_tol": 1e-12}),
        (optimize.fsolve, {"full_output": True, "xtol": 1e-12}),
        (optimize.least_squares, {"xtol": 1e-14, "gtol": 1e-14, "ftol": 1e-14}),
        (bracketed, {}),
    ]
    for solver, options in solvers:
        f = tn.value_and_grad(
            lambda a, s=solver, o=options: tn.implicit.root(lambda x, a: x * x - a, 1.2, a, solver=s, **o)
        )
        value, gradient = f(2.0)
        np.testing.assert_allclose([value.item(), gradient.item()], [2**0.5, 0.5 / 2**0.5], rtol=1e-8)
    for solver in ("anderson", "iteration", optimize.fixed_point):
        f = tn.grad(lambda b, s=solver: tn.implicit.fixed_point(contraction, np.zeros(3), A, b, solver=s).sum())
        np.testing.assert_allclose(f(B).numpy(), tn.grad(lambda b: solve_fixed_point(A, b).sum())(B).numpy(), rtol=1e-7)
    f = tn.grad(lambda b: tn.implicit.minimize(bowl, np.zeros(3), A, b, method="Newton-CG").sum())
    np.testing.assert_allclose(f(B).numpy(), tn.grad(lambda b: solve_minimum(A, b).sum())(B).numpy(), rtol=1e-6)


def test_structures() -> None:
    def residual(x: Any, p: Any) -> Any:
        return {"u": x["u"] ** 2 - p["a"] * x["v"][0], "v": (x["v"][0] - x["u"].sum() - 1,)}

    def f(a: Any) -> Any:
        x = tn.implicit.root(residual, {"u": np.ones(2), "v": [1.0]}, {"a": a})
        return x["u"].sum() * x["v"][0]

    check_grads(f, [np.array([1.5, 0.7])], order=2)


def test_many_unknowns_take_products_alone() -> None:
    """A diffusion with a reaction on 400 points: no matrix is made."""
    n = 400
    ones = np.ones(n)

    def laplacian(u: Any) -> Any:
        zero = np.zeros(1)
        return 2 * u - np.concatenate([u[1:], zero]) - np.concatenate([zero, u[:-1]])

    def solution(k: Any) -> Any:
        return tn.implicit.linear_solve(lambda u, k: laplacian(u) + k * u, ones, k, positive=True)

    def general(k: Any) -> Any:
        return tn.implicit.linear_solve(lambda u, k: laplacian(u) + k * u, ones, k)

    matrix = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1) + np.eye(n)
    expected = np.linalg.solve(matrix, ones)
    slope = -np.linalg.solve(matrix, expected).sum()
    for f in (solution, general):
        np.testing.assert_allclose(f(1.0).numpy(), expected, rtol=1e-9)
        np.testing.assert_allclose(tn.grad(lambda k, f=f: f(k).sum())(1.0).item(), slope, rtol=1e-9)


def test_a_way_to_solve_of_ones_own() -> None:
    calls = []

    def solve(multiply: Any, b: Any) -> Any:
        calls.append(b)
        return np.linalg.solve(np.stack([multiply(e) for e in np.eye(len(b))], 1), b)

    f = tn.grad(lambda b: tn.implicit.root(cubic, np.zeros(3), A, b, solve=solve).sum())
    np.testing.assert_allclose(f(B).numpy(), tn.grad(lambda b: solve_root(A, b).sum())(B).numpy(), rtol=1e-10)
    assert len(calls) == 1


def test_single_precision_stays() -> None:
    f = tn.grad(lambda b: tn.implicit.root(cubic, np.zeros(3, np.float32), A.astype(np.float32), b).sum())
    found = f(B.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found.numpy(), tn.grad(lambda b: solve_root(A, b).sum())(B).numpy(), rtol=1e-4)


def test_a_complex_root() -> None:
    f = tn.grad(lambda c: np.abs(tn.implicit.fixed_point(lambda z, c: 0.5 * np.sin(z) + c, 0j, c) ** 2))
    eps, c = 1e-6, 0.3 + 0.4j

    def value(c: Any) -> float:
        z = 0j
        for _ in range(200):
            z = 0.5 * np.sin(z) + c
        return float(np.abs(z) ** 2)

    slopes = [(value(c + d) - value(c - d)) / (2 * eps) for d in (eps, eps * 1j)]
    np.testing.assert_allclose(f(c).item(), slopes[0] + 1j * slopes[1], rtol=1e-7)


def test_mistakes_are_told() -> None:
    implicit = tn.implicit
    with pytest.raises(TypeError, match=r"tn.implicit.root: x0\['a'\] holds int64, and unknowns are floats"):
        implicit.root(lambda x: x, {"a": np.arange(3)})
    with pytest.raises(TypeError, match="x0 is str, not an array"):
        implicit.root(lambda x: x, "x")
    with pytest.raises(
        ValueError, match=r"the residual gives shape\(s\) \(3,\), and x0 has \(4,\): there must be as many"
    ):
        implicit.root(lambda x: x[:3], np.zeros(4))
    with pytest.raises(ValueError, match=r"f gives shapes \[\(3,\)\], and x0 has \[\(4,\)\]"):
        implicit.fixed_point(lambda x: x[:3], np.zeros(4))
    with pytest.raises(ValueError, match="must give a single number"):
        implicit.minimize(lambda x: x, np.zeros(4))
    with pytest.raises(ValueError, match='give "anderson", "iteration"'):
        implicit.fixed_point(np.cos, 0.0, solver="newton")  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"tn\.implicit\.root: the solver did not converge: "):
        implicit.root(lambda x: x**2 + 1, 1.0)
    with pytest.raises(RuntimeError, match="the iteration did not converge in 7 steps"):
        implicit.fixed_point(lambda x: 2 * x + 1, 1.0, solver="iteration", max_iterations=7)
    with pytest.raises(RuntimeError, match="does not solve the equation: the gradient has norm 1"):
        implicit.minimize(lambda x: (x**2).sum(), 1.0, method="L-BFGS-B", bounds=[(0.5, 2)])
    with pytest.raises(ValueError, match=r"the solver gave float64 \(2,\) for 3 unknown"):
        implicit.root(lambda x: x, np.ones(3), solver=lambda f, x0: x0[:2])
    with pytest.raises(ValueError, match=r"the linear system of 2 unknown.* is singular"):
        tn.grad(lambda p: implicit.root(lambda x, p: (x.sum() - p) * np.ones(2), np.ones(2), p).sum())(2.0)
    with pytest.raises(RuntimeError, match="gmres did not solve the linear system of 300 unknowns"):
        implicit.linear_solve(lambda x: 0 * x, np.ones(300))
    with pytest.raises(TypeError, match="b holds int64; pass floats"):
        implicit.linear_solve(lambda x: x, np.arange(3))
    with pytest.raises(ValueError, match=r"solve gave shape \(1,\) for a right side of shape \(3,\)"):
        implicit.linear_solve(lambda x: x, B, solve=lambda multiply, b: b[:1])


def test_an_equation_of_parts_that_are_joined_is_compiled() -> None:
    def solved(a: Any) -> Any:
        return tn.implicit.root(lambda x, a: np.stack([x[0] ** 2 + x[1] - a, x[0] - x[1]]), np.ones(2), a)[0]

    run = tn.compile(solved)
    for a in (2.0, 6.0):
        np.testing.assert_allclose(run(np.float64(a)).numpy(), (np.sqrt(1 + 4 * a) - 1) / 2, rtol=1e-9)


@pytest.mark.parametrize("compiled", [False, True])
def test_what_a_lifted_function_closes_over_gets_gradients(compiled: bool) -> None:
    """The handle that stands for a tensor inside of it is another one at each run."""

    def found(k: Any) -> Any:
        return tn.implicit.root(tn.lift(lambda x: x * x - k), np.array([1.5])).sum()

    gradient = tn.compile(tn.grad(found)) if compiled else tn.grad(found)
    np.testing.assert_allclose(gradient(2.0).numpy(), 0.5 / np.sqrt(2), rtol=1e-9)
    np.testing.assert_allclose(tn.grad(tn.grad(found))(2.0).numpy(), -0.25 * 2**-1.5, rtol=1e-8)
