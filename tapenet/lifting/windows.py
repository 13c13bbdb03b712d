"""Which places of a frame's axis count in each turn of a loop, and what is known of them in every turn.

The beginning and end of such a window may be computed in the loop. Then two of them are compared by how they are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tapenet import ops
from tapenet.autodiff.node import Traced
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.index import Index, Whole, ends
from tapenet.lifting.number import Number, Unknown


class Window(NamedTuple):
    """The places of a frame's axis that count: from `start` to `stop` of so many; or those where a mask says so."""

    start: Whole
    stop: Whole
    length: int
    chosen: Tensor | None = None

    @property
    def extent(self) -> Whole:
        """How many count."""
        if self.chosen is None:
            return self.stop - self.start
        return Number(ops.count_nonzero(self.chosen))  # type: ignore[return-value]

    def mask(self) -> Tensor:
        """Which places count."""
        if self.chosen is not None:
            return self.chosen
        places = counting(self.length)
        within: list[Tensor] = []
        if not same(self.start, 0):
            within.append(ops.greater_equal(places, self.start))
        if not same(self.stop, self.length):
            within.append(ops.less(places, self.stop))
        return within[0] if len(within) == 1 else ops.logical_and(*within)

    def flipped(self) -> Window:
        """The window of the flipped frame."""
        chosen = None if self.chosen is None else ops.flip(self.chosen, 0)
        return Window(self.length - self.stop, self.length - self.start, self.length, chosen)

    def at_front(self) -> Window:
        """A window of the same extent that starts where its frame does."""
        self.unmasked()
        return Window(0, self.extent, ends(self.extent)[1])

    def unmasked(self) -> None:
        """Raise if a mask says what counts."""
        if self.chosen is not None:
            raise Unknown("what a mask chooses is used in a way that depends on how many there are")


def mask_of(windows: Sequence[Window | None]) -> Tensor:
    """Which places of a frame count."""
    total: Tensor | None = None
    for axis, window in enumerate(windows):
        if window is not None:
            mask = window.mask()
            behind = len(windows) - axis - 1
            if behind:
                mask = ops.reshape(mask, (window.length, *(1,) * behind))
            total = mask if total is None else ops.logical_and(total, mask)
    assert total is not None
    return total


def chosen(windows: Sequence[Window | None], value: object, other: object) -> Tensor:
    """The value at the places that count, and another elsewhere."""
    found: Tensor = ops.where(mask_of(windows), value, other)
    return found


def same(a: Whole, b: Whole) -> bool:
    """Whether two whole numbers are equal in every turn."""
    difference = a - b
    return isinstance(difference, int) and difference == 0


def as_long(a: Window, b: Window) -> bool:
    """Whether as many count of two windows in every turn."""
    return agree(a, b) or (a.chosen is None and b.chosen is None and same(a.extent, b.extent))


def agree(a: Window, b: Window) -> bool:
    """Whether two windows are one."""
    if a.chosen is not None or b.chosen is not None:
        return a.chosen is not None and b.chosen is not None and alike(a.chosen, b.chosen)
    return a.length == b.length and same(a.start, b.start) and same(a.stop, b.stop)


def alike(a: object, b: object, depth: int = 16) -> bool:
    """Whether two values are computed in the same way from the same ones."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a is b or alike(Traced(a, a._trace, a._data), Traced(b, b._trace, b._data), depth)
    if isinstance(a, Traced) and isinstance(b, Traced):
        one, other = a.node, b.node
        if one is None or other is None or one is other:
            return one is other and (one is not None or a.data is b.data or _constant(a.data, b.data))
        if not depth or one.call is None or other.call is None or one.op is not other.op or one.op.random:
            return False
        return all(alike(v, other.call[name], depth - 1) for name, v in one.call.items())
    if isinstance(a, (tuple, list)) and type(a) is type(b):
        return len(a) == len(b) and all(alike(v, w, depth) for v, w in zip(a, b, strict=True))
    if isinstance(a, slice) and isinstance(b, slice):
        return alike((a.start, a.stop, a.step), (b.start, b.stop, b.step), depth)
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a is b or _constant(a, b)
    return a is b or (type(a) is type(b) and isinstance(a, (bool, int, float, complex, str, np.generic)) and a == b)


def _constant(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are equal, and stay so."""
    return not (a.flags.writeable or b.flags.writeable) and a.dtype == b.dtype and np.array_equal(a, b)


def counting(n: int) -> Tensor:
    """0, 1, ... n - 1, the same at every replay."""
    numbers = np.arange(n)
    numbers.flags.writeable = False
    return Tensor._of(numbers)


def within(place: Whole | None, n: Whole, missing: Whole) -> Whole:
    """An end of a slice as Python counts it: from the end if it is negative, and not beyond."""
    if place is None:
        return missing
    place = place if isinstance(place, Index) else int(place)
    if known(place < 0):
        place = n + place
        return 0 if known(place < 0) else place
    return n if known(place > n) else place


def later(start: Whole, stop: Whole) -> Whole:
    """The end of a slice, which is empty where it would end before it starts."""
    return start if known(stop < start) else stop


def known(answer: object) -> bool:
    """An answer that is the same in every turn."""
    if not isinstance(answer, (bool, np.bool_)):
        raise Unknown("where a slice begins or ends depends on the turn in a way that is not followed")
    return bool(answer)
