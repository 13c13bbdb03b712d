"""Tracebacks that show the user's lines and leave out those of this package.

A public call catches what is raised below it, leaves out the frames that are not the user's, and raises the same error on. That
costs a call nothing unless it fails. With the environment variable TAPENET_TRACEBACK=full all frames stay.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar, cast

from tapenet.ops.signatures import check_keywords, parameters
from tapenet.ops.stack_frames import is_users
from tapenet.ops.torch_names import Spelt, spelt

F = TypeVar("F", bound=Callable[..., object])
#: What our own code raises where it is at fault: then all frames are wanted.
_FAULTS = (AssertionError, AttributeError, NameError)


def hidden() -> bool:
    """Whether frames that are not the user's are left out."""
    return os.environ.get("TAPENET_TRACEBACK") != "full"


def hide(error: BaseException) -> None:
    """Leave the frames that are not the user's out of an error's traceback, and out of those of what caused it.

    To be called where the error was caught, before a `raise` without anything, which adds no frame of its own.
    """
    if not hidden():
        return
    frames = _frames(error)
    if frames and isinstance(error, _FAULTS) and not is_users(frames[-1].tb_frame):
        return
    at: BaseException | None = error
    seen = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        shown: TracebackType | None = None
        for entry in reversed(_frames(at)):
            if is_users(entry.tb_frame):
                shown = TracebackType(shown, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
        at.__traceback__ = shown
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)


def _frames(error: BaseException) -> list[TracebackType]:
    """The entries of a traceback, from the outside."""
    found = []
    trace = error.__traceback__
    while trace is not None:
        found.append(trace)
        trace = trace.tb_next
    return found


def boundary(function: F) -> F:
    """A function of ours that users call: its errors show their lines, and an unknown keyword is answered with the known ones.
    It costs a frame: what is called often has a `try` of its own."""

    @functools.wraps(function)
    def guarded(*args: object, **kwargs: object) -> object:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            found = _respelt(function, args, kwargs) if isinstance(error, TypeError) and kwargs else None
            if found is None:
                hide(error)
                raise
        return function(*found.args, **found.kwargs)

    return cast("F", guarded)


def _respelt(function: Callable[..., object], args: tuple[object, ...], kwargs: dict[str, object]) -> Spelt | None:
    """A call that failed in the function's own names, if it has some of PyTorch's.

    Raises:
        TypeError: it has a name that nobody knows.
    """
    known = parameters(function) or ()
    if any(p.kind is p.VAR_KEYWORD for p in known):
        return None
    found = spelt(function.__name__, {p.name: p.default for p in known}, args, kwargs)
    check_keywords(function.__name__, function, kwargs if found is None else (*found.kwargs, *found.around))
    return found
