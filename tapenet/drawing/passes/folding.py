"""Passes that draw less: modules folded into one box each, boxes around a single op taken away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from tapenet.drawing.model import Cluster, Drawing, Edge, Sign, Vertex

#: What is made by what it stands for.
_MADE = frozenset({"op", "module"})
#: What is told of a box that stands for several, if one of them has it: the worst first.
_SIGNS: tuple[Sign, ...] = ("trouble", "dead", "removed", "added", "changed")
#: Ops of a layer besides its own: they bring arrays into another form.
_MINOR = frozenset(
    {
        *("reshape", "squeeze", "expand_dims", "astype", "broadcast_to", "copy", "alias", "moveaxis", "transpose"),
        *("swapaxes", "getitem", "flip", "concatenate", "stack", "pad", "pad_copies", "dropout"),
    }
)
#: How many reasons a box that stands for several gives for its sign.
_REASONS = 3
#: How many kinds of ops the name of a run tells.
_HELD = 4


def members(position: int, vertex: Vertex) -> tuple[int, ...]:
    """The vertices of the first drawing that a vertex stands for. An optimizer's step is in no first drawing."""
    return vertex.members or (() if vertex.kind == "update" else (position,))


def worst(signs: Iterable[Sign]) -> Sign:
    """The sign of a box that stands for several."""
    found = set(signs)
    return next((sign for sign in _SIGNS if sign in found), "")


def at_depth(drawing: Drawing, depth: int) -> set[int]:
    """The clusters to fold so that `depth` levels of modules are open. Other clusters are no levels."""
    levels: list[int] = []
    for cluster in drawing.clusters:
        above = -1 if cluster.parent is None else levels[cluster.parent]
        levels.append(above + (cluster.around == "module"))
    return {i for i, c in enumerate(drawing.clusters) if c.around == "module" and levels[i] >= depth}


def fold(drawing: Drawing, closed: Collection[int]) -> Drawing:
    """The drawing with each of these clusters as one vertex.

    Edges within a folded cluster go; of those that bring it, or from it, the same array, one is kept. As a
    cluster holds consecutive ops, folding makes no circle among them.
    """
    return folded(drawing, closed)[0] if closed else drawing


def folded(drawing: Drawing, closed: Collection[int]) -> tuple[Drawing, list[int], dict[int, int]]:
    """The same; and where each vertex is now, and the box of each cluster that is one."""
    top: list[int | None] = []  # of each cluster: the folded one it is in or is
    for position, cluster in enumerate(drawing.clusters):
        above = None if cluster.parent is None else top[cluster.parent]
        top.append(position if above is None and position in closed else above)
    kept: list[Cluster] = []
    moved: dict[int | None, int | None] = {None: None}
    for position, cluster in enumerate(drawing.clusters):
        if top[position] is None:
            moved[position] = len(kept)
            kept.append(cluster._replace(parent=moved[cluster.parent]))
    inside = _inside(drawing, top)
    box_of = {i: box for box, positions in inside.items() for i in positions}
    ends = {_last_op(drawing, positions): box for box, positions in inside.items()}
    places: dict[int, int] = {}
    vertices: list[Vertex] = []
    new = [-1] * len(drawing.vertices)  # of each vertex: where it is now
    for position, vertex in enumerate(drawing.vertices):
        if position in ends:
            box = ends[position]
            places[box] = len(vertices)
            vertices.append(_box(drawing, box, inside[box], moved[drawing.clusters[box].parent]))
        elif position not in box_of:
            new[position] = len(vertices)
            outer = None if vertex.cluster is None else top[vertex.cluster]
            around = vertex.cluster if outer is None else drawing.clusters[outer].parent
            vertices.append(vertex._replace(cluster=moved[around], members=members(position, vertex)))
    for position, box in box_of.items():
        new[position] = places[box]
    edges = joined(drawing.edges, new, set(places.values()))
    return drawing._replace(vertices=vertices, edges=edges, clusters=kept), new, places


def _inside(drawing: Drawing, top: list[int | None]) -> dict[int, list[int]]:
    """The vertices that become one box, by folded cluster.

    Not a parameter that was used before anything happened in its module, as a tied weight may be: that use would be
    in a circle with the box.
    """
    begins: dict[int, int] = {}
    found: dict[int, list[int]] = {}
    for position, vertex in enumerate(drawing.vertices):
        folded = None if vertex.cluster is None else top[vertex.cluster]
        if folded is not None:
            found.setdefault(folded, []).append(position)
            if vertex.kind in _MADE:
                begins.setdefault(folded, position)
    early = set()
    for edge in drawing.edges:
        cluster = drawing.vertices[edge.tail].cluster
        folded = None if cluster is None else top[cluster]
        if folded is not None and edge.flow == "value" and edge.head < begins.get(folded, 0):
            early.add(edge.tail)
    left = {folded: [i for i in positions if i not in early] for folded, positions in found.items()}
    return {folded: positions for folded, positions in left.items() if positions}


def _last_op(drawing: Drawing, positions: list[int]) -> int:
    """The position for the box of these vertices: after everything that it uses."""
    return next((i for i in reversed(positions) if drawing.vertices[i].kind in _MADE), positions[-1])


def _box(drawing: Drawing, position: int, inside: list[int], parent: int | None) -> Vertex:
    """The vertex that stands for a cluster."""
    cluster = drawing.clusters[position]
    vertices = [drawing.vertices[i] for i in inside]
    ops = [v for v in vertices if v.kind in _MADE]
    title = cluster.title
    card, training = cluster.card, cluster.training
    details = [cluster.place]
    op = ""
    if len(ops) == 1 and ops[0].kind == "op":  # a layer
        op = ops[0].op
        details += ops[0].details
        if not card:  # what it does says more than its class
            title = f"{cluster.called} · {ops[0].title}" if cluster.called else ops[0].title
            title += f" ×{cluster.count:,}" if cluster.count > 1 else ""
            card, training = ops[0].card, training or ops[0].training
    else:
        listed = Counter(line for v in ops for line in v.title.split("\n"))
        details.append(", ".join(f"{n} × {t}" if n > 1 else t for t, n in listed.most_common(8)))
    wrong = [v for v in vertices if v.sign in ("trouble", "dead") and v.kind != "module"]
    details += [": ".join((v.title.replace("\n", " "), *v.details[:1])) for v in wrong[:_REASONS]]
    return Vertex(
        "module",
        title,
        parameters=cluster.parameters,
        details=tuple(d for d in details if d),
        cluster=parent,
        op=op,
        number=ops[0].number if len(ops) == 1 else 0,
        line=next((v.line for v in ops if v.line), ""),
        count=cluster.count,
        members=tuple(m for i, v in zip(inside, vertices, strict=True) for m in members(i, v)),
        fill=cluster.fill,
        sign=worst([cluster.sign, *(v.sign for v in vertices)]),
        card=card,
        training=training,
    )


def joined(edges: Iterable[Edge], new: list[int], boxes: Collection[int]) -> list[Edge]:
    """The edges after their vertices moved. Edges within a box are dropped; of edges that bring the same array into or
    out of a box only the first stays."""
    found: dict[tuple[int, int | None, int, str, str], int] = {}
    kept: list[Edge] = []
    for edge in edges:
        tail, head = new[edge.tail], new[edge.head]
        from_box, to_box = tail in boxes, head in boxes
        if from_box or to_box:
            if tail == head:
                continue
            same = (edge.tail, edge.result, head, edge.flow, "" if to_box else edge.argument)
            if same in found:
                if edge.differentiable:
                    kept[found[same]] = kept[found[same]]._replace(differentiable=True, broken=False)
                continue
            found[same] = len(kept)
        kept.append(
            edge._replace(
                tail=tail,
                head=head,
                result=None if from_box else edge.result,
                argument="" if to_box else edge.argument,
                stretched=None if to_box else edge.stretched,
            )
        )
    return kept


def unbox(drawing: Drawing) -> Drawing:
    """The drawing without the clusters of modules that are a single op, such as activations.

    A box around a box says little. Where the op came from stands in its tooltip.
    """
    content = [0] * len(drawing.clusters)
    for cluster in drawing.clusters:
        if cluster.parent is not None:
            content[cluster.parent] += 2
    for vertex in drawing.vertices:
        if vertex.cluster is not None:
            content[vertex.cluster] += 1 if vertex.kind == "op" else 2

    def bare(position: int, cluster: Cluster) -> bool:
        plain = not cluster.parameters and cluster.count == 1 and not cluster.sign and cluster.around != "rank"
        return content[position] == 1 and plain

    return without(drawing, {i for i, cluster in enumerate(drawing.clusters) if bare(i, cluster)})


def without(drawing: Drawing, dropped: Collection[int]) -> Drawing:
    """The drawing without some of its clusters; their vertices stay."""
    if not dropped:
        return drawing
    clusters: list[Cluster] = []
    moved: dict[int | None, int | None] = {None: None}
    for position, cluster in enumerate(drawing.clusters):
        parent = moved[cluster.parent]
        if position in dropped:
            moved[position] = parent
        else:
            moved[position] = len(clusters)
            depth = 0 if parent is None else clusters[parent].depth + 1
            clusters.append(cluster._replace(parent=parent, depth=depth))
    vertices = [vertex._replace(cluster=moved[vertex.cluster]) for vertex in drawing.vertices]
    return drawing._replace(vertices=vertices, clusters=clusters)


# -- a budget of boxes ----------------------------------------------------------------------------------------------


def layers_of(drawing: Drawing) -> set[int]:
    """The modules that are drawn as one box: one op with its parameters, or several and a card of their own, of one kind
    as those of a recurrent network are, and no module in them."""
    nested = {cluster.parent for cluster in drawing.clusters}
    main: dict[int, list[str]] = {}
    for vertex in drawing.vertices:
        if vertex.kind == "op" and vertex.cluster is not None and vertex.op not in _MINOR:
            main.setdefault(vertex.cluster, []).append(vertex.op)
    found = set()
    for i, cluster in enumerate(drawing.clusters):
        ops = main.get(i, [])
        one = len(ops) == 1 or (cluster.card and len(set(ops)) == 1)
        if one and cluster.around == "module" and cluster.parameters and i not in nested:
            found.add(i)
    return found


def within(drawing: Drawing, budget: int, shut: Collection[int] = ()) -> set[int]:
    """The clusters to fold so that about `budget` boxes are drawn: from outside in, modules are opened as long as
    what is in them fits. Modules of one class at one depth are opened together or not at all, and layers, of one op
    each, and kernels only if everything else is open and all of them fit, so that like is drawn alike. Ranks are always open.

    Args:
        drawing: the whole.
        budget: how many boxes.
        shut: clusters that stay folded.
    """
    own = [0] * len(drawing.clusters)  # vertices directly inside
    ops = [0] * len(drawing.clusters)
    total = 0
    for vertex in drawing.vertices:
        if vertex.cluster is None:
            total += 1
        else:
            own[vertex.cluster] += 1
            ops[vertex.cluster] += vertex.kind == "op"
    children: dict[int | None, list[int]] = {}
    for position, cluster in enumerate(drawing.clusters):
        children.setdefault(cluster.parent, []).append(position)
    total += len(children.get(None, ()))
    waiting: dict[tuple[int, str], list[int]] = {}
    layers: list[int] = []

    def reach(positions: Iterable[int]) -> None:
        for position in positions:
            cluster = drawing.clusters[position]
            if position in shut:
                continue
            if cluster.around == "kernel" or (ops[position] == 1 and position not in children):
                layers.append(position)
            else:
                waiting.setdefault((cluster.depth, cluster.type), []).append(position)

    def cost(group: Iterable[int]) -> int:
        return sum(own[p] + len(children.get(p, ())) - 1 for p in group)

    opened = {i for i, cluster in enumerate(drawing.clusters) if cluster.around == "rank"}
    total += cost(opened)
    for parent in (None, *sorted(opened)):
        reach(child for child in children.get(parent, ()) if child not in opened)
    while waiting:
        group = waiting.pop(min(waiting, key=lambda level: (level[0], waiting[level][0])))
        if total + cost(group) <= budget:
            total += cost(group)
            opened.update(group)
            reach(child for p in group for child in children.get(p, ()))
    all_open = len(opened) + len(layers) + len(shut) == len(drawing.clusters)
    if all_open and total + cost(layers) <= budget:
        opened.update(layers)
    return set(range(len(drawing.clusters))) - opened


def in_runs(drawing: Drawing, budget: int, where: Collection[int | None] | None = None) -> Drawing:
    """The drawing with runs of consecutive ops as one box each, so that about `budget` boxes are left at most. For
    graphs that no module divides; or for what is directly in these clusters alone, None being outside of all.
    """
    divided = with_runs(drawing, budget, where)
    return fold(divided, range(len(drawing.clusters), len(divided.clusters)))


def with_runs(drawing: Drawing, budget: int, where: Collection[int | None] | None = None) -> Drawing:
    """The drawing with clusters around those runs, which come last."""
    ops = [i for i, v in enumerate(drawing.vertices) if v.kind in _MADE]
    divided = [i for i in ops if where is None or drawing.vertices[i].cluster in where]
    length = -(-len(divided) // max(budget // 2, 1))  # half of the boxes for what the runs use
    if length <= 1:
        return drawing
    clusters = list(drawing.clusters)
    outer = len(clusters)
    run: dict[int, int] = {}
    sizes: Counter[int] = Counter()
    before: int | None = -1
    for position in ops:
        around = drawing.vertices[position].cluster
        if where is None or around in where:
            if around != before or sizes[len(clusters) - 1] == length:
                depth = 0 if around is None else clusters[around].depth + 1
                clusters.append(Cluster("", "", "", around, depth, around="repeat"))
            run[position] = len(clusters) - 1
            sizes[run[position]] += 1
        before = around
    run |= _beside(drawing, run, budget // 2)
    for edge in drawing.edges:
        if edge.flow == "update" and edge.head in run:  # beside what it updates
            run[edge.tail] = run[edge.head]
    learned: Counter[int] = Counter()
    for position, inside in run.items():
        learned[inside] += drawing.vertices[position].parameters
    vertices = [v._replace(cluster=run[i]) if i in run else v for i, v in enumerate(drawing.vertices)]
    held: dict[int, list[Vertex]] = {}
    for position in divided:
        held.setdefault(run[position], []).append(drawing.vertices[position])
    for i in range(outer, len(clusters)):
        clusters[i] = clusters[i]._replace(name=_run_name(held[i]), parameters=learned[i])
    return drawing._replace(vertices=vertices, clusters=clusters)


def _run_name(ops: list[Vertex]) -> str:
    """The name of a run of ops: what is in it and how often, after the names of the first and last if they are modules."""
    if len(ops) == 1:  # an op alone is called what it is
        return ""
    titles = [op.title for op in ops]
    ends = [title.partition(" · ")[0] for title in (titles[0], titles[-1]) if " · " in title.partition("\n")[0]]
    held: Counter[str] = Counter()
    for op in ops:
        for i, line in enumerate(op.title.split("\n")):
            held[_stem(line.split(" · ")[:2][-1], op.op if i == 0 else "")] += max(op.count, 1)
    shown = [word if n == 1 else f"{word} ×{n:,}" for word, n in held.most_common(_HELD)]
    text = ", ".join([*shown, *["…"] * (len(held) > _HELD)])
    return f"{'–'.join(ends)} · {text}" if len(ends) == 2 else text


def _stem(line: str, op: str) -> str:
    """A label without the numbers in it, in which ops of one kind differ: "×" of "× 0.5", "conv" of "conv 3×3, 8"."""
    word = line.partition("(")[0].split(",")[0]
    kept = [part for part in word.split() if not any(c.isdigit() for c in part)]
    return " ".join(kept) or op or line


def _beside(drawing: Drawing, run: dict[int, int], most: int) -> dict[int, int]:
    """What is drawn in a run though it is no op: what that run alone uses, but for inputs from outside all modules; and,
    if more than `most` were left, all in the first run that uses it."""
    near: dict[int, list[int]] = {}
    for edge in drawing.edges:
        for end, other in ((edge.tail, edge.head), (edge.head, edge.tail)):
            if end not in run and edge.flow == "value":
                near.setdefault(end, []).append(run.get(other, -1))
    found = {end: runs[0] for end, runs in near.items() if len(set(runs)) == 1 and not _asked(drawing.vertices[end])}
    if len(near) - len(found) > most:
        found |= {end: max(runs) if -1 in runs else min(runs) for end, runs in near.items() if end not in found}
    return {end: at for end, at in found.items() if at >= 0}


def _asked(vertex: Vertex) -> bool:
    """Whether it is a result, or an input outside of all modules: these always stay visible."""
    return vertex.kind == "output" or (vertex.kind == "input" and vertex.cluster is None)
