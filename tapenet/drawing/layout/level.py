"""The layout of one cluster: what is directly in it, with clusters in it as boxes that are laid out already."""

from __future__ import annotations

from typing import NamedTuple

from tapenet.drawing.layout.boxes import WHOLE, cluster_lines, head_height
from tapenet.drawing.layout.columns import Columns, Joint
from tapenet.drawing.layout.coordinates import LABEL_ROOM, ROW, Spread
from tapenet.drawing.layout.group import Group, Spot
from tapenet.drawing.layout.lanes import Lanes, Piece
from tapenet.drawing.layout.layers import IN, ITEM, LEAF, OUT, SPINE, Link, Net
from tapenet.drawing.layout.order import order
from tapenet.drawing.layout.placed import MARGIN, Line
from tapenet.drawing.layout.tree import BORDER, LEAVES, Tree
from tapenet.drawing.layout.wires import LEFT, RIGHT, WITHIN, Wire, Wiring
from tapenet.drawing.metrics import room

#: Room within the border of a cluster, and beside the text of its title.
PAD, _ASIDE = 12.0, 24.0
#: Room beside a lane for its text, across it and along it.
NEXT = 34.0, 14.0


class Job(NamedTuple):
    """What there is to lay out in one cluster.

    Attributes:
        cluster: its id.
        pieces: arrows through its layers, each with a wire that goes there.
        lanes: arrows beside them.
    """

    cluster: int
    pieces: dict[tuple[int, int, int], Wire]
    lanes: dict[Piece, Wire]


class Fit(NamedTuple):
    """How narrow a drawing is to be.

    Attributes:
        text: how wide a line of text in a box is at most.
        across: how wide a layer is at most.
    """

    text: float = WHOLE
    across: float = WHOLE


class Level:
    """A cluster laid out. All is measured from its corner, across and along.

    Attributes:
        across, along: its size.
        title: the lines of its title.
        spots: where everything in it stands, by id.
        ports: where arrays come in and go out, from its middle, by array and role.
        doors: where arrays go through its sides, by array and side.
        main: those of these through which its main chain comes and goes.
        ways: the ways through its layers, by array and ends.
        detours: the ways beside them.
        moved: those that go on the other side than they were to go.
        local: the ways between boxes that stand beside each other.
    """

    def __init__(
        self,
        job: Job,
        tree: Tree,
        wiring: Wiring,
        levels: dict[int, Level],
        sizes: dict[int, tuple[float, float]],
        texts: dict[int, float],
        direction: str,
        fit: Fit,
    ) -> None:
        """
        Args:
            job: what to lay out.
            tree, wiring: of the drawing.
            levels: the clusters in it, by id.
            sizes: of boxes, across and along.
            texts: how wide the text of an array is.
            direction: where arrows point.
            fit: how narrow it is to be.
        """
        self.fit = fit
        self.job = job
        self.tree = tree
        self.wiring = wiring
        self.levels = levels
        self.texts = texts
        self.direction = direction
        self.upright = direction in ("TB", "BT")  # text stands across the way of arrows, and else along it
        self.title: tuple[Line, ...] = ()
        self.groups: dict[int, Group] = {}
        self.slots: dict[int, int] = {}
        self.tops: list[float] = []
        self.ends: list[float] = []
        self.ports_of: dict[tuple[int, int], int] = {}
        self.met = {(i, piece.side) for piece in job.lanes for i in (piece.start, piece.end)}
        self.net = Net()
        self.detours: dict[Piece, list[tuple[float, float]]] = {}
        self.moved: set[Piece] = set()
        self.local: dict[Wire, list[tuple[float, float]]] = {}
        self.doors: dict[tuple[int, int], float] = {}
        self.ports: dict[tuple[int, int], float] = {}
        if job.cluster in tree.columns:
            self._beside()
            return
        self._items(sizes)
        self._links()
        beside = any(wire.shadow for wire in job.pieces.values())
        most = fit.across - 2 * MARGIN - 2 * PAD * tree.depth[job.cluster]
        self.net.build((3.0, 10.0 if beside else 3.0), most)
        order(self.net)
        incoming = {array: i for (array, role), i in self.ports_of.items() if role == IN}
        lanes = Lanes(self.net, self.slots, job.lanes, incoming, wiring.hosts, NEXT[0 if self.upright else 1])
        taken = {(self.slots[i], 1) for i in wiring.beside if i in self.slots}
        spread = Spread(self.net, lanes.counts, beside, taken | lanes.taken)
        self._stand(spread)
        sides = {
            (cluster, array, side): door
            for cluster in self.slots
            if cluster in levels
            for (array, side), door in levels[cluster].doors.items()
        }
        lanes.run(spread, self.spots, sides)
        self.tops, self.ends = spread.top, spread.ends
        low = min([x - self.net.left[i] for i, x in enumerate(spread.middle)], default=0.0)
        high = max([x + self.net.right[i] for i, x in enumerate(spread.middle)], default=0.0)
        low, high = min(low, -lanes.outermost[LEFT]), max(high, lanes.outermost[RIGHT])
        ports = {key: spread.middle[i] for key, i in self.ports_of.items()}
        doors = [lanes.door(lane) for lane in lanes.lanes if lane.side == RIGHT and lane.has_door]
        self._finish(spread, lanes, *self._fit(low, high, spread.length, lanes.counts[-1] * ROW, ports, doors))

    def _items(self, sizes: dict[int, tuple[float, float]]) -> None:
        vertices, net = self.wiring.drawing.vertices, self.net
        local: dict[int, list[Wire]] = {}
        for wire in self.wiring.local.get(self.job.cluster, ()):
            local.setdefault(self.wiring.hosts.get(wire.edge.tail, wire.edge.tail), []).append(wire)
        for i in self.tree.inside[self.job.cluster]:
            if i in self.wiring.hosts:
                continue
            if i >= self.tree.count:
                level = self.levels[i]
                half = level.across / 2
                self.slots[i] = net.add(
                    ITEM, self.tree.age[i], (half, half), level.along, fixed=True, aside=self._aside(i)
                )
                continue
            vertex = vertices[i]
            beside = self.wiring.beside.get(i, [])
            wires = local.get(i, [])
            text = max((self.texts.get(wire.array, 0.0) for wire in wires), default=0.0)
            group = self.groups[i] = Group(
                i, beside, wires, sizes, vertex.round, text if self.upright or not text else 10.0
            )
            leaf = vertex.kind in LEAVES and i not in self.tree.written
            age = self.tree.age[i] - (self.tree.count if leaf else 0)
            aside = 2 if vertex.kind == "parameter" else self._aside(i)
            self.slots[i] = net.add(LEAF if leaf else ITEM, age, (group.left, group.right), group.along, aside=aside)
            for other in beside:
                self.slots[other] = self.slots[i]

    def _aside(self, i: int) -> int:
        """On which side something rather stands: on that of its lanes."""
        return 0 if (i, LEFT) in self.met else 2 if (i, RIGHT) in self.met else 1

    def _links(self) -> None:
        net, count = self.net, self.tree.count
        for (array, start, end), wire in self.job.pieces.items():
            text = self.texts.get(array, 0.0) if start != BORDER and start < count else 0.0
            ends = []
            for place, role in ((start, IN), (end, OUT)):
                if place != BORDER:
                    ends.append(self.slots[place])
                    continue
                if (array, role) not in self.ports_of:
                    side = 2 if self.wiring.drawing.vertices[wire.edge.tail].kind == "parameter" else 1
                    age = (-2 if role == IN else 2) * count + len(self.ports_of)
                    self.ports_of[array, role] = net.add(role, age, (3.0, 3.0), 0.0, fixed=True, aside=side)
                ends.append(self.ports_of[array, role])
            link = Link(ends[0], ends[1], array, 0.0)
            if text:
                link.label = LABEL_ROOM if self.upright else text + 12
                if self.upright:
                    net.left[ends[0]] = max(net.left[ends[0]], text + 10)
            if start >= count:
                link.start_at = self.levels[start].ports.get((array, OUT), 0.0)
                link.main = link.main and (array, OUT) in self.levels[start].main
            if end >= count:
                link.end_at = self.levels[end].ports.get((array, IN), 0.0)
                link.main = link.main and (array, IN) in self.levels[end].main
            net.links.append(link)

    def _stand(self, spread: Spread) -> None:
        """The places of boxes and clusters, before there is a frame."""
        self.spots: dict[int, Spot] = {}
        for i, slot in self.slots.items():
            x, y = spread.middle[slot], spread.start[slot]
            if i in self.levels:
                level = self.levels[i]
                self.spots[i] = Spot(x - level.across / 2, y, level.across, level.along)
            elif i in self.groups:
                for j, spot in self.groups[i].spots.items():
                    self.spots[j] = spot._replace(x=spot.x + x, y=spot.y + y)

    def _beside(self) -> None:
        """Lay out the columns of a cluster that is wrapped, from left to right, or from above where arrows go to the right."""
        ids = self.tree.columns[self.job.cluster]
        place = {column: k for k, column in enumerate(ids)}
        columns = [self.levels[i] for i in ids]
        turn = 1 if self.upright else -1
        joints: list[Joint] = []
        for array, start, end in self.job.pieces:
            out = back = 0.0
            if start != BORDER:
                level = self.levels[start]
                out = level.across / 2 + turn * level.ports[array, OUT]
            if end != BORDER:
                level = self.levels[end]
                back = level.across / 2 + turn * level.ports[array, IN]
            joints.append(Joint(array, place.get(start, BORDER), place.get(end, BORDER), out, back))
        shadows = any(wire.shadow for wire in self.job.pieces.values())
        found = Columns([(level.across, level.along) for level in columns], joints, shadows)

        def x(at: float) -> float:
            return at if self.upright else found.across - at

        ports = {(array, IN): x(at) for array, at in found.ins.items()}
        for array, at in found.outs.items():
            ports[array, OUT] = x(at)
        shift, down = self._fit(0.0, found.across, found.along, 0.0, ports, [])
        self.ways = {
            key: [(x(a) + shift, b + down) for a, b in way]
            for key, way in zip(self.job.pieces, found.ways, strict=True)
        }
        self.spots = {}
        for i, level, left in zip(ids, columns, found.left, strict=True):
            corner = min(x(left), x(left + level.across))
            self.spots[i] = Spot(corner + shift, found.top + down, level.across, level.along)
        self.main = {(key, role) for key, role in ports if self._is_main(key, role)}
        self.ports = {key: at + shift - self.across / 2 for key, at in ports.items()}

    def _is_main(self, array: int, role: int) -> bool:
        """Whether the main chain of a column comes in or goes out by an array."""
        return any((array, role) in self.levels[i].main for i in self.tree.columns[self.job.cluster])

    def _fit(
        self,
        low: float,
        high: float,
        along: float,
        rows: float,
        places: dict[tuple[int, int], float],
        lanes: list[float],
    ) -> tuple[float, float]:
        """Find the title and the size of the cluster, so that arrows pass beside its title; how far everything moves across
        and along.

        Args:
            low, high: across, where what is in it begins and ends.
            along: how long that is.
            rows: the room before that.
            places: across, where arrays come in and go out.
            lanes: along, where arrows go through its right side.
        """
        breadth, length = high - low, along + rows
        at = self.job.cluster - self.tree.count
        if self.job.cluster == self.tree.root:
            self.across, self.along = breadth + 2 * MARGIN, length + 2 * MARGIN
            return MARGIN - low, MARGIN + rows
        if self.job.cluster > self.tree.root:  # a column
            self.across, self.along = breadth, length
            return -low, rows
        cluster = self.wiring.drawing.clusters[at]
        role = OUT if self.direction == "BT" else IN
        ports = [x + PAD - low for (a, r), x in places.items() if r == role and a not in self.wiring.vague]
        doors = [y + PAD + rows for y in lanes]
        beside = min(ports, default=breadth + 2 * PAD) if self.upright else length + 2 * PAD
        self.title = cluster_lines(cluster, beside - _ASIDE, self.fit.text)
        head = max(PAD, head_height(self.title))
        least = max((room(line.text, line.size, line.bold) + _ASIDE for line in self.title), default=0.0)
        if self.upright:
            aside = max(0.0, least - min(ports, default=least))
            self.across = breadth + 2 * PAD + aside
            spare = max(0.0, least - self.across) / 2
            self.across += 2 * spare
            begin, end = (PAD / 2, head) if self.direction == "BT" else (head, PAD / 2)
            self.along = begin + length + end
            return PAD - low + aside + spare, begin + rows
        self.across = PAD + breadth + head
        self.along = length + 2 * PAD
        if self.direction == "LR":
            before, after = max(0.0, least - min(doors, default=least)), 0.0
        else:
            before, after = 0.0, max(0.0, least - self.along + max(doors, default=self.along - least))
        self.along += before + after
        spare = max(0.0, least - self.along) / 2
        self.along += 2 * spare
        return PAD - low, PAD + rows + before + spare

    def _finish(self, spread: Spread, lanes: Lanes, shift: float, down: float) -> None:
        """Give what others ask of this cluster, measured from its corner."""
        border = {LEFT: -shift, RIGHT: self.across - shift}
        begins, ends = -down, self.along - down

        def moved(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
            return [(x + shift, y + down) for x, y in points]

        self.ways = {}
        for (key, _), link in zip(self.job.pieces.items(), self.net.links, strict=True):
            _, start, end = key
            out = begins if start == BORDER else self.spots[start].y + self.spots[start].along
            back = ends if end == BORDER else self.spots[end].y
            self.ways[key] = moved(spread.way(link, out, back))
        self.detours = {piece: moved(lanes.way(piece, border)) for piece in self.job.lanes}
        self.moved = {piece for piece in self.job.lanes if lanes.is_moved(piece)}
        for host, group in self.groups.items():
            x, y = spread.middle[self.slots[host]], spread.start[self.slots[host]]
            for wire, points in group.ways.items():
                self.local[wire] = moved([(x + a, y + b) for a, b in points])
        self.doors = {(k.array, k.side): lanes.door(k) + down for k in lanes.lanes if k.has_door}
        spine = {i for link in self.net.links if link.weight == SPINE for i in (link.start, link.end)}
        self.main = {key for key, i in self.ports_of.items() if i in spine}
        self.ports = {key: spread.middle[i] + shift - self.across / 2 for key, i in self.ports_of.items()}
        self.spots = {i: spot._replace(x=spot.x + shift, y=spot.y + down) for i, spot in self.spots.items()}


def pieces(tree: Tree, wiring: Wiring) -> dict[int, Job]:
    """What goes through each cluster, by its id."""
    jobs = {cluster: Job(cluster, {}, {}) for cluster in tree.inside}
    for wire in wiring.wires:
        if wire.is_local:
            continue
        for k, step in enumerate(wire.steps):
            job = jobs[step.cluster]
            if wire.crosses and k == wire.top:
                continue
            if wire.sides[k] == WITHIN:
                job.pieces.setdefault((wire.array, step.start, step.end), wire)
            else:
                job.lanes.setdefault(Piece(wire.array, step.start, step.end, wire.sides[k], wire.fork(k)), wire)
    return jobs
