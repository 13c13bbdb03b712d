"""What was added, removed and changed between two graphs."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn
from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tapenet.drawing.passes.align import align
from tapenet.drawing.passes.diff import Difference, diff
from tapenet.drawing.passes.match import numbered, settings
from tapenet.drawing.passes.view import changed_clusters
from tapenet.drawing.sources.build import build
from tests.drawing.graphs import GRAPHS, array, leaf, split_sign
from tests.drawing.models import GPT, Block, lenet, resnet50

_alive: list[nn.Module] = []  # graphs know their modules weakly


def run(module: Any, *arguments: Any) -> Any:
    _alive.append(module)
    return module(*arguments)


def compare(before: Any, after: Any) -> Difference:
    """The difference, after checks of what holds for every one."""
    a = before if isinstance(before, Drawing) else build(before)
    b = after if isinstance(after, Drawing) else build(after)
    found = diff(a, b)
    check(a, b, found)
    back = diff(b, a)
    assert Counter(back.added) == Counter(found.removed)
    assert Counter(back.removed) == Counter(found.added)
    assert len(back.changed) == len(found.changed)
    assert len(back.arrays) == len(found.arrays)
    return found


def check(a: Drawing, b: Drawing, found: Difference) -> None:
    """Both drawings are in the new one, and it is as well made as they are."""
    drawing = found.drawing
    for things in ("vertices", "edges", "clusters"):
        signs = Counter(thing.sign for thing in getattr(drawing, things))
        assert signs.keys() <= {"", "added", "removed", "changed"}
        assert signs.total() - signs["added"] == len(getattr(a, things))
        assert signs.total() - signs["removed"] == len(getattr(b, things))
    for position, cluster in enumerate(drawing.clusters):
        assert cluster.parent is None or cluster.parent < position
        assert cluster.depth == (0 if cluster.parent is None else drawing.clusters[cluster.parent].depth + 1)
    for edge in drawing.edges:
        assert edge.tail < edge.head
        tail, head = drawing.vertices[edge.tail], drawing.vertices[edge.head]
        ends = {tail.sign, head.sign}
        assert not {"added", "removed"} <= ends
        for sign in ends & {"added", "removed"}:
            assert edge.sign == sign
    consecutive(drawing)
    signed = any(thing.sign for things in drawing[:3] for thing in things)
    assert found.same == (not signed)
    assert (str(found) == "no difference") == found.same


def consecutive(drawing: Drawing) -> None:
    """The ops of each cluster follow each other, so that folding it makes no circle."""
    left: set[int] = set()
    running: list[int] = []
    for vertex in drawing.vertices:
        if vertex.kind != "op":
            continue
        around: list[int] = []
        at = vertex.cluster
        while at is not None:
            around.append(at)
            at = drawing.clusters[at].parent
        left |= set(running) - set(around)
        assert not left & set(around)
        running = around


class Net(nn.Module):
    def __init__(self, kernel: int = 3, width: int = 8, norm: bool = False, name: str = "fc") -> None:
        self.conv1 = nn.Conv2d(1, 4, kernel, padding=kernel // 2)
        self.norm: Any = nn.BatchNorm2d(4) if norm else None
        self.conv2 = nn.Conv2d(4, width, 3, padding=1)
        setattr(self, name, nn.Linear(width * 49, 10))
        self.name = name

    def activation(self, x: Any) -> Any:
        return np.maximum(x, 0)

    def forward(self, x: Any) -> Any:
        h = self.conv1(x)
        if self.norm is not None:
            h = self.norm(h)
        h = self.middle(self.activation(h))
        h = self.activation(self.conv2(F.max_pool2d(h, 4)))
        return getattr(self, self.name)(h.reshape(len(h), -1))

    def middle(self, x: Any) -> Any:
        return np.tanh(x)


class WithGelu(Net):
    def activation(self, x: Any) -> Any:
        return F.gelu(x)


class WithResidual(Net):
    def middle(self, x: Any) -> Any:
        return np.tanh(x) + x


def renamed(net: type[Net]) -> Any:
    return type("Net", (net,), {})


IMAGES = array(2, 1, 28, 28)


def net(kind: type[Net] = Net, images: Any = IMAGES, **options: Any) -> Any:
    return run(renamed(kind)(**options), images)


# -- small models --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_nothing_differs_from_itself(name: str) -> None:
    after = build(GRAPHS[name]())
    found = compare(GRAPHS[name](), after)
    assert found.same
    assert found.drawing == after
    assert not found.added + found.removed + found.changed
    assert changed_clusters(found.drawing) == set()


def test_kernel_size() -> None:
    found = compare(net(), net(kernel=5))
    assert found.changed == [
        "Net: 4,266 → 4,330 parameters",
        "conv1 · Conv2d: weight 4×1×3×3 → 4×1×5×5",
        "conv1 · Conv2d: conv 3×3, 4, padding 1 → conv 5×5, 4, padding 2",
    ]
    assert not found.added + found.removed
    assert not found.arrays
    changed = [v for v in found.drawing.vertices if v.sign]
    assert [(v.sign, v.title, v.details[0]) for v in changed] == [
        ("changed", "weight", "was 4×1×3×3 f32"),
        ("changed", "conv 5×5, 4, padding 2", "was conv 3×3, 4, padding 1"),
    ]
    assert {found.drawing.clusters[c].path for c in changed_clusters(found.drawing)} == {"", "conv1"}


def test_option() -> None:
    x = leaf(4, 6)
    found = compare(x.sum(axis=0), x.sum(axis=1))
    assert found.changed == ["sum along axis 0 → sum along axis 1"]
    assert [str(change) for change in found.arrays] == ["output 6 → 4", "sum along axis 1 6 → 4"]
    (vertex,) = [v for v in found.drawing.vertices if v.op == "sum"]
    assert (vertex.sign, vertex.details[0]) == ("changed", "was sum along axis 0")
    assert compare(x.sum(), x.sum(axis=1)).changed == ["sum → sum along axis 1"]


def test_reshaped_parameter() -> None:
    found = compare(net(), net(width=16))
    assert found.changed == [
        "Net: 4,266 → 8,482 parameters",
        "conv2 · Conv2d: weight 8×4×3×3 → 16×4×3×3",
        "conv2 · Conv2d: bias 8 → 16",
        "conv2 · Conv2d: conv 3×3, 8, padding 1 → conv 3×3, 16, padding 1",
        "fc · Linear: weight 10×392 → 10×784",
    ]
    assert str(found.arrays[0]) == "conv2 · Conv2d: conv 3×3, 16, padding 1 2×8×7×7 → 2×16×7×7"
    assert {found.drawing.clusters[c].path for c in changed_clusters(found.drawing)} == {"", "conv2", "fc"}


def test_batch_size_opens_no_module_without_cause() -> None:
    found = compare(net(), net(images=array(5, 1, 28, 28)))
    assert found.changed == ["input 2×1×28×28 → 5×1×28×28", "Net: reshape: shape=(2, -1) → shape=(5, -1)"]
    assert len(found.arrays) == len([v for v in found.drawing.vertices if v.op or v.kind == "output"])
    assert {found.drawing.clusters[c].type for c in changed_clusters(found.drawing)} == {"Net"}


def test_dtype() -> None:
    found = compare(np.tanh(leaf(3)).sum(), np.tanh(leaf(3, dtype=np.float64)).sum())
    assert found.changed == ["tensor f32 → f64"]
    assert [str(change) for change in found.arrays] == ["output f32 → f64", "tanh f32 → f64", "sum f32 → f64"]


def test_activation_replaced() -> None:
    found = compare(net(), net(WithGelu))
    assert found.changed == ["Net: max(·, 0) → gelu"] * 2
    assert not found.added + found.removed
    assert "max(·, 0) → gelu (×2)" in str(found)
    assert [v.details[0] for v in found.drawing.vertices if v.sign] == ["was max(·, 0)"] * 2
    assert not any(edge.sign for edge in found.drawing.edges)


def test_layer_inserted_and_removed() -> None:
    found = compare(net(), net(norm=True))
    assert found.added == ["norm · BatchNorm2d: 1 op, 8 parameters"]
    assert not found.removed
    assert found.changed == ["Net: 4,266 → 4,274 parameters"]
    assert [v.title for v in found.drawing.vertices if v.sign == "added"][:2] == ["weight", "bias"]
    path = {found.drawing.clusters[c].path for c in changed_clusters(found.drawing)}
    assert path >= {"", "norm"}  # and its neighbour, which takes another array
    assert path <= {"", "norm", "conv1"}


def test_residual_connection_added() -> None:
    found = compare(net(), net(WithResidual))
    assert found.added == ["Net: +"]
    assert not found.removed + found.changed
    titles = [v.title for v in found.drawing.vertices]
    added = {(titles[e.tail], titles[e.head]) for e in found.drawing.edges if e.sign == "added"}
    assert added == {("tanh", "+"), ("max(·, 0)", "+"), ("+", "max pool 4×4")}
    removed = [(titles[e.tail], titles[e.head]) for e in found.drawing.edges if e.sign == "removed"]
    assert removed == [("tanh", "max pool 4×4")]


def test_module_renamed() -> None:
    found = compare(net(), net(name="head"))
    assert found.changed == ["head · Linear: was fc · Linear"]
    assert not found.added + found.removed
    assert not any(v.sign for v in found.drawing.vertices)


def test_class_renamed() -> None:
    found = compare(net(), run(type("Net2", (Net,), {})(kernel=5), IMAGES))
    assert found.changed[0] == "Net2: was Net"
    assert "conv1 · Conv2d: weight 4×1×3×3 → 4×1×5×5" in found.changed
    assert not found.added + found.removed


class Two(nn.Module):
    def __init__(self, swapped: bool) -> None:
        self.first, self.second, self.swapped = nn.Linear(4, 4), nn.Linear(4, 4), swapped

    def forward(self, x: Any) -> Any:
        return self.first(self.second(x)) if self.swapped else self.second(self.first(x))


def test_order_swapped() -> None:
    found = compare(run(Two(False), array(3, 4)), run(Two(True), array(3, 4)))
    assert found.added == found.removed
    assert found.added[0] in ("first · Linear: 1 op, 20 parameters", "second · Linear: 1 op, 20 parameters")
    assert not found.changed
    x = leaf(3)
    found = compare(np.tanh(np.sin(x)).sum(), np.sin(np.tanh(x)).sum())
    assert len(found.added) == len(found.removed) == 1


def test_other_result_used() -> None:
    positive, negative = split_sign(leaf(3, 4))
    found = compare(positive.sum(), negative.sum())
    assert found.removed == ["split sign, result 0, into sum as a"]
    assert found.added == ["split sign, result 1, into sum as a"]
    found = compare(positive.sum(), positive.sum() * negative.sum())
    assert found.added == ["sum", "×"]
    assert not found.removed + found.changed


def test_arguments_swapped() -> None:
    x = leaf(3)
    y = np.sin(x)
    found = compare(x - y, y - x)
    assert found.removed == ["tensor into − as x", "sin into − as y"]
    assert found.added == ["sin into − as x", "tensor into − as y"]


def test_list_of_arguments() -> None:
    x, y, z = leaf(2, 3), np.sin(leaf(2, 3)), np.cos(leaf(2, 3))
    found = compare(tn.concatenate([y, z]), tn.concatenate([y, x, z]))
    assert found.added == ["tensor 2×3 f32"]
    assert not found.removed + found.changed  # the third one was the second
    found = compare(tn.concatenate([y, z]), tn.concatenate([z, y]))
    assert len(found.added) == len(found.removed) == 1


def test_second_loss() -> None:
    w = leaf(3)
    loss = np.sin(w).sum()
    found = compare({"loss": loss}, {"loss": loss, "decay": (w**2).sum()})
    assert found.added == ["^ 2", "sum", "decay scalar f32"]
    assert not found.removed + found.changed
    assert compare(loss, {"loss": loss}).changed == ["output → loss"]


def test_nothing_in_common() -> None:
    found = compare(lenet(), np.sin(leaf(3) * 2))
    assert "LeNet: 12 ops, 61,706 parameters" in found.removed
    assert any(text == "sin" for text in found.added)
    compare(lenet(), resnet50())


def test_lists_are_known_by_content() -> None:
    L = nn.Linear
    x = array(2, 8)

    def of(*layers: Any) -> Any:
        return run(nn.Sequential(*layers), x)

    before = of(L(8, 8), nn.ReLU(), L(8, 4))
    assert compare(before, of(L(8, 8), nn.Tanh(), nn.ReLU(), L(8, 4))).added == ["1 · Tanh: 1 op"]
    assert compare(before, of(L(8, 8), nn.ReLU(), L(8, 8), L(8, 4))).added == ["2 · Linear: 1 op, 72 parameters"]
    found = compare(before, of(L(8, 8), nn.GELU(), L(8, 4)))
    assert found.changed == ["1 · GELU: was ReLU", "1 · GELU: relu → gelu"]
    deeper = compare(before, of(L(8, 16), nn.ReLU(), L(16, 16), nn.ReLU(), L(16, 4)))
    assert len(deeper.added) == 2
    assert not deeper.removed


# -- a larger one --------------------------------------------------------------------------------------------

TOKENS = np.arange(32).reshape(2, 16)


def gpt(replaced: Any = (), new: Any = None, **options: Any) -> Drawing:
    model = GPT(**options)
    for position in replaced:
        model.blocks[position] = new(48, 4)
    return build(run(model, TOKENS))


class NormAfter(Block):
    def forward(self, x: Any) -> Any:
        x = x + self.ln1(self.attn(x))
        return x + self.ln2(self.mlp(x))


def test_one_more_block() -> None:
    found = compare(gpt(), gpt(layers=13))
    assert found.added == ["blocks.12 · Block: 22 ops, 28,272 parameters"]
    assert found.changed == ["GPT: 346,368 → 374,640 parameters"]
    assert not found.removed
    assert [found.drawing.clusters[c].type for c in sorted(changed_clusters(found.drawing))][:2] == ["GPT", "Block"]


def test_wider_and_deeper() -> None:
    found = compare(gpt(), gpt(layers=14, width=64))
    assert [text.partition(" · ")[0] for text in found.added] == ["blocks.12", "blocks.13"]
    assert not found.removed
    text = str(found)
    assert "blocks.0.attn.qkv · Linear … blocks.11.attn.qkv · Linear (×12)\n  ~ weight 144×48 → 192×64" in text
    assert text.count("\n") < 60


def test_blocks_replaced_in_their_places() -> None:
    found = compare(gpt(), gpt((3, 7), NormAfter))
    renamed = [text for text in found.changed if "was" in text]
    assert renamed == ["blocks.3 · NormAfter: was Block", "blocks.7 · NormAfter: was Block"]
    assert all(text.startswith(("blocks.3.", "blocks.7.")) for text in found.added + found.removed)


def test_block_inserted_in_the_middle() -> None:
    found = compare(gpt(), gpt((3,), NormAfter, layers=13))
    assert [text.partition(" · ")[0] for text in found.added] == ["blocks.3"]
    assert not found.removed
    assert found.changed == ["GPT: 346,368 → 374,640 parameters"]


# -- chains and random graphs --------------------------------------------------------------------------------

NAMES = ("sin", "cos", "tanh", "exp")


def chain(names: Any) -> Drawing:
    value = Value((3,), "f32")
    vertices = [Vertex("parameter", "x", value), *(Vertex("op", name, op=name) for name in names)]
    vertices.append(Vertex("output", "output", value))
    return Drawing(vertices, [Edge(i, i + 1, value, argument="x") for i in range(len(vertices) - 1)], [])


def test_long_chains() -> None:
    names = ["sin", "times"] * 5000
    assert diff(chain(names), chain([*names[:5000], "cos", *names[5001:]])).changed == ["sin → cos"]
    found = diff(chain(["sin"] * 10_000), chain(["cos"] * 10_000))
    assert len(found.added) == len(found.removed) == 10_000


def test_chains_with_little_in_common() -> None:
    names = ["sin", "times"] * 500
    assert compare(chain(names), chain([*names[:500], *names[501:]])).removed == ["sin"]
    assert compare(chain(names), chain(["cos", *names, "cos"])).added == ["cos", "cos"]
    choose = random.Random(0)
    one, two = (choose.choices(NAMES, k=1000) for _ in range(2))
    assert len(compare(chain(one), chain(two)).added) < 600


@given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=30), st.data())
def test_a_missing_op_is_found(names: list[str], data: Any) -> None:
    position = data.draw(st.integers(0, len(names) - 1))
    found = compare(chain(names), chain(names[:position] + names[position + 1 :]))
    assert found.removed == [names[position]]
    assert not found.added + found.changed


@st.composite
def drawings(draw: Any, mark: str) -> Drawing:
    """A drawing of random ops in random modules, each thing with a line of its own to know it by."""
    clusters: list[Cluster] = []
    vertices: list[Vertex] = []
    edges: list[Edge] = []
    inside: list[int] = []

    def add(kind: Any, title: str, cluster: int | None, op: str = "") -> int:
        value = None if op else Value((draw(st.integers(1, 2)),), "f32")
        vertices.append(Vertex(kind, title, value, cluster=cluster, op=op, line=f"{mark}{len(vertices)}"))
        return len(vertices) - 1

    made: list[int] = [add("input", "x", None)]
    for _ in range(draw(st.integers(0, 12))):
        del inside[draw(st.integers(0, len(inside))) :]
        if draw(st.booleans()) and len(inside) < 3:
            name = draw(st.sampled_from(["", "a", "b", "0", "1", "2"]))
            parent = inside[-1] if inside else None
            inside.append(len(clusters))
            clusters.append(Cluster(name, draw(st.sampled_from(["A", "B"])), name, parent, len(inside) - 1))
        around = inside[-1] if inside else None
        tails = draw(st.lists(st.sampled_from(made), max_size=3))
        if draw(st.integers(0, 3)) == 0:
            tails.append(add("parameter", draw(st.sampled_from(["w", "b"])), around))
        head = add("op", "", around, op=draw(st.sampled_from(NAMES)))
        for i, tail in enumerate(tails):
            edges.append(Edge(tail, head, Value((draw(st.integers(1, 2)),), "f32"), argument=f"arrays[{i}]"))
        made.append(head)
    for i, tail in enumerate(draw(st.lists(st.sampled_from(made), max_size=2))):
        edges.append(Edge(tail, add("output", f"output {i}", None), Value((1,), "f32")))
    return Drawing(vertices, edges, clusters)


@pytest.mark.slow
@given(drawings("a"), drawings("b"))
def test_random_graphs(a: Drawing, b: Drawing) -> None:
    found = compare(a, b)
    drawing = found.drawing
    after = [v for v in drawing.vertices if v.sign != "removed"]
    assert sorted(v.line for v in after) == sorted(v.line for v in b.vertices)
    by_line = {v.line: v for v in b.vertices}
    for vertex in after:
        there = by_line[vertex.line]
        types = [
            d.clusters[v.cluster].type if v.cluster is not None else None for d, v in ((drawing, vertex), (b, there))
        ]
        assert types[0] == types[1]
        assert vertex.title == there.title
    kept = [
        (drawing.vertices[e.tail].line, drawing.vertices[e.head].line) for e in drawing.edges if e.sign != "removed"
    ]
    assert sorted(kept) == sorted((b.vertices[e.tail].line, b.vertices[e.head].line) for e in b.edges)


@given(drawings("a"))
def test_random_graph_and_itself(a: Drawing) -> None:
    found = compare(a, a)
    assert found.same


# -- sequences and words -------------------------------------------------------------------------------------


def longest(a: Any, b: Any) -> int:
    lengths = np.zeros((len(a) + 1, len(b) + 1), int)
    for i in range(len(a)):
        for j in range(len(b)):
            lengths[i + 1, j + 1] = lengths[i, j] + 1 if a[i] == b[j] else max(lengths[i, j + 1], lengths[i + 1, j])
    return int(lengths[-1, -1])


@given(st.lists(st.integers(0, 3), max_size=15), st.lists(st.integers(0, 3), max_size=15))
def test_longest_common_subsequence(a: list[int], b: list[int]) -> None:
    pairs = align(a, b)
    assert all(a[i] == b[j] for i, j in pairs)
    assert all(i < m and j < n for (i, j), (m, n) in itertools.pairwise(pairs))
    assert len(pairs) == longest(a, b)


def test_of_equal_items_the_last_are_left() -> None:
    assert align("aaaa", "aa") == [(0, 0), (1, 1)]


def test_settings_are_what_is_no_array() -> None:
    def of(call: str) -> str:
        return settings(Vertex("op", "", details=(call, "in a.b: C")))

    assert of("conv2d(x 8×1×28×28 f32, weight 4×1×3×3 f32, stride=(1, 1))") == "conv2d(stride=(1, 1))"
    assert of("power(x scalar f32, y 2)") == "power(y 2)"
    assert of("concatenate(arrays [2×3 f32, 4×3 bool], axis=0)") == "concatenate(axis=0)"
    assert of("concatenate(arrays [2×3 f32, 2.5])") == "concatenate(arrays [·, 2.5])"
    assert settings(Vertex("input", "x", details=("2×3 f32",))) == ""


def test_numbers_of_lists() -> None:
    assert [numbered(name) for name in ("0", "layers.10.conv", "conv1", "")] == ["*", "layers.*.conv", "conv1", ""]


def test_names_cannot_break_the_summary() -> None:
    value = Value((3,), "f32")
    evil = Drawing([Vertex("input", "x\x1b[2J\ny" * 50, value)], [], [])
    text = str(diff(chain([]), evil))
    assert "\x1b" not in text
    assert max(map(len, text.split("\n"))) < 200


def test_a_long_summary_is_cut() -> None:
    clusters = [Cluster(f"m{i}", "A", f"m{i}") for i in range(100)]
    vertices = [Vertex("op", "sin", cluster=i, op="sin") for i in range(100)]
    text = str(diff(chain([]), Drawing(vertices, [], clusters)))
    assert text.endswith("more modules")
    assert text.count("\n") < 130
