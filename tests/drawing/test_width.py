"""How wide pictures are: their text can be read where they are shown."""

from __future__ import annotations

import re
import warnings
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet import nn
from tapenet.drawing.layout import place
from tapenet.drawing.layout.boxes import LABEL, vertex_lines
from tapenet.drawing.layout.placed import DIRECTIONS, Placed
from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tapenet.drawing.passes.view import View
from tapenet.drawing.picture import READABLE, Picture
from tests.drawing.drawings import drawings
from tests.drawing.flaws import crossings, flaws, unlabelled
from tests.drawing.models import GPT, kept


def gpt(**options: Any) -> Picture:
    return tn.draw(kept(GPT), np.arange(6)[None], **options)


def wide(branches: int) -> tuple[Any, ...]:
    """As many branches beside each other."""
    x = tn.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    return (sum((np.tanh(x * i).sum(axis=1) for i in range(branches)), start=tn.tensor(np.zeros(2, np.float32))),)


def smallest(placed: Placed) -> float:
    texts = [line.size for box in (*placed.boxes, *placed.clusters) for line in box.lines]
    return min([*texts, *(way.label.size for way in placed.ways if way.label is not None)])


@pytest.mark.parametrize("width", [800, 600, 345, 250])
def test_text_can_be_read_at_the_width_that_was_asked_for(width: int) -> None:
    made = gpt(width=width)
    shown, whole = (float(found) for found in re.findall(r'width="([\d.]+)', made.svg)[:2])
    assert shown <= width
    assert smallest(made.placed) * shown / float(re.findall(r'viewBox="\S+ \S+ (\S+)', made.svg)[0]) >= READABLE
    assert whole
    assert [*flaws(made.placed)] == []


def test_less_is_unfolded_only_where_it_must_be() -> None:
    boxes = [len(gpt(width=width).drawing.vertices) for width in (600, 345, 230)]
    assert boxes[0] == len(gpt().drawing.vertices) > boxes[1] > boxes[2]


def test_a_picture_that_is_narrow_enough_stays_as_it_is() -> None:
    x = tn.tensor([1.0], requires_grad=True)
    made = tn.draw((x * x).sum())
    assert tn.draw((x * x).sum(), width=345).svg == made.svg


def test_what_is_too_wide_says_which_width_it_needs() -> None:
    made = gpt(width=50)
    with pytest.warns(UserWarning, match=r"smallest text has \d\.\d points there, and 8 are readable") as told:
        assert 'width="50pt"' in made.svg
    assert told[0].filename == __file__
    needed = int(re.findall(r"width=(\d+)", str(told[0].message))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gpt(width=needed).svg


def test_a_depth_that_was_asked_for_stays() -> None:
    made = gpt(width=50, depth=1)
    with pytest.warns(UserWarning, match="points are too few"):
        assert len(made.drawing.vertices) == len(gpt(depth=1).drawing.vertices)


def test_a_width_when_saving(tmp_path: Any) -> None:
    made = gpt()
    made.save(tmp_path / "narrow.svg", width=250)
    assert (tmp_path / "narrow.svg").read_text(encoding="utf-8") == gpt(width=250).svg != made.svg


@pytest.mark.parametrize("width", [0, -1, "wide", True, float("inf"), float("nan")])
def test_what_is_no_width(width: Any, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match="how wide the picture will be shown in points"):
        gpt(width=width)
    with pytest.raises(ValueError, match="how wide the picture will be shown in points"):
        gpt().save(tmp_path / "x.svg", width=width)


@pytest.mark.parametrize("direction", ["TB", "BT"])
def test_rows_of_branches_wrap(direction: str) -> None:
    drawing = tn.draw(wide(14), repeats=False).drawing
    natural, narrow = place(drawing, direction), place(drawing, direction, 500)
    assert natural.width > 1000
    assert narrow.width <= 500
    assert [*flaws(narrow)] == []
    assert unlabelled(narrow) == []


def test_the_dtype_that_most_arrays_have_is_left_out_where_there_is_no_room() -> None:
    drawing = tn.draw(wide(14), repeats=False).drawing
    assert {way.label.text for way in place(drawing).ways if way.label} >= {"2×3 f32", "2 f32"}
    assert {way.label.text for way in place(drawing, most=500).ways if way.label} >= {"2×3", "2"}


def test_text_in_boxes_breaks_where_a_reader_pauses() -> None:
    vertex = Vertex("op", "max pool 3×3, stride 2", card=("AdamW lr 0.0003, betas 0.9, 0.999, eps 1e-08",))
    lines = [line.text for line in vertex_lines(vertex, 110)]
    assert lines == ["max pool 3×3,", "stride 2", "AdamW lr 0.0003,", "betas 0.9, 0.999,", "eps 1e-08"]


def test_the_main_chain_goes_on_through_what_repeats() -> None:
    """Of the two arrays that a module hands to the next, the one on its main chain goes straight on."""

    class Step(nn.Module):
        def __init__(self) -> None:
            self.scale = nn.Linear(2, 2)

        def forward(self, x: Any) -> tuple[Any, Any]:
            s = np.tanh(self.scale(x))
            return np.exp(s) * x + 1, s.sum(axis=1)

    class Flow(nn.Module):
        def __init__(self) -> None:
            self.a, self.b = Step(), Step()

        def forward(self, x: Any) -> Any:
            x, first = self.a(x)
            x, second = self.b(x)
            return (x**2).sum(axis=1) + (first * 3 + second)

    placed = tn.draw(Flow(), np.ones((4, 2), np.float32)).placed
    middles = {
        box.x + box.width / 2 for box, v in zip(placed.boxes, placed.drawing.vertices, strict=True) if v.op == "exp"
    }
    assert len(middles) == 1
    assert LABEL > READABLE


A = Value((2, 3), "f32")


def chain(count: int, *more: Edge) -> Drawing:
    """Ops one after the other, and further arrows between them."""
    vertices = [Vertex("op", f"step {i}") for i in range(count)]
    return Drawing(vertices, [*(Edge(i, i + 1, A) for i in range(count - 1)), *more], [])


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_long_chain_wraps_into_columns_near_four_to_three(direction: str) -> None:
    drawing = chain(40)
    placed = place(drawing, direction, 712)
    assert placed.width <= 712
    assert 0.9 < placed.width / placed.height < 1.9
    assert [*flaws(placed)] == []
    assert unlabelled(placed) == []
    assert crossings(placed) == 0
    assert max(len(way.points) for way in placed.ways) == 6  # down, beside, up, over, and down to the head
    natural = place(drawing, direction)
    assert max(natural.width / natural.height, natural.height / natural.width) > 10


def test_columns_stand_from_left_to_right_and_rows_from_above() -> None:
    upright, sideways = place(chain(40), "TB", 712), place(chain(40), "LR", 712)
    assert upright.boxes[0].x < upright.boxes[-1].x
    assert sideways.boxes[0].y < sideways.boxes[-1].y


def test_each_column_is_straight() -> None:
    placed = place(chain(40), "TB", 712)
    middles = {round(box.x + box.width / 2, 1) for box in placed.boxes}
    heads = sum(a.y > b.y for a, b in pairwise(placed.boxes))
    assert len(middles) == heads + 1 > 1


def test_what_is_short_is_not_wrapped() -> None:
    assert place(chain(12), most=712) == place(chain(12))


def test_a_chain_is_cut_where_one_array_goes_on() -> None:
    """A skip connection stays in one column; one that begins where the chain is cut goes with it."""
    skips = [Edge(i, i + 4, A, skip=True) for i in range(0, 40, 5)]
    placed = place(chain(45, *skips), most=712)
    assert [*flaws(placed)] == []
    assert crossings(placed) == 0
    columns = [round(box.x + box.width / 2, 1) for box in placed.boxes]
    assert len(set(columns)) > 1
    assert all(columns[edge.tail + 1] == columns[edge.head] for edge in skips)


def test_what_repeats_stays_in_one_column() -> None:
    back = Edge(39, 0, A, flow="carry")
    assert place(chain(40, back), most=712).width < 300


def test_an_array_that_a_later_column_takes_comes_from_above() -> None:
    """Of a cluster that is wrapped: what comes into it from outside, and what goes out of its first column."""
    drawing = chain(40)
    vertices = [Vertex("input", "x", A), Vertex("input", "y", A)]
    vertices += [vertex._replace(cluster=0) for vertex in drawing.vertices] + [Vertex("output", "z", A)]
    edges = [edge._replace(tail=edge.tail + 2, head=edge.head + 2) for edge in drawing.edges]
    edges += [Edge(0, 2, A), Edge(1, 2, A), Edge(1, 35, A), Edge(41, 42, A)]
    for direction in DIRECTIONS:
        placed = place(Drawing(vertices, edges, [Cluster("net", "Net")]), direction, 712)
        assert placed.width <= 712
        assert [*flaws(placed)] == []


@given(drawings(), st.booleans(), st.sampled_from(DIRECTIONS))
@settings(max_examples=10)
def test_any_drawing_can_be_narrow(drawing: Drawing, backward: bool, direction: str) -> None:
    view = View(budget=None, repeats=False, backward=backward, compact=False)
    placed = place(view.of(view.unfolded(drawing)), direction, 200)
    assert [flaw for flaw in flaws(placed) if "overlap" in flaw or "wrong side" in flaw or "leaves" in flaw] == []


def test_what_is_narrow_does_not_drift_apart() -> None:
    """Chains side by side that begin one after the other: each straight, they would go to the right like stairs."""
    vertices, edges = [Vertex("op", "start")], []
    for branch in range(12):
        for step in range(branch + 1):
            edges.append(Edge(0 if step == 0 else len(vertices) - 1, len(vertices), A))
            vertices.append(Vertex("op", f"branch {branch}, step {step}"))
    drawing = Drawing(vertices, edges, [])
    assert place(drawing).width > 1200
    for direction in ("TB", "BT"):
        placed = place(drawing, direction, 500)
        assert placed.width <= 500
        assert [*flaws(placed)] == []


def test_what_is_very_large_is_laid_out_once() -> None:
    vertices = [Vertex("op", "tanh") for _ in range(300)]
    drawing = Drawing(vertices, [Edge(i, i + 1, A) for i in range(299)], [])
    assert place(drawing, most=712) == place(drawing)
