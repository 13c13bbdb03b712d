"""Reading on grids in machine code beside NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import kernels
from tapenet.kernels import grids
from tests.kernels.beside import agree, batch_last, both

pytest.importorskip("llvmlite")
R = np.random.default_rng(0)


CASES: list[tuple[Any, ...]] = [
    ((2, 3, 5, 6), (2, 3, 5, 2), "bilinear", "zeros", False),
    ((2, 1, 4, 3), (2, 17, 19, 2), "bilinear", "border", True),  # more than one block
    ((3, 19, 2, 9), (3, 1, 7, 2), "bilinear", "reflection", False),
    ((2, 33, 1, 1), (2, 2, 2, 2), "bilinear", "reflection", True),
    ((1, 5, 3, 4, 2), (1, 2, 3, 3, 3), "bilinear", "border", False),
    ((2, 3, 5, 6), (2, 3, 5, 2), "nearest", "zeros", True),
    ((2, 6, 4, 3, 3), (2, 2, 3, 3, 3), "nearest", "reflection", False),
]


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(("shape", "places", "mode", "padding", "align"), CASES)
@pytest.mark.parametrize("order", [np.ascontiguousarray, batch_last])
def test_same_as_numpy(shape: Any, places: Any, mode: str, padding: str, align: bool, order: Any, dtype: str) -> None:
    # Rounded to float32, so that both kinds see the same elements.
    image, grid = order(R.normal(size=shape)), R.uniform(-2.4, 2.4, places).astype("f")
    f = lambda image, grid: tn.grid_sample(image, grid, mode, padding, align)
    agree(*both(f, image, grid, dtype=dtype), dtype, 5e-6 if dtype == "f" else 1e-14)


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("align", [False, True])
def test_at_borders_and_middles(padding: str, align: bool) -> None:
    """Where the derivative jumps both take the same side."""
    grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, 17)] * 2), -1)[None]
    f = lambda image, grid: tn.grid_sample(image, grid, "bilinear", padding, align)
    agree(*both(f, R.normal(size=(1, 3, 4, 5)), grid, dtype="d"), "d", 1e-14)


def test_one_gradient_alone() -> None:
    image, grid = R.normal(size=(2, 3, 4, 5)), R.uniform(-1, 1, (2, 3, 3, 2))
    x, at = tn.tensor(image, requires_grad=True), tn.tensor(grid, requires_grad=True)
    tn.grid_sample(x, at).sum().backward()
    for a, b in ((tn.tensor(image, requires_grad=True), grid), (image, tn.tensor(grid, requires_grad=True))):
        tn.grid_sample(a, b).sum().backward()
        one, both = (a, x) if isinstance(a, tn.Tensor) else (b, at)
        np.testing.assert_array_equal(one.grad.data, both.grad.data)


def test_what_is_outside_is_not_read() -> None:
    """And what is not a number stays where it is."""
    x = np.full((1, 2, 2, 2), np.nan)
    for grid in (np.full((1, 1, 1, 2), 5.0), np.full((1, 1, 1, 2), -1e30)):
        np.testing.assert_array_equal(tn.grid_sample(x, grid), 0)
    image = tn.tensor(R.normal(size=(1, 1, 4, 4)), requires_grad=True)
    places = np.array([[[[-0.75, -0.75], [7.0, 7.0]]]])
    out = tn.grid_sample(image, places)
    out.backward(np.array([[[[1.0, np.nan]]]]))
    assert np.isfinite(image.grad.data).all()
    for mode in ("bilinear", "nearest"):
        with kernels.switched(False):
            expected = tn.grid_sample(image.data, np.full((1, 1, 1, 2), np.nan), mode)
        np.testing.assert_array_equal(tn.grid_sample(image.data, np.full((1, 1, 1, 2), np.nan), mode), expected)


def test_kernels_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for name in ("sampled", "gradients"):
        f = getattr(grids, name)
        monkeypatch.setattr(grids, name, lambda *args, f=f, name=name: [called.append(name), f(*args)][1])
    x = tn.tensor(np.ones((1, 2, 2, 2)), requires_grad=True)
    tn.grid_sample(x, np.zeros((1, 2, 2, 2))).sum().backward()
    assert called == ["sampled", "gradients"]
    tn.grid_sample(x.data, np.zeros((1, 2, 2, 2), "f"))
    assert called == ["sampled", "gradients"]
