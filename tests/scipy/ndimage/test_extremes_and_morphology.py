"""Extremes and centres of parts of images, and what morphology takes off: SciPy's values, derivatives by differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage

import tapenet as tn
from tapenet.scipy import ndimage

X = np.random.default_rng(5).normal(size=(3, 4))
LABELS = np.array([[1, 1, 0, 2], [2, 2, 2, 0], [0, 3, 3, 1]])
PARTS: list[tuple[Any, ...]] = [(), (LABELS,), (LABELS, 2), (LABELS, [3, 1])]
WINDOWS: list[dict[str, Any]] = [
    {"size": 3}, {"structure": np.array([[0.1, 0.3, 0.2]])}, {"size": 2, "mode": "wrap", "axes": (1,)},
]  # fmt: skip


def leaves(found: Any) -> list[Any]:
    if isinstance(found, (tuple, list)):
        return [leaf for part in found for leaf in leaves(part)]
    return [found]


def check(name: str, args: tuple[Any, ...] = (), options: dict[str, Any] | None = None) -> None:
    ours, theirs = (getattr(space, name) for space in (ndimage, scipy.ndimage))
    found, expected = (leaves(f(x, *args, **(options or {}))) for f, x in ((ours, tn.tensor(X)), (theirs, X)))
    assert any(isinstance(leaf, tn.Tensor) for leaf in found)
    for leaf, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(leaf), value, rtol=1e-13, atol=1e-15)

    def f(x: Any) -> Any:
        return [leaf for leaf in leaves(ours(x, *args, **(options or {}))) if isinstance(leaf, tn.Tensor)]

    tn.testing.check_grads(f, [X], order=2)


@pytest.mark.parametrize("name", ["minimum", "maximum", "median", "extrema", "center_of_mass"])
def test_of_parts(name: str) -> None:
    for args in PARTS:
        check(name, args)


@pytest.mark.parametrize("name", ["white_tophat", "black_tophat", "morphological_gradient", "morphological_laplace"])
def test_morphology(name: str) -> None:
    for options in WINDOWS:
        check(name, (), options)


def test_compiled() -> None:
    for f in (lambda x: ndimage.center_of_mass(x, LABELS, 2)[0], lambda x: ndimage.white_tophat(x, 3).sum()):
        slope = tn.grad(f)
        np.testing.assert_allclose(tn.compile(slope, backend="numpy")(X).numpy(), slope(X).numpy(), rtol=1e-12)
    with pytest.raises(ValueError, match="depends on the image"):
        tn.compile(lambda x: ndimage.extrema(x, LABELS, 2)[0])(X)


@pytest.mark.parametrize("name", ["minimum", "maximum", "median"])
def test_images_and_labels_that_a_program_computes(name: str) -> None:
    gradient = tn.grad(lambda x, labels, index: (getattr(ndimage, name)(x, labels, index) ** 2).sum())
    several, one = np.array([3, 1]), np.array(2)
    compiled = tn.compile(gradient)
    for image, labels in ((X, LABELS), (-X, LABELS[::-1].copy())):
        for index in (several, one):
            expected = gradient(image, labels, index).numpy()
            np.testing.assert_allclose(compiled(image, labels, index).numpy(), expected, rtol=1e-12)
            lanes = tn.vmap(gradient, in_axes=(0, 0, None))(np.stack([X, image]), np.stack([LABELS, labels]), index)
            np.testing.assert_allclose(lanes.numpy()[1], expected, rtol=1e-12)


def test_parts_without_numbers() -> None:
    index = np.array([[2, 7], [9, 3]])
    for name in ("minimum", "maximum"):
        found = getattr(ndimage, name)(tn.tensor(X), LABELS, index)
        np.testing.assert_array_equal(found.numpy(), getattr(scipy.ndimage, name)(X, LABELS, index))
        check(name, (LABELS, index))
    assert np.isnan(ndimage.median(tn.tensor(X), LABELS, index).numpy()).tolist() == [[False, True], [True, False]]
    with pytest.raises(ValueError, match="zero-size"):
        ndimage.minimum(tn.tensor(X), LABELS, 7)


def test_medians_of_what_is_no_number() -> None:
    x = np.where(LABELS == 3, np.nan, X)
    for args in PARTS:
        found = ndimage.median(tn.tensor(x), *args)
        np.testing.assert_array_equal(found.numpy(), scipy.ndimage.median(x, *args))
    for image in (X > 0, np.array([[127, 67, 126]], np.int8)):
        found = ndimage.median(tn.tensor(image))
        np.testing.assert_array_equal(found.numpy(), scipy.ndimage.median(image))


def test_lengths_of_zero_have_no_gradient() -> None:
    for f in (
        lambda x: ndimage.gaussian_gradient_magnitude(x, 1.1, mode="mirror"),  # 0 in the corners
        lambda x: ndimage.standard_deviation(x, np.arange(12).reshape(3, 4) // 2, [0, 5, 5]),
        lambda x: ndimage.standard_deviation(x, LABELS == 0, [1, 0]),
        lambda x: ndimage.standard_deviation(x[:1], LABELS[:1], [2, 1]),  # of one number
    ):
        tn.testing.check_grads(f, [X], order=2)


def test_images_of_booleans_and_integers() -> None:
    image = X > 0
    for name in ("white_tophat", "black_tophat"):
        found = getattr(ndimage, name)(tn.tensor(image), 2)
        np.testing.assert_array_equal(found.numpy(), getattr(scipy.ndimage, name)(image, 2), strict=True)
    whole = np.arange(12, dtype=np.int32).reshape(3, 4) ** 2
    found = ndimage.gaussian_gradient_magnitude(tn.tensor(whole), 1.0)
    np.testing.assert_array_equal(found.numpy(), scipy.ndimage.gaussian_gradient_magnitude(whole, 1.0), strict=True)


@pytest.mark.parametrize("axis", [2, 3, -3])
def test_axes_that_are_not_there(axis: int) -> None:
    for name, args in (
        ("correlate1d", ([1.0, 2.0],)), ("convolve1d", ([1.0, 2.0],)), ("spline_filter1d", (3,)), ("prewitt", ()),
        ("sobel", ()), ("uniform_filter1d", (2,)), ("gaussian_filter1d", (1.0,)),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="axis"):
            getattr(ndimage, name)(tn.tensor(X), *args, axis=axis)
    for name in (
        "gaussian_filter",
        "gaussian_laplace",
        "gaussian_gradient_magnitude",
        "uniform_filter",
        "maximum_filter",
    ):
        for axes in ((axis,), (0, 0)):
            with pytest.raises(ValueError, match="ax"):
                getattr(ndimage, name)(tn.tensor(X), 2, axes=axes)
    for name, args in (("laplace", ()), ("correlate", (np.ones(2),)), ("convolve", (np.ones(2),))):
        with pytest.raises(ValueError, match="out of range"):
            getattr(ndimage, name)(tn.tensor(X), *args, axes=axis)
