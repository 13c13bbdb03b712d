"""What is repeated is drawn once, with a count, and only where that is true."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet import nn
from tapenet.drawing.model import Drawing
from tapenet.drawing.passes.repeats import fold_repeats
from tapenet.drawing.sources.build import build
from tests.drawing import models
from tests.drawing.drawings import Pen, blocks, drawings, periodic, sound, true_of
from tests.drawing.graphs import GRAPHS, array, leaf

SMALL = ["xor", "lenet", "resnet50", "gpt", "rnn", "unet", "two_losses", "second_order", "two_outputs"]


def folded(x: Any) -> Drawing:
    source = build(x)
    drawing = fold_repeats(source)
    sound(source, drawing)
    return drawing


def counts(drawing: Drawing) -> list[str]:
    return [" · ".join(c.title.split(" · ")[:2]) for c in drawing.clusters if c.count > 1]


def linears(count: int, width: int = 4) -> nn.Sequential:
    return nn.Sequential(*(nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(count)))


# -- all graphs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [*GRAPHS.values(), *(models.MODELS[n] for n in SMALL)], ids=lambda f: f.__name__)
def test_nothing_is_lost_and_nothing_drawn_twice(make: Any) -> None:
    source = build(make())
    drawing = fold_repeats(source)
    sound(source, drawing)
    assert fold_repeats(source) == drawing


@settings(max_examples=100)
@given(drawings())
def test_any_drawing_stays_sound(source: Drawing) -> None:
    sound(source, fold_repeats(source))


# -- what is true ----------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(blocks(), st.integers(4, 12), st.booleans())
def test_equal_blocks_are_drawn_once(block: Any, count: int, modules: bool) -> None:
    source = periodic(block, count, modules=modules).drawing
    drawing = fold_repeats(source)
    sound(source, drawing)
    true_of(source, drawing, rows=modules)
    if len(block) * (count - 1) >= 8:
        assert len([v for v in drawing.vertices if v.kind == "op"]) < len(block) * count


@settings(max_examples=150)
@given(blocks(), blocks(), st.integers(4, 12), st.booleans(), st.data())
def test_a_changed_repetition_is_not_merged(block: Any, other: Any, count: int, modules: bool, data: Any) -> None:
    place = data.draw(st.integers(0, count - 1))
    source = periodic(block, count, {place: other}, modules=modules).drawing
    drawing = fold_repeats(source)
    sound(source, drawing)
    true_of(source, drawing, rows=modules)


@settings(max_examples=150)
@given(blocks(), st.integers(4, 10), st.booleans(), st.data())
def test_a_crossed_wire_is_not_merged(block: Any, count: int, modules: bool, data: Any) -> None:
    pen = periodic(block, count, modules=modules)
    place = data.draw(st.integers(0, len(pen.edges) - 1))
    edge = pen.edges[place]
    if pen.vertices[edge.head].kind == "op":
        tail = data.draw(st.integers(0, edge.head - 1))
        pen.edges[place] = edge._replace(tail=tail)
    source = pen.drawing
    drawing = fold_repeats(source)
    sound(source, drawing)
    true_of(source, drawing, rows=modules)


@settings(max_examples=150)
@given(blocks(), st.integers(4, 10), st.booleans(), st.data())
def test_what_is_taken_from_repetitions_is_told_truly(block: Any, count: int, modules: bool, data: Any) -> None:
    pen = periodic(block, count, modules=modules)
    ops = [i for i, v in enumerate(pen.vertices) if v.kind == "op"]
    for _ in range(data.draw(st.integers(1, 4))):
        chosen = data.draw(st.lists(st.sampled_from(ops), min_size=1, max_size=5))
        pen.output(pen.op("add", *chosen))
    drawing = fold_repeats(pen.drawing)
    sound(pen.drawing, drawing)
    true_of(pen.drawing, drawing, rows=modules)


def nested(block: Any, turns: int, stages: int) -> tuple[Pen, list[int]]:
    """Stages of equal blocks, and the stage that each vertex is of."""
    pen = Pen()
    x = pen.leaf()
    of = [-1]
    for stage in range(stages):
        pen.enter("Stage", str(stage))
        first = x
        for _ in range(turns):
            made: list[int] = []
            for name, sources in block:
                # What is shared by all blocks is what went into the stage here.
                made.append(pen.op(name, *({-1: x}.get(s, first) if s < 0 else made[s] for s in sources)))
            x = made[-1]
        x = pen.op("matmul", x, first)
        pen.leave()
        of += [stage] * (len(pen.vertices) - len(of))
    pen.output(x)
    return pen, [*of, -1]


@pytest.mark.slow
@settings(max_examples=150)
@given(blocks(), st.integers(4, 6), st.data())
def test_a_crossed_wire_inside_a_stage_is_not_merged(block: Any, turns: int, data: Any) -> None:
    pen, stage_of = nested(block, turns, 5)
    drawing = fold_repeats(pen.drawing)
    sound(pen.drawing, drawing)
    # Stages that come to one op with a count, a chain of the same, are as quickly read as another count.
    if len(block) > 2 and sum(v.kind == "op" and stage_of[v.members[0]] == 0 for v in drawing.vertices) > 1:
        assert [c.count for c in drawing.clusters if c.around == "module"] == [5]
    changed = data.draw(st.integers(0, 4))
    begins = stage_of.index(changed)
    places = [i for i, e in enumerate(pen.edges) if stage_of[e.head] == changed and e.head > begins + 1]
    place = data.draw(st.sampled_from(places))
    edge = pen.edges[place]
    # From within the stage: what comes into it may truly be another thing for the first of several.
    tail = data.draw(st.integers(begins, edge.head - 1).filter(lambda i: i != edge.tail))
    pen.edges[place] = edge._replace(tail=tail)
    drawing = fold_repeats(pen.drawing)
    sound(pen.drawing, drawing)
    for vertex in drawing.vertices:
        stages = {stage_of[m] for m in vertex.members}
        assert edge.head not in vertex.members or stages == {changed}, vertex


# -- models ----------------------------------------------------------------------------------------------------------


def test_blocks_of_a_model_are_one_with_a_count() -> None:
    net = linears(12)
    drawing = folded(net(array(2, 4)))
    assert counts(drawing) == ["0–11 · Sequential ×12"]
    (block,) = (c for c in drawing.clusters if c.count == 12)
    assert (block.path, block.parameters) == ("0–11", 12 * 20)
    assert [c.path for c in drawing.clusters] == ["", "0–11", "0–11.0", "0–11.1"]
    weights = [v for v in drawing.vertices if v.kind == "parameter"]
    assert [(v.title, v.count) for v in weights] == [("weight", 12), ("bias", 12)]


def test_an_unrolled_loop_is_one_turn_whose_weights_are_drawn_once() -> None:
    drawing = folded(models.rnn())
    (repeat,) = (c for c in drawing.clusters if c.count > 1)
    assert (repeat.title, repeat.around) == ("cell · RNNCell ×100 · 400 shared", "module")
    assert [v.count for v in drawing.vertices if v.kind == "parameter"] == [1] * 5
    (carry,) = (e for e in drawing.edges if e.flow == "carry")
    assert [drawing.vertices[i].op for i in (carry.tail, carry.head)] == ["tanh", "linear"]


def test_turns_of_a_loop_may_take_different_numbers() -> None:
    w, y = leaf(3, 3), array(3)
    for z in np.linspace(0.5, 1, 11):  # as measurements that come in one by one
        y = np.tanh(w @ (z - y))
    drawing = folded(y)
    assert counts(drawing) == ["×10"]  # the first of 11 takes an array
    assert [v.title for v in drawing.vertices if v.op == "subtract"] == ["0.55 … 1 −"]
    powers = folded(sum(w**k for k in range(2, 12)))
    assert "^ 3 … 11" in [v.title for v in powers.vertices]


def test_what_goes_on_in_several_arrows_is_called_so_once() -> None:
    y = array(3)
    for _ in range(10):
        y = np.tanh(leaf(3) * y + y)
    drawing = folded(y)
    flows = [edge.flow for edge in drawing.edges]
    assert (flows.count("carry"), drawing.labels().count("next")) == (2, 1)


def test_two_calls_in_a_row_are_two() -> None:
    encoder = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
    drawing = build(encoder(array(2, 4)) - encoder(array(2, 4)))
    assert [c.title for c in drawing.clusters if c.parent is None] == ["Sequential"] * 2
    deep = nn.Sequential(*(nn.Linear(4, 4) for _ in range(8)))
    (twins,) = (c for c in folded(deep(array(2, 4)) - deep(array(2, 4))).clusters if c.parent is None)
    assert twins.title == "Sequential ×2 in parallel · 160 shared"


def test_equal_stages_of_equal_blocks() -> None:
    def block() -> nn.Sequential:
        return nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.LayerNorm(4))

    def stage() -> nn.Sequential:
        return nn.Sequential(nn.Sequential(*(block() for _ in range(4))), nn.LayerNorm(4))

    net = nn.Sequential(*(stage() for _ in range(3)))
    drawing = folded(net(array(2, 4)))
    outer, inner = (c for c in drawing.clusters if c.count > 1)
    assert (outer.title, inner.title) == ("0–2 · Sequential ×3 · 200 each", "0–3 · Sequential ×4 · 48 each")
    assert (outer.parameters, inner.parameters) == (3 * (4 * 48 + 8), 4 * 48)
    assert inner.path == "0–2.0.0–3"
    assert [len(v.members) for v in drawing.vertices if v.op == "linear"] == [12, 12]
    assert not [e for e in drawing.edges if e.flow == "carry"]  # the count of modules says it


def test_a_stage_wired_differently_inside_stays_apart() -> None:
    def stages(odd: int) -> Drawing:
        pen = Pen()
        x = pen.leaf()
        for stage in range(6):
            pen.enter("Stage", str(stage))
            first = x
            for _ in range(5):
                h = pen.op("tanh", x)
                x = pen.op("add", h, first if stage == odd else x)
            x = pen.op("matmul", x)
            pen.leave()
        pen.output(x)
        return pen.drawing

    assert [c.count for c in fold_repeats(stages(-1)).clusters] == [6, 5]
    for odd, counts in enumerate([[1, 5], [1, 1, 4], [1] * 6, [1] * 6, [4, 1, 1], [5, 1]]):
        drawing = fold_repeats(stages(odd))
        sound(stages(odd), drawing)
        assert [c.count for c in drawing.clusters if c.around == "module"] == counts, odd


def test_stages_of_different_length_stay_apart() -> None:
    net = nn.Sequential(linears(6), nn.LayerNorm(4), linears(5), nn.LayerNorm(4))
    assert counts(folded(net(array(2, 4)))) == ["0–5 · Sequential ×6", "0–4 · Sequential ×5"]


@pytest.mark.parametrize(
    "odd",
    [
        nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh()),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
        nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Tanh())),
        nn.Sequential(nn.Linear(4, 4), nn.LeakyReLU(0.3)),
        nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 4)),
    ],
)
def test_a_block_that_differs_splits_the_stretch(odd: Any) -> None:
    blocks = [nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(12)]
    blocks[6] = odd
    net = nn.Sequential(*blocks)
    drawing = folded(net(array(2, 4)))
    assert counts(drawing) == ["0–5 · Sequential ×6", "7–11 · Sequential ×5"]
    assert [c.path for c in drawing.clusters if c.parent == 0] == ["0–5", "6", "7–11"]


def test_a_block_of_the_same_ops_but_other_modules_stays_apart() -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter(array(4, 4))

        def forward(self, x: Any) -> Any:
            return np.tanh(x @ self.weight)

    class Other(Inner): ...

    net = nn.Sequential(*(nn.Sequential(Other() if i == 5 else Inner()) for i in range(12)))
    assert counts(folded(net(array(2, 4)))) == ["0–4 · Sequential ×5", "6–11 · Sequential ×6"]


def test_an_extra_input_from_far_back_is_not_lost() -> None:
    net = linears(12)
    x = first = net[0](array(2, 4))
    for i, block in enumerate(net[1:]):
        x = block(x + first) if i == 6 else block(x)
    source = build(x)
    drawing = fold_repeats(source)
    sound(source, drawing)
    true_of(source, drawing, rows=True)
    assert sum(c.count for c in drawing.clusters if c.type == "Sequential") == 12


def test_a_value_from_an_early_block_is_of_the_last_one_of_its_stretch() -> None:
    net = linears(12)
    x: Any = array(2, 4)
    early = None
    for i, block in enumerate(net):
        x = block(x)
        early = x if i == 4 else early
    source = build(x * early)
    drawing = fold_repeats(source)
    true_of(source, drawing, rows=True)
    assert [c.count for c in drawing.clusters if c.type == "Sequential"] == [5, 7]


def test_dense_blocks_are_not_merged() -> None:
    layers = [nn.Sequential(nn.Linear(4 * (i + 1), 4), nn.Tanh()) for i in range(8)]
    seen: list[Any] = [tn.tensor(array(2, 4), requires_grad=True)]
    for layer in layers:
        seen.append(layer(np.concatenate(seen, axis=1)))
    assert counts(folded(np.concatenate(seen, axis=1))) == []
    same = [nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(8)]
    seen = [tn.tensor(array(2, 4), requires_grad=True)]
    for layer in same:
        seen.append(layer(sum(seen[:-1], seen[-1])))
    source = build(seen[-1])
    true_of(source, fold_repeats(source), rows=True)


def test_a_step_that_reaches_back_two_is_not_merged() -> None:
    a, b = leaf(3), leaf(3)
    for _ in range(30):
        a, b = b, np.tanh(a) + b
    source = build(b)
    drawing = fold_repeats(source)
    sound(source, drawing)
    true_of(source, drawing)


def test_two_chains_in_turns() -> None:
    a, b = leaf(3), leaf(3)
    for _ in range(20):
        a, b = np.tanh(a), np.sin(b)
    source = build(a + b)
    drawing = fold_repeats(source)
    true_of(source, drawing)
    assert counts(drawing) == ["×20"]
    carried = [(drawing.vertices[e.tail].op, drawing.vertices[e.head].op) for e in drawing.edges if e.flow == "carry"]
    assert carried == [("tanh", "tanh"), ("sin", "sin")]


def rnn(steps: int) -> tuple[list[Any], Any]:
    w = leaf(3, 3)
    h = leaf(2, 3)
    states = []
    for x in leaf(steps, 2, 3):
        h = np.tanh(h @ w + x)
        states.append(h)
    return states, h


@pytest.mark.parametrize("also_last", [False, True])
def test_outputs_of_all_steps_stacked(also_last: bool) -> None:
    states, h = rnn(20)
    stacked = tn.stack(states).sum()
    source = build((stacked + h.sum()) if also_last else stacked)
    drawing = fold_repeats(source)
    sound(source, drawing)
    true_of(source, drawing)
    assert counts(drawing) == ["×20"]
    assert [drawing.vertices[e.tail].op for e in drawing.edges if drawing.vertices[e.head].op == "stack"] == ["tanh"]


def test_all_outputs_but_the_last() -> None:
    states, h = rnn(20)
    source = build([tn.stack(states[:-1]), np.exp(h)])
    drawing = fold_repeats(source)
    true_of(source, drawing)
    assert counts(drawing) == ["×19"]


@pytest.mark.parametrize("backwards", [False, True])
def test_a_second_loop_over_the_outputs_of_a_first(backwards: bool) -> None:
    states, _ = rnn(20)
    v = leaf(3, 2)
    results = [np.sin(np.exp(h @ v)) for h in (states[::-1] if backwards else states)]
    source = build(tn.stack(results))
    drawing = fold_repeats(source)
    sound(source, drawing)
    true_of(source, drawing)
    assert counts(drawing) == ([] if backwards else ["×20", "×20 in parallel"])


def test_side_by_side_is_told_from_one_after_the_other() -> None:
    blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)) for _ in range(8)])
    x: Any = array(2, 4)
    heads = tn.concatenate([block(x) for block in blocks])
    for block in blocks:
        x = block(x)
    assert [counts(folded(y))[0].partition(" · ")[0] for y in (heads, x)] == [
        "Sequential ×8 in parallel",
        "Sequential ×8",
    ]


def test_an_encoder_and_a_decoder_that_mirrors_it() -> None:
    down, up = linears(10), linears(10)
    x: Any = array(2, 4)
    seen = []
    for block in down:
        x = block(x)
        seen.append(x)
    for block in up:
        x = block(x + seen.pop())
    assert counts(folded(x)) == []


def test_a_mask_for_all_and_a_mask_for_each() -> None:
    mask = tn.tensor(np.array([1, 0, 1], np.float32))
    x = leaf(3)
    with tn.Tape() as tape:
        for _ in range(10):
            x = np.tanh(x) * mask
    drawing = folded(tape)
    assert counts(drawing) == ["×10"]
    assert [v.count for v in drawing.vertices if v.kind == "input"] == [1]
    y = leaf(3)
    for i in range(10):
        y = np.tanh(y) * array(3) * (i + 1.5) if i == 4 else np.tanh(y) * array(3)
    assert counts(folded(y)) == ["×5", "×5"]


def test_a_loop_over_plain_tensors() -> None:
    layers = [(leaf(3, 3), leaf(3)) for _ in range(5)]
    h: Any = array(2, 3)
    for w, b in layers:
        h = np.tanh(h @ w + b)
    drawing = folded(h)
    assert counts(drawing) == ["×5"]
    assert drawing.clusters[0].parameters == 5 * 12
    weights = [v for v in drawing.vertices if v.kind == "parameter"]
    assert [(v.count, v.cluster, v.parameters) for v in weights] == [(5, 0, 9), (5, 0, 3)]


def test_weights_shared_by_some_blocks_only() -> None:
    a, b = leaf(3, 3), leaf(3, 3)
    h: Any = array(2, 3)
    for w in [a] * 6 + [b] * 6:
        h = np.tanh(np.sin(h @ w))
    drawing = folded(h)
    assert counts(drawing) == ["×6", "×6"]
    assert [v.count for v in drawing.vertices if v.kind == "parameter"] == [1, 1]
    h = array(2, 3)
    for i, w in enumerate([leaf(3, 3) for _ in range(12)]):
        h = np.tanh(np.sin(h @ (a if i in (3, 7) else w)))
    source = build(h)
    drawing = fold_repeats(source)
    sound(source, drawing)
    true_of(source, drawing)
    assert [v.title for v in drawing.vertices if v.kind == "parameter" and v.count == 1] != []


def test_modules_that_share_a_parameter_count_it_once() -> None:
    net = linears(6)
    for block in net[1:]:
        block[0].weight = net[0][0].weight
    drawing = folded(net(array(2, 4)))
    assert counts(drawing) == ["0–5 · Sequential ×6"]
    assert drawing.clusters[1].parameters == 16 + 6 * 4
    assert [v.count for v in drawing.vertices if v.kind == "parameter"] == [1, 6]


def test_one_module_called_again_and_again_counts_once() -> None:
    layer = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.LayerNorm(4))
    x: Any = array(2, 4)
    with tn.Tape() as tape:
        for _ in range(9):
            x = layer(x)
            x = x + 1
    drawing = folded(tape)
    assert counts(drawing) == ["×9"]
    assert drawing.clusters[0].parameters == 28
    assert [e.flow for e in drawing.edges if e.flow == "carry"] == ["carry"]


def test_few_repeats_are_left_alone() -> None:
    for make in (models.xor, models.lenet, models.two_losses):
        drawing = build(make())
        assert fold_repeats(drawing) is drawing
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh())
    drawing = build(net(array(2, 4)))
    assert fold_repeats(drawing) is drawing


def test_trouble_in_one_block_is_not_hidden_by_the_others() -> None:
    source = periodic([("tanh", [-1]), ("add", [0]), ("matmul", [1, -2])], 12, modules=True).drawing
    ops = [i for i, v in enumerate(source.vertices) if v.kind == "op"]
    source.vertices[ops[13]] = source.vertices[ops[13]]._replace(sign="trouble")
    drawing = fold_repeats(source)
    assert [v.sign for v in drawing.vertices if v.sign] == ["trouble"]
    assert [(c.path, c.count) for c in drawing.clusters] == [("0–3", 4), ("4", 1), ("5–11", 7)]


def test_a_joining_of_one_array_with_itself_keeps_both_edges() -> None:
    pen = Pen()
    x = pen.leaf()
    twice = pen.op("concatenate", x, x)
    for _ in range(10):
        twice = pen.op("tanh", twice)
    pen.output(twice)
    drawing = fold_repeats(pen.drawing)
    assert [e.argument for e in drawing.edges if e.head == 1] == ["arrays[0]", "arrays[1]"]


# -- large -----------------------------------------------------------------------------------------------------------


def test_a_long_chain() -> None:
    drawing = folded(models.chain(20_000))
    assert counts(drawing) == ["×10,000"]


@pytest.mark.parametrize("ops", [1, 2])
def test_clusters_nested_deeply(ops: int) -> None:
    pen = Pen()
    x = pen.leaf()
    for i in range(1500):  # deeper than Python calls
        pen.enter("Deep", str(i % 2))
        for _ in range(ops):
            x = pen.op("tanh", x)
    pen.output(x)
    drawing = fold_repeats(pen.drawing)
    sound(pen.drawing, drawing)
