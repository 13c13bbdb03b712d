"""The gradients of one backward pass: kept by node, added up, brought to the form that each input needs, and added to
the leaves' `.grad`.
"""

from __future__ import annotations

import math
import sys
import threading
from heapq import heappush
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tapenet.autodiff.node import Leaf, Node, Parents
from tapenet.autodiff.observe.capture import capturing
from tapenet.autodiff.state import enable_grad, local
from tapenet.ops.indexing.items import scatter_add, scatter_sum
from tapenet.ops.indexing.sparse_rows import gathered
from tapenet.ops.op import FLAT, Scatter
from tapenet.ops.shapes.reshaping import copy, unbroadcast
from tapenet.program.low import WIDE, is_low, widened

if TYPE_CHECKING:
    from tapenet.autodiff.tensor import Tensor


#: A table has at least so many numbers, and so many times those of the rows that were read.
LARGE, SPARSE = 1 << 16, 4


def fits_rows(node: Node, part: Scatter) -> bool:
    """Whether a gradient is worth keeping by rows."""
    index = part.index
    if type(node) is not Leaf or type(index) is not np.ndarray or index.dtype.kind not in "iu" or len(node.shape) < 2:
        return False
    size = math.prod(node.shape)
    row = size // max(node.shape[0], 1)
    return (
        node.dtype.char in "fd"
        and size >= LARGE
        and index.size * row * SPARSE <= size
        and part.g.shape == (*index.shape, *node.shape[1:])
    )


class RowSparse(NamedTuple):
    """The gradient of a table: the rows that have one, each once, and it as (rows, width)."""

    shape: tuple[int, ...]
    rows: Any
    values: Any

    def dense(self) -> Any:
        """It as an array of the table's shape."""
        found = np.zeros(self.shape, self.values.dtype)
        found.reshape(self.shape[0], -1)[self.rows] = self.values
        return found

    def add_to(self, array: Any) -> None:
        """Add it to an array of the table's shape, in place."""
        array[self.rows] += self.values.reshape(-1, *self.shape[1:])

    def joined(self, other: RowSparse) -> RowSparse:
        """The sum with another gradient of the same table."""
        rows, values = (np.concatenate(pair) for pair in zip(self[1:], other[1:], strict=True))
        return RowSparse(self.shape, *gathered(rows, values, self.shape[0]))


class RowParts:
    """What came to a leaf in a pass so far, lookup by lookup."""

    __slots__ = ("node", "parts")

    def __init__(self, node: Node, part: Scatter) -> None:
        self.node = node
        self.parts = [part]

    def dense(self) -> Any:
        """All of it as a new array."""
        found = np.zeros(self.node.shape, self.node.dtype)
        for part in self.parts:
            part.add_to(found)
        return found

    def total(self) -> RowSparse:
        """All of it by rows, in arrays of its own."""
        shape = self.node.shape
        indices = [part.index.reshape(-1) for part in self.parts]
        width = math.prod(shape[1:])
        values = [part.g.reshape(len(i), width) for part, i in zip(self.parts, indices, strict=True)]
        if len(self.parts) > 1:
            indices, values = [np.concatenate(indices)], [np.concatenate(values)]
        dtype = self.node.dtype
        return RowSparse(shape, *gathered(indices[0], values[0].astype(dtype, copy=False), shape[0]))


ndarray = np.ndarray


class GradientError(RuntimeError):
    """A gradient rule gave something that cannot be the gradient of its input."""


class Reads:
    """The gradient of a node from its parts that were read, where rules run on tensors: one array for all of them, made
    when there will be no more, in place of one for each."""

    __slots__ = ("dense", "indices", "node", "values")

    def __init__(self, node: Node, dense: Any) -> None:
        self.node = node
        #: What came to the whole node, if anything.
        self.dense = dense
        self.values: list[Any] = []
        self.indices: list[Any] = []

    def total(self) -> Any:
        """The gradient."""
        shape = self.node.shape
        if len(self.values) == 1:
            found = scatter_add(self.values[0], self.indices[0], shape)
        else:
            found = scatter_sum(self.values, self.indices, shape)
        found = found if found.dtype == self.node.dtype else found.astype(self.node.dtype)
        return found if self.dense is None else self.dense + found


class Gradients(dict[Node, Any]):
    """The gradients known so far in one backward pass, by node.

    Whoever enters the first gradient of a node that is no leaf also enters the node into `pending`, from which the
    driver takes the latest node next: all that depend on it have been there before.
    """

    __slots__ = ("by_rows", "flat", "on_tensors", "only", "owned", "pending", "site", "tensor")

    def __init__(
        self, tensor: type[Tensor], on_tensors: bool, site: tuple[str, int] | None, only: set[Node] | None
    ) -> None:
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

    def first(self, node: Node, g: Any) -> None:
        """Enter the first gradient of a node."""
        self[node] = g
        if type(node) is not Leaf:
            heappush(self.pending, (-node.number, node))

    def add(self, node: Node, g: Any) -> None:
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
            if not isinstance(d, (tuple, list)) or len(d) != len(parent):
                got = f"{len(d)} gradients" if isinstance(d, (tuple, list)) else type(d).__name__
                raise GradientError(
                    f"{rule_words(node, name)} returned {got} for a sequence of {len(parent)} arrays; return a tuple with "
                    "one gradient for each"
                )
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
        d = settle(node, name, parent, d)
        if self.on_tensors and type(d) is not self.tensor:
            d = self.tensor._of(np.asarray(d))  # a rule's constant
        self.add(parent, d)

    def _scatter(self, parent: Node, d: Scatter) -> None:
        buffer = self.get(parent)
        if self.by_rows and (buffer is None or type(buffer) is RowParts):
            if fits_rows(parent, d):
                if buffer is None:
                    self.first(parent, RowParts(parent, d))
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
        if d.g.dtype.kind == "c" and buffer.dtype.kind == "f":
            d = Scatter(d.index, d.g.real)
        d.add_to(buffer)

    def _collect(self, parent: Node, d: Scatter) -> None:
        have = self.get(parent)
        if type(have) is not Reads:
            reads = Reads(parent, have)
            if have is None:
                self.first(parent, reads)
            else:
                self[parent] = reads
            have = reads
        have.values.append(d.g.real if d.g.dtype.kind == "c" and parent.dtype.kind == "f" else d.g)
        have.indices.append(d.index)

    def put_output(self, source: Node, index: int, g: Any) -> None:
        """Add the gradient of one output of an op with several."""
        gs = self.get(source)
        if gs is None:
            gs = [None] * len(source.shape)
            self.first(source, gs)
        gs[index] = g if gs[index] is None else gs[index] + g

    def fill(self, node: Node, gs: list[Any]) -> tuple[Any, ...]:
        """One gradient per output: zeros for the unused, or None if the op asks for that; None for those without a
        derivative."""
        if node.op.tell_unused:
            return tuple(gs)
        return tuple(
            None if i in node.op.nondiff_outputs else (np.zeros(node.shape[i], node.dtype[i]) if g is None else g)
            for i, g in enumerate(gs)
        )

    def wants(self, parent: Any) -> bool:
        """Whether a parent slot holds a node whose gradient is needed."""
        if parent is None or self.only is None:
            return parent is not None
        if type(parent) is Parents:
            return any(p in self.only for p in parent)
        return parent in self.only


#: What a rule gives for an array of a sequence to which no gradient flows: a leaf's stays None then.
NO_GRADIENT: Any = object()


def conj_cotangent(g: Any) -> Any:
    """A gradient between the form that users see and that of rules: its conjugate, where it is complex.

    For a complex z users see ∂L/∂Re z + i ∂L/∂Im z, in whose direction L grows fastest. Rules know its conjugate, for
    which dL = Re(Σ g dz): with that the rule of every function that has a complex derivative is g · f'(z), as for real
    numbers.
    """
    return np.conj(g) if g.dtype.kind == "c" else g


def settle(node: Node, name: str, parent: Node, d: Any) -> Any:
    """Bring what a rule returned to the shape and dtype of its input, or say what is wrong with it."""
    if d is None:
        raise GradientError(f"{rule_words(node, name)} returned None; return an array, or declare {name!r} in nondiff=")
    if not hasattr(d, "dtype"):
        d = np.asarray(d)
    shape = parent.shape
    if d.shape != shape:
        if node.op.broadcasts and d.shape in (node.shape, *node.shape):  # of the output, or of one of several
            d = unbroadcast(d, shape)
        elif _broadcasts_to(d.shape, shape):
            d = stretch(d, shape) if type(d) is ndarray or isinstance(d, np.generic) else np.broadcast_to(d, shape)
        else:
            hint = ""
            if not node.op.broadcasts and d.shape in (node.shape, *node.shape):
                hint = "; if the op broadcasts its inputs as NumPy does, define it with broadcasts=True"
            raise GradientError(
                f"{rule_words(node, name)} returned shape {d.shape}, but {name} has shape {shape} (the output has "
                f"{node.shape}); a rule returns the shape of its input or one that broadcasts up to it{hint}"
            )
    if d.dtype != parent.dtype:
        if d.dtype.kind == "c" and parent.dtype.kind == "f":
            d = d.real
        d = d.astype(parent.dtype)
    return d


def stretch(d: Any, shape: tuple[int, ...]) -> Any:
    """`np.broadcast_to` at a tenth of its cost: a read-only view that repeats `d` by strides of 0."""
    d = np.asarray(d)
    if not d.flags.c_contiguous:  # not to be had as one run of bytes
        return np.broadcast_to(d, shape)
    lead = len(shape) - d.ndim
    strides = (0,) * lead + tuple(0 if n == 1 else s for n, s in zip(d.shape, d.strides, strict=True))
    view: Any = np.ndarray(shape, d.dtype, d, 0, strides)
    view.setflags(write=False)
    return view


def _broadcasts_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    if len(shape) > len(target):
        return False
    return all(a == b or a == 1 for a, b in zip(shape[::-1], target[::-1], strict=False))


def rule_words(node: Node, name: str) -> str:
    """The words for a node's rule for one of its inputs, in errors."""
    path = node.path
    return f"the gradient rule for {name!r} of op {node.name!r}{' in ' + path if path else ''}"


#: Two threads may reach the same leaf at once.
_grad_lock = threading.Lock()


def accumulate_grad(leaves: list[tuple[Any, Any]], tensor: type[Tensor]) -> None:
    """Add gradients to the leaves' `.grad`, all of them or, if the pass raised before, none.

    A leaf keeps an array that belongs to nobody else, and copies any other: nothing may change behind its gradient.
    References are counted for that, as NumPy does to reuse temporaries.
    """
    count = sys.getrefcount
    tape = local.state.tape
    with _grad_lock:
        while leaves:
            leaf, g = leaves.pop()
            if tape is not None and not tape.captures:
                tape.sets_grad(leaf, adds=True)
            before = leaf.grad
            if type(g) is RowParts:
                found = g.total()
                if before is not None and before._rows is None and before._node is None and before._trace is None:
                    found.add_to(before._data)
                elif before is None or before._rows is not None:
                    kept = leaf.grad = tensor()
                    kept._rows = found if before is None else before._rows.joined(found)
                    kept._node = None
                else:
                    leaf.grad = before + found.dense()
                continue
            if leaf.dtype.kind == "c":
                g = conj_cotangent(g)
            if type(g) is tensor:
                capture = capturing()
                if capture is not None:
                    capture.sets_grad(leaf, adds=True)
                with enable_grad():
                    if before is not None:
                        kept = before + g
                    else:
                        data = g._data
                        own = count(g) <= _ONE_OWNER and count(data) <= _ONE_OWNER + 1 and _whole(data)
                        kept = g if own else copy(g)
            elif before is None:
                kept = tensor()
                kept._data = g if count(g) <= _ONE_OWNER and _whole(g) else np.array(g)
                kept._node = None
            elif before._node is None and before._trace is None:
                before._data += g
                continue
            else:
                kept = before + g
            leaf.grad = kept


def _whole(g: Any) -> bool:
    """Whether an array with one owner is all there is of its memory: no view, or one whose base is nobody else's."""
    if type(g) is not ndarray or not g.flags.writeable:
        return False
    base = g.base
    return base is None or (type(base) is ndarray and base.base is None and sys.getrefcount(base) <= _ONE_OWNER + 1)


def _count_one() -> int:
    fresh = np.ones(1) + 1
    return sys.getrefcount(fresh)


#: What a function counts for an array that only its own variable holds. Measured, since interpreters differ.
_ONE_OWNER = _count_one()
