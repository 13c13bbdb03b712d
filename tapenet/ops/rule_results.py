"""What gradient rules return, brought to the form that each input needs; or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import numpy as np

from tapenet.ops.op import Op
from tapenet.ops.shapes.broadcast_views import broadcast_view, broadcasts_to
from tapenet.ops.shapes.reshaping import unbroadcast
from tapenet.typing import Array, DType, Shape


class GradientError(RuntimeError):
    """A gradient rule gave something that cannot be the gradient of its input."""


class Recorded(Protocol):
    """A call of an op, as far as its rules know it: the module that it was made in, and its output's shape, or those of all."""

    @property
    def op(self) -> Op: ...
    @property
    def path(self) -> str: ...
    @property
    def shape(self) -> tuple[object, ...]: ...


class Input(Protocol):
    """What a gradient is to fit."""

    @property
    def shape(self) -> Shape: ...
    @property
    def dtype(self) -> DType: ...


def settle(node: Recorded, name: str, parent: Input, gradient: object) -> Array:
    """Bring what a rule returned to the shape and dtype of its input, or say what is wrong with it."""
    if gradient is None:
        raise GradientError(f"{rule_words(node, name)} returned None; return an array, or declare {name!r} in nondiff=")
    d = cast("Array", gradient) if hasattr(gradient, "dtype") else np.asarray(gradient)
    shape = parent.shape
    if d.shape != shape:
        if node.op.broadcasts and d.shape in (node.shape, *node.shape):  # of the output, or of one of several
            d = unbroadcast(d, shape)
        elif broadcasts_to(d.shape, shape):
            d = (
                broadcast_view(d, shape)
                if type(d) is np.ndarray or isinstance(d, np.generic)
                else np.broadcast_to(d, shape)
            )
        else:
            hint = ""
            if not node.op.broadcasts and d.shape in (node.shape, *node.shape):
                hint = "; if the op broadcasts its inputs as NumPy does, define it with broadcasts=True"
            raise GradientError(
                f"{rule_words(node, name)} returned shape {d.shape}, but {name} has shape {shape} (the output has "
                f"{node.shape}); a rule returns the shape of its input or one that broadcasts up to it{hint}"
            )
    if d.dtype != parent.dtype:
        if d.dtype.kind == "c" and parent.dtype.kind != "c":
            d = d.real
        d = d.astype(parent.dtype)
    return d


def parts(node: Recorded, name: str, d: object, count: int) -> Sequence[object]:
    """The gradients that a rule gave for a sequence of so many arrays."""
    if not isinstance(d, (tuple, list)) or len(d) != count:
        got = f"{len(d)} gradients" if isinstance(d, (tuple, list)) else type(d).__name__
        raise GradientError(
            f"{rule_words(node, name)} returned {got} for a sequence of {count} arrays; return a tuple with one gradient for "
            "each"
        )
    return d


def joint_entry(node: Recorded, found: Mapping[str, object], name: str) -> object:
    """What a joint rule gave for an input."""
    try:
        return found[name]
    except (KeyError, TypeError, IndexError):
        raise GradientError(
            f"the joint rule of op {node.op.name!r} gave no gradient for {name!r}, which was wanted; it returns a dict "
            "with an entry for every wanted input"
        ) from None


def rule_words(node: Recorded, name: str) -> str:
    """The words for a node's rule for one of its inputs, in errors."""
    path = node.path
    return f"the gradient rule for {name!r} of op {node.op.name!r}{' in ' + path if path else ''}"
