"""Dropout of elements and channels: exact structure, shares of fixed seeds, moments of alpha dropout, orders, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.autodiff.observe.capture import Capture
from tapenet.ops.layers.dropout import ALPHA
from tapenet.ops.random import chances
from tests.ops.oracle import close
from tests.replay import Replay

#: By op: a shape, and the shape of its draws.
CHANNELS: dict[str, list[tuple[tuple[int, ...], tuple[int, ...]]]] = {
    "dropout1d": [((4, 5, 3), (4, 5, 1)), ((5, 3), (5, 1))],
    "dropout2d": [((4, 5, 3, 2), (4, 5, 1, 1)), ((4, 5, 3), (4, 5, 1))],
    "dropout3d": [((4, 5, 3, 2, 2), (4, 5, 1, 1, 1)), ((5, 3, 2, 2), (5, 1, 1, 1))],
    "feature_alpha_dropout": [((4, 5, 3, 2), (4, 5, 1, 1)), ((4, 5), (4, 5))],
}


class Bytes:
    """A generator that gives every byte once, and then the same fraction."""

    def __init__(self, fraction: float) -> None:
        self.fraction = fraction

    def integers(self, low: int, high: int, size: int, dtype: Any, endpoint: bool) -> Any:
        assert (low, high, size, endpoint) == (0, 2**64 - 1, 32, True)
        return np.arange(256, dtype=np.uint8).view(dtype)

    def random(self, size: int) -> Any:
        return np.full(size, self.fraction)


@pytest.mark.parametrize("p", [0.0, 1e-4, 0.1, 0.25, 0.3, 0.5, 255.5 / 256, 1.0])
def test_chances_are_exact(p: float) -> None:
    """Of 256 equally likely bytes ⌊256 p⌋ are hits, and one more with the probability that is left."""
    part, whole = math.modf(256 * p)
    for fraction, more in ((part - 1e-9, part > 0), (part, False)):
        if fraction >= 0:
            rng: Any = Bytes(fraction)
            found = chances(rng, (16, 16), p)
            assert found.shape == (16, 16)
            assert found.dtype == np.bool_
            assert found.sum() == whole + more


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (7,), 5, (3, 3)])
def test_chances_of_any_shape(shape: Any) -> None:
    rng = np.random.default_rng(0)
    assert chances(rng, shape, 0.3).shape == (shape if isinstance(shape, tuple) else (shape,))
    assert chances(rng, shape, 1.0).all()
    assert not chances(rng, shape, 0.0).any()


@pytest.mark.parametrize("p", [0.002, 0.3, 0.5, 0.9])
def test_chances_are_independent_of_place(p: float) -> None:
    """Shares by bytes of a word and by neighbours, within five standard deviations."""
    found = chances(np.random.default_rng(1), (40_000, 8), p)
    deviation = math.sqrt(p * (1 - p) / 40_000)
    assert (np.abs(found.mean(0) - p) < 5 * deviation).all()
    both = (found[:, 1:] & found[:, :-1]).mean(0)
    assert (np.abs(both - p * p) < 5 * math.sqrt(p * p / 40_000)).all()


@pytest.mark.parametrize("name", CHANNELS)
def test_channels_are_dropped_as_a_whole(name: str) -> None:
    op = getattr(tn, name)
    for shape, draws in CHANNELS[name]:
        x = tn.tensor(1 + np.arange(math.prod(shape)).reshape(shape), "float64", requires_grad=True)
        out = op(x, 0.4, rng=0)
        out.backward(np.ones(shape))
        slope = x.grad.data
        axes = tuple(i for i, n in enumerate(draws) if n == 1)
        kept = slope.max(axes, keepdims=True)
        assert kept.shape == draws
        np.testing.assert_array_equal(slope, np.broadcast_to(kept, shape))
        assert len(np.unique(kept)) == 2  # some were kept, some not
        factor, rest = (1 / 0.6, 0.0)
        if name == "feature_alpha_dropout":
            factor = 1 / math.sqrt(0.6 * (1 + 0.4 * ALPHA**2))
            rest = 0.4 * ALPHA * factor
            np.testing.assert_allclose(out.data[slope == 0], rest - ALPHA * factor)
        else:
            np.testing.assert_array_equal(out.data[slope == 0], 0)
        np.testing.assert_allclose(out.data[slope > 0], x.data[slope > 0] * factor + rest)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_alpha_dropout_keeps_mean_and_variance(p: float, dtype: Any) -> None:
    x = np.random.default_rng(0).normal(size=200_000).astype(dtype)
    out = tn.alpha_dropout(x, p, rng=1)
    assert out.dtype == dtype
    assert abs(out.mean()) < 0.015
    assert abs(out.var() - 1) < 0.02
    values, counts = np.unique(out, return_counts=True)
    most = values[counts.argmax()]
    a = 1 / math.sqrt((1 - p) * (1 + p * ALPHA**2))
    assert most == pytest.approx(a * ALPHA * (p - 1), rel=1e-6)
    assert counts.max() / x.size == pytest.approx(p, abs=0.01)


def test_alpha_is_where_selu_saturates() -> None:
    torch = pytest.importorskip("torch")
    assert (
        pytest.approx(-torch.nn.functional.selu(torch.tensor(-100.0, dtype=torch.float64)).item(), rel=1e-15) == ALPHA
    )


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", *CHANNELS])
def test_all_dropped_or_none(name: str) -> None:
    op, shape = getattr(tn, name), CHANNELS.get(name, [((2, 3), (2, 3))])[0][0]
    x = tn.tensor(np.full(shape, np.inf), requires_grad=True)
    out = op(x, 1.0)
    assert not out.data.any()
    out.backward(np.ones(shape))
    assert not x.grad.data.any()
    for args in ((0.0,), (0.5, False)):
        np.testing.assert_array_equal(op(x, *args).data, x.data)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_infinities_and_nans_are_dropped_in_every_width(dtype: Any) -> None:
    x = np.array([np.inf, -np.inf, np.nan, 1, -1] * 40, dtype)
    with np.errstate(invalid="ignore"):
        out = tn.dropout(x, 0.5, rng=0)
    assert out.dtype == dtype
    dropped = out == 0
    assert 60 < dropped.sum() < 140
    np.testing.assert_array_equal(out[~dropped], 2 * x[~dropped])


@pytest.mark.parametrize("name", ["alpha_dropout", "dropout2d", "feature_alpha_dropout"])
def test_memory_order_is_kept(name: str) -> None:
    raw = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    x = np.ascontiguousarray(raw.transpose(1, 2, 3, 0)).transpose(3, 0, 1, 2)
    out = getattr(tn, name)(x, 0.5, rng=0)
    assert out.strides == x.strides
    close(out, getattr(tn, name)(raw, 0.5, rng=0))


@pytest.mark.parametrize("name", CHANNELS)
def test_a_replay_draws_anew(name: str) -> None:
    shape = (20, *CHANNELS[name][0][0][1:])
    x = tn.tensor(np.ones(shape), requires_grad=True)
    with Capture() as tape:
        out = getattr(tn, name)(x, 0.5)
    replay = Replay(tape, [x], out)
    first, second = (np.array(replay(np.ones(shape))) for _ in range(2))
    assert not np.array_equal(first, second)
    assert len(np.unique(first)) == len(np.unique(second)) == 2


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: tn.dropout1d(np.ones(3)),
            r"dropout1d.*x has shape \(3,\); it must have 2 or 3 axes, \(batch, channels, l",
        ),
        (lambda: tn.dropout2d(np.ones((2, 3))), r"x has shape \(2, 3\); it must have 3 or 4 axes"),
        (
            lambda: tn.dropout3d(np.ones((2, 3, 4)), training=False),
            r"x has shape \(2, 3, 4\); it must have 4 or 5 axes",
        ),
        (lambda: tn.feature_alpha_dropout(np.ones(3)), r"x has shape \(3,\); it must be \(batch, channels, \.\.\.\)"),
        (lambda: tn.alpha_dropout(np.ones(3), 1.5), "alpha_dropout.*p=1.5 is no probability"),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
