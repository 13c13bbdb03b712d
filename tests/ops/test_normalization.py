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


@pytest.mark.parametrize(
    ("shape", "normalized"), [((4, 6), 6), ((2, 3, 4), (3, 4)), ((2, 3, 4), [2, 3, 4]), ((5,), 5), ((3, 40), 40)]
)
def test_rms_norm_is_that_of_torch(shape: Any, normalized: Any) -> None:
    lengths = (normalized,) if isinstance(normalized, int) else tuple(normalized)
    x, w = 1 + R.normal(size=shape), R.normal(size=lengths)
    agrees_with_torch(lambda x, w: tn.rms_norm(x, normalized, w), lambda x, w: F.rms_norm(x, lengths, w), x, w)
    agrees_with_torch(lambda x: tn.rms_norm(x, normalized, eps=0.1), lambda x: F.rms_norm(x, lengths, eps=0.1), x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rms_norm_adds_the_spacing_of_the_dtype(dtype: Any) -> None:
    x = np.full((1, 4), np.sqrt(np.finfo(dtype).eps), dtype)
    np.testing.assert_allclose(tn.rms_norm(x, 4), np.sqrt(0.5), rtol=1e-6)
    assert not tn.rms_norm(np.zeros((1, 4), dtype), 4).any()


@pytest.mark.parametrize("shape", [(3, 12), (3, 4, 5), (3, 4, 5, 6), (2, 4, 1, 3), (2, 4, 3, 2, 5)])
@pytest.mark.parametrize("groups", [1, 2])
def test_group_norm_is_that_of_torch(shape: Any, groups: int) -> None:
    x, (w, b) = 2 + 3 * R.normal(size=shape), _params(shape[1])
    agrees_with_torch(
        lambda x, w, b: tn.group_norm(x, groups, w, b), lambda x, w, b: F.group_norm(x, groups, w, b), x, w, b
    )
    agrees_with_torch(
        lambda x, b: tn.group_norm(x, groups, None, b, eps=0.1),
        lambda x, b: F.group_norm(x, groups, torch.ones_like(b), b, eps=0.1),  # torch fails on a bias alone
        x, b,
    )  # fmt: skip
    agrees_with_torch(lambda x: tn.group_norm(x, groups), lambda x: F.group_norm(x, groups), x)


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 5, 6), (2, 4, 3, 2, 5)])
def test_instance_norm_is_that_of_torch(shape: Any) -> None:
    x, (w, b) = 2 + 3 * R.normal(size=shape), _params(4)
    agrees_with_torch(
        lambda x, w, b: tn.instance_norm(x, w, b), lambda x, w, b: F.instance_norm(x, None, None, w, b), x, w, b
    )
    agrees_with_torch(
        lambda x, w: tn.instance_norm(x, w, eps=0.1), lambda x, w: F.instance_norm(x, None, None, w, eps=0.1), x, w
    )


def test_running_statistics_of_instances_are_those_of_torch() -> None:
    x, mean, var = R.normal(size=(3, 4, 5)), R.normal(size=4), R.uniform(0.5, 1.5, 4)
    mine, other = [tn.tensor(mean), tn.tensor(var)], [torch.tensor(mean), torch.tensor(var)]
    for own in (True, False):
        out = tn.nn.functional.instance_norm(x, *mine, use_input_stats=own, momentum=0.3)
        expected = F.instance_norm(torch.tensor(x), *other, use_input_stats=own, momentum=0.3)
        close(np.asarray(getattr(out, "data", out)), expected.numpy())
        close(mine[0].data, other[0].numpy())
        close(mine[1].data, other[1].numpy())


@pytest.mark.parametrize("size", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("shape", [(2, 4, 3), (1, 6, 2, 3), (2, 3, 2, 1, 2)])
def test_local_response_norm_is_that_of_torch(size: int, shape: Any) -> None:
    x = R.normal(size=shape)
    agrees_with_torch(
        lambda x: tn.local_response_norm(x, size, 0.7, 0.8, 1.5),
        lambda x: F.local_response_norm(x, size, 0.7, 0.8, 1.5),
        x,
    )
    agrees_with_torch(lambda x: tn.local_response_norm(x, size), lambda x: F.local_response_norm(x, size), x)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, np.inf])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_normalize_is_that_of_torch(p: float, axis: int) -> None:
    x = R.normal(size=(3, 4, 2))
    agrees_with_torch(lambda x: tn.normalize(x, p, axis), lambda x: F.normalize(x, p, axis), x)
    agrees_with_torch(lambda x: tn.normalize(x, p, axis, 100.0), lambda x: F.normalize(x, p, axis, 100.0), x)


def test_normalize_leaves_zeros() -> None:
    x = np.zeros((2, 3))
    agrees_with_torch(lambda x: tn.normalize(x, eps=0.5), lambda x: F.normalize(x, eps=0.5), x, dtypes=[np.float64])
    out = tn.normalize(R.normal(size=(2, 3, 4)), axis=(1, 2))
    np.testing.assert_allclose((out**2).sum((1, 2)), 1)


# -- memory ------------------------------------------------------------------------------------------------------


def _orders(raw: Any) -> list[Any]:
    """The same image in the memory orders that it may have: as it is, batch innermost, channels innermost, and apart."""
    apart = np.zeros((*raw.shape[:-1], 2 * raw.shape[-1]), raw.dtype)
    apart[..., ::2] = raw
    return [
        raw,
        np.ascontiguousarray(np.moveaxis(raw, 0, -1)).transpose(3, 0, 1, 2),
        np.ascontiguousarray(np.moveaxis(raw, 1, -1)).transpose(0, 3, 1, 2),
        apart[..., ::2],
        raw[::-1].copy()[::-1],
    ]


OVER_IMAGES: dict[str, Any] = {
    "batch": lambda x, w, b: tn.batch_norm_train(x, w, b),
    "group": lambda x, w, b: tn.group_norm_statistics(x, 2, w, b),
    "group without parameters": lambda x, w, b: (*tn.group_norm_statistics(x, 2), w.sum() + b.sum()),
    "instance": lambda x, w, b: tn.instance_norm(x, w, b),
    "response": lambda x, w, b: tn.local_response_norm(x, 3, 0.5) * (w + b)[:, None, None],
    "layer": lambda x, w, b: tn.layer_norm(x, 5, w[:1] + np.arange(5), b[:1] + np.arange(5)),
    "rms": lambda x, w, b: tn.rms_norm(x, 5, w[:1] + np.arange(5)) * b[:, None, None],
}


@pytest.mark.parametrize("name", OVER_IMAGES)
def test_every_memory_order_gives_the_same(name: str) -> None:
    f, raw, (w, b) = OVER_IMAGES[name], R.normal(size=(3, 4, 2, 5)), _params(4)
    weights = None
    results: list[list[Any]] = []
    for x in _orders(raw):
        for order in _orders(R.normal(size=raw.shape)):
            leaves = [tn.Tensor._of(a).requires_grad_() for a in (x, w, b)]
            outs = f(*leaves)
            outs = outs if isinstance(outs, tuple) else (outs,)
            r = np.random.default_rng(3)
            weights = [r.normal(size=o.shape) for o in outs]
            g = np.empty_like(order)
            g[...] = weights[0]
            total = (outs[0] * g).sum()
            for o, v in zip(outs[1:], weights[1:], strict=True):
                total = total + (o * v).sum()
            total.backward()
            results.append([*(o.data for o in outs), *(t.grad.data for t in leaves)])
    for found in results[1:]:
        for a, e in zip(found, results[0], strict=True):
            np.testing.assert_allclose(a, e, rtol=1e-10, atol=1e-12)


def test_a_batch_of_convolutions_results_keeps_its_order() -> None:
    x = _orders(R.normal(size=(3, 4, 2, 5)))[1]
    for f in (lambda t: tn.group_norm(t, 2), tn.instance_norm, lambda t: tn.local_response_norm(t, 3)):
        t = tn.Tensor._of(x).requires_grad_()
        out = f(t)
        assert out.data.strides[0] == 8
        (out**2).sum().backward()
        assert t.grad.data.strides[0] == 8


def test_large_offsets_cost_no_more_digits_than_torch() -> None:
    raw = (1e4 + R.normal(size=(8, 4, 30, 30))).astype(np.float32)
    exact = raw.astype(np.float64)
    for ours, theirs in (
        (lambda x: tn.batch_norm_train(x)[0], lambda x: F.batch_norm(x, None, None, training=True)),
        (lambda x: tn.group_norm(x, 2), lambda x: F.group_norm(x, 2)),
        (lambda x: tn.layer_norm(x, 30), lambda x: F.layer_norm(x, (30,))),
    ):
        error = np.abs(ours(raw) - ours(exact)).max()
        assert error <= 3 * np.abs(theirs(torch.tensor(raw)).numpy() - ours(exact)).max()


def test_higher_orders() -> None:
    r = np.random.default_rng(1)
    x, w, b = r.normal(size=(3, 4)), r.uniform(0.5, 1.5, 4), r.normal(size=4)
    check_grads(lambda x, w, b: tn.batch_norm_train(x, w, b)[0] ** 2, [x, w, b], order=3, rtol=1e-5)
    check_grads(lambda x, w, b: tn.layer_norm(x, 4, w, b) ** 2, [x, w, b], order=3, rtol=1e-5)
    check_grads(lambda x, w: tn.rms_norm(x, 4, w) ** 2, [x, w], order=3, rtol=1e-5)
    check_grads(lambda x, w, b: tn.group_norm(x, 2, w, b) ** 2, [x, w, b], order=3, rtol=1e-5)
    check_grads(lambda x: tn.local_response_norm(x[None], 3, 0.5) ** 2, [x], order=3, rtol=1e-5)


def test_statistics_of_groups_have_gradients_too() -> None:
    x = np.random.default_rng(1).normal(size=(2, 4, 3))
    for part in (1, 2):
        check_grads(lambda x: tn.group_norm_statistics(x, 2)[part] ** 2, [x], order=2)  # noqa: B023


def test_rules_follow_the_data_of_a_replay() -> None:
    first, second = R.normal(size=(4, 3)), 2 * R.normal(size=(4, 3))
    w, b = (tn.tensor(p, requires_grad=True) for p in _params(3))
    target = R.normal(size=(4, 3))
    replays(lambda x: ((tn.batch_norm_train(x, w, b)[0] - target) ** 2).sum(), first, second)
    replays(lambda x: ((tn.layer_norm(x, 3, w, b) - target) ** 2).sum(), first, second)
    replays(lambda x: ((tn.rms_norm(x, 3, w) - target) ** 2).sum(), first, second)
    replays(lambda x: ((tn.group_norm(x, 1, w, b) - target) ** 2).sum(), first, second)


def test_running_statistics_are_captured() -> None:
    """As the layer keeps them: an assignment of the batch's statistics during a capture."""
    from tapenet.autodiff.observe.capture import Capture
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
        (lambda x: tn.rms_norm(x, 4), r"rms_norm.*normalized_shape=4 must be the last axes of x"),
        (lambda x: tn.rms_norm(x, 5, np.ones(3)), r"weight has shape \(3,\); it must be normalized_shape, \(5,\)"),
        (
            lambda x: tn.group_norm(x, 2),
            r"x \(2, 3, 5\) has 3 channels, which are not num_groups=2 groups of equal size",
        ),
        (lambda x: tn.group_norm(x, 0), r"num_groups=0"),
        (lambda x: tn.group_norm(x, 3, np.ones(5)), r"weight has shape \(5,\); x \(2, 3, 5\) has 3 channels in axis 1"),
        (lambda x: tn.group_norm(x[0, 0], 1), r"x has shape \(5,\); it must be \(batch, channels, \.\.\.\)"),
        (lambda x: tn.instance_norm(x[..., :1]), r"instance_norm: x \(2, 3, 1\) has fewer than two positions"),
        (lambda x: tn.local_response_norm(x[0], 3), r"x has shape \(3, 5\); it must be \(batch, channels, positions"),
        (lambda x: tn.local_response_norm(x, 0), r"size=0 channels are no window"),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call(tn.tensor(R.normal(size=(2, 3, 5))))
