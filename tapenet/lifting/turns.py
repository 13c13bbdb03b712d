"""What a loop goes over: how many turns it has, and what each of them is given.

`range`, `enumerate` and `zip` of a lifted function are the classes here: of Python's own nobody can ask what is in them, and
`range` takes whole numbers of Python's alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.index import Index, Whole
from tapenet.lifting.number import Number, Unknown
from tapenet.typing import Array


class Turns(NamedTuple):
    """The turns of a loop.

    Attributes:
        number: how many there are; one that only the program knows, where `Index` does not say it.
        item: what turn number so and so is given.
    """

    number: Whole | Number
    item: Callable[[Whole], object]


class Range:
    """`range(start, stop, step)`, of bounds that need not be known."""

    def __init__(self, *bounds: object) -> None:
        known = [_bound(b) for b in bounds]
        self.start, self.stop = (0, known[0]) if len(known) == 1 else (known[0], known[1])
        step = known[2] if len(known) > 2 else 1
        if not isinstance(step, int):
            raise Unknown("the step of a range is not known")
        if step == 0:
            raise ValueError("range() arg 3 must not be zero")
        self.step = step

    def turns(self) -> Turns:
        start, stop, step = self.start, self.stop, self.step
        length: Whole | Number = stop - start if step > 0 else start - stop
        by = abs(step)
        count = length if by == 1 else (length + (by - 1)) // by
        if isinstance(count, int):
            count = max(count, 0)
        return Turns(count, lambda turn: start + turn * step)

    def plain(self) -> range | None:
        """Python's range, where the bounds are known."""
        if isinstance(self.start, int) and isinstance(self.stop, int):
            return range(self.start, self.stop, self.step)
        return None

    def __iter__(self) -> Iterator[int]:
        plain = self.plain()
        if plain is None:
            raise Unknown("the bounds of a range are not known")
        return iter(plain)

    def __len__(self) -> int:
        return len(list(self))


def range_(*bounds: object) -> range | Range:
    """`range(...)`; Python's own, where the bounds are whole numbers that are known."""
    made = Range(*bounds)
    plain = made.plain()
    return made if plain is None else plain


def _bound(value: object) -> Whole | Number:
    """A bound of a range: a whole number, known or not."""
    if isinstance(value, Number):
        return value
    if type(value) is Tensor and value.dtype.kind in "iu" and not value.shape:
        known = constant(value)
        return Number(value) if known is None else int(known)
    return operator.index(value)  # type: ignore[arg-type]


def constant(tensor: Tensor) -> Array | None:
    """The value of a tensor, where it is the same at each run."""
    capture = capturing()
    if capture is None:
        return tensor._data
    if tensor._trace is None and tensor._data.base is None and not tensor._data.flags.writeable:
        return tensor._data
    return None


class Enumerate:
    """`enumerate(iterable, start)`."""

    def __init__(self, iterable: Iterable[object], start: int = 0) -> None:
        self.iterable, self.start = iterable, start

    def turns(self) -> Turns | None:
        inner = turns_of(self.iterable)
        if inner is None:
            return None
        return Turns(inner.number, lambda turn: (turn + self.start, inner.item(turn)))

    def __iter__(self) -> Iterator[tuple[int, object]]:
        return enumerate(self.iterable, self.start)


class Zip:
    """`zip(*iterables)`."""

    def __init__(self, *iterables: Iterable[object], strict: bool = False) -> None:
        self.iterables, self.strict = iterables, strict

    def turns(self) -> Turns | None:
        inner = [turns_of(each) for each in self.iterables]
        counts = [each.number for each in inner if each is not None]
        if not inner or len(counts) < len(inner) or not all(isinstance(n, int) for n in counts):
            return None
        if self.strict and len(set(counts)) > 1:
            return None
        least = min(n for n in counts if isinstance(n, int))
        return Turns(least, lambda turn: tuple(each.item(turn) for each in inner if each is not None))

    def __iter__(self) -> Iterator[tuple[object, ...]]:
        return zip(*self.iterables, strict=self.strict)


class Reversed:
    """`reversed(sequence)`."""

    def __init__(self, sequence: object) -> None:
        self.sequence = sequence

    def turns(self) -> Turns | None:
        inner = turns_of(self.sequence)
        if inner is None or not isinstance(inner.number, (int, Index)):
            return None
        last = inner.number - 1
        return Turns(inner.number, lambda turn: inner.item(last - turn))

    def __iter__(self) -> Iterator[object]:
        return reversed(self.sequence)  # type: ignore[call-overload, no-any-return]


def turns_of(iterable: object) -> Turns | None:
    """The turns of a loop over something; None where it must be asked for one item after the other."""
    if isinstance(iterable, range):
        return _steps(len(iterable), iterable.start, iterable.step)
    if hasattr(iterable, "turns"):  # one of those here, or of NumPy's iterators
        found: Turns | None = iterable.turns()
        return found
    array = iterable
    if type(iterable) is Tensor and iterable.shape:
        known = constant(iterable)
        if known is None:
            return _rows(iterable)
        array = known
    if not isinstance(array, np.ndarray) or not array.ndim or array.dtype.kind not in "biufc":
        return None
    if array.ndim == 1 and array.dtype.kind in "iu" and len(array) > 1:
        steps = np.diff(array)
        if (steps == steps[0]).all():
            return _steps(len(array), int(array[0]), int(steps[0]))
    return _rows(Tensor._of(array))


def _steps(count: int, start: int, step: int) -> Turns:
    return Turns(count, lambda turn: start + turn * step)


def _rows(array: Tensor) -> Turns:
    return Turns(array.shape[0], lambda turn: array[turn.tensor if isinstance(turn, Index) else turn])
