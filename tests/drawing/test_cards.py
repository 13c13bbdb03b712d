"""Layers as cards: parameters in the boxes of what uses them, and what is said of a module that is drawn as one box."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim
from tapenet.drawing.forms.data import to_data
from tapenet.drawing.forms.mermaid import to_mermaid
from tapenet.drawing.model import Drawing
from tests.drawing.graphs import array, leaf, shared
from tests.drawing.models import MODELS, LeNet, kept, lenet, resnet50


def lines(drawing: Drawing, *kinds: str) -> list[str]:
    """The lines of boxes of some kinds, of each in one text."""
    return [" / ".join(v.lines) for v in drawing.vertices if v.kind in (kinds or ("op", "module", "parameter"))]


# -- layers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "card"),
    [
        (nn.Conv2d(3, 64, 5, stride=2, padding=1, dilation=2), "5×5, stride 2, padding 1, dilation 2 / 3 → 64 · 4,864"),
        (nn.Conv2d(4, 4, (3, 5), stride=(2, 1), groups=2), "3×5, stride 2×1, groups 2 / 4 → 4 · 124"),
        (nn.Conv2d(4, 4, 3, padding=(0, 0), bias=False), "3×3 / 4 → 4 · 144"),
        (nn.Conv1d(1, 8, 3, padding="same"), "kernel 3, padding same / 1 → 8 · 32"),
        (nn.ConvTranspose2d(4, 2, 2, stride=2, output_padding=1), "2×2, stride 2, output padding 1 / 4 → 2 · 34"),
        (nn.Linear(400, 120), "400 → 120 · 48,120"),
        (nn.Bilinear(2, 3, 4), "2, 3 → 4 · 28"),
        (nn.LayerNorm((4, 8)), "over 4×8 · 64"),
        (nn.RMSNorm(5, eps=0.5), "eps 0.5 / over 5 · 5"),
        (nn.GroupNorm(2, 4), "2 groups / 4 channels · 8"),
        (nn.BatchNorm2d(64, momentum=None), "momentum None / 64 channels · 128"),
        (nn.InstanceNorm1d(4), "4 channels"),
        (nn.Embedding(9, 4), "9 → 4 · 36"),
        (nn.LSTM(4, 8, 2, bidirectional=True), "2 layers, bidirectional / 4 → 16 · 2,560"),
        (nn.GRUCell(3, 4), "3 → 4 · 108"),
        (nn.MultiheadAttention(8, 2), "2 heads / 8 wide · 288"),
        (nn.quantized.Linear(3, 2), "8 bits / 3 → 2"),
    ],
)  # fmt: skip
def test_what_a_layer_says_of_itself(layer: Any, card: str) -> None:
    assert layer.card().replace("\n", " / ") == card


def test_a_layer_is_one_box() -> None:
    assert lines(tn.draw(lenet()).drawing) == [
        "conv1 · Conv2d / 5×5, padding 2 / 1 → 6 · 156 / tanh",
        "mean pool 2×2",
        "conv2 · Conv2d / 5×5 / 6 → 16 · 2,416 / tanh",
        "mean pool 2×2 / flatten 16×5×5 → 400",
        "fc1 · Linear / 400 → 120 · 48,120 / tanh",
        "fc2 · Linear / 120 → 84 · 10,164 / tanh",
        "fc3 · Linear / 84 → 10 · 850",
        "cross-entropy",
    ]


@pytest.mark.parametrize(
    ("layer", "inputs", "box"),
    [
        (nn.LSTM(4, 8, 2, bidirectional=True), [array(3, 2, 4)], "layer · LSTM / 2 layers, bidirectional / 4 → 16 · 2,560"),
        (nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), [array(2, 1, 4, 4)],
         "layer · Conv2d / 3×3, padding 1, padding mode reflect / 1 → 2 · 20"),
        (nn.PReLU(), [array(2, 3)], "layer · PReLU / prelu / 1 parameter"),
        (nn.BatchNorm2d(3), [array(2, 3, 4, 4)], "layer · BatchNorm2d / 3 channels · 6"),
    ],
)  # fmt: skip
def test_layers_of_several_kinds(layer: Any, inputs: list[Any], box: str) -> None:
    assert lines(tn.draw(layer, *inputs).drawing, "op", "module", "parameter") == [box]


def test_a_third_of_the_boxes_go() -> None:
    for name in ("lenet", "gpt", "rnn", "two_losses"):
        made = MODELS[name]()
        boxes, all_boxes = (len(tn.draw(made, parameters=p).drawing.vertices) for p in (False, True))
        assert boxes <= 2 / 3 * all_boxes, name


def test_parameters_are_boxes_if_that_is_asked_for() -> None:
    drawing = tn.draw(lenet(), parameters=True).drawing
    assert lines(drawing)[:3] == ["weight / 6×1×5×5 f32 · 150", "bias / 6 f32", "conv 5×5, 6, padding 2"]
    assert sum(v.kind == "parameter" for v in drawing.vertices) == 10


# -- parameters outside of layers --------------------------------------------------------------------------------------


def test_bare_parameters_are_lines_in_the_box_of_their_op() -> None:
    w, b, kernel = leaf(4, 2), leaf(2), leaf(3, 1, 2, 2)
    assert lines(tn.draw(array(3, 4) @ w + b).drawing) == ["@ / w 4×2 · 8", "+ / b 2 → 3×2"]
    assert lines(tn.draw(F.linear(array(3, 4), w.T, b), compact=False).drawing)[-1] == "linear 2 / b 2"
    assert lines(tn.draw(F.conv2d(array(1, 1, 4, 4), kernel)).drawing) == ["conv 2×2, 3 / kernel 3×1×2×2 · 12"]


def test_a_tensor_that_is_data_stays_a_box() -> None:
    x, w = leaf(2, 3), leaf(3)
    assert lines(tn.draw((np.tanh(x) * w + x).sum()).drawing)[0].startswith("x / 2×3 f32")
    drawing = tn.draw(tn.concatenate([x, np.exp(x)])).drawing
    assert [v.title for v in drawing.vertices if v.kind == "parameter"] == ["x"]
    assert [v.title for v in tn.draw(x * w).drawing.vertices if v.kind == "parameter"] == ["x", "w"]


def test_many_parameters_of_one_op_are_counted() -> None:
    class Wide(nn.Module):
        def __init__(self) -> None:
            self.cell = nn.LSTMCell(3, 4)
            self.parts = nn.ParameterList([np.ones(3, np.float32) for _ in range(7)])

        def forward(self, x: Any) -> Any:
            return np.einsum("...i,i,i,i,i,i,i,i->...", x, *self.parts)

    found = lines(tn.draw(Wide(), array(2, 3)).drawing)
    assert all(len(text.split(" / ")) <= 6 for text in found)


# -- what is used twice ------------------------------------------------------------------------------------------------


class Tied(nn.Module):
    def __init__(self) -> None:
        self.embed, self.block = nn.Embedding(9, 4), nn.Linear(4, 4)

    def forward(self, tokens: Any) -> Any:
        return F.linear(self.block(self.embed(tokens)), self.embed.weight)


def test_a_tied_weight_is_a_badge_at_each_use_and_no_arrow() -> None:
    drawing = tn.draw(Tied(), np.array([1, 2, 3])).drawing
    assert lines(drawing) == [
        "embed · Embedding / 9 → 4 · 36 / tied to embed.weight",
        "block · Linear / 4 → 4 · 20",
        "linear 9 / tied to embed.weight",
    ]
    assert [(e.tail, e.head) for e in drawing.edges] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_layer_that_is_called_twice_says_so() -> None:
    assert lines(tn.draw(shared()).drawing) == [
        "encode · Linear / 4 → 3 · 12 / tied to encode.weight",
        "mix · Linear / 3 → 3 · 12 / tied to mix",
        "× 0.5 / tanh",
        "mix · Linear / 3 → 3 · 12 / tied to mix",
        "@ / tied to encode.weight",
        "sum",
    ]


@pytest.mark.parametrize("depth", [0, 1])
def test_a_model_that_is_called_twice_gets_no_arrow_from_itself(depth: int) -> None:
    class Critic(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = nn.Linear(4, 8), nn.Linear(8, 1)

        def forward(self, x: Any) -> Any:
            return self.b(np.tanh(self.a(x)))

    critic = Critic()
    made = tn.draw(lambda x, y: critic(x).mean() - critic(y).mean(), array(2, 4), array(2, 4), depth=depth)
    drawing = made.drawing
    badges = [line for v in drawing.vertices for line in v.lines if line.startswith("tied")]
    assert badges == (["tied to critic"] * 2 if depth == 0 else ["tied to a", "tied to b"] * 2)
    heads = [drawing.vertices[e.head].title for e in drawing.edges if e.tail == 1]
    assert heads == (["mean"] if depth == 0 else ["b · Linear"])


def test_a_badge_with_an_index_names_the_model() -> None:
    D = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2))
    found = lines(tn.draw(D(array(2, 4)).mean() - D(array(2, 4)).mean()).drawing)
    assert found[0] == "0 · Linear / 4 → 4 · 20 / tied to D.0 / tanh"
    assert found[1] == "2 · Linear / 4 → 2 · 10 / tied to D.2"
    x: Any = array(2, 4)
    for _ in range(5):  # in a cluster that has no name
        x = np.exp(np.sin(D[0](x) + D[0](x)))
    assert lines(tn.draw(x).drawing)[0] == "D.0 · Linear / 4 → 4 · 20 / tied to D.0"


def test_parameters_in_a_transformed_function_have_their_names() -> None:
    u = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    found = lines(tn.draw(tn.jvp(u, (array(3, 2),), (array(3, 2),))[1]).drawing)
    assert "linear 2 / u.0.weight 2×2 · 4 / u.0.bias 2 / tied to u.0.weight / tanh" in found


def test_a_penalty_says_which_weight_it_is_of() -> None:
    layer = nn.Linear(3, 2)
    found = lines(tn.draw((layer(array(4, 3)) ** 2).mean() + (layer.weight**2).sum()).drawing)
    assert found[0] == "layer · Linear / 3 → 2 · 8"  # used once as a weight: not tied
    assert "^ 2 / of weight" in found


# -- modules -----------------------------------------------------------------------------------------------------------


def test_a_folded_module_says_what_is_inside() -> None:
    found = lines(tn.draw(resnet50()).drawing, "module")
    assert "0 · Bottleneck / 4 conv, 4 norm, 1 skip · 75,008" in found
    assert "1–2 · Bottleneck ×2 · 70,400 each / 3 conv, 3 norm, 1 skip · 140,800 in all" in found
    (whole,) = lines(tn.draw(resnet50(), depth=0).drawing, "module")
    assert "53 conv, 53 norm, 1 pool, 1 linear, 16 skip" in whole


def test_an_outermost_module_says_what_all_of_it_takes() -> None:
    x = array(8, 1, 28, 28)
    total = nn.summary(kept(LeNet), x).total
    (cluster,) = [c for c in tn.draw(kept(LeNet), x).drawing.clusters if c.parent is None]
    assert cluster.heading == "LeNet · 61,706 parameters · 3.33 M multiply-adds · 247 kB"
    assert (total.parameters, total.multiply_adds, total.parameter_bytes) == (61_706, 3_332_160, 246_824)
    assert tn.draw(kept(LeNet), x, depth=0).drawing.vertices[1].lines[2:] == (cluster.totals,)


# -- training ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parameters", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 9, None])
def test_an_update_is_drawn_for_every_module(depth: int | None, parameters: bool) -> None:
    optimizer = optim.SGD(kept(LeNet).parameters(), lr=0.1, momentum=0.9)
    drawing = tn.draw(lenet(), optimizer=optimizer, depth=depth, parameters=parameters).drawing
    said = [v.training for v in drawing.vertices if v.training]
    boxes = [v for v in drawing.vertices if v.kind == "update"]
    assert set(said) <= {"SGD lr 0.1, momentum 0.9"}
    assert len(said) + len(boxes) == (1 if depth == 0 else 5)
    assert bool(boxes) == (parameters and depth not in (0, 1))


def test_gradients_of_parameters_in_boxes_are_told() -> None:
    kept(LeNet).fc1.weight.requires_grad_(False)
    try:
        drawing = tn.draw(lenet(), backward=True).drawing
    finally:
        kept(LeNet).fc1.weight.requires_grad_(True)
    told = {v.title: v.training for v in drawing.vertices if v.kind == "module"}
    assert told["fc1 · Linear"] == "gradient: bias, frozen: weight"
    assert told["fc2 · Linear"] == "gradient: weight, bias"
    w = leaf(4, 2)
    assert lines(tn.draw(array(3, 4) @ w, backward=True).drawing) == ["@ / w 4×2 · 8 / gradient: w"]


def test_measurements_of_a_card_are_of_all_in_it() -> None:
    picture = tn.draw(nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)), array(5, 3), color_by="grad_norm")
    (measure,) = [m for m in picture.measures if m.name == "grad_norm"]
    titles = [v.title for v in picture.source.vertices]
    first = [measure.values[titles.index(name)][0] for name in ("weight", "bias")]
    at = next(i for i, v in enumerate(picture.drawing.vertices) if v.title.startswith("0 · Linear"))
    assert measure.of(at, picture.drawing.vertices[at]) == pytest.approx(np.hypot(*first))


# -- shapes ------------------------------------------------------------------------------------------------------------


def test_shapes_stand_at_edges_in_boxes_or_nowhere() -> None:
    edge, box, none = (tn.draw(lenet(), shapes=shapes).drawing for shapes in ("edge", "box", None))  # type: ignore[arg-type]
    assert edge.labels()[1] == "8×6×28×28 f32"
    assert lines(box)[0].endswith("tanh / → 8×6×28×28 f32")
    assert not any(box.labels() + none.labels())
    assert lines(none) == lines(edge)
    with pytest.raises(ValueError, match="shapes='below'; shapes are written at the 'edge', in the 'box', or None"):
        tn.draw(lenet(), shapes="below")  # type: ignore[arg-type]


# -- forms -------------------------------------------------------------------------------------------------------------


def test_all_forms_say_the_same(tmp_path: Path) -> None:
    picture = tn.draw(lenet(), optimizer=optim.SGD(kept(LeNet).parameters(), lr=0.1))
    vertex = picture.drawing.vertices[1]
    text = json.dumps(to_data(picture.drawing), ensure_ascii=False)
    page = json.loads(
        re.findall(r'<script[^>]*json"[^>]*>(.*?)</script>', picture.save(tmp_path / "a.html").read_text(), re.S)[0]
    )
    cluster = next(c for c in page["drawing"]["clusters"] if c["name"] == "conv1")
    assert [*cluster["card"], cluster["training"]] == [line for line in vertex.lines[1:] if line != "tanh"]
    assert page["open"] == [0]
    shown = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), to_mermaid(picture.drawing))
    assert "<br>".join(vertex.lines) in shown
    for line in vertex.lines:
        assert line in text
        assert line in picture.svg
    assert ">61,706 parameters</text>" in picture.svg


def test_an_animation_shows_parameters_with_their_numbers() -> None:
    moving = tn.draw(lambda x: np.tanh(x @ w), array(2, 3), backward=True).animate()
    assert "w" in moving.text


w = leaf(3, 2)
