"""Activations: PyTorch's values and gradients, and numbers at extremes."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close, replays

torch = pytest.importorskip("torch")
F = torch.nn.functional
R = np.random.default_rng(0)

CASES: dict[str, tuple[Any, Any]] = {
    "relu": (tn.relu, F.relu),
    "leaky_relu": (tn.leaky_relu, F.leaky_relu),
    "leaky_relu steep": (lambda x: tn.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2)),
    "leaky_relu slope over 1": (lambda x: tn.leaky_relu(x, 1.5), lambda x: F.leaky_relu(x, 1.5)),
    "leaky_relu slope below 0": (lambda x: tn.leaky_relu(x, -0.5), lambda x: F.leaky_relu(x, -0.5)),
    "elu": (tn.elu, F.elu),
    "elu alpha": (lambda x: tn.elu(x, 0.3), lambda x: F.elu(x, 0.3)),
    "selu": (tn.selu, F.selu),
    "celu": (tn.celu, F.celu),
    "celu alpha": (lambda x: tn.celu(x, 0.5), lambda x: F.celu(x, 0.5)),
    "prelu": (
        lambda x: tn.prelu(x, np.array([0.25], x.dtype)),
        lambda x: F.prelu(x, torch.tensor([0.25], dtype=x.dtype)),
    ),
    "rrelu": (tn.rrelu, F.rrelu),
    "threshold": (lambda x: tn.threshold(x, 0.3, -2.0), lambda x: F.threshold(x, 0.3, -2.0)),
    "threshold to 0": (lambda x: tn.threshold(x, 0.3, 0.0), lambda x: F.threshold(x, 0.3, 0.0)),
    "hardshrink": (tn.hardshrink, F.hardshrink),
    "hardshrink lambd": (lambda x: tn.hardshrink(x, 1.5), lambda x: F.hardshrink(x, 1.5)),
    "softshrink": (tn.softshrink, F.softshrink),
    "softshrink lambd": (lambda x: tn.softshrink(x, 1.5), lambda x: F.softshrink(x, 1.5)),
    "hardswish": (tn.hardswish, F.hardswish),
    "hardtanh": (tn.hardtanh, F.hardtanh),
    "hardtanh limits": (lambda x: tn.hardtanh(x, -0.1, 0.7), lambda x: F.hardtanh(x, -0.1, 0.7)),
    "relu6": (tn.relu6, F.relu6),
    "sigmoid": (tn.sigmoid, torch.sigmoid),
    "softplus": (tn.softplus, lambda x: F.softplus(x, threshold=1000)),
    "softplus beta": (lambda x: tn.softplus(x, 3.0), lambda x: F.softplus(x, 3.0, 1000)),
    "softplus threshold": (lambda x: tn.softplus(x, 2.0, 1.0), lambda x: F.softplus(x, 2.0, 1.0)),
    "logsigmoid": (tn.logsigmoid, F.logsigmoid),
    "silu": (tn.silu, F.silu),
    "mish": (tn.mish, F.mish),
    "softsign": (tn.softsign, F.softsign),
    "tanhshrink": (tn.tanhshrink, F.tanhshrink),
    "gelu": (tn.gelu, F.gelu),
    "gelu tanh": (lambda x: tn.gelu(x, "tanh"), lambda x: F.gelu(x, approximate="tanh")),
    "erf": (tn.erf, torch.erf),
    "softmin": (tn.softmin, lambda x: F.softmin(x, -1)),
    "softmax": (tn.softmax, lambda x: F.softmax(x, -1)),
    "softmax first axis": (lambda x: tn.softmax(x, axis=0), lambda x: F.softmax(x, 0)),
    "log_softmax": (tn.log_softmax, lambda x: F.log_softmax(x, -1)),
    "log_softmax middle axis": (lambda x: tn.log_softmax(x, 1), lambda x: F.log_softmax(x, 1)),
}
NAMES = {name: ours for name, (ours, _) in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_torch(name: str) -> None:
    agrees_with_torch(*CASES[name], 3 * R.normal(size=(4, 5, 3)))


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "elu alpha", "relu6", "hardtanh", "hardtanh limits"])
def test_the_gradient_at_a_kink_is_that_of_torch(name: str) -> None:
    agrees_with_torch(*CASES[name], np.array([0.0, -0.0, 1.0, -1.0, 6.0, -0.1, 0.7]), dtypes=[np.float64])


@pytest.mark.parametrize("name", ["selu", "celu", "celu alpha", "prelu", "rrelu"])
def test_the_gradient_at_zero_is_that_of_torch(name: str) -> None:
    agrees_with_torch(*CASES[name], np.array([0.0, -0.0]), dtypes=[np.float64])


@pytest.mark.parametrize(
    ("name", "kinks"),
    [
        ("threshold", [0.3]),
        ("hardshrink", [-0.5, 0.5, 0.0]),
        ("softshrink lambd", [-1.5, 1.5, 0]),
        ("hardswish", [-3, 3]),
    ],
)
def test_the_gradient_at_other_kinks_is_that_of_torch(name: str, kinks: Any) -> None:
    agrees_with_torch(*CASES[name], np.array(kinks, float), dtypes=[np.float64])


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_glu_is_that_of_torch(axis: int) -> None:
    agrees_with_torch(lambda x: tn.glu(x, axis), lambda x: F.glu(x, axis), 3 * R.normal(size=(4, 2, 6)))
    x = tn.tensor(np.array([[-1e3, 1e3], [1e3, -1e3]], np.float32), requires_grad=True)
    tn.glu(x, 0).sum().backward()
    assert np.isfinite(x.grad.data).all()


@pytest.mark.parametrize("shape", [(4, 5), (2, 5, 3), (2, 5, 2, 3)])
def test_prelu_of_channels_is_that_of_torch(shape: Any) -> None:
    agrees_with_torch(tn.prelu, F.prelu, R.normal(size=shape), R.normal(size=5))


def test_gumbel_softmax_draws_classes_with_their_probabilities() -> None:
    p = np.array([0.1, 0.6, 0.3])
    logits = np.broadcast_to(np.log(p).astype(np.float32), (20000, 3))
    hard = tn.gumbel_softmax(logits, tau=0.7, hard=True, rng=0)
    soft = tn.gumbel_softmax(logits, tau=0.7, rng=0)
    assert hard.dtype == soft.dtype == np.float32
    assert set(np.unique(hard)) == {0.0, 1.0}
    np.testing.assert_array_equal(hard.argmax(1), soft.argmax(1))
    np.testing.assert_allclose(soft.sum(1), 1, rtol=1e-5)
    np.testing.assert_allclose(hard.mean(0), p, atol=0.01)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_gradient_of_a_hard_gumbel_softmax_is_that_of_the_soft_one(axis: int) -> None:
    found = []
    for hard in (False, True):
        x = tn.tensor(np.tile(np.arange(4.0), (3, 1)), requires_grad=True)
        (tn.gumbel_softmax(x, 0.5, hard, axis, rng=3) * np.arange(12.0).reshape(3, 4)).sum().backward()
        found.append(x.grad.data)
    close(*found)


def test_no_gradient_flows_through_stop_gradient() -> None:
    x = tn.tensor(np.array([2.0]), requires_grad=True)
    assert not tn.stop_gradient(x).requires_grad
    (tn.stop_gradient(x) * x).backward()
    np.testing.assert_array_equal(x.grad.data, [2.0])


@pytest.mark.parametrize("name", CASES)
def test_large_arguments_give_finite_values_and_gradients_without_warnings(name: str) -> None:
    for dtype in (np.float32, np.float64):
        x = tn.tensor(np.array([-1e3, -200, -90, -20, -1e-30, 0, 1e-30, 20, 90, 200, 1e3], dtype).reshape(1, 11, 1))
        x.requires_grad_()
        y = NAMES[name](x)
        y.backward(np.ones(y.shape, dtype))
        assert np.isfinite(y.data).all()
        assert np.isfinite(x.grad.data).all()
        assert y.dtype == x.grad.dtype == dtype


@pytest.mark.parametrize("name", CASES)
def test_second_order_at_ordinary_and_large_arguments(name: str) -> None:
    check_grads(NAMES[name], [R.normal(size=(2, 3, 2))], order=2)
    x = tn.tensor(np.array([-300.0, -40, 40, 300], np.float32).reshape(1, 4, 1), requires_grad=True)
    g = tn.grad(lambda t: (NAMES[name](t) * np.array(2, np.float32)).sum())
    curvature = tn.grad(lambda t: g(t).sum())(x)
    assert np.isfinite(curvature.data).all()
    assert curvature.dtype == np.float32


@pytest.mark.parametrize("name", CASES)
def test_the_rule_follows_the_data_of_a_replay(name: str) -> None:
    first = R.normal(size=(2, 4, 3))
    replays(lambda x: (NAMES[name](x) * np.arange(3.0)).sum(), first, -first + 0.1)


@pytest.mark.parametrize("name", CASES)
def test_memory_order_scalars_and_read_only_inputs(name: str) -> None:
    f = NAMES[name]
    x = R.normal(size=(3, 4, 2))
    expected = f(x)
    order = np.asfortranarray(x)
    order.flags.writeable = False
    close(f(order), expected)
    close(f(x[::-1])[::-1] if "first axis" not in name else f(x[:, ::-1])[:, ::-1], expected)
    if "soft" not in name or "softplus" in name or "softsign" in name:
        close(f(tn.tensor(x[0, 0, 0])).data, expected[0, 0, 0])


def test_relu_takes_integers_and_keeps_nan() -> None:
    np.testing.assert_array_equal(tn.relu(np.array([-2, 3])), [0, 3])
    assert np.isnan(tn.relu(np.array([np.nan]))).all()


def test_no_gradient_comes_through_a_dead_relu_even_if_it_is_infinite() -> None:
    x = tn.tensor([-1.0, 4.0], requires_grad=True)
    np.sqrt(tn.relu(x)).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0.0, 0.25])


def test_sigmoid_of_integers_is_right_for_every_kind() -> None:
    for kind in (np.int8, np.uint8, np.bool_, np.int64):
        close(tn.sigmoid(np.array([0, 1], kind)).astype(np.float64), tn.sigmoid(np.array([0.0, 1.0])))


def test_sigmoid_is_accurate_in_its_lower_tail() -> None:
    np.testing.assert_allclose(tn.sigmoid(np.float32([-50])), np.exp(np.float32(-50)), rtol=1e-6)


def test_softplus_far_below_zero() -> None:
    x = tn.tensor(np.float32([-200, -50]), requires_grad=True)
    y = tn.softplus(x)
    y.sum().backward()
    np.testing.assert_allclose(y.data, [0, np.exp(-50)], rtol=1e-6)
    np.testing.assert_allclose(x.grad.data, [0, np.exp(-50)], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_softmax_row_of_minus_infinity_is_zero_with_zero_gradient(dtype: Any) -> None:
    rows = np.array([[-np.inf] * 3, [-np.inf, 0.0, 0.0], [1.0, 1.0, 1.0]], dtype)
    x = tn.tensor(rows, requires_grad=True)
    y = tn.softmax(x)
    np.testing.assert_allclose(y.data, [[0, 0, 0], [0, 0.5, 0.5], [1 / 3] * 3], rtol=1e-3)
    y.backward(np.array([[1, 2, 3]] * 3, dtype))
    np.testing.assert_array_equal(x.grad.data[0], 0)
    assert np.isfinite(x.grad.data).all()


def test_a_log_softmax_row_of_minus_infinity_has_a_finite_gradient() -> None:
    x = tn.tensor(np.float32([[-np.inf] * 3, [-np.inf, 0.0, 0.0]]), requires_grad=True)
    y = tn.log_softmax(x)
    np.testing.assert_array_equal(y.data[0], -np.inf)
    y.backward(np.ones((2, 3), np.float32))
    np.testing.assert_array_equal(x.grad.data[0], 1)
    assert np.isfinite(x.grad.data).all()


def test_softmax_of_the_lowest_float_used_as_a_mask() -> None:
    for dtype in (np.float32, np.float64):
        low = np.finfo(dtype).min
        np.testing.assert_allclose(tn.softmax(np.array([[low, low], [low, 2.0]], dtype)), [[0.5, 0.5], [0, 1]])


def test_softmax_of_integers_and_of_nothing() -> None:
    close(tn.softmax(np.array([1, 2])), tn.softmax(np.array([1.0, 2.0])))
    assert tn.softmax(np.zeros((2, 0))).shape == (2, 0)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tn.gelu(tn.tensor([1.0]), "erf"), r"gelu.*approximate='erf': it is 'none' or 'tanh'"),
        (lambda: tn.hardtanh(tn.tensor([1.0]), 2, 1), "hardtanh.*min_val=2 must be below max_val=1"),
        (lambda: tn.softmax(tn.tensor([1.0]), 1), "softmax.*x has 1 axes; axis is one of them"),
        (lambda: tn.gumbel_softmax(tn.tensor([1.0]), 0.0), "gumbel_softmax: tau=0.0 must be positive"),
        (lambda: tn.prelu(tn.tensor([[1.0, 2.0]]), np.ones(3)), r"prelu.*weight has shape \(3,\).*\(2,\)"),
        (lambda: tn.glu(tn.tensor([1.0])), "glu.*its length 1 is odd"),
        (lambda: tn.celu(tn.tensor([1.0]), 0), "celu.*alpha=0 divides"),
        (lambda: tn.softshrink(tn.tensor([1.0]), -1), "softshrink.*lambd=-1 must not be negative"),
        (lambda: tn.rrelu(tn.tensor([1.0]), 0.5, 0.2), "rrelu: lower=0.5 exceeds upper=0.2"),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()


def test_gradients_at_nan_are_those_of_pytorch() -> None:
    """nan lies neither below nor above a limit, so that nothing is cut off there."""
    x = np.array([-1.0, np.nan, 2.0])
    for ours, theirs in (
        (tn.relu, torch.relu),
        (tn.relu6, torch.nn.functional.relu6),
        (tn.hardtanh, torch.nn.functional.hardtanh),
        (tn.leaky_relu, torch.nn.functional.leaky_relu),
        (lambda x: tn.threshold(x, 0.5, 0.2), lambda x: torch.nn.functional.threshold(x, 0.5, 0.2)),
        (lambda x: tn.prelu(x, np.full(1, 0.2)), lambda x: torch.prelu(x, torch.full((1,), 0.2, dtype=x.dtype))),
        (
            lambda x: tn.prelu(x[None], np.full(3, 0.2))[0],
            lambda x: torch.prelu(x, torch.full((1,), 0.2, dtype=x.dtype)),
        ),
    ):
        agrees_with_torch(ours, theirs, x, dtypes=(np.float64,))


@pytest.mark.parametrize("x", [50.0, 1e10, 1e18, 1e30, np.inf])
def test_mish_is_the_identity_of_large_numbers(x: float) -> None:
    t = tn.tensor([x], requires_grad=True)
    tn.mish(t).backward()
    np.testing.assert_allclose(t.grad.data, 1, rtol=1e-12)


SMOOTH = ["silu", "gelu", "mish", "softplus", "elu", "celu", "selu", "hardswish", "hardsigmoid"]


@pytest.mark.parametrize("name", [*SMOOTH, "glu"])
def test_float16_is_rounded_at_the_end_alone(name: str) -> None:
    """Values and gradients are as near to the exact ones as PyTorch's, which computes with the float16 numbers in float32."""
    r = np.random.default_rng(0)
    data = (3 * r.normal(size=4000)).astype(np.float16)
    f, theirs = getattr(tn, name), getattr(torch.nn.functional, name)
    x, wide = tn.tensor(data, requires_grad=True), torch.tensor(data.astype(float), requires_grad=True)
    out, exact = f(x), theirs(wide)
    g = r.normal(size=out.shape).astype(np.float16)
    out.backward(g)
    exact.backward(torch.tensor(g.astype(float)))
    for found, expected, ulps in ((out, exact, 2), (x.grad, wide.grad, 3)):
        expected = expected.detach().numpy()
        step = np.spacing(np.maximum(abs(expected), 1e-3).astype(np.float16)).astype(float)
        assert (abs(found.data - expected) <= ulps / 2 * step * 1.01).all()


@pytest.mark.parametrize("op", [tn.relu, tn.relu6])
def test_rectifiers_hold_their_result_alone(op: Any) -> None:
    numbers = np.array([-1.0, 0.0, 2.0, 6.0, 7.0, np.nan])
    x = tn.tensor(numbers, requires_grad=True)
    y = x * 1.0
    held = weakref.ref(y.data)
    z = op(y)
    del y
    gc.collect()
    assert held() is None
    z.sum().backward()
    inside = [0, 0, 1, 1, 1, 1] if op is tn.relu else [0, 0, 1, 0, 0, 1]
    assert x.grad is not None
    assert x.grad.numpy().tolist() == inside


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_limits_of_relu6(dtype: type) -> None:
    """The derivative goes by the result, which next to 0 and 6 is not these."""
    near = np.nextafter(np.array([0, 6], dtype), np.array([1, 0], dtype))
    x = tn.tensor(np.array([-1, -0.0, 0, near[0], near[1], 6, 7, np.nan, np.inf], dtype), requires_grad=True)
    tn.relu6(x).sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), np.array([0, 0, 0, 1, 1, 0, 0, 1, 0], dtype))
