"""Joining by square brackets, as `np.r_` and `np.c_` do it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.derived import array_like
from tapenet.typing import Array


class Joiner:
    """What `np.r_` or `np.c_` is for arrays, for tensors: brackets join what stands in them.

    NumPy's own object says where every element goes, by joining the numbers of the elements; the elements follow.
    """

    def __init__(self, numpy: Any, doc: str) -> None:
        self._numpy = numpy
        self.__doc__ = doc

    def __getitem__(self, key: object) -> Array:
        parts: list[object] = list(key) if isinstance(key, tuple) else [key]
        values: list[Any] = []
        total = 0
        for i, part in enumerate(parts):
            if isinstance(part, str):  # a directive, such as "0,2" or "r"
                continue
            value = self._numpy[part].reshape(-1) if isinstance(part, slice) else part
            if not isinstance(value, (bool, int, float, complex)):
                value = array_like(value)
            count = int(np.size(value))
            values.append(value)
            parts[i] = np.arange(total, total + count).reshape(np.shape(value))
            total += count
        dtype = np.result_type(*(v if isinstance(v, (bool, int, float, complex)) else v.dtype for v in values))
        flat = np.concatenate(
            [np.reshape(np.asarray(v, dtype) if np.isscalar(v) else v.astype(dtype), -1) for v in values]
        )
        found: Array = flat[np.asarray(self._numpy[tuple(parts)])]
        return found


r_ = Joiner(
    np.r_,
    """Arrays, numbers and slices joined along the first axis, as `np.r_` joins arrays.

    `np.r_` itself makes an array of all that it is given, so that a tensor has to be joined by this one.

    >>> import tapenet as tn
    >>> tn.r_[tn.tensor([1.0, 2.0]), 0.0, 3:5]
    Tensor([1., 2., 0., 3., 4.])
    >>> tn.r_["0,2", tn.tensor([1.0, 2.0]), [3.0, 4.0]]
    Tensor([[1., 2.],
            [3., 4.]])
    """,
)
c_ = Joiner(
    np.c_,
    """Arrays joined along the last axis, vectors as columns, as `np.c_` joins arrays.

    >>> import tapenet as tn
    >>> tn.c_[tn.tensor([1.0, 2.0]), [3.0, 4.0]]
    Tensor([[1., 3.],
            [2., 4.]])
    """,
)
