"""Calls of whole functions that have rules of their own: arguments and results as flat lists of tensors."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager

import numpy as np

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.gradients import conj_cotangent
from tapenet.autodiff.tensor import Tensor
from tapenet.program.low import is_inexact
from tapenet.program.primitives import Spec
from tapenet.program.trees import Mismatch, Structure, container, flatten, placed


class Arguments:
    """The arguments of a call taken apart, so that a rule may be given other tensors in their place.

    Attributes:
        inputs: the tensors that gradients flow to.
        kept: the other tensors and arrays.
    """

    def __init__(self, args: tuple[object, ...], fixed: Collection[int] = ()) -> None:
        """Take arguments apart.

        Args:
            args: the arguments.
            fixed: positions of those to which no gradient flows.
        """
        self.args = args
        self.inputs: list[Tensor] = []
        self.kept: list[Tensor] = []
        #: What gives each leaf, from the inputs and what is kept.
        self._leaves: list[Callable[[Sequence[Tensor], Sequence[Tensor]], object]] = []
        self.structures: list[Structure] = []
        #: For each leaf of each argument, None too, its place among the inputs; None where it has none.
        self.places: list[list[int | None]] = []
        for i, arg in enumerate(args):
            leaves, structure = flatten(_marked(arg))
            self.structures.append(structure)
            self.places.append([None if leaf is _NONE else self._enter(leaf, i not in fixed) for leaf in leaves])

    def _enter(self, leaf: object, flows: bool) -> int | None:
        if not is_array(leaf):
            self._leaves.append(lambda inputs, kept: leaf)
            return None
        t = asarray(leaf)
        if flows and t._node is not None and is_inexact(t.dtype):
            place = len(self.inputs)
            self.inputs.append(t)
            self._leaves.append(lambda inputs, kept: inputs[place])
            return place
        at = len(self.kept)
        self.kept.append(t)
        self._leaves.append(lambda inputs, kept: kept[at])
        return None

    def given(self, inputs: Sequence[Tensor], kept: Sequence[Tensor]) -> AbstractContextManager[tuple[object, ...]]:
        """The arguments with other tensors, for a block: a module has them inside of it."""
        return placed(self.args, [leaf(inputs, kept) for leaf in self._leaves])

    def gradients(self, found: Sequence[object], names: Sequence[str], title: str) -> list[Tensor | None]:
        """The gradients by the inputs, from one for each argument in its structure.

        Raises:
            TypeError, ValueError: one has another structure or shape than its argument; names it.
        """
        made: list[Tensor | None] = [None] * len(self.inputs)
        for gradient, structure, places, name in zip(found, self.structures, self.places, names, strict=True):
            if gradient is None:
                continue
            try:
                leaves = structure.take(_marked(gradient), name, ("the argument", "its gradient"))
            except Mismatch as error:
                raise TypeError(
                    f"{title}: a gradient is structured as its argument, or None for zeros, and {error}"
                ) from None
            for leaf, place, path in zip(leaves, places, structure.paths(name), strict=True):
                if place is not None and leaf is not _NONE:
                    made[place] = conj_cotangent(fitting(leaf, self.inputs[place], f"{title}: the gradient by {path}"))
        return made

    def tangents(self, args: Sequence[object], tangents: Sequence[Tensor]) -> list[object]:
        """Tangents of the inputs in the structure of the arguments: zeros for what has none, None for what is no float."""
        found: list[object] = []
        for arg, structure, places in zip(args, self.structures, self.places, strict=True):
            leaves: list[object] = []
            for leaf, place in zip(flatten(_marked(arg))[0], places, strict=True):
                if place is not None:
                    leaves.append(tangents[place])
                elif is_array(leaf) or isinstance(leaf, (float, complex)):
                    t = asarray(leaf)
                    leaves.append(zeros(t) if is_inexact(t.dtype) else None)
                else:
                    leaves.append(None)
            found.append(structure.build(leaves))
        return found


class _None:
    """Stands for None as a leaf."""


_NONE = _None()


def _marked(tree: object) -> object:
    """A structure in which None is a leaf too: that of a gradient may have it where its argument has an array."""
    if tree is None:
        return _NONE
    found = container(type(tree))
    if found is None:
        return tree
    parts = found.apart(tree)
    return found.made(type(tree), parts._replace(values=[_marked(value) for value in parts.values]))


def is_array(leaf: object) -> bool:
    """Whether a leaf is an array of numbers."""
    return isinstance(leaf, Tensor) or (isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biufc")


def fitting(value: object, like: Tensor, what: str) -> Tensor:
    """A gradient or tangent as a tensor of the dtype of what it belongs to.

    Raises:
        TypeError: it is no array.
        ValueError: it has another shape.
    """
    if not is_array(value) and not isinstance(value, (int, float, complex)):
        raise TypeError(f"{what} is {type(value).__name__}, not an array of shape {like.shape}")
    made = asarray(value)
    if made.shape != like.shape:
        raise ValueError(f"{what} has shape {made.shape}, and what it belongs to {like.shape}")
    if made.dtype.kind == "c" and like.dtype.kind != "c":
        made = made.real
    return made if made.dtype == like.dtype else made.astype(like.dtype)


class Results:
    """The results of a call taken apart.

    Attributes:
        leaves: the tensors, those that are inexact first to last.
        structure: of the whole.
    """

    def __init__(self, out: object, title: str) -> None:
        """Take results apart.

        Raises:
            TypeError: there is something else than arrays among them.
        """
        leaves, self.structure = flatten(out)
        for leaf, path in zip(leaves, self.structure.paths("the result"), strict=True):
            if not is_array(leaf) and not isinstance(leaf, (bool, int, float, complex)):
                raise TypeError(f"{title}: {path} is {type(leaf).__name__}; it returns arrays and tensors alone")
        self.leaves = [asarray(leaf) for leaf in leaves]

    def detached(self) -> list[Tensor]:
        """The tensors in no graph."""
        return [t.detach() if t._node is not None else t for t in self.leaves]

    def cotangents(self, gs: Iterable[Tensor | None], outs: Sequence[Tensor]) -> object:
        """Gradients by the results as users see them, structured as these: zeros for what is not used, None for what is no
        float."""
        full = [
            None if not is_inexact(t.dtype) else zeros(t) if g is None else conj_cotangent(g)
            for g, t in zip(gs, outs, strict=True)
        ]
        return self.structure.build(full)


def zeros(like: Tensor | Spec) -> Tensor:
    """Zeros of the shape and dtype of a tensor, which nobody can write to: a constant of programs."""
    data = np.zeros(like.shape, like.dtype)
    data.flags.writeable = False
    return Tensor._of(data)
