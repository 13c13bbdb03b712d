"""The vertices and clusters of a drawing as a tree.

An id is the position of a vertex, or the number of vertices plus the position of a cluster; then comes the root, around
everything, and after that the columns into which some clusters are wrapped: clusters that nobody sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tapenet.drawing.model import Drawing

#: Stands for what is outside of a cluster.
BORDER = -1
#: What is no step of a computation.
LEAVES = frozenset(("parameter", "input", "constant", "update"))


class Step(NamedTuple):
    """A piece of a way: through one cluster, from one thing in it to another, or from or to its border."""

    cluster: int
    start: int
    end: int


class Wrap(NamedTuple):
    """A cluster that is wrapped into columns: its id, and the ids of what is in each."""

    cluster: int
    columns: list[list[int]]


class Tree:
    """Which cluster everything is in, and in which order.

    Attributes:
        count: how many vertices there are.
        root: the id of what is around everything.
        parent: by id; of the root, -1.
        depth: by id, how many clusters are around it.
        age: by id, where it comes in the order of creation: a cluster with its first op.
        inside: by id of a cluster, the ids directly in it, by age.
        columns: by id of a cluster that is wrapped, the ids of its columns.
        written: the boxes that say what is done to parameters at the end, as programs have them. Those of optimizers
            stand beside what they change.
    """

    def __init__(self, drawing: Drawing, wraps: Sequence[Wrap] = ()) -> None:
        vertices, clusters = drawing.vertices, drawing.clusters
        count = self.count = len(vertices)
        root = self.root = count + len(clusters)
        self.parent = [root] * root + [-1]
        for i, cluster in enumerate(clusters, count):
            if cluster.parent is not None:
                self.parent[i] = count + cluster.parent
        for i, vertex in enumerate(vertices):
            if vertex.cluster is not None:
                self.parent[i] = count + vertex.cluster
        self.columns: dict[int, list[int]] = {}
        for wrap in wraps:
            for inside in wrap.columns:
                column = len(self.parent)
                self.columns.setdefault(wrap.cluster, []).append(column)
                self.parent.append(wrap.cluster)
                for i in inside:
                    self.parent[i] = column
        ids = len(self.parent)
        self.depth = [0] * ids
        for i in range(ids):
            at = self.parent[i]
            while at >= 0:
                self.depth[i] += 1
                at = self.parent[at]
        self.written = {e.head for e in drawing.edges if e.flow == "update" and vertices[e.head].kind == "update"}
        self.age = [*range(count), *([2 * count] * (ids - count))]
        for i, vertex in enumerate(vertices):
            leaf = vertex.kind in LEAVES and i not in self.written
            weighs = i + count if leaf else i  # leaves do not say when a module ran
            at = self.parent[i]
            while at >= 0:
                self.age[at] = min(self.age[at], weighs)
                at = self.parent[at]
        self.inside: dict[int, list[int]] = {i: [] for i in range(count, ids)}
        for i in range(ids):
            if i != root:
                self.inside[self.parent[i]].append(i)
        for within in self.inside.values():
            within.sort(key=lambda i: (self.age[i], i))

    def steps(self, tail: int, head: int) -> tuple[list[Step], int]:
        """The way from one vertex to another: out of the clusters around the first, and into those around the other. Also
        the position of the step between these."""
        parent, depth = self.parent, self.depth
        outward: list[Step] = []
        inward: list[Step] = []
        while parent[tail] != parent[head]:
            if depth[tail] >= depth[head]:
                outward.append(Step(parent[tail], tail, BORDER))
                tail = parent[tail]
            else:
                inward.append(Step(parent[head], BORDER, head))
                head = parent[head]
        return [*outward, Step(parent[tail], tail, head), *reversed(inward)], len(outward)
