"""Nested lists, tuples, NamedTuples and dicts, as arguments and results are."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def refilled(sequence: T, parts: Iterable[object]) -> T:
    """A sequence of the same type with other parts.

    >>> refilled((1, 2), [3, 4])
    (3, 4)
    """
    kind: Callable[..., T] = type(sequence)
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)


def tree_leaves(tree: object, *whole: type) -> list[Any]:
    """The leaves of nested tuples, lists and dicts, in order. What is of a type of `whole` is one, though it is a tuple.

    >>> tree_leaves({"a": (1, None), "b": [2]})
    [1, None, 2]
    """
    if isinstance(tree, dict):
        tree = tree.values()
    elif not isinstance(tree, (tuple, list)) or isinstance(tree, whole):
        return [tree]
    return [leaf for part in tree for leaf in tree_leaves(part, *whole)]


def tree_map(f: Callable[[Any], object], tree: object) -> Any:
    """The same nested structure with `f` applied to each leaf.

    >>> tree_map(str, {"a": (1, None), "b": [2]})
    {'a': ('1', 'None'), 'b': ['2']}
    """
    if isinstance(tree, dict):
        return {key: tree_map(f, value) for key, value in tree.items()}
    if isinstance(tree, (tuple, list)):
        return refilled(tree, [tree_map(f, value) for value in tree])
    return f(tree)


def mapped(f: Callable[[Any], object], value: object, *whole: type) -> Any:
    """A value, or nested lists and tuples, with `f` applied to each leaf: what that leaves as it is stays the same object.

    >>> mapped(abs, [1, (-2, 3)])
    [1, (2, 3)]
    """
    if not isinstance(value, (tuple, list)) or isinstance(value, whole):
        return f(value)
    parts = [mapped(f, part, *whole) for part in value]
    return value if all(map(operator.is_, parts, value)) else refilled(value, parts)
