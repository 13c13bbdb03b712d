"""The low types, float16 and bfloat16: for storage. What is computed with them is computed in float32 and rounded.

NumPy has float16; bfloat16 comes from the package `ml_dtypes`, which is loaded when somebody asks for it. NumPy does
not count bfloat16 as a float (its kind is "V"), and its functions do with it what its author registered: a sum of a
thousand ones is 256, and a Python number makes it float32. So ops never see it: `autodiff.observe.low_types` widens arrays
before an op runs, and rounds its results.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from tapenet.program.arguments import mapped
from tapenet.typing import Array

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

#: The characters that NumPy and ml_dtypes gave the two: float16 and bfloat16.
LOW = frozenset("eE")
#: The characters of all dtypes whose numbers have gradients: real floats and complex numbers.
INEXACT = frozenset("efdgFDGE")
WIDE = np.dtype(np.float32)

#: What is to be done when the first low array is met, if it has not been yet.
_waiting: list[Callable[[], None]] = []


def is_low(dtype: np.dtype) -> bool:
    """Whether a dtype is float16 or bfloat16."""
    return bool(dtype.char in LOW)


def is_float(dtype: np.dtype) -> bool:
    """Whether a dtype is a real floating one, bfloat16 among them."""
    return dtype.kind == "f" or is_low(dtype)


def is_inexact(dtype: np.dtype) -> bool:
    """Whether numbers of this dtype have gradients: real floats and complex numbers."""
    return dtype.char in INEXACT


def real_of(dtype: np.dtype) -> np.dtype:
    """The dtype of the real parts of numbers.

    >>> real_of(np.dtype(np.complex64))
    dtype('float32')
    """
    found: np.dtype = dtype.type(0).real.dtype
    return found


def any_low(arrays: Iterable[object]) -> bool:
    """Whether one of several arrays, or plain values among them, is low."""
    return any(isinstance(a, np.ndarray) and a.dtype.char in LOW for a in arrays)


def as_array(value: Any) -> Array:
    """What `numpy.asarray` makes of something; of PyTorch's tensors also those in bfloat16, which PyTorch converts to none.

    >>> as_array([1, 2])
    array([1, 2])
    """
    if not any(kind.__module__.partition(".")[0] == "torch" for kind in type(value).__mro__):
        return np.asarray(value)
    value = value.detach().cpu()
    if str(value.dtype) != "torch.bfloat16":
        return np.asarray(value)
    bits = np.asarray(value.view(sys.modules["torch"].int16))
    return bits.view(dtype_of("bfloat16"))


def dtype_of(given: DTypeLike) -> np.dtype:
    """A dtype, also by the name "bfloat16", which NumPy knows only once ml_dtypes is loaded.

    Raises:
        ImportError: bfloat16 without ml_dtypes.

    >>> dtype_of("float16")
    dtype('float16')
    """
    if isinstance(given, str) and given == "bfloat16":
        try:
            import ml_dtypes
        except ImportError:
            raise ImportError(
                "bfloat16 is a type of the package ml_dtypes, which is not installed: pip install 'tapenet[lowp]'. "
                "float16 needs no package"
            ) from None
        found: np.dtype = np.dtype(ml_dtypes.bfloat16)
        return found
    return np.dtype(given)


def when_first_met(action: Callable[[], None]) -> None:
    """Have something done when the first low array is met."""
    _waiting.append(action)


def meet(dtype: np.dtype) -> None:
    """Called where arrays of any dtype come in."""
    if _waiting and dtype.char in LOW:
        while _waiting:
            _waiting.pop()()


def widened(value: Any) -> Any:
    """A low array in float32, any other value as it is; of lists and tuples the parts.

    >>> widened(np.ones(1, np.float16)).dtype, widened([np.ones(1), None])
    (dtype('float32'), [array([1.]), None])
    """
    return mapped(_widened, value)


def _widened(value: object) -> object:
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype.char in LOW:
        return value.astype(WIDE)
    return value


def rounded(value: Any, dtype: np.dtype) -> Any:
    """A float32 array in a low type, any other value as it is. What is too large becomes infinite."""
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype == WIDE:
        with np.errstate(all="ignore"):
            return value.astype(dtype)
    return value
