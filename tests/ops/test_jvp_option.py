"""`jvp=` of an op: forward mode by it, reverse mode by its transpose."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import tapenet as tn
from tapenet.testing import check_grads

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(np.asarray(values, dtype=float), requires_grad=True)


softplus = tn.op(
    lambda x: np.logaddexp(0, x), name="softplus", jvp=lambda x, x_dot: x_dot * (0.5 + 0.5 * np.tanh(x / 2))
)
product = tn.op(lambda x, y: x @ y, name="product", jvp=lambda x, y, x_dot, y_dot: x_dot @ y + x @ y_dot)
tripled = tn.op(lambda x: np.exp(3 * x), name="tripled", jvp=lambda out, x_dot, c=3: c * out * x_dot)


def foreign_sine(x: Any, x_dot: Any) -> Any:
    """As what calls C: it takes arrays alone."""
    return np.asarray(x_dot) * np.cos(np.array(x))


foreign = tn.op(lambda x: np.sin(np.asarray(x)), name="foreign", jvp=foreign_sine)


# -- of every order ----------------------------------------------------------------------------------------------


def test_gradients_are_the_transpose_to_third_order() -> None:
    check_grads(softplus, [R.normal(size=4)], order=3)
    check_grads(tripled, [R.normal(size=(2, 2))], order=3)
    check_grads(product, [R.normal(size=(2, 3)), R.normal(size=(3, 2))], order=2)
    check_grads(lambda x: product(x, x), [R.normal(size=(2, 2))], order=2)
    check_grads(lambda x: product(x, np.ones((2, 2))), [R.normal(size=(2, 2))], order=2)


def test_forward_mode_is_the_function_itself() -> None:
    """One that is no derivative of the forward shows who is asked."""
    seven = tn.op(lambda x: x * 2, name="seven", x=lambda g: g * 5, jvp=lambda x_dot: 7 * x_dot)
    assert tn.jvp(seven, (1.0,), (1.0,))[1].item() == 7
    assert tn.jacfwd(seven)(1.0).item() == 7
    assert tn.grad(seven)(1.0).item() == 5
    alone = tn.op(lambda x: x * 2, name="alone", jvp=lambda x_dot: 7 * x_dot)
    assert tn.jvp(alone, (1.0,), (1.0,))[1].item() == 7
    assert tn.grad(alone)(1.0).item() == 7
    inside = tn.op(lambda x: alone(x) * 1.0, name="inside")
    assert tn.grad(inside)(1.0).item() == 7
    both = tn.op(lambda x, y: x * y, name="both", jvp=lambda x_dot, y_dot: 7 * x_dot + 3 * y_dot)
    assert tn.grad(tn.op(lambda x: both(x, x), name="around"))(1.0).item() == 10


def test_hessians_and_products() -> None:
    x = R.normal(size=3)
    s = 1 / (1 + np.exp(-x))
    expected = np.diag(s * (1 - s))
    for outer, inner in itertools.product((tn.jacfwd, tn.jacrev), repeat=2):
        assert_allclose(outer(inner(lambda t: softplus(t).sum()))(x).numpy(), expected, atol=1e-12)
    assert_allclose(tn.hessian(lambda t: softplus(t).sum())(x).numpy(), expected, atol=1e-12)
    v = R.normal(size=3)
    assert_allclose(tn.hvp(lambda t: softplus(t).sum())(x, v).numpy(), expected @ v)


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_compiled_and_over_lanes(backend: Any) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    a, b = R.normal(size=(3, 2, 2)), R.normal(size=(2, 2))

    def f(x: Any, y: Any) -> Any:
        return softplus(product(x, y)).sum()

    expected = np.stack([tn.grad(f)(x, b).numpy() for x in a])
    assert_allclose(tn.vmap(tn.grad(f), in_axes=(0, None))(a, b).numpy(), expected, rtol=1e-12)
    step = tn.compile(lambda a, b: tn.vmap(tn.grad(f), in_axes=(0, None))(a, b), backend=backend)
    assert_allclose(step(tn.tensor(a), tn.tensor(b)).numpy(), expected, rtol=1e-12)
    pushed = tn.compile(lambda x, y: tn.jvp(f, (x, y), (x, y))[1], backend=backend)
    assert_allclose(pushed(tn.tensor(a[0]), tn.tensor(b)).item(), tn.jvp(f, (a[0], b), (a[0], b))[1].item())


# -- what cannot be read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_foreign_code_is_called(backend: Any) -> None:
    if backend == "native":
        pytest.importorskip("llvmlite")
    x, v = R.normal(size=3), R.normal(size=3)
    check_grads(foreign, [x])
    assert_allclose(tn.jvp(foreign, (x,), (v,))[1].numpy(), np.cos(x) * v)
    assert_allclose(tn.jacfwd(foreign)(x).numpy(), np.diag(np.cos(x)))
    lanes = tn.vmap(lambda x: tn.jvp(foreign, (x,), (v,))[1])(np.stack([x, 2 * x]))
    assert_allclose(lanes.numpy(), [np.cos(x) * v, np.cos(2 * x) * v])
    pushed = tn.compile(lambda x, v: tn.jvp(foreign, (x,), (v,))[1], backend=backend)
    pulled = tn.compile(tn.grad(lambda x: foreign(x).sum()), backend=backend)
    for _ in range(2):
        assert_allclose(pushed(tn.tensor(x), tn.tensor(v)).numpy(), np.cos(x) * v)
        assert_allclose(pulled(tn.tensor(x)).numpy(), np.cos(x))
    assert "foreign jvp: asks for the elements" in str(pushed.explain())
    assert "foreign gradient: its jvp= cannot be read: asks for the elements" in str(pulled.explain())
    assert_allclose(tn.vmap(tn.grad(foreign))(x).numpy(), np.cos(x))
    carried, _ = tn.scan(lambda c, _: (tn.jvp(foreign, (c,), (v,))[1], c), tn.tensor(x), None, length=2)
    assert_allclose(carried.numpy(), np.cos(np.cos(x) * v) * v)


def test_foreign_code_has_higher_derivatives_by_its_reference() -> None:
    op = tn.op(lambda x: np.sin(np.asarray(x)), name="referred", jvp=foreign_sine, reference=np.sin)
    x = R.normal(size=3)
    check_grads(op, [x], order=3)
    for make in (tn.hessian, lambda f: tn.jacfwd(tn.jacfwd(f))):
        assert_allclose(make(lambda t: op(t).sum())(x).numpy(), np.diag(-np.sin(x)), atol=1e-12)


def test_without_one_a_higher_derivative_is_refused() -> None:
    x = R.normal(size=3)
    for make in (tn.hessian, lambda f: tn.jacfwd(tn.jacfwd(f)), lambda f: tn.grad(lambda x: tn.jvp(f, (x,), (x,))[1])):
        with pytest.raises(TypeError, match=r"of op .foreign. is called as it stands .* give tn.op reference="):
            make(lambda t: foreign(t).sum())(x)


# -- several outputs, sequences, complex numbers -----------------------------------------------------------------


def test_several_outputs_and_zeros() -> None:
    polar = tn.op(
        lambda x, y: (np.hypot(x, y), np.arctan2(y, x), np.sign(x)),
        name="polar",
        outputs=3,
        nondiff_outputs=(2,),
        jvp=lambda x, y, x_dot, y_dot, out: (
            (x * x_dot + y * y_dot) / out[0],
            (x * y_dot - y * x_dot) / out[0] ** 2,
            None,
        ),
    )
    x, y = np.array([3.0, -1.0]), np.array([4.0, 2.0])
    check_grads(lambda x, y: polar(x, y)[:2], [x, y], order=2)
    _, tangents = tn.jvp(lambda x, y: polar(x, y), (x, y), (np.ones(2), None))
    assert_allclose(tangents[0].numpy(), x / np.hypot(x, y))
    assert not tangents[2].numpy().any()
    count = tn.op(lambda x: (x * 2, x * 3), name="count", outputs=2, jvp=lambda x_dot: 2 * x_dot)
    with pytest.raises(TypeError, match=r"jvp= of op 'count' returned .* for 2 outputs"):
        count(leaf([1.0]))[0].backward()


def test_a_sequence_has_a_tangent_for_each_array() -> None:
    total = tn.op(
        lambda arrays, scale=1.0: scale * sum(a * a for a in arrays),
        name="total",
        jvp=lambda arrays, arrays_dot, scale: scale * sum(2 * a * t for a, t in zip(arrays, arrays_dot, strict=True)),
    )
    check_grads(lambda a, b: total([a, b, a], 3.0), [np.ones(2), np.arange(2.0)], order=2)
    check_grads(lambda a: total([a, np.ones(2)]), [np.arange(2.0)], order=2)
    _, tangent = tn.jvp(lambda a: total([a, np.ones(2), a]), (np.array([1.0, 2.0]),), (np.ones(2),))
    assert tangent.tolist() == [4.0, 8.0]


def test_inputs_that_are_left_out_and_complex_ones() -> None:
    affine = tn.op(
        lambda x, shift=None: x if shift is None else x + shift,
        name="affine",
        jvp=lambda x_dot, shift_dot: x_dot if shift_dot is None else x_dot + shift_dot,
    )
    check_grads(affine, [np.ones(2)], order=2)
    check_grads(affine, [np.ones(2), np.ones(2)], order=2)
    squared = tn.op(lambda z: z * z, name="squared", jvp=lambda z, z_dot: 2 * z * z_dot)
    conj = tn.op(lambda z: np.conj(np.asarray(z)), name="conj", jvp=lambda z_dot: np.conj(np.asarray(z_dot)))
    z = np.array([1 + 2j, -1.5 + 0.5j])
    check_grads(squared, [z], order=2)
    check_grads(conj, [z])


# -- beside rules, and what is wrong -----------------------------------------------------------------------------


def test_an_input_with_a_rule_keeps_it() -> None:
    op = tn.op(
        lambda x, y: x * y,
        name="mixed",
        x=lambda g, y: 10 * g * y,
        jvp=lambda x, y, x_dot, y_dot: x_dot * y + x * y_dot,
    )
    x, y = leaf([2.0]), leaf([3.0])
    op(x, y).backward()
    assert x.grad is not None
    assert y.grad is not None
    assert (x.grad.tolist(), y.grad.tolist()) == ([30.0], [2.0])
    copy = op.replace(jvp=lambda x, y, x_dot, y_dot: x_dot * y + 5 * x * y_dot)
    y.grad = None
    copy(x, y).backward()
    assert y.grad is not None
    assert y.grad.tolist() == [10.0]


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(TypeError, match="its jvp= asks for 'z'; it may name x_dot, out, x"):
        tn.op(lambda x: x, name="w", jvp=lambda z, x_dot: x_dot)
    with pytest.raises(TypeError, match="its jvp= does not name y_dot, and 'y' has a gradient rule"):
        tn.op(lambda x, y: x + y, name="w", x=lambda g: g, y=lambda g: g, jvp=lambda x_dot: x_dot)
    with pytest.raises(TypeError, match="rename its argument 'x_dot'"):
        tn.op(lambda x, x_dot: x + x_dot, name="w", x=lambda g: g, jvp=lambda x_dot: x_dot)
    with pytest.raises(TypeError, match="no gradient rule"):
        tn.op(lambda x, y: x + y, name="w", jvp=lambda x_dot: x_dot)(leaf([1.0]), leaf([1.0]))
    wide = tn.op(lambda x: x.sum(), name="wide", jvp=lambda x_dot: x_dot)
    with pytest.raises(
        ValueError, match=r"jvp= of op 'wide' returned a tangent of shape \(2,\) for an output of shape \(\)"
    ):
        tn.jvp(wide, (np.ones(2),), (np.ones(2),))
    bent = tn.op(lambda x: x, name="bent", jvp=lambda x_dot: x_dot * x_dot)
    with pytest.raises(TypeError, match=r"jvp= of op 'bent' has no transpose.* not linear"):
        bent(leaf([1.0])).backward()
