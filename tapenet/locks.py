"""Locks that nobody holds in the child of a fork: the thread that did does not live there, and would never let go.

So it is with Python's own locks of modules that another thread was importing, which Python leaves as they were.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
import weakref
from operator import methodcaller

_made: weakref.WeakSet[threading.RLock] = weakref.WeakSet()
_reinitialise = methodcaller("_at_fork_reinit")
_is_owned = methodcaller("_is_owned")


def lock() -> threading.RLock:
    """A lock. The thread that holds it may take it again, as a signal's handler does, and knows it for its own after a fork."""
    made = threading.RLock()
    _made.add(made)
    return made


def free(held: threading.Lock | threading.RLock) -> None:
    """In the child of a fork, have nobody hold a lock but the thread that forked."""
    if not (hasattr(held, "_is_owned") and _is_owned(held)):
        _reinitialise(held)


def _forked() -> None:
    for made in list(_made):
        free(made)
    _forget_half_modules()
    if sys.version_info < (3, 12):  # there each cached property has a lock, which is held while it is computed
        for module in [module for name, module in list(sys.modules.items()) if name.startswith("tapenet.")]:
            for value in list(vars(module).values()):
                for member in vars(value).values() if isinstance(value, type) else ():
                    if isinstance(member, functools.cached_property):
                        free(vars(member)["lock"])


def _forget_half_modules() -> None:
    """Modules that other threads were importing are imported anew by who needs them."""
    locks = vars(vars(importlib)["_bootstrap"]).get("_module_locks", {})
    for name, reference in list(locks.items()):
        held = reference()
        if held is not None and getattr(held, "owner", None) != threading.get_ident():
            locks.pop(name, None)
            if getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False):
                del sys.modules[name]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
