"""What goes into functions that are differentiated, and what comes out: tensors inside, arrays outside."""

from __future__ import annotations

import functools
import importlib
import weakref
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tapenet.autodiff.backward import between
from tapenet.autodiff.node import Leaf, Node
from tapenet.autodiff.tensor import Tensor
from tapenet.program.trees import tree_leaves, tree_map

#: An array, a number, a tensor, or a container of these.
Value: TypeAlias = Any
#: A function of such.
Function: TypeAlias = Callable[..., Value]


def plain(tree: object) -> Value:
    """Tensors of no graph as arrays, those without axes as numbers; the others as they are, for a transformation around."""
    return tree_map(_plain, tree)


def _plain(leaf: object) -> object:
    return leaf.numpy()[()] if isinstance(leaf, Tensor) and not leaf.requires_grad else leaf


#: The leaves that stood for arguments of functions that have returned: nothing asks for gradients by them any more.
_ended: weakref.WeakSet[Node] = weakref.WeakSet()


def ended(tree: object) -> None:
    """Say that the function whose arguments these were has returned."""
    _ended.update(leaf._node for leaf in tree_leaves(tree) if isinstance(leaf, Tensor) and type(leaf._node) is Leaf)


def given(tree: object) -> Value:
    """What a transformation gives: arrays where no gradient may be asked for through them."""
    return plain(
        tree_map(lambda leaf: leaf.detach() if isinstance(leaf, Tensor) and not _followed(leaf) else leaf, tree)
    )


def _followed(tensor: Tensor) -> bool:
    """Whether a transformation, or a tensor of the user's, is what a tensor was computed from."""
    if tensor._node is None:
        return False
    return any(type(node) is Leaf and node not in _ended for node in between([tensor._node], set()))


def floats(tree: object) -> Value:
    """Whole numbers as floats, which have gradients."""
    return tree_map(_float, tree)


def _float(leaf: object) -> object:
    if isinstance(leaf, (bool, int)):
        return float(leaf)
    return leaf.astype(np.float64) if isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biu" else leaf


def conjugate(tree: object) -> Value:
    """The complex values conjugate: a gradient here is the conjugate of what autograd calls one."""
    return tree_map(lambda leaf: np.conj(leaf) if np.iscomplexobj(leaf) else leaf, tree)


def ones(tree: object) -> Value:
    """Ones of the shapes and dtypes of a tree."""
    return tree_map(lambda leaf: np.ones(np.shape(leaf), np.result_type(leaf)), tree)


def zeros(tree: object) -> Value:
    """Zeros of the shapes and dtypes of a tree."""
    return tree_map(lambda leaf: np.zeros(np.shape(leaf), np.result_type(leaf)), tree)


def holds_tensor(values: object) -> bool:
    """Whether a tensor is among nested lists, tuples and dicts."""
    return any(isinstance(leaf, Tensor) for leaf in tree_leaves(values))


def passed_on(numpys: Function, ours: Function) -> Function:
    """A function of NumPy's that is tapenet's where a tensor is given, also in a list."""

    @functools.wraps(numpys)
    def chosen(*args: object, **kwargs: object) -> object:
        function = ours if holds_tensor(args) or holds_tensor(kwargs) else numpys
        return function(*args, **kwargs)

    return chosen


def functions_of(module: str, here: str, ours: object = None) -> Callable[[str], Value]:
    """A module's `__getattr__` that gives what another module has, loaded when it is first asked; those functions that
    `ours` has too with tensors in lists."""

    def attribute(name: str) -> Value:
        if name.startswith("__"):
            raise AttributeError(f"module {here!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(module), name)
        mine = getattr(ours, name, None)
        return passed_on(found, mine) if callable(mine) else found

    return attribute
