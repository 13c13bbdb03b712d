"""Which cluster of a strip is wrapped into columns, and where it is cut: where few arrows go on."""

from __future__ import annotations

from tapenet.drawing.layout.level import Level
from tapenet.drawing.layout.tree import BORDER, Tree, Wrap

#: A picture is to be so much wider than high.
_SHAPE = 4 / 3
#: At most so many columns, and so many arrays that go from one to the next.
_COLUMNS, _ARRAYS = 8, 2
#: The room beside the boxes of a column, above and below it, and between two.
_BESIDE, _ABOVE, _BETWEEN = 24.0, 50.0, 34.0
#: Of a cluster with one in it that is longer than this part of it, that one is wrapped first.
_MAIN = 0.5
#: Wrapping is to leave no more than this part of the length.
_SHORTER = 0.9
#: Longer clusters are not wrapped.
_LAYERS = 300


def badness(breadth: float, length: float, upright: bool, most: float) -> float:
    """How far a picture is from the shape that it is to have; much worse where it is too wide."""
    wide, high = (breadth, length) if upright else (length, breadth)
    shape = wide / high / _SHAPE
    return max(shape, 1 / shape) + (100 * wide / most if wide > most else 0.0)


def wrap(
    tree: Tree, levels: dict[int, Level], breadth: float, length: float, upright: bool, most: float
) -> Wrap | None:
    """The cluster to wrap next so that a picture comes near to its shape, None if that makes it no better.

    Args:
        tree, levels: of the picture.
        breadth, length: its size, across and along the way of its arrows.
        upright: whether these go up or down.
        most: how wide it is to be at most.
    """
    path = [tree.root]
    while True:
        inside = [i for i in tree.inside[path[-1]] if tree.count <= i < tree.root]
        if not inside:
            break
        longest = max(inside, key=lambda i: levels[i].along)
        if levels[longest].along < _MAIN * levels[path[-1]].along:
            break
        path.append(longest)
    found: Wrap | None = None
    least = 0.9 * badness(breadth, length, upright, most)
    for cluster in reversed(path):
        if cluster in tree.columns or (found is not None and not upright):  # rows are many: the innermost first
            continue
        level = levels[cluster]
        for count in range(2, _COLUMNS + 1):
            starts = _cuts(level, count)
            if not starts:
                continue
            ends = [*starts[1:], len(level.tops)]
            longest_column = max(level.ends[b - 1] - level.tops[a] for a, b in zip(starts, ends, strict=True))
            columns: list[list[int]] = [[] for _ in starts]
            for i in tree.inside[cluster]:
                layer = level.net.layer[level.slots[i]]
                columns[sum(start <= layer for start in starts) - 1].append(i)
            across = (count - 1) * _BETWEEN
            for column in columns:
                spots = [level.spots[i] for i in column]
                across += max(spot.x + spot.across for spot in spots) - min(spot.x for spot in spots) + _BESIDE
            shorter = length - level.ends[-1] + longest_column + _ABOVE
            new = badness(breadth - level.across + max(level.across, across), shorter, upright, most)
            if new < least and shorter < _SHORTER * length:
                least = new
                found = Wrap(cluster, columns)
    return found


def _cuts(level: Level, count: int) -> list[int]:
    """The first layers of so many columns of about one length, cut where few arrays go on; [] if it cannot be cut."""
    costs = _costs(level)
    layers = len(level.tops)
    if not costs or layers < count:
        return []
    mean = (level.ends[-1] - level.tops[0]) / count
    best = [0.0, *([1e9] * layers)]  # by where a column ends
    chosen: list[list[int]] = []
    for _ in range(count):
        reached = [1e9] * (layers + 1)
        came = [0] * (layers + 1)
        for end in range(1, layers + 1):
            cut = costs[end - 1] if end < layers else 0.0
            for start in range(end):
                if best[start] < 1e9 and cut < 1e9:
                    cost = best[start] + cut + ((level.ends[end - 1] - level.tops[start]) / mean) ** 2
                    if cost < reached[end]:
                        reached[end] = cost
                        came[end] = start
        best = reached
        chosen.append(came)
    if best[layers] >= 1e9:
        return []
    starts: list[int] = []
    at = layers
    for came in reversed(chosen):
        at = came[at]
        starts.insert(0, at)
    return starts


def _costs(level: Level) -> list[float]:
    """What it costs to cut a cluster after each of its layers: 1e9 where it cannot be. [] if it can be nowhere."""
    layers = len(level.tops)
    if layers < 2 or layers > _LAYERS:
        return []
    costs = [0.0] * (layers - 1)
    passing: list[set[int]] = [set() for _ in costs]
    skips: list[set[int]] = [set() for _ in costs]
    ways = [(key[0], key[1], key[2], wire) for key, wire in level.job.pieces.items()]
    ways += [(piece.array, piece.start, piece.end, wire) for piece, wire in level.job.lanes.items()]
    for n, (array, start, end, wire) in enumerate(ways):
        first = 0 if start == BORDER else level.net.layer[level.slots[start]]
        last = layers - 1 if end == BORDER else level.net.layer[level.slots[end]]
        lane = n >= len(level.job.pieces)
        fixed = lane and (not wire.edge.skip or wire.back)
        if start == BORDER and end == BORDER:
            return []
        if BORDER in (start, end):
            if fixed:
                return []
            for r in range(first, last):
                costs[r] += 0.2 * (1 if start == BORDER or r < layers - 2 else 0)
            continue
        for r in range(min(first, last), max(first, last)):
            (skips if wire.edge.skip else passing)[r].add(array)
            if fixed:
                costs[r] = 1e9
    for r, arrays in enumerate(passing):
        if (
            len(arrays) > _ARRAYS or not arrays or not skips[r] <= arrays
        ):  # a skip connection would cross the main chain
            costs[r] = 1e9
        else:
            costs[r] += 0.5 * (len(arrays) - 1)
    return costs
