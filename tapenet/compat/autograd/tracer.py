"""What `autograd.tracer` has for programs: values of what is traced."""

from __future__ import annotations

from typing import NoReturn

from tapenet.autodiff.tensor import Tensor
from tapenet.compat.autograd import extend
from tapenet.compat.autograd.extend import getval as getval
from tapenet.compat.autograd.extend import notrace_primitive as notrace_primitive
from tapenet.compat.autograd.extend import primitive as primitive


def isbox(x: object) -> bool:
    """Whether a value is traced: a tensor.

    >>> import tapenet as tn
    >>> isbox(tn.tensor(1.0)), isbox(1.0)
    (True, False)
    """
    return isinstance(x, Tensor)


def __getattr__(name: str) -> NoReturn:
    extend.__getattr__(name)
