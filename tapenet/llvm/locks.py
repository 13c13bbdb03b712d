"""Locks that nobody holds in the child of a fork: the thread that did does not live there, and would never let go.

For what is held for long: while code is compiled, a step captured, a program run.
"""

from __future__ import annotations

import os
import threading
import weakref
from operator import methodcaller

_made: weakref.WeakSet[threading.Lock | threading.RLock] = weakref.WeakSet()
_reinitialise = methodcaller("_at_fork_reinit")
_is_owned = methodcaller("_is_owned")


def lock() -> threading.Lock:
    """A lock."""
    made = threading.Lock()
    _made.add(made)
    return made


def reentrant_lock() -> threading.RLock:
    """A lock that the thread that holds it may take again."""
    made = threading.RLock()
    _made.add(made)
    return made


def _free() -> None:
    for made in list(_made):
        if not (hasattr(made, "_is_owned") and _is_owned(made)):  # then by the thread that forked
            _reinitialise(made)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free)
