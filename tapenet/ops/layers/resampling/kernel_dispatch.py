"""Reading on grids in machine code, where there is a kernel that pays: None where there is not."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np

from tapenet import kernels
from tapenet.typing import Array

#: Elements that are read from which a kernel is worth the time that it takes to compile once. Its code is for all sizes.
WORTH = 8192


def read(x: Array, grid: Array, mode: str, padding_mode: str, align_corners: bool) -> Array | None:
    """The image at the places of the grid."""
    kernel = _kernel(x, grid)
    if kernel is None:
        return None
    how = kernel.Reading(grid.shape[-1], mode == "nearest", padding_mode, align_corners)
    found: Array = kernel.sampled(np.ascontiguousarray(x), _flat(grid), how)
    return found.reshape(*x.shape[:2], *grid.shape[1:-1])


def gradients(
    g: Array, x: Array, grid: Array, mode: str, padding_mode: str, align_corners: bool, by_x: bool, by_grid: bool
) -> tuple[Array, Array] | None:
    """The gradients by the image and by the grid; 0 for one that is not wanted."""
    kernel = _kernel(x, grid, g)
    if kernel is None:
        return None
    how = kernel.Reading(grid.shape[-1], mode == "nearest", padding_mode, align_corners)
    g, x = (np.ascontiguousarray(a) for a in (g, x))
    dx, dgrid = kernel.gradients(g, x, _flat(grid), how, by_x, by_grid)
    none = np.zeros((), x.dtype)
    return none if dx is None else dx, none if dgrid is None else dgrid.reshape(grid.shape)


def _flat(grid: Array) -> Array:
    return np.ascontiguousarray(grid).reshape(grid.shape[0], -1, grid.shape[-1])


def _kernel(x: Array, grid: Array, g: Array | None = None) -> ModuleType | None:
    reads = math.prod(grid.shape[:-1]) * x.shape[1] << grid.shape[-1]
    if reads < WORTH or not kernels.fit(x, grid, g) or 2 * x[0].size >= 1 << 31:
        return None
    return kernels.use("grids")
