"""Trees: nested containers of arrays, as functions take and return them.

Tuples, lists, dicts, named tuples and dataclasses hold their parts; None holds nothing; everything else is a leaf. A module
stands for the dict of its parameters by name, so that its gradients are such a dict, as `tn.functional_call` takes it.
`register` makes objects of other classes containers. All transformations, loops and `tn.compile` take such trees.

A field of a dataclass that is no part, such as a name or a size, is declared with
`dataclasses.field(metadata={"static": True})`; a field with `init=False` is made again by the class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from tapenet import ops
from tapenet.autodiff.creation import asarray
from tapenet.autodiff.tensor import Tensor
from tapenet.ops.tracebacks import boundary
from tapenet.program import trees
from tapenet.program.trees import Structure

__all__ = ["Structure", "flatten", "leaves", "map", "paths", "ravel", "register", "structure", "unflatten"]

T = TypeVar("T")


@boundary
def map(f: Callable[..., object], tree: object, *others: object) -> Any:
    """A tree of the same structure with `f(leaf)`, or with `f(leaf, *leaves of the others at this place)`.

    Args:
        f: takes as many leaves as there are trees.
        tree: gives the structure. Of a module the result is the dict of its parameters by name, each replaced.
        *others: trees of the same structure; dicts may have their keys in another order.

    Raises:
        ValueError: a tree has another structure; names the path of the difference.

    >>> import tapenet as tn
    >>> tn.tree.map(lambda p, g: p - 0.1 * g, {"w": 1.0, "b": [2.0, None]}, {"w": 1.0, "b": [5.0, None]})
    {'w': 0.9, 'b': [1.5, None]}
    >>> tn.tree.map(lambda p: p.shape, tn.nn.Linear(3, 2))
    {'weight': (2, 3), 'bias': (2,)}
    """
    return trees.tree_map(f, tree, *others)


@boundary
def flatten(tree: object) -> tuple[list[Any], Structure]:
    """The leaves of a tree in order, and its structure, which `unflatten` takes.

    >>> import tapenet as tn
    >>> tn.tree.flatten({"w": 1.0, "b": [2.0, None]})
    ([1.0, 2.0], Structure({'w': *, 'b': [*, None]}))
    """
    return trees.flatten(tree)


@boundary
def unflatten(structure: Structure, leaves: Sequence[object]) -> Any:
    """A tree of a structure and leaves.

    Raises:
        ValueError: there are more or fewer leaves than the structure has.

    >>> import tapenet as tn
    >>> leaves, structure = tn.tree.flatten({"w": 1.0, "b": [2.0, None]})
    >>> tn.tree.unflatten(structure, [10.0, 20.0])
    {'w': 10.0, 'b': [20.0, None]}
    """
    given = list(leaves)
    if len(given) != structure.count:
        raise ValueError(f"tn.tree.unflatten: {len(given)} leaves for {structure}, which has {structure.count}")
    return structure.build(given)


@boundary
def leaves(tree: object) -> list[Any]:
    """The leaves of a tree in order.

    >>> import tapenet as tn
    >>> tn.tree.leaves({"w": 1.0, "b": [2.0, None]})
    [1.0, 2.0]
    """
    return trees.tree_leaves(tree)


@boundary
def structure(tree: object) -> Structure:
    """The structure of a tree. Structures of equal trees are equal, also where the leaves differ.

    >>> import tapenet as tn
    >>> tn.tree.structure((1, [2])) == tn.tree.structure((3, ["four"]))
    True
    """
    return trees.flatten(tree)[1]


@boundary
def paths(tree: object, root: str = "tree") -> list[str]:
    """Where each leaf is, as Python would write it.

    >>> import tapenet as tn
    >>> tn.tree.paths({"w": 1.0, "b": [2.0, None]}, "params")
    ["params['w']", "params['b'][0]"]
    """
    return trees.flatten(tree)[1].paths(root)


@boundary
def ravel(tree: object) -> tuple[Tensor, Callable[[object], Any]]:
    """All numbers of a tree in one vector, and the function that makes such a tree of a vector again. Both are
    differentiable.

    Args:
        tree: a tree of arrays, tensors and numbers.

    Returns:
        a tensor of shape (n,) of the dtype to which NumPy promotes those of the leaves, and `unravel(vector)`, which gives
        leaves (tensors) the shapes and dtypes they had. Of a complex vector a leaf that was real gets the real part.

    >>> import tapenet as tn
    >>> vector, unravel = tn.tree.ravel({"w": [[1.0, 2.0]], "b": tn.tensor([3.0], dtype="float32")})
    >>> vector
    Tensor([1., 2., 3.])
    >>> unravel(vector * 2)
    {'w': [[Tensor(2.), Tensor(4.)]], 'b': Tensor([6.], dtype=float32)}
    """
    found, form = trees.flatten(tree)
    tensors: list[Tensor] = []
    for leaf, path in zip(found, form.paths("tree"), strict=True):
        try:
            tensors.append(asarray(leaf))
        except (TypeError, ValueError) as error:
            raise TypeError(f"tn.tree.ravel: {path} is {type(leaf).__name__}, not an array or a number") from error
    dtype = np.result_type(*(t.dtype for t in tensors)) if tensors else np.dtype(float)
    sizes = [t.size for t in tensors]
    total = sum(sizes)

    @boundary
    def unravel(vector: object) -> object:
        given = asarray(vector)
        if given.shape != (total,):
            raise ValueError(f"tn.tree.ravel: unravel takes a vector of shape ({total},), not {given.shape}")
        parts, start = [], 0
        for t, size in zip(tensors, sizes, strict=True):
            part = ops.reshape(given[start : start + size], t.shape)
            if part.dtype.kind == "c" and t.dtype.kind != "c":
                part = ops.real(part)
            parts.append(part if part.dtype == t.dtype else ops.astype(part, t.dtype))
            start += size
        return form.build(parts)

    if not tensors:
        return asarray(np.empty(0, dtype)), unravel
    flat = [ops.astype(ops.reshape(t, (-1,)), dtype) for t in tensors]
    return ops.concatenate(flat), unravel


@boundary
def register(
    cls: type[T],
    flatten: Callable[[T], tuple[Sequence[object] | Mapping[str, object], object]],
    unflatten: Callable[[Any, Any], T],
) -> None:
    """Make the objects of a class, and of its subclasses, containers.

    Args:
        cls: the class.
        flatten: takes an object and returns a pair: its parts, as a sequence or as a dict by name (which errors then show),
            and what is no part, which must be equal for objects of the same structure (and hashable for `tn.compile`).
        unflatten: takes what is no part and the parts, as `flatten` gave them, and makes an object.

    Raises:
        ValueError: the class is a container already.

    >>> import tapenet as tn
    >>> class Line:
    ...     def __init__(self, slope, offset, name):
    ...         self.slope, self.offset, self.name = slope, offset, name
    >>> tn.tree.register(
    ...     Line,
    ...     lambda line: ({"slope": line.slope, "offset": line.offset}, line.name),
    ...     lambda name, parts: Line(**parts, name=name),
    ... )
    >>> gradient = tn.grad(lambda line: line.slope * 3 + line.offset)(Line(2.0, 1.0, "first"))
    >>> gradient.slope, gradient.offset, gradient.name
    (Tensor(3.), Tensor(1.), 'first')
    """
    trees.register(cls, flatten, unflatten)
