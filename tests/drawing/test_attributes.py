"""Modules that were given nothing: drawn from their attributes, and compared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn, optim
from tapenet.drawing.model import Drawing
from tests.drawing.models import GPT, LeNet


def ends(drawing: Drawing, flow: str = "value") -> list[tuple[str, str]]:
    vertices = drawing.vertices
    return [(vertices[e.tail].title, vertices[e.head].title) for e in drawing.edges if e.flow == flow]


def test_layers_are_cards_in_the_order_of_attributes_without_arrows() -> None:
    net = LeNet()
    drawing = tn.draw(net).drawing
    assert [v.title.split(" ")[0] for v in drawing.vertices] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert drawing.vertices[0].lines == ("conv1 · Conv2d", "5×5, padding 2", "1 → 6 · 156")
    assert drawing.clusters[0].heading == "net · LeNet · 61,706 parameters · 247 kB"
    assert ends(drawing) == []
    assert len(ends(drawing, "order")) == 4
    picture = tn.draw(net)
    assert 'class="edge"' not in picture.svg
    tops = [box.y for box in picture.placed.boxes]
    assert tops == sorted(tops)


def test_a_sequential_is_a_chain() -> None:
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    drawing = tn.draw(net).drawing
    assert [v.lines for v in drawing.vertices] == [
        ("0 · Linear", "4 → 8 · 40", "ReLU"),
        ("2 · Linear", "8 → 2 · 18"),
    ]
    assert ends(drawing) == [("0 · Linear", "2 · Linear")]
    assert drawing.labels() == [""]


class Block(nn.Module):
    def __init__(self) -> None:
        self.one, self.two = nn.Linear(3, 3), nn.Linear(3, 3)


def test_an_arrow_to_what_is_open_ends_at_its_border() -> None:
    picture = tn.draw(nn.Sequential(Block(), Block()), depth=2)
    (way,) = [w for w, e in zip(picture.placed.ways, picture.drawing.edges, strict=True) if e.flow == "value"]
    _, first, second = picture.placed.clusters
    assert way.points[0][1] == pytest.approx(first.y + first.height)
    assert way.points[-1][1] == pytest.approx(second.y)


def test_equal_blocks_are_drawn_once_and_what_is_folded_says_what_is_in_it() -> None:
    drawing = tn.draw(GPT(layers=12), depth=2).drawing
    assert "0–11 · Block ×12" in [v.title.split(" · 28")[0] for v in drawing.vertices]


class Tied(nn.Module):
    def __init__(self) -> None:
        self.read, self.write = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.write.weight = self.read.weight
        self.scale = nn.Parameter(np.ones(4))
        self.parts: Any = [nn.Linear(4, 4), nn.ModuleList()]


def test_what_is_tied_frozen_or_in_a_list_is_said() -> None:
    net = Tied()
    net.parts[0].bias.requires_grad = False
    drawing = tn.draw(net).drawing
    lines = {v.lines[0]: v.lines[1:] for v in drawing.vertices}
    assert "tied to read.weight" in lines["write · Linear"]
    assert "frozen: bias" in lines["parts.0 · Linear"]
    assert lines["scale"] == ("4 f64",)
    assert drawing.clusters[0].parameters == 16 + 4 + 20


def test_a_module_is_drawn_with_its_optimizer() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    assert tn.draw(net, optimizer=optim.SGD(net.parameters(), lr=0.1)).drawing.vertices[0].training == "SGD lr 0.1"


def test_what_needs_no_arguments_is_run() -> None:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            self.w = nn.Parameter(np.ones(3))

        def forward(self) -> Any:
            return np.tanh(self.w).sum()

    assert "output" in [v.kind for v in tn.draw(Fixed()).drawing.vertices]


def test_two_models_are_compared_from_the_modules_alone() -> None:
    narrow = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    wide = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))
    difference = tn.draw.diff(narrow, wide)
    assert not difference.added + difference.removed
    assert "0 · Linear: weight 6×4 → 8×4" in difference.changed
    assert "1 · GELU: was ReLU" in difference.changed
    assert tn.draw.diff(narrow, narrow).same


def test_what_computes_nothing_does_not_move() -> None:
    with pytest.raises(ValueError, match="nothing is computed in this picture; draw a call"):
        tn.draw(LeNet()).animate()


def test_the_page_and_other_forms_write_it(tmp_path: Any) -> None:
    for suffix in ("html", "dot", "mmd", "json", "pdf"):
        assert tn.draw(LeNet()).save(tmp_path / f"net.{suffix}").stat().st_size > 500
