"""`check_grads` finds the mistake it is for, and names it."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import GradientMismatch, check_grads, check_op

R = np.random.default_rng(0)
SQUARE = np.arange(9.0).reshape(3, 3)


def wrong(rule: Any, forward: Any = np.sin, name: str = "f") -> Any:
    return tn.op(forward, name=name, x=rule)


def test_right_gradients_pass() -> None:
    check_grads(lambda x, y: np.sin(x * y), [R.normal(size=(2, 3)), R.normal(size=3)], order=3)
    check_grads(tn.exp, [np.array(0.5)])
    check_grads(lambda p: (p["a"] * p["b"][0]).sum(), [{"a": R.normal(size=2), "b": [R.normal(size=2)]}], order=2)
    check_grads(lambda x, k, *, scale: scale * x**k, [R.uniform(1, 2, 3), 3], order=2, kwargs={"scale": 2.0})
    check_grads(lambda x: (x * 2, [x**2, "not a tensor", 3]), [R.normal(size=3)], order=2)
    check_grads(lambda x, i: x[i], [R.normal(size=3), np.array([0, 2])])
    check_grads(np.tanh, [tn.tensor(R.normal(size=3), dtype=np.float32)])  # checked in float64
    check_grads(lambda x: x.sum(), [np.zeros(0)])


def test_arguments_are_left_alone() -> None:
    x = R.normal(size=3)
    t = tn.tensor(x, requires_grad=True)
    x.flags.writeable = False
    check_grads(lambda a, b: a * b, [x, t], order=2)
    assert t.grad is None
    np.testing.assert_array_equal(t.data, x)


@pytest.mark.parametrize(
    ("rule", "forward", "cause"),
    [
        (lambda g, x: -g * np.cos(x), np.sin, "the sign: put a minus in front$"),
        (lambda g, x: g * (3 * np.cos(x)), np.sin, "a constant factor of 3: divide by 3$"),
        (lambda g, x: g * 0, np.sin, "a forgotten input: its part is missing"),
        (lambda g, x: g * np.sin(x), np.sin, "the rule's formula$"),
        (lambda g, x: g / (x - x), np.sin, "divides by zero or overflows.*tn.safe_mul"),
        (lambda g: np.swapaxes(g * SQUARE, 0, 1), lambda x: x * SQUARE, "transposed: a missing transpose"),
        (lambda g, x: g * np.where(x > 0, 1, -1) * np.cos(x), np.sin, "the sign of some elements$"),
    ],
)  # fmt: skip
def test_wrong_gradients_are_named(rule: Any, forward: Any, cause: str) -> None:
    x = R.uniform(0.2, 1, (3, 3))
    x[0, 0] = -0.7
    with pytest.raises(GradientMismatch) as caught:
        check_grads(wrong(rule, forward, "mine"), [x])
    text = str(caught.value)
    assert text.startswith("mine: gradient of order 1 by argument 0 is wrong at element (")
    assert "of shape (3, 3): expected " in text
    assert "(finite difference), got " in text
    assert "Likely cause: " in text
    assert re.search(cause, text.partition("Likely cause: ")[2])


def test_the_worst_element_is_named_with_both_numbers() -> None:
    off = np.array([[0.0, 1e-3], [0.5, 0.0]])
    with pytest.raises(GradientMismatch) as caught:
        check_grads(tn.op(lambda x: x * 1, name="f", x=lambda g: g * (1 + off)), [np.zeros((2, 2))])
    found = re.search(
        r"element \(1, 0\) of shape \(2, 2\): expected (\S+) \(.*\), got (\S+); the worst of 2 wrong elements of 4",
        str(caught.value),
    )
    assert found
    assert float(found[2]) / float(found[1]) == pytest.approx(1.5)


def test_one_wrong_element_among_many_is_found() -> None:
    for at in range(5):
        bump = np.zeros(5)
        bump[at] = 1e-4
        with pytest.raises(GradientMismatch, match=rf"element \({at},\)"):
            check_grads(_bumped(bump), [R.normal(size=5)])


def _bumped(bump: Any) -> Any:
    return tn.op(lambda x: x * 1, name="f", x=lambda g: g * (1 + bump))


def test_a_kink_is_told_from_a_mistake() -> None:
    with pytest.raises(GradientMismatch, match="kink or jump"):
        check_grads(lambda x: np.where(x > 0, x, 0), [np.array([0.0, 1.0])])
    with pytest.raises(GradientMismatch, match="kink or jump"):
        check_grads(lambda x: np.where(x >= 0, 1.0, 0.0) + x, [np.array([0.0])])
    with pytest.raises(GradientMismatch, match=r"order 2 .* kink or jump"):
        check_grads(np.abs, [np.array([0.0, 1.0])], order=2)


def test_the_argument_is_named() -> None:
    op = tn.op(
        lambda x, n, y: x * n * y, name="f", nondiff=("n",), x=lambda g, n, y: g * n * y, y=lambda g, n, x: -g * n * x
    )
    with pytest.raises(GradientMismatch, match=r"by argument 1 is wrong.*the sign"):
        check_grads(lambda x, y: op(x, 3, y), [np.ones(2), np.ones(2)])


def test_a_mistake_that_shows_at_second_order_only() -> None:
    """A rule that turns its input into a constant is right at first order and wrong at second."""

    def constant(x: Any) -> Any:
        return x.numpy() if isinstance(x, tn.Tensor) else x

    hidden = wrong(lambda g, x: g * np.cos(constant(x)))
    x = np.array([0.3, 0.4])
    check_grads(hidden, [x])
    with pytest.raises(GradientMismatch, match=r"gradient of order 2 .*its part is missing"):
        check_grads(hidden, [x], order=2)
    slope = wrong(lambda g, x: -g * np.sin(constant(x)), np.cos)
    third = wrong(lambda g, x: g * slope(x))
    check_grads(third, [x], order=2)
    with pytest.raises(GradientMismatch, match="gradient of order 3"):
        check_grads(third, [x], order=3)


def test_a_rule_that_takes_g_as_a_constant_is_right_at_first_order_only() -> None:
    """g depends on the inputs wherever something comes after the op."""
    cut = wrong(lambda g, x: tn.stop_gradient(g) * np.cos(x))
    check_grads(cut, [np.array([0.3, 0.4])])
    for x in (np.array([0.3, 0.4]), np.array(0.3), np.array([0.3 + 1j])):
        with pytest.raises(
            GradientMismatch, match=r"gradient of order 2 by the gradient of order 1 that comes in .*missing"
        ):
            check_grads(cut, [x], order=2)
    linear = tn.op(
        lambda x: 2 * x,
        name="f",
        doc="F.",
        samples=lambda r: [tn.sample(np.ones(2))],
        x=lambda g: tn.stop_gradient(g) * 2,
    )
    with pytest.raises(GradientMismatch, match="gradient of order 2 by the gradient of order 1 that comes in"):
        check_op(linear)


def test_nothing_to_check_is_an_error() -> None:
    with pytest.raises(ValueError, match="none of the arguments is an array of floats"):
        check_grads(np.sin, [np.array([1, 2])])
    with pytest.raises(ValueError, match="none of the arguments"):
        check_grads(np.sin, [1.0])
    for lost in (lambda x: x.numpy() * 2, lambda x: 3.0, lambda x: None, lambda x: (x > 0).sum()):
        with pytest.raises(ValueError, match="returned no tensor of floats"):
            check_grads(lost, [np.ones(2)])


def test_a_detached_result_is_a_mismatch() -> None:
    with pytest.raises(GradientMismatch, match="its part is missing"):
        check_grads(lambda x: x.detach() * 2, [np.ones(2)])
    with pytest.raises(GradientMismatch, match=r"argument 1 .*missing"):
        check_grads(lambda x, y: x * y.detach(), [np.ones(2), np.ones(2)])


def test_a_nan_gradient_is_a_mismatch() -> None:
    nan = wrong(lambda g, x: g * np.where(x > 0.5, np.nan, np.cos(x)))
    with pytest.raises(GradientMismatch, match=r"element \(1,\).*got nan"):
        check_grads(nan, [np.array([0.1, 0.9])])


def test_the_names_of_functions_and_ops() -> None:
    def my_function(x: Any) -> Any:
        return x.detach()

    with pytest.raises(GradientMismatch, match=r"^my_function: "):
        check_grads(my_function, [np.ones(2)])
