"""Borders around an array, in all of NumPy's modes.

Rules are stated: derived ones take 1.1 to 8 times as long.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.indexing.adding import add_at
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.ops.shapes.concatenation import concatenate
from tapenet.ops.shapes.reshaping import along_axis
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike

Pairs: TypeAlias = tuple[tuple[int, int], ...]
#: What `pad_width=` takes.
Widths: TypeAlias = int | Sequence[int | Sequence[int]] | Mapping[int, int | Sequence[int]]


def _inside(shape: Sequence[int], pad_width: Pairs) -> tuple[slice, ...]:
    """Where an array of a shape is within its border."""
    return tuple(slice(b, b + n) for n, (b, _) in zip(shape, pad_width, strict=True))


def _surrounded(array: Array, pad_width: Pairs) -> Array:
    """An array inside a border that is yet to be written. It has the array's order of memory: np.pad makes the last axis
    innermost."""
    made = np.empty_like(array, shape=[b + n + a for n, (b, a) in zip(array.shape, pad_width, strict=True)])
    made[_inside(array.shape, pad_width)] = array
    return made


@op(
    lower=lambda array, pad_width, value=0: (  # filled at once; the forward writes each border by itself
        np.pad(array, pad_width, constant_values=value) if pad_width else np.copy(array)
    ),
    label=lambda pad_width: f"pad {_brief(pad_width)}",
    array=lambda g, array_shape, pad_width: g[_inside(array_shape, pad_width)],
    gradients="array: g without the border",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), ((1, 1), (0, 2))),
        sample(r.normal(size=(0, 2)), ((0, 1), (1, 0)), 0.5),
        sample(r.normal(size=()), ()),
    ],
)
def pad_constant(array: Array, pad_width: Pairs, value: Array | float = 0) -> Array:
    """The array with a border of one number: what `pad` is made of.

    Args:
        array: an array.
        pad_width: a pair (before, after) for each axis.
        value: a number.

    >>> import tapenet as tn
    >>> tn.pad_constant(tn.tensor([1.0]), ((1, 2),))
    Tensor([0., 1., 0., 0.])
    """
    made = _surrounded(array, pad_width)
    for axis, (n, (before, after)) in enumerate(zip(made.shape, pad_width, strict=True)):
        if before:
            made[along_axis(axis, slice(0, before))] = value
        if after:
            made[along_axis(axis, slice(n - after, n))] = value
    return made


def _brief(pairs: Pairs) -> str:
    """Widths in a word: one number if they are all the same."""
    widths = {w for pair in pairs for w in pair}
    return str(widths.pop()) if len(widths) == 1 else ", ".join(f"{b}+{e}" for b, e in pairs)


# -- one pair per axis -------------------------------------------------------------------------------------------


def _pairs(value: ArrayLike, ndim: int) -> Array:
    """An option given once, once per side, or once per side of each axis, as an array of shape (ndim, 2)."""
    value = array_like(value)
    if value.shape and np.size(value) == 2 and value.shape != (2, 1):
        value = np.reshape(value, 2)
    elif np.size(value) == 1:
        value = np.reshape(value, ())
    return np.broadcast_to(value, (ndim, 2))


def _counts(value: ArrayLike, ndim: int, name: str) -> Pairs:
    """Such an option whose values are counts."""
    given = np.asarray(value)
    if given.size and given.min() < 0:
        raise ValueError(f"pad: {name}={value!r} must not be negative")
    return tuple((round(before), round(after)) for before, after in _pairs(given, ndim).tolist())


def _widths(pad_width: Any, ndim: int) -> Pairs:
    if type(pad_width) is int and pad_width >= 0:
        return ((pad_width, pad_width),) * ndim
    if type(pad_width) in (tuple, list):  # as it is usually written
        if _is_pair(pad_width):
            return (tuple(pad_width),) * ndim
        if len(pad_width) == ndim and all(type(p) in (tuple, list) and _is_pair(p) for p in pad_width):
            return tuple(map(tuple, pad_width))
    if isinstance(pad_width, dict):
        by_axis = [(0, 0)] * ndim
        for axis, width in pad_width.items():
            by_axis[axis] = (width, width) if isinstance(width, int) else tuple(width)
        pad_width = by_axis
        if not ndim:
            return ()
    if np.asarray(pad_width).dtype.kind != "i":
        raise TypeError(f"pad: pad_width={pad_width!r} must be of integers")
    return _counts(pad_width, ndim, "pad_width")


def _is_pair(widths: Sequence[object]) -> bool:
    return len(widths) == 2 and all(type(w) is int and w >= 0 for w in widths)


# -- the modes, along one axis -----------------------------------------------------------------------------------


def _joined(a: Array, axis: int, widths: tuple[int, int], before: Array, after: Array) -> Array:
    """An array between two borders, each of which is repeated along the axis where its length is 1."""

    def filled(border: Array, width: int) -> list[Array]:
        shape = (*a.shape[:axis], width, *a.shape[axis + 1 :])
        return [np.broadcast_to(np.astype(border, a.dtype, copy=False), shape)] if width else []

    return concatenate([*filled(before, widths[0]), a, *filled(after, widths[1])], axis)


def _ends(a: Array, axis: int) -> tuple[Array, Array]:
    """The first and the last part along an axis, of length 1."""
    n = a.shape[axis]
    return a[along_axis(axis, slice(0, 1))], a[along_axis(axis, slice(n - 1, n))]


def _sources(n: int, widths: tuple[int, int], mode: str) -> tuple[Array | slice, Array | slice]:
    """Which of n elements stand in either border: a slice, of one element if that is repeated, where it goes around at most
    once; of others NumPy pads the places of the elements."""
    before, after = widths
    if mode == "edge" or n == 1:
        return slice(0, 1), slice(n - 1, n)
    if mode == "wrap" and max(widths) <= n:
        return slice(n - before, n), slice(0, after)
    edge = int(mode == "reflect")  # which is not repeated
    if mode != "wrap" and max(widths) + edge <= n:
        return slice(edge + before - 1, edge - 1 if edge else None, -1), slice(
            n - edge - 1, n - edge - after - 1 if n > edge + after else None, -1
        )
    places = np.pad(np.arange(n), widths, mode)  # type: ignore[call-overload]
    return places[:before], places[len(places) - after :]


def _copied(a: Array, axis: int, widths: tuple[int, int], mode: str) -> tuple[Array, Array]:
    """Borders that repeat elements."""
    before, after = _sources(a.shape[axis], widths, mode)
    return a[along_axis(axis, before)], a[along_axis(axis, after)]


def _fold(a: Array, pad_width: Pairs, mode: str, first: int) -> Array:
    """The sums, by where each came from, of what is padded along the axes from `first` on."""
    lead, lengths = (slice(None),) * first, [n - b - e for n, (b, e) in zip(a.shape, pad_width, strict=True)]
    inside = _inside(lengths, pad_width)
    made = a[(*lead, *inside[first:])].copy("K")
    for axis in range(first, a.ndim):
        n, (before, after) = lengths[axis], pad_width[axis]
        if not (before or after):
            continue
        borders = slice(0, before), slice(before + n, None)
        for border, width, source in zip(borders, (before, after), _sources(n, (before, after), mode), strict=True):
            if width:
                part = a[(*lead, *inside[first:axis], border)]
                if any(map(any, pad_width[axis + 1 :])):
                    part = _fold(part, _without(pad_width, axis), mode, axis + 1)
                place = along_axis(axis, source)
                if isinstance(source, slice):
                    target = made[place]
                    target += part if target.shape == part.shape else part.sum(axis, keepdims=True)
                else:
                    add_at(made, place, part)
    return made


def _without(pad_width: Pairs, axis: int) -> Pairs:
    """The widths of a part that lies inside one of the borders along an axis."""
    return ((0, 0),) * (axis + 1) + pad_width[axis + 1 :]


def _pad_copies_lowered(array: Array, pad_width: Pairs, mode: str) -> Array:
    for axis, pair in enumerate(pad_width):
        if any(pair):
            array = _joined(array, axis, pair, *_copied(array, axis, pair, mode))
    return array


def _fold_copies_lowered(a: Array, pad_width: Pairs, mode: str) -> Array:
    for axis, (before, after) in enumerate(pad_width):
        n = a.shape[axis] - before - after
        if before or after:
            places = np.pad(np.arange(n), (before, after), mode)  # type: ignore[call-overload]
            made = np.zeros_like(a, shape=(*a.shape[:axis], n, *a.shape[axis + 1 :]))
            add_at(made, along_axis(axis, places), a)
            a = made
    return a


def _pad_copies_array(g: Array, pad_width: Pairs, mode: str) -> Array:
    return fold_copies(g, pad_width, mode)


@op(
    label=lambda pad_width, mode: f"pad {_brief(pad_width)}, {mode}",
    lower=_pad_copies_lowered,  # by joining: a program writes into no part of an array that it has just read
    array=_pad_copies_array,
    formula="array inside a border of copies of its elements",
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), ((1, 0), (2, 1)), "reflect"),
        sample(r.normal(size=(1, 2, 2)), ((2, 0), (0, 0), (1, 5)), "symmetric"),
        sample(r.normal(size=(2, 3)), ((2, 0), (4, 1)), "wrap"),
        sample(r.normal(size=(2, 3)), ((2, 1), (0, 3)), "edge"),
    ],
)
def pad_copies(array: Array, pad_width: Pairs, mode: str) -> Array:
    """The array with a border of its own elements: what `pad` is made of, where the mode says so.

    Args:
        array: an array, with elements along each axis that is padded.
        pad_width: a pair (before, after) for each axis.
        mode: "edge", "reflect", "symmetric" or "wrap".

    >>> import tapenet as tn
    >>> tn.pad_copies(tn.tensor([1.0, 2.0]), ((1, 2),), "edge")
    Tensor([1., 1., 2., 2., 2.])
    """
    made, inside = _surrounded(array, pad_width), _inside(array.shape, pad_width)
    for axis, (before, after) in enumerate(pad_width):
        if before or after:
            lead, rest = (slice(None),) * axis, inside[axis + 1 :]
            n = array.shape[axis]
            first, last = _copied(made[(*lead, inside[axis], *rest)], axis, (before, after), mode)
            made[(*lead, slice(0, before), *rest)] = first if before else 0
            made[(*lead, slice(before + n, None), *rest)] = last if after else 0
    return made


@op(
    label="fold",
    lower=_fold_copies_lowered,  # one instruction for each axis
    a=lambda g, pad_width, mode: pad_copies(g, pad_width, mode),
    formula="Σ a over the copies of each element",
    samples=lambda r: [
        sample(r.normal(size=(3, 6)), ((1, 0), (2, 1)), "reflect"),
        sample(r.normal(size=(3, 2, 8)), ((2, 0), (0, 0), (1, 5)), "symmetric"),
        sample(r.normal(size=(4, 8)), ((2, 0), (4, 1)), "wrap"),
        sample(r.normal(size=(5, 6)), ((2, 1), (0, 3)), "edge"),
    ],
)
def fold_copies(a: Array, pad_width: Pairs, mode: str) -> Array:
    """The sums of what `pad_copies` made of each element: its gradient. The arguments are those of `pad_copies`.

    >>> import tapenet as tn
    >>> tn.fold_copies(tn.tensor([1.0, 2.0, 3.0, 4.0]), ((1, 1),), "edge")
    Tensor([3., 7.])
    """
    return _fold(a, pad_width, mode, 0)


def _odd(a: Array, axis: int, widths: tuple[int, int], mode: str) -> Array:
    """Reflected at the edge's value too: 2 · edge − element. What is wider than the array takes several turns."""
    before, after = widths
    period = max(a.shape[axis] - (mode == "reflect"), 1)
    while before or after:
        turn = min(before, period), min(after, period)
        borders = zip(_ends(a, axis), _copied(a, axis, turn, mode), strict=True)
        a = _joined(a, axis, turn, *(2 * edge - border for edge, border in borders))
        before, after = before - turn[0], after - turn[1]
    return a


def _ramp(a: Array, axis: int, widths: tuple[int, int], ends: Array) -> Array:
    """Straight from an end value to the edge."""

    def side(width: int, end: Array, edge: Array) -> Array:
        return np.linspace(end, np.squeeze(edge, axis), width, endpoint=False, dtype=a.dtype, axis=axis)

    first, last = _ends(a, axis)
    left, right = side(widths[0], ends[0], first), side(widths[1], ends[1], last)
    return _joined(a, axis, widths, left, np.flip(right, axis))


_STATISTICS: dict[str, Callable[..., Array]] = {
    "maximum": np.max,
    "minimum": np.min,
    "mean": np.mean,
    "median": np.median,
}


def _statistic(a: Array, axis: int, widths: tuple[int, int], mode: str, lengths: tuple[int, int] | None) -> Array:
    """The extreme or average of the elements next to each side."""
    n = a.shape[axis]
    first, last = (n, n) if lengths is None else (min(lengths[0], n), min(lengths[1], n))
    if mode in ("maximum", "minimum") and not (first and last):
        raise ValueError("pad: stat_length of 0 leaves no element to take the extreme of")

    def side(chunk: Array) -> Array:
        found = _STATISTICS[mode](chunk, axis=axis, keepdims=True)
        return np.rint(found) if a.dtype.kind in "iu" else found

    left = side(a[along_axis(axis, slice(0, first))])
    right = left if first == last == n else side(a[along_axis(axis, slice(n - last, None))])
    return _joined(a, axis, widths, left, right)


def _by_function(a: Array, widths: Pairs, function: Callable[..., object], options: Mapping[str, ArrayLike]) -> Array:
    """Borders that a function writes into each vector along each axis."""
    a = pad_constant(a, widths)
    for axis, pair in enumerate(widths):
        rows = np.moveaxis(a, axis, -1)
        found = []
        for place in np.ndindex(rows.shape[:-1]):
            row = np.copy(rows[place])
            function(row, pair, axis, options)
            found.append(row)
        if found:
            a = np.moveaxis(np.reshape(np.stack(found), rows.shape), -1, axis)
    return a


# -- pad ---------------------------------------------------------------------------------------------------------

#: The modes whose borders are copies of elements.
_COPYING = frozenset({"edge", "reflect", "symmetric", "wrap"})
#: The option of each mode, if it has one.
_OPTIONS = {
    "constant": "constant_values",
    "edge": None,
    "empty": None,
    "linear_ramp": "end_values",
    **dict.fromkeys(_STATISTICS, "stat_length"),
    "reflect": "reflect_type",
    "symmetric": "reflect_type",
    "wrap": None,
}


@derived(
    numpy=np.pad,
    samples=lambda r: [
        sample(r.normal(size=(2, 3)), 1),
        sample(r.normal(size=(2, 1)), ((0, 1), (2, 0)), constant_values=0.5),
        sample(r.normal(size=(1, 2)), (1, 2), constant_values=((1, 2), (3, 4))),
        sample(r.normal(size=(0, 2)), ((1, 0), (0, 1))),
        sample(r.normal(size=(2, 2)), ((1, 2), (0, 1)), "edge"),
        sample(r.normal(size=(2, 2)), (1, 2), "linear_ramp", end_values=(0.5, -1)),
        sample(r.normal(size=(2, 3)), 1, "maximum"),
        sample(r.normal(size=4), (2, 1), "minimum", stat_length=(2, 3)),
        sample(r.normal(size=(2, 3)), ((0, 0), (1, 1)), "mean", stat_length=((1, 2), (2, 5))),
        sample(r.normal(size=(2, 3)), 1, "median"),
        sample(r.normal(size=(3, 2)), (4, 1), "reflect"),
        sample(r.normal(size=3), (1, 5), "reflect", reflect_type="odd"),
        sample(r.normal(size=(2, 2)), (3, 1), "symmetric"),
        sample(r.normal(size=(2, 1)), (1, 3), "symmetric", reflect_type="odd"),
        sample(r.normal(size=(2, 2)), (3, 1), "wrap"),
        sample(r.normal(size=(2, 0)), ((1, 1), (0, 0)), "wrap"),
        sample(r.normal(size=()), 2, "edge"),
    ],
)
def pad(array: ArrayLike, pad_width: Widths, mode: str = "constant", **options: ArrayLike) -> Array:
    """An array with a border, along one axis after the other.

    Args:
        array: an array.
        pad_width: how wide: n, (before, after), one such pair per axis, or a dict of numbers or pairs by axis.
        mode: what stands in the border:
            "constant": `constant_values`, 0 by default; numbers or tensors, given as widths are.
            "edge": the outermost elements.
            "linear_ramp": values that go straight from `end_values` (0) to the edge.
            "maximum", "minimum", "mean", "median": of the outermost `stat_length` elements along the axis, by default
            all. Of integers the average is rounded.
            "reflect", "symmetric": the elements in a mirror on the edge, or beside it; with `reflect_type="odd"` twice
            the edge less these.
            "wrap": the elements of the other end.
            "empty": nothing in particular, here zeros.
            a function: called as `function(vector, widths, axis, options)` for each vector along each axis, with a border
            of zeros, into which it writes; slow.
        **options: of the mode.

    Raises:
        ValueError: an unknown mode or option, a negative width, or no element to make a border of.
        TypeError: widths that are no integers.

    >>> import tapenet as tn
    >>> tn.pad(tn.tensor([1.0]), (1, 2))
    Tensor([0., 1., 0., 0.])
    >>> tn.pad(tn.tensor([1.0, 2.0, 3.0]), 2, "reflect")
    Tensor([3., 2., 1., 2., 3., 2., 1.])
    """
    a = array_like(array)
    widths = _widths(pad_width, a.ndim)
    if callable(mode):
        return _by_function(a, widths, mode, options)
    if mode not in _OPTIONS:
        raise ValueError(f"pad: mode={mode!r} is none of {', '.join(map(repr, sorted(_OPTIONS)))}, and no function")
    unknown = options.keys() - {_OPTIONS[mode]}
    if unknown:
        raise ValueError(
            f"pad: mode={mode!r} has no option {', '.join(sorted(unknown))}; "
            + (f"it has {_OPTIONS[mode]}" if _OPTIONS[mode] else "it has none")
        )
    if mode == "empty":
        return pad_constant(a, widths)
    if mode == "constant":
        return _constant(a, widths, options.get("constant_values", 0))
    for axis, (n, pair) in enumerate(zip(a.shape, widths, strict=True)):
        if not n and any(pair):
            raise ValueError(
                f"pad: axis {axis} of shape {a.shape} has no elements to make a border of: use mode='constant'"
            )
    if not any(map(any, widths)):
        return np.copy(a)
    kind = options.get("reflect_type", "even")
    if kind not in ("even", "odd"):
        raise ValueError(f"pad: reflect_type={kind!r} is neither 'even' nor 'odd'")
    if mode in _COPYING and kind == "even":
        return pad_copies(a, widths, mode)
    for axis, pair in enumerate(widths):
        if any(pair):
            a = _padded(a, axis, pair, mode, options)
    return a


def _constant(a: Array, widths: Pairs, values: ArrayLike) -> Array:
    if isinstance(values, (int, float, complex)):
        return pad_constant(a, widths, values)
    pairs = _pairs(values, a.ndim)
    if not any(map(any, widths)):
        return np.copy(a)
    for axis, pair in enumerate(widths):
        if any(pair):
            a = _joined(a, axis, pair, *pairs[axis])
    return a


def _padded(a: Array, axis: int, pair: tuple[int, int], mode: str, options: Mapping[str, ArrayLike]) -> Array:
    """One axis padded, in a mode that neither is constant nor copies."""
    if mode == "linear_ramp":
        return _ramp(a, axis, pair, _pairs(options.get("end_values", 0), a.ndim)[axis])
    if mode in _STATISTICS:
        lengths = options.get("stat_length")
        return _statistic(
            a, axis, pair, mode, None if lengths is None else _counts(lengths, a.ndim, "stat_length")[axis]
        )
    return _odd(a, axis, pair, mode)
