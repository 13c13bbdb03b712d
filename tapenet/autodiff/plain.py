"""Which arguments of ops are plain: nothing to unwrap in them, and nothing that could answer `__tapenet_op__`."""

from __future__ import annotations

import sys
from types import FunctionType
from typing import Any

import numpy as np

from tapenet.autodiff.interned import constant
from tapenet.autodiff.tape import Parents
from tapenet.autodiff.tensor import Tensor

#: Types that go to a forward as they are.
PLAIN = frozenset(
    {np.ndarray, float, int, bool, complex, type(None)}
    | {np.dtype(c).type for c in "?bBhHiIlLqQefdgFDG"}
)  # fmt: skip
#: Types of options; a tuple, such as the axes of a sum, may hold a tensor.
STATIC = PLAIN | {str, slice, type, np.dtype, type(Ellipsis), FunctionType}
#: Types of the parts of an index.
INDEX = PLAIN | {slice, type(Ellipsis)}


def is_index(value: Any) -> bool:
    """Whether a value is an index made of plain parts, with no tensor among them."""
    kind = type(value)
    if kind is tuple:
        return INDEX.issuperset(map(type, value)) or all(type(v) in INDEX or _is_list(v) for v in value)
    return kind in INDEX or _is_list(value)


def _is_list(value: Any) -> bool:
    """Whether a value is a list, or nested lists, of plain parts."""
    return type(value) is list and (
        PLAIN.issuperset(map(type, value)) or all(type(v) in PLAIN or _is_list(v) for v in value)
    )


def is_static(value: Any) -> bool:
    """Whether an option is a tuple, or nested tuples, of plain parts, with no tensor among them, or a random generator."""
    kind = type(value)
    if kind is tuple:
        return STATIC.issuperset(map(type, value)) or all(type(v) in STATIC or is_static(v) for v in value)
    random = sys.modules.get("numpy.random")  # not imported here: who has a generator has imported it
    return random is not None and kind is random.Generator


def sequence(value: Any) -> tuple[Any, Any, Any]:
    """What a call needs of a list or tuple of tensors and plain values: a type that says that there are tensors, the
    arrays, and the nodes that need gradients. Three times None for anything else."""
    if type(value) is not list and type(value) is not tuple:
        return None, None, None
    data = []
    nodes = []
    tensors = flows = False
    for v in value:
        kind = type(v)
        if kind is Tensor:
            tensors = True
            data.append(v._data)
            nodes.append(v._node)
            flows = flows or v._node is not None
        elif kind in PLAIN:
            data.append(v)
            nodes.append(None)
        else:
            return None, None, None
    if not tensors:
        return None, None, None
    if not flows:
        return Tensor, type(value)(data), None
    parents = Parents(nodes)
    parents.constants = constant(data)
    return Tensor, type(value)(data), parents
