"""NumPy for functions that are differentiated: its functions as they are, and those that NumPy does not pass on to tensors,
such as `array` and `full`, or not if these lie in lists, such as `sum`, as tapenet's where a tensor is given."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

import numpy

from tapenet import ops
from tapenet.compat.autograd.values import Value, holds_tensor, passed_on
from tapenet.names import OPS

if TYPE_CHECKING:
    from numpy import *  # noqa: F403  # what a type checker sees

#: The functions that tapenet has too. Ufuncs are passed on by NumPy.
_OURS = {
    name
    for names in OPS.values()
    for name in names.split()
    if hasattr(numpy, name) and not isinstance(getattr(numpy, name), numpy.ufunc)
}


class _Joining:
    """`np.r_` and `np.c_`, which join what stands in brackets."""

    def __init__(self, name: str):
        self.name = name

    def __getitem__(self, parts: object) -> object:
        return getattr(ops if holds_tensor(parts) else numpy, self.name)[parts]


def __getattr__(name: str) -> object:
    if name.startswith("__") and name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("random", "linalg", "fft"):
        return importlib.import_module(f"{__name__}.{name}")
    found = getattr(numpy, name)
    if name in ("r_", "c_"):
        found = _Joining(name)
    elif name in _OURS:
        found = passed_on(found, getattr(ops, name))
    globals()[name] = found
    return found


def make_diagonal(D: Value, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Value:
    """Diagonal matrices, in the last two axes, of the vectors of the last axis of D: of what `np.diagonal` gives.

    Raises:
        NotImplementedError: other axes than -1 and -2, or another diagonal than the first.

    >>> make_diagonal(numpy.array([1.0, 2.0]), axis1=-1, axis2=-2)
    array([[1., 0.],
           [0., 2.]])
    """
    if offset != 0 or {axis1, axis2} != {-1, -2}:
        raise NotImplementedError("make_diagonal: give axis1=-1, axis2=-2, and no offset")
    return D[..., None] * numpy.eye(numpy.shape(D)[-1])


def __dir__() -> list[str]:
    return dir(numpy)
