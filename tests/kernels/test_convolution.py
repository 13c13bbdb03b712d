"""Convolution in machine code beside the same in NumPy: all shapes, by every kernel."""

from __future__ import annotations

import importlib
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet import kernels
from tapenet.llvm import sharing
from tapenet.llvm.processor import registers
from tapenet.llvm.recording import Place
from tapenet.ops.layers.convolution import geometry, kernel_dispatch, spatial
from tests.kernels.beside import agree, batch_last, many_threads, plans

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)
#: Largest error of float32, over the largest number of the result.
ERROR = 2e-6


def check(
    axes: int, sizes: Any, batch: int, channels: tuple[int, int, int], kernel: Any, options: Any, dtype: str
) -> None:
    """The convolution and both gradients, beside NumPy's in float64."""
    inputs, outs, groups = channels
    forward, input_grad, weight_grad = spatial.forwards(axes)
    x = R.normal(size=(batch, inputs, *sizes)).astype(dtype)
    w = R.normal(size=(outs, inputs // groups, *kernel)).astype(dtype)
    b = R.normal(size=outs).astype(dtype)
    options = (*options, groups)
    with kernels.switched(False):
        expected = forward(x.astype("d"), w.astype("d"), b.astype("d"), *options)
    y = R.normal(size=expected.shape).astype(dtype)
    with kernels.switched(False):
        by_x = input_grad(y.astype("d"), w.astype("d"), x.shape, *options)
        by_w = weight_grad(x.astype("d"), y.astype("d"), w.shape, *options)
    error = ERROR if dtype == "f" else 1e-14
    found = forward(x, w, b, *options), input_grad(y, w, x.shape, *options), weight_grad(x, y, w.shape, *options)
    agree(found, (expected, by_x, by_w), dtype, error, least=0)


CASES = [
    # axes, sizes, batch, (inputs, outputs, groups), kernel, (stride, padding, dilation)
    (2, (9, 8), 16, (3, 5, 1), (3, 3), (1, 0, 1)),
    (2, (9, 8), 20, (1, 8, 1), (3, 3), (1, 1, 1)),
    (2, (9, 8), 1, (4, 6, 2), (3, 2), (1, (1, 0), (2, 1))),
    (2, (9, 8), 16, (6, 6, 6), (3, 3), (1, 1, 1)),
    (2, (9, 8), 16, (4, 8, 4), (3, 3), (2, 1, 1)),
    (2, (9, 8), 33, (4, 7, 1), (1, 1), (1, 0, 1)),
    (2, (9, 8), 16, (4, 4, 1), (1, 1), (2, 0, 1)),
    (2, (9, 8), 16, (4, 4, 1), (2, 2), (3, 0, 1)),
    (2, (9, 8), 16, (4, 4, 1), (5, 4), (1, ((2, 1), (0, 3)), 1)),
    (1, (40,), 8, (3, 4, 1), (5,), (1, 2, 1)),
    (1, (40,), 16, (3, 4, 1), (4,), (3, 1, 2)),
    (3, (5, 6, 7), 8, (2, 3, 1), (3, 2, 3), (1, 1, 1)),
    (3, (5, 6, 7), 16, (2, 4, 2), (2, 3, 2), ((2, 1, 2), 1, 1)),
]


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("case", CASES)
def test_direct(case: Any, dtype: str) -> None:
    check(*case, dtype)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(
    ("channels", "size", "batch", "padding"),
    [
        ((24, 24), (6, 6), 16, 0),
        ((24, 24), (7, 9), 16, 1),
        ((25, 33), (5, 4), 12, 2),
        ((24, 24), (8, 5), 40, ((0, 1), (2, 0))),
        ((64, 16), (4, 4), 32, 1),
        ((24, 24), (5, 3), 40, ((4, 0), (3, 5))),  # tiles of nothing but border
        ((33, 40), (40, 29), 1, 1),  # vectors of tiles
        ((40, 34), (37, 32), 1, ((2, 0), (1, 3))),
        ((32, 36), (33, 31), 2, 1),
    ],
)
def test_winograd(channels: tuple[int, int], size: Any, batch: int, padding: Any, dtype: str) -> None:
    winograd = importlib.import_module("tapenet.kernels.winograd")
    assert winograd.pays(dtype, winograd.Shape(*channels, *size, batch, size, (0, 0)))
    check(2, size, batch, (*channels, 1), (3, 3), (1, padding, 1), dtype)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(
    ("channels", "size", "batch", "padding"),
    [
        ((24, 24), (8, 8), 16, 1),
        ((25, 33), (9, 11), 40, ((0, 0), (1, 0))),
        ((24, 24), (7, 10), 20, ((2, 1), (0, 3))),
        ((24, 17), (5, 3), 40, ((4, 0), (3, 5))),  # tiles of nothing but border
        ((33, 40), (56, 58), 1, 1),  # vectors of tiles
        ((40, 34), (37, 63), 1, ((1, 1), (0, 0))),
        ((32, 36), (33, 31), 2, ((0, 1), (2, 1))),
        ((25, 33), (10, 13), 20, 1),  # the gradient of parts of tiles
        ((17, 26), (15, 8), 16, 1),
        ((33, 40), (62, 65), 1, 1),
        ((150, 40), (27, 30), 1, 1),
        ((32, 36), (33, 32), 2, ((1, 0), (1, 1))),  # a row that no window sees
        ((8, 8), (6, 6), 16, 1),  # tiles of five rows
    ],
)
def test_winograd_with_stride(channels: tuple[int, int], size: Any, batch: int, padding: Any, dtype: str) -> None:
    by_phases(2, size, batch, (*channels, 1), (3, 3), (2, padding, 1), dtype)


def by_phases(*case: Any) -> None:
    """`check` a case by Winograd's algorithm with stride 2, whether or not it pays: forward, and the gradient by the input
    with a border of 1."""
    strided, taken = importlib.import_module("tapenet.kernels.winograd_strided"), []
    kernel_dispatch._by_winograd.cache_clear()
    with pytest.MonkeyPatch.context() as m:
        for name in ("convolve", "input_grad"):
            made = Mock(side_effect=getattr(strided, name))
            m.setattr(strided, name, made)
            taken.append(made)
        m.setattr(kernel_dispatch, "WORTH", 0)
        m.setattr("tapenet.kernels.winograd.pays", lambda *given: True)
        check(*case)
    kernel_dispatch._by_winograd.cache_clear()
    padding = case[5][1]
    back = padding == 1 or padding[0][0] == padding[1][0] == 1
    assert [made.call_count for made in taken] == [1, back]


def test_strides_go_by_winograd_where_that_pays() -> None:
    winograd = importlib.import_module("tapenet.kernels.winograd")

    def pays(channels: int, outs: int, size: int, batch: int, gradient: bool = False) -> bool:
        half = (size + 1) // 2
        shape = winograd.Shape(channels, outs, half, half, batch, (size, size), (1, 1), 2)
        return bool(winograd.pays("f", shape, gradient))

    assert pays(64, 128, 8, 16)
    assert pays(16, 16, 32, 16)
    assert pays(128, 256, 4, 16)
    assert not pays(3, 64, 32, 16)
    assert not pays(512, 512, 4, 16)  # so many weights for 16 tiles
    assert not pays(128, 128, 2, 64)  # taps see border
    assert pays(64, 128, 28, 1) == (registers().bytes == 64)
    assert pays(64, 128, 28, 1, True)
    assert pays(64, 128, 56, 1)
    assert pays(64, 64, 15, 16, True)
    assert not pays(128, 128, 7, 64, True)  # as many products as places see taps


@pytest.mark.parametrize(
    ("size", "batch", "outs", "length"),
    [
        ((12, 12), 40, 40, 9),  # blocks of tiles
        ((34, 64), 1, 40, 3),  # bands of rows
        ((28, 28), 1, 150, 150),  # outputs of one band
        ((4, 4), 40, 141, 141),  # of one block
    ],
)
def test_threads_share_winograds_tiles_with_stride(
    size: Any, batch: int, outs: int, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Forward, and in the gradient by an input of as many channels as there are outputs."""
    lengths: list[int] = []
    called = sharing.Shared.__call__

    def noted(self: sharing.Shared, length: int, cost: int, *arguments: Any, **options: Any) -> None:
        if self.form[0] in ("winograd_strided", "winograd_strided_inputs"):
            lengths.append(length)
        called(self, length, cost, *arguments, **options)

    monkeypatch.setattr(sharing.Shared, "__call__", noted)
    x = batch_last(R.normal(size=(batch, 33, *size)).astype("f"))
    w, back = (R.normal(size=(*channels, 3, 3)).astype("f") for channels in ((outs, 33), (33, outs)))
    y = batch_last(R.normal(size=(batch, 33, *(n // 2 for n in size))).astype("f"))
    forward, input_grad, _ = spatial.forwards(2)
    found = []
    kernel_dispatch._by_winograd.cache_clear()
    with monkeypatch.context() as m:
        m.setattr("tapenet.kernels.winograd.pays", lambda *given: True)
        for threads in (1, 2, 3):
            many_threads(m, threads)
            found.append((forward(x, w, None, 2, 1), input_grad(y, back, (batch, outs, *size), 2, 1)))
    kernel_dispatch._by_winograd.cache_clear()
    assert lengths == [length] * 6
    for several in found[1:]:
        agree(several, found[0], "f", 0)


@pytest.mark.parametrize(("size", "batch", "dtype"), [((7, 9), 16, "f"), ((9, 33), 1, "d")])
def test_many_kernels_of_winograd_are_read_transposed(
    size: Any, batch: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """By gradients by the input, on one thread and on several."""
    winograd = importlib.import_module("tapenet.kernels.winograd")
    made, turned = winograd.transformed, []
    monkeypatch.setattr(winograd, "transformed", lambda *given: turned.append(given[1:]) or made(*given))  # type: ignore[func-returns-value]
    monkeypatch.setattr(winograd, "LARGE", 0)
    by_columns = fetched_ahead(monkeypatch)
    for threads in (1, 3):
        many_threads(monkeypatch, threads)
        check(2, size, batch, (33, winograd.DEEP + 6, 1), (3, 3), (1, 1, 1), dtype)
    assert turned == [(False, False), (True, True)] * 2
    assert by_columns == {False, True}


@pytest.mark.parametrize(
    ("channels", "size", "batch", "kernel", "stride"),
    [
        ((66, 17), (6, 7), 1, (1, 1), 1),  # in one panel, if registers are wide
        ((35, 18), (5, 6), 3, (3, 2), 2),  # gathered
    ],
)
def test_large_weights_are_fetched_ahead(
    channels: tuple[int, int], size: Any, batch: int, kernel: Any, stride: int, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    by_columns = fetched_ahead(monkeypatch)
    monkeypatch.setattr(importlib.import_module("tapenet.kernels.linear"), "wide", lambda: True)
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    check(2, size, batch, (*channels, 1), kernel, (stride, kernel[0] // 2, 1), "f")
    assert by_columns == {False, True} or (kernel == (1, 1) and registers().bytes < 64)


def fetched_ahead(monkeypatch: pytest.MonkeyPatch) -> set[bool]:
    """Take all weights for large ones. Whether some that are fetched ahead, rows forward and columns by gradients by the input,
    are read by columns."""
    gemm, found = importlib.import_module("tapenet.llvm.gemm"), set()
    made = gemm._fetch_ahead

    def fetch(code: Any, left: Any, *given: Any) -> None:
        found.add(left[1].row == 1)
        made(code, left, *given)

    monkeypatch.setattr(gemm, "far", lambda bytes: True)
    monkeypatch.setattr(gemm, "_fetch_ahead", fetch)
    return found


GATHERED = [
    (2, (9, 8), 1, (32, 12, 1), (3, 3), (1, 1, 1)),
    (2, (9, 8), 3, (16, 20, 2), (5, 3), (1, (2, 1), 1)),
    (2, (5, 4), 16, (24, 33, 1), (3, 3), (2, 1, 1)),
    (2, (1, 1), 16, (40, 24, 1), (3, 3), (1, 1, 1)),  # of nine taps one sees something
    (2, (13, 16), 16, (130, 70, 1), (1, 1), (1, 0, 1)),
    (2, (5, 6), 2, (24, 32, 1), (1, 1), (2, 0, 1)),  # three of four places have no gradient
    (1, (300,), 1, (24, 9, 1), (3,), (1, 2, 2)),
    (3, (3, 4, 5), 2, (24, 8, 1), (2, 3, 2), (1, 1, 1)),
    # Gradients by x see places beside y.
    (2, (13, 12), 64, (8, 16, 1), (3, 3), (1, 0, 1)),
    (2, (4, 3), 33, (16, 24, 2), (5, 3), (1, (2, 1), 1)),
    (2, (2, 2), 16, (24, 33, 1), (7, 7), (2, 3, 1)),
    (3, (3, 4, 5), 16, (24, 16, 1), (2, 3, 2), (1, (0, 1, 0), 1)),
    (1, (40,), 32, (24, 9, 1), (3,), (1, 2, 2)),
    # Threads share the outputs.
    (2, (2, 2), 16, (160, 150, 1), (3, 3), (1, 1, 1)),
    (2, (1, 1), 16, (130, 129, 1), (3, 3), (1, 1, 1)),
    (2, (3, 2), 5, (140, 131, 1), (3, 3), (2, 1, 1)),
]


@pytest.mark.parametrize("case", GATHERED)
def test_gathered(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns are gathered where that pays, and what comes of it is the convolution."""
    gathered = importlib.import_module("tapenet.kernels.gathered")
    calls = []
    monkeypatch.setattr("tapenet.kernels.linear.wide", lambda: False)  # else those of one place are products in panels
    for name in ("sums", "weight_sums"):
        made = getattr(gathered, name)
        monkeypatch.setattr(gathered, name, lambda *args, name=name, made=made: calls.append(name) or made(*args))  # type: ignore[func-returns-value]
    check(*case, "f")
    assert {"sums"} <= set(calls) <= {"sums", "weight_sums"}


@pytest.mark.parametrize(
    ("axes", "sizes", "batch", "channels", "kernel", "options"),
    [
        (2, (9, 8), 1, 33, (5, 4), (2, 2, 1)),
        (2, (7, 6), 1, 16, (3, 3), (1, 1, 2)),
        (2, (2, 2), 8, 70, (7, 7), (1, 3, 1)),
        (2, (8, 8), 4, 24, (2, 2), (3, 0, 1)),
        (1, (40,), 1, 17, (4,), (3, 5, 1)),
        (2, (9, 35), 1, 9, (3, 5), (2, (1, 2), 1)),  # every second place of one image
        (2, (9, 11), 2, 6, (2, 1), (3, 1, 1)),  # two places of three see nothing
        (2, (11, 10), 1, 6, (9, 8), (1, 4, 1)),  # a loop over the rows of the kernel
        (2, (21, 20), 4, 6, (9, 9), (2, 4, 2)),
        (2, (3, 3), 64, 12, (3, 3), (1, ((4, 0), (0, 1)), 1)),
        (2, (14, 14), 1, 16, (5, 5), (2, 2, 1)),
        (2, (9, 11), 3, 6, (3, 3), (2, 1, 1)),  # places of which no whole number fills a vector
        (2, (9, 35), 16, 6, (3, 3), (2, 1, 1)),  # each of which fills one
        (2, (9, 35), 8, 33, (3, 3), (2, 1, 1)),
    ],
)
def test_depthwise(axes: int, sizes: Any, batch: int, channels: int, kernel: Any, options: Any,
                   monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Each channel by itself, within borders."""
    within_borders(monkeypatch)
    check_depthwise("depthwise", axes, sizes, batch, channels, kernel, options, monkeypatch)


@pytest.mark.parametrize(
    ("axes", "sizes", "batch", "channels", "kernel", "options"),
    [
        # Batches that fill vectors, or more than those.
        (2, (9, 16), 64, 3, (3, 3), (2, 1, 1)),
        (2, (6, 70), 33, 4, (3, 2), (1, (1, 0), (2, 1))),  # tiles within a row are a loop
        (2, (9, 11), 16, 6, (2, 1), (3, 1, 1)),  # two places of three see nothing
        (2, (3, 3), 64, 12, (3, 3), (1, ((4, 0), (0, 1)), 1)),
        (1, (70,), 16, 5, (31,), (1, 15, 1)),
        # As many channels as a vector has lanes; the last ones are of two turns.
        (2, (14, 13), 1, 33, (7, 7), (1, 3, 1)),
        (2, (9, 8), 2, 17, (5, 5), (2, 2, 1)),
        (2, (2, 2), 3, 16, (7, 7), (1, 3, 1)),
    ],
)
def test_depthwise_by_places(axes: int, sizes: Any, batch: int, channels: int, kernel: Any, options: Any,
                             monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """Each channel by itself, read where it lies, or some of them brought to be innermost."""
    check_depthwise("depthwise_places", axes, sizes, batch, channels, kernel, options, monkeypatch)


def within_borders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no channels by themselves be taken place by place."""
    monkeypatch.setattr("tapenet.kernels.depthwise_places.takes", lambda char, shape: False)
    monkeypatch.setattr(kernel_dispatch, "_by_channels", kernel_dispatch._by_channels.__wrapped__)


def check_depthwise(module_name: str, axes: int, sizes: Any, batch: int, channels: int, kernel: Any, options: Any,
                    monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """The three products by this module."""
    module = importlib.import_module(f"tapenet.kernels.{module_name}")
    calls = []
    for name in ("sums", "weight_sums"):
        made = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, name=name, made=made: calls.append(name) or made(*args))  # type: ignore[func-returns-value]
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    check(axes, sizes, batch, (channels, channels, channels), kernel, options, "d" if channels == 33 else "f")
    assert calls == ["sums", "sums", "weight_sums"]


def _bordered(patch: pytest.MonkeyPatch) -> list[Any]:
    """What depthwise kernels copy within borders from here on; it is not copied."""
    copies: list[Any] = []
    patch.setattr(importlib.import_module("tapenet.kernels.depthwise"), "_bordered", lambda *args: copies.append(args))
    return copies


@pytest.mark.parametrize(
    ("sizes", "batch", "kernel", "options"),
    [
        ((7, 4), 1, (3, 3), (1, 1, 1)),
        ((6, 3), 1, (3, 2), ((2, 3), (1, 0), 1)),
        ((5, 2), 2, (5, 3), (1, (2, 1), 1)),
        ((8, 1), 4, (3, 1), ((2, 1), 0, 2)),
    ],
)
def test_rows_of_few_places_stay_in_registers(
    sizes: Any, batch: int, kernel: Any, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Each channel by itself, without a copy within borders."""
    copies = _bordered(monkeypatch)
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    check(2, sizes, batch, (19, 19, 19), kernel, options, "f")
    assert not copies


@pytest.mark.parametrize(
    ("sizes", "batch", "kernel", "options"),
    [
        ((9, 150), 1, (3, 3), (1, 1, 1)),  # vectors within a row are a loop
        ((21, 280), 1, (3, 3), (2, 1, 1)),
        ((7, 33), 4, (3, 3), (2, 1, 1)),
        ((10, 29), 3, (5, 5), (1, 2, 1)),
        ((6, 40), 2, (2, 6), ((3, 4), ((1, 1), (5, 0)), 1)),
        ((12, 41), 1, (3, 2), (1, ((2, 2), (2, 0)), (2, 3))),
    ],
)
def test_rows_are_read_where_they_lie(
    sizes: Any, batch: int, kernel: Any, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Of channels by themselves, by kernels of few columns: nothing is copied within borders."""
    copies = _bordered(monkeypatch)
    within_borders(monkeypatch)
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    monkeypatch.setattr("tapenet.llvm.factories.BY_ARGUMENTS", False)
    check(2, sizes, batch, (3, 3, 3), kernel, options, "f")
    assert not copies


@pytest.mark.parametrize(
    ("sizes", "batch", "kernel", "options"),
    [
        ((40, 30), 8, (3, 7), (1, (3, 1), 1)),
        ((84, 33), 7, (4, 3), (2, (2, 1), 1)),
        ((44, 60), 8, (3, 7), ((2, 1), (1, 0), 1)),
        ((150, 75), 1, (9, 8), (1, (8, 4), 1)),  # a loop over the rows of the kernel
    ],
)
def test_large_images_come_in_bands(
    sizes: Any, batch: int, kernel: Any, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Of channels by themselves, which are within borders some rows at a time."""
    module = importlib.import_module("tapenet.kernels.depthwise")
    made, bands = module._bordered, []
    monkeypatch.setattr(module, "_bordered", lambda *args: bands.append(args[5]) or made(*args))
    within_borders(monkeypatch)
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    monkeypatch.setattr("tapenet.llvm.factories.BY_ARGUMENTS", False)
    check(2, sizes, batch, (2, 2, 2), kernel, options, "f")
    assert min(bands) < sizes[0] // 2


@pytest.mark.parametrize("place", [(-1, -1), (0, -1), (3, 3)])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 0), (1, 1), (2, 1)])
def test_infinity_reaches_only_weights_that_see_it(
    place: tuple[int, int], stride: int, padding: int, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Of channels by themselves whose rows are held in registers."""
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    forward, _, weight_grad = spatial.forwards(2)
    x, options = R.normal(size=(1, 16, 7, 6)).astype("f"), (stride, padding, 1, 16)
    y = abs(R.normal(size=forward(x, np.ones((16, 1, 3, 3), "f"), None, *options).shape)).astype("f") + 1
    x[:, :, *place] = np.inf
    found = weight_grad(x, y, (16, 1, 3, 3), *options)
    seen = np.zeros((16, 1, 3, 3), bool)
    within = np.pad(np.isinf(x), [(0, 0), (0, 0), (padding, padding), (padding, padding)])
    for i, j in np.ndindex(3, 3):
        ends = (slice(i, i + (n - 1) * stride + 1, stride) for n, i in zip(y.shape[2:], (i, j), strict=True))
        seen[0, 0, i, j] = within[0, 0, *ends].any()
    np.testing.assert_array_equal(np.isposinf(found), np.broadcast_to(seen[:1], found.shape))
    assert not np.isnan(found).any()


@pytest.mark.parametrize(
    ("axes", "sizes", "channels", "kernel", "options"),
    [
        (2, (33, 70), (3, 16, 1), (7, 7), (2, 3, 1)),
        (2, (9, 37), (24, 32, 1), (3, 5), ((1, 3), ((0, 2), (4, 0)), 1)),
        (2, (20, 21), (24, 16, 1), (3, 1), (2, 0, 1)),  # one place of two is seen
        (2, (40, 44), (3, 8, 1), (5, 5), (4, 0, 1)),
        (1, (90,), (8, 12, 2), (4,), (2, 3, 3)),
    ],
)
def test_strided_places_of_one_image(axes: int, sizes: Any, channels: Any, kernel: Any, options: Any,
                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """They are brought together."""
    moves, calls = importlib.import_module("tapenet.kernels.moves"), []
    made = moves.apart
    monkeypatch.setattr(moves, "apart", lambda *args: calls.append(args) or made(*args))  # type: ignore[func-returns-value]
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    check(axes, sizes, 1, channels, kernel, options, "f")
    assert calls


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize(("size", "batch"), [(7, 1), (6, 5), (1, 16)])
def test_plain_products(size: int, batch: int, wide: bool, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of one place each are products in panels where registers are wide; else few are left to BLAS."""
    linear = importlib.import_module("tapenet.kernels.linear")
    calls = []
    for module, name in ((linear, "panelled"), (kernel_dispatch, "_blas_product")):
        made = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, f=made, n=name: (calls.append(n), f(*a))[1])
    monkeypatch.setattr(linear, "wide", lambda: wide)
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    check(2, (size, size), batch, (130, 70, 1), (1, 1), (1, 0, 1), dtype)
    assert calls == (["panelled"] * 3 if wide and size > 1 else ["_blas_product"] * 2)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("transposed", ["", "left", "right"])
@pytest.mark.parametrize("rows", [1, 3, 16, 53])
def test_products_in_several_panels(rows: int, transposed: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Panels that are filled together and those left over, deeper than one, or that few rows read where they lie; in groups of
    columns, shared by threads or not. One row and three are streamed, or inner products; 16 are where panels of a large operand
    cannot be read where they lie."""
    linear = importlib.import_module("tapenet.kernels.linear")
    depth, columns = 2 * importlib.import_module("tapenet.kernels.panels").DEPTH + 3, 799
    a, b = R.normal(size=(rows, depth)).astype(dtype), R.normal(size=(depth, columns)).astype(dtype)
    given = (
        np.ascontiguousarray(a.T if transposed == "left" else a),
        np.ascontiguousarray(b.T if transposed == "right" else b),
    )
    ways = [
        (1, linear.GROUP, False),
        (1, 1 << 16, False),
        (3, 1 << 8, False),
        *([(3, 1 << 8, True)] if rows == 16 else []),
    ]
    for threads, group, beyond in ways:
        with monkeypatch.context() as m:
            m.setattr(linear, "SMALL", 0)
            if beyond:
                m.setattr(linear.panels, "APART", 1)
                m.setattr(linear.gemm, "largest", lambda: 0)
            many_threads(m, threads)
            m.setattr(linear, "GROUP", group)
            for made in (linear._product, linear._weight_grad, linear._panelled):
                made.cache_clear()
            out = np.full((rows, columns), np.nan, dtype)
            linear.panelled(*given, out, transposed)
        agree([out], [a.astype("d") @ b.astype("d")], dtype, ERROR if dtype == "f" else 1e-14)
    for made in (linear._product, linear._weight_grad, linear._panelled):
        made.cache_clear()


@pytest.mark.parametrize(("rows", "level"), [(16, 1), (53, 2)])
def test_what_the_next_panels_read_is_fetched(rows: int, level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the first level cache where it is read as it lies, to the second where it is copied first."""
    gemm, linear = (importlib.import_module(f"tapenet.{name}") for name in ("llvm.gemm", "kernels.linear"))
    levels = set()
    monkeypatch.setattr(gemm, "fetch", lambda *given, level=1, writes=False: None if writes else levels.add(level))
    linear._product.cache_clear()
    linear._panelled.cache_clear()
    a, b = (R.normal(size=size).astype("f") for size in ((rows, 130), (130, 799)))
    out = np.empty((rows, 799), "f")
    linear.panelled(a, b, out)
    agree([out], [a.astype("d") @ b.astype("d")], "f", ERROR)
    assert levels == ({level} if level == 1 or registers().wide else set())
    linear._product.cache_clear()
    linear._panelled.cache_clear()


def test_long_sums_bring_the_fewer_rows_into_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    """On vectors of any width, of which the narrowest would take inner products."""
    linear, made = importlib.import_module("tapenet.kernels.linear"), []
    panelled = linear._panelled

    def noted(n: int, outputs: int, *more: object) -> object:
        made.append((n, outputs))
        return panelled(n, outputs, *more)

    monkeypatch.setattr(linear, "_panelled", noted)
    monkeypatch.setattr(linear, "LINES", 0)
    wide = linear.gemm.across(linear.ROWS, np.dtype("f"))
    for n, outputs, depth in (
        (wide, 3 * wide + 1, 2100),
        (wide, 2 * wide, 2100),
        (wide, 3 * wide, 200),
        (wide - 1, 200, 2100),
    ):
        a, b, out = (R.normal(size=size).astype("f") for size in ((n, depth), (outputs, depth), (n, outputs)))
        linear.panelled(a, b, out, "right")
        agree([out], [a.astype("d") @ b.astype("d").T], "f", 10 * ERROR)
    assert made == [(3 * wide + 1, wide), (wide, 2 * wide), (wide, 3 * wide), (wide - 1, 200)]


def test_which_products_of_few_rows_are_inner_ones_or_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row is streamed too, and up to 16 of a large operand whose rows compete for places in a cache. Rows that inner
    products read again for each tile are to stay in the second level cache."""
    linear, calls = importlib.import_module("tapenet.kernels.linear"), []
    monkeypatch.setattr(linear.gemm, "far", lambda bytes: bytes > linear.gemm.FAR)
    monkeypatch.setattr(linear.gemm, "largest", lambda: 1 << 22)

    def noted(name: str, found: object) -> None:
        def asked(*_: object) -> object:
            calls.append(name)
            return found

        monkeypatch.setattr(linear, name, asked)

    def run(*_: object) -> None: ...

    noted("_inner", run)
    noted("_stream", (run, 0, ()))
    noted("_panelled", (run, 0, 0, ()))

    def way(rows: int, depth: int, columns: int, transposed: str) -> str:
        a, b, out = (
            np.broadcast_to(np.float32(0), shape) for shape in ((rows, depth), (depth, columns), (rows, columns))
        )
        linear.panelled(a, b, out, transposed)
        return str(calls.pop())

    assert [way(rows, 1 << 14, 96, "right") for rows in (4, 12, 13)] == ["_inner", "_inner", "_panelled"]
    assert [way(rows, 1 << 17, 96, "right") for rows in (4, 12, 13)] == ["_inner", "_panelled", "_panelled"]
    assert [way(rows, 64, 1 << 13, "") for rows in (1, 4, 5)] == ["_stream", "_stream", "_panelled"]
    assert [way(rows, 64, 1 << 15, "") for rows in (16, 17)] == ["_stream", "_panelled"]
    assert way(16, 64, (1 << 15) + 1, "") == "_panelled"
    assert way(1, 64, 784, "") == "_panelled"


@pytest.mark.parametrize(("batch", "dtype"), [(1, "f"), (4, "f"), (5, "d"), (32, "f")])
@pytest.mark.parametrize(
    ("axes", "size", "kernel", "stride"),
    [
        (2, (14, 38), (2, 2), 2),
        (2, (15, 13), (2, 2), 2),  # some places are not seen
        (2, (15, 20), (1, 1), 2),
        (2, (20, 21), (2, 3), (2, 3)),
        (2, (13, 31), (1, 2), (1, 4)),
        (1, (120,), (3,), 3),
    ],
)
def test_windows_that_do_not_overlap(
    axes: int, size: Any, kernel: Any, stride: Any, batch: int, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """What they see is brought together for the gradient by weights, and that by it back where they see all. Forward it is
    gathered from where it lies, or of one image copied where that pays."""
    linear, calls = importlib.import_module("tapenet.kernels.linear"), []
    made = linear.panelled
    monkeypatch.setattr(linear, "panelled", lambda *args: calls.append(args[3:]) or made(*args))  # type: ignore[func-returns-value]
    monkeypatch.setattr(linear, "wide", lambda: True)
    monkeypatch.setattr(importlib.import_module("tapenet.kernels.moves"), "apart", None)
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    check(axes, size, batch, (33, 40, 1), kernel, (stride, 0, 1), dtype)
    whole = np.broadcast_to(stride, axes).tolist() == list(kernel) and not any(np.mod(size, kernel))
    copied = batch == 1 and (size, kernel) != ((14, 38), (2, 2))
    assert calls == [*[()] * copied, *[("left",)] * whole, ("right",)]


@pytest.mark.parametrize(
    "case",
    [
        (1, (150,), 1, (1, 40, 1), (2,), (1, 0, 1)),
        (2, (9, 8), 3, (3, 60, 1), (3, 3), (1, 1, 1)),
        (2, (9, 11), 1, (2, 40, 1), (3, 2), ((2, 3), ((0, 1), (2, 0)), (1, 2))),
        (2, (2, 2), 16, (1, 64, 1), (5, 5), (1, 4, 1)),  # some windows see borders alone
        (3, (3, 4, 5), 2, (1, 40, 1), (2, 2, 2), (1, (0, 1, 1), 1)),
    ],
)
def test_gradients_by_few_channels_are_added_up_from_columns(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    moves = importlib.import_module("tapenet.kernels.moves")
    added = Mock(wraps=moves.from_columns)
    monkeypatch.setattr(moves, "from_columns", added)
    monkeypatch.setattr(importlib.import_module("tapenet.kernels.linear"), "wide", lambda: True)
    for name in ("WORTH", "LARGE"):
        monkeypatch.setattr(kernel_dispatch, name, 0)
    check(*case, "f")
    added.assert_called_once()


@pytest.mark.parametrize(
    ("size", "batch", "channels", "options", "by_columns"),
    [
        ((2, 2), 16, (8, 128), (1, 1, 1), True),
        ((7, 6), 1, (8, 128), (1, 1, 1), True),
        ((9, 7), 1, (8, 128), (2, 1, 1), True),
        ((24, 24), 1, (8, 128), (2, 1, 1), False),  # more places than outputs
        ((1, 1), 32, (8, 128), (1, 1, 1), False),  # eight of nine taps see borders alone
    ],
)
def test_gradients_by_many_weights_are_added_up_from_columns(
    size: Any, batch: int, channels: tuple[int, int], options: Any, by_columns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights are read as they lie; sums are the same on three threads."""
    moves = importlib.import_module("tapenet.kernels.moves")
    added = Mock(wraps=moves.from_columns)
    monkeypatch.setattr(moves, "from_columns", added)
    monkeypatch.setattr(importlib.import_module("tapenet.kernels.linear"), "wide", lambda: True)
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    check(2, size, batch, (*channels, 1), (3, 3), options, "f")
    assert added.called == by_columns
    forward, input_grad, _ = spatial.forwards(2)
    x, w = (
        R.normal(size=shape).astype("f") for shape in ((batch, channels[0], *size), (channels[1], channels[0], 3, 3))
    )
    y = forward(x, w, None, *options)
    one = input_grad(y, w, x.shape, *options)
    many_threads(monkeypatch, 3)
    agree((input_grad(y, w, x.shape, *options),), (one,), "f", 0)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize(("channels", "size", "batch"), [((24, 33), 46, 1), ((40, 9), 13, 16), ((16, 70), 46, 1)])
def test_weights_of_one_place_and_few_channels(
    channels: tuple[int, int], size: int, batch: int, wide: bool, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Of many places they are products in panels where registers are wide, and summed directly elsewhere."""
    calls = []
    for name, what in (("convolution", "weight_sums"), ("linear", "panelled")):
        module = importlib.import_module(f"tapenet.kernels.{name}")
        made = getattr(module, what)
        monkeypatch.setattr(module, what, lambda *args, f=made, n=name: (calls.append((n, args[3:])), f(*args))[1])
    monkeypatch.setattr("tapenet.kernels.linear.wide", lambda: wide)
    for dtype in "fd":
        check(2, (size, size), batch, (*channels, 1), (1, 1), (1, 0, 1), dtype)
    by_weight = [name for name, more in calls if name == "convolution" or more == ("right",)]
    assert by_weight == ["linear" if wide else "convolution"] * 2


@pytest.mark.parametrize(
    ("axes", "sizes", "batch", "channels", "kernel", "options"),
    [
        (2, (9, 8), 16, (40, 33, 1), (3, 3), (2, 1, 1)),
        (2, (5, 4), 17, (64, 48, 2), (4, 2), ((1, 3), ((2, 1), (0, 3)), (1, 2))),
        (1, (30,), 16, (32, 24, 1), (3,), (1, 4, 4)),
        (3, (3, 4, 2), 16, (33, 32, 1), (3, 3, 2), (2, 1, 1)),
    ],
)
def test_images_are_not_copied_within_borders(
    axes: int, sizes: Any, batch: int, channels: Any, kernel: Any, options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Taps see places beside images of a batch, where there are many channels."""
    moves, copies = importlib.import_module("tapenet.kernels.moves"), []
    made = moves._bordered
    monkeypatch.setattr(moves, "_bordered", lambda *args: copies.append(args) or made(*args))  # type: ignore[func-returns-value]
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    check(axes, sizes, batch, channels, kernel, options, "f")
    assert not copies


def test_gathered_doubles() -> None:
    check(2, (7, 7), 1, (48, 64, 1), (3, 3), (1, 1, 1), "d")


def test_the_stated_error_of_winograd() -> None:
    """64 to 64 channels of 14 x 14, batch 64: within 7e-7 of the largest result, forward and by the weights; with stride
    2 forward and by the input."""
    forward, input_grad, weight_grad = spatial.forwards(2)
    x, w = R.normal(size=(64, 64, 14, 14)).astype("f"), R.normal(size=(64, 64, 3, 3)).astype("f")
    with kernels.switched(False):
        strided = forward(x.astype("d"), w.astype("d"), None, 2, 1)
        by_input = input_grad(strided.astype("f").astype("d"), w.astype("d"), x.shape, 2, 1)
    halves = forward(x, w, None, 2, 1), input_grad(strided.astype("f"), w, x.shape, 2, 1)
    agree(halves, (strided, by_input), "f", 7e-7, least=0)
    out = forward(x, w, None, 1, 1)
    found = weight_grad(x, out, w.shape, 1, 1)
    x, w, g = (a.astype("d") for a in (x, w, out))
    with kernels.switched(False):
        expected = forward(x, w, None, 1, 1), weight_grad(x, g, w.shape, 1, 1)
    agree((out, found), expected, "f", 7e-7, least=0)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_shape(data: st.DataObject) -> None:
    draw = data.draw
    axes = draw(st.integers(1, 2))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels = (groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 4)), groups)
    each = st.tuples(*[st.integers(1, 3)] * axes)
    kernel = draw(each)
    options = (draw(each), draw(st.tuples(*[st.integers(0, 2)] * axes)), draw(st.tuples(*[st.integers(1, 2)] * axes)))
    check(
        axes,
        draw(st.tuples(*[st.integers(6, 9)] * axes)),
        draw(st.sampled_from([1, 8, 20])),
        channels,
        kernel,
        options,
        "f",
    )


@pytest.mark.parametrize("channels", [1, 24])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_where_it_is_seen(channels: int, value: float) -> None:
    """A window sees what lies in it, and no rounding error of others."""
    forward, _, _ = spatial.forwards(2)
    for place in ((0, 0), (2, 2), (3, 4)):
        x = np.zeros((16, channels, 6, 6), "f")
        x[3, 0, *place] = value
        weight = np.ones((24, channels, 3, 3), "f")
        with kernels.switched(False):
            expected = np.isfinite(forward(x, weight, None))
        np.testing.assert_array_equal(np.isfinite(forward(x, weight, None)), expected)


def test_both_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels run where they should, and not where they are switched off."""
    calls = []
    monkeypatch.setattr(kernel_dispatch, "_kernels", lambda *args: calls.append(kernels.on()))
    x, w = np.ones((16, 1, 6, 6), "f"), np.ones((2, 1, 3, 3), "f")
    tn.conv2d(x, w)
    with kernels.switched(False):
        tn.conv2d(x, w)
    assert calls == [True, False]


def test_taps_between_which_some_see_borders_alone() -> None:
    """A stride beyond the image's height, by a kernel of so many taps that they are looped over."""
    forward, _, _ = spatial.forwards(2)
    x, w = R.normal(size=(1, 64, 2, 32)).astype("f"), R.normal(size=(64, 1, 21, 7)).astype("f")
    options: dict[str, Any] = {"stride": (3, 1), "padding": (16, 3), "groups": 64}
    with kernels.switched(False):
        expected = forward(x.astype("d"), w.astype("d"), None, **options)
    agree([forward(x, w, None, **options)], [expected], "f", ERROR, least=0)


def test_strides_of_many_phases_are_left_to_numpy() -> None:
    """The code of 64 phases took 22 s to compile."""
    depthwise = importlib.import_module("tapenet.kernels.depthwise")

    def taken(stride: int) -> bool:
        plan = geometry.plan((1, 4, 64, 64), (4, 1, stride, stride), stride, 0, 1, 4, 2)
        return bool(depthwise.takes("f", kernel_dispatch._channelwise(depthwise, plan, True)))

    assert taken(4)
    assert not taken(8)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_give_the_same(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, input_grad, weight_grad = spatial.forwards(2)
    # Directly; gathered; by Winograd's algorithm, where of 40 images a tile is a block of its own.
    for channels, outs, batch in ((3, 8, 16), (24, 40, 2), (32, 32, 16), (32, 32, 40)):
        x, w = R.normal(size=(batch, channels, 9, 9)).astype("f"), R.normal(size=(outs, channels, 3, 3)).astype("f")

        def passes(x: Any = x, w: Any = w) -> list[Any]:
            y = forward(x, w, None)
            return [y, input_grad(y, w, x.shape), weight_grad(x, y, w.shape)]

        one = passes()
        with monkeypatch.context() as m:
            many_threads(m, threads)
            several = passes()
        agree(several[:2], one[:2], "f", 0)
        agree(several[2:], one[2:], "f", ERROR, least=0)


def test_threads_share_blocks_of_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 3 rows two threads would else have 2 and 1."""
    lengths: list[int] = []
    called = sharing.Shared.__call__

    def noted(self: sharing.Shared, length: int, cost: int, *arguments: Any, **options: Any) -> None:
        if self.form[0] == "gathered":
            lengths.append(length)
        called(self, length, cost, *arguments, **options)

    monkeypatch.setattr(sharing.Shared, "__call__", noted)
    forward, _, _ = spatial.forwards(2)
    x, w = batch_last(R.normal(size=(128, 16, 5, 5)).astype("f")), R.normal(size=(24, 16, 3, 3)).astype("f")
    one = forward(x, w, None, 2, 1)
    assert lengths == [9]
    many_threads(monkeypatch, 2)
    agree((forward(x, w, None, 2, 1),), (one,), "f", 0)


def test_threads_share_the_outputs_of_a_small_map(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, input_grad, _ = spatial.forwards(2)
    for size, batch, outs, stride in ((2, 16, 150, 1), (1, 16, 129, 1), (3, 5, 200, 2)):
        x, w = R.normal(size=(batch, 140, size, size)).astype("f"), R.normal(size=(outs, 140, 3, 3)).astype("f")
        y = forward(x, w, None, stride, 1)
        one = y, input_grad(y, w, x.shape, stride, 1)
        with monkeypatch.context() as m:
            many_threads(m, 3)
            y = forward(x, w, None, stride, 1)
            agree((y, input_grad(y, w, x.shape, stride, 1)), one, "f", 0)


@pytest.mark.parametrize(
    "case",
    [
        (2, (9, 8), 16, (3, 5, 1), (3, 3), (1, 1, 1)),
        (2, (9, 8), 16, (4, 6, 2), (3, 2), (1, (1, 0), (2, 1))),
        (3, (5, 6, 7), 16, (2, 4, 2), (2, 3, 2), ((2, 1, 2), 1, 1)),
        (2, (16, 20), 6, (24, 40, 1), (1, 1), (1, 0, 1)),
        (2, (16, 20), 8, (24, 40, 1), (1, 1), (2, 0, 1)),
        (3, (3, 50, 70), 2, (24, 8, 1), (1, 1, 1), (2, 1, 1)),
    ],
)
def test_gradients_by_weights_in_parts(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part of the rows has sums of its own: the same ones for any number of threads."""
    axes, sizes, batch, (inputs, outs, groups), kernel, options = case
    monkeypatch.setattr(kernel_dispatch, "WORTH", 0)
    monkeypatch.setattr("tapenet.kernels.linear.wide", lambda: False)  # else some are products in panels
    parts: list[int] = []
    for name in ("convolution", "gathered"):
        module = importlib.import_module(f"tapenet.kernels.{name}")
        add_up = module.add_up
        monkeypatch.setattr(
            module, "add_up", lambda *given, add_up=add_up: (parts.append(len(given[0])), add_up(*given))
        )
    forward, _, weight_grad = spatial.forwards(axes)
    x = batch_last(R.normal(size=(batch, inputs, *sizes)).astype("f"))
    w = R.normal(size=(outs, inputs // groups, *kernel)).astype("f")
    y = batch_last(forward(x, w, None, *options, groups))
    found = []
    for threads in (1, 2, 3):
        many_threads(monkeypatch, threads)
        check(*case, "f")
        found.append(weight_grad(x, y, w.shape, *options, groups))
    assert min(parts) > 1
    assert len(parts) == 6
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@pytest.mark.parametrize("batch", [2, 16, 40])
def test_threads_share_the_lines_of_winograds_tiles(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where sums of their own would cost them more: with the same numbers."""
    winograd = importlib.import_module("tapenet.kernels.winograd")
    cut: list[object] = []

    def one_part(*given: object) -> int:
        cut.append(given)
        return 1

    monkeypatch.setattr(winograd, "parts", one_part)
    forward, _, weight_grad = spatial.forwards(2)
    x, w = R.normal(size=(batch, 32, 11, 10)).astype("f"), R.normal(size=(40, 32, 3, 3)).astype("f")
    y = forward(x, w, None, 1, 1)
    found = []
    for threads in (1, 2, 3, 4):
        many_threads(monkeypatch, threads)
        found.append(weight_grad(x, y, w.shape, 1, 1))
    assert len(cut) == 4
    for several in found[1:]:
        np.testing.assert_array_equal(several, found[0])
    with kernels.switched(False):
        agree(found[:1], [weight_grad(x, y, w.shape, 1, 1)], "f", ERROR, least=0)


@pytest.mark.parametrize(
    ("channels", "size", "batch", "groups"),
    [(24, 6, 16, 1), (4, 6, 16, 1), (24, 6, 4, 1), (24, 1, 16, 1), (24, 6, 2, 24)],
    ids=["winograd", "direct", "gathered", "one tap", "depthwise"],
)
def test_gradients_by_weights_go_where_they_belong(channels: int, size: int, batch: int, groups: int) -> None:
    """A program offers a place, and nothing is copied."""
    x, w = R.normal(size=(batch, channels, size, size)).astype("f"), np.ones((channels, channels // groups, 3, 3), "f")
    weight_grad = spatial.forwards(2)[2]
    y = spatial.forwards(2)[0](x, w, None, 1, 1, 1, groups)
    place = np.full_like(w, np.nan)
    with pytest.MonkeyPatch.context() as m, kernels.offering([place]):
        m.setattr(kernel_dispatch, "WORTH", 0)
        found = weight_grad(x, y, w.shape, 1, 1, 1, groups)
    assert np.may_share_memory(found, place)
    with kernels.switched(False):
        agree([found], [weight_grad(x.astype("d"), y.astype("d"), w.shape, 1, 1, 1, groups)], "f", ERROR, least=0)


@pytest.mark.parametrize("channels", [4, 64])  # summed directly, and by Winograd's algorithm
def test_nothing_moves_at_a_programs_edges(channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument whose batch is innermost is read as it lies, and what the caller gets is where it was computed."""
    # Large enough to be computed where the program says.
    x = R.normal(size=(channels, 10, 10, 48)).astype("f").transpose(3, 0, 1, 2)
    weight = R.normal(size=(channels, channels, 3, 3)).astype("f")
    made = plans(monkeypatch)
    step = tn.compile(lambda x, w: tn.conv2d(x, w, padding=1), backend="native")
    step(x, weight)
    found = step(x, weight).data
    (plan,) = made
    read = {place.memory for launch in plan.launches for place in launch.arguments if isinstance(place, Place)}
    assert {("argument", 0), ("result", 0)} <= read
    assert all(size < x.nbytes for size in plan.made) or channels == 4  # direct sums read a border
    np.testing.assert_allclose(found, tn.conv2d(x, weight, padding=1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("lengths", [[(40, 64), (64, 36)], [(8, 8)]], ids=["one kernel", "tiles of five rows"])
def test_winograd_takes_channels_as_arguments(lengths: Any) -> None:
    winograd = importlib.import_module("tapenet.kernels.winograd")
    r = np.random.default_rng(0)
    before = winograd._convolve.cache_info().misses
    for c, o in lengths:
        shape = winograd.Shape(c, o, 6, 6, 16, (6, 6), (1, 1))
        x, weight = r.normal(size=(c, 6, 6, 16)).astype("f4"), r.normal(size=(o, c, 3, 3)).astype("f4")
        out = np.empty((o, 6, 6, 16), "f4")
        winograd.convolve(x, weight, np.zeros(o, "f4"), out, shape)
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        np.testing.assert_allclose(out, np.einsum("chwnij,ocij->ohwn", seen, weight), rtol=1e-3, atol=1e-3)
    assert winograd._convolve.cache_info().misses == before + 1
