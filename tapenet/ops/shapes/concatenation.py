"""Joining arrays along an axis, and cutting them.

Rules are stated: derived ones take 1.5 to 2.4 times as long.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tapenet.ops.derived import array_like, derived
from tapenet.ops.op import op
from tapenet.ops.registry import sample
from tapenet.typing import Array, Shape

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike, DTypeLike


def _one_array(shape: Shape | tuple[Shape, ...]) -> bool:
    """Whether what was joined was one array, as the sequence of its parts along the first axis."""
    return isinstance(shape[0], int)


def _concatenate_arrays(
    g: Array, arrays_shape: Shape | tuple[Shape, ...], axis: int | None
) -> Array | tuple[Array, ...]:
    one = _one_array(arrays_shape)
    shapes: tuple[Shape, ...] = (arrays_shape[1:],) * arrays_shape[0] if one else arrays_shape  # type: ignore[assignment,operator]
    lengths = [math.prod(s) if axis is None else s[axis] for s in shapes]
    ends = list(itertools.accumulate(lengths))
    lead = (slice(None),) * (0 if axis is None else axis % len(shapes[0]))
    parts = [g[(*lead, slice(end - length, end))] for end, length in zip(ends, lengths, strict=True)]
    if axis is None:
        parts = [np.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
    return np.stack(parts) if one else tuple(parts)


def _stack_arrays(g: Array, arrays_shape: Shape | tuple[Shape, ...], axis: int) -> Array | tuple[Array, ...]:
    parts = np.moveaxis(g, axis, 0)
    return parts if _one_array(arrays_shape) else tuple(parts)


def cast(name: str, arrays: Sequence[ArrayLike], dtype: DTypeLike | None, casting: str) -> list[Array]:
    """Arrays in one dtype (None: what they promote to), as `casting` allows.

    Raises:
        TypeError: it does not allow one of them.
    """
    parts = [array_like(a) for a in arrays]
    wanted = np.result_type(*[p.dtype for p in parts]) if dtype is None else np.dtype(dtype)
    for p in parts:
        if not np.can_cast(p.dtype, wanted, casting):  # type: ignore[arg-type]  # a str, which NumPy checks
            raise TypeError(f"{name}: {p.dtype} is not cast to {wanted} with casting={casting!r}: use .astype")
    return [np.astype(p, wanted, copy=False) for p in parts]


def _concatenate_cast(
    arrays: Sequence[Array], axis: int | None = 0, *, dtype: DTypeLike | None = None, casting: str = "same_kind"
) -> Array:
    return concatenate(cast("concatenate", arrays, dtype, casting), axis)


def _stack_cast(
    arrays: Sequence[Array], axis: int = 0, *, dtype: DTypeLike | None = None, casting: str = "same_kind"
) -> Array:
    return stack(cast("stack", arrays, dtype, casting), axis)


@op(
    sequences=("arrays",),
    numpy=(np.concatenate,),
    more=_concatenate_cast,
    arrays=_concatenate_arrays,
    gradients="arrays: the part of g that each became",
    samples=lambda r: [
        sample([r.normal(size=(2, 3)), r.normal(size=(1, 3))]),
        sample([r.normal(size=(2, 3)), r.normal(size=(2, 1)), r.normal(size=(2, 2))], -1),
        sample([r.normal(size=(2, 2)), r.normal(size=3)], None),
        sample(r.normal(size=(2, 3, 2)), 1),
        sample([r.normal(size=(0, 2)), r.normal(size=(1, 2))]),
        sample([r.normal(size=(0, 3, 3)), r.normal(size=(0, 1, 3))], 1),
        sample([r.normal(size=2), np.arange(2)], dtype="int32", casting="unsafe"),
    ],
    hint=lambda arrays, axis: (
        "All axes but the one joined along must have equal lengths: " + ", ".join(str(np.shape(a)) for a in arrays)
    ),
)
def concatenate(arrays: Sequence[Array], axis: int | None = 0) -> Array:
    """Arrays joined along an axis they share (None: flattened first).

    Options: `dtype=` of the result, and `casting=`, which says what may be cast to it ("same_kind").

    Raises:
        ValueError: the other axes differ in length.
        TypeError: a dtype that may not be cast.

    >>> import tapenet as tn
    >>> tn.concatenate([tn.tensor([1.0]), tn.tensor([2.0, 3.0])])
    Tensor([1., 2., 3.])
    """
    return np.concatenate(arrays, axis)


concat = concatenate


@op(
    sequences=("arrays",),
    numpy=np.stack,
    more=_stack_cast,
    arrays=_stack_arrays,
    gradients="arrays: the part of g that each became",
    samples=lambda r: [
        sample([r.normal(size=(2, 3)), r.normal(size=(2, 3))]),
        sample([r.normal(size=(2, 3)), r.normal(size=(2, 3)), r.normal(size=(2, 3))], -1),
        sample(r.normal(size=(2, 3)), 1),
    ],
    hint=lambda arrays, axis: "All arrays must have one shape: " + ", ".join(str(np.shape(a)) for a in arrays),
)
def stack(arrays: Sequence[Array], axis: int = 0) -> Array:
    """Arrays of one shape joined along a new axis.

    Options: `dtype=` of the result, and `casting=`, which says what may be cast to it ("same_kind").

    Raises:
        ValueError: the shapes differ.
        TypeError: a dtype that may not be cast.

    >>> import tapenet as tn
    >>> tn.stack([tn.tensor(1.0), tn.tensor(2.0)])
    Tensor([1., 2.])
    """
    return np.stack(arrays, axis)


@derived(
    numpy=np.split,
    replaces=True,
    samples=lambda r: [sample(r.normal(size=(4, 3)), 2), sample(r.normal(size=(2, 5)), [1, 3], 1)],
)
def split(ary: ArrayLike, indices_or_sections: Array, axis: int = 0) -> list[Array]:
    """Split into equal sections, or before the given indices, along an axis.

    Raises:
        ValueError: the axis does not divide into equal sections, or there is no such axis.

    >>> import tapenet as tn
    >>> tn.split(tn.tensor([1.0, 2.0, 3.0]), [1])
    [Tensor([1.]), Tensor([2., 3.])]
    """
    ary = array_like(ary)
    if not -ary.ndim <= axis < ary.ndim:
        raise np.exceptions.AxisError(f"split: axis {axis} is out of bounds for an array of shape {ary.shape}")
    length = ary.shape[axis]
    if not np.ndim(indices_or_sections):
        if indices_or_sections < 1 or length % indices_or_sections:
            raise ValueError(
                f"split: axis {axis} of shape {ary.shape} does not divide into {indices_or_sections} equal sections; give "
                "the indices to split before instead"
            )
        sections = int(indices_or_sections)
        ends = [length // sections * (i + 1) for i in range(sections)]
    else:
        ends = [*map(operator.index, indices_or_sections), length]
    return cut(ary, ends, axis)


def cut(ary: Array, ends: list[int], axis: int) -> list[Array]:
    """The parts of an array along an axis, by where each ends."""
    lead = (slice(None),) * (axis % ary.ndim)
    return [ary[(*lead, slice(start, end))] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
