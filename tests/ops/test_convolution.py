"""Convolution: PyTorch's values and gradients for every geometry, its closed family, memory order, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet import kernels
from tapenet.ops.layers.convolution import spatial
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close, replays

torch = pytest.importorskip("torch")
F = torch.nn.functional
R = np.random.default_rng(0)


def _naive(x: Any, w: Any, b: Any) -> Any:
    """Cross-correlation from its definition: stride 1, no padding."""
    n, _, h, width = x.shape
    o, _, kh, kw = w.shape
    out = np.zeros((n, o, h - kh + 1, width - kw + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = np.tensordot(x[:, :, i : i + kh, j : j + kw], w, ([1, 2, 3], [1, 2, 3])) + b
    return out


def test_conv2d_is_its_definition() -> None:
    x, w, b = R.normal(size=(2, 3, 6, 5)), R.normal(size=(4, 3, 3, 2)), R.normal(size=4)
    close(tn.conv2d(x, w, b), _naive(x, w, b))


@pytest.mark.parametrize("padding", [0, 1])
def test_1x1_convolutions_need_no_windows(padding: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spatial, "_windows", None)
    x, w, b = R.normal(size=(2, 6, 3, 1)), R.normal(size=(4, 3, 1, 1)), R.normal(size=4)
    with kernels.switched(False):
        agrees_with_torch(
            lambda *a: tn.conv2d(*a, 1, padding, 1, 2), lambda *a: F.conv2d(*a, 1, padding, 1, 2), x, w, b
        )


@pytest.mark.parametrize("shape", [(1, 3, 1, 1), (3, 1, 1)])
def test_one_place_needs_no_columns(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spatial, "_columns", None)
    x, w, b = R.normal(size=shape), R.normal(size=(4, 3, 1, 1)), R.normal(size=4)
    for bias in (None, b):
        close(tn.conv2d(x, w, bias), F.conv2d(*(None if a is None else torch.from_numpy(a) for a in (x, w, bias))))


@pytest.mark.parametrize(
    ("x", "w", "options"),
    [
        ((2, 3, 7, 6), (4, 3, 3, 3), {}),
        ((2, 3, 7, 6), (4, 3, 3, 2), {"stride": 2}),
        ((2, 3, 7, 6), (4, 3, 3, 2), {"stride": (2, 3), "padding": (1, 2)}),
        ((2, 3, 9, 8), (4, 3, 3, 2), {"dilation": 2, "padding": 1}),
        ((2, 3, 9, 8), (4, 3, 3, 2), {"dilation": (1, 3), "stride": (3, 1)}),
        ((2, 4, 7, 6), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
        ((2, 4, 7, 6), (4, 1, 3, 3), {"groups": 4}),
        ((2, 4, 7, 6), (8, 1, 3, 3), {"groups": 4, "stride": 2, "padding": 1}),
        ((2, 3, 5, 5), (4, 3, 1, 1), {}),
        ((2, 3, 5, 5), (4, 3, 1, 1), {"padding": 1}),
        ((2, 3, 5, 5), (4, 3, 1, 1), {"stride": 2}),
        ((2, 4, 5, 5), (4, 1, 1, 1), {"groups": 4}),
        ((2, 3, 5, 5), (4, 3, 5, 5), {}),
        ((3, 5, 6), (4, 3, 3, 3), {"padding": 1}),
        ((4, 5, 6), (4, 2, 1, 1), {"groups": 2}),
        ((2, 3, 7, 6), (4, 3, 3, 3), {"padding": "valid"}),
        ((2, 3, 7, 6), (4, 3, 3, 3), {"padding": "same"}),
        ((2, 3, 7, 6), (4, 3, 2, 4), {"padding": "same", "dilation": (1, 2)}),
        ((1, 1, 28, 28), (8, 1, 3, 3), {}),
        ((33, 1, 28, 28), (2, 1, 3, 3), {}),
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
def test_values_and_gradients_are_those_of_torch(x: Any, w: Any, options: Any) -> None:
    arrays = R.normal(size=x), R.normal(size=w), R.normal(size=w[0])
    agrees_with_torch(lambda *a: tn.conv2d(*a, **options), lambda *a: F.conv2d(*a, **options), *arrays)
    agrees_with_torch(lambda *a: tn.conv2d(*a, **options), lambda *a: F.conv2d(*a, **options), *arrays[:2])


@st.composite
def _geometries(draw: Any) -> Any:
    axes = draw(st.integers(1, 3))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    groups = draw(st.integers(1, 3))
    kernel, stride, padding, dilation = each(1, 3), each(1, 3), each(0, 2), each(1, 2)
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    sizes = [draw(st.integers(max(1, r - 2 * p), r + 4)) for r, p in zip(reach, padding, strict=True)]
    x = (draw(st.integers(1, 3)), groups * draw(st.integers(1, 2)), *sizes)
    w = (groups * draw(st.integers(1, 3)), x[1] // groups, *kernel)
    return x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@settings(max_examples=80, deadline=None)
@given(_geometries())
def test_any_geometry_agrees_with_torch(geometry: Any) -> None:
    x, w, options = geometry
    name = f"conv{len(x) - 2}d"
    r = np.random.default_rng(1)
    agrees_with_torch(
        lambda *a: getattr(tn, name)(*a, **options),
        lambda *a: getattr(F, name)(*a, **options),
        r.normal(size=x), r.normal(size=w), r.normal(size=w[0]), dtypes=[np.float64],
    )  # fmt: skip


def test_the_family_is_closed_to_third_order() -> None:
    x, w = R.normal(size=(1, 2, 3, 3)), R.normal(size=(2, 1, 2, 2))
    check_grads(lambda x, w: tn.conv2d(x, w, None, 1, 1, 1, 2) ** 2, [x, w], order=3)


def test_asymmetric_padding() -> None:
    x, w = R.normal(size=(2, 3, 5, 4)), R.normal(size=(4, 3, 2, 3))
    padded = np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 2)))
    close(tn.conv2d(x, w, padding=((1, 0), (0, 2))), tn.conv2d(padded, w))
    close(tn.conv2d(x, w, padding=[[1, 0], [0, 2]]), tn.conv2d(padded, w))


def test_lists_and_numpy_integers_are_sizes_too() -> None:
    x, w = R.normal(size=(2, 3, 5, 4)), R.normal(size=(4, 3, 2, 3))
    close(tn.conv2d(x, w, stride=[2, 1], padding=[1, 1]), tn.conv2d(x, w, stride=(2, 1), padding=(1, 1)))
    close(tn.conv2d(x, w, stride=np.int64(2)), tn.conv2d(x, w, stride=2))
    t = tn.tensor(x, requires_grad=True)
    tn.conv2d(t, w, stride=[2, 1]).sum().backward()
    assert t.grad is not None


def test_any_memory_order_gives_the_same_and_inputs_stay_as_they_are() -> None:
    x, w, b = R.normal(size=(2, 3, 6, 5)), R.normal(size=(4, 3, 3, 2)), R.normal(size=4)
    expected = tn.conv2d(x, w, b)
    for order in ((3, 2, 1, 0), (1, 2, 3, 0), (0, 2, 3, 1)):
        back = np.argsort(order)
        moved = np.ascontiguousarray(x.transpose(order)).transpose(back)
        kernels = np.ascontiguousarray(w.transpose(order)).transpose(back)
        moved.flags.writeable = kernels.flags.writeable = False
        close(tn.conv2d(moved, kernels, b), expected)
        close(tn.conv2d_input_grad(expected.copy("F"), kernels, x.shape), tn.conv2d_input_grad(expected, w, x.shape))
        close(tn.conv2d_weight_grad(moved, expected, w.shape), tn.conv2d_weight_grad(x, expected, w.shape))
    parts = x[:, :, ::-1, ::2], w[:, :, :, ::2]
    close(tn.conv2d(*parts, b), tn.conv2d(parts[0].copy(), parts[1].copy(), b))


def test_the_batch_is_innermost_in_memory_and_stays_so() -> None:
    w1, w2 = R.normal(size=(4, 1, 3, 3)), R.normal(size=(2, 4, 3, 3))
    x = tn.tensor(R.normal(size=(6, 1, 12, 12)), requires_grad=True)
    hidden = tn.max_pool2d(tn.relu(tn.conv2d(x, w1)), 2)
    out = tn.conv2d(hidden, w2)
    for t in (hidden, out):
        assert t.data.strides[0] == 8
        assert t.data.transpose(1, 2, 3, 0).flags.c_contiguous
    g = tn.conv2d_input_grad(out.data, w2, hidden.shape)
    assert g.transpose(1, 2, 3, 0).flags.c_contiguous


def test_an_empty_batch() -> None:
    x, w, b = np.zeros((0, 3, 6, 5)), R.normal(size=(4, 3, 3, 2)), np.zeros(4)
    agrees_with_torch(tn.conv2d, F.conv2d, x, w, b)


def test_pictures_of_bytes_give_the_dtype_of_the_weights() -> None:
    x, w = R.integers(0, 256, (2, 1, 5, 5)).astype(np.uint8), R.normal(size=(3, 1, 3, 3)).astype(np.float32)
    got = tn.conv2d(x, w)
    assert got.dtype == np.float32
    close(got, tn.conv2d(x.astype(np.float32), w))


def test_rules_follow_the_data_of_a_replay() -> None:
    w = R.normal(size=(3, 2, 3, 3))
    replays(lambda x: (tn.conv2d(x, w) ** 2).sum(), R.normal(size=(2, 2, 5, 5)), R.normal(size=(2, 2, 5, 5)))
    x = R.normal(size=(2, 2, 5, 5))
    replays(lambda w: (tn.conv2d(x, w) ** 2).sum(), R.normal(size=(3, 2, 3, 3)), R.normal(size=(3, 2, 3, 3)))


def _zeros(*shape: int) -> Any:
    return np.zeros(shape)


def _image() -> Any:
    return tn.tensor(_zeros(1, 1, 5, 5))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: tn.conv2d(tn.tensor(_zeros(2, 1, 5, 5)), _zeros(4, 3, 3, 3)),
            r"conv2d\(x: float64 \(2, 1, 5, 5\).*takes 3 input channels, x has 1. Give x as \(batch, channels",
        ),
        (
            lambda: tn.conv2d(_zeros(2, 5, 5, 3), tn.tensor(_zeros(4, 3, 3, 3))),
            r"takes 3 input channels, x has 5. Its last axis looks like the channels.*np.moveaxis\(x, -1, -3\)",
        ),
        (lambda: tn.conv2d(_zeros(8, 28, 28), tn.tensor(_zeros(4, 1, 3, 3))), r"x has 8.*add one: x\[:, None\]"),
        (lambda: tn.conv2d(tn.tensor(_zeros(28, 28)), _zeros(4, 1, 3, 3)), r"x has shape \(28, 28\).*x\[None, None\]"),
        (lambda: tn.conv2d(tn.tensor(_zeros(1, 3, 5, 5)), _zeros(4, 3, 3)), r"weight has shape \(4, 3, 3\).*4 axes"),
        (
            lambda: tn.conv2d(tn.tensor(_zeros(1, 1, 4, 5)), _zeros(1, 1, 3, 3), dilation=2, padding=(0, 1)),
            "kernel of 3 x 3, 5 x 5 with its dilation, does not fit into the input of 4 x 5, 4 x 7 with its padding",
        ),
        (
            lambda: tn.conv2d(tn.tensor(_zeros(1, 4, 5, 5)), _zeros(3, 2, 3, 3), groups=2),
            "the 3 output channels of weight do not divide into groups=2",
        ),
        (lambda: tn.conv2d(_image(), _zeros(2, 1, 3, 3), _zeros(3)), r"bias has shape \(3,\).*\(2,\)"),
        (
            lambda: tn.conv2d(_image(), _zeros(2, 1, 3, 3), padding="same", stride=2),
            r"padding='same' needs stride 1, not \(2, 2\): give the padding as numbers",
        ),
        (lambda: tn.conv2d(_image(), _zeros(2, 1, 3, 3), padding="full"), "padding='full': it is"),
        (lambda: tn.conv2d(_image(), _zeros(2, 1, 3, 3), stride=0), "stride=0: give an integer of 1"),
        (lambda: tn.conv2d(_image(), _zeros(2, 1, 3, 3), stride=(1, 1, 1)), "or 2 of them"),
        (lambda: tn.conv2d(_image(), _zeros(2, 1, 3, 3), padding=-1), "padding=-1: give an integer"),
        (
            lambda: tn.conv1d(tn.tensor(_zeros(1, 2, 5, 5)), _zeros(2, 1, 3)),
            r"x has shape \(1, 2, 5, 5\); it must have 3 axes, \(batch, channels, length\), or 2 without the batch",
        ),
        (lambda: tn.conv1d(_zeros(8, 20), tn.tensor(_zeros(4, 1, 3))), r"x has 8.*add one: x\[:, None\]"),
        (lambda: tn.conv1d(_zeros(8, 20, 2), tn.tensor(_zeros(4, 2, 3))), r"np.moveaxis\(x, -1, -2\)"),
        (
            lambda: tn.conv3d(tn.tensor(_zeros(2, 5, 5)), _zeros(2, 1, 3, 3, 3)),
            r"it must have 5 axes, \(batch, channels, depth, height, width\).*x\[None, None\]",
        ),
        (
            lambda: tn.conv2d_input_grad(tn.tensor(_zeros(1, 2, 3, 3)), _zeros(2, 1, 3, 3), (1, 1, 6, 6)),
            r"y has shape \(1, 2, 3, 3\); for an input of shape \(1, 1, 6, 6\) it must be \(1, 2, 4, 4\)",
        ),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
