"""Which line of the user's code is running, and warnings about it."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from tapenet.ops.tracebacks import is_users


def user_frame() -> FrameType | None:
    """The innermost frame that is neither tapenet's own nor NumPy's or SciPy's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_users(frame):
        frame = frame.f_back
    return frame


def user_site() -> tuple[str, int]:
    """File and line of the user's code that is running."""
    frame = user_frame()
    return ("an unknown place", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def user_line() -> str:
    """The same as text, `file:line`."""
    file, line = user_site()
    return f"{file}:{line}"


#: What has been warned of, and where.
_warned: set[tuple[str, str, int]] = set()


def warn_once(about: str, text: str, site: tuple[str, int] | None = None) -> None:
    """Warn of something at a line of the user's code, the one that is running if no other is given, once for each."""
    file, line = user_site() if site is None else site
    key = about, file, line
    if key not in _warned:
        warnings.warn_explicit(text, RuntimeWarning, file, line)
        _warned.add(key)  # last: where warnings are errors it is one each time
