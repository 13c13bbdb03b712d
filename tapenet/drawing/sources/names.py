"""What the user calls things: the variables of the code that draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FrameType
from typing import Any

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.drawing.sources.build import Name
from tapenet.ops.stack_frames import user_frame

#: How many frames outwards, how many names in each, and how many elements of a list are looked at.
_FRAMES, _NAMES, _ELEMENTS = 8, 1000, 100


def variables() -> dict[Any, Name]:
    """The tensors and arrays that the user's code has names for, by node and by `id` of the array. The innermost frame
    comes first: a function's own names, then those of its caller, then those of its module."""
    found: dict[Any, Name] = {}
    scopes: list[Mapping[str, Any]] = []
    frame = user_frame()
    while frame is not None and len(scopes) < _FRAMES:
        scopes.append(frame.f_locals)
        if _outermost(frame):
            scopes.append(frame.f_globals)
        frame = frame.f_back
    for scope in scopes:
        for name, value in list(scope.items())[:_NAMES]:
            if _written(name):
                note_all(found, name, value)
    return found


def result_name(x: Any) -> str:
    """The variable of the code that draws that holds this object, "output" if there is none."""
    frame = user_frame()
    if frame is not None:
        for name, value in list(frame.f_locals.items())[:_NAMES]:
            if value is x and _written(name):
                return name
    return "output"


def note_all(names: dict[Any, Name], name: str, value: Any) -> None:
    """Enter names for what a variable holds: a tensor or an array, or several in a list, tuple or dict."""
    for text, thing in _named(name, value):
        note(names, text, thing)


def note(names: dict[Any, Name], text: str, thing: Any, *, input: bool = False) -> None:
    """Enter a name for a tensor, by its node and its array, or an array, unless it has one."""
    if type(thing) is Tensor:
        if thing.node is not None:
            names.setdefault(thing.node, Name(text, input))
        names.setdefault(id(thing._data), Name(text, input))
    elif isinstance(thing, np.ndarray):
        names.setdefault(id(thing), Name(text, input))


def _written(name: str) -> bool:
    """Whether a name is one that people write and mean to be read, other than those that Python and tools make."""
    return name.isidentifier() and not name.startswith("_")


def _outermost(frame: FrameType) -> bool:
    """Whether no caller is of the same module, whose names would come up again."""
    outer = frame.f_back
    return outer is None or outer.f_globals is not frame.f_globals


def _named(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) is Tensor or isinstance(value, np.ndarray):
        yield name, value
    elif type(value) in (list, tuple):
        yield from ((f"{name}[{i}]", v) for i, v in enumerate(value[:_ELEMENTS]))
    elif type(value) is dict:
        yield from ((f"{name}[{k!r}]", v) for k, v in list(value.items())[:_ELEMENTS] if isinstance(k, (str, int)))
