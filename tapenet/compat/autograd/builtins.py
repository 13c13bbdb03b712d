"""`isinstance` and `type`, to which a tensor is an array. Containers are Python's own: they may hold tensors."""

from __future__ import annotations

import builtins

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.compat.autograd.values import Value

dict, list, tuple = builtins.dict, builtins.list, builtins.tuple


def isinstance(x: object, kinds: Value) -> bool:
    """Python's, but for tensors, which are taken for arrays.

    >>> import numpy as np, tapenet as tn
    >>> isinstance(tn.tensor([1.0]), np.ndarray), isinstance([], list)
    (True, True)
    """
    if not builtins.isinstance(x, Tensor):
        return builtins.isinstance(x, kinds)
    return builtins.isinstance(x, kinds) or builtins.isinstance(np.empty(0), kinds)


def type(x: object) -> Value:
    """Python's, but for tensors, which are taken for arrays.

    >>> import tapenet as tn
    >>> type(tn.tensor([1.0])), type(1)
    (<class 'numpy.ndarray'>, <class 'int'>)
    """
    return np.ndarray if builtins.isinstance(x, Tensor) else builtins.type(x)
