"""Pictures of functions that a transformation changed: what they compute, in a cluster."""

from __future__ import annotations

from typing import Any

import numpy as np

import tapenet as tn
from tapenet.drawing.model import Drawing
from tapenet.drawing.sources.build import build


def inside(drawing: Drawing, title: str) -> list[str]:
    """What the cluster of a title holds."""
    (cluster,) = [i for i, c in enumerate(drawing.clusters) if c.title == title]
    assert drawing.clusters[cluster].around == "transform"
    return [v.title for v in drawing.vertices if v.cluster == cluster]


def test_lanes_are_a_cluster_around_the_ops_of_the_function() -> None:
    x = tn.tensor(np.ones((3, 5)), requires_grad=True)
    w = tn.tensor(np.ones(5), requires_grad=True)
    drawing = build(tn.vmap(lambda a: (np.tanh(a * w)[1:] * 2).sum())(x).sum())
    assert inside(drawing, "vmap ×3") == ["×", "tanh", "[1:]", "× 2", "sum"]
    edges = {(drawing.vertices[e.tail].title, drawing.vertices[e.head].title) for e in drawing.edges}
    assert ("tensor", "×") in edges
    assert ("sum", "sum") in edges  # of the lane, and of the lanes
    assert ("sum", "output") in edges
    assert drawing.ops["tanh"].formula == "tanh x"


def test_transformations_of_each_other_are_nested() -> None:
    def cube(x: Any) -> Any:
        return x**3

    x = tn.tensor(np.ones(4), requires_grad=True)
    drawing = build(tn.vmap(lambda a: tn.jvp(cube, (a,), (1.0,))[1])(x).sum())
    outer, inner = drawing.clusters
    assert (outer.title, inner.title, inner.parent) == ("vmap ×4", "jvp of cube", 0)
    assert "^ 3" not in inside(drawing, "jvp of cube")  # which nothing uses
    with tn.Tape() as tape:
        tn.hessian(lambda x: (x**3).sum())(x)
    assert [c.title for c in build(tape).clusters] == ["gradient"]


def test_only_what_leads_to_the_result_is_drawn_and_that_once() -> None:
    drawing = tn.draw(tn.hessian(lambda x: np.exp(x).sum() * (x**2).sum()), np.array([0.3, -0.2, 0.5])).source
    used = {edge.tail for edge in drawing.edges}
    assert [v.title for i, v in enumerate(drawing.vertices) if v.kind == "op" and i not in used] == []
    assert [v.title for v in drawing.vertices].count("exp") == 1
    assert "directions" in [v.title for v in drawing.vertices]
    b = tn.tensor(np.ones(3), requires_grad=True)
    slope = tn.draw(lambda x, t: tn.jvp(lambda x: x**2 + b, (x,), (t,))[1], np.ones(3), np.ones(3)).source
    assert [v.title for v in slope.vertices if v.kind in ("input", "parameter")] == ["x", "t"]  # not b


def test_parameters_of_a_transformed_function_keep_their_names_and_aliases_are_not_drawn() -> None:
    def loss(w: Any, x: Any) -> Any:
        return np.tanh(x @ w).sum()

    drawing = tn.draw(tn.grad(loss), np.ones((3, 4)), np.ones((2, 3))).source
    titles = [v.title for v in drawing.vertices]
    assert titles[:2] == ["w", "x"]
    assert "alias" not in titles
    assert "broadcast 1" in titles
    assert "ᵀ" in titles
