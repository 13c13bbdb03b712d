"""Statistics of activations and gradients, taken as these are made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from tapenet.autodiff.gradients import Gradients
from tapenet.autodiff.node import BaseTensor, Leaf, Node
from tapenet.autodiff.observe import anomaly
from tapenet.autodiff.observe.layer import CallStep, Layer, PullStep
from tapenet.autodiff.record import Call
from tapenet.typing import Array


class Stats(NamedTuple):
    """What an array, or several, hold. Nan and infinity are counted and left out of all the rest but `zeros`.

    Attributes:
        mean, std: of the elements; of their absolute values if these are complex.
        absmax: the largest absolute value.
        zeros: which part of the elements is 0, from 0 to 1.
        nans, infs: how many elements are nan, or infinite.
        norm: the square root of the sum of squares.
        masked: how many of the infinite ones are -inf, as masks write it.
    """

    mean: float
    std: float
    absmax: float
    zeros: float
    nans: int
    infs: int
    norm: float
    masked: int = 0

    @property
    def finite(self) -> bool:
        """Whether there is neither nan nor infinity."""
        return not self.nans and not self.infs


def stats(arrays: Iterable[Array]) -> Stats:
    """The statistics of all elements of some arrays, in double precision."""
    parts = [np.asarray(a).reshape(-1) for a in arrays]
    flat = parts[0] if len(parts) == 1 else np.concatenate([np.empty(0), *parts])
    if flat.dtype.kind == "c":
        flat = np.abs(flat)
    size = flat.size
    zeros = (size - int(np.count_nonzero(flat))) / size if size else 0.0
    nans = int(np.count_nonzero(np.isnan(flat)))
    infs = int(np.count_nonzero(np.isinf(flat)))
    masked = int(np.count_nonzero(flat == -np.inf)) if infs else 0
    if nans or infs:
        flat = flat[np.isfinite(flat)]
    if not flat.size:
        return Stats(0.0, 0.0, 0.0, zeros, nans, infs, 0.0, masked)
    values = flat.astype(np.float64)
    absmax = float(np.max(np.abs(values)))
    # The squares of very large numbers are infinite.
    norm = absmax * math.sqrt(float(np.sum((values / absmax) ** 2))) if absmax else 0.0
    return Stats(float(np.mean(values)), float(np.std(values)), absmax, zeros, nans, infs, norm, masked)


class Seen:
    """What was seen in one block."""

    def __init__(self) -> None:
        #: Of each op that ran, in order: the statistics of its outputs, and what nan or infinity was born there.
        self.outputs: list[tuple[Stats, str | None]] = []
        #: Of each node that a backward pass came to, by number: the gradient of its output.
        self.gradients: dict[int, Stats] = {}
        #: By number of the node, what nan or infinity its rules made.
        self.born: dict[int, str] = {}
        #: The gradients of leaves, by number.
        self.leaves: dict[int, Stats] = {}


class Values(Layer):
    """Looks at each value that the recorder and the driver come across."""

    rank = 3
    looks = True

    def __init__(self) -> None:
        self.blocks: list[Seen] = []

    def begin(self) -> None:
        """A block begins."""
        self.blocks.append(Seen())

    def call(self, step: CallStep) -> CallStep:
        """Look at what an op made, and whether anything in it was made from nothing of the kind."""

        def looked(call: Call) -> object:
            result = step(call)
            if call.arrays:
                outputs = call.arrays[: call.count]
                with np.errstate(all="ignore"):
                    found = stats(outputs)
                    born = None
                    if not found.finite:
                        born = anomaly.born([call.raw[name] for name in call.op.inputs], outputs)
                self.blocks[-1].outputs.append((found, born))
            return result

        return looked

    def pull(self, step: PullStep) -> PullStep:
        """Look at the gradient of a node's output, and at what the rules made of it."""

        def looked(node: Node, g: Array, grads: Gradients) -> None:
            arrays = _arrays(g)
            self.blocks[-1].gradients[node.number] = stats(arrays)
            given = [*arrays, *(getattr(node, slot, None) for slot in node.saved_slots)]
            bad = {p for p in node.parents if not _finite(grads.get(p))}
            step(node, g, grads)
            for parent in node.parents:
                if parent in grads and parent not in bad:
                    what = anomaly.born(given, _arrays(grads[parent]))
                    if what is not None:
                        self.blocks[-1].born.setdefault(node.number, what)

        return looked

    def leaves(self, gradients: list[tuple[Node, Array]]) -> None:
        """Look at the gradients of leaves, as they will be."""
        for leaf, g in gradients:
            if isinstance(leaf, Leaf):
                (array,) = _arrays(g)
                before = leaf.grad
                self.blocks[-1].leaves[leaf.number] = stats([array if before is None else before._data + array])


def _arrays(g: object) -> list[Array]:
    """The arrays of a gradient: an array, a tensor, or a list of these and None."""
    if isinstance(g, list):
        return [a for part in g if part is not None for a in _arrays(part)]
    return [g._data if isinstance(g, BaseTensor) else np.asarray(g)]


def _finite(g: object) -> bool:
    """Whether a gradient, if there is one, holds neither nan nor infinity."""
    return g is None or all(bool(np.isfinite(array).all()) for array in _arrays(g))
