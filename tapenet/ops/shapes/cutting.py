"""Cutting arrays into several along an axis."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from tapenet.ops.derived import array_like, derived
from tapenet.ops.registry import sample
from tapenet.ops.shapes.concatenation import cut, split
from tapenet.typing import Array

if TYPE_CHECKING:
    from tapenet.typing import ArrayLike


@derived(
    numpy=np.array_split,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=(5, 2)), 3),
        sample(r.normal(size=(2, 3)), 4, -1),
        sample(r.normal(size=5), [1, 3]),
        sample(r.normal(size=(2, 4)), (1, -1), axis=1),
        sample(r.normal(size=(0, 2)), 2),
    ],
)
def array_split(ary: ArrayLike, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Split into sections as equal as can be, the longer ones first, or before the given indices, along an axis.

    Raises:
        ValueError: less than one section, or no such axis.

    >>> import tapenet as tn
    >>> tn.array_split(tn.tensor([1.0, 2.0, 3.0]), 2)
    [Tensor([1., 2.]), Tensor([3.])]
    """
    ary = array_like(ary)
    axis = normalize_axis_index(axis, ary.ndim)
    length = ary.shape[axis]
    if np.ndim(indices_or_sections):
        return cut(ary, [*map(operator.index, indices_or_sections), length], axis)
    sections = int(indices_or_sections)
    if sections < 1:
        raise ValueError(f"array_split: {sections} sections; give one or more")
    each, longer = divmod(length, sections)
    return cut(ary, [each * (i + 1) + min(i + 1, longer) for i in range(sections)], axis)


def _split_along(name: str, ary: ArrayLike, indices_or_sections: int | Sequence[int], axis: int) -> list[Array]:
    ary = array_like(ary)
    if ary.ndim <= axis:
        raise ValueError(
            f"{name}: an array of shape {ary.shape} has no axis {axis} to split along; use split with axis= of your own"
        )
    return split(ary, indices_or_sections, axis)


@derived(
    numpy=np.hsplit,
    replaces=True,
    samples=lambda r: [
        sample(r.normal(size=4), 2),
        sample(r.normal(size=(2, 3, 1)), [1]),
        sample(r.normal(size=3), []),
    ],
)
def hsplit(ary: ArrayLike, indices_or_sections: int | Sequence[int]) -> list[Array]:
    """`split` along the second axis, or the only one.

    Raises:
        ValueError: the axis does not divide into equal sections, or there is none.

    >>> import tapenet as tn
    >>> tn.hsplit(tn.tensor([[1.0, 2.0]]), 2)
    [Tensor([[1.]]), Tensor([[2.]])]
    """
    ary = array_like(ary)
    return _split_along("hsplit", ary, indices_or_sections, 1 if ary.ndim > 1 else 0)


@derived(
    numpy=np.vsplit,
    replaces=True,
    samples=lambda r: [sample(r.normal(size=(4, 2)), 2), sample(r.normal(size=(3, 2)), [1, 5])],
)
def vsplit(ary: ArrayLike, indices_or_sections: int | Sequence[int]) -> list[Array]:
    """`split` along the first of two or more axes.

    Raises:
        ValueError: the axis does not divide into equal sections, or there are fewer than two.

    >>> import tapenet as tn
    >>> tn.vsplit(tn.tensor([[1.0], [2.0]]), 2)
    [Tensor([[1.]]), Tensor([[2.]])]
    """
    ary = array_like(ary)
    if ary.ndim < 2:
        raise ValueError(f"vsplit: an array of shape {ary.shape} has no rows to split; use split")
    return _split_along("vsplit", ary, indices_or_sections, 0)


@derived(
    numpy=np.dsplit,
    replaces=True,
    samples=lambda r: [sample(r.normal(size=(1, 2, 4)), 2), sample(r.normal(size=(2, 1, 3)), [0, 2])],
)
def dsplit(ary: ArrayLike, indices_or_sections: int | Sequence[int]) -> list[Array]:
    """`split` along the third axis.

    Raises:
        ValueError: the axis does not divide into equal sections, or there is none.

    >>> import tapenet as tn
    >>> tn.dsplit(tn.tensor([[[1.0, 2.0]]]), 2)
    [Tensor([[[1.]]]), Tensor([[[2.]]])]
    """
    return _split_along("dsplit", ary, indices_or_sections, 2)


@derived(
    numpy=np.unstack,
    replaces=True,
    samples=lambda r: [sample(r.normal(size=(2, 3))), sample(r.normal(size=(3, 2)), axis=-1), sample(r.normal(size=2))],
)
def unstack(x: Array, *, axis: int = 0) -> tuple[Array, ...]:
    """The parts of an array along an axis, without that axis: what `stack` undoes.

    Raises:
        ValueError: an array without axes, or no such axis.

    >>> import tapenet as tn
    >>> tn.unstack(tn.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
    (Tensor([1., 3.]), Tensor([2., 4.]))
    """
    if not x.ndim:
        raise ValueError("unstack: an array without axes has no parts")
    lead: Any = (slice(None),) * normalize_axis_index(axis, x.ndim)
    return tuple(x[(*lead, i)] for i in range(x.shape[axis]))
