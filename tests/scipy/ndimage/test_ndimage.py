"""`tn.scipy.ndimage` against SciPy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage

import tapenet as tn
from tapenet.scipy import ndimage
from tapenet.scipy.ndimage import correlation, spline_filters
from tests.scipy.followed import check_promises, check_values, ops

OPS = ops("ndimage")
PARTS = {op.name: op for op in (correlation.along_axis, correlation.along_all, spline_filters.filtered_along)}


@pytest.mark.parametrize("name", OPS)
def test_values_are_scipys(name: str) -> None:
    check_values("ndimage", OPS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OPS, *PARTS])
def test_promises(name: str) -> None:
    check_promises(OPS.get(name) or PARTS[name])


X = np.random.default_rng(2).normal(size=(4, 5))
#: Calls of functions that are made of the ops above, behind the image.
CALLS: list[tuple[str, tuple[object, ...], dict[str, object]]] = [
    ("convolve", (np.array([[1.0, 2.0], [0.5, -1.0]]),), {"mode": "wrap", "origin": (-1, 0)}),
    ("convolve", (np.array([1.0, 2.0, 0.5]),), {"axes": 0}),
    ("convolve1d", (np.array([1.0, 2.0]), 0), {"mode": "mirror"}),
    ("correlate", (np.ones((2, 3)),), {"mode": "constant", "cval": 0.5, "output": np.float32}),
    ("correlate", (np.array([[1.0, 2.0]]),), {"axes": (1, 0)}),
    ("median_filter", ((2, 3),), {"axes": (1, 0), "origin": (0, 1)}),
    ("maximum_filter", ((2, 3),), {"axes": (1, 0), "origin": (0, -1)}),
    ("grey_dilation", ((2, 3),), {"axes": (1, 0)}),
    ("grey_erosion", (), {"structure": [[1.0, 0.5, 0.2]], "axes": (1, 0)}),
    ("correlate1d", (np.array([1.0, 2.0, 0.5]), 1), {"origin": 1}),
    ("gaussian_filter1d", (0.8, 0), {"order": 3}),
    ("gaussian_filter", ((0.9, 0.0), (1, 0)), {"mode": ("wrap", "nearest"), "output": np.float32}),
    ("gaussian_filter", (1.1,), {"axes": (0,), "radius": 2}),
    ("laplace", (), {"mode": "wrap"}),
    ("gaussian_laplace", ((1.0, 2.0),), {}),
    ("gaussian_gradient_magnitude", ((1.0, 2.0),), {}),
    ("prewitt", (), {}),
    ("sobel", (0,), {"mode": "mirror"}),
    ("spline_filter", (), {"order": 4, "mode": "reflect"}),
    ("spline_filter1d", (2, 0), {"output": np.float32}),
]


@pytest.mark.parametrize(("name", "args", "options"), CALLS)
def test_functions_made_of_ops(name: str, args: tuple[object, ...], options: dict[str, object]) -> None:
    ours, theirs = getattr(ndimage, name), getattr(scipy.ndimage, name)
    found = ours(tn.tensor(X), *args, **options)
    assert isinstance(found, tn.Tensor)
    np.testing.assert_array_equal(found.numpy(), theirs(X, *args, **options), strict=True)
    if "output" not in options:  # differences of numbers of 32 bits are none
        tn.testing.check_grads(lambda x: ours(x, *args, **options), [X])
        np.testing.assert_allclose(tn.compile(lambda x: ours(x, *args, **options))(X), found, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_gradients_by_sigma(order: int) -> None:
    tn.testing.check_grads(
        lambda x, s: ndimage.gaussian_filter(x, s, order, radius=2), [X, np.array([1.2, 0.9])], order=2
    )


def test_a_sigma_that_a_program_computes_needs_a_radius() -> None:
    loss = lambda s, **more: (ndimage.gaussian_filter(X, s, **more) ** 2).sum()
    slope = tn.grad(lambda s: loss(s, radius=3))
    np.testing.assert_allclose(tn.compile(slope)(np.array(1.2)), slope(np.array(1.2)), rtol=1e-12)
    with pytest.raises(ValueError, match="give radius="):
        tn.compile(loss)(np.array(1.2))


def test_images_are_not_written() -> None:
    with pytest.raises(TypeError, match="output= is a dtype on tensors"):
        ndimage.correlate1d(tn.tensor(X), [1, 2], output=np.zeros((4, 5)))


@pytest.mark.parametrize("name", ["sum", "mean", "variance", "standard_deviation"])
def test_labels_may_be_arrays(name: str) -> None:
    x = np.random.default_rng(0).normal(size=(4, 6))
    labels = np.arange(24).reshape(4, 6) // 7
    ours, theirs = getattr(tn.scipy.ndimage, name), getattr(scipy.ndimage, name)
    for index in (np.array([2, 0, 2]), 1, None):
        np.testing.assert_array_equal(ours(tn.tensor(x), labels, index).numpy(), theirs(x, labels, index))
        tn.testing.check_grads(lambda x, index=index: ours(x, labels, index), [x], order=2)
    gradient = tn.grad(lambda x, marks: (ours(x, marks, np.array([2, 0])) ** 2).sum())
    compiled = tn.compile(gradient)
    both = labels, labels[::-1].copy()
    for marks in both:  # each has its own
        fixed = tn.compile(
            tn.grad(lambda x, marks=marks: (ours(x, marks, np.array([2, 0])) ** 2).sum()), backend="numpy"
        )
        for found in (fixed(x), compiled(x, marks)):
            np.testing.assert_allclose(found.numpy(), gradient(x, marks).numpy(), rtol=1e-12)
    lanes = tn.vmap(gradient, in_axes=(None, 0))(x, np.stack(both))
    np.testing.assert_allclose(lanes.numpy(), [gradient(x, marks).numpy() for marks in both], rtol=1e-12)


FOOTPRINT, STRUCTURE = np.array([[0, 1, 0], [1, 1, 1]]), np.array([[0.0, 0.1, 0.3], [0.1, 0.2, 0.3]])
WINDOWS: list[tuple[str, tuple[object, ...], dict[str, object]]] = [
    ("maximum_filter", (), {"footprint": FOOTPRINT, "mode": "mirror", "origin": -1}),
    ("minimum_filter", (), {"footprint": FOOTPRINT > 0, "mode": "wrap"}),
    ("median_filter", (), {"footprint": FOOTPRINT}),
    ("rank_filter", (np.int64(1),), {"footprint": FOOTPRINT}),
    ("percentile_filter", (np.float64(30),), {"size": np.array([2, 3])}),
    ("grey_dilation", (), {"structure": STRUCTURE}),
    ("grey_erosion", (), {"footprint": FOOTPRINT, "structure": STRUCTURE, "mode": "nearest"}),
    ("grey_opening", (), {"structure": STRUCTURE}),
    ("grey_closing", (), {"footprint": FOOTPRINT}),
    ("uniform_filter", (np.array([3, 2]),), {}),
    ("zoom", (np.array([1.5, 0.7]),), {"order": 1}),
]


@pytest.mark.parametrize(("name", "args", "options"), WINDOWS)
def test_windows_may_be_arrays(name: str, args: tuple[object, ...], options: dict[str, object]) -> None:
    ours, theirs = getattr(ndimage, name), getattr(scipy.ndimage, name)
    f = lambda x: ours(x, *args, **options)
    np.testing.assert_array_equal(f(tn.tensor(X)).numpy(), theirs(X, *args, **options), strict=True)
    tn.testing.check_grads(f, [X], order=2)
    gradient = tn.grad(lambda x: (f(x) ** 2).sum())
    np.testing.assert_allclose(tn.compile(gradient)(X).numpy(), gradient(X).numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(tn.vmap(gradient)(X[np.newaxis]).numpy()[0], gradient(X).numpy(), rtol=1e-12, atol=1e-14)


def test_each_window_has_its_own_gradient() -> None:
    for window in (FOOTPRINT, FOOTPRINT[::-1].copy(), FOOTPRINT):
        x = tn.tensor(X, requires_grad=True)
        ndimage.maximum_filter(x, footprint=window).sum().backward()
        listed = tn.grad(lambda x, window=window: ndimage.maximum_filter(x, footprint=window.tolist()).sum())(X)
        np.testing.assert_array_equal(x.grad.numpy(), listed.numpy())


@pytest.mark.parametrize("order", range(6))
def test_coefficients_beyond_the_nearest(order: int) -> None:
    at = np.array([[-7.3, -0.4, 0.3, 2.4, 3.3, 9.2], [1.3, 5.7, -2.2, 1.6, 4.3, 2.2]])
    tn.testing.check_grads(
        lambda x, at: ndimage.map_coordinates(x, at, order=order, mode="nearest", prefilter=False), [X, at], order=2
    )


def test_dtypes_of_complex_images_are_promoted() -> None:
    for f in (ndimage.correlate1d, ndimage.convolve, ndimage.gaussian_filter1d):
        with pytest.warns(UserWarning, match="promoting specified output dtype to complex"):
            found = f(tn.tensor(X[0] + 1j), 1.0 if f is ndimage.gaussian_filter1d else [1.0, 2.0], output=np.float32)
        assert found.dtype == np.complex64
