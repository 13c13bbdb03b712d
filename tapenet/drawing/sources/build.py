"""From a recorded graph to a drawing."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tapenet.autodiff.creation import asarray
from tapenet.autodiff.node import Constant, Leaf, Node, Output, Parents, Traced
from tapenet.autodiff.observe.tape import Nodes
from tapenet.autodiff.tensor import Tensor
from tapenet.drawing.late import is_a, use
from tapenet.drawing.model import Drawing, Edge, Explained, Kind, Value, Vertex
from tapenet.drawing.sources.labels import details, holds_arrays, is_number, label, short_dtype, value_of
from tapenet.drawing.sources.names import Key, Modules, Name, is_transposed, key_of, key_of_whole, variable_of
from tapenet.drawing.sources.work import multiply_adds
from tapenet.drawing.text import clean
from tapenet.typing import Array, DType

#: The vertex that a value comes from, and which of its results it is.
_End = tuple[int, int | None]
#: Argument names that say nothing about what is passed.
_PLAIN_NAMES = frozenset({"array", "arrays", "ary", "input", "inputs", "args"})
_NOTHING: Mapping[Key, Name] = {}
#: What transformed functions are called that take directions besides what is theirs.
_ALONG = ("gradient", "jacobian", "hessian", "jvp")


def build(
    x: object,
    names: Mapping[Key, Name] = _NOTHING,
    outputs: str = "output",
    places: dict[Key, int] | None = None,
    *,
    unused: bool = False,
) -> Drawing:
    """The drawing of the graph behind a tensor, several in a tuple, list or dict, or of the nodes of a tape.

    A tensor's graph is everything it was computed from, so far as that was recorded; it is all there after
    `backward()` too. Each tensor and array is drawn once.

    Args:
        x: what to draw.
        names: what the user calls things.
        outputs: what to call a result.
        places: is filled with where things are in the drawing.
        unused: also draw the parameters that nothing here uses, of all modules that something was computed in.

    Raises:
        TypeError: `x` is none of these.
        ValueError: nothing was recorded.

    >>> import tapenet as tn
    >>> x = tn.tensor([1.0, 2.0], requires_grad=True)
    >>> [vertex.title for vertex in build((x * 2).sum()).vertices]
    ['tensor', '× 2', 'sum', 'output']
    """
    places = {} if places is None else places
    if isinstance(x, Nodes):
        return _of_tape(x, names, places, unused)
    results = _results(x, outputs, names)
    roots = [node for _, node in results]
    builder = _Builder(_reachable(roots), names, places, roots)
    for name, node in results:
        builder.output(name, node)
    if unused:
        builder.unused()
    return builder.drawing


# -- what to draw --------------------------------------------------------------------------------------------


def _results(x: object, title: str, names: Mapping[Key, Name]) -> list[tuple[str, Node]]:
    """The nodes to draw up to, with what to call their results."""
    own = variable_of(x) or "x"
    if isinstance(x, dict):
        named = [(str(key), f"{own}[{key!r}]", value) for key, value in x.items()]
    elif isinstance(x, (tuple, list)):
        titles = [title] if len(x) == 1 else [f"{title} {i}" for i in range(len(x))]
        named = [(name, f"{own}[{i}]", value) for i, (name, value) in enumerate(zip(titles, x, strict=True))]
    else:
        plain = x is None or isinstance(x, (int, float, complex, str))
        named = [(title, clean(repr(x), 40) if plain else own, x)]
    if not named:
        raise ValueError(f"draw: there is nothing in the {type(x).__name__}; give at least one tensor")
    results = []
    for name, place, value in named:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"draw: {place} is of type {type(value).__name__}; give a tensor, a tuple, list or dict of "
                "tensors, a tape, a compiled function, a module or function with its arguments: tn.draw(net, images); "
                "a module alone, an optimizer or a package"
            )
        node = value.node
        if node is None or type(node) is Leaf:
            why = "nothing was recorded that leads to it" if node is None else "it was made by no op"
            raise ValueError(
                f"draw: {place}, a tensor of {value_of(value)}, has no graph: {why}. Compute it from a tensor "
                "with requires_grad=True (a model's parameters have it) and outside no_grad, or inside `with "
                "tn.Tape() as tape:`, which records every op. The graph of a gradient needs "
                "backward(create_graph=True)"
            )
        if isinstance(x, (tuple, list)) and node in names:
            name = names[node].text
        results.append((name, node))
    return results


def _reachable(roots: list[Node]) -> list[Node]:
    """Every op that the roots depend on, in order of creation."""
    stack = [made(root)[0] for root in roots]
    seen = set(stack)
    while stack:
        for _, value in _arguments(stack.pop()):
            if isinstance(value, Node):
                source = made(value)[0]
                if source not in seen and type(source) is not Leaf:
                    seen.add(source)
                    stack.append(source)
    return sorted(seen, key=lambda node: node.number)


def _of_tape(tape: Nodes, names: Mapping[Key, Name], places: dict[Key, int], unused: bool) -> Drawing:
    nodes = list(tape)
    ops = [node for node in nodes if type(node) not in (Leaf, Output)]
    if not ops:
        raise ValueError(
            f"draw: the {type(tape).__name__} holds no nodes; compute something with tensors while it records"
        )
    builder = _Builder(ops, names, places, nodes)
    used = {edge.tail for edge in builder.drawing.edges}
    for node in nodes:
        source, index = made(node)
        if source.op.outputs == 1:
            result = index is None  # else a residual
        else:  # the node of such an op stands in the tape, and then each of its results
            result = index is not None and index < len(source.shape)
        if result and not source.op.effect and builder.vertices.get(source) not in used:
            builder.output(names[node].text if node in names else "output", node)
    if unused:
        builder.unused()
    return builder.drawing


def _arguments(node: Node, inputs: dict[str, object] | None = None) -> Iterator[tuple[str, object]]:
    """The arguments of an op that may be arrays, the elements of a sequence one by one."""
    given = node.call or {}
    for name, value in (node.inputs if inputs is None else inputs).items():
        if holds_arrays(value):
            arrays = given.get(name, value)
            for i, (element, array) in enumerate(zip(value, arrays, strict=True)):
                yield f"{name}[{i}]", _origin(node, _itself(element, array))
        else:
            yield name, _origin(node, _itself(value, given.get(name)))
    for name, value in node.options.items() if node.option_names else ():
        if isinstance(value, Traced):
            yield name, _origin(node, value)


def _itself(value: object, array: object) -> object:
    """An array that is no tensor as a tensor from outside the tape, where the tape kept it."""
    if isinstance(value, Constant) and type(array) is np.ndarray and array.ndim:
        return Traced(asarray(array), None, array)
    return value


def _origin(user: Node, value: object) -> object:
    """A tensor from outside a tape as the node that made it, where one did."""
    if isinstance(value, Traced):
        node = value.tensor.node if value.node is None else value.node
        # A later node is of another value, which the tensor was given after this use.
        if node is not None and node.number < user.number:
            return node
    return value


def _array(value: Traced | Constant) -> Array | Constant:
    return value.data if isinstance(value, Traced) else value


def _has_gradient(dtype: DType | tuple[DType, ...]) -> bool:
    """Whether what has this dtype, or what has several, one of these, can have a gradient. Of kind "V" are low floats."""
    return any(d.kind in "fcV" for d in (dtype if isinstance(dtype, tuple) else (dtype,)))


def _stretched(node: Node, spec: Value) -> tuple[int, ...] | None:
    """The shape of the result, if an op repeats an array to fit it."""
    op = node.op
    broadcasts = (op.broadcasts or op.name == "where") and getattr(op.forward, "signature", None) is None
    shape = tuple(node.shape) if broadcasts and op.outputs == 1 else spec.shape
    return shape if spec.shape not in ((), shape) else None


def _changes_nothing(node: Node) -> bool:
    """Whether an op gives the very array that it takes, as far as a picture shows."""
    first = next(iter(node.inputs.values()), None)
    same = isinstance(first, (Node, Traced)) and value_of(first).shape == tuple(node.shape)
    return node.op.name == "alias" or (node.op.name == "reshape" and same)


def made(node: Node) -> tuple[Node, int | None]:
    """The op (or leaf) that made a value, and which of its results it is (None: its only one)."""
    return (node.source_node, node.index) if isinstance(node, Output) else (node, None)


def _differentiated(node: Node) -> set[str]:
    """The arguments of an op, as `_arguments` names them, along which a gradient flows back."""
    found = set()
    for name in node.input_names:
        parent = getattr(node, name + "_node", None)
        if isinstance(parent, Parents):
            found |= {f"{name}[{i}]" for i, p in enumerate(parent) if p is not None}
        elif parent is not None:
            found.add(name)
    return found


# -- the drawing ---------------------------------------------------------------------------------------------


class _Builder:
    """Makes the drawing of ops given in order of creation."""

    def __init__(
        self, ops: list[Node], names: Mapping[Key, Name], places: dict[Key, int], roots: Sequence[Node]
    ) -> None:
        self.roots = roots
        self.ops = ops
        self.modules = Modules(ops, names)
        self.names = names
        self.drawing = Drawing([], [], self.modules.clusters, {})
        self.vertices = places
        #: What is in the cluster of its first user alone because that uses it.
        self.aside: set[int] = set()
        #: Ops whose results would have a gradient, had the user not cut it off.
        self.cut: set[int] = set()
        #: Where the results of a transformed function come from.
        self.results: dict[tuple[Node, int], _End] = {}
        self.multiply_adds: dict[int, int] = {}  # by outermost cluster
        for node in ops:
            self._op(node)
        for cluster, count in self.multiply_adds.items():
            self.modules.total(cluster, count)

    @functools.cached_property
    def taken(self) -> set[tuple[Node, int]]:
        """The results of ops that are asked for, or used by an op."""
        used = [value for node in self.ops for _, value in _arguments(node) if isinstance(value, Node)]
        return {(source, index or 0) for source, index in map(made, [*self.roots, *used])}

    def output(self, title: str, node: Node) -> None:
        """Add a result that is asked for."""
        source, index = made(node)
        value = Value(node.shape, short_dtype(node.dtype))
        head = self._add(Vertex("output", title, value, details=(str(value),)))
        flows = bool(_differentiated(source))
        tail, result = self.results.get((source, index or 0), (self.vertices[source], index))
        self.drawing.edges.append(Edge(tail, head, value, result, differentiable=flows))

    def unused(self) -> None:
        """Add the parameters of the modules that nothing uses."""
        for keys, parameter in self.modules.parameters:
            if not any(key in self.vertices for key in keys):
                held, spec = self.modules.held[keys[0]], value_of(parameter)
                number = 0 if parameter.node is None else parameter.node.number
                details = (held.path, str(spec))
                vertex = Vertex(held.kind, held.title, spec, parameter.size, details, held.cluster, number=number)
                self.vertices[keys[0]] = self._add(vertex)

    def _add(self, vertex: Vertex) -> int:
        # A line break in a title stands between what was joined in one box, so none may come from a name.
        vertex = vertex._replace(title=clean(vertex.title))
        self.drawing.vertices.append(vertex)
        return len(self.drawing.vertices) - 1

    def _op(self, node: Node) -> None:
        op = node.op
        if op.name not in self.drawing.ops:
            self.drawing.ops[op.name] = Explained(op=op)
        inputs = node.inputs
        incoming = [
            (a, v) for a, v in _arguments(node, inputs) if isinstance(v, (Node, Traced, Constant)) and not is_number(v)
        ]
        differentiated = _differentiated(node)
        cluster = self.modules.around[node]
        outermost = self.modules.outermost[node]
        if outermost is not None:
            count = multiply_adds(node, inputs)
            self.multiply_adds[outermost] = self.multiply_adds.get(outermost, 0) + count
        if "function" in node.option_names and is_a(node.options["function"], "program.functions", "Function"):
            flows = any(isinstance(value, Node) for _, value in incoming)
            taken = sorted(i for source, i in self.taken if source is node)
            ends = use("sources.transformed").draw(
                self.drawing, node, cluster, lambda i: self._tail(node, *incoming[i]), flows, taken
            )
            self.results |= {(node, i): end for i, end in ends.items()}
            self.vertices[node] = next((end[0] for end in ends.values()), len(self.drawing.vertices) - 1)
            return
        tails = [self._tail(node, argument, value) for argument, value in incoming]
        if _changes_nothing(node) and tails:  # a view of the whole, which says nothing
            self.vertices[node], self.results[node, 0] = tails[0][0], tails[0]
            return
        place = "" if cluster is None else f"in {self.drawing.clusters[cluster].place}"
        head = self._add(
            Vertex(
                "op",
                label(node, inputs),
                details=details(node, place, inputs),
                cluster=cluster,
                op=op.name,
                number=node.number,
                line=node.line or "",
            )
        )
        self.vertices[node] = head
        for (argument, value), (tail, result) in zip(incoming, tails, strict=True):
            flows, spec = argument in differentiated, value_of(value)
            broken = not flows and self._cut(node, argument, value, tail)
            if not differentiated and (broken or tail in self.cut):
                self.cut.add(head)
            self.drawing.edges.append(
                Edge(
                    tail,
                    head,
                    spec,
                    result,
                    argument,
                    differentiable=flows,
                    broken=broken,
                    stretched=_stretched(node, spec),
                )
            )

    def _cut(self, user: Node, argument: str, value: Node | Traced | Constant, tail: int) -> bool:
        """Whether a gradient would flow along an edge, had the user not cut it off."""
        takes = argument.partition("[")[0] in user.op.differentiable and _has_gradient(user.dtype)
        if not takes or not _has_gradient((value.data if isinstance(value, Traced) else value).dtype):
            return False
        if isinstance(value, Node):
            ends = tail in self.cut and bool(_differentiated(user))
            return ends or type(value) is Leaf or bool(_differentiated(made(value)[0]))
        array = _array(value)
        whole = self._name_of(key_of_whole(array))
        made_it = self._node_of(key_of(array)) or (None if whole is None else whole.node)
        return made_it is not None or self.drawing.vertices[tail].kind == "parameter"

    def _name_of(self, key: Key | None) -> Name | None:
        """What a module or the user calls an array."""
        if key is None:
            return None
        held = self.modules.held.get(key)
        return self.names.get(key) if held is None else Name(held.path, node=held.node)

    def _node_of(self, key: Key) -> Node | None:
        """What made an array that was used without it: it was detached."""
        found = self._name_of(key)
        return None if found is None else found.node

    def _tail(self, user: Node, argument: str, value: Node | Traced | Constant) -> _End:
        """The vertex that an argument comes from, and which of its results it is."""
        key: Key = value if isinstance(value, Node) else key_of(_array(value))
        node = value if isinstance(value, Node) else self._node_of(key)
        if node is not None and node.number < user.number:
            source, result = made(node)
            if (source, result or 0) in self.results:
                return self.results[source, result or 0]
            if source in self.vertices:
                return self.vertices[source], result
            if type(node) is Leaf:
                key = node
        # A leaf, or from outside the tape.
        found = self.vertices.get(key)
        if found is None:
            found = self.vertices[key] = self._add(self._leaf(user, argument, value, key))
        elif found in self.aside:
            vertex = self.drawing.vertices[found]
            around = self._around_both(vertex.cluster, self.modules.around[user])
            self.drawing.vertices[found] = vertex._replace(cluster=around)
        return found, None

    def _around_both(self, one: int | None, other: int | None) -> int | None:
        """The innermost cluster around two, or those in one."""
        while one != other:
            if one is not None and (other is None or one > other):  # a parent comes before its children
                one = self.drawing.clusters[one].parent
            elif other is not None:
                other = self.drawing.clusters[other].parent
        return one

    def _leaf(self, user: Node, argument: str, value: Node | Traced | Constant, key: Key) -> Vertex:
        """The vertex of an array that no op of this drawing made, under the best name there is."""
        spec = value_of(value)
        count = math.prod(spec.shape)
        number = value.number if isinstance(value, Leaf) else 0
        held = self.modules.held.get(key)
        if held is not None:
            learned = count if held.kind == "parameter" else 0
            return Vertex(held.kind, held.title, spec, learned, (held.path, str(spec)), held.cluster, number=number)
        kind: Kind = "input"
        title = "input"
        if isinstance(value, Leaf):
            kind, title = "parameter", "tensor"
        elif isinstance(value, Constant) and not value.shape:
            kind, title = "constant", "constant"
        own = self.names.get(key)
        if own is not None and own.input:
            kind = "input"
        learned = count if kind == "parameter" else 0
        if own is not None:  # the user's name for it, which is in nobody's module
            return Vertex(kind, own.text, spec, learned, (str(spec),), number=number)
        whole = None if isinstance(value, Node) else self._name_of(key_of_whole(_array(value)))
        if whole is not None and not isinstance(value, Node):
            title = f"{whole.text}{'.T' if is_transposed(_array(value)) else ' (view)'}"
            return Vertex(kind, title, spec, learned, (str(spec),), number=number)
        if "function" in user.option_names and str(getattr(user.options["function"], "name", "")).startswith(_ALONG):
            title = "directions"
        name = argument.partition("[")[0]
        if len(name) > 1 and name not in _PLAIN_NAMES:
            title = name
        cluster = self.modules.around[user] if title == name and self._aside(user, name) else None
        if cluster is not None:
            self.aside.add(len(self.drawing.vertices))
        return Vertex(kind, title, spec, learned, (str(spec),), cluster, number=number)

    def _aside(self, user: Node, name: str) -> bool:
        """Whether an argument belongs to the module, as masks do, and is not the data that flows through it."""
        if name != user.op.arguments[0].name:
            return True
        return any(isinstance(v, Node) and type(v) is not Leaf for _, v in _arguments(user))
