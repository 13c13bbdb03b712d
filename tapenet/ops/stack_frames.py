"""Which line of the user's code is running, which function of NumPy's it called, and warnings about it."""

from __future__ import annotations

import functools
import opcode
import sys
import warnings
from types import FrameType, FunctionType

#: Packages whose lines are not the user's: this one, and NumPy, SciPy and functools, which call back into it.
_NOT_USERS = (__name__.partition(".")[0] + ".", "numpy.", "scipy.", "functools")


def is_users(frame: FrameType) -> bool:
    """Whether a frame is neither tapenet's own nor of NumPy, SciPy or functools."""
    return _is_users(frame.f_globals.get("__name__", ""))  # code that `exec` runs may have none


@functools.cache
def _is_users(module: str) -> bool:
    return bool(module) and not module.startswith(_NOT_USERS)


def user_frame(skipped: int = 0) -> FrameType | None:
    """The innermost frame that is neither tapenet's own nor of NumPy, SciPy or functools; of so many callers it is known."""
    frame: FrameType | None = sys._getframe(1 + skipped)
    while frame is not None and not _is_users(frame.f_globals.get("__name__", "")):  # a call less for each of many
        frame = frame.f_back
    return frame


def user_site(skipped: int = 0) -> tuple[str, int]:
    """File and line of the user's code that is running."""
    frame = user_frame(1 + skipped)
    return ("an unknown place", 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def user_line(skipped: int = 0) -> str:
    """The same as text, `file:line`."""
    file, line = user_site(1 + skipped)
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


#: Where functions are composed of ops.
_OPS = __name__.partition(".")[0] + ".ops."
#: Modules there through which calls of an op alone go, too.
_CALLS = tuple(_OPS + name for name in ("op", "operators", "protocol", "torch_calls", "tracebacks"))
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


def library_callers() -> list[tuple[str, str]]:
    """Module and qualified name of the functions of NumPy or SciPy, written in Python, between the user's code and this
    package: first what the user called."""
    frame: FrameType | None = sys._getframe(1)
    found: list[tuple[str, str]] = []
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith(_OF_ARRAYS):
            found.insert(0, (module, frame.f_code.co_qualname))
            found[:0] = _decorated(frame)
        elif is_users(frame):
            break
        frame = frame.f_back
    return found


def _decorated(frame: FrameType) -> list[tuple[str, str]]:
    """Of a wrapper that a decorator put around a function: module and qualified name of that function."""
    names = frame.f_code.co_freevars
    around = [value for name in names if isinstance(value := frame.f_locals.get(name), FunctionType)]
    return [(f.__module__, f.__qualname__) for f in around if f.__module__.startswith(_OF_ARRAYS)]


# -- what the code that asks does with the answer ----------------------------------------------------------------

_CACHE, _BINARY, _LOAD_ATTR, _STORE = (
    opcode.opmap[name] for name in ("CACHE", "BINARY_OP", "LOAD_ATTR", "STORE_SUBSCR")
)
#: What BINARY_OP has for `%` and `%=`, which format texts too, and from Python 3.14 on for `a[b]`.
_OTHERS = (6, 19, 26)
#: Instructions that put one plain value on the stack.
_LOADS = {opcode.opmap.get(name) for name in ("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_NAME",
                                              "LOAD_GLOBAL", "LOAD_DEREF")}  # fmt: skip


def assigns_item(frame: FrameType) -> bool:
    """Whether a frame is at an assignment `a[i] = value`."""
    return frame.f_code.co_code[frame.f_lasti] == _STORE


def calculates_with_it() -> bool:
    """Whether the attribute that the calling getter returns is used in a calculation."""
    frame = sys._getframe(2)
    code, at = frame.f_code.co_code, frame.f_lasti
    while code[at] == _CACHE:  # Python 3.12 is behind the instruction by then
        at -= 2
    if code[at] != _LOAD_ATTR:
        return False
    place = at + 2
    for _ in range(2):
        while place < len(code) and code[place] == _CACHE:
            place += 2
        if place >= len(code):
            return False
        if code[place] == _BINARY and code[place + 1] not in _OTHERS:
            return True
        if code[place] not in _LOADS:  # the other operand
            return False
        place += 2
    return False
