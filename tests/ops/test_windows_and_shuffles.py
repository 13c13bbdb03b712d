"""unfold and fold, shuffles of pixels and channels, F.pad: PyTorch's values and gradients, memory order, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
import tapenet.nn.functional as F
from tests.ops.oracle import agrees_with_torch, close

torch = pytest.importorskip("torch")
T = torch.nn.functional
R = np.random.default_rng(0)

# -- unfold and fold ---------------------------------------------------------------------------------------------


@st.composite
def _windows(draw: Any) -> Any:
    def pair(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    kernel, dilation, padding, stride = pair(1, 3), pair(1, 2), pair(0, 2), pair(1, 3)
    sizes = tuple(
        draw(st.integers(max(1, d * (k - 1) + 1 - 2 * p), 6)) for k, d, p in zip(kernel, dilation, padding, strict=True)
    )
    return (*draw(st.sampled_from([(), (2,)])), draw(st.integers(1, 2)), *sizes), (kernel, dilation, padding, stride)


@settings(max_examples=40, deadline=None)
@given(_windows())
def test_unfold_and_fold_agree_with_torch(geometry: Any) -> None:
    shape, options = geometry
    x = np.random.default_rng(1).normal(size=shape)
    agrees_with_torch(lambda a: F.unfold(a, *options), lambda a: T.unfold(a, *options), x, dtypes=[np.float64])
    columns = F.unfold(x, *options)
    size = shape[-2:]
    agrees_with_torch(
        lambda a: F.fold(a, size, *options), lambda a: T.fold(a, size, *options), columns, dtypes=[np.float64]
    )


def test_float32_stays() -> None:
    x = R.normal(size=(2, 3, 4, 5)).astype(np.float32)
    assert F.unfold(x, 2).dtype == F.fold(F.unfold(x, 2), (4, 5), 2).dtype == np.float32


def test_columns_times_kernels_are_a_convolution() -> None:
    x, w = R.normal(size=(2, 3, 5, 4)), R.normal(size=(4, 3, 3, 2))
    made = np.reshape(w.reshape(4, -1) @ F.unfold(x, (3, 2), padding=1), (2, 4, 5, 5))
    close(made, tn.conv2d(x, w, padding=1))


def test_padding_by_side() -> None:
    x = R.normal(size=(2, 3, 4, 5))
    padded = F.pad(x, (0, 2, 1, 0))
    close(F.unfold(x, 2, 1, ((1, 0), (0, 2))), F.unfold(padded, 2))
    columns = F.unfold(padded, 2)
    close(F.fold(columns, (4, 5), 2, padding=((1, 0), (0, 2))), F.fold(columns, (5, 7), 2)[:, :, 1:, :5])


def test_an_empty_batch() -> None:
    agrees_with_torch(lambda a: F.unfold(a, 2), lambda a: T.unfold(a, 2), np.zeros((0, 3, 4, 5)))
    agrees_with_torch(lambda a: F.fold(a, (2, 3), 2), lambda a: T.fold(a, (2, 3), 2), np.zeros((0, 4, 2)))


# -- shuffles ----------------------------------------------------------------------------------------------------

SHUFFLES = {
    "pixel_shuffle": ((2, 8, 2, 3), 2),
    "pixel_unshuffle": ((2, 2, 4, 6), 2),
    "channel_shuffle": ((2, 6, 2, 3), 3),
}


@pytest.mark.parametrize("name", SHUFFLES)
def test_shuffles_agree_with_torch(name: str) -> None:
    shape, n = SHUFFLES[name]
    ours, theirs = getattr(F, name), getattr(T, name)
    agrees_with_torch(lambda a: ours(a, n), lambda a: theirs(a, n), R.normal(size=shape))
    agrees_with_torch(lambda a: ours(a, 1), lambda a: theirs(a, 1), R.normal(size=shape), dtypes=[np.float32])
    # Of no images PyTorch makes none of another shape.
    assert ours(np.zeros((0, *shape[1:])), n).shape == (0, *ours(np.zeros(shape), n).shape[1:])


def test_axes_in_front_of_shuffled_pixels() -> None:
    x = R.normal(size=(3, 1, 2, 8, 2, 3))
    agrees_with_torch(lambda a: F.pixel_shuffle(a, 2), lambda a: T.pixel_shuffle(a, 2), x)
    close(F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2), x)


@pytest.mark.parametrize("name", SHUFFLES)
def test_shuffles_keep_the_order_of_memory(name: str) -> None:
    """The batch innermost, as convolution leaves it, and any other."""
    shape, n = SHUFFLES[name]
    x = R.normal(size=shape)
    expected = getattr(F, name)(x, n)
    assert expected.flags.c_contiguous
    for order in ((1, 2, 3, 0), (0, 2, 3, 1), (3, 2, 1, 0)):
        back = np.argsort(order)
        moved = np.ascontiguousarray(x.transpose(order)).transpose(back)
        got = getattr(F, name)(moved, n)
        close(got, expected)
        assert got.transpose(order).flags.c_contiguous


def test_other_layouts_of_memory() -> None:
    x = R.normal(size=(2, 8, 4, 6))
    for view in (x[::-1, :, :, ::2], x[:, ::-1, ::-1], np.broadcast_to(x[:1], x.shape)):
        close(F.pixel_shuffle(view, 2), F.pixel_shuffle(view.copy(), 2))
        close(F.channel_shuffle(view, 4), F.channel_shuffle(view.copy(), 4))


# -- borders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "widths", "mode", "value"),
    [
        ((2, 3, 4), (1, 2), "constant", None),
        ((2, 3, 4), (1, 2, 3, 0, 0, 1), "constant", 0.5),
        ((2, 3, 4), (), "constant", 0),
        ((2, 3, 4), (-1, 2, 1, -2), "constant", 1.5),
        ((2, 3, 4), (-1, -3), "constant", 0),
        ((2, 3, 4), (3, 2), "reflect", None),
        ((2, 3, 4, 5), (4, 0, 1, 3), "reflect", None),
        ((2, 3, 4, 5), (9, 1, 0, 7), "replicate", None),
        ((2, 3, 4, 5), (5, 1, 2, 4), "circular", None),
        ((2, 3, 4, 5), (-1, 1, 0, -2), "circular", None),
        ((2, 3, 4, 5), (2, -1, -2, 1), "replicate", None),
        ((1, 2, 3, 2, 4), (1, 2, 0, 1, 2, 0), "reflect", None),
        ((1, 2, 3, 2, 4), (1, 2, 0, 1, 2, 0), "circular", None),
    ],
)
def test_pad_agrees_with_torch(shape: Any, widths: Any, mode: str, value: Any) -> None:
    x = R.normal(size=shape)
    agrees_with_torch(lambda a: F.pad(a, widths, mode, value), lambda a: T.pad(a, widths, mode, value), x)


@pytest.mark.parametrize("mode", ["constant", "reflect", "circular"])
def test_pad_keeps_the_order_of_memory(mode: str) -> None:
    x = R.normal(size=(2, 3, 4, 5))
    expected = F.pad(x, (1, 2, 2, 0), mode)
    for order in ((1, 2, 3, 0), (0, 2, 3, 1), (3, 2, 1, 0)):
        moved = np.ascontiguousarray(x.transpose(order)).transpose(np.argsort(order))
        got = F.pad(moved, (1, 2, 2, 0), mode)
        close(got, expected)
        assert got.transpose(order).flags.c_contiguous


def test_pad_takes_any_axes() -> None:
    """PyTorch reflects and repeats certain axes of certain numbers of axes only."""
    x = R.normal(size=(3, 4))
    close(F.pad(x, [1, 0, 2, 1], "reflect"), np.pad(x, ((2, 1), (1, 0)), "reflect"))
    close(F.pad(np.arange(3), (1, 1), "replicate"), np.array([0, 0, 1, 2, 2]))
    close(F.pad([1, 2], (1, 0), value=7), np.array([7, 1, 2]))


def _zeros(*shape: int) -> Any:
    return tn.tensor(np.zeros(shape))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: F.pad(_zeros(2, 3), (1,)), r"pad: pad=\(1,\): give integers \(before, after\)"),
        (lambda: F.pad(_zeros(3), (1, 1, 1, 1)), "at most for the 1 axes of x"),
        (lambda: F.pad(_zeros(2, 3), (1, 0.5)), "give integers"),
        (
            lambda: F.pad(_zeros(2, 3), (1, 1), "edge"),
            "mode='edge' is none of 'constant', 'reflect', 'replicate', 'circ",
        ),
        (lambda: F.pad(_zeros(2, 3), (1, 1), "reflect", 2.0), "value=2.0 is for mode='constant'"),
        (
            lambda: F.pad(_zeros(2, 3), (0, 3), "reflect"),
            r"border of \(0, 3\) along axis 1.*made of 4 elements or more",
        ),
        (lambda: F.pad(_zeros(2, 3), (-2, -2)), r"\(-2, -2\) cuts more off axis 1 than the 3"),
        (lambda: F.pad(_zeros(0, 3), (0, 0, 1, 0), "replicate"), "axis 0 of shape .* has no elements"),
        (
            lambda: tn.unfold(_zeros(3, 3), 2),
            r"unfold\(x: .*it must have 4 axes, \(batch, channels, height, width\), or 3",
        ),
        (lambda: tn.unfold(_zeros(1, 3, 3), (2, 2, 2)), "kernel_size=.*or 2 of them"),
        (lambda: tn.fold(_zeros(2, 3, 3, 3), 3, 2), "it must have 3 axes"),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
