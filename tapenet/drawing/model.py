"""A drawing as plain data: vertices, edges and nested clusters.

`build` makes a drawing from a recorded graph, passes such as `fold` turn one into another, and `dot` writes
it out. A drawing holds nothing of the tape, and is the same for the same graph in every process.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from tapenet.drawing.late import use

#: What a vertex is: an operation; a tensor that is learned or gets a gradient; another array; a single number
#: whose value is not known; a result; a module, or a run of ops, folded into one; what an optimizer does to
#: the parameters of a module.
Kind: TypeAlias = Literal["op", "parameter", "input", "constant", "output", "module", "update"]
#: What an edge carries: a value on its way forward; a gradient on its way back; a parameter's new value; and, into a
#: repeated block, what one repetition hands to the next. An "exchange" joins ops of several ranks that run together. What is
#: only in "order" stands behind each other without an arrow.
Flow: TypeAlias = Literal["value", "gradient", "update", "carry", "exchange", "order"]
#: What a cluster is around: a call of a module; ops that were repeated; a kernel of a compiled program; a
#: function that `tn.vmap` or another transformation changed; what one of several ranks computes.
Around: TypeAlias = Literal["module", "repeat", "kernel", "transform", "rank"]
#: How the numbers of a box come from those of what is in it: "norm" is the root of the sum of squares.
Combine: TypeAlias = Literal["sum", "norm", "max"]
#: Where the shapes of arrays are written: at the arrows, in the boxes that make them, or nowhere.
Shapes: TypeAlias = Literal["edge", "box"] | None
#: What is to be seen at a glance: trouble (nan, infinity, no gradient), or what a comparison found.
Sign: TypeAlias = Literal["", "trouble", "dead", "added", "removed", "changed"]
#: The ops where an array goes to another rank, and where it comes from one.
SEND, RECV = "send", "recv"


class Value(NamedTuple):
    """Shape and dtype of an array.

    >>> print(Value((64, 10), "f32"), "|", Value((), "i64"))
    64×10 f32 | scalar i64
    """

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{'×'.join(map(str, self.shape)) or 'scalar'} {self.dtype}" if self.dtype else ""


#: An array of which nothing is known, of a graph that was not run.
UNKNOWN = Value((), "")


class Vertex(NamedTuple):
    """One box of the picture. The vertices of a drawing are known by their position in it.

    Attributes:
        kind: what it is.
        title: its main text; a line break separates what was folded into one box.
        card: further lines, below the title: settings and sizes of a layer, the parameters in the box.
        training: what training does to the parameters in it: their gradients, or an optimizer's step.
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
    count: int = 1  # type: ignore[assignment]  # better known than the method of tuples
    members: tuple[int, ...] = ()
    fill: str = ""
    sign: Sign = ""
    card: tuple[str, ...] = ()
    training: str = ""

    @property
    def round(self) -> bool:
        """Whether it is an op's sign of one character alone: drawn in a circle, as people write it."""
        return self.kind == "op" and self.lines == (self.title,) and len(self.title) == 1

    @property
    def lines(self) -> tuple[str, ...]:
        """All lines of text in the box, the name first.

        >>> Vertex("module", "fc · Linear", parameters=6, card=("2 → 2 · 6",), training="SGD lr 0.1").lines
        ('fc · Linear', '2 → 2 · 6', 'SGD lr 0.1')
        """
        found = self.title.split("\n")
        if self.value is not None:
            # The length of a vector is its number of parameters.
            counted = self.parameters and len(self.value.shape) > 1
            found.append(f"{self.value} · {self.parameters:,}" if counted else str(self.value))
        found += self.card
        if self.value is None and self.parameters and self.kind == "module" and not told(self.parameters, self.card):
            found.append(counted_parameters(self.parameters))
        if self.sign == "changed":
            found += [detail for detail in self.details[:1] if detail.startswith("was ")]
        if self.training:
            found.append(self.training)
        return tuple(found)


class Edge(NamedTuple):
    """An array on its way from one vertex to another.

    Attributes:
        tail: where it was made.
        head: where it is used.
        value: its shape and dtype.
        result: which result of its tail it is, None where there is only one.
        argument: which argument of its head it is.
        flow: what it carries.
        differentiable: whether a gradient flows back along it.
        arrays: how many go this way, if they are drawn as one.
        skip: whether it goes around what its head's other argument comes through, as a residual connection does.
        sign: what is to be seen at a glance.
        broken: whether the way back is cut here by the user: the value is detached, taken under `no_grad`, or of a frozen
            parameter. A gradient would flow along it else.
        stretched: the shape that the head stretches it to by broadcasting; None where it does not.
    """

    tail: int
    head: int
    value: Value
    result: int | None = None
    argument: str = ""
    flow: Flow = "value"
    differentiable: bool = False
    arrays: int = 1
    skip: bool = False
    sign: Sign = ""
    broken: bool = False
    stretched: tuple[int, ...] | None = None

    def told(self, vertices: Sequence[Vertex]) -> tuple[str, ...]:
        """What a tooltip says of it: the array, its way, and what becomes of it.

        >>> edge = Edge(0, 1, Value((3,), "f32"), None, "y", broken=True, stretched=(2, 3))
        >>> " | ".join(edge.told([Vertex("input", "b"), Vertex("op", "+")]))
        '3 f32 | b → +: y | stretched to 2×3 | no gradient goes back'
        """
        what = f"{self.arrays:,} arrays" if self.arrays > 1 else str(self.value)
        if self.result is not None and self.arrays == 1:
            what = f"[{self.result}] {what}"
        way = " → ".join(vertices[end].title.replace("\n", ", ") for end in (self.tail, self.head))
        found = [part for part in (what, f"{way}: {self.argument}" if self.argument else way) if part]
        if self.stretched is not None:
            found.append(f"stretched to {'×'.join(map(str, self.stretched))}")
        return (*found, "no gradient goes back") if self.broken else tuple(found)


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
        card: what is said of it where it is drawn as one box: lines.
        training: what training does to the parameters in it, said there too.
        totals: what all of an outermost module takes, beside its title.
        layer: whether it is always drawn as one box: an op with its parameters.
        parallel: whether these stand side by side, none using what another gives.
        sign: what is to be seen at a glance.
        fill: a colour of its own, "#rrggbb", where it was painted; else "".
        variable: what the code that draws calls an outermost module.
        each: how many numbers each of those learns that it stands for.
    """

    name: str
    type: str
    path: str = ""
    parent: int | None = None
    depth: int = 0
    parameters: int = 0
    around: Around = "module"
    count: int = 1  # type: ignore[assignment]  # better known than the method of tuples
    sign: Sign = ""
    fill: str = ""
    parallel: bool = False
    card: tuple[str, ...] = ()
    variable: str = ""
    each: int = 0
    training: str = ""
    totals: str = ""
    layer: bool = False

    @property
    def heading(self) -> str:
        """What stands at the top of it where it is open."""
        return f"{self.title} · {self.totals}" if self.totals else self.title

    @property
    def called(self) -> str:
        """Its name, or that of the variable that holds it."""
        return self.name or self.variable

    @property
    def title(self) -> str:
        """Name and class; of what stands for several how many, and how many numbers each of them learns."""
        text = " · ".join(part for part in (self.called, self.type) if part)
        if self.count == 1:
            return text
        text = f"{text} ×{self.count:,}{' in parallel' if self.parallel else ''}".strip()
        if not self.each:
            return text
        if self.parameters == self.each:
            return f"{text} · {self.each:,} shared"
        total = "" if self.parameters == self.count * self.each else f", {self.parameters:,} in all"
        return f"{text} · {self.each:,} each{total}"

    @property
    def lines(self) -> tuple[str, ...]:
        """All lines of text in its box where it is drawn as one."""
        return Vertex("module", self.title, None, self.parameters, card=self.card, training=self.training).lines

    @property
    def place(self) -> str:
        """Path and class, for a tooltip."""
        return " · ".join(part for part in (self.path or self.variable, self.type) if part)


def counted(count: int, one: str, many: str = "") -> str:
    """A number of things in words.

    >>> counted(1, "box", "boxes"), counted(2000, "op")
    ('1 box', '2,000 ops')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def counted_parameters(parameters: int) -> str:
    """A number of parameters in words."""
    return counted(parameters, "parameter")


def told(parameters: int, lines: Iterable[str]) -> bool:
    """Whether lines of a box say its number of parameters, as layers do after their sizes: "3 → 64 · 4,864"."""
    number, words = f"· {parameters:,} ", counted_parameters(parameters)
    return any(number in f"{line} " or line.startswith(words) for line in lines)


class Explained:
    """What an op computes, and its gradient rules by input, as mathematics.

    Args:
        formula, gradients: the texts, if they are known.
        op: else the op, from which they are read when they are first asked for.
    """

    def __init__(self, formula: str = "", gradients: dict[str, str] | None = None, op: object = None) -> None:
        self._op = op
        if op is None:
            self.__dict__.update(formula=formula, gradients=gradients or {})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Explained) and repr(self) == repr(other)

    def __reduce__(self) -> tuple[type[Explained], tuple[str, dict[str, str]]]:
        """To other processes it goes as texts."""
        return Explained, (self.formula, self.gradients)

    def __repr__(self) -> str:
        return f"Explained({self.formula!r}, {self.gradients!r})"

    @functools.cached_property
    def formula(self) -> str:
        return str(use("sources.mathematics").formula(self._op))

    @functools.cached_property
    def gradients(self) -> dict[str, str]:
        return dict(use("sources.mathematics").gradient_rules(self._op))


class Drawing(NamedTuple):
    """Vertices in order of creation (an op after what it uses), edges by head, clusters from outside in.

    Attributes:
        ops: of each op that occurs, by name: what it computes.
        shapes: where the shapes of arrays are written.
    """

    vertices: list[Vertex]
    edges: list[Edge]
    clusters: list[Cluster]
    ops: dict[str, Explained] = {}  # noqa: RUF012  # never changed in place
    shapes: Shapes = "edge"

    def labels(self) -> list[str]:
        """What is written at each edge, "" for nothing. A value that a box holds is said there, and "next" once of what
        goes on to the next repetition."""
        results: dict[int, set[int | None]] = {}
        for edge in self.edges:
            if edge.flow == "value":
                results.setdefault(edge.tail, set()).add(edge.result)
        found = []
        carried: set[tuple[int, int | None]] = set()
        for edge in self.edges:
            parts = ["next"] if edge.flow == "carry" and (edge.tail, edge.result) not in carried else []
            if edge.flow == "value" and self.vertices[edge.tail].value is self.vertices[edge.head].value is None:
                if edge.arrays > 1:
                    parts.append(f"{edge.arrays:,} arrays")
                elif edge.result is not None and len(results[edge.tail]) > 1:
                    parts.append(f"[{edge.result}]")
                if self.shapes == "edge" and edge.arrays == 1 and edge.value != UNKNOWN:
                    parts.append(str(edge.value))
            if edge.flow == "value" and self.shapes == "edge" and edge.stretched is not None:
                fit = f"→ {'×'.join(map(str, edge.stretched))}"
                parts += [fit] * (fit not in self.vertices[edge.tail].card)
            if edge.flow == "carry":
                carried.add((edge.tail, edge.result))
            found.append(" ".join(parts))
        return found

    def by(self, end: Literal["tail", "head"], flow: Flow = "value") -> dict[int, list[Edge]]:
        """The edges of a flow by the vertex at one of their ends."""
        found: dict[int, list[Edge]] = {}
        for edge in self.edges:
            if edge.flow == flow:
                found.setdefault(edge.tail if end == "tail" else edge.head, []).append(edge)
        return found

    def nested(self) -> Iterator[tuple[int | None, list[int] | None]]:
        """The clusters from outside in, each with the vertices directly in it, and once more with None where it ends. The
        first is None: what is in no cluster, which does not end."""
        inside: dict[int | None, list[int]] = {}
        below: dict[int | None, list[int]] = {}
        for i, vertex in enumerate(self.vertices):
            inside.setdefault(vertex.cluster, []).append(i)
        for i, cluster in enumerate(self.clusters):
            below.setdefault(cluster.parent, []).append(i)
        pending: list[tuple[int | None, bool]] = [(None, False)]
        while pending:
            at, ends = pending.pop()
            yield at, None if ends else inside.get(at, [])
            if not ends:
                pending += [(at, True)] * (at is not None)
                pending += [(i, False) for i in reversed(below.get(at, ()))]

    def enclosing(self, clusters: Iterable[int | None]) -> set[int]:
        """These clusters, and all those around them. None stands for no cluster."""
        found: set[int] = set()
        for at in clusters:
            while at is not None and at not in found:
                found.add(at)
                at = self.clusters[at].parent
        return found


class Numbers(NamedTuple):
    """The results of boxes and their gradients as short texts, by position of a vertex."""

    values: Mapping[int, str]
    gradients: Mapping[int, str]
