"""Other tensors in the place of a module's parameters and buffers, while a block runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from weakref import WeakKeyDictionary

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.observe.epoch import bump
from tapenet.autodiff.tensor import Tensor
from tapenet.locks import lock
from tapenet.nn.module_tree import Tree, walk

#: Held while other tensors are in a module: blocks of several threads take turns.
_locks: WeakKeyDictionary[Tree, threading.RLock] = WeakKeyDictionary()
_making = lock()


def named(module: Tree) -> dict[str, Tensor]:
    """What a module stands for as a tree: its parameters by name."""
    with _lock(module):
        return dict(module.named_parameters())


def placed(module: Tree, leaves: Iterator[object]) -> AbstractContextManager[None]:
    """Let a module have other parameters inside the block: the leaves in the order of `named`."""
    return _placed(module, lambda: [(p, next(leaves)) for p in module.parameters()])


def placed_by_name(module: Tree, tensors: Mapping[str, object]) -> AbstractContextManager[None]:
    """Let a module have other parameters and buffers inside the block."""

    def pairs() -> list[tuple[Tensor, object]]:
        own = {name: value for name, value in walk(module, repeats=True) if isinstance(value, Tensor)}
        return [(own[name], value) for name, value in tensors.items()]

    return _placed(module, pairs)


@contextmanager
def _placed(module: Tree, pairs: Callable[[], list[tuple[Tensor, object]]]) -> Iterator[None]:
    """Let a module have other tensors inside the block, wherever it, or a module in it, has one of its own. The tensors count
    as parameters or buffers there, as those that they replace.

    Args:
        module: the module.
        pairs: gives its tensors, each with what comes in its place.
    """
    with held(module) as owners:
        replacing = [(own, _fitting(value, own)) for own, value in pairs()]
        new = {id(own): tensor for own, tensor in replacing}
        marks = [(tensor, own._kind) for own, tensor in replacing if tensor._kind is None]
        capture = capturing()
        if capture is not None:  # the program depends on the modules as they are without the others
            for owner in owners:
                if not capture.knows(owner):
                    capture.depend(owner, owner._fingerprint)  # type: ignore[attr-defined]  # of a module
        changes = [
            (owner, name, value, swapped)
            for owner in owners
            for name, value in vars(owner).items()
            if (swapped := _swapped(value, new)) is not value
        ]
        try:
            for tensor, kind in marks:
                tensor._kind = kind
            for owner, name, _, swapped in changes:
                object.__setattr__(owner, name, swapped)
            bump()
            yield
        finally:
            try:
                _put_back(changes, marks)
            finally:
                _put_back(changes, marks)  # an interrupt may have ended the first


@contextmanager
def held(module: Tree) -> Iterator[list[Tree]]:
    """The module and those in it, which no other thread changes in the block by what is here."""
    owners = [value for _, value in walk(module) if isinstance(value, Tree)]
    with ExitStack() as held:
        for owner in sorted(owners, key=id):
            held.enter_context(_lock(owner))
        yield owners


def _put_back(changes: list[tuple[Tree, str, object, object]], marks: list[tuple[Tensor, str | None]]) -> None:
    for tensor, _ in marks:
        tensor._kind = None
    for owner, name, value, swapped in changes:
        if vars(owner).get(name) is swapped:  # else the block has set it
            object.__setattr__(owner, name, value)
    bump()


def _lock(module: Tree) -> threading.RLock:
    with _making:
        return _locks.setdefault(module, lock())


def _fitting(value: object, place: Tensor) -> Tensor:
    """The tensor for a place. What is a parameter or buffer of another kind is taken by a handle of its own."""
    tensor = asarray(value)
    if tensor._kind is None or tensor._kind == place._kind:
        return tensor
    made: Tensor = Tensor._of(tensor._data, tensor._node, tensor._trace)
    capture = capturing()
    if capture is not None and capture.is_outside(tensor):
        capture.alias(made, tensor)
    return made


def _swapped(value: object, new: Mapping[int, Tensor]) -> object:
    """An attribute with new tensors, in lists, tuples and dicts too; the same object if it has none."""
    if type(value) is Tensor:
        return new.get(id(value), value)
    if isinstance(value, dict):
        entries = {key: _swapped(v, new) for key, v in value.items()}
        return value if all(entries[key] is v for key, v in value.items()) else entries
    if isinstance(value, (list, tuple)):
        parts = [_swapped(v, new) for v in value]
        return value if all(a is b for a, b in zip(parts, value, strict=True)) else type(value)(parts)
    return value
