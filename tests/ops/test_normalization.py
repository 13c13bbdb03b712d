"""Normalisation: PyTorch's values and gradients, statistics, orders of derivative, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close, replays

torch = pytest.importorskip("torch")
F = torch.nn.functional
R = np.random.default_rng(0)
SHAPES = [(6, 4), (3, 4, 5), (3, 4, 5, 2), (2, 4, 1, 3)]


def _params(n: int) -> tuple[Any, Any]:
    return R.uniform(0.5, 1.5, n), R.normal(size=n)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_in_training_is_that_of_torch(shape: Any) -> None:
    x, (w, b) = 2 + 3 * R.normal(size=shape), _params(4)
    agrees_with_torch(
        lambda *a: tn.batch_norm_train(*a)[0], lambda x, w, b: F.batch_norm(x, None, None, w, b, True), x, w, b
    )
    agrees_with_torch(
        lambda x: tn.batch_norm_train(x, eps=0.1)[0], lambda x: F.batch_norm(x, None, None, training=True, eps=0.1), x
    )
    agrees_with_torch(
        lambda x, b: tn.batch_norm_train(x, None, b)[0], lambda x, b: F.batch_norm(x, None, None, None, b, True), x, b
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_statistics_come_with_it(shape: Any) -> None:
    x = R.normal(size=shape)
    axes = tuple(i for i in range(x.ndim) if i != 1)
    for dtype in (np.float64, np.float32):
        _, mean, var = tn.batch_norm_train(tn.tensor(x.astype(dtype), requires_grad=True))
        close(mean.data, x.mean(axes).astype(dtype))
        close(var.data, x.var(axes).astype(dtype))


def test_the_statistics_have_gradients_too() -> None:
    r = np.random.default_rng(1)
    w, b = r.normal(size=3), r.normal(size=3)
    check_grads(lambda x: tn.batch_norm_train(x, w, b)[1] ** 2, [r.normal(size=(4, 3))], order=2)
    check_grads(lambda x: tn.batch_norm_train(x, w, b)[2] ** 2, [r.normal(size=(4, 3))], order=2)


@pytest.mark.parametrize("shape", SHAPES)
def test_batch_norm_in_evaluation_is_that_of_torch(shape: Any) -> None:
    x, mean, var, (w, b) = R.normal(size=shape), R.normal(size=4), R.uniform(0.5, 2, 4), _params(4)
    for dtype in (np.float64, np.float32):
        fixed = mean.astype(dtype), var.astype(dtype)
        other = [torch.tensor(a) for a in fixed]
        agrees_with_torch(
            lambda x, w, b: tn.batch_norm(x, *fixed, w, b),  # noqa: B023
            lambda x, w, b: F.batch_norm(x, *other, w, b),  # noqa: B023
            x, w, b,
            dtypes=[dtype],
        )  # fmt: skip
        agrees_with_torch(
            lambda x: tn.batch_norm(x, *fixed, eps=0.1),  # noqa: B023
            lambda x: F.batch_norm(x, *other, eps=0.1),  # noqa: B023
            x, dtypes=[dtype],
        )  # fmt: skip


def test_evaluation_with_the_batch_statistics_is_training() -> None:
    x, (w, b) = R.normal(size=(5, 3)), _params(3)
    out, mean, var = tn.batch_norm_train(x, w, b)
    close(tn.batch_norm(x, mean, var, w, b), out)


@pytest.mark.parametrize("axis", [0, 2, -1, -3])
def test_channels_may_be_any_axis(axis: int) -> None:
    x = R.normal(size=(3, 4, 5))
    n = x.shape[axis]
    w, b = _params(n)
    expected, mean, var = tn.batch_norm_train(np.moveaxis(x, axis, 1), w, b)
    got = tn.batch_norm_train(x, w, b, axis=axis)
    close(got[0], np.moveaxis(expected, 1, axis))
    close(got[1], mean)
    close(got[2], var)
    close(tn.batch_norm(x, mean, var, w, b, axis=axis), np.moveaxis(expected, 1, axis))


@pytest.mark.parametrize(
    ("shape", "normalized"), [((4, 6), 6), ((2, 3, 4), (4,)), ((2, 3, 4), (3, 4)), ((2, 3, 4), [2, 3, 4]), ((5,), 5)]
)
def test_layer_norm_is_that_of_torch(shape: Any, normalized: Any) -> None:
    lengths = (normalized,) if isinstance(normalized, int) else tuple(normalized)
    x, w, b = 1 + R.normal(size=shape), R.normal(size=lengths), R.normal(size=lengths)
    agrees_with_torch(
        lambda x, w, b: tn.layer_norm(x, normalized, w, b), lambda x, w, b: F.layer_norm(x, lengths, w, b), x, w, b
    )
    agrees_with_torch(lambda x: tn.layer_norm(x, normalized, eps=0.1), lambda x: F.layer_norm(x, lengths, eps=0.1), x)
    agrees_with_torch(
        lambda x, b: tn.layer_norm(x, normalized, None, b), lambda x, b: F.layer_norm(x, lengths, None, b), x, b
    )


def test_higher_orders() -> None:
    r = np.random.default_rng(1)
    x, w, b = r.normal(size=(3, 4)), r.uniform(0.5, 1.5, 4), r.normal(size=4)
    check_grads(lambda x, w, b: tn.batch_norm_train(x, w, b)[0] ** 2, [x, w, b], order=3, rtol=1e-5)
    check_grads(lambda x, w, b: tn.layer_norm(x, 4, w, b) ** 2, [x, w, b], order=3, rtol=1e-5)


def test_rules_follow_the_data_of_a_replay() -> None:
    first, second = R.normal(size=(4, 3)), 2 * R.normal(size=(4, 3))
    w, b = (tn.tensor(p, requires_grad=True) for p in _params(3))
    target = R.normal(size=(4, 3))
    replays(lambda x: ((tn.batch_norm_train(x, w, b)[0] - target) ** 2).sum(), first, second)
    replays(lambda x: ((tn.layer_norm(x, 3, w, b) - target) ** 2).sum(), first, second)


def test_running_statistics_are_captured() -> None:
    """As the layer keeps them: an assignment of the batch's statistics during a capture."""
    from tapenet.autodiff.capture import Capture
    from tests.replay import Replay

    running = tn.tensor(np.zeros(3))
    x = tn.tensor(R.normal(size=(4, 3)))
    with Capture() as tape:
        out, mean, _ = tn.batch_norm_train(x)
        running.data = 0.9 * running + 0.1 * mean
    Replay(tape, [x], out)(np.full((4, 3), 5.0))
    close(running.data, 0.9 * 0.1 * x.data.mean(0) + 0.5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_offsets_and_constant_channels_stay_finite(dtype: Any) -> None:
    x = tn.tensor((1e3 + R.normal(size=(8, 3))).astype(dtype), requires_grad=True)
    constant = tn.tensor(np.full((8, 3), 1e3, dtype), requires_grad=True)
    for t in (x, constant):
        for f in (lambda t: tn.batch_norm_train(t)[0], lambda t: tn.layer_norm(t, 3)):
            t.grad = None
            y = f(t)
            y.backward(np.ones(y.shape, dtype))
            assert np.isfinite(y.data).all()
            assert np.isfinite(t.grad.data).all()
    out = tn.batch_norm_train(x)[0].data
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(out.std(0), 1, rtol=1e-3)


def test_memory_order_is_kept() -> None:
    raw, (w, b) = R.normal(size=(2, 3, 4, 5)), _params(3)
    x = tn.tensor(np.ascontiguousarray(raw.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2), requires_grad=True)
    out = tn.batch_norm_train(x, w, b)[0]
    assert out.data.strides[0] == 8
    close(out.data, tn.batch_norm_train(raw, w, b)[0])
    assert tn.batch_norm(x, w, w**2, w, b).data.strides[0] == 8
    (out**2).sum().backward()
    assert x.grad.data.strides[0] == 8


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda x: tn.batch_norm_train(x, np.ones(4)),
            r"batch_norm_train\(x: .* failed: weight has shape \(4,\); x \(2, 3, 5\) has 3 channels in axis 1: give",
        ),
        (lambda x: tn.batch_norm_train(x, axis=3), r"x has shape \(2, 3, 5\), which has no axis 3"),
        (lambda x: tn.batch_norm_train(x[:1, :, :1]), r"fewer than two values per channel.*or .*eval mode"),
        (lambda x: tn.batch_norm(x, np.ones(2), np.ones(3)), r"mean has shape \(2,\)"),
        (lambda x: tn.layer_norm(x, 4), r"normalized_shape=4 must be the last axes of x, which has shape \(2, 3, 5\)"),
        (lambda x: tn.layer_norm(x, 5, np.ones(3)), r"weight has shape \(3,\); it must be normalized_shape, \(5,\)"),
        (lambda x: tn.layer_norm(x, ()), r"normalized_shape=\(\) must be the last axes"),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call(tn.tensor(R.normal(size=(2, 3, 5))))
