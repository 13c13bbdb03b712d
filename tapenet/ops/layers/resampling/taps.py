"""Where a resampled axis reads the original one, and with which weights: its taps.

An axis is resampled by a matrix with few elements in each row that are not 0. `Taps` holds these, and makes of them what
is fast: products of dense blocks along the diagonal.
"""

from __future__ import annotations

import functools

import numpy as np

from tapenet.typing import Array, DType

#: Rows of a block. Their taps lie close together, so that few columns of a block are 0 throughout.
_ROWS = 32
#: Sharpness of the cubic kernel: Keys 1981 has -0.5, which PyTorch takes for antialiasing, and -0.75 without.
_KEYS, _SHARP = -0.5, -0.75


class Taps:
    """A matrix of shape (out, length) by the elements of its rows: `index` and `weights`, both (taps, out)."""

    def __init__(self, index: Array, weights: Array, length: int) -> None:
        self.index = index
        self.weights = weights
        self.length = length
        self.out = index.shape[1]
        self._blocks: dict[DType, list[tuple[slice, slice, Array]]] = {}

    def __repr__(self) -> str:
        return f"<{self.length} → {self.out}, {len(self.index)} taps>"

    @functools.cached_property
    def transposed(self) -> Taps:
        """The taps of the transposed matrix."""
        rows = np.broadcast_to(np.arange(self.out), self.index.shape)
        columns, rows, weights = (a.T.reshape(-1) for a in (self.index, rows, self.weights))
        order = np.argsort(columns, kind="stable")
        columns, rows, weights = columns[order], rows[order], weights[order]
        counts = np.bincount(columns, minlength=self.length)
        place = np.arange(len(columns)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (int(counts.max(initial=1)), self.length)
        index, found = np.zeros(shape, np.intp), np.zeros(shape)
        index[place, columns] = rows
        found[place, columns] = weights
        made = Taps(index, found, self.out)
        made.__dict__["transposed"] = self
        return made

    @functools.cached_property
    def copies(self) -> bool:
        """Whether the result is made of elements as they are."""
        return len(self.index) == 1 and bool((self.weights == 1).all())

    def blocks(self, dtype: DType) -> list[tuple[slice, slice, Array]]:
        """Some rows at a time: which rows, which columns they need, and this part of the matrix."""
        found = self._blocks.get(dtype)
        if found is None:
            found = self._blocks[dtype] = list(map(functools.partial(self._block, dtype), range(0, self.out, _ROWS)))
        return found

    def _block(self, dtype: DType, first: int) -> tuple[slice, slice, Array]:
        rows = slice(first, min(first + _ROWS, self.out))
        index, weights = self.index[:, rows], self.weights[:, rows]
        used = index[weights != 0]
        begin, end = (int(used.min()), int(used.max()) + 1) if used.size else (0, 1)
        matrix = np.zeros((index.shape[1], end - begin))
        for i, w in zip(index, weights, strict=True):
            inside = np.flatnonzero(w)
            matrix[inside, i[inside] - begin] += w[inside]
        return rows, slice(begin, end), matrix.astype(dtype)


# -- the kinds of interpolation ----------------------------------------------------------------------------------


def step_of(length: int, out: int, align_corners: bool, scale: float | None) -> float:
    """How far apart, in elements of the axis, results are: by the given factor, else by the two lengths."""
    if align_corners:
        return (length - 1) / (out - 1) if out > 1 else 0.0
    return 1 / scale if scale else length / out


@functools.lru_cache(maxsize=512)
def nearest(length: int, out: int, exact: bool, scale: float | None) -> Taps:
    """The element where a result lies; `exact` counts from the middle of elements, else from their beginning."""
    places = (np.arange(out) + (0.5 if exact else 0.0)) * step_of(length, out, False, scale)
    # Rounded to float32 a place that is whole but for rounding is whole, which is what PyTorch sees too.
    index = np.minimum(np.floor(places.astype(np.float32)).astype(np.intp), length - 1)[None]
    return Taps(index, np.ones(index.shape), length)


@functools.lru_cache(maxsize=512)
def linear(length: int, out: int, align_corners: bool, scale: float | None) -> Taps:
    """Between the two elements beside a result, by the distances to them."""
    places = _places(length, out, align_corners, scale)
    if not align_corners:
        places = np.maximum(places, 0)
    first = np.minimum(np.floor(places).astype(np.intp), length - 1)
    part = np.clip(places - first, 0, 1)
    return Taps(np.stack([first, np.minimum(first + 1, length - 1)]), np.stack([1 - part, part]), length)


@functools.lru_cache(maxsize=512)
def cubic(length: int, out: int, align_corners: bool, scale: float | None) -> Taps:
    """By the cubic polynomial through the four elements around a result; beyond the ends there are more of the last."""
    places = _places(length, out, align_corners, scale)
    first = np.floor(places)
    index = first.astype(np.intp) + np.arange(-1, 3)[:, None]
    return Taps(np.clip(index, 0, length - 1), np.stack(cubic_weights(places - first)), length)


@functools.lru_cache(maxsize=512)
def antialiased(length: int, out: int, is_cubic: bool, align_corners: bool, scale: float | None) -> Taps:
    """Of a smaller result: the mean of all elements around it, weighed by the kernel stretched to the step."""
    step = step_of(length, out, align_corners, scale)
    stretch = max(step, 1.0)
    radius = (2 if is_cubic else 1) * stretch
    middle = step * (np.arange(out) + 0.5)
    begin = np.maximum((middle - radius + 0.5).astype(np.intp), 0)
    end = np.minimum((middle + radius + 0.5).astype(np.intp), length)
    index = begin + np.arange(max(1, int((end - begin).max())))[:, None]
    distance = (index - middle + 0.5) / stretch
    d = np.abs(distance)
    if is_cubic:
        weights = np.where(d <= 1, _near(d, _KEYS), np.where(d < 2, _far(d, _KEYS), 0.0))
    else:
        weights = np.maximum(1 - d, 0)
    weights = np.where(index < end, weights, 0.0)
    return Taps(np.minimum(index, length - 1), weights / weights.sum(0), length)


@functools.lru_cache(maxsize=512)
def areas(length: int, out: int) -> Taps:
    """The mean of the elements from ⌊i · length / out⌋ up to ⌈(i + 1) · length / out⌉."""
    begin, end = area_bounds(length, out)
    index = begin + np.arange(int((end - begin).max()))[:, None]
    weights = np.where(index < end, 1 / (end - begin), 0.0)
    return Taps(np.minimum(index, length - 1), weights, length)


def area_bounds(length: int, out: int) -> tuple[Array, Array]:
    """Where the parts begin and end into which adaptive pooling cuts an axis."""
    i = np.arange(out)
    return i * length // out, -(-(i + 1) * length // out)


def _places(length: int, out: int, align_corners: bool, scale: float | None) -> Array:
    """Where results lie on the axis, counted from the middle of the first element."""
    step = step_of(length, out, align_corners, scale)
    i = np.arange(out)
    return i * step if align_corners else (i + 0.5) * step - 0.5


def _near(d: Array, a: float) -> Array:
    """The weight of an element at a distance of 0 to 1, by the piecewise cubic kernel of Keys (1981), whose derivative at
    1 is a."""
    return ((a + 2) * d - (a + 3)) * d * d + 1


def _far(d: Array, a: float) -> Array:
    """That of an element at a distance of 1 to 2."""
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a


def cubic_weights(part: Array) -> list[Array]:
    """The weights of the four elements around a place, which lies `part` behind the second of them.

    >>> [w.tolist() for w in cubic_weights(np.array(0.5))]
    [-0.09375, 0.59375, 0.59375, -0.09375]
    """
    rest = 1 - part
    return [_far(part + 1, _SHARP), _near(part, _SHARP), _near(rest, _SHARP), _far(rest + 1, _SHARP)]
