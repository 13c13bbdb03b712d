"""Attention of few scores in compiled programs: the formula, without Python, in loops too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet.ops.layers.attention import kernel_dispatch
from tests.ops.test_native_functions import calls_python
from tests.program.backends import Compile, backends, compiled

__all__ = ["compiled"]  # a fixture

RNG = np.random.default_rng(0)
Q, K, V = (RNG.normal(size=s) for s in ((2, 5, 4), (2, 3, 4), (2, 3, 6)))
CALLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"is_causal": True},
    "truth": {"attn_mask": np.array([[True, False, True]] * 4 + [[False] * 3])},
    "numbers": {"attn_mask": RNG.normal(size=(5, 3)), "scale": 0.3},
}


@pytest.mark.parametrize("name", CALLS)
@backends
def test_values_and_gradients(compiled: Compile, name: str) -> None:
    """By `backward` inside of the step, and by `tn.grad`, to second order; rows without a key give 0."""
    options = CALLS[name]

    def f(q: Any, k: Any, v: Any) -> Any:
        return (F.scaled_dot_product_attention(q, k, v, **options) ** 2).sum()

    def back(q: Any, k: Any, v: Any) -> Any:
        leaves = [tn.tensor(x, requires_grad=True) for x in (q, k, v)]
        f(*leaves).backward()
        return tuple(leaf.grad for leaf in leaves)

    def second(q: Any, k: Any, v: Any) -> Any:
        return tn.grad(lambda q: (tn.grad(f)(q, k, v) ** 2).sum())(q)

    right = tn.grad(f, argnums=(0, 1, 2))(Q, K, V)
    value, gradient, again = compiled(f), compiled(tn.grad(f, argnums=(0, 1, 2))), compiled(second)
    expected = second(Q, K, V)
    for _ in range(2):
        np.testing.assert_allclose(value(Q, K, V), f(Q, K, V), rtol=1e-12)
        for found, one in zip(gradient(Q, K, V), right, strict=True):
            np.testing.assert_allclose(found, one, rtol=1e-10, atol=1e-13)
        np.testing.assert_allclose(again(Q, K, V), expected, rtol=1e-9, atol=1e-12)
    for found, one in zip(back(Q, K, V), right, strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-10, atol=1e-13)
    assert not any(map(calls_python, (value, gradient, again)))


@backends
def test_in_a_loop_that_trains(compiled: Compile) -> None:
    w = tn.tensor(np.eye(4) * 0.5, requires_grad=True)
    opt = tn.optim.SGD([w], lr=0.1)

    def epoch(xs: Any) -> Any:
        def turn(total: Any, x: Any) -> Any:
            q = x @ w
            loss = (F.scaled_dot_product_attention(q, x, x, is_causal=True) ** 2).mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
            return total + loss, None

        return tn.scan(turn, np.float64(0), xs)[0]

    xs = RNG.normal(size=(3, 2, 5, 4))
    start = np.array(w.data)
    rights = [np.asarray(epoch(xs).data) for _ in range(3)]
    ends = np.array(w.data)
    w.data[...] = start
    step = compiled(epoch)
    for right in rights:
        np.testing.assert_allclose(step(xs).data, right, rtol=1e-12)
    np.testing.assert_allclose(w.data, ends, rtol=1e-11)
    assert not calls_python(step)


@pytest.mark.parametrize("mask", [None, "truth"])
@backends
def test_dropout_in_a_loop(compiled: Compile, mask: str | None) -> None:
    """Numbers are drawn in the turns by NumPy's functions: the same as in eager mode, also for the gradient."""
    given = CALLS[mask] if mask else {}

    def loss(x: Any) -> Any:
        return (F.scaled_dot_product_attention(x, K[0], V[0], dropout_p=0.3, **given) ** 2).sum()

    def scanned(xs: Any) -> Any:
        return tn.scan(lambda c, x: (c, (loss(x), tn.grad(loss)(x))), np.float64(0), xs)[1]

    def total(xs: Any) -> Any:
        return tn.scan(lambda c, x: (c + loss(x), None), np.float64(0), xs)[0]

    for f in (scanned, tn.grad(total)):
        step = compiled(f)
        for seed in range(3):
            tn.random.seed(seed)
            right = f(Q)
            tn.random.seed(seed)
            for found, one in zip(step(Q), right, strict=True):
                np.testing.assert_allclose(found, one, rtol=1e-11, atol=1e-13)
        assert not calls_python(step)


@pytest.mark.parametrize("part", [0.9, 1.1])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_attention_of_any_size_calls_no_python(dropout: float, part: float) -> None:
    """Below the size from which it is a kernel and beyond it, in a loop and outside."""
    pytest.importorskip("llvmlite")
    length = int(np.sqrt(part * kernel_dispatch.WORTH / 32))
    xs, mask = RNG.normal(size=(2, length, 16)).astype(np.float32), RNG.random((length, length)) > 0.5

    def gradient(x: Any) -> Any:
        return tn.grad(lambda x: (F.scaled_dot_product_attention(x, x, x, mask, dropout) ** 2).sum())(x)

    for f in (lambda xs: gradient(xs[0]), lambda xs: tn.scan(lambda c, x: (c, gradient(x)), np.float64(0), xs)[1]):
        step = tn.compile(f, backend="native")
        for seed in range(2):
            tn.random.seed(seed)
            expected = f(xs)
            tn.random.seed(seed)
            np.testing.assert_allclose(step(xs), expected, rtol=1e-4, atol=1e-4)
        assert not calls_python(step)


@pytest.mark.parametrize("shape", [(150,), (2, 1, 150), (1, 150, 150)])
def test_gradients_by_a_mask_that_broadcasts_call_no_python(shape: tuple[int, ...]) -> None:
    pytest.importorskip("llvmlite")
    xs, bias = RNG.normal(size=(2, 2, 150, 16)).astype(np.float32), RNG.normal(size=shape).astype(np.float32)

    def gradients(x: Any, bias: Any) -> Any:
        return tn.grad(lambda x, b: (F.scaled_dot_product_attention(x, x, x, b) ** 2).sum(), (0, 1))(x, bias)

    for f in (
        lambda xs, bias: gradients(xs[0], bias),
        lambda xs, bias: tn.scan(lambda c, x: (c, gradients(x, bias)), np.float64(0), xs)[1],
    ):
        step = tn.compile(f, backend="native")
        for _ in range(2):
            for found, right in zip(step(xs, bias), f(xs, bias), strict=True):
                np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-4)
        assert not calls_python(step)
