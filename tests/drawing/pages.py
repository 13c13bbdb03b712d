"""Drawings made by hand, for the tests of pages: small ones whose every box is known, and large ones."""

from __future__ import annotations

import random

from tapenet.drawing.model import Cluster, Drawing, Edge, Explained, Value, Vertex

F32 = "f32"
_H = Value((8, 16), F32)
_W = Value((16, 16), F32)

#: What clusters of `two_layers` are called: their positions.
NET, FIRST, SECOND = range(3)


def two_layers(backward: bool = False) -> Drawing:
    """x → [first: @ + tanh] → [second: @ +] → loss, with weights and biases; in boxes within one box."""
    vertices = [
        Vertex("input", "x", _H),
        Vertex("parameter", "weight", _W, 256, ("net.first.weight",), FIRST),
        Vertex("op", "@", cluster=FIRST, op="matmul", line="model.py:12", details=("matmul", "of x and weight")),
        Vertex("parameter", "bias", Value((16,), F32), 16, cluster=FIRST),
        Vertex("op", "+", cluster=FIRST, op="add"),
        Vertex("op", "tanh", cluster=FIRST, op="tanh"),
        Vertex("parameter", "weight", _W, 256, cluster=SECOND),
        Vertex("op", "@", cluster=SECOND, op="matmul"),
        Vertex("parameter", "bias", Value((16,), F32), 16, cluster=SECOND),
        Vertex("op", "+", cluster=SECOND, op="add"),
        Vertex("op", "mean", op="mean"),
        Vertex("output", "loss", Value((), F32)),
    ]
    clusters = [
        Cluster("", "Net", parameters=544),
        Cluster("first", "Linear", "first", NET, 1, 272),
        Cluster("second", "Linear", "second", NET, 1, 272),
    ]
    edges = [
        Edge(0, 2, _H, argument="x1"),
        Edge(1, 2, _W, argument="x2"),
        Edge(2, 4, _H, argument="x1"),
        Edge(3, 4, Value((16,), F32), argument="x2"),
        Edge(4, 5, _H, argument="x"),
        Edge(5, 7, _H, argument="x1"),
        Edge(6, 7, _W, argument="x2"),
        Edge(7, 9, _H, argument="x1"),
        Edge(8, 9, Value((16,), F32), argument="x2"),
        Edge(9, 10, _H, argument="a"),
        Edge(10, 11, Value((), F32)),
    ]
    if backward:
        edges += [Edge(e.head, e.tail, e.value, flow="gradient") for e in edges if e.tail]
    ops = {
        "matmul": Explained("x1 @ x2", {"x1": "g @ x2ᵀ", "x2": "x1ᵀ @ g"}),
        "add": Explained("x1 + x2", {"x1": "g", "x2": "g"}),
        "tanh": Explained("tanh(x)", {"x": "g (1 - y²)"}),
        "mean": Explained("mean(a)", {"a": "g / n"}),
    }
    return Drawing(vertices, edges, clusters, ops)


def tangle(count: int = 2000, seed: int = 0) -> Drawing:
    """Boxes in one level with shortcuts of all lengths; the last forty are in a module."""
    choose = random.Random(seed)
    vertices = [Vertex("input", "x", _H)]
    edges = []
    last = 0
    while len(vertices) < count - 1:
        here = len(vertices)
        if choose.random() < 0.4:
            vertices += [Vertex("parameter", f"w{here}", _W, 256), Vertex("op", "@", op="matmul")]
            edges += [Edge(last, here + 1, _H), Edge(here, here + 1, _W, argument="x2")]
            last = here + 1
            continue
        vertices.append(Vertex("op", choose.choice(("tanh", "+", "exp", "relu"))))
        edges.append(Edge(last if choose.random() < 0.8 else choose.randrange(max(0, here - 15), here), here, _H))
        shortcut = choose.randrange(max(0, here - 30), here)
        if choose.random() < 0.3 and vertices[shortcut].kind == "op":
            edges.append(Edge(shortcut, here, _H, argument="x2", skip=True))
        last = here
    vertices.append(Vertex("output", "y", _H))
    edges.append(Edge(last, len(vertices) - 1, _H))
    vertices[-40:] = [vertex._replace(cluster=0) for vertex in vertices[-40:]]
    return Drawing(vertices, edges, [Cluster("tail", "Tail", "tail")])


def blocks(count: int = 40, size: int = 50) -> Drawing:
    """Modules one after another, each a chain of ops with parameters and a way around it."""
    vertices: list[Vertex] = []
    edges: list[Edge] = []
    clusters = [Cluster(f"block{b}", "Block", f"block{b}", parameters=size) for b in range(count)]
    titles = ("tanh", "+", "", "@", "norm")
    last = None
    for b in range(count):
        start = last
        for i in range(size):
            here = len(vertices)
            if i % 5 == 2:
                vertices.append(Vertex("parameter", f"w{here}", _W, 256, cluster=b))
                continue
            vertices.append(Vertex("op", titles[i % 5], cluster=b, op="tanh"))
            if last is not None:
                edges.append(Edge(last, here, _H))
            if i % 5 == 3:
                edges.append(Edge(here - 1, here, _W, argument="x2"))
            if i == size - 1 and start is not None:
                edges.append(Edge(start, here, _H, skip=True))
            last = here
    return Drawing(vertices, edges, clusters)


def chain(count: int) -> Drawing:
    """Ops in a row."""
    return Drawing([Vertex("op", "tanh")] * count, [Edge(i, i + 1, _H) for i in range(count - 1)], [])


def nested(seed: int, count: int = 60) -> Drawing:
    """Modules in modules, entered and left at random, with arrays going between any of them."""
    choose = random.Random(seed)
    vertices: list[Vertex] = []
    edges: list[Edge] = []
    clusters: list[Cluster] = []
    inside: list[int] = []
    while len(vertices) < count:
        if len(inside) < 4 and choose.random() < 0.2:
            parent = inside[-1] if inside else None
            clusters.append(
                Cluster(f"m{len(clusters)}", "Module" * choose.randint(1, 4), parent=parent, depth=len(inside))
            )
            inside.append(len(clusters) - 1)
        if inside and choose.random() < 0.2:
            inside.pop()
        here = len(vertices)
        cluster = inside[-1] if inside else None
        if here and choose.random() < 0.25:  # in a module around
            around = choose.choice([*inside, None])
            vertices.append(Vertex("parameter", "w" * choose.randint(1, 12), _W, 256, cluster=around))
            continue
        vertices.append(Vertex("op", choose.choice(("@", "tanh", "a longer title", "two\nlines")), cluster=cluster))
        tails = {choose.randrange(here) for _ in range(choose.randint(1, 3))} if here else set()
        edges += [Edge(tail, here, _H, skip=choose.random() < 0.1) for tail in sorted(tails)]
        if here and choose.random() < 0.2:
            edges.append(Edge(here, choose.randrange(here), _H, flow=choose.choice(("gradient", "update", "carry"))))
    return Drawing(vertices, edges, clusters)
