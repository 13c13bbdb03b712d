"""Transposed convolution: PyTorch's values and gradients for every geometry, its tie to convolution, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close

torch = pytest.importorskip("torch")
F = torch.nn.functional
R = np.random.default_rng(0)


@st.composite
def _geometries(draw: Any) -> Any:
    axes = draw(st.integers(1, 3))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    groups = draw(st.integers(1, 3))
    kernel, stride, dilation = each(1, 3), each(1, 3), each(1, 3)
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True))
    sizes = each(1, 4)
    # As much as leaves one element at least.
    most = [
        ((n - 1) * s + d * (k - 1) + o) // 2
        for n, s, d, k, o in zip(sizes, stride, dilation, kernel, extra, strict=True)
    ]
    padding = tuple(draw(st.integers(0, min(3, m))) for m in most)
    x = (*draw(st.sampled_from([(), (1,), (3,)])), groups * draw(st.integers(1, 2)), *sizes)
    w = (x[-axes - 1], draw(st.integers(1, 3)), *kernel)
    return axes, x, w, (stride, padding, extra, groups, dilation)


@settings(max_examples=80, deadline=None)
@given(_geometries())
def test_any_geometry_agrees_with_torch(geometry: Any) -> None:
    axes, x, w, options = geometry
    name = f"conv_transpose{axes}d"
    r = np.random.default_rng(1)
    agrees_with_torch(
        lambda *a: getattr(tn, name)(*a, *options),
        lambda *a: getattr(F, name)(*a, *options),
        r.normal(size=x), r.normal(size=w), r.normal(size=w[1] * options[3]), dtypes=[np.float64],
    )  # fmt: skip


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_float32_stays(axes: int) -> None:
    arrays = R.normal(size=(2, 4, *(3,) * axes)), R.normal(size=(4, 2, *(2,) * axes)), R.normal(size=4)
    ours, theirs = (getattr(m, f"conv_transpose{axes}d") for m in (tn, F))
    agrees_with_torch(
        lambda *a: ours(*a, stride=2, groups=2), lambda *a: theirs(*a, stride=2, groups=2), *arrays, dtypes=[np.float32]
    )


def test_it_is_the_transpose_of_a_convolution() -> None:
    """Σ conv(a) · b = Σ a · conv_transpose(b)."""
    a, b, w = R.normal(size=(2, 3, 7, 5)), R.normal(size=(2, 4, 3, 3)), R.normal(size=(4, 3, 3, 2))
    options: dict[str, Any] = {"stride": 2, "padding": (0, 1)}
    there = (tn.conv2d(a, w, **options) * b).sum()
    back = (tn.conv_transpose2d(b, w, output_padding=(0, 1), **options) * a).sum()
    assert there == pytest.approx(back)


def test_derivatives_of_third_order() -> None:
    x, w, b = R.normal(size=(1, 2, 2, 2)), R.normal(size=(2, 1, 2, 2)), R.normal(size=2)
    check_grads(lambda *a: tn.conv_transpose2d(*a, 2, 1, 1, 2) ** 2, [x, w, b], order=3)


def test_padding_by_side() -> None:
    x, w = R.normal(size=(2, 3, 4)), R.normal(size=(3, 2, 3))
    whole = tn.conv_transpose1d(x, w, stride=2)
    close(tn.conv_transpose1d(x, w, stride=2, padding=((2, 1),)), whole[:, :, 2:-1])
    close(tn.conv_transpose1d(x, w, stride=[2], padding=[[0, 3]]), whole[:, :, :-3])


def test_an_empty_batch() -> None:
    agrees_with_torch(tn.conv_transpose2d, F.conv_transpose2d, np.zeros((0, 3, 2, 2)), R.normal(size=(3, 2, 2, 2)))


def test_inputs_stay_as_they_are() -> None:
    x, w, b = R.normal(size=(2, 3, 4)), R.normal(size=(3, 2, 3)), R.normal(size=2)
    for a in (x, w, b):
        a.flags.writeable = False
    close(tn.conv_transpose1d(x, w, b) - tn.conv_transpose1d(x, w), np.broadcast_to(b[:, None], (2, 2, 6)))


def _zeros(*shape: int) -> Any:
    return tn.tensor(np.zeros(shape))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: tn.conv_transpose2d(_zeros(1, 3, 2, 2), _zeros(4, 3, 2, 2)),
            r"conv_transpose2d\(x: float64 \(1, 3, 2, 2\).*takes 4 input channels, x has 3",
        ),
        (lambda: tn.conv_transpose2d(_zeros(2, 2), _zeros(1, 1, 2, 2)), r"x has shape \(2, 2\).*x\[None, None\]"),
        (lambda: tn.conv_transpose1d(_zeros(1, 3, 2), _zeros(3, 2)), "it must have 3 axes: input channels, output"),
        (
            lambda: tn.conv_transpose1d(_zeros(1, 3, 2), _zeros(3, 2, 2), groups=2),
            "the 3 input channels of weight do not divide into groups=2",
        ),
        (lambda: tn.conv_transpose1d(_zeros(1, 4, 2), _zeros(4, 2, 2), _zeros(2), groups=2), r"it must be \(4,\)"),
        (
            lambda: tn.conv_transpose1d(_zeros(1, 1, 2), _zeros(1, 1, 2), stride=2, output_padding=2),
            "output_padding=2 must be smaller than stride=2",
        ),
        (
            lambda: tn.conv_transpose1d(_zeros(1, 1, 2), _zeros(1, 1, 2), padding=2),
            "padding=2 leaves nothing of a result of length 3",
        ),
        (lambda: tn.conv_transpose1d(_zeros(1, 1, 2), _zeros(1, 1, 2), padding="same"), "takes numbers, or 'valid'"),
        (lambda: tn.conv_transpose1d(_zeros(1, 1, 2), _zeros(1, 1, 2), stride=0), "stride=0: give an integer of 1"),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
