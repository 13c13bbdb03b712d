"""Resizing and sampling on grids: PyTorch's values and gradients over all modes; memory orders; what is not finite; errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet.ops.layers.resampling import axis as axis_module
from tapenet.ops.layers.resampling import taps
from tapenet.testing import check_grads
from tests.ops.oracle import agrees_with_torch, close, replays

torch = pytest.importorskip("torch")
F = torch.nn.functional
R = np.random.default_rng(0)

PLAIN = ["nearest", "nearest-exact", "area"]
MODES = {1: [*PLAIN, "linear"], 2: [*PLAIN, "bilinear", "bicubic"], 3: [*PLAIN, "trilinear"]}


# -- resizing ----------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_any_resizing_agrees_with_torch(data: Any) -> None:
    axes = data.draw(st.integers(1, 3))
    mode = data.draw(st.sampled_from(MODES[axes]))
    options: dict[str, Any] = {"mode": mode}
    if mode not in PLAIN:
        options["align_corners"] = data.draw(st.sampled_from([None, False, True]))
    if mode in ("bilinear", "bicubic"):
        options["antialias"] = data.draw(st.booleans())
    lengths = [data.draw(st.integers(1, 7)) for _ in range(axes)]
    if data.draw(st.booleans()):
        options["size"] = tuple(data.draw(st.integers(1, 9)) for _ in range(axes))
    else:
        options["scale_factor"] = tuple(data.draw(st.sampled_from([1.0, 1.3, 1.7, 2.0, 3.0])) for _ in range(axes))
        options["recompute_scale_factor"] = data.draw(st.sampled_from([None, True]))
        # There PyTorch's gradient is not that of its value.
        same = [int(n * s) == n for n, s in zip(lengths, options["scale_factor"], strict=True)]
        assume(not any(same) or not ("nearest" in mode or options.get("antialias")))
    # Of one column, and to one, PyTorch repeats the first row.
    assume(not options.get("antialias") or 1 not in (lengths[-1], options.get("size", lengths)[-1]))
    x = np.random.default_rng(1).normal(size=(2, 2, *lengths))
    agrees_with_torch(
        lambda x: tn.interpolate(x, **options), lambda x: F.interpolate(x, **options), x, dtypes=[np.float64]
    )


@pytest.mark.parametrize(
    ("mode", "shape", "factor"),
    [
        *(("nearest", (2, 3), f) for f in (1.3, 2.3, (1.0, 2.3), (2.3, 1.3))),
        *(("nearest", shape, f) for shape in ((3,), (2, 3, 2)) for f in (1.3, 2.3)),
        *((mode, shape, 1.3) for mode, shape in (("linear", (3,)), ("bilinear", (2, 3)), ("trilinear", (2, 3, 2)))),
        ("bilinear", (2, 3), (1.3, 2.3)),
        ("bicubic", (2, 3), 1.3),
        ("nearest-exact", (2, 3), 2.3),
    ],
)
def test_factors_that_come_to_the_same_length_or_to_twice(mode: str, shape: Any, factor: Any) -> None:
    x = np.random.default_rng(1).normal(size=(1, 2, *shape))
    options = {"scale_factor": factor, "mode": mode}
    np.testing.assert_allclose(tn.interpolate(x, **options), F.interpolate(torch.tensor(x), **options), rtol=1e-12)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_an_axis_that_keeps_its_length_is_copied_under_antialias(mode: str) -> None:
    x = np.random.default_rng(1).normal(size=(1, 2, 3, 4))
    options = {"scale_factor": (1.3, 0.6), "mode": mode, "antialias": True}
    np.testing.assert_allclose(tn.interpolate(x, **options), F.interpolate(torch.tensor(x), **options), rtol=1e-12)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_the_nearest_elements_are_those_of_torch_at_every_size(mode: str) -> None:
    """Where exact arithmetic and float32 fall on two sides of an element too."""
    for n in (1, 2, 3, 5, 7, 10, 27, 41):
        x = np.arange(float(n))[None, None]
        for m in range(1, 90, 2):
            expected = F.interpolate(torch.tensor(x), m, mode=mode).numpy()
            np.testing.assert_array_equal(tn.interpolate(x, m, mode=mode), expected, err_msg=f"{n} to {m}")


@pytest.mark.parametrize("scale", [0.3, 0.5, 0.77, 1.0, 2.5])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [False, True])
def test_long_axes(scale: float, mode: str, antialias: bool) -> None:
    """Matrices of several blocks, wide ones and narrow ones."""
    options = {"scale_factor": scale, "mode": mode, "antialias": antialias}
    x = R.normal(size=(2, 1, 90, 150))
    agrees_with_torch(
        lambda x: tn.interpolate(x, **options), lambda x: F.interpolate(x, **options), x, dtypes=[np.float64]
    )
    # PyTorch rounds the places of float32 images to float32, we do not.
    close(tn.interpolate(x.astype(np.float32), **options), tn.interpolate(x, **options).astype(np.float32))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 2, 3, 0), (3, 2, 1, 0)])
@pytest.mark.parametrize("mode", MODES[2])
@pytest.mark.parametrize("size", [(3, 4), (9, 11)])
def test_memory_order_is_kept(order: Any, mode: str, size: Any) -> None:
    raw = R.normal(size=(2, 3, 6, 5))
    x = tn.tensor(np.ascontiguousarray(raw.transpose(order)).transpose(np.argsort(order)), requires_grad=True)
    y = tn.interpolate(x, size, mode=mode)
    close(y.data, tn.interpolate(raw, size, mode=mode))
    assert y.data.transpose(order).flags.c_contiguous
    y.backward(y.data)
    plain = tn.tensor(raw, requires_grad=True)
    tn.interpolate(plain, size, mode=mode).backward(y.data.copy("C"))
    close(x.grad.data, plain.grad.data)


def test_resizing_is_linear_so_the_second_derivative_is_that_of_what_follows() -> None:
    x = R.normal(size=(1, 1, 3, 4))
    for options in ({"mode": "bicubic"}, {"mode": "bilinear", "antialias": True}, {"mode": "area"}):
        check_grads(lambda x, o=options: tn.interpolate(x, (2, 5), **o) ** 3, [x], order=3)
    replays(lambda x: (tn.interpolate(x, (2, 5), mode="bilinear") ** 2).sum(), x, -x)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("axis", [2, 3])
def test_what_is_not_finite_stays_where_it_is(bad: float, axis: int) -> None:
    """A product of matrices would carry 0 · inf to its whole block."""
    x = np.zeros((1, 1, 20, 20))
    x[0, 0, 5, 5] = bad
    size = [20, 20]
    size[axis - 2] = 40
    y = tn.interpolate(x, size, mode="bilinear")
    expected = F.interpolate(torch.tensor(x), size, mode="bilinear").numpy()
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))
    assert np.isfinite(y).sum() == y.size - 4


@pytest.mark.parametrize("wide", [0, 10**6])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_blocks_and_taps_compute_the_same(wide: int, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = R.normal(size=(2, 70, 3)).astype(dtype)
    for made in (taps.cubic(70, 33, False, None), taps.linear(70, 150, True, None).transposed, taps.areas(70, 41)):
        matrix = np.zeros((made.out, made.length))
        for i, w in zip(made.index, made.weights, strict=True):
            np.add.at(matrix, (np.arange(made.out), i), w)
        if made.length != 70:
            matrix, made = matrix.T, made.transposed
        monkeypatch.setattr(axis_module, "_WIDE", wide)
        close(tn.resample(x, made, 1), np.einsum("ij,ajb->aib", matrix, x).astype(dtype))
        close(tn.resample(x[..., 0], made, -1), np.einsum("ij,aj->ai", matrix, x[..., 0]).astype(dtype))


def test_taps_transposed_twice_are_themselves() -> None:
    made = taps.linear(5, 9, False, None)
    assert made.transposed.transposed is made
    assert (made.transposed.length, made.transposed.out) == (9, 5)
    assert repr(made) == "<5 → 9, 2 taps>"


def test_integers_are_copied_or_become_floats() -> None:
    x = np.arange(4, dtype=np.uint8).reshape(1, 1, 4)
    assert tn.interpolate(x, 8).dtype == np.uint8
    np.testing.assert_array_equal(tn.interpolate(x, 2, mode="linear"), [[[0.5, 2.5]]])


def test_an_empty_batch() -> None:
    assert tn.interpolate(np.zeros((0, 2, 3, 4)), (5, 6), mode="bilinear").shape == (0, 2, 5, 6)
    assert tn.interpolate(np.zeros((0, 2, 3)), 5).shape == (0, 2, 5)


def test_an_empty_batch_on_a_grid() -> None:
    x = tn.tensor(np.zeros((0, 2, 3, 4)), requires_grad=True)
    grid = tn.tensor(np.zeros((0, 5, 6, 2)), requires_grad=True)
    out = tn.grid_sample(x, grid)
    out.backward(np.zeros((0, 2, 5, 6)))
    assert (out.shape, x.grad.shape, grid.grad.shape) == ((0, 2, 5, 6), x.shape, grid.shape)


# -- grids -------------------------------------------------------------------------------------------------------

SHAPES = [((2, 3, 5, 6), (2, 3, 4, 2)), ((2, 2, 3, 4, 5), (2, 2, 2, 3, 3)), ((1, 1, 1, 1), (1, 3, 4, 2))]


@pytest.mark.parametrize(
    ("shape", "places", "mode"),
    [(*s, m) for s in SHAPES for m in ("bilinear", "bicubic") if len(s[0]) == 4 or m != "bicubic"],
)
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [False, True])
def test_sampling_on_a_grid_agrees_with_torch(shape: Any, places: Any, mode: str, padding: str, align: bool) -> None:
    x, grid = R.normal(size=shape), R.uniform(-1.7, 1.7, places)
    grid.flat[:4] = [-1, 1, 1, -1]
    agrees_with_torch(
        lambda x, g: tn.grid_sample(x, g, mode, padding, align),
        lambda x, g: F.grid_sample(x, g, mode, padding, align),
        x, grid, dtypes=[np.float64],
    )  # fmt: skip


@pytest.mark.parametrize(("shape", "places"), SHAPES)
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [False, True])
def test_the_nearest_element_on_a_grid_is_that_of_torch(shape: Any, places: Any, padding: str, align: bool) -> None:
    x, grid = R.normal(size=shape), R.uniform(-1.7, 1.7, places)
    options = ("nearest", padding, align)
    agrees_with_torch(
        lambda x: tn.grid_sample(x, grid.astype(x.dtype), *options),
        lambda x: F.grid_sample(x, torch.tensor(grid, dtype=x.dtype), *options),
        x,
    )


def test_float32_stays_and_the_grid_may_be_float64() -> None:
    x, grid = (
        R.normal(size=(1, 2, 3, 4)).astype(np.float32),
        tn.tensor(R.uniform(-1, 1, (1, 2, 2, 2)), requires_grad=True),
    )
    y = tn.grid_sample(tn.tensor(x), grid)
    assert y.dtype == np.float32
    y.sum().backward()
    assert grid.grad.dtype == np.float64


def test_sampling_on_a_grid_to_second_order() -> None:
    x, grid = R.normal(size=(1, 2, 3, 4)), R.uniform(-0.9, 0.9, (1, 1, 2, 2))
    for mode, padding in (("bilinear", "zeros"), ("bicubic", "reflection")):
        check_grads(lambda x, g, m=mode, p=padding: tn.grid_sample(x, g, m, p) ** 2, [x, grid], order=2)


def test_what_is_outside_does_not_read_an_element_that_is_not_finite() -> None:
    x = np.full((1, 1, 2, 2), np.nan)
    np.testing.assert_array_equal(tn.grid_sample(x, np.full((1, 1, 1, 2), 5.0)), 0)
    np.testing.assert_array_equal(tn.grid_sample(x, np.full((1, 1, 1, 2), -1e30)), 0)


def test_the_identity_shows_the_image() -> None:
    x = R.normal(size=(2, 3, 4, 5))
    theta = np.broadcast_to(np.eye(2, 3), (2, 2, 3))
    for align in (False, True):
        grid = tn.affine_grid(theta, x.shape, align)
        np.testing.assert_allclose(tn.grid_sample(x, grid, align_corners=align), x, atol=1e-12)


@pytest.mark.parametrize(
    ("theta", "size"), [((2, 2, 3), (2, 1, 3, 4)), ((2, 3, 4), (2, 1, 2, 3, 4)), ((1, 2, 3), (1, 1, 2, 4))]
)
@pytest.mark.parametrize("align", [False, True])
def test_affine_grids_agree_with_torch(theta: Any, size: Any, align: bool) -> None:
    agrees_with_torch(
        lambda t: tn.affine_grid(t, size, align), lambda t: F.affine_grid(t, list(size), align), R.normal(size=theta)
    )


# -- errors ------------------------------------------------------------------------------------------------------

X, G = np.zeros((1, 2, 4, 4)), np.zeros((1, 3, 3, 2))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tn.interpolate(X), "give either size or scale_factor"),
        (lambda: tn.interpolate(X, 2, 2), "give either size or scale_factor"),
        (lambda: tn.interpolate(X, 2, mode="cubic"), "mode='cubic' is none of nearest, nearest-exact, area, linear"),
        (
            lambda: tn.interpolate(X, 2, mode="linear"),
            "mode='linear' is for 1 axes .*choose from nearest, nearest-exact, area, bilinear, bicubic",
        ),
        (lambda: tn.interpolate(X[0, 0], 2), r"x has shape \(4, 4\); .*add the missing ones, as in x\[None, None\]"),
        (lambda: tn.interpolate(X, 2, align_corners=True), "align_corners means nothing for mode='nearest'"),
        (lambda: tn.interpolate(X, 2, antialias=True), "antialias=True is for 'bilinear' and 'bicubic'"),
        (lambda: tn.interpolate(X, (2, 2, 2)), "has 3 numbers; x has 2 axes after batch and channels"),
        (lambda: tn.interpolate(X, 2, recompute_scale_factor=True), "recompute_scale_factor needs a scale_factor"),
        (lambda: tn.interpolate(X, scale_factor=0.1), r"makes lengths \(0, 0\) of \(4, 4\); they must be 1 or more"),
        (lambda: tn.grid_sample(X, G[0]), r"x has shape \(1, 2, 4, 4\), the grid \(3, 3, 2\); they must be"),
        (lambda: tn.grid_sample(X[..., :0], G), "there is nothing to read"),
        (lambda: tn.grid_sample(X, G, "cubic"), "mode='cubic' .*give 'bilinear', 'nearest', or for images 'bicubic'"),
        (lambda: tn.grid_sample(X, G, padding_mode="wrap"), "padding_mode='wrap' is none of 'zeros', 'border'"),
        (lambda: tn.grid_sample(X.astype(int), G), "both must be floats"),
        (lambda: tn.affine_grid(np.zeros((1, 3, 3)), (1, 1, 2, 2)), r"theta is float64 of shape \(1, 3, 3\)"),
        (lambda: tn.resample(X, taps.linear(3, 5, False, None), 2), "has not the 3 elements of <3 → 5, 2 taps>"),
    ],
)
def test_errors_say_what_to_do(call: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()
