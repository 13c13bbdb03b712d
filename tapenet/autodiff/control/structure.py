"""Nested structures of values, as loops and branches take and return them: tuples, lists, dicts, named tuples and None.

None holds nothing. Everything else is a leaf. These functions know the path to each leaf, for errors, and put a structure
together again from its leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any, TypeGuard

from tapenet.autodiff.tensor import Tensor
from tapenet.program.trees import tree_leaves, tree_map


class Mismatch(ValueError):
    """Two structures differ; the text says where and how."""


def leaves(tree: object) -> list[Any]:
    """The leaves in order.

    >>> leaves({"a": (1, None), "b": [2]})
    [1, 2]
    """
    return [leaf for leaf in tree_leaves(tree) if leaf is not None]


def paths(tree: object, root: str) -> list[str]:
    """Where each leaf is, as Python would write it.

    >>> paths({"a": (1, None), "b": [2]}, "carry")
    ["carry['a'][0]", "carry['b'][0]"]
    """
    if tree is None:
        return []
    return [path for where, value in _children(tree, root) for path in paths(value, where)] if _nests(tree) else [root]


def rebuild(tree: object, values: Iterator[object]) -> Any:
    """The same structure with other leaves.

    >>> rebuild({"a": (1, None), "b": [2]}, iter("xy"))
    {'a': ('x', None), 'b': ['y']}
    """
    return tree_map(lambda leaf: None if leaf is None else next(values), tree)


class Structure:
    """The structure of a tree: takes others apart that have the same, and puts them together.

    >>> pair = Structure({"a": 1, "b": [2]}, "carry", ("init", "f"))
    >>> pair.take({"b": [3], "a": 4})
    [4, 3]
    >>> pair.build("xy")
    {'a': 'x', 'b': ['y']}
    >>> pair.take({"b": 3, "a": 4})
    Traceback (most recent call last):
    ...
    tapenet.autodiff.control.structure.Mismatch: at carry['b'] init has list of length 1, f has a value
    """

    __slots__ = ("_names", "_root", "_size", "model")

    def __init__(self, model: object, root: str, names: tuple[str, str]) -> None:
        """Read a structure.

        Args:
            model: a tree of this structure.
            root: what to call the whole.
            names: what to call where the model comes from, and the others, for errors.
        """
        self.model = model
        self._root = root
        self._names = names
        #: How many leaves a plain tuple of leaves has, the usual case after a single leaf (-1).
        self._size = -2
        if model is not None and not _nests(model):
            self._size = -1
        elif type(model) is tuple and not any(v is None or _nests(v) for v in model):
            self._size = len(model)

    def build(self, values: Sequence[object]) -> Any:
        """A tree of these leaves."""
        if self._size == -1:
            return values[0]
        return tuple(values) if self._size >= 0 else rebuild(self.model, iter(values))

    def take(self, tree: object) -> list[Any]:
        """The leaves of a tree.

        Raises:
            Mismatch: it has another structure; names the path.
        """
        if self._size == -1 and type(tree) is Tensor:
            return [tree]
        if type(tree) is tuple and len(tree) == self._size and all(type(v) is Tensor for v in tree):
            return list(tree)
        found: list[object] = []
        _match(self.model, tree, self._root, self._names, found.append)
        return found

    def paths(self) -> list[str]:
        """Where each leaf is."""
        return paths(self.model, self._root)


def _match(model: Any, tree: Any, where: str, names: tuple[str, str], add: Callable[[Any], None]) -> None:
    if not (_nests(model) or _nests(tree) or model is None or tree is None):
        add(tree)
        return
    same = type(model) is type(tree) and (model is None or len(model) == len(tree))
    if not same or (isinstance(model, dict) and model.keys() != tree.keys()):
        raise Mismatch(f"at {where} {names[0]} has {_kind(model)}, {names[1]} has {_kind(tree)}")
    if model is None:
        return
    keys = model if isinstance(model, dict) else range(len(model))
    for (below, value), key in zip(_children(model, where), keys, strict=True):
        _match(value, tree[key], below, names, add)


def _nests(tree: object) -> TypeGuard[Sized]:
    return isinstance(tree, (dict, tuple, list))


def _children(tree: Any, root: str) -> list[tuple[str, Any]]:
    if isinstance(tree, dict):
        return [(f"{root}[{key!r}]", value) for key, value in tree.items()]
    if hasattr(tree, "_fields"):
        return [(f"{root}.{name}", value) for name, value in zip(tree._fields, tree, strict=True)]
    return [(f"{root}[{i}]", value) for i, value in enumerate(tree)]


def _kind(tree: object) -> str:
    if tree is None:
        return "None"
    if isinstance(tree, dict):
        return f"a dict of {', '.join(map(repr, tree)) or 'nothing'}"
    return f"{type(tree).__name__} of length {len(tree)}" if _nests(tree) else "a value"
