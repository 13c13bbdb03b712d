"""Gradient rules that cannot be read: they call C, Numba or SciPy, or branch on values. They are called as they stand."""

from __future__ import annotations

import ctypes
import ctypes.util
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn

X = np.linspace(-1.0, 1.5, 6)
BOTH = pytest.mark.parametrize("backend", ["numpy", "native"])

_libm = ctypes.CDLL(ctypes.util.find_library("m"))
_libm.erf.restype, _libm.erf.argtypes = ctypes.c_double, [ctypes.c_double]
_libm.cos.restype, _libm.cos.argtypes = ctypes.c_double, [ctypes.c_double]


def _each(f: Callable[[float], float], x: np.ndarray) -> np.ndarray:
    """A C function on each element, through its memory: nothing but an array has that."""
    given = np.array(x, np.float64, order="C")
    found = np.empty_like(given)
    numbers = ctypes.cast(given.ctypes.data, ctypes.POINTER(ctypes.c_double))
    results = ctypes.cast(found.ctypes.data, ctypes.POINTER(ctypes.c_double))
    for i in range(given.size):
        results[i] = f(numbers[i])
    return found


def _sine(x: np.ndarray) -> np.ndarray:
    return np.sin(x)


def _sine_rule(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    return g * _each(_libm.cos, x)


sine = tn.op(_sine, name="c_sine", x=_sine_rule)
referred = tn.op(lambda x: _each(math.sin, x), name="c_sine_referred", x=_sine_rule, reference=lambda x: np.sin(x))
#: Each rule is an op with a C rule: a derivative of every order.
cosine = tn.op(lambda x: _each(_libm.cos, x), name="c_cosine", x=lambda g, x: -g * chained(x))
chained = tn.op(lambda x: _each(math.sin, x), name="c_sine_chained", x=lambda g, x: g * cosine(x))


def _loss(op: Any) -> Callable[[Any], Any]:
    return lambda t: (op(2 * t) ** 2).sum()


def _first(x: np.ndarray) -> np.ndarray:
    return 4 * np.sin(2 * x) * np.cos(2 * x)


def _second(x: np.ndarray) -> np.ndarray:
    return np.diag(8 * np.cos(4 * x))


OPS = pytest.mark.parametrize("op", [sine, referred, chained], ids=lambda op: op.name)
#: Those with a derivative of second order.
TWICE = pytest.mark.parametrize("op", [referred, chained], ids=lambda op: op.name)

# -- compiled ----------------------------------------------------------------------------------------------------


@OPS
@BOTH
def test_a_compiled_gradient(op: Any, backend: str) -> None:
    step = tn.compile(tn.grad(_loss(op)), backend=backend)
    for k in range(3):
        np.testing.assert_allclose(step(X + k).numpy(), _first(X + k), rtol=1e-12)
    assert "c_sine" in str(step.explain())


@OPS
@BOTH
def test_a_compiled_backward_and_step(op: Any, backend: str) -> None:
    def train(w: tn.Tensor) -> Callable[[Any], tuple[Any, Any]]:
        opt = tn.optim.SGD([w], lr=0.1)

        def step(x: Any) -> tuple[Any, Any]:
            opt.zero_grad()
            loss = (op(w * x) ** 2).sum()
            loss.backward()
            opt.step()
            return loss, w.grad

        return step

    eager, compiled = (tn.tensor(X[1:4], requires_grad=True) for _ in range(2))
    step, quick = train(eager), tn.compile(train(compiled), backend=backend)
    for k in range(4):
        for a, b in zip(step(X[:3] + k), quick(X[:3] + k), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12)
    np.testing.assert_allclose(eager.numpy(), compiled.numpy(), rtol=1e-12)


def test_explain_says_which_rule_is_called_and_why() -> None:
    step = tn.compile(tn.grad(_loss(sine)))
    step(X)
    assert "c_sine gradient: " in str(step.explain())


@BOTH
def test_a_rule_is_called_once_in_each_call_of_a_program(backend: str) -> None:
    count = itertools.count()

    def rule(g: np.ndarray, x: np.ndarray) -> np.ndarray:
        value = g * _each(_libm.cos, x)
        next(count)
        return value

    counted = tn.op(np.sin, name="counted", x=rule)
    step = tn.compile(tn.grad(lambda t: counted(t).sum()), backend=backend)
    step(np.ones(2))
    before = next(count)
    step(np.ones(2))
    assert next(count) - before == 2


@OPS
@BOTH
@pytest.mark.parametrize("compiled", [False, True])
def test_in_a_loop(op: Any, backend: str, compiled: bool) -> None:
    def looped(x: Any) -> Any:
        return tn.scan(lambda c, _: (op(c), None), x, None, length=3)[0].sum()

    def unrolled(x: Any) -> Any:
        return np.sin(np.sin(np.sin(x))).sum()

    gradient = tn.compile(tn.grad(looped), backend=backend) if compiled else tn.grad(looped)
    for k in range(2):
        np.testing.assert_allclose(gradient(X + k).numpy(), tn.grad(unrolled)(X + k).numpy(), rtol=1e-12)


@OPS
def test_in_a_while_loop_and_a_branch(op: Any) -> None:
    def looped(x: Any) -> Any:
        return tn.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, op(c[1])), (0, x), max_turns=3)[1].sum()

    def branched(x: Any) -> Any:
        return tn.cond(x.sum() > 0, lambda x: op(x), lambda x: x, x).sum()

    for run in (tn.grad, lambda f: tn.compile(tn.grad(f))):
        expected = tn.grad(lambda x: np.sin(np.sin(np.sin(x))).sum())(X)
        np.testing.assert_allclose(run(looped)(X).numpy(), expected.numpy(), rtol=1e-12)
        np.testing.assert_allclose(run(branched)(X).numpy(), np.cos(X), rtol=1e-12)


# -- batched -----------------------------------------------------------------------------------------------------


@OPS
@pytest.mark.parametrize("compiled", [False, True])
def test_lanes_of_a_gradient(op: Any, compiled: bool) -> None:
    gradient = tn.vmap(tn.grad(_loss(op)))
    if compiled:
        gradient = tn.compile(gradient)
    xs = np.stack([X, X + 1, -X])
    np.testing.assert_allclose(gradient(xs).numpy(), _first(xs), rtol=1e-12)


def test_a_rule_that_is_an_op_with_vmap_is_called_once_for_all_lanes() -> None:
    shapes = []

    def forward(x: np.ndarray) -> np.ndarray:
        shapes.append(x.shape)
        return _each(math.cos, x)

    slope = tn.op(forward, name="slope", x=lambda g, x: -g * np.sin(x), vmap="leading")
    op = tn.op(np.sin, name="sine", x=lambda g, x: g * slope(x))
    gradient = tn.vmap(tn.grad(lambda t: op(t).sum()))
    gradient(np.ones((5, 3)))
    shapes.clear()
    np.testing.assert_allclose(gradient(np.ones((5, 3))).numpy(), np.full((5, 3), math.cos(1)))
    assert shapes[-1] == (5, 3)


# -- higher orders, forward mode ---------------------------------------------------------------------------------


@TWICE
@pytest.mark.parametrize("compiled", [False, True])
def test_second_derivatives(op: Any, compiled: bool) -> None:
    loss = _loss(op)
    for hessian in (tn.hessian(loss), tn.jacrev(tn.grad(loss)), tn.jacfwd(tn.grad(loss))):
        run = tn.compile(hessian) if compiled else hessian
        np.testing.assert_allclose(run(X).numpy(), _second(X), rtol=1e-10, atol=1e-12)
    penalty = tn.grad(lambda t: (tn.grad(loss)(t) ** 2).sum())
    run = tn.compile(penalty) if compiled else penalty
    np.testing.assert_allclose(run(X).numpy(), 2 * _first(X) @ _second(X), rtol=1e-10, atol=1e-12)


@TWICE
def test_forward_mode(op: Any) -> None:
    t = X**2 + 1
    for run in (lambda f: f, tn.compile):
        out, moved = run(lambda x, t: tn.jvp(_loss(op), (x,), (t,)))(X, t)
        np.testing.assert_allclose(out.numpy(), (np.sin(2 * X) ** 2).sum(), rtol=1e-12)
        np.testing.assert_allclose(moved.numpy(), _first(X) @ t, rtol=1e-12)


@TWICE
def test_lanes_of_second_derivatives_and_of_forward_mode(op: Any) -> None:
    xs = np.stack([X, X + 1])
    found = tn.vmap(tn.hessian(_loss(op)))(xs)
    np.testing.assert_allclose(found.numpy(), np.stack([_second(x) for x in xs]), rtol=1e-10, atol=1e-12)
    moved = tn.vmap(lambda x: tn.jvp(_loss(op), (x,), (np.ones_like(X),))[1])(xs)
    np.testing.assert_allclose(moved.numpy(), _first(xs).sum(1), rtol=1e-12)


@TWICE
def test_finite_differences_agree(op: Any) -> None:
    tn.testing.check_grads(op, [X], order=2)


@pytest.mark.parametrize(
    "second",
    [
        lambda f: tn.grad(tn.grad(f)),
        lambda f: tn.hessian(f),
        lambda f: tn.compile(tn.grad(tn.grad(f))),
        lambda f: tn.grad(tn.compile(tn.grad(f))),
        lambda f: lambda x: tn.jvp(f, (x,), (1.0,)),
        lambda f: lambda x: tn.vmap(lambda x: tn.jvp(f, (x,), (x,))[1])(np.ones(2) * x),
        lambda f: tn.jacfwd(f),
        lambda f: lambda x: tn.vmap(tn.grad(tn.grad(f)))(np.ones(2) * x),
        lambda f: tn.grad(lambda x: tn.scan(lambda c, _: (tn.grad(f)(c), None), x, None, length=2)[0]),
        lambda f: lambda x: tn.linearize(f, x)[1](1.0),
    ],
)
@pytest.mark.parametrize("mixed", [False, True])
def test_without_a_reference_a_further_derivative_is_an_error(second: Any, mixed: bool) -> None:
    """Also where another part of the function has one: nothing is left out in silence."""

    def f(x: Any) -> Any:
        return (sine(x) + x**3 if mixed else sine(x)).sum()

    words = (
        r"rule for 'x' of op 'c_sine' is called as it stands .* give tn\.op reference=.* or make what the rule calls"
    )
    with pytest.raises(TypeError, match=words):
        second(f)(0.5)
