"""The scope in which what silently differs from PyTorch warns.

While one is open, calls of the functions and methods in the table go through a watcher here, in every thread; it looks for
threads inside such a scope. When none is open they are what they were: nothing else costs anything.
"""

from __future__ import annotations

import dis
import sys
import warnings
import weakref
from collections.abc import Callable
from functools import partial
from types import FrameType

import numpy as np

from tapenet import ops
from tapenet.autodiff import creation
from tapenet.autodiff.generate import prepare
from tapenet.autodiff.state import Switch, enter, local
from tapenet.autodiff.tensor import Tensor
from tapenet.compat import torch_functions
from tapenet.compat.differences import DIFFERENCES, OF_VIEWS, VIEWS, Difference, Use
from tapenet.locks import lock
from tapenet.ops import tracebacks
from tapenet.ops.derived import Derived
from tapenet.ops.op import Op
from tapenet.ops.stack_frames import is_users

_UNSET = object()
_STANDING = (torch_functions.__name__, tracebacks.__name__)


class PortingWarning(UserWarning):
    """A call gives something else than in PyTorch."""


class porting(Switch):
    """Warn where code inside the block (or the decorated function) gets something else than in PyTorch, with its line.

    For code that is moved here: run it once inside the scope, and change or confirm what it names. The page "Coming from
    PyTorch" of the documentation has all that is looked for. NumPy's own names are taken to be meant: `np.std(x)` and
    `tn.max(x, axis=1)` do not warn. Calls inside of tapenet do not, nor do other threads. Each line warns once for each
    difference. Outside of the block nothing is slower.

    Returns:
        as the block's value: the warnings so far, as texts "file:line: what it is".

    >>> import tapenet as tn
    >>> x = tn.tensor([[1, 2], [3, 4]], dtype="float32")
    >>> with warnings.catch_warnings(), tn.testing.porting() as found:
    ...     warnings.simplefilter("ignore")
    ...     y = x.transpose(0, 1)
    >>> found[0].endswith("write `x.swapaxes(0, 1)`")
    True
    """

    def __enter__(self) -> list[str]:  # type: ignore[override]
        found: list[str] = []
        _watch()
        enter(self, porting=found)
        return found

    def __exit__(self, *exc: object) -> None:
        try:
            super().__exit__(*exc)
        finally:
            _leave()


# -- what is looked at -------------------------------------------------------------------------------------------


def _look(
    differences: list[Difference], args: tuple[object, ...], kwargs: dict[str, object], result: object, frame: FrameType
) -> None:
    for difference in differences:
        if difference.when(Use(args, kwargs, result, frame)):
            _warn(difference, frame)


def _warn(difference: Difference, frame: FrameType) -> None:
    what = f"PyTorch {difference.there}, and here it {difference.here}, as in `{difference.example}`"
    text = f"{what}: write `{difference.instead}`"
    place = f"{frame.f_code.co_filename}:{frame.f_lineno}: {text}"
    found = local.state.porting
    if found is None or place in found:
        return
    found.append(place)
    warnings.warn_explicit(text, PortingWarning, frame.f_code.co_filename, frame.f_lineno)


def _caller() -> FrameType:
    """The code that calls what is watched: not the functions that have PyTorch's names, which stand for others."""
    frame = sys._getframe(2)
    while frame.f_globals.get("__name__") in _STANDING and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _watched(
    original: Callable[..., object], differences: list[Difference], skip: int = 0, views: bool = False
) -> Callable[..., object]:
    """A function or method whose calls by users are checked. `skip` is how many of its arguments are no user's;
    `views` says that it gives what PyTorch has as a view."""

    def call(*args: object, **kwargs: object) -> object:
        frame = _caller()
        result = original(*args, **kwargs)
        if local.state.porting is not None and is_users(frame):
            _look(differences, args[skip:], kwargs, result, frame)
            if views and isinstance(result, Tensor) and not _picks(args):
                key = id(result)
                _views[key] = weakref.ref(result, lambda _: _views.pop(key, None))
        return result

    return call


# -- views -------------------------------------------------------------------------------------------------------

#: The tensors that PyTorch would have as views, by id.
_views: dict[int, weakref.ref[Tensor]] = {}


def _picks(args: tuple[object, ...]) -> bool:
    """Whether an index has arrays in it, of which PyTorch gives no view."""
    index = args[1] if len(args) == 2 else ()
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(i, list) or getattr(i, "ndim", 0) for i in parts)


def _changing(original: Callable[..., object], directly: bool) -> Callable[..., object]:
    """What changes a tensor where a user asks for it: `directly` by an item assignment, else by `t += v` or `inplace=True`."""

    def call(*args: object, **kwargs: object) -> object:
        frame: FrameType | None = sys._getframe(1)
        mark = _views.get(id(args[0])) if local.state.porting is not None else None
        result = original(*args, **kwargs)
        while not directly and frame is not None and not is_users(frame):
            frame = frame.f_back
        if mark is not None and mark() is args[0] and frame is not None and is_users(frame) and not _stored(frame):
            _warn(OF_VIEWS, frame)
        return result

    return call


def _stored(frame: FrameType) -> bool:
    """Whether `x[0] += v` puts back into x what it gives, so that x changes as in PyTorch."""
    for instruction in dis.get_instructions(frame.f_code):
        if instruction.offset > frame.f_lasti and instruction.opname not in ("CACHE", "SWAP", "COPY"):
            return instruction.opname in ("STORE_SUBSCR", "STORE_SLICE")
    return False


# -- putting the watchers in place -------------------------------------------------------------------------------

_lock = lock()
_open = 0
#: What is put back when the last scope closes: the owner, the name, what it had itself, and the watcher.
_put: list[tuple[object, str, object, object]] = []


def _watch() -> None:
    global _open
    with _lock:
        _open += 1
        if _open == 1:
            _put_in_place()


def _leave() -> None:
    global _open
    with _lock:
        _open -= 1
        if not _open:
            while _put:
                owner, name, before, watcher = _put.pop()
                if vars(owner).get(name) is not watcher:  # renewed meanwhile
                    continue
                if before is _UNSET:
                    delattr(owner, name)
                else:
                    setattr(owner, name, before)


def _replace(owner: object, name: str, watcher: object) -> None:
    _put.append((owner, name, vars(owner).get(name, _UNSET), watcher))
    setattr(owner, name, watcher)


def _put_in_place() -> None:
    derived: dict[int, list[Difference]] = {}
    for name, differences in _by_name("functions").items():
        if name == "tensor":  # a plain function: looked at where it makes an array of what it is given
            _replace(creation, "_array", _of_data(creation._array, differences))
            continue
        space, _, own_name = name.rpartition(".")
        function = ops.stands_for(getattr(np.fft, own_name)) if space else getattr(ops, name)
        if isinstance(function, Derived):
            derived[id(function)] = differences
            continue
        if type(function) is Op:  # whose call is made at the first one
            prepare(function)
        own = type(function)
        _replace(own, "__call__", _watched(own.__call__, differences, skip=1))
    _replace(Derived, "__call__", _of_derived(Derived.__call__, derived))
    methods = _by_name("methods")
    for name in sorted({*methods, *VIEWS.split()}):
        found = getattr(Tensor, name)
        read = getattr(found, "fget", None)  # of a property
        watch = partial(_watched, differences=methods.get(name, []), views=name in VIEWS.split())
        _replace(Tensor, name, watch(found) if read is None else property(watch(read)))
    _replace(Tensor, "__setitem__", _changing(Tensor.__setitem__, directly=True))
    _replace(Tensor, "_augmented", _changing(Tensor._augmented, directly=False))


def _by_name(where: str) -> dict[str, list[Difference]]:
    found: dict[str, list[Difference]] = {}
    for difference in DIFFERENCES:
        for name in getattr(difference, where).split():
            found.setdefault(name, []).append(difference)
    return found


def _of_derived(original: Callable[..., object], differences: dict[int, list[Difference]]) -> Callable[..., object]:
    def call(function: Derived, /, *args: object, **kwargs: object) -> object:
        frame = _caller()
        result = original(function, *args, **kwargs)
        if local.state.porting is not None and is_users(frame) and id(function) in differences:
            _look(differences[id(function)], args, kwargs, result, frame)
        return result

    return call


def _of_data(original: Callable[..., object], differences: list[Difference]) -> Callable[..., object]:
    def call(data: object, dtype: object, *args: object, **kwargs: object) -> object:
        result = original(data, dtype, *args, **kwargs)
        frame: FrameType | None = sys._getframe(1)
        if local.state.porting is None or frame is None or frame.f_code.co_name != "tensor":
            return result
        while frame is not None and frame.f_globals.get("__name__") in (creation.__name__, tracebacks.__name__):
            frame = frame.f_back
        if frame is not None and is_users(frame):
            _look(differences, (data,), {} if dtype is None else {"dtype": dtype}, result, frame)
        return result

    return call
