"""A pass that writes on boxes what is in them: parameters as lines in the box of the op that uses them, and on each module
what it is made of, how much it learns, and what training does to that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import takewhile

from tapenet.drawing.model import Drawing, Edge, Vertex, counted_parameters, told
from tapenet.drawing.passes.compact import FAR, mark_skips
from tapenet.drawing.passes.folding import members, worst
from tapenet.drawing.text import clean
from tapenet.typing import Shape

#: What ops are called in a list of what is in a module, by a part of their name: the first that fits.
_FAMILIES = (
    ("conv", "conv"),
    ("linear", "linear"),
    ("embedding", "embedding"),
    ("_norm", "norm"),
    ("attention", "attention"),
    ("lstm", "LSTM"),
    ("gru", "GRU"),
    ("rnn", "RNN"),
    ("pool", "pool"),
    ("softmax", "softmax"),
)
#: In the names of ops that are none of these: losses, and what only brings arrays into another form.
_OTHERS = ("cross_entropy", "conversion")
#: How many parameters a box names.
_NAMED = 4
#: What brings data to an op. A parameter joins the box of an op that has some beside it.
_DATA = frozenset({"op", "module", "input"})


def with_cards(drawing: Drawing, layers: Collection[int], *, inside: bool = True, backward: bool = False) -> Drawing:
    """The drawing with cards.

    Args:
        drawing: the whole, with parameters and an optimizer's steps as boxes.
        layers: the clusters that are always drawn as one box.
        inside: whether parameters join the boxes of the ops that use them.
        backward: whether to say which parameters get a gradient.
    """
    drawing = _with_stretched(_with_squares(_with_reshapes(drawing)))
    if inside:
        joins = _Joins(drawing, layers)
        return joins.joined(_described(drawing, layers, joins.tied, backward), backward)
    return _described(drawing, layers, {}, backward)


# -- what a module is ----------------------------------------------------------------------------------------------


class _Inside:
    """What is in a cluster."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.ops: list[Vertex] = []
        self.updates: dict[str, None] = {}
        self.learned: dict[str, None] = {}
        self.frozen: dict[str, str] = {}
        self.held = 0


def _described(drawing: Drawing, layers: Collection[int], tied: Mapping[int, Sequence[int]], backward: bool) -> Drawing:
    """The drawing with cards on its modules."""
    if not drawing.clusters:
        return drawing
    inside = _contents(drawing, backward)
    clusters = []
    for i, cluster in enumerate(drawing.clusters):
        found = inside[i]
        card = list(map(clean, cluster.card))
        if not card and i in layers:
            card = [line for op in found.ops for line in op.title.split("\n")]
        elif not card and cluster.around != "kernel":
            card = [text] if (text := ", ".join(f"{n:,} {kind}" for kind, n in found.kinds.items() if n)) else []
            if card and cluster.parameters and not cluster.totals:
                in_all = " in all" if cluster.count > 1 else ""
                card[0] += f" · {cluster.parameters:,}{in_all}"
        totals = "" if i in layers else cluster.totals
        if totals:
            card.append(totals)
        elif cluster.parameters and not told(cluster.parameters, card):
            card.append(counted_parameters(cluster.parameters))
        if i in tied:
            card.append(_badge(drawing, tied[i]))
        training = _training(list(found.updates), list(found.learned), found.frozen, found.held) or cluster.training
        clusters.append(cluster._replace(card=tuple(card), totals=totals, training=training, layer=i in layers))
    return drawing._replace(clusters=clusters)


def _contents(drawing: Drawing, backward: bool) -> list[_Inside]:
    """What is in each cluster, at any depth."""
    found = [_Inside() for _ in drawing.clusters]
    skips = {edge.head for edge in mark_skips(drawing).edges if edge.skip} | _projected(drawing)
    flows = {edge.tail for edge in drawing.edges if edge.differentiable}
    frozen = _frozen(drawing)
    for position, vertex in enumerate(drawing.vertices):
        at, count = vertex.cluster, 1
        family = _family(vertex.op)
        while at is not None:
            if vertex.kind == "op":
                found[at].ops.append(vertex)
                if family:
                    found[at].kinds[family] += count
                if position in skips:
                    found[at].kinds["skip"] += count
            elif vertex.kind == "update":
                found[at].updates[vertex.title] = None
            elif vertex.kind == "parameter":
                found[at].held += 1
                if backward and position in flows:
                    found[at].learned[_path(drawing, vertex)] = None
                if position in frozen:
                    found[at].frozen[_path(drawing, vertex)] = frozen[position]
            count *= drawing.clusters[at].count
            at = drawing.clusters[at].parent
    for one in found:
        if "skip" in one.kinds:  # at the end
            one.kinds["skip"] = one.kinds.pop("skip")
    return found


def _projected(drawing: Drawing) -> set[int]:
    """The sums in modules whose two arguments are computed from the same array outside of it: a residual block whose way
    around goes through a layer."""
    sources = drawing.by("head")
    found = set()
    for position, vertex in enumerate(drawing.vertices):
        if vertex.op == "add" and vertex.cluster is not None:
            ways = [_from_outside(drawing, edge, vertex.cluster, sources) for edge in sources.get(position, ())]
            if len(ways) == 2 and ways[0] & ways[1]:
                found.add(position)
    return found


def _from_outside(
    drawing: Drawing, edge: Edge, cluster: int, sources: Mapping[int, Sequence[Edge]]
) -> set[tuple[int, int | None]]:
    """The arrays from outside of a cluster that what an edge brings is computed from, parameters apart."""
    found: set[tuple[int, int | None]] = set()
    seen: set[int] = set()
    pending = [edge]
    while pending and len(seen) < FAR:
        edge = pending.pop()
        tail = drawing.vertices[edge.tail]
        if tail.cluster is not None and cluster in drawing.enclosing([tail.cluster]):
            if edge.tail not in seen:
                seen.add(edge.tail)
                pending += sources.get(edge.tail, ())
        elif tail.kind != "parameter":
            found.add((edge.tail, edge.result))
    return found


def _family(op: str) -> str:
    """What an op is called in a list of what is in a module; "" if it is not listed."""
    if any(part in op for part in _OTHERS):
        return ""
    return next((name for part, name in _FAMILIES if part in op), "")


def _frozen(drawing: Drawing) -> dict[int, str]:
    """The parameters that no gradient is asked of, and why."""
    flows = {edge.tail for edge in drawing.edges if edge.differentiable}
    broken = {edge.tail for edge in drawing.edges if edge.broken} - flows
    return {i: "no_grad" if drawing.vertices[i].number else "frozen" for i in broken}


def _training(updates: Sequence[str], learned: Sequence[str], frozen: Mapping[str, str], held: int) -> str:
    """What training does, in one line: an optimizer's steps, else which parameters get a gradient; and which get none."""
    parts = [_learning(updates, learned)]
    for why in sorted(set(frozen.values())):
        names = [name for name in frozen if frozen[name] == why]
        parts.append(why if len(names) == held else f"{why}: {_names(names)}")
    return ", ".join(part for part in parts if part)


def _learning(updates: Sequence[str], learned: Sequence[str]) -> str:
    if updates:
        kind, *settings = updates[0].split("\n")
        if len(updates) > 1:
            settings = ["various settings"]
        return f"{kind} {', '.join(settings)}" if settings else kind
    return f"gradient: {_names(learned)}" if learned else ""


def _names(paths: Sequence[str]) -> str:
    """A few parameters by name, many by their number."""
    names = [path.rpartition(".")[2] for path in paths]
    return clean(", ".join(names)) if len(names) < _NAMED else f"{len(names):,} parameters"


def _path(drawing: Drawing, vertex: Vertex) -> str:
    """The name of a parameter, with the modules around it."""
    around = "" if vertex.cluster is None else drawing.clusters[vertex.cluster].path
    return f"{around}.{vertex.title}" if around else vertex.title


def _badge(drawing: Drawing, positions: Sequence[int]) -> str:
    """What is said of a box that uses parameters that others use too: the name of the parameter, or of the module that
    has these."""
    vertices = [drawing.vertices[i] for i in positions]
    paths = [_path(drawing, vertex).split(".") for vertex in vertices]
    around = [drawing.enclosing([vertex.cluster]) for vertex in vertices]
    roots = {min((i for i in inside if drawing.clusters[i].around == "module"), default=-1) for inside in around}
    shared = [names[0] for names in takewhile(lambda names: len(set(names)) == 1, zip(*paths, strict=False))]
    if len(paths) > 1 and any(len(path) == len(shared) for path in paths):  # a parameter is no module
        shared.pop()
    model = drawing.clusters[min(roots)] if len(roots) == 1 and -1 not in roots else None
    if model is not None and not (shared and shared[0][:1].isalpha()):  # an index alone says little
        shared.insert(0, model.called or model.type)
    text = ".".join(shared) or ", ".join(map(".".join, paths[: _NAMED - 1]))
    return f"tied to {clean(text)}" if shared or len(paths) < _NAMED else f"tied to {len(paths):,} parameters"


# -- parameters in the boxes of ops --------------------------------------------------------------------------------


class _Joins:
    """Which parameters join which boxes.

    One joins the first op that uses it, if all that use it take data besides. Others that use it, and modules around them,
    say so on a badge: an arrow would look as if data went from one module to another. What a layer holds stays in its
    cluster, which is drawn as one box.
    """

    def __init__(self, drawing: Drawing, layers: Collection[int]) -> None:
        self.drawing = drawing
        self.layers = layers
        #: Of a parameter: the box that it joins.
        self.into: dict[int, int] = {}
        #: The edges that go, by position.
        self.cut: set[int] = set()
        #: Of boxes: the parameters that others use too, and those that are all they are of.
        self.shared: dict[int, list[int]] = {}
        self.only: dict[int, list[int]] = {}
        #: Of clusters: the parameters that boxes elsewhere use too.
        self.tied: dict[int, list[int]] = {}
        fed = {e.head for e in drawing.edges if e.flow in ("value", "order") and drawing.vertices[e.tail].kind in _DATA}
        uses: dict[int, list[int]] = {}
        for i, edge in enumerate(drawing.edges):
            if edge.flow == "value" and drawing.vertices[edge.tail].kind == "parameter":
                uses.setdefault(edge.tail, []).append(i)
        for position, edges in uses.items():
            self._join(position, edges, fed)

    def _join(self, position: int, uses: list[int], fed: Collection[int]) -> None:
        vertices, edges = self.drawing.vertices, self.drawing.edges
        vertex = vertices[position]
        if vertex.cluster in self.layers:
            stay = [i for i in uses if vertices[edges[i].head].cluster == vertex.cluster]
        elif all(self._takes(edges[i], fed) for i in uses):
            self.into[position] = edges[uses[0]].head
            stay = []
        elif vertex.cluster is None:
            return
        else:
            stay = [i for i in uses if self._within(edges[i].head, vertex.cluster)] or uses
        self.cut.update(i for i in uses if i not in stay)
        home = {edges[i].head for i in stay} | {self.into.get(position, -1)} - {-1}
        heads = {edges[i].head for i in uses}
        tied = {head for head in heads if head in fed or head in home}
        for head in sorted(heads - tied):
            self.only.setdefault(head, []).append(position)
        if len(tied) > 1:
            self._tie(position, sorted(tied - {edges[i].head for i in stay if vertex.cluster not in self.layers}), tied)

    def _takes(self, edge: Edge, fed: Collection[int]) -> bool:
        """Whether an op takes a parameter beside data, and not among data as an element of a list."""
        return edge.head in fed and self.drawing.vertices[edge.head].kind == "op" and "[" not in edge.argument

    def _tie(self, parameter: int, shown: list[int], heads: Collection[int]) -> None:
        """Note a parameter that several boxes use: on them, and on the clusters that hold some of them and not all."""
        around: Counter[int] = Counter()
        for head in heads:
            around.update(self.drawing.enclosing([self.drawing.vertices[head].cluster]))
        for head in shown:
            self.shared.setdefault(head, []).append(parameter)
        for cluster, count in sorted(around.items()):
            if count < len(heads):
                self.tied.setdefault(cluster, []).append(parameter)

    def _within(self, position: int, cluster: int) -> bool:
        return cluster in self.drawing.enclosing([self.drawing.vertices[position].cluster])

    def joined(self, drawing: Drawing, backward: bool) -> Drawing:
        """The drawing with these parameters in the boxes."""
        if not self.into and not self.cut:
            return drawing
        guests: dict[int, list[int]] = {}
        for guest, host in self.into.items():
            guests.setdefault(host, []).append(guest)
        writes: dict[int, list[int]] = {}  # by an optimizer's step: what it writes
        for edge in drawing.edges:
            if edge.flow == "update":
                writes.setdefault(edge.tail, []).append(edge.head)
        steps = {head: drawing.vertices[tail].title for tail, heads in writes.items() for head in heads}
        gone = {tail for tail, heads in writes.items() if all(head in self.into for head in heads)} | self.into.keys()
        flows = {edge.tail for edge in drawing.edges if edge.differentiable} if backward else set()
        frozen = _frozen(drawing)
        new: list[int] = []
        vertices: list[Vertex] = []
        for position, vertex in enumerate(drawing.vertices):
            new.append(-1 if position in gone else len(vertices))
            if position not in gone:
                inner = guests.get(position, [])
                training = _training(
                    list(dict.fromkeys(steps[g] for g in inner if g in steps)),
                    [drawing.vertices[g].title for g in inner if g in flows],
                    {drawing.vertices[g].title: frozen[g] for g in inner if g in frozen},
                    len(inner),
                )
                vertices.append(self._host(position, vertex, inner, training))
        edges = [
            edge._replace(tail=new[edge.tail], head=new[edge.head])
            for i, edge in enumerate(drawing.edges)
            if i not in self.cut and edge.tail not in gone and edge.head not in gone
        ]
        return drawing._replace(vertices=vertices, edges=edges)

    def _host(self, position: int, vertex: Vertex, inner: list[int], training: str) -> Vertex:
        """A box with what joins it."""
        drawing = self.drawing
        guests = [drawing.vertices[g] for g in inner]
        card = [*vertex.card, *_named(guests)]
        card += [f"of {clean(_path(drawing, drawing.vertices[i]))}" for i in self.only.get(position, ())]
        if position in self.shared:
            card.append(_badge(drawing, self.shared[position]))
        if not guests:
            return vertex._replace(card=tuple(card), members=members(position, vertex))
        wrong = [f"{v.title}: {v.details[0]}" for v in guests if v.sign and v.details]
        own = tuple(m for g, v in zip(inner, guests, strict=True) for m in members(g, v))
        return vertex._replace(
            card=tuple(card),
            training=training,
            parameters=vertex.parameters + sum(v.count * v.parameters for v in guests),
            details=(*wrong, *vertex.details) if not vertex.sign else (*vertex.details, *wrong),
            sign=worst([vertex.sign, *(v.sign for v in guests)]),
            members=own + members(position, vertex),  # a box gives what the last in it gives
        )


def _named(parameters: Sequence[Vertex]) -> Iterable[str]:
    """Parameters as lines: the name, the shape and, of more than a vector, the number."""
    for vertex in parameters[:_NAMED]:
        assert vertex.value is not None
        shape = "×".join(map(str, vertex.value.shape)) or "scalar"
        words = [vertex.title, shape, *vertex.card]
        yield " ".join(words) + (f" · {vertex.parameters:,}" if len(vertex.value.shape) > 1 else "")
    if len(parameters) > _NAMED:
        yield f"and {len(parameters) - _NAMED:,} more parameters"


# -- shapes ----------------------------------------------------------------------------------------------------------


def _with_reshapes(drawing: Drawing) -> Drawing:
    """The drawing whose reshapes say what becomes of which axes."""
    if not any(vertex.op == "reshape" for vertex in drawing.vertices):
        return drawing
    given, made = drawing.by("head"), drawing.by("tail")
    vertices = list(drawing.vertices)
    for i, vertex in enumerate(vertices):
        if vertex.op == "reshape" and i in given and i in made:
            vertices[i] = vertex._replace(title=_reshape(given[i][0].value.shape, made[i][0].value.shape))
    return drawing._replace(vertices=vertices)


def _with_squares(drawing: Drawing) -> Drawing:
    """The drawing whose products of an array with itself say so: two arrows from one box to another look as one."""
    given = drawing.by("head") if any(vertex.op == "multiply" for vertex in drawing.vertices) else {}
    vertices = list(drawing.vertices)
    for i, vertex in enumerate(vertices):
        ends = [(edge.tail, edge.result) for edge in given.get(i, ())]
        if vertex.op == "multiply" and vertex.title == "×" and ends[1:] == ends[:1]:
            vertices[i] = vertex._replace(title="^ 2")
    return drawing._replace(vertices=vertices)


def _with_stretched(drawing: Drawing) -> Drawing:
    """The drawing in which inputs and parameters say themselves what broadcasting makes of them, where all that use them
    make the same of them: there is little room at their arrows."""
    made: dict[int, set[Shape | None]] = {}
    for edge in drawing.edges:
        if edge.flow == "value" and drawing.vertices[edge.tail].value is not None:
            made.setdefault(edge.tail, set()).add(edge.stretched)
    fitted = {i: shape for i, shapes in made.items() if len(shapes) == 1 and (shape := next(iter(shapes))) is not None}
    vertices = list(drawing.vertices)
    for i, shape in fitted.items():
        vertices[i] = vertices[i]._replace(card=(f"→ {'×'.join(map(str, shape))}",))
    return drawing._replace(vertices=vertices)


def _reshape(before: Shape, after: Shape) -> str:
    """A reshape in words, without the axes at the front that stay, as a batch does.

    >>> _reshape((8, 16, 5, 5), (8, 400)), _reshape((2, 16, 65), (32, 65)), _reshape((4, 6), (4, 2, 3))
    ('flatten 16×5×5 → 400', 'reshape 2×16×65 → 32×65', 'reshape 6 → 2×3')
    """
    same = 0
    while same < min(len(before), len(after)) - 1 and before[same] == after[same]:
        same += 1
    flat = len(after) - same == 1 < len(before) - same
    words = ("×".join(map(str, shape[same:])) or "scalar" for shape in (before, after))
    return f"{'flatten' if flat else 'reshape'} {' → '.join(words)}"


def with_shapes(drawing: Drawing) -> Drawing:
    """The drawing with the shapes of what boxes give in the boxes, rather than at the arrows."""
    inside: list[dict[str, None]] = [{} for _ in drawing.vertices]
    modules: list[dict[str, None]] = [{} for _ in drawing.clusters]
    parts = Counter(edge.tail for edge in {e._replace(head=0, argument="") for e in drawing.edges if e.flow == "value"})
    for edge in drawing.edges:
        tail = drawing.vertices[edge.tail]
        if edge.flow == "value" and tail.value is drawing.vertices[edge.head].value is None:
            text = _given(edge, parts[edge.tail] > 1)
            inside[edge.tail][text] = None
            around = drawing.enclosing([drawing.vertices[edge.head].cluster])
            for cluster in drawing.enclosing([tail.cluster]) - around:
                modules[cluster][text] = None
    vertices = [v._replace(card=(*v.card, *list(inside[i])[:_NAMED])) for i, v in enumerate(drawing.vertices)]
    clusters = [c._replace(card=(*c.card, *list(modules[i])[:_NAMED])) for i, c in enumerate(drawing.clusters)]
    return drawing._replace(vertices=vertices, clusters=clusters)


def _given(edge: Edge, several: bool) -> str:
    """What a box gives, as a line in it."""
    if edge.arrays > 1:
        return f"→ {edge.arrays:,} arrays"
    return f"→ [{edge.result}] {edge.value}" if several and edge.result is not None else f"→ {edge.value}"
