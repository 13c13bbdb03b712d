"""`tn.compile(f, frozen=True)`: parameters are constants, and batch norms part of the weights before them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.compiler.compile import available_backend

BACKENDS = ["numpy"] + ["native"] * (available_backend() == "native")
R = np.random.default_rng(0)


def randomised(model: Any) -> Any:
    """The model in eval mode, with statistics as after training."""
    for layer in model.modules():
        if hasattr(layer, "running_var"):
            layer.running_mean.data = R.normal(size=layer.running_mean.shape).astype(np.float32)
            layer.running_var.data = R.uniform(0.5, 2, layer.running_var.shape).astype(np.float32)
            layer.weight.data = R.normal(size=layer.weight.shape).astype(np.float32)
            layer.bias.data = R.normal(size=layer.bias.shape).astype(np.float32)
    return model.eval()


MODELS: dict[str, tuple[Callable[[], list[nn.Module]], tuple[int, ...]]] = {
    "conv1d": (lambda: [nn.Conv1d(3, 8, 5, padding=2), nn.BatchNorm1d(8)], (4, 3, 600)),
    "conv2d": (lambda: [nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU()], (4, 3, 40, 40)),
    "depthwise": (lambda: [nn.Conv2d(8, 16, 3, padding=1, groups=8), nn.BatchNorm2d(16)], (4, 8, 30, 30)),
    "grouped": (lambda: [nn.Conv2d(8, 6, 3, groups=2), nn.BatchNorm2d(6), nn.ReLU6()], (4, 8, 30, 30)),
    "conv3d": (lambda: [nn.Conv3d(2, 4, 3), nn.BatchNorm3d(4)], (2, 2, 12, 12, 12)),
    "transposed": (lambda: [nn.ConvTranspose2d(6, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4)], (4, 6, 20, 20)),
    "grouped transposed": (lambda: [nn.ConvTranspose2d(6, 8, 3, groups=2), nn.BatchNorm2d(8)], (4, 6, 30, 30)),
    "transposed 1d": (lambda: [nn.ConvTranspose1d(4, 6, 4, groups=2), nn.BatchNorm1d(6)], (4, 4, 900)),
    "linear": (lambda: [nn.Linear(20, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 5)], (7, 20)),
    "linear without bias": (lambda: [nn.Linear(20, 30, bias=False), nn.BatchNorm1d(30)], (7, 20)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", MODELS)
def test_a_batch_norm_becomes_part_of_the_weights(name: str, backend: str) -> None:
    make, shape = MODELS[name]
    model = randomised(nn.Sequential(*make()))
    x = R.normal(size=shape).astype(np.float32)
    expected = model(x).numpy()
    run = tn.compile(model, backend=backend, frozen=True)
    assert np.array_equal(run(x).numpy(), expected)  # captured
    np.testing.assert_allclose(run(x).numpy(), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    (variant,) = run.variants
    assert not variant.program.references
    names = [i.name for i in variant.program.body]
    assert not {"multiply", "sqrt", "divide", "subtract"}.intersection(names), names
    assert "frozen: " in str(run.explain())


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_written_to_parameters_later_is_not_seen(backend: str) -> None:
    layer = nn.Linear(3, 2)
    run = tn.compile(layer, backend=backend, frozen=True)
    x = R.normal(size=(4, 3)).astype(np.float32)
    before = run(x).numpy()
    layer.weight.data[...] = 0
    layer.bias.data = np.zeros(2, np.float32)
    np.testing.assert_allclose(run(x).numpy(), before, rtol=1e-5)
    assert len(run.variants) == 1
    assert not tn.compile(layer, backend=backend, frozen=True)(x).numpy().any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_function_that_trains_is_refused(backend: str) -> None:
    layer = nn.Linear(3, 2)
    opt = tn.optim.SGD(layer.parameters(), lr=0.1)

    @tn.compile(backend=backend, frozen=True)
    def step(x: Any) -> Any:
        loss = layer(x).sum()
        opt.zero_grad()
        loss.backward()
        opt.step()
        return loss

    x = np.ones((4, 3), np.float32)
    before = layer.weight.numpy().copy()
    with pytest.raises(tn.CaptureError, match="frozen=True"):
        step(x)
    assert np.array_equal(layer.weight.numpy(), before)
    norm = nn.BatchNorm1d(3)
    with pytest.raises(tn.CaptureError, match="eval mode"):
        tn.compile(norm, backend=backend, frozen=True)(x + R.normal(size=x.shape).astype(np.float32))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_factor_stays_where_its_place_would_change_the_result(backend: str) -> None:
    """Where the convolution is read a second time, or the factor differs along another axis."""
    weight = R.normal(size=(8, 3, 3, 3)).astype(np.float32)
    by_row, by_channel = (R.normal(size=s).astype(np.float32) for s in ((1, 1, 38, 1), (1, 8, 1, 1)))
    weights = [tn.tensor(a) for a in (weight, by_row, by_channel)]

    def f(x: Any) -> Any:
        w, rows, channels = weights
        y = tn.conv2d(x, w)
        return y * rows, y * channels + y

    x = R.normal(size=(2, 3, 40, 40)).astype(np.float32)
    run = tn.compile(f, backend=backend, frozen=True)
    for found, expected in zip(run(x) and run(x), f(x), strict=True):
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_a_graph_it_runs_by_the_parameters_as_they_are(backend: str) -> None:
    layer = nn.Linear(3, 1)
    run = tn.compile(layer, backend=backend, frozen=True)
    x = tn.tensor(np.ones((1, 3), np.float32), requires_grad=True)
    for _ in range(3):
        x.grad = None
        (run(x * 1).sum()).backward()
        np.testing.assert_allclose(x.grad.numpy(), layer.weight.numpy(), rtol=1e-6)
        layer.weight.data = layer.weight.numpy() * 2


def test_options_are_kept_by_copies() -> None:
    run = tn.compile(nn.Linear(3, 2), frozen=True)
    assert copy.deepcopy(run)._frozen


class _Residual(nn.Module):
    def __init__(self, side: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 6, 3, padding=1)
        )
        self.side = nn.Conv2d(6, 6, 1) if side else nn.Identity()

    def forward(self, x: Any) -> Any:
        return np.maximum(self.body(x) + self.side(x), 0)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "identity": (lambda: _Residual(False), (2, 6, 9, 8)),
    "side": (lambda: _Residual(True), (2, 6, 9, 8)),
    "separable": (
        lambda: nn.Sequential(
            *[nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8)],
            *[nn.ReLU(), nn.Conv2d(8, 20, 1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(20 * 9, 4)],
        ),
        (3, 3, 14, 14),
    ),
    "sequences": (lambda: nn.Sequential(nn.Conv1d(3, 8, 5, dilation=2), nn.ReLU(), nn.Conv1d(8, 4, 3)), (2, 3, 40)),
    "one image": (lambda: nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2)), (3, 12, 12)),
    "limits": (
        lambda: nn.Sequential(
            *[nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, groups=8), nn.Hardtanh(-0.1, 0.2)],
            *[nn.Flatten(), nn.Linear(8 * 16, 16), nn.ReLU6()],
        ),
        (6, 3, 8, 8),
    ),
    "grouped": (lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.ReLU()), (2, 4, 12, 12)),
    "winograd": (lambda: nn.Sequential(*[nn.Conv2d(32, 32, 3, padding=1), nn.ReLU()] * 2), (32, 32, 8, 8)),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_convolutions(name: str, backend: str) -> None:
    make, shape = NETWORKS[name]
    model = randomised(make())
    x = R.normal(size=shape).astype(np.float32)
    expected = model(x).numpy()
    run = tn.compile(model, backend=backend, frozen=True)
    run(x)
    np.testing.assert_allclose(run(x).numpy(), expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    names = [i.name for i in run.variants[0].program.body]
    inside = backend == "native" and name != "winograd"
    assert ("convolve" in names) == inside
    if inside:
        assert "call" not in names or name in ("separable", "one image")  # pooling
        assert "maximum" not in names
        assert "where" not in names
        assert "called as they are" not in str(run.explain()) or name in ("separable", "one image")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("limit", [lambda y: tn.clip(y, np.nan, 1.0), lambda y: np.minimum(y, np.nan)])
def test_a_limit_that_is_nan(limit: Callable[[Any], Any], backend: str) -> None:
    layer, x = nn.Conv2d(3, 8, 3), R.normal(size=(2, 3, 6, 6)).astype(np.float32)
    run = tn.compile(lambda x: limit(layer(x)), backend=backend, frozen=True)
    for _ in range(2):
        assert np.isnan(run(x).numpy()).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("size", "shape"),
    [((8, 32), (8, 1)), ((4, 32), (4, 1)), ((2, 4, 32), (2, 4, 1)), ((2, 4, 32), (2, 1, 1)), ((8, 32), (1, 8))],
)
def test_what_is_added_to_rows_is_no_bias(size: tuple[int, ...], shape: tuple[int, ...], backend: str) -> None:
    """Though rows may be as many as columns."""
    weight, added = (tn.tensor(R.normal(size=s).astype(np.float32)) for s in ((32, 8), shape))
    x = R.normal(size=size).astype(np.float32)
    run = tn.compile(lambda x: x @ weight + added, backend=backend, frozen=True)
    for _ in range(2):
        np.testing.assert_allclose(run(x).numpy(), x @ weight.numpy() + added.numpy(), rtol=1e-4, atol=1e-4)
