"""What a recorded body changes outside of itself: arrays that it writes in place, and Python's own objects."""

from __future__ import annotations

import contextlib
import dis
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import NamedTuple

from tapenet.autodiff import aliasing
from tapenet.autodiff.control.body import Body
from tapenet.autodiff.state import local
from tapenet.autodiff.tensor import Tensor


def value_of(root: Tensor) -> Tensor:
    """What an array is now, behind a handle of its own."""
    whole = aliasing.root(root)
    return Tensor._of(whole._data, whole._node, whole._trace)


def set_value(root: Tensor, value: Tensor) -> None:
    """Let an array, with all its views, be another from now on. Nobody is told."""
    aliasing.become(aliasing.root(root), value)


class Writes:
    """Notes the arrays from outside that a body writes, each with what it was.

    Attributes:
        found: the arrays, in order.
    """

    def __init__(self, capture: Body) -> None:
        self.capture = capture
        self.found: dict[int, tuple[Tensor, Tensor]] = {}

    def note(self, root: object) -> None:
        """It is about to be written."""
        assert isinstance(root, Tensor)
        if id(root) in self.found or self.capture.has_made(root):
            return
        before = value_of(root)
        if before._trace is None or before._trace.number < self.capture.number:
            self.found[id(root)] = root, before


# -- objects of Python's ---------------------------------------------------------------------------------------------


class _Kept(NamedTuple):
    """A container, and what was in it."""

    container: object
    content: object


def contents(roots: Iterable[object]) -> list[_Kept]:
    """What the lists, dicts, sets and objects hold that a body can reach through its variables."""
    found: dict[int, _Kept] = {}
    stack = [(value, 0) for value in roots]
    while stack:
        value, depth = stack.pop()
        if id(value) in found or depth > 4 or len(found) > 1000:
            continue
        inner: list[object] = []
        if isinstance(value, (list, set)):
            found[id(value)] = _Kept(value, type(value)(value))
            inner = list(value)
        elif isinstance(value, dict):
            found[id(value)] = _Kept(value, dict(value))
            inner = list(value.values())
        elif isinstance(value, tuple):
            inner = list(value)
        elif isinstance(value, FunctionType):
            inner = reached(value)
        elif not isinstance(value, (ModuleType, type)) and type(getattr(value, "__dict__", None)) is dict:
            found[id(value)] = _Kept(value.__dict__, dict(value.__dict__))
            inner = list(value.__dict__.values())
        stack += [(each, depth + 1) for each in inner]
    return list(found.values())


def reached(body: object) -> list[object]:
    """What a closure refers to."""
    return [value for _, value in variables(body)] if isinstance(body, FunctionType) else []


def variables(function: FunctionType) -> Iterator[tuple[str, object]]:
    """The variables of enclosing functions that a closure refers to, those with a value."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):
            yield name, cell.cell_contents


def assigned(function: FunctionType) -> set[str]:
    """The variables of enclosing functions that a closure, or a function inside of it, assigns to.

    >>> def outer():
    ...     a = b = 0
    ...     def inner():
    ...         nonlocal a
    ...         a = b
    ...     return inner
    >>> assigned(outer())
    {'a'}
    """
    pending, found = [function.__code__], set()
    for code in pending:  # grows while it is walked over
        found |= {i.argval for i in dis.get_instructions(code) if i.opname == "STORE_DEREF"}
        pending += [value for value in code.co_consts if isinstance(value, CodeType)]
    return found & set(function.__code__.co_freevars)


class Change(NamedTuple):
    """A container that was changed: what was in it, and what is."""

    container: object
    before: object
    after: object


def put_back(kept: Iterable[_Kept]) -> list[Change]:
    """Put back what was changed; gives that."""
    changes: list[Change] = []
    for container, content in kept:
        if isinstance(container, list) and isinstance(content, list):
            if len(container) != len(content) or any(a is not b for a, b in zip(container, content, strict=True)):
                changes.append(Change(container, content, list(container)))
                container[:] = content
        elif isinstance(container, set) and isinstance(content, set):
            if container != content:
                changes.append(Change(container, content, set(container)))
                container.clear()
                container |= content
        elif (
            isinstance(container, dict)
            and isinstance(content, dict)
            and (list(container) != list(content) or any(container[k] is not v for k, v in content.items()))
        ):
            changes.append(Change(container, content, dict(container)))
            container.clear()
            container.update(content)
    return changes


@contextlib.contextmanager
def views_put_back() -> Iterator[None]:
    """Views that the block takes of arrays are tensors of their own after it: they are of one turn."""
    lifted = local.state.lifted
    if lifted is None:
        yield
        return
    lifted.settle()
    known = {id(ref): ref for memory in lifted.memories for ref in memory._views}
    try:
        yield
    finally:
        for memory in list(lifted.memories):
            for ref in memory._views:
                view = ref()
                if view is not None and id(ref) not in known and view._alias is not None and view._alias.path:
                    view._alias = None
            memory._views = [ref for ref in memory._views if (v := ref()) is not None and v._alias is not None]
