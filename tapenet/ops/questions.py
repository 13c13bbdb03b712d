"""NumPy functions that ask about arrays: their dtypes, their memory, their text. The answers are plain values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tapenet.ops.registry import answer


def _dtype(value: Any) -> Any:
    """The dtype of a tensor; anything else as it is, since NumPy knows its dtype."""
    return value.dtype if hasattr(value, "numpy") else value


def _array(value: Any) -> Any:
    """The array of a tensor. It leaves the graph: NumPy is asked for its text, or its memory."""
    return value.numpy() if hasattr(value, "numpy") else value


answer(np.iscomplexobj, lambda x: x.dtype.kind == "c")
answer(np.isrealobj, lambda x: x.dtype.kind != "c")
answer(np.result_type, lambda *given: np.result_type(*map(_dtype, given)))
answer(np.can_cast, lambda from_, to, casting="safe": np.can_cast(_dtype(from_), to, casting))
answer(np.common_type, lambda *arrays: np.common_type(*(np.empty(0, _dtype(a)) for a in arrays)))
answer(np.min_scalar_type, lambda a: np.min_scalar_type(_array(a)))
answer(np.may_share_memory, lambda a, b, max_work=None: np.may_share_memory(_array(a), _array(b), max_work))
answer(np.shares_memory, lambda a, b, max_work=None: np.shares_memory(_array(a), _array(b), max_work))
answer(np.array2string, lambda a, *args, **kwargs: np.array2string(_array(a), *args, **kwargs))
answer(np.array_repr, lambda arr, *args, **kwargs: np.array_repr(_array(arr), *args, **kwargs))
answer(np.array_str, lambda a, *args, **kwargs: np.array_str(_array(a), *args, **kwargs))
