"""Arguments that are called as rules call the gradient, the output, and the inputs that are wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tapenet as tn
from tapenet.drawing.sources.mathematics import formula, gradient_rules
from tapenet.testing import check_grads

R = np.random.default_rng(0)
X, Y = R.normal(size=3), R.normal(size=3)

ruled = tn.op(
    lambda g, out, wanted=2.0: np.tanh(out * g) * wanted,
    name="ruled",
    grads={
        "g": lambda g_, out, out_, wanted: g_ * (1 - (out_ / wanted) ** 2) * out * wanted,
        "out": lambda g_, out_, g, wanted: g_ * (1 - (out_ / wanted) ** 2) * g * wanted,
    },
)
jointly = tn.op(
    lambda g, wanted: g * wanted,
    name="jointly",
    grads={},
    joint=lambda g_, g, wanted, wanted_: {n: g_ * (wanted if n == "g" else g) for n in wanted_},
)
tangents = tn.op(
    lambda out, g: np.exp(g * out),
    name="tangents",
    grads={},
    jvp=lambda g, out, g_dot, out_dot, out_: out_ * (g_dot * out + g * out_dot),
)
derived = tn.op(lambda g, out: g * g * out, name="derived")
several = tn.op(
    lambda g, out: (g * out, g + out),
    name="several",
    outputs=2,
    residuals=(),
    grads={"g": lambda g_, out, out_: g_[0] * out + g_[1] + 0 * out_[0], "out": lambda g_, g: g_[0] * g + g_[1]},
)
OPS = [ruled, jointly, tangents, derived]


@pytest.mark.parametrize("op", OPS)
def test_derivatives_of_every_kind(op: Any) -> None:
    check_grads(op, [X, Y], order=2)
    check_grads(lambda x: op(x, Y), [X], order=2)
    first, second = (a.name for a in op.arguments if a.required)
    with tn.debug():
        x = tn.tensor(X, requires_grad=True)
        op(**{first: x, second: Y}).sum().backward()
    assert x.grad is not None
    assert_allclose(x.grad.numpy(), tn.grad(lambda x: op(x, Y).sum())(X).numpy())
    assert_allclose(tn.vmap(tn.grad(op))(X, Y).numpy(), x.grad.numpy())
    _, tangent = tn.jvp(op, (X, Y), (np.ones(3), None))
    assert_allclose(tangent.numpy(), x.grad.numpy())


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("op", OPS)
def test_compiled(op: Any, backend: Any) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")

    def gradient(x: Any, y: Any) -> Any:
        return tn.grad(lambda x: op(x, y).sum())(x)

    step = tn.compile(gradient, backend=backend)
    assert_allclose(step(tn.tensor(X), tn.tensor(Y)).numpy(), gradient(X, Y).numpy(), rtol=1e-12)


def test_several_outputs_profiles_and_large_arrays() -> None:
    check_grads(several, [X, Y], order=2)
    x = tn.tensor(np.ones(5000), requires_grad=True)
    with tn.profile() as profile:
        derived(x, np.full(5000, 3.0)).sum().backward()
        ruled(x, np.zeros(5000)).sum().backward()
    assert "derived" in str(profile)
    assert x.grad is not None
    assert (x.grad.data == 6).all()


def test_in_words() -> None:
    assert formula(derived) == "g² · out"
    assert gradient_rules(derived) == {"g": "g · 2g_ · out", "out": "g_ · g²"}
    assert gradient_rules(ruled)["g"] == "g_ · (1 − out_²/wanted²) · out · wanted"


@pytest.mark.parametrize(
    ("define", "message"),
    [
        (lambda: tn.op(lambda out, x: out, name="w", x=lambda g: g), "'out' is reserved for rules: rename it, or give the rul"),
        (lambda: tn.op(lambda wanted: wanted, name="w", joint=lambda g: {}), "'wanted' is reserved for rules: .* by grads="),
        (lambda: tn.op(lambda g: g, name="w", jvp=lambda g_dot: g_dot), "'g' is reserved for rules"),
        (lambda: tn.op(lambda g: g, name="w", grads={"g": lambda g: g}), "names g, which is an argument, .* know that as g_"),
        (lambda: tn.op(lambda g, g_: g, name="w"), "rename its argument 'g_': beside 'g' rules call something so"),
        (lambda: tn.op(lambda g: (g, g), name="w", grads={"g": lambda g_: g_}, residuals=("g_",)), "rename its residual 'g_'"),
    ],
)  # fmt: skip
def test_what_is_ambiguous_is_refused(define: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        define()
