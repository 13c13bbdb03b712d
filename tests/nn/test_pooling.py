"""Layers of pooling and resizing: PyTorch's values and gradients; indices, draws, settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tests.nn.oracle import Make, beside_torch
from tests.ops.oracle import close

torch = pytest.importorskip("torch")
R = np.random.default_rng(0)
IMAGE = (3, 4, 6, 5)
SHAPES = {1: (2, 3, 9), 2: (2, 3, 6, 7), 3: (2, 3, 5, 6, 7)}


def unpooled(m: Any, axes: int, *options: Any) -> Any:
    """A layer that pools and puts back what it found."""
    pool, unpool = getattr(m, f"MaxPool{axes}d"), getattr(m, f"MaxUnpool{axes}d")

    class Unpooled(m.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.pool, self.unpool = pool(*options, return_indices=True), unpool(*options)

        def forward(self, x: Any) -> Any:
            return self.unpool(*self.pool(x), x.shape)

    return Unpooled()


def fractional(m: Any, axes: int, **options: Any) -> Any:
    """A layer of fractional max pooling whose windows lie alike in both libraries."""
    drawn = np.random.default_rng(1).uniform(size=(2, 3, axes))
    layer = getattr(m, f"FractionalMaxPool{axes}d")
    return layer(2, **options, _random_samples=drawn if m is nn else torch.tensor(drawn))


LAYERS: dict[str, tuple[Make, tuple[int, ...]]] = {
    "MaxPool2d": (lambda m: m.MaxPool2d(2), IMAGE),
    "MaxPool2d all": (lambda m: m.MaxPool2d((3, 2), stride=(2, 1), padding=1), IMAGE),
    "AvgPool2d": (lambda m: m.AvgPool2d(2), IMAGE),
    "AvgPool2d all": (lambda m: m.AvgPool2d((3, 2), stride=(2, 1), padding=1, count_include_pad=False), IMAGE),
    "MaxPool1d": (lambda m: m.MaxPool1d(3, 2, 1, dilation=2, ceil_mode=True), (3, 4, 8)),
    "MaxPool2d dilated": (lambda m: m.MaxPool2d(2, stride=(2, 1), dilation=(1, 2), ceil_mode=True), IMAGE),
    "MaxPool3d": (lambda m: m.MaxPool3d((1, 2, 2), stride=1, padding=(0, 1, 0)), (2, 3, 2, 4, 3)),
    "AvgPool1d": (lambda m: m.AvgPool1d(3, 2, 1, ceil_mode=True, count_include_pad=False), (3, 4, 8)),
    "AvgPool2d divisor": (lambda m: m.AvgPool2d(2, ceil_mode=True, divisor_override=3), IMAGE),
    "AvgPool3d": (lambda m: m.AvgPool3d((1, 2, 2), stride=1, padding=(0, 1, 0)), (2, 3, 2, 4, 3)),
    "LPPool1d": (lambda m: m.LPPool1d(2, 3, stride=2), (3, 4, 8)),
    "LPPool2d": (lambda m: m.LPPool2d(2, (2, 3), ceil_mode=True), IMAGE),
    "LPPool3d": (lambda m: m.LPPool3d(2, 2), (2, 3, 2, 4, 3)),
    "AdaptiveAvgPool1d": (lambda m: m.AdaptiveAvgPool1d(3), (3, 4, 8)),
    "AdaptiveAvgPool2d": (lambda m: m.AdaptiveAvgPool2d((None, 2)), IMAGE),
    "AdaptiveAvgPool2d global": (lambda m: m.AdaptiveAvgPool2d(1), IMAGE),
    "AdaptiveAvgPool3d": (lambda m: m.AdaptiveAvgPool3d((1, 3, 2)), (2, 3, 2, 4, 3)),
    "AdaptiveMaxPool1d": (lambda m: m.AdaptiveMaxPool1d(3), (3, 4, 8)),
    "AdaptiveMaxPool2d": (lambda m: m.AdaptiveMaxPool2d((None, 2)), IMAGE),
    "AdaptiveMaxPool2d global": (lambda m: m.AdaptiveMaxPool2d(1), IMAGE),
    "AdaptiveMaxPool3d": (lambda m: m.AdaptiveMaxPool3d((1, 3, 2)), (2, 3, 2, 4, 3)),
    "Upsample": (lambda m: m.Upsample(scale_factor=1.7), (3, 4, 8)),
    "Upsample bicubic": (lambda m: m.Upsample(scale_factor=(1.7, 0.6), mode="bicubic"), IMAGE),
    "Upsample trilinear": (lambda m: m.Upsample((3, 3, 3), mode="trilinear", align_corners=True), (2, 3, 2, 4, 3)),
    "Upsample recomputed": (
        lambda m: m.Upsample(scale_factor=1.7, mode="linear", recompute_scale_factor=True), (3, 4, 8)),
    "UpsamplingNearest2d": (lambda m: m.UpsamplingNearest2d(scale_factor=2), IMAGE),
    "UpsamplingBilinear2d": (lambda m: m.UpsamplingBilinear2d((9, 7)), IMAGE),
    "MaxUnpool1d": (lambda m: unpooled(m, 1, 2), SHAPES[1]),
    "MaxUnpool2d": (lambda m: unpooled(m, 2, 2), SHAPES[2]),
    "MaxUnpool2d all": (lambda m: unpooled(m, 2, (2, 3), (3, 3), (1, 0)), SHAPES[2]),
    "MaxUnpool3d": (lambda m: unpooled(m, 3, 2), SHAPES[3]),
    "FractionalMaxPool2d": (lambda m: fractional(m, 2, output_size=3), SHAPES[2]),
    "FractionalMaxPool3d": (lambda m: fractional(m, 3, output_ratio=0.6), SHAPES[3]),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    beside_torch(*LAYERS[name])


def same(ours: tuple[Any, Any], theirs: tuple[Any, Any], x: Any, tx: Any) -> None:
    """Values, indices and gradients agree."""
    close(ours[0].data, theirs[0].detach().numpy(), "value")
    np.testing.assert_array_equal(ours[1], theirs[1].numpy())
    g = R.normal(size=ours[0].shape)
    ours[0].backward(g)
    theirs[0].backward(torch.tensor(g))
    close(x.grad.data, tx.grad.numpy(), "gradient")


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize(
    "make",
    [
        lambda m, n: getattr(m, f"MaxPool{n}d")(3, 2, 1, 1, True, True),
        lambda m, n: getattr(m, f"AdaptiveMaxPool{n}d")(4, return_indices=True),
        lambda m, n: getattr(m, f"AdaptiveMaxPool{n}d")((1,) * n, return_indices=True),
    ],
    ids=["max", "adaptive", "global"],
)
def test_indices(make: Any, axes: int) -> None:
    data = R.normal(size=SHAPES[axes])
    x, tx = tn.tensor(data, requires_grad=True), torch.tensor(data, requires_grad=True)
    same(make(nn, axes)(x), make(torch.nn, axes)(tx), x, tx)


def test_what_fractional_max_pooling_draws() -> None:
    x = R.normal(size=(2, 3, 9, 9))
    layer = nn.FractionalMaxPool2d(2, output_ratio=0.6, rng=3)
    first, second = layer(x), layer(x)
    assert (first != second).any()
    np.testing.assert_array_equal(nn.FractionalMaxPool2d(2, output_ratio=0.6, rng=3)(x), first)
    tn.random.seed(5)
    one = nn.FractionalMaxPool2d(2, 5)(x)
    tn.random.seed(5)
    np.testing.assert_array_equal(nn.FractionalMaxPool2d(2, 5)(x), one)
    with pytest.raises(ValueError, match="FractionalMaxPool2d: give either output_size or output_ratio"):
        nn.FractionalMaxPool2d(2)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda m: m.MaxPool2d(2), "2"),
        (lambda m: m.MaxPool2d(3, 2, 1, ceil_mode=True), "3, stride=2, padding=1, ceil_mode=True"),
        (lambda m: m.AvgPool2d(2, count_include_pad=False), "2, count_include_pad=False"),
        (lambda m: m.LPPool2d(2, 3), "2, 3"),
        (lambda m: m.AdaptiveAvgPool2d((None, 3)), "(None, 3)"),
        (lambda m: m.AdaptiveMaxPool2d(1, return_indices=True), "1, return_indices=True"),
        (lambda m: m.MaxUnpool2d(2, 1), "2, stride=1"),
        (lambda m: m.FractionalMaxPool2d(2, 3), "2, output_size=3"),
        (lambda m: m.Upsample(scale_factor=2), "scale_factor=2, mode='nearest'"),
    ],
)
def test_a_layer_shows_its_settings(make: Any, text: str) -> None:
    assert make(nn).extra_repr() == text


@pytest.mark.parametrize("axes", SHAPES)
def test_arguments_are_those_of_torch(axes: int) -> None:
    import inspect

    def names(cls: Any) -> list[str]:
        parameters = list(inspect.signature(cls).parameters.values())
        return [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]

    kinds = ["MaxPool", "AvgPool", "LPPool", "AdaptiveAvgPool", "AdaptiveMaxPool", "MaxUnpool"]
    kinds += ["FractionalMaxPool"] if axes > 1 else []
    for kind in kinds:
        name = f"{kind}{axes}d"
        assert names(getattr(nn, name)) == names(getattr(torch.nn, name)), name
    for name in ("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"):
        assert names(getattr(nn, name)) == names(getattr(torch.nn, name)), name


def test_the_mean_of_a_plane_costs_one_pass() -> None:
    """Pooling to 1 is a mean or maximum, whatever the memory order."""
    x = R.normal(size=(3, 5, 4, 2)).transpose(3, 0, 1, 2)  # batch innermost
    np.testing.assert_allclose(nn.AdaptiveAvgPool2d(1)(x), x.mean((2, 3), keepdims=True), rtol=1e-14)
    np.testing.assert_array_equal(nn.AdaptiveMaxPool2d(1)(x), x.max((2, 3), keepdims=True))
    np.testing.assert_array_equal(nn.AdaptiveMaxPool2d(1)(x.astype(np.float32)).dtype, np.float32)
