"""From what was recorded to a drawing of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tapenet.autodiff.tape import Constant, Leaf, Node, Nodes, Output, Scope, Traced
from tapenet.autodiff.tensor import Tensor
from tapenet.drawing.model import Cluster, Drawing, Edge, Kind, Value, Vertex

#: Argument names that say nothing about what is passed.
_PLAIN_NAMES = frozenset({"array", "arrays", "ary", "input", "inputs", "args"})
_UNKNOWN = "·"
#: How many elements of a list or tuple a label shows.
_SHOWN = 6


def build(x: Any) -> Drawing:
    """The drawing of the graph behind a tensor, several in a tuple, list or dict, or of the nodes of a tape.

    A tensor's graph is everything it was computed from, so far as that was recorded; it is all there after
    `backward()` too. Tensors that need a gradient, and all tensors on a `tn.Tape()`, are drawn once. Another
    array is drawn anew at each use, as only its shape is recorded and two uses may be of two arrays.

    Raises:
        TypeError: `x` is none of these.
        ValueError: nothing was recorded.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> [vertex.title for vertex in build((x * 2).sum()).vertices]
    ['tensor', '× 2', 'sum', 'output']
    """
    if isinstance(x, Nodes):
        return _of_tape(x)
    results = _results(x)
    ops = _reachable([node for _, node in results])
    builder = _Builder(ops)
    for name, node in results:
        builder.output(name, node)
    return builder.drawing


# -- what to draw --------------------------------------------------------------------------------------------


def _results(x: Any) -> list[tuple[str, Node]]:
    """The nodes to draw up to, with what to call their results."""
    if isinstance(x, dict):
        named = [(str(key), f"x[{key!r}]", value) for key, value in x.items()]
    elif isinstance(x, (tuple, list)):
        names = ["output"] if len(x) == 1 else [f"output {i}" for i in range(len(x))]
        named = [(name, f"x[{i}]", value) for i, (name, value) in enumerate(zip(names, x, strict=True))]
    else:
        named = [("output", "x", x)]
    if not named:
        raise ValueError(f"draw: there is nothing in the {type(x).__name__}; give at least one tensor")
    results = []
    for name, place, value in named:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"draw: {place} is of type {type(value).__name__}; give a tensor, a tuple, list or dict of "
                "tensors, or a tape. To draw a model or a function, call it and give what it returns"
            )
        node = value.node
        if node is None or type(node) is Leaf:
            why = "nothing was recorded that leads to it" if node is None else "it was made by no op"
            raise ValueError(
                f"draw: {place}, a tensor of {_value(value)}, has no graph: {why}. Compute it from a tensor "
                "with requires_grad=True (a model's parameters have it) and outside no_grad, or inside `with "
                "tn.Tape() as tape:`, which records every op. The graph of a gradient needs "
                "backward(create_graph=True)"
            )
        results.append((name, node))
    return results


def _reachable(roots: list[Node]) -> list[Node]:
    """Every op that the roots depend on, in order of creation."""
    stack = [_made(root)[0] for root in roots]
    seen = set(stack)
    while stack:
        for _, value in _arguments(stack.pop()):
            if isinstance(value, Node):
                source = _made(value)[0]
                if source not in seen and type(source) is not Leaf:
                    seen.add(source)
                    stack.append(source)
    return sorted(seen, key=lambda node: node.number)


def _of_tape(tape: Nodes) -> Drawing:
    nodes = list(tape)
    ops = [node for node in nodes if type(node) not in (Leaf, Output)]
    if not ops:
        raise ValueError(
            f"draw: the {type(tape).__name__} holds no nodes; compute something with tensors while it records"
        )
    builder = _Builder(ops)
    used = {edge.tail for edge in builder.drawing.edges}
    for node in nodes:
        source, index = _made(node)
        if source.op.outputs == 1:
            result = index is None  # else a residual
        else:  # the node of such an op stands in the tape, and then each of its results
            result = index is not None and index < len(source.shape)
        if result and not source.op.effect and builder.vertices.get(source) not in used:
            builder.output("output", node)
    return builder.drawing


def _arguments(node: Node) -> Iterator[tuple[str, Any]]:
    """The arguments of an op that may be arrays, the elements of a sequence one by one."""
    for name, value in node.inputs.items():
        if _holds_arrays(value):
            for i, element in enumerate(value):
                yield f"{name}[{i}]", _origin(node, element)
        else:
            yield name, _origin(node, value)
    for name, value in node.options.items():
        if isinstance(value, Traced):
            yield name, _origin(node, value)


def _origin(user: Node, value: Any) -> Any:
    """A tensor from outside a tape as the node that made it, where one did."""
    if isinstance(value, Traced):
        node = value.tensor.node if value.node is None else value.node
        # A later node is of another value, which the tensor was given after this use.
        if node is not None and node.number < user.number:
            return node
    return value


def _made(node: Node) -> tuple[Node, int | None]:
    """The op (or leaf) that made a value, and which of its results it is (None: its only one)."""
    return (node.source_node, node.index) if isinstance(node, Output) else (node, None)


# -- modules -------------------------------------------------------------------------------------------------


class _Held(NamedTuple):
    """How to draw a parameter or buffer that a module holds."""

    kind: Kind
    title: str
    path: str
    cluster: int


class _Call(NamedTuple):
    """A module running: its scope, and itself if it is still alive."""

    scope: Scope
    module: Any

    @property
    def of(self) -> Any:
        """Whose call it is."""
        return self.scope if self.module is None else self.module

    @property
    def title(self) -> str:
        return self.scope.title


class _Modules:
    """The calls of modules that ops were made in, as clusters, and what these modules hold, by name.

    Ops that follow each other in a module make one cluster; a module called again later makes another, so
    that clusters are as free of circles as ops are. Modules are known weakly: one that is gone has no names.
    """

    def __init__(self, ops: list[Node]) -> None:
        self.clusters: list[Cluster] = []
        self.around: dict[Node, int | None] = {}
        self.held: dict[Any, _Held] = {}
        self._first: dict[int, int] = {}  # by id of a module: its first cluster
        self._names: dict[int, dict[int, str]] = {}  # by id of a module: the names of those in it, by id
        self._counts: dict[int, int] = {}
        outermost: dict[int, Any] = {}
        chains: dict[Scope, list[_Call]] = {}
        running: list[_Call] = []
        inside: list[int] = []
        for node in ops:
            chain = chains.get(node.scope)
            if chain is None:
                chain = chains[node.scope] = _chain(node.scope)
            same = 0
            while same < min(len(chain), len(running)) and chain[same].of is running[same].of:
                same += 1
            del inside[same:]
            for level in range(same, len(chain)):
                call = chain[level]
                if level == 0 and call.module is not None:
                    outermost[id(call.module)] = call.module
                self._enter(call, chain[level - 1].module if level else None, inside[-1] if inside else None)
                inside.append(len(self.clusters) - 1)
            running = chain
            self.around[node] = inside[-1] if inside else None
        for module in outermost.values():
            self._hold(module)

    def _enter(self, call: _Call, outer: Any, parent: int | None) -> None:
        """Add the cluster of a call."""
        module = call.module
        name = path = ""
        depth = 0
        if parent is not None:
            if module is not None and outer is not None:
                name = self._names_in(outer).get(id(module), "")
            path = ".".join(part for part in (self.clusters[parent].path, name) if part)
            depth = self.clusters[parent].depth + 1
        count = 0
        if module is not None:
            self._first.setdefault(id(module), len(self.clusters))
            if id(module) not in self._counts:
                self._counts[id(module)] = sum({id(p): p.size for _, p in module.named_parameters()}.values())
            count = self._counts[id(module)]
        self.clusters.append(Cluster(name, call.title, path, parent, depth, count))

    def _names_in(self, outer: Any) -> dict[int, str]:
        names = self._names.get(id(outer))
        if names is None:
            names = self._names[id(outer)] = {}
            for name, module in outer.named_modules():
                names.setdefault(id(module), name)
        return names

    def _hold(self, outermost: Any) -> None:
        """Note the names of what an outermost module holds, by leaf and by array."""
        modules = dict(outermost.named_modules())
        held: list[tuple[Kind, str, Tensor]] = [("parameter", *item) for item in outermost.named_parameters()]
        held += [("input", *item) for item in outermost.named_buffers()]
        for kind, path, tensor in held:
            # In the innermost module on its path that was called: a module may use a parameter of another.
            prefix = path.rpartition(".")[0]
            while prefix and id(modules.get(prefix)) not in self._first:
                prefix = prefix.rpartition(".")[0]
            module = modules[prefix] if prefix else outermost
            title = path[len(prefix) + 1 :] if prefix else path
            found = _Held(kind, title, path, self._first[id(module)])
            for key in (tensor.node, id(tensor.numpy())):
                if key is not None:
                    self.held.setdefault(key, found)


def _chain(scope: Scope) -> list[_Call]:
    """The modules running in a scope, from the outermost to the innermost."""
    found = []
    at: Scope | None = scope
    while at is not None:
        if at.owner is not None:
            found.append(_Call(at, at.owner()))
        at = at.parent
    return found[::-1]


# -- the drawing ---------------------------------------------------------------------------------------------


class _Builder:
    """Makes the drawing of ops given in order of creation."""

    def __init__(self, ops: list[Node]) -> None:
        self.modules = _Modules(ops)
        self.drawing = Drawing([], [], self.modules.clusters)
        self.vertices: dict[Any, int] = {}  # of nodes, and of arrays by id
        for node in ops:
            self._op(node)

    def output(self, title: str, node: Node) -> None:
        """Add a result that is asked for."""
        source, index = _made(node)
        value = Value(node.shape, _dtype(node.dtype))
        head = self._add(Vertex("output", title, value, details=(str(value),)))
        self.drawing.edges.append(Edge(self.vertices[source], head, value, index))

    def _add(self, vertex: Vertex) -> int:
        self.drawing.vertices.append(vertex)
        return len(self.drawing.vertices) - 1

    def _op(self, node: Node) -> None:
        incoming = [(a, v) for a, v in _arguments(node) if isinstance(v, (Node, Traced, Constant))]
        tails = [self._tail(node, argument, value) for argument, value in incoming]
        cluster = self.modules.around[node]
        place = "" if cluster is None else f"in {self.drawing.clusters[cluster].place}"
        head = self._add(Vertex("op", label(node), details=_details(node, place), cluster=cluster))
        self.vertices[node] = head
        for (argument, value), (tail, result) in zip(incoming, tails, strict=True):
            self.drawing.edges.append(Edge(tail, head, _value(value), result, argument))

    def _tail(self, user: Node, argument: str, value: Any) -> tuple[int, int | None]:
        """The vertex that an argument comes from, and which of its results it is."""
        if isinstance(value, Constant):  # known by its shape alone: no two are known to be the same
            return self._add(self._leaf(user, argument, value, None)), None
        if isinstance(value, Node):
            source, result = _made(value)
            if source in self.vertices:
                return self.vertices[source], result
        # A leaf, or from outside the tape.
        key = id(value.data) if isinstance(value, Traced) else value
        if key not in self.vertices:
            self.vertices[key] = self._add(self._leaf(user, argument, value, key))
        return self.vertices[key], None

    def _leaf(self, user: Node, argument: str, value: Any, key: Any) -> Vertex:
        """What no op of this drawing made, by the best name there is for it."""
        spec = _value(value)
        count = math.prod(spec.shape)
        held = self.modules.held.get(key)
        if held is not None:
            learned = count if held.kind == "parameter" else 0
            return Vertex(held.kind, held.title, spec, learned, (held.path, str(spec)), held.cluster)
        kind: Kind = "input"
        title = "input"
        if isinstance(value, Leaf):
            kind, title = "parameter", "tensor"
        elif isinstance(value, Constant) and not value.shape:
            kind, title = "constant", "constant"
        name = argument.partition("[")[0]
        if len(name) > 1 and name not in _PLAIN_NAMES:
            title = name
        cluster = self.modules.around[user] if title == name and self._aside(user, name) else None
        return Vertex(kind, title, spec, count if kind == "parameter" else 0, (str(spec),), cluster)

    def _aside(self, user: Node, name: str) -> bool:
        """Whether an argument is not what flows through the module, but more likely its own, as masks are."""
        if name != user.op.arguments[0].name:
            return True
        return any(isinstance(v, Node) and type(v) is not Leaf for _, v in _arguments(user))


def _value(x: Any) -> Value:
    array = x.data if isinstance(x, Traced) else x
    return Value(tuple(array.shape), _dtype(array.dtype))


def _dtype(dtype: np.dtype[Any]) -> str:
    """A dtype in few letters: f32, i64, bool."""
    return f"{dtype.kind}{8 * dtype.itemsize}" if dtype.kind in "fiuc" else str(dtype)


# -- words ---------------------------------------------------------------------------------------------------


def label(node: Node) -> str:
    """What a person would write for an op: its label or name, with the plain values it was given in place.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> [label(t.node) for t in (-x, x * 2, 1 - x, x[0], tn.maximum(x, 0), tn.where(x > 1, x, 0))]
    ['negative', '× 2', '1 −', '[0]', 'max(·, 0)', 'where(·, ·, 0)']
    """
    op = node.op
    pattern = op.name if op.label is None else op.label
    if callable(pattern):
        try:
            pattern = pattern(**node.options)
        except Exception as error:
            error.add_note(f"raised by the label= function of op {op.name!r}, called with the op's options")
            raise
    text = pattern = str(pattern)
    inputs = node.inputs
    if "[ ]" in pattern and "index" in inputs:
        index = inputs.pop("index")
        listed = type(index) is tuple or _holds_arrays(index)
        text = pattern.replace("[ ]", f"[{', '.join(map(_words, index)) if listed else _words(index)}]")
    values = list(inputs.values())
    while values and values[-1] is None:  # left out
        values.pop()
    words = [_words(v) for v in values]
    if len(words) == 2 and not any(character.isalnum() for character in pattern):
        left, right = ("" if word == _UNKNOWN else word for word in words)
        return f"{left} {text} {right}".strip()
    # Other plain values are settings rather than data, such as the shape that layer_norm takes.
    numbers = [v for value in values for v in (value if _holds_arrays(value) else [value])]
    if any(isinstance(v, (int, float, complex, np.number, np.bool)) for v in numbers):
        return f"{text}({', '.join(words)})"
    return text


def _details(node: Node, place: str) -> tuple[str, ...]:
    """The call in full, where it was made, and by which line if that is known."""
    arguments = []
    for name, value in node.inputs.items():
        if value is not None:
            arguments.append(f"{name} {_specs(value)}")
    for argument in node.op.arguments:
        if argument.name in node.op.options:
            word = _words(node.options[argument.name])
            if argument.required or word != _words(argument.default):
                arguments.append(f"{argument.name}={word}")
    call = f"{node.name}({', '.join(arguments)})"
    line = node.line
    return tuple(part for part in (call, place, line) if part)


def _holds_arrays(value: Any) -> bool:
    # Constant and Traced are tuples too, hence the exact types.
    return type(value) in (list, tuple) and any(isinstance(v, (Node, Traced, Constant)) for v in value)


def _specs(value: Any) -> str:
    """An argument in a tooltip: shape and dtype of an array, else the value."""
    if isinstance(value, (Node, Traced, Constant)):
        return str(_value(value))
    return f"[{', '.join(map(_specs, value))}]" if _holds_arrays(value) else _words(value)


def _words(value: Any) -> str:
    """A plain value in short, the same in every process; a dot for an array, which has an edge."""
    if isinstance(value, (Node, Traced, Constant, np.ndarray)):
        return _UNKNOWN
    if isinstance(value, (bool, np.bool)):
        return str(bool(value))
    if isinstance(value, (int, np.integer)):
        return str(int(value))
    if isinstance(value, (float, complex, np.inexact)):
        return f"{value:.6g}"
    if isinstance(value, slice):
        parts = ["" if part is None else _words(part) for part in (value.start, value.stop, value.step)]
        return ":".join(parts if value.step is not None else parts[:2])
    if isinstance(value, (tuple, list)):
        shown = [_words(v) for v in value[:_SHOWN]] + ["…"] * (len(value) > _SHOWN)
        if isinstance(value, list):
            return f"[{', '.join(shown)}]"
        return f"({', '.join(shown)}{',' * (len(value) == 1)})"
    if value is Ellipsis:
        return "..."
    if value is None or isinstance(value, (str, np.dtype)):
        return str(value)
    return str(getattr(value, "__name__", type(value).__name__))
