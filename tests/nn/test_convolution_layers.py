"""Layers of convolution, borders and windows: PyTorch's values, gradients and states; what a state cannot show; errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tests.nn.oracle import Make, arrays, beside_torch

torch = pytest.importorskip("torch")

SEQUENCE, IMAGE, VOLUME = (3, 4, 9), (2, 4, 6, 5), (2, 4, 5, 4, 6)
SHAPES = {1: SEQUENCE, 2: IMAGE, 3: VOLUME}

LAYERS: dict[str, tuple[Make, tuple[int, ...]]] = {
    "Conv1d": (lambda m: m.Conv1d(4, 6, 3), SEQUENCE),
    "Conv1d all": (lambda m: m.Conv1d(4, 6, 3, 2, 2, 2, 2, bias=False), SEQUENCE),
    "Conv1d same": (lambda m: m.Conv1d(4, 2, 4, padding="same", dilation=2), SEQUENCE),
    "Conv1d depthwise": (lambda m: m.Conv1d(4, 4, 3, padding="valid", groups=4), SEQUENCE),
    "Conv1d circular": (lambda m: m.Conv1d(4, 2, 3, padding=2, padding_mode="circular"), SEQUENCE),
    "Conv1d no batch": (lambda m: m.Conv1d(4, 2, 3, padding=1, padding_mode="replicate"), (4, 9)),
    "Conv2d reflect": (lambda m: m.Conv2d(4, 2, (3, 2), 2, (2, 1), padding_mode="reflect"), IMAGE),
    "Conv2d same reflect": (lambda m: m.Conv2d(4, 2, (3, 4), padding="same", padding_mode="reflect"), IMAGE),
    "Conv2d replicate": (lambda m: m.Conv2d(4, 2, 3, padding=(0, 2), padding_mode="replicate"), IMAGE),
    "Conv2d circular": (lambda m: m.Conv2d(4, 2, 3, padding=1, padding_mode="circular"), IMAGE),
    "Conv3d": (lambda m: m.Conv3d(4, 3, 2), VOLUME),
    "Conv3d all": (lambda m: m.Conv3d(4, 6, (2, 1, 3), (2, 1, 2), (1, 0, 2), (1, 2, 2), 2), VOLUME),
    "Conv3d same": (lambda m: m.Conv3d(4, 2, (2, 3, 1), padding="same"), VOLUME),
    "Conv3d reflect": (lambda m: m.Conv3d(4, 2, 3, padding=(1, 2, 0), padding_mode="reflect"), VOLUME),
    "ConvTranspose1d": (lambda m: m.ConvTranspose1d(4, 6, 3), SEQUENCE),
    "ConvTranspose1d all": (lambda m: m.ConvTranspose1d(4, 6, 3, 3, 1, 2, 2, False, 2), SEQUENCE),
    "ConvTranspose2d": (lambda m: m.ConvTranspose2d(4, 6, 3, stride=2), IMAGE),
    "ConvTranspose2d all": (lambda m: m.ConvTranspose2d(4, 6, (3, 2), (2, 1), (2, 0), (1, 0), 2, True, (1, 2)), IMAGE),
    "ConvTranspose2d depthwise": (lambda m: m.ConvTranspose2d(4, 4, 4, 2, 1, groups=4), IMAGE),
    "ConvTranspose2d no batch": (lambda m: m.ConvTranspose2d(4, 3, 2), (4, 3, 2)),
    "ConvTranspose2d dilated": (lambda m: m.ConvTranspose2d(4, 2, 2, 1, 0, 2, dilation=3), IMAGE),
    "ConvTranspose3d": (lambda m: m.ConvTranspose3d(4, 3, 2), VOLUME),
    "ConvTranspose3d all": (lambda m: m.ConvTranspose3d(4, 2, (2, 1, 3), (2, 1, 3), (1, 0, 1), (1, 0, 2), 2), VOLUME),
    "Unfold": (lambda m: m.Unfold(2), IMAGE),
    "Unfold all": (lambda m: m.Unfold((2, 3), (2, 1), (1, 2), (2, 1)), IMAGE),
    "Fold": (lambda m: m.Fold((3, 4), (2, 2)), (2, 12, 6)),
    "Fold all": (lambda m: m.Fold((5, 4), (2, 3), (2, 1), (1, 2), (2, 1)), (12, 18)),
    "PixelShuffle": (lambda m: m.PixelShuffle(2), (2, 8, 3, 2)),
    "PixelShuffle no batch": (lambda m: m.PixelShuffle(3), (9, 1, 2)),
    "PixelUnshuffle": (lambda m: m.PixelUnshuffle(2), (2, 3, 4, 6)),
    "ChannelShuffle": (lambda m: m.ChannelShuffle(3), (2, 6, 3, 2)),
    "Unflatten": (lambda m: m.Unflatten(1, (2, 2)), IMAGE),
    "Unflatten rest": (lambda m: m.Unflatten(-1, (-1, 3)), (2, 12)),
    "network": (
        lambda m: m.Sequential(
            m.ReflectionPad2d(1), m.Conv2d(4, 8, 3, groups=2), m.ChannelShuffle(2), m.ReLU(), m.PixelUnshuffle(2),
            m.Conv2d(32, 6, 1), m.Tanh(), m.ConvTranspose2d(6, 4, 2, stride=2),
        ),
        (2, 4, 6, 4),
    ),
}  # fmt: skip


def _paddings() -> dict[str, tuple[Make, tuple[int, ...]]]:
    """Each kind of border over one, two and three axes, by one width and by widths of its own on each side."""
    widths = {1: (2, 1), 2: (2, 1, 0, 3), 3: (2, 1, 0, 2, 1, 1)}
    rows: dict[str, tuple[Make, tuple[int, ...]]] = {}
    for kind in ("Zero", "Constant", "Reflection", "Replication", "Circular"):
        value = (0.7,) if kind == "Constant" else ()
        for axes, shape in SHAPES.items():
            name = f"{kind}Pad{axes}d"
            for words, width in (("", 1), (" sides", widths[axes])):
                rows[name + words] = (lambda m, n=name, w=width, v=value: getattr(m, n)(w, *v)), shape
    rows["ZeroPad2d cut"] = (lambda m: m.ZeroPad2d((-1, 2, 0, -2)), IMAGE)
    rows["ConstantPad1d last axis"] = (lambda m: m.ConstantPad1d((1, -1), 0.5), IMAGE)
    rows["ReplicationPad2d wide"] = (lambda m: m.ReplicationPad2d(7), (4, 2, 3))
    rows["CircularPad2d as wide"] = (lambda m: m.CircularPad2d((3, 1, 2, 0)), (1, 2, 2, 3))
    return rows


LAYERS |= _paddings()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_layer(name: str) -> None:
    beside_torch(*LAYERS[name])


@pytest.mark.parametrize("name", ["Conv1d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"])
def test_initial_values_lie_where_those_of_torch_do(name: str) -> None:
    """Uniform, with a bound that follows from the kernels' second axis."""
    mine, theirs = (getattr(m, name)(8, 6, 3, groups=2) for m in (nn, torch.nn))
    bound = (mine.weight.shape[1] * np.prod(mine.kernel_size)) ** -0.5
    for weight, bias in ((mine.weight.data, mine.bias.data), (theirs.weight.detach().numpy(), theirs.bias)):
        assert weight.dtype == np.float32
        assert 0.9 * bound < np.abs(weight).max() <= bound
        assert abs(bias).max() <= bound


@pytest.mark.parametrize("size", [(11, 9), (12, 9), (12, 10), (2, 3, 12, 9)])
def test_output_size_chooses_the_output_padding(size: tuple[int, ...]) -> None:
    mine, theirs = (m.ConvTranspose2d(4, 3, 3, 2, 1) for m in (nn, torch.nn))
    mine.load_state_dict(arrays(theirs))
    x = np.random.default_rng(0).normal(size=(2, 4, 6, 5)).astype(np.float32)
    out = mine(x, output_size=size)
    expected = theirs(torch.tensor(x), output_size=size)
    assert out.shape == tuple(expected.shape)
    np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_by_side(mode: str) -> None:
    """Which PyTorch has only as a layer before."""
    layer = nn.Conv2d(2, 3, 2, padding=((1, 0), (0, 2)), padding_mode=mode, rng=0)
    x = np.random.default_rng(0).normal(size=(1, 2, 4, 5)).astype(np.float32)
    padded = F.pad(x, (0, 2, 1, 0), "constant" if mode == "zeros" else mode)
    np.testing.assert_allclose(layer(x).data, F.conv2d(padded, layer.weight, layer.bias).data, rtol=1e-5, atol=1e-6)


def test_a_causal_convolution_sees_no_later_element() -> None:
    layer = nn.Conv1d(1, 1, 3, padding=((4, 0),), dilation=2, rng=0)
    x = tn.tensor(np.ones((1, 1, 8), np.float32), requires_grad=True)
    out = layer(x)
    assert out.shape == x.shape
    out[0, 0, 3].backward()
    assert x.grad is not None
    assert np.flatnonzero(x.grad.data).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: nn.Conv1d(2, 4, 3, padding=1, groups=2), "Conv1d(2, 4, (3,), padding=1, groups=2)"),
        (lambda: nn.Conv2d(2, 4, 3, padding_mode="reflect", bias=False), "padding_mode='reflect', bias=False)"),
        (lambda: nn.ConvTranspose1d(2, 4, 3, 2, output_padding=1), "stride=(2,), output_padding=(1,))"),
        (lambda: nn.ReflectionPad2d(2), "ReflectionPad2d((2, 2, 2, 2))"),
        (lambda: nn.ConstantPad1d((1, 0), 0.5), "ConstantPad1d((1, 0), value=0.5)"),
        (lambda: nn.ZeroPad1d((1, 0)), "ZeroPad1d((1, 0))"),
        (lambda: nn.Fold((3, 4), 2, padding=1), "Fold((3, 4), 2, padding=1)"),
        (lambda: nn.Unflatten(1, (2, -1)), "Unflatten(1, (2, -1))"),
        (lambda: nn.PixelShuffle(2), "PixelShuffle(2)"),
        (lambda: nn.PixelUnshuffle(2), "PixelUnshuffle(2)"),
        (lambda: nn.ChannelShuffle(2), "ChannelShuffle(2)"),
    ],
)
def test_reprs_show_the_settings(make: Any, text: str) -> None:
    assert text in repr(make())


def _zeros(*shape: int) -> Any:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: nn.Conv1d(3, 4, 3, groups=2), "Conv1d: 3 and 4 channels do not split into 2 groups"),
        (lambda: nn.Conv2d(3, 4, 3, padding_mode="zero"), "Conv2d: padding_mode='zero' is none of 'zeros', 'reflect'"),
        (lambda: nn.Conv2d(3, 4, 3, 2, "same"), "padding='same' needs stride 1"),
        (lambda: nn.Conv2d(3, 4, 3, padding=((1, 2, 3), (0, 0))), r"a pair \(before, after\) for each axis"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding="same"), "ConvTranspose2d: padding='same': give numbers"),
        (lambda: nn.ConvTranspose2d(3, 4, 3, padding_mode="reflect"), "ConvTranspose2d: .*'zeros' only"),
        (
            lambda: nn.ConvTranspose2d(3, 4, 3, 2)(_zeros(1, 3, 4, 4), output_size=(9, 11)),
            r"output_size=\(9, 11\).*spatial axes are from \(9, 9\) to \(10, 10\) long",
        ),
        (lambda: nn.ConvTranspose2d(3, 4, 3)(_zeros(1, 3, 4, 4), output_size=(6,)), r"output_size=\(6,\)"),
        (lambda: nn.ConvTranspose1d(3, 4, 3)(_zeros(1, 2, 4)), "takes 3 input channels, x has 2"),
        (lambda: nn.ReflectionPad2d((1, 2, 3)), "ReflectionPad2d: .*give an integer, or 4"),
        (lambda: nn.ReflectionPad2d(1)(_zeros(4, 4)), r"ReflectionPad2d got shape \(4, 4\); it takes 4 axes"),
        (
            lambda: nn.ReflectionPad1d(4)(_zeros(1, 4)),
            r"a reflected border of \(4, 4\) along axis 1.*5 elements or more",
        ),
        (lambda: nn.CircularPad1d(5)(_zeros(1, 4)), "a circular border .* 5 elements or more"),
        (lambda: nn.ZeroPad1d(-3)(_zeros(1, 4)), "cuts more off axis 1 than the 4"),
        (lambda: nn.Unflatten(1, (2, -1, -1)), "Unflatten: unflattened_size=.*one of them perhaps -1"),
        (
            lambda: nn.Unflatten(1, (2, 3))(_zeros(2, 5)),
            r"axis 1 of shape \(2, 5\) is 5 long and does not become \(2, 3\)",
        ),
        (lambda: nn.Unflatten(2, (2, 3))(_zeros(2, 6)), "no axis 2 in an input of shape"),
        (lambda: nn.PixelShuffle(2)(_zeros(1, 6, 2, 2)), "channels a multiple of upscale_factor² = 4"),
        (lambda: nn.PixelUnshuffle(2)(_zeros(1, 6, 3, 2)), "height and width multiples of downscale_factor=2"),
        (lambda: nn.ChannelShuffle(4)(_zeros(1, 6, 3, 2)), "channels a multiple of groups=4"),
        (lambda: nn.PixelShuffle(0)(_zeros(1, 6, 2, 2)), "upscale_factor=0: give an integer of 1 or more"),
        (lambda: nn.Unfold(3)(_zeros(1, 6, 2, 2)), "does not fit into the input of 2 x 2"),
        (lambda: nn.Fold((3, 4), 2)(_zeros(1, 6, 6)), "the 6 rows of x do not divide into windows of 2 x 2"),
        (lambda: nn.Fold((3, 4), 2)(_zeros(1, 8, 5)), "x has 5 columns; an image of 3 x 4 has 2 x 3 = 6 windows"),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
