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
    with pytest.raises(ValueError, match="depends on the values of the image"):
        tn.compile(lambda x: ndimage.maximum(x, LABELS, 2))(X)
