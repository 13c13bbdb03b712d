"""What is recorded: a node for each call of an op, and the scope that it was made in.

Ownership runs output -> node -> parents, so a graph lives exactly as long as somebody holds its outputs. A node knows
nothing of its consumers and nothing of the tensors that hold it, so there are no reference cycles.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, Self, TypeAlias, TypeVar
from weakref import ref

import numpy as np

from tapenet.ops.op import Op
from tapenet.program.arguments import elements
from tapenet.typing import Array, DType, Shape

if TYPE_CHECKING:
    from tapenet.ops.indexing.row_sparse import RowSparse

T = TypeVar("T")

#: One counter for the whole process: creation order is a topological order, and a write is later than a node
#: exactly when its number is higher.
next_number: Callable[[], int] = itertools.count(1).__next__


class Owner(Protocol):
    """A module that is called, as far as scopes know it."""

    def named_modules(self) -> Iterable[tuple[str, object]]: ...


class Scope:
    """Where a node was made: a module's call inside another's. The module is held weakly.

    Later calls in the same place have the same scope, but for a call right after another, which has the one that is
    `again`: so a graph tells two calls from one.
    """

    __slots__ = ("again", "owner", "parent", "tape", "title")

    again: Scope | None

    #: Inside a scoped tape a weak reference to that, since its nodes hold this.
    tape: weakref.ref[object] | None

    def __init__(self, owner: Owner | None, parent: Scope | None, tape: object = None) -> None:
        self.owner: weakref.ref[Any] | None = None if owner is None else weakref.ref(owner)
        self.title = "" if owner is None else type(owner).__name__
        self.parent = parent
        self.again = None
        if tape is None:
            self.tape = None if parent is None else parent.tape
        else:
            self.tape = weakref.ref(tape)

    @property
    def root(self) -> Scope:
        """The outermost scope, of which each thread has one."""
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    @property
    def modules(self) -> list[Any]:
        """The modules from the outermost to this one that are still alive."""
        found = []
        scope: Scope | None = self
        while scope is not None:
            owner = scope.owner() if scope.owner is not None else None
            if owner is not None:
                found.append(owner)
            scope = scope.parent
        return found[::-1]

    @property
    def path(self) -> str:
        """Dotted path such as `encoder.layers.3.attention`, relative to the outermost module."""
        names = []
        modules = self.modules
        for outer, inner in itertools.pairwise(modules):
            name = next((n for n, m in outer.named_modules() if m is inner), type(inner).__name__)
            names.append(name)
        return ".".join(n for n in names if n)


class BaseTensor:
    """What a tensor holds. `Tensor`, the one type made of it, has all that can be done with it."""

    __slots__ = ("__weakref__", "_alias", "_data", "_grad", "_kind", "_node", "_rows", "_trace")

    _data: Array
    #: The node that made it, where a gradient flows; and on a tape that records everything.
    _node: Node | None
    _trace: Node | None
    #: The gradient of a tensor inside the graph, kept after `retain_grad()`.
    _grad: BaseTensor | None
    #: Of a gradient: that by rows, until somebody asks for the array.
    _rows: RowSparse | None
    #: "parameter" or "buffer": marks of `nn`, not types, so that ops meet one exact type. A word may stand before them:
    #: "passing" of what is in no state dict, "lazy" of what has no shape yet.
    _kind: str | None
    #: How it shares memory with others, while a lifted function runs.
    _alias: Any

    @classmethod
    def _of(cls, data: Array, node: Node | None = None, trace: Node | None = None) -> Self:
        """A tensor around an array, without a copy."""
        made = cls()
        made._data = data
        made._node = node
        if trace is not None:
            made._trace = trace
        return made


# -- shapes and constants, of which one is kept for all that are equal, or of one array --------------------------


class Constant(NamedTuple):
    """Stands for an array that entered an op without needing a gradient: its shape and dtype, by which it is compared.

    `array` refers to it weakly. All references to an array are the same object, so two uses of one can be told from uses of
    two, even when the array is gone.
    """

    shape: Shape
    dtype: DType
    array: weakref.ref[Array]

    def __eq__(self, other: object) -> bool:
        return type(other) is Constant and self[:2] == other[:2]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:2])

    def __deepcopy__(self, memo: object) -> Constant:
        return self  # as references


#: A node keeps the shape of its output. Shapes repeat, so one tuple per distinct shape is kept: less memory, and one
#: object less for the collector to walk at each of its passes.
SHAPES: dict[Any, Any] = {}
_INTERN_LIMIT = 4096


def intern_shape(shape: T) -> T:
    """The one tuple kept for this shape (or these shapes, dtypes). Forgets all when there are too many
    to be worth keeping."""
    if len(SHAPES) >= _INTERN_LIMIT:
        SHAPES.clear()
    found: T = SHAPES.setdefault(shape, shape)
    return found


def constant(value: object) -> object:
    """What a node remembers of an argument without gradient: plain values as they are, arrays as `Constant`."""
    if type(value) is np.ndarray:
        shape = value.shape
        # A third of the time that Constant(...) takes.
        return tuple.__new__(Constant, (SHAPES.get(shape) or intern_shape(shape), value.dtype, ref(value)))
    if not isinstance(value, (list, tuple)):
        return value
    parts = tuple([constant(v) for v in value])
    return parts if Constant in map(type, parts) else value


def described(shape: Shape, dtype: DType) -> object:
    """What a node would remember of an array of this kind."""
    return constant(np.broadcast_to(np.empty((), dtype), shape))


#: What is given the gradient, a tensor, and may return another.
Hook: TypeAlias = Callable[[Any], object]

# -- nodes -------------------------------------------------------------------------------------------------------


class Traced(NamedTuple):
    """A tensor as it entered an op while everything was being recorded.

    `node` is what produced it then (None for a tensor from outside the tape) and `data` its value; the tensor
    itself may since have been rebound by item assignment.
    """

    tensor: Any
    node: Node | None
    data: Array


class Parents(list["Node | None"]):
    """The parents of a sequence argument, such as `concatenate`'s. Has no shape of its own."""

    # A list, since a subclass of tuple has no slots: its dict would be one more object for the collector.
    __slots__ = ("constants",)
    __hash__ = object.__hash__  # type: ignore[assignment]  # a list has none
    shape = None
    dtype = None
    #: What stands at each position that has no parent; empty where all have one.
    constants: Any


class Node:
    """One recorded operation.

    Each op has its own subclass, generated by `generate`, with a slot per parent, per saved value and per
    option. `released` is None until a backward pass has used the saved arrays up; then it says where that was.
    """

    # Few slots: at a million nodes the collector's passes over them are a third of the time (`tests.benchmarks.chain`).
    __slots__ = ("__weakref__", "dtype", "hooks", "number", "released", "scope", "shape")

    op: Op
    number: int
    scope: Scope
    shape: Any
    dtype: Any
    released: tuple[str, int] | None
    #: What is called with its gradient, by a number for each; not set before there is any. Kept here, and not in a table
    #: beside, since a hook may refer to the node.
    hooks: dict[int, Hook]
    #: Every argument by name, tensors as `Traced`; only where everything is recorded (a scoped tape, capture). And where
    #: the user called the op; only in debug mode. Slots of a subclass.
    call: dict[str, Any] | None = None
    line: str | None = None

    #: Has a node save what its rules need; each generated subclass has its own.
    save: ClassVar[Callable[..., None]]

    #: Whether any node ever had a gradient hook.
    hooked = False
    #: Set on each generated subclass: the names of its arguments.
    input_names: tuple[str, ...] = ()
    option_names: tuple[str, ...] = ()
    saved_slots: tuple[str, ...] = ()

    def pull(self, g: Array, grads: Any) -> None:
        """Add to `grads` what `g`, the gradient by this node's output, gives each parent. Each subclass has its own."""
        raise NotImplementedError

    def note(self, **slots: object) -> None:
        """Set slots of a subclass that says more: `call`, `line`."""
        for name, value in slots.items():
            setattr(self, name, value)

    @property
    def name(self) -> str:
        return self.op.name

    @property
    def path(self) -> str:
        """Dotted path of the module that was running, "" outside modules."""
        return self.scope.path

    @property
    def parents(self) -> tuple[Node, ...]:
        """The nodes this one's gradient flows to, in the order of its arguments."""
        found: list[Node] = []
        for name in self.input_names:
            parent = getattr(self, name + "_node", None)
            if isinstance(parent, Parents):
                found.extend(p for p in parent if p is not None)
            elif parent is not None:
                found.append(parent)
        return tuple(found)

    @property
    def inputs(self) -> dict[str, Any]:
        """Each array argument by name: a Node, a `Constant`, a plain value, or a list of these for a sequence.
        On a tape that records everything, tensors from outside it are `Traced`."""
        return {name: self._input(name) for name in self.input_names}

    def _input(self, name: str) -> object:
        call = self.call
        if call is not None:
            return _described(call[name])
        parent = getattr(self, name + "_node", None)
        if isinstance(parent, Parents):
            return [c if p is None else p for p, c in zip(parent, parent.constants or parent, strict=True)]
        return getattr(self, name + "_const", None) if parent is None else parent

    @property
    def options(self) -> dict[str, object]:
        """The op's other arguments by name."""
        call = self.call
        if call is not None:
            return {n: call[n] for n in self.option_names}
        return {n: getattr(self, n + "_option", None) for n in self.option_names}

    def __repr__(self) -> str:
        path = self.path
        return f"<node {self.number} {self.name}{' in ' + path if path else ''}: {self.spec}>"

    @property
    def spec(self) -> str:
        """Dtype and shape of the output, as text."""
        if isinstance(self.dtype, tuple):
            return ", ".join(f"{d} {s}" for d, s in zip(self.dtype, self.shape, strict=True))
        return f"{self.dtype} {self.shape}"


def _described(value: object) -> object:
    if isinstance(value, Traced):
        return value if value.node is None else value.node
    if isinstance(value, (list, tuple)) and any(isinstance(v, Traced) for v in elements(value, Traced)):
        return [_described(v) for v in value]
    return constant(value)


_leaf_op = Op(lambda: None, name="leaf", rules={}, module=__name__)
_output_op = Op(
    lambda source, index: source[index], name="output", rules={}, nondiff=frozenset({"source"}), module=__name__
)


class Leaf(Node):
    """A tensor whose gradient the user wants. Holds the gradient, not the tensor."""

    __slots__ = ("argument", "grad")

    op = _leaf_op
    grad: Any
    #: Whether it is an argument of a function that is being differentiated. The handle is the function's alone, which may
    #: let it stand for another value.
    argument: bool

    def __init__(self, data: Array, scope: Scope) -> None:
        self.number = next_number()
        self.scope = scope
        self.shape = data.shape
        self.dtype = data.dtype
        self.released = None
        self.grad = None
        self.argument = False


class Output(Node):
    """One result of an op with several. Its source collects the gradients of all of them."""

    __slots__ = ("index", "source_node")

    op = _output_op
    input_names = ("source",)
    option_names = ("index",)
    source_node: Node
    index: int

    def __init__(self, source: Node, index: int, data: Array) -> None:
        self.number = next_number()
        self.scope = source.scope
        shape = data.shape
        self.shape = SHAPES.get(shape) or intern_shape(shape)
        self.dtype = data.dtype
        self.released = None
        self.source_node = source
        self.index = index

    @property
    def options(self) -> dict[str, object]:
        return {"index": self.index}

    def _input(self, name: str) -> object:
        return self.source_node

    def pull(self, g: Array, grads: Any) -> None:
        grads.put_output(self.source_node, self.index, g)
        self.released = grads.site


#: The nodes with gradient hooks; a hook takes the gradient and may return another.
hooked_nodes: weakref.WeakSet[Node] = weakref.WeakSet()


def add_hook(node: Node, key: int, hook: Hook) -> None:
    """Have `hook` called with the gradient of a node's output."""
    Node.hooked = True
    node.hooks = {**hooks_of(node), key: hook}
    hooked_nodes.add(node)


def hooks_of(node: Node) -> dict[int, Hook]:
    """A node's gradient hooks, in order."""
    return getattr(node, "hooks", {})


def remove_hook(node: Node, key: int) -> None:
    """Have a hook called no more. The last one takes the node's entry along: a pass is quick where there is none."""
    node.hooks = {k: hook for k, hook in hooks_of(node).items() if k != key}
    if not node.hooks:
        hooked_nodes.discard(node)
