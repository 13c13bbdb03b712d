"""From samples to a batch: arrays stacked, whatever they are nested in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tapenet.typing import Array

#: What becomes of the leaves of samples: (leaves, where in a sample they are, how to name each sample) -> part of a batch.
Stack = Callable[[Sequence[object], str, Callable[[int], str]], object]


def collate(samples: Sequence[object], indices: Sequence[int] | None = None) -> Any:
    """One batch of samples, all of one structure.

    Arrays of one shape and dtype are stacked along a new first axis; numbers become an array (n,), Python's as
    NumPy takes them: int64, float64. Strings and bytes stay a list. Tuples, named tuples, lists and dicts are
    collated field by field. `indices` are the numbers that errors name the samples by; without them it is their
    place in the batch.

    Raises:
        ValueError: samples differ in structure, shape or dtype.
        TypeError: a sample holds something else.

    >>> collate([(np.zeros(2), 1, "a"), (np.ones(2), 2, "b")])
    (array([[0., 0.],
           [1., 1.]]), array([1, 2]), ['a', 'b'])
    >>> collate([{"x": np.zeros(2)}, {"x": np.zeros(3)}], [17, 4])
    Traceback (most recent call last):
    ValueError: cannot collate: ['x'] of sample 4 has shape (3,), of sample 17 (2,); make them equal ...
    """
    return _fields(samples, "", _namer(samples, indices), _stack)


class Padded(NamedTuple):
    """Sequences of different lengths in one array (n, longest, ...), and the length of each (n,)."""

    values: Array
    lengths: NDArray[np.int64]


class PadCollate:
    """Collation of sequences of different lengths: `DataLoader(..., collate=PadCollate())`.

    An array with at least one dimension, or a list of numbers, is a sequence along its first axis. Those of a batch are
    put into one array, filled up with `value`, and become `Padded(values, lengths)`. Everything else is collated as by
    `collate`.

    `value` is a number, or a dict from fields (positions in a tuple, keys of a dict) to numbers: then only these fields
    are padded, the rest must be of one shape. The length is the longest one's, rounded up to a multiple of `multiple_of`
    (so that a compiled step meets few shapes).

    Raises, when it is called, what `collate` raises.

    >>> pad = PadCollate()
    >>> values, lengths = pad([np.array([1, 2, 3]), np.array([4])])
    >>> values, lengths
    (array([[1, 2, 3],
           [4, 0, 0]]), array([3, 1]))
    >>> words, label = PadCollate({0: -1}, multiple_of=4)([([1, 2, 3], 0), ([4], 1)])
    >>> words.values, label
    (array([[ 1,  2,  3, -1],
           [ 4, -1, -1, -1]]), array([0, 1]))
    """

    def __init__(self, value: float | Mapping[object, float] = 0, *, multiple_of: int = 1) -> None:
        if multiple_of < 1:
            raise ValueError(f"PadCollate() needs a multiple_of of at least 1, got {multiple_of}")
        self.value, self.multiple_of = value, multiple_of

    def __call__(self, samples: Sequence[object], indices: Sequence[int] | None = None) -> Any:
        """The batch of some samples."""
        name = _namer(samples, indices)
        if not isinstance(self.value, Mapping):
            return _fields(samples, "", name, functools.partial(_pad, self.value, self.multiple_of))
        stacks = {
            f"[{field!r}]": functools.partial(_pad, value, self.multiple_of) for field, value in self.value.items()
        }
        return _fields(samples, "", name, _stack, stacks)


def _namer(samples: Sequence[object], indices: Sequence[int] | None) -> Callable[[int], str]:
    if not len(samples):
        raise ValueError("cannot collate no samples: a batch has at least one")
    return lambda place: f"sample {place if indices is None else indices[place]}"


def _fields(
    samples: Sequence[Any],
    where: str,
    name: Callable[[int], str],
    stack: Stack,
    stacks: Mapping[str, Stack] | None = None,
) -> Any:
    """Collate field by field down to the leaves; `stacks` has what is to be done otherwise with fields of the top."""
    if stacks is not None and where in stacks:
        return stacks[where](samples, where, name)
    first = samples[0]
    kind = type(first)
    if isinstance(first, np.ndarray) or not isinstance(first, (tuple, list, dict)):
        return stack(samples, where, name)
    for place, sample in enumerate(samples):
        if type(sample) is not kind:
            raise _differ(where, name, place, f"is a {type(sample).__name__}", f"a {kind.__name__}")
    if isinstance(first, dict):
        keys = list(first)
        for place, sample in enumerate(samples):
            if sample.keys() != first.keys():
                raise _differ(where, name, place, f"has keys {sorted(map(str, sample))}", f"{sorted(map(str, keys))}")
        return {
            key: _fields([sample[key] for sample in samples], f"{where}[{key!r}]", name, stack, stacks) for key in keys
        }
    if isinstance(first, list) and stack is not _stack and _is_numbers(first):
        return stack(samples, where, name)
    for place, sample in enumerate(samples):
        if len(sample) != len(first):
            raise _differ(where, name, place, f"has {len(sample)} fields", f"{len(first)}")
    fields = [
        _fields(column, f"{where}[{number}]", name, stack, stacks)
        for number, column in enumerate(zip(*samples, strict=True))
    ]
    if hasattr(kind, "_fields"):
        return kind(*fields)
    return fields if isinstance(first, list) else tuple(fields)


def _is_numbers(value: list[object]) -> bool:
    return all(isinstance(item, (int, float)) for item in value)


def _stack(leaves: Sequence[object], where: str, name: Callable[[int], str]) -> object:
    first = leaves[0]
    if isinstance(first, (str, bytes)):
        for place, leaf in enumerate(leaves):
            if not isinstance(leaf, (str, bytes)):
                raise _differ(where, name, place, f"is a {type(leaf).__name__}", f"a {type(first).__name__}")
        return list(leaves)
    if isinstance(first, (bool, int, float, complex)) and not isinstance(first, np.generic):
        for place, leaf in enumerate(leaves):
            if type(leaf) is not type(first):
                raise _differ(where, name, place, f"is a {type(leaf).__name__}", f"a {type(first).__name__}")
        numbers = np.array(leaves)
        if numbers.dtype.kind == "O":
            raise ValueError(f"cannot collate: {_of(where, name(0))} or a later one is an integer beyond 64 bits")
        return numbers
    arrays = [leaf if type(leaf) is np.ndarray else _as_array(leaf, where, name(i)) for i, leaf in enumerate(leaves)]
    shape, dtype = arrays[0].shape, arrays[0].dtype
    if dtype.kind == "O":
        raise _unknown(leaves[0], where, name(0))
    for place, array in enumerate(arrays):
        if array.shape != shape:
            advice = "make them equal in the data set or by map(), or give collate=PadCollate() to pad sequences"
            raise _differ(where, name, place, f"has shape {array.shape}", f"{shape}", advice)
        if array.dtype != dtype:
            raise _differ(where, name, place, f"has dtype {array.dtype}", f"{dtype}")
    return np.concatenate(arrays).reshape(-1, *shape) if shape and arrays[0].size else np.stack(arrays)


def _pad(value: float, multiple: int, leaves: Sequence[object], where: str, name: Callable[[int], str]) -> object:
    arrays = [np.asarray(leaf) for leaf in leaves]
    if arrays[0].ndim == 0 or arrays[0].dtype.kind in "SUO":
        return _stack(leaves, where, name)
    # An empty list has no dtype of its own.
    dtype, rest = next((array for array in arrays if array.size), arrays[0]).dtype, arrays[0].shape[1:]
    for place, array in enumerate(arrays):
        if array.ndim == 0 or array.shape[1:] != rest:
            advice = "only the first axis is padded: make the others equal in the data set or by map()"
            raise _differ(where, name, place, f"has shape {array.shape}", f"{arrays[0].shape}", advice)
        if array.dtype != dtype and array.size:
            raise _differ(where, name, place, f"has dtype {array.dtype}", f"{dtype}")
    lengths = np.array([len(array) for array in arrays])
    longest = -(-int(lengths.max()) // multiple) * multiple
    values = np.full((len(arrays), longest, *rest), value, dtype)
    for row, array in zip(values, arrays, strict=True):
        row[: len(array)] = array
    return Padded(values, lengths)


def _as_array(leaf: object, where: str, name: str) -> Array:
    """A leaf that is an array but for its type: a NumPy number, a row of a memory map, a tensor."""
    if isinstance(leaf, np.ma.MaskedArray):
        raise TypeError(
            f"cannot collate: {_of(where, name)} is a masked array, whose mask would be lost; call .filled(value)"
        )
    if isinstance(leaf, (np.generic, np.ndarray)) or hasattr(leaf, "__array__"):
        array = np.asarray(leaf)
        if array.dtype.kind != "O":
            return array
    raise _unknown(leaf, where, name)


def _unknown(leaf: object, where: str, name: str) -> TypeError:
    kind = "array of objects" if isinstance(leaf, np.ndarray) else type(leaf).__name__
    return TypeError(
        f"cannot collate: {_of(where, name)} is a {kind}; arrays, numbers, strings and tuples, lists and dicts "
        "of them are put together; for anything else give the loader a function: collate=f, where f(samples) makes a batch"
    )


def _of(where: str, name: str) -> str:
    return f"{where} of {name}" if where else name


def _differ(
    where: str, name: Callable[[int], str], place: int, here: str, there: str, advice: str = "make them alike by map()"
) -> ValueError:
    of = f"of {name(0)} " if where else f"{name(0)} "
    return ValueError(f"cannot collate: {_of(where, name(place))} {here}, {of}{there}; {advice}")
