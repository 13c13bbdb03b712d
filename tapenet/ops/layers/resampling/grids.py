"""Sampling images on grids: what spatial transformers do (Jaderberg et al., arXiv:1506.02025, 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.layers.resampling.reading import grid_formula, grid_read
from tapenet.ops.registry import Sample, sample
from tapenet.ops.shapes.reshaping import reshape
from tapenet.typing import Array


def _grid_samples(r: np.random.Generator) -> list[Sample]:
    image = r.normal(size=(1, 2, 2, 3))
    return [
        sample(image, r.uniform(-0.9, 0.9, (1, 2, 1, 2))),
        sample(image, r.uniform(-1.4, 1.4, (1, 1, 2, 2)), "bicubic", "border", True),
        sample(image, r.uniform(-2.5, 2.5, (1, 2, 1, 2)), padding_mode="reflection"),
        sample(image, r.uniform(-0.9, 0.9, (1, 1, 2, 2)), mode="nearest", align_corners=True),
        sample(r.normal(size=(1, 1, 2, 1, 3)), r.uniform(-1.2, 1.2, (1, 1, 1, 2, 3)), padding_mode="border"),
    ]


@derived(samples=_grid_samples)
def grid_sample(
    x: Array, grid: Array, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Array:
    """Images read at the places of a grid, differentiable by the images and by the grid.

    Args:
        x: (batch, channels, height, width), or (batch, channels, depth, height, width).
        grid: (batch, height', width', 2), or (batch, depth', height', width', 3): for each element of the result a place
            in x, horizontal coordinate first, from -1 (left, top, front) to 1.
        mode: "bilinear" (in volumes trilinear), "nearest" (no gradient by the grid; halves go to the even element), or
            "bicubic" (images only).
        padding_mode: what lies outside: "zeros", the nearest element of the "border", or a "reflection".
        align_corners: -1 and 1 are the middles of the first and the last element; else their outer edges.

    Returns:
        (batch, channels, height', width'), or with a depth.

    Raises:
        ValueError: shapes or modes that do not fit.

    >>> import numpy as np, tapenet as tn
    >>> image = tn.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    >>> tn.grid_sample(image, np.array([[[[0.0, 0.0], [-0.5, 0.5]]]]))
    Tensor([[[[4., 5.]]]])
    """
    x, grid = array_like(x), array_like(grid)
    _check(x, grid, len(x.shape) - 2, mode, padding_mode)
    read = grid_formula if mode == "bicubic" else grid_read
    found: Array = read(x, grid, mode, padding_mode, bool(align_corners))
    return found


def _check(x: Array, grid: Array, axes: int, mode: str, padding_mode: str) -> None:
    if axes not in (2, 3) or len(grid.shape) != axes + 2 or grid.shape[-1] != axes or grid.shape[0] != x.shape[0]:
        raise ValueError(
            f"grid_sample: x has shape {tuple(x.shape)}, the grid {tuple(grid.shape)}; they must be (batch, channels, height, "
            "width) and (batch, height', width', 2), or with a depth, and 3"
        )
    if 0 in x.shape[2:]:
        raise ValueError(f"grid_sample: x has shape {tuple(x.shape)}: there is nothing to read")
    if mode not in ("bilinear", "nearest", "bicubic") or (mode == "bicubic" and axes == 3):
        raise ValueError(
            f"grid_sample: mode={mode!r} for x of shape {tuple(x.shape)}: give 'bilinear', 'nearest', or for images 'bicubic'"
        )
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ValueError(f"grid_sample: padding_mode={padding_mode!r} is none of 'zeros', 'border' and 'reflection'")
    if x.dtype.kind != "f" or grid.dtype.kind != "f":
        raise ValueError(
            f"grid_sample: x is {x.dtype}, the grid {grid.dtype}; both must be floats: use .astype(np.float32)"
        )


@derived(
    samples=lambda r: [
        sample(r.normal(size=(1, 2, 3)), (1, 1, 2, 3)),
        sample(r.normal(size=(1, 3, 4)), (1, 2, 1, 2, 2), True),
    ]
)
def affine_grid(theta: Array, size: Sequence[int], align_corners: bool | None = None) -> Array:
    """The grid by which `grid_sample` shows an affine map of an image: each place of the result times theta.

    Args:
        theta: (batch, 2, 3) for images, (batch, 3, 4) for volumes: a matrix with a last column that is added.
        size: of the result, (batch, channels, height, width), or with a depth.
        align_corners: as in `grid_sample`.

    Returns:
        (batch, height, width, 2), or (batch, depth, height, width, 3).

    Raises:
        ValueError: theta and size do not fit each other.

    >>> import tapenet as tn
    >>> tn.affine_grid(tn.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2))
    Tensor([[[[-0.5,  0. ],
              [ 0.5,  0. ]]]])
    """
    theta = array_like(theta)
    batch, _, *lengths = size = tuple(map(int, size)) if len(tuple(size)) > 1 else (0, 0)
    axes = len(lengths)
    if axes not in (2, 3) or tuple(theta.shape) != (batch, axes, axes + 1) or theta.dtype.kind != "f":
        raise ValueError(
            f"affine_grid: theta is {theta.dtype} of shape {tuple(theta.shape)}, size is {size}; for images they are floats of "
            "shape (batch, 2, 3) and (batch, channels, height, width), for volumes (batch, 3, 4) and five lengths"
        )
    along = [_ends(n, bool(align_corners)) for n in lengths]
    places = np.stack([*np.meshgrid(*along, indexing="ij")[::-1], np.ones(lengths)], -1)
    flat = places.reshape(-1, axes + 1).astype(theta.dtype)
    return reshape(np.matmul(flat, np.swapaxes(theta, 1, 2)), (batch, *lengths, axes))  # type: ignore[no-any-return]


def _ends(n: int, align: bool) -> Array:
    """The coordinates of the elements of an axis, from -1 to 1."""
    if align:
        return np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
    return (2 * np.arange(n) + 1) / n - 1
