"""Where ops ran: the names of modules, found while these are alive."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import NamedTuple

from tapenet.autodiff.node import Owner, Scope


class Place(NamedTuple):
    """The module that ran an op.

    Attributes:
        root: the class of the outermost module, with a number if it is not the first of its class; "" outside modules.
        path: dotted path from there, such as `encoder.layers.3`; "" in the outermost module itself.
    """

    root: str
    path: str


class Places:
    """Finds the place of a scope. One object for a profile, so that two models of one class get two names."""

    def __init__(self) -> None:
        self._roots: dict[int, tuple[weakref.ref[object], str]] = {}
        self._counts: dict[str, int] = {}

    def resolve(self, scopes: Iterable[Scope]) -> dict[Scope, Place]:
        """The place of each scope. Models are numbered in the order in which they come."""
        names: dict[int, dict[int, str]] = {}
        found: dict[Scope, Place] = {}
        for scope in scopes:
            if scope not in found:
                found[scope] = self._place(scope, names)
        return found

    def _place(self, scope: Scope, names: dict[int, dict[int, str]]) -> Place:
        chain = _chain(scope)
        if not chain:
            return Place("", "")
        outer, title = chain[0]
        root = self._root(outer, title)
        path = []
        for module, title in chain[1:]:
            if outer is not None and id(outer) not in names:
                names[id(outer)] = {id(m): n for n, m in outer.named_modules()}
            path.append(title if module is None or outer is None else names[id(outer)].get(id(module), title))
            outer = module
        return Place(root, ".".join(name for name in path if name))

    def _root(self, module: object, title: str) -> str:
        if module is None:
            return title
        known = self._roots.get(id(module))
        if known is not None and known[0]() is module:
            return known[1]
        count = self._counts[title] = self._counts.get(title, 0) + 1
        name = title if count == 1 else f"{title} {count}"
        self._roots[id(module)] = weakref.ref(module), name
        return name


def _chain(scope: Scope) -> list[tuple[Owner | None, str]]:
    """The modules from the outermost to that of a scope, None for those that are gone, with their classes' names."""
    found = []
    at: Scope | None = scope
    while at is not None:
        if at.owner is not None:
            found.append((at.owner(), at.title))
        at = at.parent
    return found[::-1]
