"""Inputs whose whole gradient is lost in ops with derivative 0, such as `sign`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tapenet.autodiff.gradients import Gradients
from tapenet.autodiff.node import Leaf, Node
from tapenet.ops.stack_frames import warn_once

#: Nodes to which no gradient came, each with the op of derivative 0 in which the whole of it was lost.
Lost = list[tuple[Node, Node]]


def add(grads: Gradients, leaves: list[tuple[Node, object]], ends: set[Node] | None) -> Lost:
    """The leaves (or nodes of `ends`) whose whole gradient was lost in ops with derivative 0. Adds zeros for leaves."""
    useful, site = grads.only, grads.site
    found = {leaf for leaf, _ in leaves}
    lost: dict[Node, Node] = {}
    by = dict(grads.flat or {})
    stack = list(by)
    ends_here: Callable[[Node], bool] = (lambda node: type(node) is Leaf) if ends is None else ends.__contains__
    for node in stack:  # grows while it is walked over
        if ends_here(node):
            if node not in found:
                lost[node] = by[node]
        elif site is None or node.released is not site:  # else the pass has been there
            for parent in node.parents:
                if parent not in by and (useful is None or parent in useful):
                    by[parent] = by[node]
                    stack.append(parent)
    for leaf in lost:
        if type(leaf) is Leaf:
            zeros = np.zeros(leaf.shape, leaf.dtype)
            zeros.flags.writeable = not grads.on_tensors  # of tensors the leaf keeps a copy
            leaves.append((leaf, grads.tensor._of(zeros) if grads.on_tensors else zeros))
            del zeros  # who refers to it is counted
    return list(lost.items())


def warn(lost: Lost) -> None:
    """Warn of inputs whose whole gradient was lost in ops with derivative 0."""
    for node, at in lost:
        path, line = at.path, at.line
        warn_once(
            f"flat {at.name}",
            f"the whole gradient by an input ({node.spec}) is 0, since it is lost in op {at.name!r}"
            + (f" in {path}" if path else "")
            + (f", recorded at {line}" if line else "")
            + ": its derivative is 0 wherever it has one. Choose a function with a slope; or keep this one, f, and let the "
            "gradient pass it by: x + tn.stop_gradient(f(x) - x)",
        )
