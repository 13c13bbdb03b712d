"""Which line of the user's code is running, and which function of NumPy's it called."""

from __future__ import annotations

import sys
from types import FrameType

from tapenet.ops.sites import user_frame, user_line, user_site, warn_once
from tapenet.ops.tracebacks import is_users

__all__ = ["composed", "library_caller", "user_frame", "user_line", "user_site", "warn_once"]

#: Where functions are composed of ops.
_OPS = __name__.partition(".")[0] + ".ops."
#: Modules there through which calls of an op alone go, too.
_CALLS = (_OPS + "op", _OPS + "protocol", _OPS + "tracebacks")
#: Libraries that know arrays and may be given a tensor.
_OF_ARRAYS = ("numpy.", "scipy.")


def composed() -> bool:
    """Whether what runs is part of a function that is composed of ops, as `np.nanmedian` is."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.startswith(_OPS) and name not in _CALLS:
            return True
        if is_users(frame):
            return False
        frame = frame.f_back
    return False


def library_caller() -> tuple[str, str]:
    """Module and qualified name of the function of NumPy or SciPy, written in Python, that the user called and that calls
    back into this package; empty where there is none."""
    frame: FrameType | None = sys._getframe(1)
    found = ("", "")
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(_OF_ARRAYS):
            found = module, frame.f_code.co_qualname
        elif is_users(frame):
            break
        frame = frame.f_back
    return found
