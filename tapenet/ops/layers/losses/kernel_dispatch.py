"""The cross entropy in machine code, where there is a kernel that pays: None where there is not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tapenet import kernels
from tapenet.typing import Array

#: Elements from which a kernel is quicker than NumPy's passes. Its code is for all lengths, and compiled once.
WORTH = 8192
#: Of positions that lie side by side in memory there are at least so many.
SHORT = 16


class Scores:
    """Scores (N, C, d1, ...) or (C,) as (before, C, after) in memory: in C order, or with the batch innermost."""

    def __init__(self, kernel: Any, x: Array, batch_last: bool) -> None:
        self.kernel = kernel
        self.shape = x.shape
        self.positions = x.shape[:1] + x.shape[2:] if x.ndim > 1 else ()
        self.batch_last = batch_last
        lengths = x.shape if x.ndim > 1 else (1, *x.shape)
        if batch_last:
            self.x = np.moveaxis(x, 0, -1).reshape(1, lengths[1], -1)
        else:
            self.x = x.reshape(*lengths[:2], math.prod(lengths[2:]))

    def by_position(self, a: Array) -> Array:
        """Numbers of shape (N, d1, ...), or one for all, as the kernels take them."""
        a = np.broadcast_to(a, self.positions)
        return np.ascontiguousarray(np.moveaxis(a, 0, -1) if self.batch_last else a).reshape(-1)

    def kept(self, flat: Array) -> Array:
        """The inverse, with the axis of classes kept."""
        if not self.batch_last:
            return flat.reshape(*self.shape[:1], 1, *self.shape[2:]) if len(self.shape) > 1 else flat
        return np.moveaxis(flat.reshape(1, *self.shape[2:], self.shape[0]), -1, 0)

    def like(self, a: Array) -> Array:
        """An array of the shape of the scores as (before, C, after)."""
        return (np.moveaxis(a, 0, -1) if self.batch_last else a).reshape(self.x.shape)

    def measured(
        self, slope: float = 0.0, shift: float = 0.0, target: Array | None = None, weight: Array | None = None
    ) -> Any:
        """The largest score, Σ exp(x - it), and for q = weight · (slope · target + shift): Σ q · (x - it), and Σ q, or
        None if q is 0; all with the axis of classes kept."""
        found = self.kernel.measured(self.x, self._share(slope, shift, target, weight))
        return tuple(self.kept(a) for a in found) if slope or shift else (*map(self.kept, found[:2]), None, None)

    def gradient(
        self, centre: Array, factor: Array, each: Any, classes: Array | None, part: Array | None,
        slope: float = 0.0, shift: float = 0.0, target: Array | None = None, weight: Array | None = None,
    ) -> Any:  # fmt: skip
        """exp(x - centre) · factor - q · each, and less `part` at the classes, if there are any."""
        share = self._share(slope, shift, target, weight)
        if classes is not None and part is not None:
            classes, part = self.by_position(classes), self.by_position(part)
        each = None if share is None else self.by_position(each)
        centre, factor = (self.by_position(a.reshape(self.positions)) for a in (centre, factor))
        made = self.kernel.gradient(self.x, centre, factor, share, each, classes, part)
        if not self.batch_last:
            return made.reshape(self.shape)
        return np.moveaxis(made.reshape(*self.shape[1:], self.shape[0]), -1, 0)

    def _share(self, slope: float, shift: float, target: Array | None, weight: Array | None) -> Any:
        if not slope and not shift:
            return None
        return self.kernel.Share(None if target is None else self.like(target), weight, slope, shift)


def scores(x: Array, *others: Array | None) -> Scores | None:
    """Scores as the kernels take them, if there are any for these arrays."""
    if type(x) is not np.ndarray or x.size < WORTH or any(type(a) not in (np.ndarray, type(None)) for a in others):
        return None
    if not kernels.fit(x, *others):
        return None
    batch_last = not x.flags.c_contiguous
    if batch_last and not (x.ndim > 2 and np.moveaxis(x, 0, -1).flags.c_contiguous):
        return None
    positions = math.prod(x.shape[2:]) * (x.shape[0] if batch_last else 1)
    if x.ndim > 2 and positions < SHORT and not (positions == 1 and not batch_last):
        return None
    kernel = kernels.use("entropy")
    return None if kernel is None else Scores(kernel, x, batch_last)
