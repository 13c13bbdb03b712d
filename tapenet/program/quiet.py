"""NumPy's floating-point warnings off, as by `np.errstate(all="ignore")`, in a fifth of the time: a program may be a single
call that takes less than that does.

NumPy keeps the state in a context variable. What that holds inside of `np.errstate` is looked up once, here.
"""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context

import numpy as np


def _inside() -> Context:
    with np.errstate(all="ignore"):
        return copy_context()


_before, _now = copy_context(), _inside()
((_variable, QUIET),) = [(v, value) for v, value in _now.items() if _before.get(v) is not value]
assert isinstance(_variable, ContextVar)
#: What is there is `before = get()`; `put(QUIET)` turns warnings off, `put(before)` puts it back. No token is taken of the
#: variable, which an interrupt could lose: behind `before`, all can be in one `try`.
get, put = _variable.get, _variable.set
