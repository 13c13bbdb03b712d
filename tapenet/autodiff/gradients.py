"""The gradients of one backward pass: kept by node, added up, brought to the form that each input needs, and added to
the leaves' `.grad`.
"""

from __future__ import annotations

import sys
from heapq import heappush
from typing import Any

import numpy as np

from tapenet.autodiff.node import BaseTensor, Leaf, Node, Parents, hooked_nodes
from tapenet.autodiff.state import enable_grad, local
from tapenet.locks import lock
from tapenet.ops.indexing import row_sparse
from tapenet.ops.indexing.items import Cleared
from tapenet.ops.indexing.reads import Reads
from tapenet.ops.indexing.row_sparse import RowParts
from tapenet.ops.op import FLAT, Scatter
from tapenet.ops.rule_results import parts, settle
from tapenet.ops.shapes.reshaping import copy
from tapenet.program.low import WIDE, is_low, widened
from tapenet.typing import Array

ndarray = np.ndarray


class Gradients(dict[Node, Any]):
    """The gradients known so far in one backward pass, by node.

    Whoever enters the first gradient of a node that is no leaf also enters the node into `pending`, from which the
    driver takes the latest node next: all that depend on it have been there before.
    """

    __slots__ = ("by_rows", "explained", "flat", "on_tensors", "only", "owned", "pending", "roots", "site", "tensor")

    def __init__(
        self, tensor: type[BaseTensor], on_tensors: bool, site: tuple[str, int] | None, only: set[Node] | None
    ) -> None:
        #: The nodes that the pass began from.
        self.roots: tuple[Node, ...] = ()
        #: Whether an error that ends the pass says all that a note could.
        self.explained = False
        #: Whether the gradients of large tables may be kept by rows.
        self.by_rows = False
        self.tensor = tensor
        #: The nodes to which no gradient goes from ops with derivative 0, each with such an op's node.
        self.flat: dict[Node, Node] | None = None
        #: Whether the gradients are tensors, not arrays.
        self.on_tensors = on_tensors
        #: Where this pass was started, if it releases what it uses; else None.
        self.site = site
        #: The nodes worth a gradient; None for all.
        self.only = only
        #: Nodes whose gradient array was made here, so that adding in place is safe.
        self.owned: set[Node] = set()
        #: A heap of the nodes whose rules are still to run, by falling number.
        self.pending: list[tuple[int, Node]] = []

    def first(self, node: Node, g: object) -> None:
        """Enter the first gradient of a node."""
        self[node] = g
        if type(node) is not Leaf:
            heappush(self.pending, (-node.number, node))

    def add(self, node: Node, g: Array) -> None:
        """Add to the gradient of a node."""
        have = self.get(node)
        if have is None:
            self.first(node, g)
        elif type(have) is RowParts:
            total = self[node] = have.dense()
            total += g
            self.owned.add(node)
        elif type(have) is Reads:
            have.dense = g if have.dense is None else have.dense + g
        elif node in self.owned:
            have += g
        else:
            total = have + g
            self[node] = total
            if type(total) is ndarray:
                self.owned.add(node)

    def put(self, node: Node, name: str, parent: Any, d: Any) -> None:
        """Add `d`, what the rule of `node` for its input `name` returned, to the gradient of `parent`."""
        if type(parent) is Parents:
            d = parts(node, name, d, len(parent))
            for p, each in zip(parent, d, strict=True):
                if p is not None and each is not NO_GRADIENT and (self.only is None or p in self.only):
                    self.put(node, name, p, each)
            return
        if d is FLAT:
            self.flat = self.flat or {}
            self.flat.setdefault(parent, node)
            return
        if type(d) is Scatter:
            if self.on_tensors:
                self._collect(parent, d)
                return
            if not is_low(parent.dtype):
                self._scatter(parent, d)
                return
            dense = np.zeros(parent.shape, WIDE)  # many numbers may be added
            Scatter(d.index, widened(d.g)).add_to(dense)
            d = dense
        elif type(d) is Cleared:
            index, d = d.index, d.g
            if node not in self.owned or node in hooked_nodes:
                d = np.copy(d, "K")
            d[index] = 0
            if parent not in self:
                self.owned.add(parent)
        d = settle(node, name, parent, d)
        self.add(parent, self.as_tensor(d) if self.on_tensors else d)

    def _scatter(self, parent: Node, d: Scatter) -> None:
        buffer = self.get(parent)
        if self.by_rows and (buffer is None or type(buffer) is RowParts):
            if type(parent) is Leaf and row_sparse.fits(parent.shape, parent.dtype, d):
                if buffer is None:
                    self.first(parent, RowParts(parent.shape, parent.dtype, d))
                else:
                    buffer.parts.append(d)
                return
            if buffer is not None:
                buffer = self[parent] = buffer.dense()
                self.owned.add(parent)
        if parent not in self.owned:
            have, buffer = buffer, np.zeros(parent.shape, parent.dtype)
            if have is None:
                self.first(parent, buffer)
            else:
                buffer += have
                self[parent] = buffer
            self.owned.add(parent)
        assert buffer is not None
        if d.g.dtype.kind == "c" and buffer.dtype.kind != "c":
            d = Scatter(d.index, d.g.real)
        d.add_to(buffer)

    def _collect(self, parent: Node, d: Scatter) -> None:
        have = self.get(parent)
        if type(have) is not Reads:
            reads = Reads(parent.shape, parent.dtype, have)
            if have is None:
                self.first(parent, reads)
            else:
                self[parent] = reads
            have = reads
        have.values.append(d.g.real if d.g.dtype.kind == "c" and parent.dtype.kind != "c" else d.g)
        have.indices.append(d.index)

    def as_tensor(self, g: Any) -> Any:
        """A gradient where rules run on tensors: of what was read the whole, of a rule's constant a tensor."""
        if type(g) is Reads:
            return g.total()
        return self.tensor._of(g) if type(g) is ndarray else g

    def put_output(self, source: Node, index: int, g: Array) -> None:
        """Add the gradient of one output of an op with several."""
        gs = self.get(source)
        if gs is None:
            gs = [None] * len(source.shape)
            self.first(source, gs)
        gs[index] = g if gs[index] is None else gs[index] + g

    def fill(self, node: Node, gs: Any) -> tuple[Array | None, ...]:
        """One gradient per output: zeros for the unused, or None if the op asks for that; None for those without a
        derivative."""
        if node.op.tell_unused:
            return tuple(gs)
        return tuple(
            None if i in node.op.nondiff_outputs else (np.zeros(node.shape[i], node.dtype[i]) if g is None else g)
            for i, g in enumerate(gs)
        )

    def wanted(self, node: Node, names: tuple[str, ...]) -> frozenset[str]:
        """The inputs of a node by which a gradient is needed."""
        return frozenset([n for n in names if self.wants(getattr(node, n + "_node"))])

    def wants(self, parent: object) -> bool:
        """Whether a parent slot holds a node whose gradient is needed."""
        if parent is None or self.only is None:
            return parent is not None
        if type(parent) is Parents:
            return any(p in self.only for p in parent)
        return parent in self.only


#: What a rule gives for an array of a sequence to which no gradient flows: a leaf's stays None then.
NO_GRADIENT: object = object()


def conj_cotangent(g: Any) -> Any:
    """A gradient between the form that users see and that of rules: its conjugate, where it is complex.

    For a complex z users see ∂L/∂Re z + i ∂L/∂Im z, in whose direction L grows fastest. Rules know its conjugate, for
    which dL = Re(Σ g dz): with that the rule of every function that has a complex derivative is g · f'(z), as for real
    numbers.
    """
    return np.conj(g) if g.dtype.kind == "c" else g


#: Two threads may reach the same leaf at once.
_grad_lock = lock()


def accumulate_grad(leaves: list[tuple[Any, Any]], tensor: type[BaseTensor]) -> None:
    """Add gradients to the leaves' `.grad`, all of them or, if the pass raised before, none.

    A leaf keeps an array that belongs to nobody else, and copies any other: nothing may change behind its gradient.
    References are counted for that, as NumPy does to reuse temporaries.
    """
    count = sys.getrefcount
    tape = local.state.tape
    with _grad_lock:
        while leaves:
            leaf, g = leaves.pop()
            if tape is not None:
                tape.sets_grad(leaf, adds=True)
            before = leaf.grad
            if type(g) is ndarray or (type(g) is not tensor and type(g) is not RowParts):  # some are of a subclass
                if leaf.dtype.kind == "c":
                    g = conj_cotangent(g)
                if before is None:
                    leaf.grad = kept = tensor()
                    kept._data = g if count(g) <= ONE_OWNER and owns_memory(g) else np.array(g)
                    kept._node = None
                elif before._node is not None or before._trace is not None:
                    leaf.grad = before + g
                else:
                    before._data += g
            elif type(g) is RowParts:
                rows = g.total()
                if before is None or before._rows is not None:
                    leaf.grad = kept = tensor()
                    kept._rows = rows if before is None else before._rows.joined(rows)
                    kept._node = None
                elif before._node is not None or before._trace is not None:
                    leaf.grad = before + rows.dense()
                else:
                    rows.add_to(before._data)
            else:
                g = conj_cotangent(g)
                with enable_grad():
                    if before is not None:
                        made = before + g
                        if tape is None or not tape.changes_grad(leaf, made):
                            leaf.grad = made
                    else:
                        data = g._data
                        own = count(g) <= ONE_OWNER and count(data) <= ONE_OWNER + 1 and owns_memory(data)
                        leaf.grad = g if own else copy(g)


def owns_memory(g: object) -> bool:
    """Whether an array with one owner is all there is of its memory: no view, or one whose base is nobody else's."""
    if type(g) is not ndarray or not g.flags.writeable:
        return False
    base = g.base
    return base is None or (type(base) is ndarray and base.base is None and sys.getrefcount(base) <= ONE_OWNER + 1)


def _count_one() -> int:
    fresh = np.ones(1) + 1
    return sys.getrefcount(fresh)


#: What a function counts for an array that only its own variable holds. Measured, since interpreters differ.
ONE_OWNER = _count_one()
