"""Subscripts in code that is recorded from its source: indices of loops, and slices that begin or end at them."""

from __future__ import annotations

import functools
import operator
import weakref
from collections.abc import Callable
from types import EllipsisType
from typing import NamedTuple

import numpy as np

from tapenet import ops
from tapenet.autodiff.aliasing import note
from tapenet.autodiff.control.body import Body
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.index import Index, Loop, Whole, ends, is_int
from tapenet.lifting.number import Number, Unknown
from tapenet.lifting.ragged import PIECE, Piece, Ragged, held, merged, shape_of
from tapenet.lifting.windows import Window, alike, counting, known, within
from tapenet.typing import Shape


class _Place(NamedTuple):
    """What an index names.

    Attributes:
        parts: it, of integers, slices and arrays.
        order: how the axes of what it selects are to be put in the order of the parts of the index; None if they are.
        windows: what counts of them.
        spread: whether an array of places stands for a slice, of which NumPy gives a view.
        added: the index that puts in new axes afterwards, if there are any.
    """

    parts: tuple[object, ...]
    order: tuple[int, ...] | None
    windows: list[Window | None]
    spread: bool
    added: tuple[slice | None, ...] | None

    def read(self, a: Tensor) -> Tensor:
        found = a[self.parts]
        if self.spread:
            note(a, found, self.parts)
        if self.order is not None:
            found = ops.transpose(found, self.order)
        return found if self.added is None else found[self.added]

    def write(self, a: Tensor, value: object) -> None:
        if self.added is not None and (count := len(shape_of(value))):
            value = ops.getitem(value, tuple(0 if p is None else p for p in self.added[-count:]))
        if self.order is not None:
            shape = shape_of(value)
            if shape:
                value = ops.reshape(value, (*(1,) * (len(self.order) - len(shape)), *shape))
                value = ops.transpose(value, tuple(np.argsort(self.order).tolist()))
        a[self.parts] = value


def getitem(a: object, index: object) -> object:
    """`a[index]`."""
    index = _joined(index)
    if isinstance(a, Tensor) and _chooses(index):
        return _Chosen(a, index).part()
    if not _is_moving(index) or not isinstance(a, (Tensor, np.ndarray)):
        return a[index]  # type: ignore[index]
    base = a if isinstance(a, Tensor) else Tensor._of(a)
    _note_table(base, index)
    place = _place(base.shape, index)
    found = place.read(base)
    if not any(place.windows):
        return found
    if isinstance(index, Ragged) and index.pieces is not None:
        return Ragged(found, place.windows, pieces=functools.partial(_chosen_pieces, base, index.pieces))
    if any(map(_is_array, index if isinstance(index, tuple) else (index,))):  # a copy
        return Ragged(found, place.windows)
    pieces = functools.partial(_pieces, base, place) if _is_computed(place) else None
    return Ragged(found, place.windows, None, lambda: place.read(base), lambda new: place.write(base, new), pieces)


def _note_table(a: Tensor, index: object) -> None:
    """Note that a loop looks up numbers, if an array that is there before is read at a place that its turn alone decides."""
    capture = capturing()
    if a._trace is not None and (capture is None or not capture.is_constant(a)):
        return
    parts = index if isinstance(index, tuple) else (index,)
    loops = {loop for part in parts if isinstance(part, Index) for loop in part.terms}
    if len(loops) == 1:
        loops.pop().looks_up = True


def _is_computed(place: _Place) -> bool:
    """Whether a slice of a vector begins or ends at a place of which nothing is known before the program runs."""
    if len(place.parts) != 1 or place.windows[0] is None or place.parts[0].step not in (None, 1):  # type: ignore[attr-defined]
        return False
    edges = [p for p in place.windows[0][:2] if isinstance(p, Index)]
    return any(not loop.splits for edge in edges for loop in edge.terms)


def _chosen_pieces(base: Tensor, places: Callable[[], Piece]) -> Piece:
    """What gives the pieces of `base[places]`."""
    source, given = held(base), places()

    def piece(begin: Tensor) -> Ragged:
        found = getitem(source, given(begin))
        assert isinstance(found, Ragged)
        return found

    return piece


def _pieces(base: Tensor, place: _Place) -> Piece:
    """What gives the pieces of a slice."""
    (part,), (window,) = place.parts, place.windows
    assert window is not None
    assert isinstance(part, slice)
    source = held(base)
    stop = window.stop.tensor if isinstance(window.stop, Index) else window.stop

    def piece(begin: Tensor) -> Ragged:
        places = ops.add(counting(PIECE), begin)
        frame = ops.take(source, ops.clip(ops.add(places, part.start or 0), 0, base.shape[0] - 1))
        end = _whole(ops.subtract(stop, begin), PIECE)
        assert end is not None
        return Ragged(frame, [Window(0, end, PIECE)])

    return piece


def setitem(*, value: object, a: object, index: object) -> None:
    """`a[index] = value`."""
    index = _joined(index)
    if isinstance(a, Tensor) and _chooses(index) and (isinstance(value, Ragged) or not shape_of(value)):
        _Chosen(a, index).write(value)
        return
    if not isinstance(a, Tensor) or not _is_moving(index):
        if isinstance(value, Ragged) and isinstance(a, Tensor):
            raise Unknown("a part whose length changes from turn to turn is written to one whose length does not")
        a[index] = value  # type: ignore[index]
        return
    place = _place(a.shape, index)
    if any(place.windows):
        value = merged(place.read(a), place.windows, value)  # type: ignore[arg-type]
    elif isinstance(value, Ragged):
        raise Unknown("a part whose length changes from turn to turn is written to one whose length does not")
    place.write(a, value)


_OPERATORS: dict[str, tuple[Callable[[object, object], object], Callable[[object, object], object]]] = {
    "+=": (operator.add, operator.iadd),
    "-=": (operator.sub, operator.isub),
    "*=": (operator.mul, operator.imul),
    "/=": (operator.truediv, operator.itruediv),
    "//=": (operator.floordiv, operator.ifloordiv),
    "%=": (operator.mod, operator.imod),
    "**=": (operator.pow, operator.ipow),
    "@=": (operator.matmul, operator.imatmul),
    "&=": (operator.and_, operator.iand),
    "|=": (operator.or_, operator.ior),
    "^=": (operator.xor, operator.ixor),
    "<<=": (operator.lshift, operator.ilshift),
    ">>=": (operator.rshift, operator.irshift),
}


def augmented(a: object, index: object, sign: str, value: Callable[[], object]) -> None:
    """`a[index] += value` and its kin."""
    plain, in_place = _OPERATORS[sign]
    if not isinstance(a, (Tensor, Ragged)):
        old = getitem(a, index)
        a[index] = in_place(old, value())  # type: ignore[index]
        return
    old = getitem(a, index)
    new = plain(old, value())
    if isinstance(old, (Tensor, Ragged)) and isinstance(new, (Tensor, Ragged)):
        _check_cast(old, new, sign)
    setitem(value=new, a=a, index=index)


def _check_cast(old: Tensor | Ragged, new: Tensor | Ragged, sign: str) -> None:
    """Raise where an array cannot hold what is computed in place; a number is assigned like any other."""
    if old.ndim and not np.can_cast(new.dtype, old.dtype, "same_kind"):
        raise TypeError(
            f"`{sign}` makes {new.dtype} of {old.dtype}, which the array cannot hold: make it of dtype {new.dtype}"
        )


# -- masks -------------------------------------------------------------------------------------------------------------


def _chooses(index: object) -> bool:
    """Whether an index is a mask that is computed in a loop or branch, so that only the program knows how many it chooses."""
    return (
        isinstance(index, Tensor)
        and index.dtype.kind == "b"
        and index._trace is not None
        and isinstance(capturing(), Body)
    )


class _Chosen:
    """What a mask over the first axes of an array chooses."""

    def __init__(self, a: Tensor, mask: object) -> None:
        assert isinstance(mask, Tensor)
        if mask.shape != a.shape[: mask.ndim]:
            raise IndexError(f"a mask of shape {mask.shape} for an array of shape {a.shape}")
        self.a = a
        self.mask = mask
        self.rest = a.shape[mask.ndim :]

    def part(self) -> Ragged:
        chosen = ops.reshape(self.mask, -1)
        frame = ops.reshape(ops.copy(self.a), (chosen.shape[0], *self.rest))
        return Ragged(frame, [Window(0, 0, chosen.shape[0], chosen), *(None,) * len(self.rest)])

    def write(self, value: object) -> None:
        part = self.part()
        new = merged(part.frame, part.windows, value)  # type: ignore[arg-type]
        self.a[...] = ops.reshape(new, self.a.shape)


# -- what an index names -----------------------------------------------------------------------------------------------


def _joined(index: object) -> object:
    """An index with an array for each list that holds numbers of the program, as in `a[[k, p]]`."""
    if isinstance(index, tuple):
        return tuple(map(_joined, index))
    if type(index) is not list or not any(isinstance(v, (Number, Tensor)) for v in index):
        return index
    return ops.stack(
        [v.tensor if isinstance(v, Number) else v if isinstance(v, Tensor) else np.asarray(v) for v in index]
    )


def _is_moving(index: object) -> bool:
    """Whether an index is another one in each turn."""
    if isinstance(index, tuple):
        return any(map(_is_moving, index))
    if isinstance(index, slice):
        return any(isinstance(p, (Number, Tensor)) for p in (index.start, index.stop, index.step))
    return isinstance(index, (Number, Ragged))


def _place(shape: Shape, index: object) -> _Place:
    parts = list(index) if isinstance(index, tuple) else [index]
    taken = sum(_axes(p) for p in parts)
    if not any(isinstance(p, EllipsisType) for p in parts):
        parts.append(Ellipsis)
    at = next(k for k, p in enumerate(parts) if isinstance(p, EllipsisType))
    if taken > len(shape):
        raise IndexError(f"too many indices for array: array is {len(shape)}-dimensional, but {taken} were indexed")
    parts[at : at + 1] = [slice(None)] * (len(shape) - taken)
    return _Reading(shape, parts).place()


def _axes(part: object) -> int:
    """How many axes of the array a part of an index takes."""
    if part is None or isinstance(part, EllipsisType):
        return 0
    return part.ndim if _is_mask(part) else 1  # type: ignore[attr-defined]


class _Reading:
    """The work of reading one index."""

    def __init__(self, shape: Shape, parts: list[object]) -> None:
        self.parts = parts
        self.lengths = iter(shape)
        self.index: list[object] = []
        self.windows: list[Window | None] = []
        #: Which parts are arrays of places, made of slices.
        self.spread: list[int] = []
        self.advanced: list[int] = []

    def place(self) -> _Place:
        arrays = [p for p in self.parts if _is_array(p)]
        for part in self.parts:
            if part is None:
                if arrays:
                    self.index.append(None)
                self.windows.append(None)
            elif _is_array(part):
                self._array(part)
            else:
                length = next(self.lengths)
                if isinstance(part, slice):
                    self._slice(part, length)
                else:
                    self._number(part, length)
        if arrays and self.spread:
            raise Unknown("an index holds an array beside a slice that begins at the index of a loop")
        order = None
        if self.spread:
            order = self._order()
            count = len(self.spread)
            for k, at in enumerate(self.spread):  # each along an axis of its own
                behind = count - k - 1
                if behind:
                    self.index[at] = ops.reshape(self.index[at], (-1, *(1,) * behind))
        added: list[slice | None] = [
            None if p is None else slice(None) for p in self.parts if p is None or isinstance(p, slice)
        ]
        new = not arrays and None in added
        return _Place(tuple(self.index), order, self.windows, bool(self.spread), tuple(added) if new else None)

    def _array(self, part: object) -> None:
        """An array of places, or a mask."""
        for _ in range(_axes(part)):
            next(self.lengths)
        self.advanced.append(len(self.index))
        if isinstance(part, Ragged):
            if part.ndim != 1 or part.dtype.kind not in "iu" or sum(map(_is_array, self.parts)) > 1:
                raise Unknown("an index of changing length is a mask, or has several axes")
            self.index.append(part.filled(0))
            self.windows.append(part.windows[0])
        else:
            self.index.append(part)
            if any(isinstance(p, slice) and _is_moving(p) for p in self.parts):
                raise Unknown("an index holds an array beside a slice that changes from turn to turn")

    def _number(self, part: object, length: int) -> None:
        if isinstance(part, Index):
            if part.low >= length or part.high < -length:
                raise IndexError(f"index {part.low} is out of bounds for axis with size {length}")
            if part.high < 0:
                part = part + length
            if isinstance(part, Index):
                self.advanced.append(len(self.index))
                part = _fitting(part.tensor, length)
        elif isinstance(part, (Number, Tensor)):
            self.advanced.append(len(self.index))
            part = part.tensor if isinstance(part, Number) else part
        self.index.append(part)

    def _slice(self, part: slice, length: int) -> None:
        if not _is_moving(part):
            self.index.append(part)
            self.windows.append(None)
            return
        step = 1 if part.step is None else part.step
        if not is_int(step):
            raise Unknown("the step of a slice changes from turn to turn")
        part = slice(_whole(part.start, length), _whole(part.stop, length), step)
        if step > 0:
            start = within(part.start, length, 0)
            stop = _after(start, within(part.stop, length, length), length)
        else:  # the same forwards
            start = 0 if part.stop is None else _behind(part.stop, length)
            stop = _after(start, length if part.start is None else _behind(part.start, length), length)
        extent = stop - start
        if isinstance(extent, int):
            self._moved(start if step > 0 else stop - 1, -(-extent // abs(step)), step, length)
        elif abs(step) == 1:
            low, high = ends(start)[0], ends(stop)[1]
            window = Window(start - low, stop - low, high - low)
            self.index.append(slice(low, high) if step > 0 else slice(high - 1, low - 1 if low else None, -1))
            self.windows.append(window if step > 0 else window.flipped())
        else:
            raise Unknown("a slice with a step has another length in each turn")

    def _moved(self, first: Whole, count: int, step: int, length: int) -> None:
        """So many places, that begin elsewhere in each turn."""
        self.windows.append(None)
        if isinstance(first, int) or not count:
            last = 0 if not count else first + step * (count - 1)
            first = 0 if not count else first
            assert isinstance(first, int)
            assert isinstance(last, int)
            end = last + (1 if step > 0 else -1)
            self.index.append(slice(first, first + 0 if not count else (None if end < 0 else end), step))
            return
        places = counting(count)
        self.spread.append(len(self.index))
        self.advanced.append(len(self.index))
        self.index.append(_fitting(ops.add(ops.multiply(places, step) if step != 1 else places, first), length))

    def _order(self) -> tuple[int, ...] | None:
        """How axes that NumPy puts elsewhere, or next to each other, come back to where the parts are."""
        first, last = self.advanced[0], self.advanced[-1]
        together = last - first + 1 == len(self.advanced)
        dims = [k for k, p in enumerate(self.index) if k in self.spread or isinstance(p, slice)]
        plain = [k for k in dims if k not in self.spread]
        before = [k for k in plain if k < first] if together else []
        laid = [*before, *self.spread, *(k for k in plain if k not in before)]
        order = tuple(laid.index(k) for k in dims)
        return None if order == tuple(range(len(order))) else order


def _after(start: Whole, stop: Whole, length: int) -> Whole:
    """The end of a slice, which is empty where it would end before it starts."""
    answer: object = stop < start
    if isinstance(answer, bool):
        return start if answer else stop
    last = _whole(ops.maximum(*(p.tensor if isinstance(p, Index) else p for p in (start, stop))), length)
    assert last is not None
    return last


def _whole(place: object, length: int) -> Whole | None:
    """What a slice begins or ends at. Of a number that the program computes nothing is known but that it is put within the
    array, as Python does; the same number is the same each time."""
    if isinstance(place, Index) or not isinstance(place, (Number, Tensor)):
        return place  # type: ignore[return-value]
    value = place if isinstance(place, Tensor) else place.tensor
    if value.ndim or value.dtype.kind not in "iu":
        raise TypeError("slice indices must be integers or None or have an __index__ method")
    places = ops.clip(ops.where(ops.less(value, 0), ops.add(value, length), value), 0, length)
    for other in _numbers:
        if other.turns == length + 1 and alike(other.counter, places):
            return other.index()
    loop = Loop(places, length + 1, splits=False)
    _numbers.add(loop)
    return loop.index()


#: The numbers that slices begin or end at which are still about.
_numbers: weakref.WeakSet[Loop] = weakref.WeakSet()


def _behind(place: Whole, length: int) -> Whole:
    """The end of what a slice backwards begins at, counted forwards."""
    place = place if isinstance(place, Index) else int(place)
    if known(place < 0):
        place = place + length
    if known(place < -1):
        return 0
    return length if known(place >= length) else place + 1


def _fitting(places: Tensor, length: int) -> Tensor:
    """Places as they are used while a loop is recorded, where their values may be of no turn that there is."""
    return Tensor._of(np.clip(places._data, -length, length - 1), None, places._trace)


def _is_mask(part: object) -> bool:
    return isinstance(part, (np.ndarray, Tensor, Ragged)) and part.dtype.kind == "b"


def _is_array(part: object) -> bool:
    if isinstance(part, (list, Ragged)):
        return True
    return isinstance(part, (np.ndarray, Tensor)) and (part.ndim > 0 or _is_mask(part))
