"""What a picture shows, as plain data: vertices, edges and nested clusters.

`build` makes a drawing from a recorded graph, passes such as `fold` turn one into another, and `dot` writes
it out. A drawing holds nothing of the tape, and is the same for the same graph in every process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple, TypeAlias

#: What a vertex is: an operation; a tensor that is learned or gets a gradient; another array; a single number
#: whose value is not known; a result; a module, or a run of ops, folded into one; what an optimizer does to
#: the parameters of a module.
Kind: TypeAlias = Literal["op", "parameter", "input", "constant", "output", "module", "update"]
#: What an edge carries: a value on its way forward; a gradient on its way back; a parameter's new value; and, into a
#: repeated block, what one repetition hands to the next.
Flow: TypeAlias = Literal["value", "gradient", "update", "carry"]
#: What a cluster is around: a call of a module; ops that were repeated; a kernel of a compiled program.
Around: TypeAlias = Literal["module", "repeat", "kernel"]
#: What is to be seen at a glance: trouble (nan, infinity, no gradient), or what a comparison found.
Sign: TypeAlias = Literal["", "trouble", "dead", "added", "removed", "changed"]


class Value(NamedTuple):
    """Shape and dtype of an array.

    >>> print(Value((64, 10), "f32"), "|", Value((), "i64"))
    64×10 f32 | scalar i64
    """

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{'×'.join(map(str, self.shape)) or 'scalar'} {self.dtype}"


class Vertex(NamedTuple):
    """One box of the picture. The vertices of a drawing are known by their position in it.

    Attributes:
        kind: what it is.
        title: its main text; a line break separates what was folded into one box.
        value: what it holds; None for ops and modules, whose results are on their edges.
        parameters: how many numbers it learns (parameters and modules).
        details: further words, for a tooltip.
        cluster: position of the innermost cluster around it, or None.
        op: the name of the op, "" for what is none. `Drawing.ops` says what it computes.
        number: the number of the node that recorded it, 0 for none: profiles know it by that.
        line: the line of the user's code that made it, "file:line", where that is known.
        count: how many it stands for, if repeated ones were folded.
        members: the vertices of the first drawing that it stands for, by position there; empty for itself.
        fill: a colour of its own, "#rrggbb", where it was painted; else "".
        sign: what is to be seen at a glance. The reason is among the details.
    """

    kind: Kind
    title: str
    value: Value | None = None
    parameters: int = 0
    details: tuple[str, ...] = ()
    cluster: int | None = None
    op: str = ""
    number: int = 0
    line: str = ""
    count: int = 1
    members: tuple[int, ...] = ()
    fill: str = ""
    sign: Sign = ""


class Edge(NamedTuple):
    """An array on its way from one vertex to another.

    Attributes:
        tail: where it was made.
        head: where it is used.
        value: its shape and dtype.
        result: which result of its tail it is, None where there is only one.
        argument: which argument of its head it is.
        flow: what it carries.
        skip: whether it goes around what its head's other argument comes through, as a residual connection does.
        sign: what is to be seen at a glance.
    """

    tail: int
    head: int
    value: Value
    result: int | None = None
    argument: str = ""
    flow: Flow = "value"
    skip: bool = False
    sign: Sign = ""


class Cluster(NamedTuple):
    """A box around vertices: one call of a module, around what happened in it.

    Attributes:
        name: the module's name in the one around it; "" for an outermost module.
        type: the module's class.
        path: dotted path from the outermost module.
        parent: position of the cluster around it, or None. A parent comes before its children.
        depth: how many clusters are around it.
        parameters: how many numbers the module learns.
        around: what it is around.
        count: how many equal ones it stands for.
        sign: what is to be seen at a glance.
        fill: a colour of its own, "#rrggbb", where it was painted; else "".
    """

    name: str
    type: str
    path: str = ""
    parent: int | None = None
    depth: int = 0
    parameters: int = 0
    around: Around = "module"
    count: int = 1
    sign: Sign = ""
    fill: str = ""

    @property
    def title(self) -> str:
        text = f"{self.name}: {self.type}" if self.name and self.type else self.name or self.type
        return f"{text} ×{self.count:,}".strip() if self.count > 1 else text

    @property
    def place(self) -> str:
        """Path and class, for a tooltip."""
        return f"{self.path}: {self.type}" if self.path and self.type else self.path or self.type


class Explained(NamedTuple):
    """What an op computes, and its gradient rules by input, as mathematics."""

    formula: str
    gradients: dict[str, str]


class Drawing(NamedTuple):
    """Vertices in order of creation (an op after what it uses), edges by head, clusters from outside in.

    Attributes:
        ops: of each op that occurs, by name: what it computes.
    """

    vertices: list[Vertex]
    edges: list[Edge]
    clusters: list[Cluster]
    ops: dict[str, Explained] = {}  # noqa: RUF012  # never changed in place


def fold(drawing: Drawing, depth: int | None) -> Drawing:
    """The drawing with `depth` levels of clusters; each cluster below them becomes one vertex.

    Edges within a folded cluster go; of those that bring it, or from it, the same array, one is kept. As a
    cluster holds consecutive ops, folding makes no circle among them.
    """
    if depth is None or all(cluster.depth < depth for cluster in drawing.clusters):
        return drawing
    top: list[int | None] = []  # of each cluster: the folded one it is in or is
    for position, cluster in enumerate(drawing.clusters):
        above = None if cluster.parent is None else top[cluster.parent]
        top.append(position if cluster.depth == depth else above)
    kept: list[Cluster] = []
    moved: dict[int | None, int | None] = {None: None}
    for position, cluster in enumerate(drawing.clusters):
        if cluster.depth < depth:
            moved[position] = len(kept)
            kept.append(cluster._replace(parent=moved[cluster.parent]))
    vertices: list[Vertex] = []
    folded: dict[int, int] = {}
    new: list[int] = []  # of each vertex: where it is now
    for vertex in drawing.vertices:
        inside = None if vertex.cluster is None else top[vertex.cluster]
        if inside is None:
            new.append(len(vertices))
            vertices.append(vertex._replace(cluster=moved[vertex.cluster]))
            continue
        if inside not in folded:
            folded[inside] = len(vertices)
            cluster = drawing.clusters[inside]
            vertices.append(
                Vertex(
                    "module",
                    cluster.title,
                    parameters=cluster.parameters,
                    details=(cluster.place,),
                    cluster=moved[cluster.parent],
                )
            )
        new.append(folded[inside])
    modules = set(folded.values())
    edges: list[Edge] = []
    seen: set[tuple[int, int | None, int]] = set()
    for edge in drawing.edges:
        tail, head = new[edge.tail], new[edge.head]
        from_module, to_module = tail in modules, head in modules
        if from_module or to_module:
            same = (edge.tail, edge.result, head)
            if tail == head or same in seen:
                continue
            seen.add(same)
        edges.append(
            edge._replace(
                tail=tail,
                head=head,
                result=None if from_module else edge.result,
                argument="" if to_module else edge.argument,
            )
        )
    return Drawing(vertices, edges, kept)


def unbox(drawing: Drawing) -> Drawing:
    """The drawing without the clusters of modules that are but one op, such as activations.

    A box around a box says little. Where the op came from stands in its tooltip.
    """
    content = [0] * len(drawing.clusters)
    for cluster in drawing.clusters:
        if cluster.parent is not None:
            content[cluster.parent] += 2
    for vertex in drawing.vertices:
        if vertex.cluster is not None:
            content[vertex.cluster] += 1 if vertex.kind == "op" else 2
    clusters: list[Cluster] = []
    moved: dict[int | None, int | None] = {None: None}
    for position, cluster in enumerate(drawing.clusters):
        parent = moved[cluster.parent]
        if content[position] == 1 and not cluster.parameters:
            moved[position] = parent
        else:
            moved[position] = len(clusters)
            clusters.append(cluster._replace(parent=parent))
    vertices = [vertex._replace(cluster=moved[vertex.cluster]) for vertex in drawing.vertices]
    return Drawing(vertices, drawing.edges, clusters)
