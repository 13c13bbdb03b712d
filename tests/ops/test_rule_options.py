"""What a definition says beside its rules: defaults of a rule's own, first derivatives alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.drawing.sources.mathematics import gradient_rules
from tapenet.testing import check_grads

R = np.random.default_rng(0)


def leaf(values: Any) -> tn.Tensor:
    return tn.tensor(np.asarray(values, dtype=float), requires_grad=True)


# -- defaults of a rule's own ------------------------------------------------------------------------------------


def test_a_rule_has_defaults_of_its_own() -> None:
    """As functions that are made in a loop have."""
    powers = [tn.op(lambda x, n=n: x**n, name="power", x=lambda g, x, m=n: g * m * x ** (m - 1)) for n in (2, 3)]
    for op in powers:
        check_grads(op, [R.normal(size=3)], order=2)
        assert op.needs["x"] == ("g", "x")
    stepped = tn.op(lambda x: x * 3, name="stepped", x=lambda g, *, c=3: g * c)
    check_grads(stepped, [R.normal(size=3)], order=2)
    large = leaf(np.ones(5000))  # where a rule may run as a kernel
    fused = tn.op(lambda x: x * x, name="squared", fuse="rules", x=lambda g, x, c=2: g * c * x)
    fused(large).sum().backward()
    assert large.grad is not None
    assert (large.grad.data == 2).all()


def test_a_default_that_is_an_argument_of_the_op_is_the_argument() -> None:
    scaled = tn.op(lambda x, k=1.0: x * k, name="scaled", x=lambda g, k=7.0: g * k)
    x = leaf([1.0])
    scaled(x, 5.0).backward()
    assert x.grad is not None
    assert x.grad.tolist() == [5.0]


def test_joint_rules_checks_and_lanes_have_them_too() -> None:
    def check(x: Any, least: int = 1) -> None:
        if np.ndim(x) < least:
            raise ValueError("too few axes")

    both = tn.op(
        lambda x, y: x * y,
        name="both",
        joint=lambda g, x, y, scale=1: {"x": g * y * scale, "y": g * x * scale},
        check=check,
        vmap=lambda x, y, batched, more=0: both(x, y) if batched == {"x", "y"} else NotImplemented,
    )
    check_grads(both, [R.normal(size=3), R.normal(size=3)], order=2)
    with pytest.raises(ValueError, match="too few axes"):
        both(1.0, 2.0)
    x = R.normal(size=(2, 3))
    np.testing.assert_array_equal(tn.vmap(both)(x, x), x * x)
    step = tn.compile(lambda x: tn.grad(lambda t: both(t, t).sum())(x))
    np.testing.assert_allclose(step(tn.tensor(x)).numpy(), 2 * x)


def test_defaults_come_last_and_a_name_without_one_is_asked_for() -> None:
    with pytest.raises(
        TypeError, match=r"'c' is a default of a rule's own and stands before 'x'.* put such defaults last"
    ):
        tn.op(lambda x=None: x, name="late", x=lambda g, c=2, x=None: g)
    with pytest.raises(TypeError, match="its rule for 'x' asks for 'c'; it may name g, out, x"):
        tn.op(lambda x: x, name="late", x=lambda g, c: g)
    with pytest.raises(TypeError, match="'c' is keyword-only"):
        tn.op(lambda x: x, name="late", x=lambda g, *, c: g)


# -- first derivatives alone -------------------------------------------------------------------------------------

once = tn.op(lambda x: x**3, name="once", x=lambda g, x: 3 * g * x * x, once=True)
once_derived = tn.op(lambda x: x**3, name="once_derived", once=True)


@pytest.mark.parametrize("op", [once, once_derived])
def test_first_derivatives_in_either_mode(op: Any) -> None:
    x = R.normal(size=3)
    check_grads(op, [x])
    expected = 3 * x * x
    np.testing.assert_allclose(tn.jvp(op, (x,), (np.ones(3),))[1].numpy(), expected)
    np.testing.assert_allclose(tn.vmap(tn.grad(op))(x).numpy(), expected)
    np.testing.assert_allclose(tn.jacrev(op)(x).numpy(), np.diag(expected))
    t = leaf(x)
    (found,) = tn.gradients([op(t).sum()], [t], create_graph=True)
    np.testing.assert_allclose(found.numpy(), expected)
    step = tn.compile(tn.grad(lambda t: op(t).sum()))
    np.testing.assert_allclose(step(tn.tensor(x)).numpy(), expected)


@pytest.mark.parametrize("op", [once, once_derived])
def test_a_second_derivative_is_an_error_that_says_so(op: Any) -> None:
    x = R.normal(size=3)

    def f(x: Any) -> Any:
        return op(x).sum()

    for make in (
        lambda x: check_grads(op, [x], order=2),
        tn.hessian(f),
        tn.jacfwd(tn.jacfwd(f)),
        tn.jacfwd(tn.grad(f)),
        tn.grad(lambda x: tn.jvp(f, (x,), (x,))[1]),
        tn.grad(lambda x: tn.grad(f)(x).sum()),
        tn.vmap(tn.hessian(op)),
        tn.compile(tn.hessian(f)),
        lambda x: tn.hvp(f)(x, x),
    ):
        with pytest.raises(TypeError, match=rf"op '{op.name}' has first derivatives alone \(once=True\)"):
            make(tn.tensor(x))  # type: ignore[operator]


def test_it_is_said_in_the_documentation_and_cannot_be_meant_with_a_reference() -> None:
    with pytest.raises(TypeError, match="reference= gives derivatives of higher order, and once=True says"):
        tn.op(lambda x: x, name="w", x=lambda g: g, once=True, reference=lambda x: x)
    assert (once.__doc__ or "").endswith("First derivatives alone: one of higher order is an error.")
    assert gradient_rules(once) == {"x": "g · 3x² (first derivatives alone)"}
    assert "First" not in (tn.op(lambda x: x, name="w", doc="It.").__doc__ or "")
