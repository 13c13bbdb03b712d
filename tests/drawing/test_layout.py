"""The layout of stills: boxes, clusters, ways and labels that keep clear of each other, and straight chains."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.drawing.layout import place
from tapenet.drawing.metrics import room
from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tapenet.drawing.passes.view import View
from tests.drawing.drawings import drawings
from tests.drawing.flaws import crossings, flaws, middle, spine, unlabelled
from tests.drawing.models import GPT, MODELS, RNN, LeNet, TwoHeads, UNet, images, kept

DIRECTIONS = ("TB", "LR", "BT", "RL")
A = Value((2, 3), "f32")
#: What is drawn of each model: its step forward, with gradients, and with every box.
KINDS: dict[str, dict[str, Any]] = {
    "forward": {},
    "backward": {"backward": True},
    "whole": {"backward": True, "budget": None, "compact": False},
}
TRAINED: dict[str, type[nn.Module]] = {"lenet": LeNet, "gpt": GPT, "unet": UNet, "rnn": RNN, "two_losses": TwoHeads}


class Residual(nn.Module):
    """Two convolutions beside what came in; where shapes differ, that goes through a convolution of its own."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Any) -> Any:
        out = self.conv2(F.relu(self.norm(self.conv1(x))))
        return F.relu(out + (x if self.shortcut is None else self.shortcut(x)))


class ResNet(nn.Module):
    def __init__(self) -> None:
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.blocks = nn.Sequential(Residual(4, 4), Residual(4, 8), Residual(8, 8))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Any) -> Any:
        return self.fc(self.blocks(self.stem(x)).mean(axis=(2, 3)))


class Dense(nn.Module):
    """Each layer adds channels to what it was given, as in a DenseNet."""

    def __init__(self) -> None:
        self.layers = nn.ModuleList([nn.Conv2d(4 + 2 * i, 2, 3, padding=1) for i in range(3)])

    def forward(self, x: Any) -> Any:
        for layer in self.layers:
            x = np.concatenate([x, np.tanh(layer(x))], axis=1)
        return x


class Twice(nn.Module):
    """One layer that is used before and after another."""

    def __init__(self) -> None:
        self.outer, self.inner = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return self.outer(np.tanh(self.inner(np.tanh(self.outer(x)))))


def resnet() -> Any:
    return kept(ResNet)(images(2, 3, 8, 8)).sum()


def dense() -> Any:
    return kept(Dense)(images(2, 4, 8, 8)).sum()


def twice() -> Any:
    return kept(Twice)(images(2, 4)).sum()


def drawn(name: str, kind: str, **options: Any) -> Drawing:
    x = {**MODELS, "resnet": resnet, "dense": dense, "twice": twice}[name]()
    if kind == "update":
        module: Any = TRAINED[name]
        optimizer = optim.SGD(kept(module).parameters(), lr=0.1, momentum=0.9)
        return tn.draw(x, optimizer=optimizer, parameters=True).drawing
    return tn.draw(x, **KINDS[kind], **options).drawing


CASES = [
    (name, kind)
    for name in (*MODELS, "resnet", "dense", "twice")
    for kind in (*KINDS, "update")
    if "chain" not in name and (kind != "update" or name in TRAINED) and (name != "compiled" or kind == "forward")
]


@pytest.mark.parametrize(
    ("name", "kind"),
    [pytest.param(*case, marks=[pytest.mark.slow] * (case == ("resnet50", "whole"))) for case in CASES],
)
def test_nothing_stands_in_the_way_of_anything(name: str, kind: str) -> None:
    drawing = drawn(name, kind)
    for direction in DIRECTIONS:
        placed = place(drawing, direction)
        assert [*flaws(placed)] == []
        assert unlabelled(placed) == []
        assert place(drawing, direction) == placed
        same = [(e.tail, e.head, e.result, e.flow) for e in drawing.edges]
        hidden = [same[i] for i, way in enumerate(placed.ways) if not way.points]
        assert all(same.count(way) > 1 for way in hidden)  # what goes the same way is drawn once


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["unet", "resnet", "dense", "lenet", "xor"])
def test_arrows_do_not_cross(name: str, kind: str, direction: str) -> None:
    assert crossings(place(drawn(name, kind), direction)) == 0


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", ["lenet", "unet", "resnet", "resnet50", "dense", "gpt"])
def test_the_main_chain_is_straight(name: str, direction: str) -> None:
    placed = place(drawn(name, "forward"), direction)
    across = [middle(placed, i)[direction in ("LR", "RL")] for i in spine(placed)]
    assert max(across) - min(across) < 0.5


def test_skip_connections_have_straight_lanes_the_longer_the_further_out() -> None:
    placed = place(drawn("unet", "forward"))
    lanes = [way.points for edge, way in zip(placed.drawing.edges, placed.ways, strict=True) if edge.skip]
    assert [len(points) for points in lanes] == [4, 4, 4]  # out, along and back
    ordered = sorted(lanes, key=lambda points: points[2][1] - points[1][1])
    assert all(a[1][0] > b[1][0] and a[1][0] == a[2][0] for a, b in pairwise(ordered))
    assert all(a[0][1] > b[0][1] and a[3][1] < b[3][1] for a, b in pairwise(ordered))  # one within the other


def test_parameters_stand_beside_their_op() -> None:
    placed = place(drawn("lenet", "backward", parameters=True))
    edges = [e for e in placed.drawing.edges if placed.drawing.vertices[e.tail].kind == "parameter"]
    for edge in edges:
        parameter, op = placed.boxes[edge.tail], placed.boxes[edge.head]
        assert parameter.x > op.x + op.width
        assert parameter.x - op.x - op.width < 50


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gradients_run_seven_points_beside_their_values(direction: str) -> None:
    placed = place(drawn("lenet", "backward", parameters=True), direction)
    ways = {(e.tail, e.head, e.flow): way.points for e, way in zip(placed.drawing.edges, placed.ways, strict=True)}
    found = 0
    for (tail, head, flow), points in ways.items():
        if flow == "gradient":
            value = ways[head, tail, "value"]
            assert len(points) == len(value)
            for (x, y), (p, q) in zip(points, reversed(value), strict=True):
                assert {round(abs(x - p), 1), round(abs(y - q), 1)} <= {0.0, 7.0}
            found += 1
    assert found > 10


def test_what_one_repetition_hands_to_the_next_goes_around() -> None:
    vertices = [Vertex("input", "x", A), *(Vertex("op", name, cluster=0) for name in ("first", "second", "third"))]
    edges = [Edge(0, 1, A), Edge(1, 2, A), Edge(2, 3, A), Edge(3, 1, A, flow="carry")]
    for direction in DIRECTIONS:
        placed = place(Drawing(vertices, edges, [Cluster("", "", around="repeat", count=9)]), direction)
        assert [*flaws(placed)] == []
        assert crossings(placed) == 0
        label = placed.ways[3].label
        assert label is not None
        assert label.text == "next"


def test_a_box_may_hand_something_to_itself() -> None:
    drawing = Drawing([Vertex("op", "tanh", cluster=0)], [Edge(0, 0, A, flow="carry")], [Cluster("", "×9")])
    assert [*flaws(place(drawing))] == []
    assert len(place(drawing).ways[0].points) == 4


def test_an_empty_drawing_and_an_empty_cluster_have_a_size() -> None:
    assert place(Drawing([], [], [])).width > 0
    placed = place(Drawing([], [], [Cluster("name", "Type")]))
    assert placed.clusters[0].width > room("name: Type", 11, bold=True)


@given(drawings(), st.booleans(), st.booleans(), st.sampled_from(DIRECTIONS))
def test_any_drawing_is_laid_out(drawing: Drawing, repeats: bool, backward: bool, direction: str) -> None:
    view = View(budget=None, repeats=repeats, backward=backward, compact=False)
    placed = place(view.of(view.unfolded(drawing)), direction)
    assert [flaw for flaw in flaws(placed) if "overlap" in flaw or "wrong side" in flaw or "leaves" in flaw] == []


def test_a_long_title_is_wrapped_and_arrows_pass_beside_it() -> None:
    vertices = [Vertex("input", "x", A), Vertex("op", "tanh", cluster=0), Vertex("output", "y", A)]
    cluster = Cluster("encoder", "Encoder", parameters=85_054_464, count=12, each=7_087_873)
    drawing = Drawing(vertices, [Edge(0, 1, A), Edge(1, 2, A)], [cluster])
    for direction in DIRECTIONS:
        placed = place(drawing, direction)
        assert [*flaws(placed)] == []
        assert [line.bold for line in placed.clusters[0].lines] == [True, False]


def test_texts_are_measured_in_the_widest_of_the_fonts() -> None:
    assert room("", 12) == 0
    assert room("W", 10) > room("i", 10)
    assert room("weight", 10, bold=True) > room("weight", 10)
    assert room("重み", 10) == room("🎲🎲", 10) == 20
