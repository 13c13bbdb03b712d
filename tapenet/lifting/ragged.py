"""Parts of arrays whose lengths change from turn to turn of a loop that is recorded once: `a[:i]`, `a[i + 1:]`, `A[k:, k]`.

Such a part is held in a frame, an array of one shape for all turns, of which a window counts. What lies beyond it never has an
influence, whatever it is: it is replaced where numbers are taken together, and wherever a gradient could be made of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from tapenet import ops
from tapenet.autodiff.control.whiles import repeat
from tapenet.autodiff.tensor import Tensor
from tapenet.lifting.index import Index, Whole, is_int
from tapenet.lifting.number import Number, Unknown
from tapenet.lifting.windows import Window, agree, as_long, chosen, counting, known, later, same, within
from tapenet.ops.derived import array_like
from tapenet.ops.linalg.norms import vector_norm
from tapenet.ops.operators import Operand
from tapenet.program.low import is_inexact

if TYPE_CHECKING:
    from tapenet.ops.op import Op
    from tapenet.typing import Axis, DType, DTypeLike, Shape

#: What an op on parts takes.
Given: TypeAlias = "Ragged | Tensor | np.ndarray | np.generic | bool | int | float | complex"
#: What is at all places beyond the window, if it is one number and known.
Fill: TypeAlias = "bool | int | float | complex | np.generic | None"


#: What of a vector there is from a place of its frame on, as far as `PIECE` places go.
Piece: TypeAlias = "Callable[[Tensor], Ragged]"
PIECE = 16


class Ragged(Operand):
    """A part of changing lengths.

    Attributes:
        windows: what counts of each axis of the frame; None where all of it does.
        beyond: what is known to be at all other places.
        write: puts another frame in the place of this one: in the array that this is a view of, else here.
        pieces: of a vector that begins and ends at computed places, what gives the pieces of it as it is now.
    """

    __slots__ = ("_dtype", "_read", "beyond", "frame_shape", "pieces", "windows", "write")

    def __init__(
        self,
        frame: Tensor,
        windows: Sequence[Window | None],
        fill: Fill = None,
        read: Callable[[], Tensor] | None = None,
        write: Callable[[Tensor], None] | None = None,
        pieces: Callable[[], Piece] | None = None,
    ) -> None:
        self.frame_shape = frame.shape
        self._dtype = frame.dtype
        self.windows = tuple(windows)
        self.beyond = fill
        self._read = read or (lambda: frame)
        self.write = write or self._store
        self.pieces = pieces

    # -- what it is ----------------------------------------------------------------------------------------------------

    @property
    def frame(self) -> Tensor:
        """The values, as they are now."""
        return self._read()

    @property
    def dtype(self) -> DType:
        """That of the values."""
        return self._dtype

    def _store(self, frame: Tensor) -> None:
        self._read = lambda: frame
        self.beyond = self.pieces = None

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.windows)

    @property
    def shape(self) -> tuple[Whole, ...]:  # type: ignore[override]
        """The lengths of the axes."""
        return tuple(n if w is None else w.extent for n, w in zip(self.frame_shape, self.windows, strict=True))

    @property
    def size(self) -> Whole:
        """The number of elements."""
        total: Whole = 1
        for n in self.shape:
            total = total * n
        return total

    def __len__(self) -> int:
        n = self.shape[0]
        return n if isinstance(n, int) else n.__index__()

    def __bool__(self) -> bool:
        raise Unknown("the truth of a part whose length changes from turn to turn is needed")

    def __iter__(self) -> object:
        raise Unknown("a part whose length changes from turn to turn is iterated over")

    def __repr__(self) -> str:
        return f"<{self.dtype} part of shape {self.shape}>"

    def filled(self, fill: Fill, axes: Sequence[int] | None = None) -> Tensor:
        """The frame with this number beyond; or beyond the windows of some axes alone."""
        windows = [w if axes is None or k in axes else None for k, w in enumerate(self.windows)]
        if not any(windows) or (self.beyond is not None and self.beyond == fill):
            return self.frame
        return chosen(windows, self.frame, self.dtype.type(fill))

    def moved(self, axis: int, window: Window) -> Ragged:
        """The same with another window of that axis, of the same extent."""
        old = self.windows[axis]
        assert old is not None
        if agree(old, window):
            return self
        places = ops.add(counting(window.length), old.start - window.start)
        frame = ops.take(self.frame, ops.clip(places, 0, old.length - 1), axis)
        return Ragged(frame, (*self.windows[:axis], window, *self.windows[axis + 1 :]))

    # -- parts of it ---------------------------------------------------------------------------------------------------

    def __getitem__(self, index: object) -> Ragged | Tensor:  # type: ignore[override]
        part, windows = self._part(index)
        frame = self.frame[part]
        if not any(windows):
            return frame

        def write(new: Tensor) -> None:
            self.write(ops.setitem(self.frame, new, part))

        return Ragged(frame, windows, None, lambda: self.frame[part], write)

    def __setitem__(self, index: object, value: Given) -> None:  # type: ignore[override]
        part, windows = self._part(index)
        frame = self.frame
        self.write(ops.setitem(frame, merged(frame[part], windows, value), part))

    def _part(self, index: object) -> tuple[tuple[object, ...], list[Window | None]]:
        """The index of the frame for one of what counts; and the windows of what it selects."""
        parts = list(index) if isinstance(index, tuple) else [index]
        taken = sum(p is not None and not isinstance(p, EllipsisType) for p in parts)
        if not any(isinstance(p, EllipsisType) for p in parts):
            parts.append(Ellipsis)
        at = next(k for k, p in enumerate(parts) if isinstance(p, EllipsisType))
        parts[at : at + 1] = [slice(None)] * (self.ndim - taken)
        places = iter(zip(self.frame_shape, self.windows, strict=True))
        found: list[object] = []
        windows: list[Window | None] = []
        for part in parts:
            if part is None:
                found.append(None)
                windows.append(None)
                continue
            length, window = next(places)
            if isinstance(part, slice):
                step = 1 if part.step is None else part.step
                if part.start is part.stop is part.step is None:
                    found.append(part)
                    windows.append(window)
                elif part.start is None and part.stop is None and is_int(step) and step == -1:
                    found.append(part)
                    windows.append(window and window.flipped())
                elif window is None and all(p is None or is_int(p) for p in (part.start, part.stop, step)):
                    found.append(part)
                    windows.append(None)
                elif is_int(step) and step == 1:
                    whole = window or Window(0, length, length)
                    whole.unmasked()
                    low, high = (within(p, whole.extent, d) for p, d in ((part.start, 0), (part.stop, whole.extent)))
                    high = later(low, high)
                    found.append(slice(None))
                    windows.append(Window(whole.start + low, whole.start + high, length))
                else:
                    raise Unknown("a part whose length changes from turn to turn is taken apart in steps")
            elif is_int(part) or isinstance(part, Index):
                place: Whole = part if isinstance(part, Index) else int(part)
                if window is not None:
                    window.unmasked()
                    extent, from_end = window.extent, known(place < 0)
                    if not known(-place <= extent if from_end else place < extent):
                        raise IndexError(f"index {place} is out of bounds for axis with size {extent}")
                    place = (window.stop if from_end else window.start) + place
                found.append(place.tensor if isinstance(place, Index) else place)
            else:
                raise Unknown("a part whose length changes from turn to turn is indexed by an array")
        return tuple(found), windows

    # -- ops -----------------------------------------------------------------------------------------------------------

    def __tapenet_op__(self, op: Op, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
        rule = _RULES.get(op.name)
        if rule is not None:
            return rule(op, *args, **kwargs)
        if op.broadcasts:
            return _elementwise(op, args, kwargs)
        raise _cannot(op.name)


def _augment(name: str) -> Callable[[Ragged, Given], Ragged]:
    def augmented(self: Ragged, other: Given) -> Ragged:
        result: Ragged = getattr(ops, name)(self, other)
        if not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise TypeError(f"{name} in place makes {result.dtype} of {self.dtype}, which the array cannot hold")
        self[...] = result
        return self

    return augmented


for _sign, _name in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "remainder",
    "pow": "power", "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift",
    "rshift": "right_shift",
}.items():  # fmt: skip
    setattr(Ragged, f"__i{_sign}__", _augment(_name))


def shape_of(value: object) -> Shape:
    """The shape of an operand's values; of a part that of its frame."""
    if isinstance(value, Ragged):
        return value.frame_shape
    found: Shape = value.shape if hasattr(value, "shape") else np.shape(value)  # type: ignore[call-overload]
    return found


def held(value: object) -> object:
    """A value as it is now, whatever becomes of a tensor's handle."""
    return Tensor._of(value._data, value._node, value._trace) if isinstance(value, Tensor) else value


def merged(old: Tensor, windows: Sequence[Window | None], value: Given) -> Tensor:
    """What is to be written over `old`: the value where the windows say so, else what was there."""
    if not any(windows):
        if isinstance(value, Ragged):
            raise Unknown("a part whose length changes from turn to turn is written to one whose length does not")
        return value  # type: ignore[return-value]
    if isinstance(value, (list, tuple)):
        value = array_like(value)
    if isinstance(value, Ragged):
        if value.ndim > len(windows):
            raise Unknown("what is written has more axes than the part that it is written to")
        for axis in range(-value.ndim, 0):
            source, target = value.windows[axis], windows[axis]
            if source is None:
                _check_single(value.frame_shape[axis], target)
            elif target is None or not as_long(source, target):
                raise Unknown(
                    "the length of what is written changes from turn to turn in another way than the part it goes to"
                )
            else:
                value = value.moved(value.ndim + axis, target)
        value = value.frame
    else:
        shape = shape_of(value)
        for axis in range(-min(len(shape), len(windows)), 0):
            _check_single(shape[axis], windows[axis])
    if isinstance(value, Operand):
        value = ops.astype(value.tensor if isinstance(value, Number) else value, old.dtype)
    else:
        value = np.asarray(value).astype(old.dtype)
    return chosen(windows, value, old)


def _check_single(n: int, target: Window | None) -> None:
    if target is not None and n != 1:
        raise Unknown("what is written has one length, and the part that it is written to changes from turn to turn")


def _cannot(name: str) -> Unknown:
    return Unknown(f"{name} is not recorded for a part whose length changes from turn to turn")


_APART = "the lengths of parts that are put together change from turn to turn in another way"


# -- elementwise -------------------------------------------------------------------------------------------------------


def _ndim(value: object) -> int:
    return len(shape_of(value))


def _window(value: object, axis: int) -> Window | None:
    """What counts of an axis from the end."""
    return value.windows[axis] if isinstance(value, Ragged) and -axis <= value.ndim else None


def _common(operands: Sequence[object]) -> tuple[list[object], list[Window | None]]:
    """Operands that broadcast, with windows at the same places; and these."""
    ndim = max(map(_ndim, operands))
    given = list(operands)
    windows: list[Window | None] = []
    for axis in range(-ndim, 0):
        found = [w for v in given if (w := _window(v, axis)) is not None]
        windows.append(None)
        if not found:
            continue
        first = found[0]
        others = {shape_of(v)[axis] for v in given if -axis <= _ndim(v) and _window(v, axis) is None}
        if others - {1} or not all(as_long(w, first) for w in found):
            raise Unknown(_APART)
        target = first if all(agree(w, first) for w in found) else first.at_front()
        windows[-1] = target
        for k, value in enumerate(given):
            if isinstance(value, Ragged) and _window(value, axis) is not None:
                given[k] = value.moved(value.ndim + axis, target)
    return given, windows


#: Ops by which what lies beyond, where there is no gradient, gets none and gives none to what is broadcast.
_LINEAR = frozenset({"add", "subtract", "negative", "positive", "where", "minimum", "maximum", "fmin", "fmax", "conj"})
#: The operand that must not be 0, of ops that divide.
_DIVIDES = {"divide": 1, "floor_divide": 1, "remainder": 1, "fmod": 1, "divmod": 1, "reciprocal": 0, "log": 0}


def _elementwise(op: Op, args: tuple[object, ...], kwargs: dict[str, object]) -> object:
    """Each element by itself. What lies beyond is kept from becoming a gradient of what is broadcast."""
    if any(isinstance(v, Ragged) for v in kwargs.values()) or kwargs.get("out") is not None:
        raise _cannot(op.name)
    given, windows = _common(args)
    dtype = np.result_type(*(v.dtype for v in given if isinstance(v, (Ragged, Tensor, np.ndarray, np.generic))))
    values: list[object] = []
    fills: list[Fill] = []
    for k, value in enumerate(given):
        neutral = 1 if _DIVIDES.get(op.name) == k else 0
        # In a product each factor meets what the other has beyond; what it has there itself is enough.
        alone = op.name == "multiply" or (op.name == "divide" and k == 0)
        fill: Fill = None
        if isinstance(value, Ragged):
            covers = all(w is None or v is not None for v, w in zip(value.windows[::-1], windows[::-1], strict=False))
            covers &= not any(windows[: len(windows) - value.ndim])
            fill = value.beyond
            if op.name in _LINEAR or not (is_inexact(value.dtype) or neutral):
                value = value.frame
            elif covers or alone:
                if fill is None or (neutral and not fill):
                    fill = neutral
                value = value.filled(fill)
            else:
                value, fill = chosen(windows, value.frame, value.dtype.type(neutral)), neutral
            if not covers:
                fill = None
        elif isinstance(value, (bool, int, float, complex, np.generic)):
            fill = value
        elif isinstance(value, (Tensor, Number)) and is_inexact(value.dtype) and op.name not in _LINEAR and not alone:
            if isinstance(value, Number):
                value = ops.multiply(ops.ones((), dtype), value)
            if value._node is not None:
                value, fill = chosen(windows, value, value.dtype.type(neutral)), neutral
        values.append(value)
        fills.append(fill)
    result = op(*values, **kwargs)
    fill = _filled(op, values, fills) if op.outputs == 1 else None
    if isinstance(result, Tensor):
        return Ragged(result, windows, fill, pieces=_in_pieces(op, args, kwargs))
    return type(result)(Ragged(r, windows) for r in result)


def _in_pieces(op: Op, args: tuple[object, ...], kwargs: dict[str, object]) -> Callable[[], Piece] | None:
    """The pieces of a result, where there are those of all parts that it is made of."""
    if any(_ndim(v) and not (isinstance(v, Ragged) and v.pieces is not None) for v in args):
        return None
    given = [v.pieces() if isinstance(v, Ragged) and v.pieces is not None else held(v) for v in args]

    def piece(begin: Tensor) -> Ragged:
        found = _elementwise(op, tuple(v(begin) if callable(v) else v for v in given), kwargs)
        assert isinstance(found, Ragged)
        return found

    return lambda: piece


def _filled(op: Op, values: Sequence[object], fills: Sequence[Fill]) -> Fill:
    """What an op makes of what lies beyond, if that is known."""
    numbers: list[object] = []
    for value, fill in zip(values, fills, strict=True):
        if fill is None and value is not None:
            return None
        numbers.append(value.dtype.type(fill) if isinstance(value, Tensor) else fill)
    with np.errstate(all="ignore"):
        found = np.asarray(op.forward(*numbers))
    return found.item() if not found.ndim else None


# -- reductions --------------------------------------------------------------------------------------------------------


def _zero(dtype: DType) -> Fill:
    zero: Fill = dtype.type(0).item()
    return zero


def _lowest(dtype: DType) -> Fill:
    if dtype.kind == "b":
        return False
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _highest(dtype: DType) -> Fill:
    if dtype.kind == "b":
        return True
    return np.inf if dtype.kind == "f" else np.iinfo(dtype).max


_NEUTRAL: dict[str, Callable[[DType], Fill]] = {
    "sum": _zero,
    "prod": lambda dtype: dtype.type(1).item(),
    "max": _lowest,
    "min": _highest,
    "any": _zero,
    "all": lambda dtype: dtype.type(1).item(),
}


def _rest(a: Ragged, axes: tuple[int, ...], keepdims: bool) -> list[Window | None]:
    if keepdims:
        return [None if k in axes else w for k, w in enumerate(a.windows)]
    return [w for k, w in enumerate(a.windows) if k not in axes]


def _result(frame: Tensor, windows: Sequence[Window | None]) -> Ragged | Tensor:
    return Ragged(frame, windows) if any(windows) else frame


def _axes(a: Ragged, axis: Axis) -> tuple[int, ...]:
    return tuple(range(a.ndim)) if axis is None else normalize_axis_tuple(axis, a.ndim)


def _count(a: Ragged, axes: tuple[int, ...]) -> Whole:
    total: Whole = 1
    for axis in axes:
        total = total * a.shape[axis]
    return total


def _check_some(a: Ragged, axes: tuple[int, ...], name: str) -> None:
    """NumPy raises for the largest of none: then turns with none are looked at by themselves."""
    for axis in axes:
        window = a.windows[axis]
        if window is not None:
            window.unmasked()
        if window is not None and known(a.shape[axis] < 1):
            raise ValueError(f"zero-size array to reduction operation {name} which has no identity")


def _reduced(op: Op, a: Ragged, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: bool = False) -> object:
    axes = _axes(a, axis)
    if op.name in ("max", "min"):
        if a.dtype.kind == "c":
            raise _cannot(op.name)
        _check_some(a, axes, op.name)
    value = a.filled(_NEUTRAL[op.name](a.dtype), axes)
    options = {} if dtype is None else {"dtype": dtype}
    found = op(value, axes, keepdims=keepdims, **options)
    if op.name == "sum" and a.pieces is not None and not keepdims:
        return _sum_of_pieces(a, a.pieces(), found.dtype)
    return _result(found, _rest(a, axes, keepdims))


def _sum_of_pieces(a: Ragged, piece: Piece, dtype: DType) -> Tensor:
    """A sum over a few of many elements: it takes as long as there are elements to sum."""
    (window,) = a.windows
    assert window is not None
    begin, end = (p.tensor if isinstance(p, Index) else counting(p + 1)[p] for p in (window.start, window.stop))

    def step(carry: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        return [carry[0] + PIECE, carry[1] + ops.sum(piece(carry[0]), dtype=dtype)], []

    start = [begin, Tensor._of(np.zeros((), dtype))]
    return repeat(lambda carry: ops.less(carry[0], end), step, start, -(-window.length // PIECE))[0][1]


def _mean(op: Op, a: Ragged, axis: Axis = None, dtype: DTypeLike | None = None, *, keepdims: bool = False) -> object:
    axes = _axes(a, axis)
    if dtype is None and a.dtype.kind in "iub":
        dtype = np.dtype(np.float64)
    total = ops.sum(a, axes, dtype, keepdims=keepdims)
    return ops.divide(total, _number(_count(a, axes), total.dtype))


def _number(n: Whole, dtype: DType) -> object:
    """How many elements there are, to divide by."""
    if isinstance(n, (int, float)):
        return n
    return ops.astype(
        n.tensor if isinstance(n, Number) else n, np.finfo(dtype).dtype if is_inexact(dtype) else np.float64
    )


def _var(
    op: Op, a: Ragged, axis: Axis = None, dtype: DTypeLike | None = None, *, ddof: float = 0, keepdims: bool = False
) -> object:
    axes = _axes(a, axis)
    if dtype is not None:
        a = ops.astype(a, dtype)
    apart = ops.subtract(a, ops.mean(a, axes, keepdims=True))
    n = _count(a, axes)
    n = n - int(ddof) if int(ddof) == ddof else ops.subtract(n, ddof)
    if op.name == "std":  # a norm, whose derivative is 0 where it is 0
        return ops.divide(vector_norm(apart, axis=axes, keepdims=keepdims), ops.sqrt(_number(n, a.dtype)))
    squares = ops.multiply(apart, apart) if a.dtype.kind != "c" else ops.real(ops.multiply(apart, ops.conj(apart)))
    return ops.divide(ops.sum(squares, axes, keepdims=keepdims), _number(n, a.dtype))


def _place(op: Op, a: Ragged, axis: int | None = None, *, keepdims: bool = False) -> object:
    """Where the largest or smallest is."""
    if (axis is None and a.ndim > 1) or a.dtype.kind == "c":
        raise _cannot(op.name)
    at = normalize_axis_index(axis or 0, a.ndim)
    _check_some(a, (at,), op.name)
    found = op(a.filled((_lowest if op.name == "argmax" else _highest)(a.dtype)), at, keepdims=keepdims)
    window = a.windows[at]
    if window is not None and not same(window.start, 0):  # where all are the lowest, one in front of them was found
        found = ops.maximum(ops.subtract(found, window.start), 0)
    return _result(found, _rest(a, (at,), keepdims))


def _front(a: Ragged, axis: int) -> Ragged:
    """The same with a window along that axis which starts where the frame does."""
    window = a.windows[axis]
    if window is not None:
        window.unmasked()
    return a if window is None or same(window.start, 0) else a.moved(axis, window.at_front())


def _running(op: Op, a: Ragged, axis: int | None = None, dtype: DTypeLike | None = None) -> object:
    if axis is None and a.ndim > 1:
        raise _cannot(op.name)
    value = a.filled(_NEUTRAL["sum" if op.name == "cumsum" else "prod"](a.dtype))
    return Ragged(op(value, axis or 0, dtype), a.windows)


def _sorted(op: Op, a: Ragged, axis: int | None = -1, *args: object, **kwargs: object) -> object:
    if axis is None or a.dtype.kind == "c":
        raise _cannot(op.name)
    at = normalize_axis_index(axis, a.ndim)
    a = _front(a, at)
    last = np.nan if a.dtype.kind == "f" else _highest(a.dtype)  # as NumPy has it
    return Ragged(op(a.filled(last), at, *args, **kwargs), a.windows)


# -- products ----------------------------------------------------------------------------------------------------------


def _matmul(op: Op, x: Given, y: Given) -> object:
    """A product of vectors and matrices. One with a vector is a sum of products, which takes no copies of what counts."""
    if not 0 < _ndim(x) <= 2 or not 0 < _ndim(y) <= 2:
        raise _cannot(op.name)
    if _ndim(y) == 1:
        return ops.sum(ops.multiply(x, y), -1)
    if _ndim(x) == 1:
        return ops.sum(ops.multiply(x[:, None], y), 0)  # type: ignore[index]
    x, y = _paired(x, -1, y, -2)
    frames = (v.filled(_zero(v.dtype)) if isinstance(v, Ragged) else v for v in (x, y))
    return _result(op(*frames), [_window(x, -2), _window(y, -1)])


def _paired(x: Given, k: int, y: Given, j: int) -> tuple[Given, Given]:
    """Two operands with windows at the same places of an axis of each."""
    a, b = _window(x, k), _window(y, j)
    if isinstance(x, Ragged) and isinstance(y, Ragged) and a is not None and b is not None and as_long(a, b):
        target = a if agree(a, b) else a.at_front()
        return x.moved(x.ndim + k, target), y.moved(y.ndim + j, target)
    if a is not None or b is not None:
        raise Unknown(_APART)
    return x, y


def _vecdot(op: Op, x: Given, y: Given) -> object:
    return ops.sum(ops.multiply(ops.conj(x) if x.dtype.kind == "c" else x, y), -1)  # type: ignore[union-attr]


def _matvec(op: Op, x: Given, y: Given) -> object:
    return ops.matmul(x, y)


def _contract(op: Op, x: Given, y: Given, subscripts: str) -> object:
    """One step of `einsum`, as a sum of products."""
    given, out = subscripts.split("->")
    first, second = given.split(",")
    labels = out + "".join(sorted(set(first + second) - set(out)))
    spread: list[object] = []
    for value, own in ((x, first), (y, second)):
        order = [own.index(n) for n in labels if n in own]
        turned = ops.transpose(value, order) if order != sorted(order) else value
        spread.append(ops.getitem(turned, tuple(slice(None) if n in own else None for n in labels)))
    product = ops.multiply(*spread)
    summed = tuple(range(len(out), len(labels)))
    return ops.sum(product, summed) if summed else product


def _norm(op: Op, x: Ragged, *, axis: Axis = None, keepdims: bool = False, ord: float | None = 2) -> object:
    axes = _axes(x, axis)
    if ord is not None and not (isinstance(ord, (int, float)) and ord > 0):
        raise _cannot("linalg.norm")
    return _result(op(x.filled(_zero(x.dtype)), axis=axes, keepdims=keepdims, ord=ord), _rest(x, axes, keepdims))


# -- other shapes ------------------------------------------------------------------------------------------------------


def _view(
    a: Ragged, change: Callable[[Tensor], Tensor], back: Callable[[Tensor], Tensor], windows: Sequence[Window | None]
) -> Ragged:
    """Another view of the same array."""
    return Ragged(change(a.frame), windows, None, lambda: change(a.frame), lambda new: a.write(back(new)))


def _transposed(a: Ragged, axes: Sequence[int] | None) -> Ragged:
    order = normalize_axis_tuple(range(a.ndim)[::-1] if axes is None else axes, a.ndim)
    return _view(
        a,
        lambda t: ops.transpose(t, order),
        lambda t: ops.transpose(t, tuple(np.argsort(order).tolist())),
        [a.windows[k] for k in order],
    )


def _swapped(op: Op, a: Ragged, axis1: int, axis2: int) -> Ragged:
    order = list(range(a.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return _transposed(a, order)


def _flipped(op: Op, m: Ragged, axis: Axis = None) -> Ragged:
    axes = _axes(m, axis)
    windows = [w.flipped() if w is not None and k in axes else w for k, w in enumerate(m.windows)]
    return _view(m, lambda t: op(t, axes), lambda t: op(t, axes), windows)


def _expanded(op: Op, a: Ragged, axis: int) -> Ragged:
    at = normalize_axis_index(axis, a.ndim + 1)
    windows = [*a.windows[:at], None, *a.windows[at:]]
    return _view(a, lambda t: op(t, at), lambda t: ops.squeeze(t, at), windows)


def _reshaped(op: Op, a: Ragged, shape: int | Sequence[int], order: str = "C") -> Ragged:
    """A vector with further axes of length one."""
    wanted = shape if isinstance(shape, (tuple, list)) else (shape,)
    long = [k for k, n in enumerate(wanted) if not (is_int(n) and n == 1)]
    if a.ndim != 1 or len(long) != 1 or not (_is_rest(wanted[long[0]]) or same(wanted[long[0]], a.shape[0])):
        raise _cannot("reshape")
    at, (n,) = long[0], a.frame_shape
    whole = tuple(n if k == at else 1 for k in range(len(wanted)))
    windows = [a.windows[0] if k == at else None for k in range(len(wanted))]
    return _view(a, lambda t: op(t, whole), lambda t: op(t, (n,)), windows)


def _is_rest(n: object) -> bool:
    return is_int(n) and n == -1


def _each(op: Op, a: Ragged, *args: object, **kwargs: object) -> Ragged:
    """An op that does something with each element by itself."""
    value = a.filled(0) if is_inexact(a.dtype) and a.beyond is None else a.frame
    return Ragged(op(value, *args, **kwargs), a.windows)


def _alike(op: Op, a: Ragged, *args: object, **kwargs: object) -> Ragged:
    """Another of the same shape."""
    if kwargs.get("shape") is not None or any(isinstance(v, Ragged) for v in args):
        raise _cannot(op.name)
    return Ragged(op(Tensor._of(np.zeros(a.frame_shape, a.dtype)), *args, **kwargs), a.windows)


#: How ops are done that do not take each element by itself. All others are not recorded.
_RULES: dict[str, Callable[..., object]] = {
    **dict.fromkeys(_NEUTRAL, _reduced),
    "mean": _mean, "var": _var, "std": _var, "argmax": _place, "argmin": _place,
    "cumsum": _running, "cumprod": _running, "sort": _sorted,
    "matmul": _matmul, "vecdot": _vecdot, "matvec": _matvec, "contract": _contract, "vector_norm": _norm,
    "transpose": lambda op, a, axes=None: _transposed(a, axes), "swapaxes": _swapped, "flip": _flipped,
    "expand_dims": _expanded, "reshape": _reshaped,
    **dict.fromkeys(("copy", "astype", "real", "imag", "round", "nan_to_num"), _each),
    **dict.fromkeys(("zeros_like", "ones_like", "full_like", "empty_like"), _alike),
    "getitem": lambda op, a, index: a[index],
}  # fmt: skip
