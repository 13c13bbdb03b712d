"""NumPy's floating-point warnings off, as by `np.errstate(all="ignore")`, in a fifth of the time: a program may be a single
call that takes less than that does.

NumPy keeps the state in a context variable. What that holds inside of `np.errstate` is looked up once, here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context, ContextVar, copy_context
from typing import Any

import numpy as np


def _inside() -> Context:
    with np.errstate(all="ignore"):
        return copy_context()


def switch(
    found: Sequence[tuple[ContextVar[Any], object]],
) -> tuple[object, Callable[[], Any], Callable[[Any], object]]:
    """What turns warnings off, what tells the state, and what sets it.

    Args:
        found: the variables that differ inside of `np.errstate`, with their values there. It is one, as NumPy is; else NumPy's
            own functions are taken, which are slower.
    """
    if len(found) == 1:
        ((variable, quiet),) = found
        return quiet, variable.get, variable.set
    return dict.fromkeys(np.geterr(), "ignore"), np.geterr, lambda state: np.seterr(**state)


_before, _now = copy_context(), _inside()
#: What is there is `before = get()`; `put(QUIET)` turns warnings off, `put(before)` puts it back. No token is taken of the
#: variable, which an interrupt could lose: behind `before`, all can be in one `try`.
QUIET, get, put = switch([(v, value) for v, value in _now.items() if _before.get(v) is not value])
