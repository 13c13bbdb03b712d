"""Checks of the arguments of loaders."""

from __future__ import annotations

import operator
import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from tapenet.typing import Array


def same_length(who: str, arrays: Sequence[ArrayLike]) -> tuple[Array, ...]:
    """The arguments as arrays, all with the same number of rows.

    Raises:
        TypeError: one is a masked array, whose mask would be lost.
        ValueError: their lengths differ, or one has no first axis.

    >>> same_length("batches()", [[1, 2], ["a", "b"]])
    (array([1, 2]), array(['a', 'b'], dtype='<U1'))
    """
    if "numpy.ma" in sys.modules and any(isinstance(array, np.ma.MaskedArray) for array in arrays):
        raise TypeError(
            f"{who} got a masked array, whose mask would be lost: give its .filled(value), or the mask beside it"
        )
    whole = tuple(np.asarray(array) for array in arrays)
    shapes = ", ".join(str(array.shape) for array in whole)
    if not all(array.ndim for array in whole):
        raise ValueError(
            f"{who} needs arrays with a first axis to cut, got shapes {shapes}; "
            "give a whole array of rows (one value for all is no data: use it inside the loop)"
        )
    if len({len(array) for array in whole}) > 1:
        raise ValueError(
            f"{who} needs arrays of one length, got shapes {shapes}; "
            "the first axis counts the samples and must agree: cut or transpose the odd one"
        )
    return whole


def checked_size(who: str, batch_size: int, samples: int | None) -> int:
    """`batch_size` as an integer of at least 1.

    Raises:
        TypeError: it is no integer.
        ValueError: it is less than 1.

    >>> checked_size("batches()", np.int8(3), 10)
    3
    """
    try:
        size = operator.index(batch_size)
    except TypeError:
        raise TypeError(
            f"{who} needs an integer batch_size, got {batch_size!r}; for a fraction of the data write "
            "int(fraction * len(array))"
        ) from None
    if size < 1:
        advice = "" if samples is None else f"; for all rows at once write batch_size={max(1, samples)}"
        raise ValueError(f"{who} needs a batch_size of at least 1, got {size}{advice}")
    return size


def nothing_left(who: str, samples: int, size: int) -> str:
    """The warning that `drop_last` drops everything."""
    return (
        f"{who} gives no batch at all: drop_last=True drops the only one, of {samples} rows, since it is not full. Leave "
        f"drop_last out, or give a batch_size of at most {samples}, not {size}"
    )


def fresh_seed() -> int:
    """The default seed, drawn from NumPy's global generator, so that `np.random.seed` repeats a whole run.

    >>> np.random.seed(0)
    >>> first = fresh_seed()
    >>> np.random.seed(0)
    >>> fresh_seed() == first
    True
    """
    return int(np.random.randint(2**63 - 1, dtype=np.int64))
