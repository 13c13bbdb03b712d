"""How images are read at the places of a grid, and the op that does it linearly or at the nearest element."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Set

import numpy as np

from tapenet.ops.elementwise.elementary import multiply
from tapenet.ops.layers.resampling import kernel_dispatch
from tapenet.ops.layers.resampling.taps import cubic_weights
from tapenet.ops.op import derive, op
from tapenet.ops.registry import Sample, sample
from tapenet.typing import Array, Shape


def _axes(grid: Array, sizes: Shape) -> list[tuple[Array, int]]:
    """By axis of the image, which the grid counts from the last one: the coordinates, and the length."""
    return [(grid[..., len(sizes) - 1 - axis], n) for axis, n in enumerate(sizes)]


def _taps(reads: list[list[tuple[Array, Array]]], sizes: Shape) -> tuple[list[Array], list[Array]]:
    """Of all elements that are read, the place in the image, or the one behind the last if it is outside, where there is
    0; and the weight."""
    index, weights = [], []
    for taps in itertools.product(*reads):
        place: Array | int = 0
        for (at, _), n in zip(taps, sizes, strict=True):
            place = place * n + at
        inside = functools.reduce(
            np.logical_and, [side for (at, _), n in zip(taps, sizes, strict=True) for side in (at >= 0, at < n)]
        )
        index.append(np.where(inside, place, math.prod(sizes)))
        weights.append(functools.reduce(multiply, [w for _, w in taps]))
    return index, weights


def _reads(coordinate: Array, n: int, mode: str, padding_mode: str, align: bool) -> list[tuple[Array, Array]]:
    """Which elements of an axis a coordinate between -1 and 1 reads, and with which weights."""
    place = _place(coordinate, n, align)
    if mode == "bicubic":  # of which each element is brought inside by itself
        first = np.floor(place)
        weights = enumerate(cubic_weights(place - first), -1)
        return [(_whole(_inside(first + i, n, padding_mode, align), n), w) for i, w in weights]
    place = _inside(place, n, padding_mode, align)
    if mode == "nearest":
        return [(_whole(np.rint(place), n), np.ones_like(place))]
    first = np.floor(place)
    part = place - first
    whole = _whole(first, n)
    return [(whole, 1 - part), (whole + 1, part)]


def _place(coordinate: Array, n: int, align: bool) -> Array:
    """Where a coordinate lies, counted from the middle of the first element."""
    return (coordinate + 1) * ((n - 1) / 2) if align else ((coordinate + 1) * n - 1) * 0.5


def _mirrors(n: int, align: bool) -> tuple[float, float]:
    """Where the first mirror of "reflection" stands, and how far the other is from it."""
    return (0.0, n - 1) if align else (-0.5, n)


def _inside(place: Array, n: int, padding_mode: str, align: bool) -> Array:
    """A place outside of an axis of length n as that inside which stands for it."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        low, span = _mirrors(n, align)
        if not span:
            return place * 0
        turned = np.remainder(np.abs(place - low), 2 * span)
        place = np.where(turned > span, 2 * span - turned, turned) + low
    # Whoever is at the very end counts as outside, as in PyTorch: the gradient is 0.
    return np.where(place <= 0, 0.0, np.where(place >= n - 1, float(n - 1), place))


def _whole(place: Array, n: int) -> Array:
    """A whole number as an integer; what is far outside, or nan, comes nearer, but not inside."""
    near = np.where((place > -2) & (place < n + 1), place, -2.0)
    return near.astype(np.intp)


# -- the ops -----------------------------------------------------------------------------------------------------


@op(
    label=lambda mode: f"grid sample {mode}",
    x=derive,
    grid=derive,
    formula="Σ weight · x over the elements around each place",
    samples=lambda r: [
        *_samples(r),
        sample(r.normal(size=(1, 2, 2, 3)), r.uniform(-1.4, 1.4, (1, 1, 2, 2)), "bicubic", "border", True),
    ],
)
def grid_formula(
    x: Array, grid: Array, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False
) -> Array:
    """`tn.grid_sample`, element by element of those that each place reads. Arguments and result as there.

    >>> import numpy as np, tapenet as tn
    >>> image = tn.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    >>> tn.grid_formula(image, np.zeros((1, 1, 1, 2)), "nearest")
    Tensor([[[[1.]]]])
    """
    batch, *places, _ = grid.shape
    sizes, channels, count = x.shape[2:], x.shape[1], math.prod(places)
    reads = [_reads(along, n, mode, padding_mode, align_corners) for along, n in _axes(grid, sizes)]
    # Rows of channels, one for each place of all images, and behind each image one of zeros for what lies outside.
    rows = np.transpose(np.reshape(x, (batch, channels, math.prod(sizes))), (0, 2, 1))
    rows = np.concatenate([rows, np.zeros((batch, 1, channels), x.dtype)], 1)
    length = rows.shape[1]
    flat = np.reshape(rows, (batch * length, channels))
    first = np.arange(batch)[:, None] * length
    found: Array = np.zeros((), x.dtype)
    for index, weight in zip(*_taps(reads, sizes), strict=True):
        taken = np.take(flat, np.reshape(index, (batch, count)) + first, axis=0)
        found = found + taken * np.reshape(weight, (batch, count, 1)).astype(x.dtype)
    return np.reshape(np.transpose(found, (0, 2, 1)), (batch, channels, *places))


def _grid_read_joint(
    g: Array, wanted: Set[str], x: Array, grid: Array, mode: str, padding_mode: str, align_corners: bool
) -> dict[str, Array]:
    moves = mode != "nearest"
    by_x, by_grid = "x" in wanted, "grid" in wanted
    dx, dgrid = grid_read_gradients(g, x, grid, mode, padding_mode, align_corners, by_x, by_grid and moves)
    return {"x": dx, "grid": dgrid if moves else np.zeros_like(grid)}


_OPAQUE = "places are read by index"


def _samples(r: np.random.Generator) -> list[Sample]:
    image = r.normal(size=(1, 2, 2, 3))
    return [
        sample(image, r.uniform(-0.9, 0.9, (1, 2, 1, 2))),
        sample(image, r.uniform(-2.5, 2.5, (1, 2, 1, 2)), "bilinear", "reflection", True),
        sample(image, r.uniform(-0.9, 0.9, (1, 1, 2, 2)), "nearest", "border", True),
        sample(r.normal(size=(1, 1, 2, 1, 3)), r.uniform(-1.2, 1.2, (1, 1, 1, 2, 3)), padding_mode="border"),
    ]


def _gradient_samples(r: np.random.Generator) -> list[Sample]:
    return [
        sample(r.normal(size=call.args[0].shape[:2] + call.args[1].shape[1:-1]), *call.args) for call in _samples(r)[:2]
    ]


@op(
    label=lambda mode: f"grid sample {mode}",
    opaque=_OPAQUE,
    vmap={"x": 0, "grid": 0, "out": 0},
    reference=grid_formula,  # the kernels have no derivatives
    joint=_grid_read_joint,
    formula="Σ weight · x over the elements around each place",
    gradients="x: weight · g added at these; grid: Σ g · ∂weight · x",
    samples=_samples,
)
def grid_read(
    x: Array, grid: Array, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False
) -> Array:
    """`tn.grid_sample` for the modes "bilinear" and "nearest", in one pass.

    Args:
        x: (batch, channels, height, width), or with a depth.
        grid: (batch, height', width', 2), or with a depth, and 3.
        mode: "bilinear" or "nearest".
        padding_mode, align_corners: as in `grid_sample`.

    Returns:
        (batch, channels, height', width'), or with a depth.

    >>> import numpy as np, tapenet as tn
    >>> image = tn.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
    >>> tn.grid_read(image, np.array([[[[0.0, 0.0]]]]))
    Tensor([[[[4.]]]])
    """
    found = kernel_dispatch.read(x, grid, mode, padding_mode, align_corners)
    return grid_formula.forward(x, grid, mode, padding_mode, align_corners) if found is None else found


@op(
    label="grid sample gradients",
    opaque=_OPAQUE,
    nondiff=True,
    outputs=2,
    vmap={"y": 0, "x": 0, "grid": 0, "out": (0, 0)},
    samples=_gradient_samples,
)
def grid_read_gradients(
    y: Array,
    x: Array,
    grid: Array,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
    by_x: bool = True,
    by_grid: bool = True,
) -> tuple[Array, Array]:
    """The gradients of `grid_read` by x and by the grid; 0 for one that is not asked for. Has no derivative: that op
    has its second derivative from the ops it can be composed of.

    Args:
        y: the gradient by the result.
        x: (batch, channels, height, width), or with a depth.
        grid: (batch, height', width', 2), or with a depth, and 3.
        mode: "bilinear" or "nearest".
        padding_mode, align_corners: as in `grid_sample`.
        by_x, by_grid: which to compute.

    >>> import numpy as np, tapenet as tn
    >>> image, grid = np.array([[[[1.0, 3.0], [5.0, 7.0]]]]), np.zeros((1, 1, 1, 2))
    >>> tn.grid_read_gradients(np.ones((1, 1, 1, 1)), image, grid)[1]
    array([[[[2., 4.]]]])
    """
    found = kernel_dispatch.gradients(y, x, grid, mode, padding_mode, align_corners, by_x, by_grid)
    if found is not None:
        return found
    wanted = frozenset(n for n, asked in (("x", by_x), ("grid", by_grid)) if asked)
    by = grid_formula.eager_rules[""](y, wanted, x, grid, mode, padding_mode, align_corners)
    return by["x"] if by_x else np.zeros((), x.dtype), by["grid"] if by_grid else np.zeros((), grid.dtype)
