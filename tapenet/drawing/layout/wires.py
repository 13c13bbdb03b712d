"""Which arrows are laid out, what stands beside what, and through which clusters each arrow goes on which side."""

from __future__ import annotations

from tapenet.drawing.layout.layers import orient
from tapenet.drawing.layout.tree import BORDER, LEAVES, Step, Tree
from tapenet.drawing.model import Drawing, Edge

#: Where a way goes: with the layers, or in a lane on one side of them.
LEFT, WITHIN, RIGHT = -1, 0, 1
#: How far apart arrows meet a box, without and with gradients beside them.
MEET, MEET_SHADED = 10.0, 14.0
#: How far a gradient is from the value that it belongs to.
OFF = 7.0
#: More boxes than these in one column look lost.
_BESIDE = 8


class Wire:
    """An arrow that is laid out.

    Attributes:
        edge: the arrow.
        array: a number for what it carries.
        steps: its way through the clusters, and `top`: the position of the step between the two ends.
        sides: by step, whether it goes through the layers of that cluster or in a lane beside them.
        back: whether it goes against the layers.
        crosses: whether it goes straight from the right of one thing to the left of another, whatever the layers.
        shadow: whether a gradient runs beside it.
        is_local: whether both ends are of one group.
        points, whole: its way, once it is known, and with the part that it shares with others of its array.
        off: to which side of its way that gradient runs, and how far: to its left if positive.
    """

    def __init__(self, edge: Edge, array: int, steps: list[Step], top: int) -> None:
        self.edge = edge
        self.array = array
        self.steps = steps
        self.top = top
        self.sides = [WITHIN] * len(steps)
        self.back = edge.flow in ("carry", "gradient")
        self.crosses = edge.flow == "exchange"
        self.shadow = False
        self.is_local = False
        self.points: list[tuple[float, float]] = []
        self.whole: list[tuple[float, float]] = []
        self.off = 0.0

    def send(self, side: int) -> None:
        """Let it go on one side all the way. A gradient of it then runs further out."""
        self.sides = [side] * len(self.steps)
        self.off = OFF * (-side if self.back else side)

    def fork(self, k: int) -> bool:
        """Whether it leaves the layers for a lane right where it comes into the cluster of this step."""
        return k > self.top and self.sides[k] != WITHIN and self.sides[k - 1] == WITHIN


class Wiring:
    """The wires of a drawing.

    Attributes:
        wires: those that are laid out.
        of: by position of the edge, its wire; None for gradients that run beside one, and for what goes the same way.
        hosts: by vertex, the one that it stands beside.
        beside: by vertex, what stands beside it, in order.
        local: by cluster, the wires between boxes that stand beside each other.
        vague: the arrays of which nothing is known: their arrows end at the borders of clusters, as what they are of in these
            is not known either.
    """

    def __init__(self, drawing: Drawing, tree: Tree) -> None:
        self.drawing = drawing
        self.tree = tree
        self.hosts: dict[int, int] = {}
        self.beside: dict[int, list[int]] = {}
        self.wires: list[Wire] = []
        self.local: dict[int, list[Wire]] = {}
        self.vague: set[int] = set()
        self.of: list[Wire | None] = [None] * len(drawing.edges)
        self._collect()
        self._put_leaves_beside()
        self._put_updates_beside()
        self._choose_sides()

    def shadowed(self, edge: Edge) -> Wire | None:
        """The wire beside which a gradient runs: that of the value which it is the gradient of."""
        return self._ways.get((edge.head, edge.tail))

    def room(self) -> dict[int, tuple[float, float]]:
        """By vertex, how large a box must be across and along so that arrows meet it side by side."""
        ends: dict[tuple[int, int, bool], set[int]] = {}
        shaded = set()
        for n, wire in enumerate(self.wires):
            if wire.is_local:
                continue
            for vertex, leaves, side in (
                (wire.edge.tail, True, wire.sides[0]),
                (wire.edge.head, False, wire.sides[-1]),
            ):
                kind = vertex, side, leaves and side == WITHIN  # lanes meet the same side both ways
                ends.setdefault(kind, set()).add(wire.array if leaves else -1 - n)
                if wire.shadow:
                    shaded.add(vertex)
        found: dict[int, tuple[float, float]] = {}
        for (vertex, side, _), several in ends.items():
            if len(several) > 1:
                across, along = found.get(vertex, (0.0, 0.0))
                room = 10.0 + len(several) * (MEET_SHADED if vertex in shaded else MEET)
                found[vertex] = (max(across, room), along) if side == WITHIN else (across, max(along, room))
        return found

    def _collect(self) -> None:
        arrays: dict[tuple[object, ...], int] = {}
        same: dict[tuple[object, ...], Wire] = {}
        self._ways: dict[tuple[int, int], Wire] = {}
        edges = self.drawing.edges
        for gradients in (False, True):
            for i, edge in enumerate(edges):
                if (edge.flow == "gradient") != gradients or (edge.tail == edge.head and edge.flow != "carry"):
                    continue
                if gradients:
                    wire = self._ways.get((edge.head, edge.tail))
                    if wire is not None:
                        wire.shadow = True
                        continue
                name = (edge.tail, edge.result, edge.flow, edge.head if edge.arrays > 1 else None)
                array = arrays.setdefault(name, len(arrays))
                if (array, edge.head) in same:  # as one arrow
                    continue
                if not edge.value.dtype:
                    self.vague.add(array)
                wire = Wire(edge, array, *self.tree.steps(edge.tail, edge.head))
                same[array, edge.head] = self.of[i] = wire
                self._ways.setdefault((edge.tail, edge.head), wire)
                self.wires.append(wire)

    def _put_leaves_beside(self) -> None:
        """What only an op takes stands beside it, but for the input that its layer comes below."""
        vertices = self.drawing.vertices
        comes: dict[int, list[Edge]] = {}
        uses: dict[int, list[int]] = {}
        for wire in self.wires:
            if wire.edge.flow == "value":
                comes.setdefault(wire.edge.head, []).append(wire.edge)
                uses.setdefault(wire.edge.tail, []).append(wire.edge.head)
        for head, edges in comes.items():
            if vertices[head].kind in LEAVES:
                continue
            main = min(edges, key=lambda e: (vertices[e.tail].kind in LEAVES, vertices[e.tail].kind != "input"))
            for edge in edges:
                kind = vertices[edge.tail].kind
                few = len(self.beside.get(head, ())) < _BESIDE
                if edge is main or kind not in LEAVES or edge.tail in self.hosts or not few:
                    continue
                near = vertices[edge.tail].cluster == vertices[head].cluster
                several = uses[edge.tail]
                if near and (len(several) == 1 or (kind == "parameter" and head == min(several))):
                    self._put(edge.tail, head)

    def _put(self, leaf: int, host: int) -> None:
        self.hosts[leaf] = host
        self.beside.setdefault(host, []).append(leaf)

    def _put_updates_beside(self) -> None:
        """What an optimizer does stands below the parameters that it changes."""
        vertices = self.drawing.vertices
        for wire in self.wires:
            tail, head = wire.edge.tail, wire.edge.head
            if wire.edge.flow != "update" or vertices[tail].kind != "update" or tail in self.hosts:
                continue
            host = self.hosts.get(head, head)
            if vertices[host].kind not in LEAVES and vertices[host].cluster == vertices[tail].cluster:
                self._put(tail, host)

    def _choose_sides(self) -> None:
        for wire in self.wires:
            edge = wire.edge
            group = self.hosts.get(edge.tail, edge.tail)
            wire.is_local = edge.tail != edge.head and group == self.hosts.get(edge.head, edge.head)
            if wire.is_local:
                self.local.setdefault(wire.steps[0].cluster, []).append(wire)
            if edge.flow == "carry":
                wire.send(LEFT)
            elif wire.crosses:
                wire.sides = [RIGHT if k <= wire.top else LEFT for k in range(len(wire.steps))]
            elif edge.flow == "gradient" or edge.tail in self.hosts or edge.head in self.hosts:
                wire.back = wire.back or edge.flow == "update"
                wire.send(RIGHT)
        self._turn_back()
        shared: set[tuple[int, Step]] = set()
        for wire in self.wires:
            if not wire.edge.skip and wire.sides[wire.top] == WITHIN:
                shared.update((wire.array, step) for step in wire.steps)
        for wire in self.wires:
            if wire.edge.skip and wire.sides[wire.top] == WITHIN:
                self._skip(wire, shared)

    def _skip(self, wire: Wire, shared: set[tuple[int, Step]]) -> None:
        """A skip connection leaves the layers where what it brings goes nowhere else, and after the last arrow that goes from
        column to column."""
        side = WITHIN
        wrapped = -1
        for k, step in enumerate(wire.steps):
            if step.cluster in self.tree.columns:
                wrapped = max(k, wire.top)
        comes = {(array, step.cluster) for array, step in shared if step.start == BORDER}
        for k in range(wire.top, len(wire.steps)):
            forks = wrapped < 0 or side == LEFT or (wire.array, wire.steps[k].cluster) in comes
            if (wire.array, wire.steps[k]) not in shared and k > wrapped and forks:
                side = LEFT
            wire.sides[k] = side
        wire.sides[: wire.top] = [wire.sides[wire.top]] * wire.top
        if wire.sides[wire.top] != WITHIN:
            wire.send(wire.sides[wire.top])

    def _turn_back(self) -> None:
        """What goes against the order of the layers, as a module that is called twice makes it, goes around them."""
        levels: dict[int, list[Wire]] = {}
        for wire in self.wires:
            if wire.sides[wire.top] == WITHIN and not wire.is_local:
                levels.setdefault(wire.steps[wire.top].cluster, []).append(wire)
        for cluster, wires in levels.items():
            inside = self.tree.inside[cluster]
            slots = {i: k for k, i in enumerate(inside)}
            pairs = []
            for wire in wires:
                _, start, end = wire.steps[wire.top]
                pairs.append((slots[self.hosts.get(start, start)], slots[self.hosts.get(end, end)]))
            place = orient(len(inside), pairs)
            for wire, (start, end) in zip(wires, pairs, strict=True):
                if place[start] > place[end]:
                    wire.back = True
                    wire.send(LEFT)
