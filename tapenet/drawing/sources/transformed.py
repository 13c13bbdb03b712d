"""A function that a transformation changed, in the drawing of a graph: its ops in a cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tapenet.autodiff.node import Node
from tapenet.drawing.model import Cluster, Drawing, Edge, Explained, Vertex
from tapenet.drawing.sources import program_labels
from tapenet.drawing.sources.labels import value_of
from tapenet.drawing.text import clean
from tapenet.program.functions import Function
from tapenet.program.ir import Program, Value
from tapenet.program.passes import dead, duplicates

#: The vertex that a value comes from, and which of its results it is.
End = tuple[int, int | None]


def draw(
    drawing: Drawing,
    node: Node,
    around: int | None,
    given: Callable[[int], End],
    flows: bool,
    wanted: Sequence[int],
) -> dict[int, End]:
    """Add the function that a node runs to a drawing, as far as something uses its results.

    Args:
        drawing: is added to.
        node: the node.
        around: the cluster around it.
        given: where an input comes from, by position; asked for those alone that are used.
        flows: whether a gradient flows back through it.
        wanted: the positions of the results that are used.

    Returns:
        where these come from.
    """
    function = node.options["function"]
    assert isinstance(function, Function)
    return _Drawer(drawing, node, flows).function(function, around, given, wanted)


class _Drawer:
    def __init__(self, drawing: Drawing, node: Node, flows: bool) -> None:
        self.drawing, self.node, self.flows = drawing, node, flows

    def function(
        self, function: Function, around: int | None, given: Callable[[int], End], wanted: Sequence[int]
    ) -> dict[int, End]:
        """Draw what the wanted results of a function take, each computation once, and functions inside of it as clusters of
        their own."""
        shown = function.shown
        asked = [shown.outputs[i] for i in wanted]
        program = dead.run(duplicates.run(Program(shown.inputs, [], shown.body, asked, [])))
        clusters = self.drawing.clusters
        depth, path = (0, "") if around is None else (clusters[around].depth + 1, clusters[around].path)
        clusters.append(Cluster("", function.name, path, around, depth, around="transform"))
        cluster = len(clusters) - 1
        ends: dict[Value, End] = {}
        inputs = {value: i for i, value in enumerate(program.inputs)}
        used = {*program.outputs, *(a for i in program.body for a in i.args)}

        def end(value: Value) -> End:
            if value in inputs:
                return given(inputs[value])
            if value not in ends:
                spec = value_of(value)
                ends[value] = self.add(Vertex("constant", "constant", spec, 0, (str(spec),), cluster)), None
            return ends[value]

        for instruction in program.body:
            if instruction.name == "stop":
                ends[instruction.results[0]] = end(instruction.args[0])
                continue
            op = program_labels.op_of(instruction)
            inner = instruction.params.get("function")
            if isinstance(inner, Function) and op is None:
                results = instruction.results
                taken = [i for i, result in enumerate(results) if result in used]
                args = instruction.args
                found = self.function(inner, cluster, lambda i, args=args: end(args[i]), taken)  # type: ignore[misc]
                ends.update((results[i], e) for i, e in found.items())
                continue
            tails = [(a, end(a)) for a in instruction.args if program_labels.number(a) is None]
            name = program_labels.op_name(instruction)
            if op is not None:
                self.drawing.ops.setdefault(name, Explained(op=op))
            title = program_labels.title(instruction, lambda a: program_labels.number(a) or program_labels.ARRAY)
            head = self.add(
                Vertex("op", title, cluster=cluster, op=name, number=self.node.number, line=self.node.line or "")
            )
            for value, (tail, result) in tails:
                self.drawing.edges.append(Edge(tail, head, value_of(value), result, differentiable=self.flows))
            several = len(instruction.results) > 1
            ends.update((r, (head, i if several else None)) for i, r in enumerate(instruction.results))
        return {i: end(v) for i, v in zip(wanted, program.outputs, strict=True)}

    def add(self, vertex: Vertex) -> int:
        self.drawing.vertices.append(vertex._replace(title=clean(vertex.title)))
        return len(self.drawing.vertices) - 1
