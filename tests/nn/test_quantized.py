"""Linear layers with 8-bit weights: their error bound, their state, and models that have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.ops.layers import quantized
from tapenet.ops.layers.quantized import quantized_weight


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9), st.integers(1, 40), st.sampled_from([(), (1,), (5,), (2, 3)]), st.floats(1e-20, 1e15),
    st.integers(0, 2**31),
)  # fmt: skip
def test_the_error_is_at_most_half_a_scale_times_the_sum_of_the_inputs(
    out: int, ins: int, batch: tuple[int, ...], size: float, seed: int
) -> None:
    r = np.random.default_rng(seed)
    layer = nn.Linear(ins, out, rng=r)
    layer.weight.data = r.standard_t(2, size=(out, ins)) * size
    low = nn.quantized.Linear.from_float(layer)
    x = r.normal(size=(*batch, ins)).astype(np.float32)
    wide = x.astype(float)
    exact = wide @ layer.weight.data.T.astype(float) + layer.bias.data
    error = np.abs(low(x).data - exact)
    scale = low.scale.data.astype(float)
    bound = scale / 2 * np.abs(wide).sum(axis=-1, keepdims=True)
    # Sums in float32 round: by n · eps times the sum of the magnitudes at most, and the scale by eps.
    rounding = (
        (ins + 3) * 2**-24 * (np.abs(wide) @ np.abs(layer.weight.data.T.astype(float)) + bound + np.abs(exact) + 1)
    )
    assert (error <= bound + rounding).all()


def test_integers_fill_their_range_and_are_nearest() -> None:
    r = np.random.default_rng(0)
    w = r.normal(size=(20, 30)).astype(np.float32)
    integers, scale = quantized_weight(w)
    assert integers.dtype == np.int8
    assert scale.dtype == np.float32
    assert (np.abs(integers).max(axis=1) == 127).all()
    assert integers.min() >= -127
    assert (np.abs(w - integers * scale[:, None]) <= scale[:, None] / 2 * (1 + 1e-5)).all()


@pytest.mark.parametrize("row", [[0.0, 0.0], [1e-45, 0.0], [1e-40, -3e-41], [3e38, -3e38]])
def test_rows_of_zeros_tiny_and_huge_numbers(row: list[float]) -> None:
    w = np.array([row], np.float32)
    integers, scale = quantized_weight(w)
    assert np.isfinite(scale).all()
    assert (np.abs(w - integers * scale[:, None]) <= max(scale[0] / 2, 1.5e-45)).all()


def test_blocks_that_do_not_divide_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    r = np.random.default_rng(0)
    weight, scale = quantized_weight(r.normal(size=(23, 17)).astype(np.float32))
    x, y = r.normal(size=(4, 17)).astype(np.float32), r.normal(size=(4, 23)).astype(np.float32)
    dense = weight * scale[:, None]
    for block in (1, 17 * 4 * 5, 1 << 20):
        monkeypatch.setattr(quantized, "BLOCK", block)
        np.testing.assert_allclose(tn.quantized_linear(x, weight, scale), x @ dense.T, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(tn.quantized_linear_input_grad(y, weight, scale), y @ dense, rtol=1e-4, atol=1e-5)


def test_no_whole_float_copy_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    weight, scale = np.ones((2000, 1000), np.int8), np.ones(2000, np.float32)
    x = np.ones((1, 1000), np.float32)
    tn.quantized_linear(x, weight, scale)
    tracemalloc.start()
    tn.quantized_linear(x, weight, scale)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * quantized.BLOCK  # the weights are 8 MB as floats


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 0, 3)])
def test_empty_batches_and_no_batch(shape: tuple[int, ...]) -> None:
    layer = nn.quantized.Linear.from_float(nn.Linear(3, 2, rng=0))
    assert layer(np.ones(shape, np.float32)).shape == (*shape[:-1], 2)
    nothing = nn.quantized.Linear(0, 2)
    assert nothing(np.ones((*shape[:-1], 0), np.float32)).shape == (*shape[:-1], 2)


def test_gradients_go_to_the_input() -> None:
    layer = nn.Linear(5, 4, rng=0)
    low = nn.quantized.Linear.from_float(layer)
    x = tn.tensor(np.ones((2, 5), np.float32), requires_grad=True)
    (low(x) ** 2).sum().backward()
    dense = low.weight.data * low.scale.data[:, None]
    np.testing.assert_allclose(x.grad.data, 2 * low(x).data @ dense, rtol=1e-4)
    assert not list(low.parameters())


def test_state_is_stored_as_integers_and_passes_both_ways(tmp_path: Any) -> None:
    low = nn.quantized.Linear.from_float(nn.Linear(6, 3, rng=0))
    state = low.state_dict()
    assert {n: (a.dtype.name, a.shape) for n, a in state.items()} == {
        "weight": ("int8", (3, 6)), "scale": ("float32", (3,)), "bias": ("float32", (3,)),
    }  # fmt: skip
    np.savez(tmp_path / "state.npz", **state)
    other = nn.quantized.Linear(6, 3)
    with np.load(tmp_path / "state.npz") as stored:
        other.load_state_dict(dict(stored))
    x = np.ones((2, 6), np.float32)
    np.testing.assert_array_equal(other(x).data, low(x).data)
    with pytest.raises(ValueError, match="dtype       weight: int8 here, float32 in the state"):
        other.load_state_dict(state | {"weight": np.ones((3, 6), np.float32)})


class Inner(nn.Linear):
    pass


class Net(nn.Module):
    def __init__(self) -> None:
        self.first = nn.Linear(8, 6, rng=0)
        self.blocks = [nn.Sequential(nn.Linear(6, 6, bias=False, rng=1), nn.Tanh()), {"last": nn.Linear(6, 2, rng=2)}]
        self.again = self.first
        self.derived = Inner(2, 2, rng=3)
        self.norm = nn.LayerNorm(6)

    def forward(self, x: Any) -> Any:
        return self.derived(self.blocks[1]["last"](self.norm(self.blocks[0](self.again(x)))))


def test_a_copy_of_a_model_has_them_and_the_model_stays() -> None:
    net = Net().eval()
    x = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    before = net(x).data
    low = nn.quantize(net)
    np.testing.assert_array_equal(net(x).data, before)
    assert [n for n, m in low.named_modules() if isinstance(m, nn.quantized.Linear)] == [
        "first",
        "blocks.0.0",
        "blocks.1.last",
    ]
    assert low.again is low.first
    assert type(low.derived) is Inner
    assert low.derived.weight is not net.derived.weight
    assert low.first.training is False
    assert np.abs(low(x).data - before).max() < 0.02 * np.abs(before).max() + 0.01
    some = nn.quantize(net, where=lambda name, layer: name.startswith("blocks"))
    assert type(some.first) is nn.Linear
    assert type(nn.quantize(net.first)) is nn.quantized.Linear
    assert "Linear(6, 6, bias=False, int8)" in repr(low)


X = np.random.default_rng(0).normal(size=(6, 5, 8)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 10, 6)
#: Models that hold linear layers: how each is made, and what it gives.
HOLDERS: dict[str, Any] = {
    "MultiheadAttention": (lambda: nn.MultiheadAttention(8, 2, rng=0), lambda m: m(X, X, X)[0]),
    "TransformerEncoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, rng=0), 2),
        lambda m: m(X),
    ),
    "Transformer": (lambda: nn.Transformer(8, 2, 1, 1, 16, rng=0), lambda m: m(X, X[:3])),
    "LinearCrossEntropyLoss": (lambda: nn.LinearCrossEntropyLoss(8, 10, rng=0), lambda m: m(X[:, 0], LABELS)),
    "AdaptiveLogSoftmaxWithLoss": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(8, 10, [3, 6], div_value=1.0, rng=0),
        lambda m: m.log_prob(X[:, 0]) + m(X[:, 0], LABELS).output[:, None],
    ),
}


@pytest.mark.parametrize(("make", "call"), HOLDERS.values(), ids=HOLDERS)
def test_models_that_use_weights_of_layers_by_themselves(make: Any, call: Any) -> None:
    net = make().eval()
    before = call(net).data
    found = call(nn.quantize(net)).data
    assert np.abs(found - before).max() < 0.03 * np.abs(before).max()


def test_a_summary_shows_the_bytes() -> None:
    net = nn.Sequential(nn.Linear(256, 512, rng=0), nn.ReLU(), nn.Linear(512, 64, rng=0))
    full, low = (nn.summary(m, (1, 256)).total for m in (net, nn.quantize(net)))
    weights, rest = 256 * 512 + 512 * 64, 512 + 64
    assert full.parameter_bytes == 4 * (weights + rest)
    assert low.parameter_bytes + low.buffer_bytes == weights + 8 * rest
    assert low.multiply_adds == full.multiply_adds


def test_low_types_and_float64_inputs() -> None:
    layer = nn.Linear(4, 3, rng=0)
    low = nn.quantized.Linear.from_float(layer)
    half = nn.quantized.Linear.from_float(nn.Linear(4, 3, rng=0).half())
    assert low([1, 2, 3, 4]).dtype == np.float32
    assert low(np.ones(4)).dtype == np.float32
    assert half(np.ones(4)).dtype == np.float32
    with tn.autocast("float16"):
        assert low(np.ones(4, np.float32)).dtype == np.float32
    f = tn.compile(lambda x: low(x) * 2, backend="numpy")
    x = np.ones((2, 4), np.float32)
    for _ in range(3):
        np.testing.assert_allclose(f(x).data, 2 * low(x).data, rtol=1e-6)


def test_accuracy_on_digits_stays() -> None:
    """Trained for some epochs on real digits; of 1,000 test images at most 5 more are told wrongly, and no probability
    moves by more than 0.02 in the mean."""
    images, labels, test_images, test_labels = tn.data.digits()
    net = nn.Sequential(nn.Flatten(), nn.Linear(784, 64, rng=0), nn.ReLU(), nn.Linear(64, 10, rng=1))
    opt = optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(5):
        for x, y in tn.data.batches(images, labels, batch_size=50, shuffle=True, seed=epoch):
            loss = F.cross_entropy(net(x), y)
            opt.zero_grad()
            loss.backward()
            opt.step()
    low = nn.quantize(net)
    full_out, low_out = net(test_images), low(test_images)
    full, now = (float((out.data.argmax(axis=1) == test_labels).mean()) for out in (full_out, low_out))
    assert full > 0.85
    assert abs(full - now) <= 0.005
    assert np.abs(F.softmax(full_out, axis=1).data - F.softmax(low_out, axis=1).data).mean() < 0.02


def test_what_does_not_fit() -> None:
    low = nn.quantized.Linear.from_float(nn.Linear(4, 3, rng=0))
    with pytest.raises(ValueError, match=r"the last axis of x, of shape \(2, 5\), must be 4 long"):
        low(np.ones((2, 5), np.float32))
    with pytest.raises(ValueError, match=r"weight is float64 \(3, 4\) .*give int8 \(out, in\)"):
        tn.quantized_linear(np.ones(4), np.ones((3, 4)), np.ones(3))
    with pytest.raises(ValueError, match=r"the bias has shape \(1,\), not \(3,\)"):
        tn.quantized_linear(np.ones(4), np.ones((3, 4), np.int8), np.ones(3), np.ones(1))
    net = nn.Sequential(nn.Linear(2, 2, rng=0))
    net[0].weight.data = np.full((2, 2), np.nan)
    with pytest.raises(ValueError, match="quantize: 0: a weight holds nan or infinity"):
        nn.quantize(net)
