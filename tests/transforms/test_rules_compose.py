"""Checkpoints, rules of whole functions and implicit functions under all other transformations, eager and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn

X = np.array([1.3, 1.7])
V = np.array([0.5, -1.0])


def checkpointed() -> Any:
    return tn.checkpoint(lambda x: np.sin(x) * x)


def by_pair() -> Any:
    f = tn.custom_vjp(lambda x: np.sin(x) * x)
    f.defvjp(lambda x: (f(x), (x, np.cos(x))), lambda kept, g: (g * (kept[0] * kept[1] + np.sin(kept[0])),))
    return f


def by_tangent() -> Any:
    f = tn.custom_jvp(lambda x: np.sin(x) * x)
    f.defjvps(lambda t, out, x: t * (x * np.cos(x) + np.sin(x)))
    return f


def root() -> Any:
    def f(x: Any) -> Any:
        return tn.implicit.root(lambda y, x: y**3 + y * x.sum() - x, 0.5 * np.ones(2), x)

    return f


def fixed_point() -> Any:
    def f(x: Any) -> Any:
        return tn.implicit.fixed_point(lambda y, x: np.tanh(y * x / 4 + x[::-1]), np.zeros(2), x)

    return f


def minimum() -> Any:
    def f(x: Any) -> Any:
        return tn.implicit.minimize(lambda y, x: (y**4).sum() + ((y - x) ** 2).sum() + y.sum() ** 2, np.zeros(2), x)

    return f


def linear() -> Any:
    def f(x: Any) -> Any:
        return tn.implicit.linear_solve(lambda y, x: y * x + y.sum(), np.ones(2), x)

    return f


FUNCTIONS: dict[str, Callable[[], Any]] = {
    f.__name__: f for f in (checkpointed, by_pair, by_tangent, root, fixed_point, minimum, linear)
}


def run(f: Any, compiled: bool) -> list[Any]:
    """What a function gives, compiled for the second time."""
    made = tn.compile(f) if compiled else f
    if compiled:
        made(X + 0.1)
    return [np.asarray(t.numpy()) for t in tn.tree.leaves(made(X))]


def difference(f: Any, d: float = 1e-5) -> Any:
    """The Jacobian by central differences."""
    return np.stack([(f(X + d * e) - f(X - d * e)) / (2 * d) for e in np.eye(2)], -1)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_all_compose(name: str, compiled: bool) -> None:
    f = FUNCTIONS[name]()
    total = lambda x: f(x).sum()
    (jacobian,) = run(tn.jacfwd(f), compiled)
    np.testing.assert_allclose(jacobian, difference(lambda x: np.asarray(f(x))), rtol=1e-7, atol=1e-9)
    (backwards,) = run(tn.jacrev(f), compiled)
    np.testing.assert_allclose(backwards, jacobian, rtol=1e-8, atol=1e-12)
    value, tangent = run(lambda x: tn.jvp(f, (x,), (V,)), compiled)
    np.testing.assert_allclose(value, np.asarray(f(X)), rtol=1e-8)
    np.testing.assert_allclose(tangent, jacobian @ V, rtol=1e-8, atol=1e-12)
    (hessian,) = run(tn.hessian(total), compiled)
    np.testing.assert_allclose(hessian, difference(lambda x: tn.grad(total)(x).numpy()), rtol=1e-6, atol=1e-8)
    both = lambda x: tn.vmap(lambda s: (tn.grad(total)(x * s), tn.jvp(f, (x * s,), (V,))[1]))(np.ones(2))
    for lanes, expected in zip(run(both, compiled), (jacobian.sum(0), jacobian @ V), strict=True):
        np.testing.assert_allclose(lanes, np.stack([expected] * 2), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", ["checkpointed", "by_pair", "by_tangent", "linear"])
def test_third_derivatives(name: str) -> None:
    f = FUNCTIONS[name]()
    second = tn.hessian(lambda x: f(x).sum())
    third = tn.jacfwd(second)(X).numpy()
    np.testing.assert_allclose(third, difference(lambda x: second(x).numpy()), rtol=1e-6, atol=1e-7)


def test_gradients_per_sample_of_a_checkpointed_module() -> None:
    net = nn.Sequential(nn.Linear(3, 4, dtype="float64", rng=0), nn.Tanh(), nn.Linear(4, 1, dtype="float64", rng=1))
    xs = np.random.default_rng(0).normal(size=(5, 3))
    params = dict(net.named_parameters())

    def of(run: Any) -> Any:
        grad = tn.grad(lambda p, x: tn.functional_call(net, p, x).sum() if run is net else run(p, x).sum())
        return tn.vmap(grad, in_axes=(None, 0))(params, xs)

    found = of(tn.checkpoint(lambda p, x: tn.functional_call(net, p, x)))
    for name, expected in of(net).items():
        np.testing.assert_allclose(found[name].numpy(), expected.numpy(), rtol=1e-10)
