"""Activations and shape ops in the box of what they are applied to; residual connections marked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import tapenet as tn
from tapenet import nn
from tapenet.drawing.model import Drawing
from tapenet.drawing.passes.compact import ACTIVATIONS, MOVING, SHAPING, compact, mark_skips
from tapenet.drawing.passes.folding import at_depth, fold, unbox
from tapenet.drawing.passes.repeats import fold_repeats
from tapenet.drawing.sources.build import build
from tapenet.ops.registry import registry
from tests.drawing import models
from tests.drawing.drawings import Pen, drawings, sound
from tests.drawing.graphs import GRAPHS, array, leaf, split_sign

MAKE = [*GRAPHS.values(), models.lenet, models.resnet50, models.gpt, models.unet, models.rnn]


def boxes(drawing: Drawing) -> list[str]:
    return [v.title for v in drawing.vertices if v.kind in ("op", "module")]


def compacted(x: Any) -> list[str]:
    return boxes(compact(build(x)))


@pytest.mark.parametrize("make", MAKE, ids=lambda f: f.__name__)
def test_nothing_is_lost(make: Any) -> None:
    source = build(make())
    for drawing in (source, fold_repeats(source), fold(source, at_depth(source, 1))):
        done = compact(drawing)
        sound(source, done)
        assert compact(drawing) == done
        assert len(done.edges) >= len(drawing.edges) - (len(drawing.vertices) - len(done.vertices))
        sound(source, mark_skips(done))


@settings(max_examples=100)
@given(drawings())
def test_whatever_is_joined(source: Drawing) -> None:
    for drawing in (source, fold_repeats(source)):
        done = compact(drawing)
        sound(source, done)
        sound(source, mark_skips(done))
        assert boxes(compact(done)) == boxes(done)


# -- what joins ------------------------------------------------------------------------------------------------------


def test_an_activation_joins_what_it_is_applied_to() -> None:
    x, w = leaf(2, 3), leaf(3, 4)
    assert compacted(np.tanh(x @ w)) == ["@\ntanh"]
    drawing = compact(build(np.tanh(x @ w)))
    (box,) = (v for v in drawing.vertices if v.kind == "op")
    assert (box.op, box.members) == ("matmul", (2, 3))
    assert box.details[-1] == "then tanh(x 2×4 f32)"


def test_several_in_a_row_and_shapes_that_the_next_edge_says() -> None:
    x, w = leaf(2, 3), leaf(3, 4)
    assert compacted(np.tanh((x @ w).reshape(4, 2).T).sum()) == ["@\nreshape\nᵀ\ntanh", "sum"]
    drawing = compact(build((x @ w).reshape(8).sum()))
    assert boxes(drawing) == ["@\nreshape", "sum"]
    assert [str(e.value) for e in drawing.edges if drawing.vertices[e.head].title == "sum"] == ["8 f32"]


def test_not_if_something_else_uses_what_it_is_applied_to() -> None:
    h = leaf(2, 3) @ leaf(3, 4)
    assert compacted(np.tanh(h) + h) == ["@", "tanh", "+"]
    assert compacted([np.tanh(h), h]) == ["@", "tanh"]


def test_not_parameters_inputs_or_one_of_several_results() -> None:
    x = leaf(2, 3)
    assert compacted(np.tanh(x)) == ["tanh"]
    assert compacted(np.tanh(x.T) @ array(2, 2)) == ["ᵀ\ntanh", "@"]
    assert compacted(np.tanh(split_sign(x)[0])) == ["split sign", "tanh"]


def test_not_into_another_module() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.Tanh(), nn.Tanh()))
    drawing = unbox(build(net(array(2, 3))))
    assert boxes(compact(drawing)) == ["linear 3", "tanh\ntanh"]
    assert boxes(compact(fold(drawing, {1}))) == ["0 · Linear", "tanh\ntanh"]


def test_what_goes_on_to_the_next_repetition_stays_a_box() -> None:
    h, w = leaf(2, 3), leaf(3, 3)
    for _ in range(20):
        h = np.tanh(h @ w)
    assert boxes(compact(fold_repeats(build(h)))) == ["@\ntanh"]
    pen = Pen()
    x = pen.op("matmul", pen.leaf())
    for _ in range(12):
        x = pen.op("tanh", x)
    pen.output(x)
    drawing = compact(fold_repeats(pen.drawing))
    assert boxes(drawing) == ["matmul", "tanh"]
    assert [e.flow for e in drawing.edges] == ["value", "value", "carry", "value"]


def test_what_follows_a_repeated_box_is_not_said_to_be_repeated() -> None:
    net = nn.Sequential(*(nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3)) for _ in range(9)))
    drawing = fold_repeats(build(np.tanh(net(array(2, 3)))))
    folded = fold(drawing, {0})
    assert boxes(compact(folded)) == ["Sequential\ntanh"]
    pen = Pen()
    x = pen.leaf()
    for i in range(9):
        pen.enter("Block", str(i))
        x = pen.op("matmul", pen.op("add", x))
        pen.leave()
    pen.output(pen.op("tanh", x))
    assert boxes(compact(fold(fold_repeats(pen.drawing), {0}))) == ["0–8 · Block ×9", "tanh"]


# -- skips -----------------------------------------------------------------------------------------------------------


def skips(x: Any) -> list[tuple[str, str]]:
    drawing = mark_skips(compact(build(x)))
    return [(drawing.vertices[e.tail].title, drawing.vertices[e.head].title) for e in drawing.edges if e.skip]


def test_a_residual_connection_is_marked() -> None:
    x, w = leaf(2, 3), leaf(3, 3)
    h = np.exp(x)
    assert skips(h + np.tanh(h @ w)) == [("exp", "+")]
    assert skips(np.tanh(h @ w) + h) == [("exp", "+")]


def test_two_ways_of_which_neither_comes_from_the_other_are_no_skip() -> None:
    x, w, v = leaf(2, 3), leaf(3, 3), leaf(3, 3)
    assert skips(np.exp(x) @ w + np.sin(x) @ v) == []
    assert skips(np.concatenate([np.exp(x), np.sin(x)])) == []
    h = np.exp(x)
    assert skips(h * np.sin(h)) == []
    assert skips(h + h) == []
    assert skips(w @ np.exp(w) + w) == []  # a parameter is not on its way


def test_what_is_collected_at_the_end_of_a_loop_is_no_skip() -> None:
    h, states = leaf(3), []
    for _ in range(6):
        h = np.sin(h)
        states.append(h)
    assert not any(edge.skip for edge in mark_skips(build(tn.stack(states))).edges)


def test_a_dense_block_has_a_skip_for_each_layer_that_is_seen_again() -> None:
    found = [leaf(2)]
    for _ in range(4):
        found.append(np.tanh(np.sin(np.concatenate(found))))
    drawing = mark_skips(compact(build(np.concatenate(found))))
    assert [sum(e.skip for e in drawing.by("head")[i]) for i, v in enumerate(drawing.vertices) if v.op == "concatenate"] == [
        0, 0, 1, 2, 3
    ]  # fmt: skip


def test_a_unet_has_one_skip_for_each_level() -> None:
    drawing = build(models.unet())
    drawing = mark_skips(compact(fold(drawing, at_depth(drawing, 1))))
    found = [drawing.vertices[e.tail].title for e in drawing.edges if e.skip]
    assert found == [f"down{level} · DoubleConv" for level in (3, 2, 1)]


def test_resnet_has_a_skip_where_shapes_are_kept() -> None:
    drawing = mark_skips(compact(build(models.resnet50())))
    assert len([e for e in drawing.edges if e.skip]) == 3 + 4 + 6 + 3 - 4


def test_what_joins_is_named_as_the_ops_are() -> None:
    named = ACTIVATIONS | SHAPING | MOVING
    assert named <= {known.name for known in registry.values()}
