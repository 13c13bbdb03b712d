"""Locks that nobody holds in the child of a fork: the thread that did does not live there, and would never let go.

For what is held for long: while code is compiled, a step captured, a program run.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Any

_made: weakref.WeakSet[Any] = weakref.WeakSet()


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
        if not (hasattr(made, "_is_owned") and made._is_owned()):  # then by the thread that forked
            made._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_free)
