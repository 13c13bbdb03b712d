"""What several ranks compute, in one picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
import tapenet.nn.functional as F
from tapenet import nn, optim, parallel
from tapenet.drawing.layout import place
from tapenet.drawing.model import Drawing, Edge, Value, Vertex
from tapenet.drawing.passes.ranks import Exchange, Part, together
from tests.drawing.ranks import LABELS, Ranks, X, drawn, like, pipeline, tensor_parallel, weight


def titles(drawing: Drawing, edge: Edge) -> tuple[str, str]:
    return drawing.vertices[edge.tail].title, drawing.vertices[edge.head].title


def between(drawing: Drawing) -> list[Edge]:
    """The arrows from rank to rank."""

    def rank(position: int) -> int:
        return min(drawing.enclosing([drawing.vertices[position].cluster]))

    return [edge for edge in drawing.edges if rank(edge.tail) != rank(edge.head)]


def test_a_pipeline() -> None:
    picture = drawn(lambda ranks: tn.draw(pipeline(ranks), over=ranks, backward=True), 3)
    drawing = picture.drawing
    assert [cluster.title for cluster in drawing.clusters] == ["rank 0", "rank 1", "rank 2"]
    sent = [edge for edge in between(drawing) if edge.flow == "value"]
    assert [titles(drawing, edge) for edge in sent] == [
        ("send to rank 1", "recv from rank 0"),
        ("send to rank 2", "recv from rank 1"),
    ]
    assert all(edge.value == Value((8, 16), "f32") and edge.differentiable for edge in sent)
    back = [titles(drawing, edge)[::-1] for edge in between(drawing) if edge.flow == "gradient"]
    assert back == [titles(drawing, edge) for edge in sent]
    # What stands for an array to be received is no parameter of anybody.
    assert [v.title for v in drawing.vertices if v.kind in ("parameter", "input")] == ["input", "LABELS"]
    assert all(edge.tail < edge.head for edge in picture.source.edges)
    assert drawing.ops["send"].formula == "x to another rank"  # said by another process


@pytest.mark.parametrize("stage", ["captured", "fused"])
def test_compiled_functions(stage: str) -> None:
    """Their programs, with what ranks exchange in them."""

    def draw(ranks: Ranks) -> Any:
        def step(x: Any, w: Any) -> Any:
            h = parallel.allreduce(np.tanh(x @ w))
            return parallel.send(h, 1) if ranks.rank == 0 else parallel.recv(h, 0).sum()

        compiled = tn.compile(step, backend="numpy")
        compiled(X, weight().numpy())
        return tn.draw(compiled, over=ranks, stage=stage)

    picture = drawn(draw)
    drawing = picture.drawing
    assert [c.title for c in drawing.clusters if c.around == "rank"] == ["rank 0", "rank 1"]
    assert {(edge.flow, *titles(drawing, edge)) for edge in between(drawing)} == {
        ("exchange", "allreduce sum", "allreduce sum"),
        ("value", "send to rank 1", "recv from rank 0"),
    }
    assert picture.svg.count("rank 1") > 1


def test_no_gradient_comes_back_where_the_receipt_is_not_in_the_loss() -> None:
    def draw(ranks: Ranks) -> Any:
        with tn.Tape() as tape:
            if ranks.rank == 0:
                parallel.send(tn.tensor(X) @ weight(), 1)
            else:
                np.tanh(parallel.recv(tn.tensor(X), 0))
        return tn.draw(tape, over=ranks)

    (edge,) = between(drawn(draw).drawing)
    assert edge.flow == "value"


def test_collectives_are_joined_side_by_side() -> None:
    picture = tensor_parallel(3, repeats=False)
    drawing = picture.drawing
    met = between(drawing)
    assert {edge.flow for edge in met} == {"exchange"}
    assert [titles(drawing, edge) for edge in met] == [("allreduce sum", "allreduce sum")] * 4
    placed = place(drawing)
    for edge, way in zip(drawing.edges, placed.ways, strict=True):
        if edge.flow == "exchange":
            tail, head = placed.boxes[edge.tail], placed.boxes[edge.head]
            assert tail.x + tail.width < head.x
            assert {y for _, y in way.points} == {way.points[0][1]}
            assert [way.points[0][0], way.points[-1][0]] == pytest.approx([tail.x + tail.width, head.x])


@pytest.mark.parametrize("direction", ["TB", "LR", "BT", "RL"])
def test_arrows_stay_in_the_picture(direction: str) -> None:
    """Also where ranks that send stand below each other, and a collective goes around."""

    def draw(ranks: Ranks) -> Any:
        w = weight()
        first = parallel.allreduce(tn.tensor(X) @ w, "mean")
        if ranks.rank == 0:
            receipt = parallel.send(first, 1)
            loss = (parallel.recv(like(), 1) * first).sum() + receipt
        else:
            loss = parallel.send(np.tanh(parallel.recv(like(), 0)) + first, 0)
        return tn.draw({"loss": parallel.allreduce(loss)}, over=ranks, backward=True)

    placed = place(drawn(draw).drawing, direction)
    assert not any(edge.skip for edge in placed.drawing.edges if "send" in placed.drawing.vertices[edge.tail].title)
    for edge, way in zip(placed.drawing.edges, placed.ways, strict=True):
        assert way.points, edge
        assert all(0 <= x <= placed.width and 0 <= y <= placed.height for x, y in way.points)


def test_what_repeats_is_folded_in_each_rank() -> None:
    def draw(ranks: Ranks) -> Any:
        y: Any = tn.tensor(X)
        w1, w2 = weight(), weight()
        for _ in range(6):
            y = parallel.allreduce(np.tanh(y @ w1) @ w2)
        return tn.draw({"loss": y.sum()}, over=ranks)

    drawing = drawn(draw).drawing
    assert [cluster.title for cluster in drawing.clusters] == ["rank 0", "×6", "rank 1", "×6"]
    assert [edge.flow for edge in between(drawing)] == ["exchange"]


def test_a_rank_is_always_open() -> None:
    drawing = drawn(lambda ranks: tn.draw(parallel.allreduce(weight()), over=ranks)).drawing
    assert [cluster.title for cluster in drawing.clusters] == ["rank 0", "rank 1"]

    def draw(ranks: Ranks) -> Any:
        net = nn.Sequential(*(nn.Linear(16, n) for n in (16, 16, 16, 16, 16, 4)))
        return tn.draw(F.cross_entropy(net(tn.tensor(X)), LABELS), over=ranks, budget=10)

    drawing = drawn(draw).drawing
    assert [cluster.title for cluster in drawing.clusters] == ["rank 0", "rank 1"]
    assert [v.title for v in drawing.vertices if v.kind == "module"] == ["net · Sequential"] * 2


def test_an_optimizer_of_each_rank() -> None:
    """Parameters are known by numbers, which are the same on several ranks."""

    def draw(ranks: Ranks) -> Any:
        w = weight()
        return tn.draw((tn.tensor(X) @ w).sum(), over=ranks, optimizer=optim.SGD([w], lr=0.1 * (1 + ranks.rank)))

    told = [v.training for v in drawn(draw).drawing.vertices if v.training]
    assert [text.replace("\n", " ") for text in told] == ["SGD lr 0.1", "SGD lr 0.2"]


def test_measurements_of_each_rank() -> None:
    def f(x: Any, w: Any) -> Any:
        return parallel.allreduce(x @ w).sum()

    picture = drawn(lambda ranks: tn.draw(f, X * (1 + ranks.rank), weight(), over=ranks, color_by="grad_norm"))
    (measure,) = [m for m in picture.measures if m.name == "grad_norm"]
    learned = [i for i, v in enumerate(picture.source.vertices) if v.title == "w"]
    norms = [measure.values[i][0] for i in learned]
    assert norms == pytest.approx([128, 256], rel=1e-5)
    assert [bool(v.fill) for v in picture.drawing.vertices if v.op == "matmul"] == [True, True]


def test_exchanges_that_do_not_fit_are_told() -> None:
    def draw(ranks: Ranks) -> Any:
        w = weight()
        loss = parallel.allreduce(w).sum() if ranks.rank else parallel.recv(like(), 1).sum()
        return tn.draw(loss, over=ranks)

    with pytest.warns(
        UserWarning, match="rank 1 sends 0 arrays to rank 0, which receives 1; the collectives are not the"
    ):
        picture = drawn(draw)
    assert not between(picture.drawing)


def test_one_rank_has_no_box() -> None:
    picture = tn.draw((weight() * 2).sum(), over=tn.parallel)
    assert not picture.drawing.clusters
    assert picture.saves


def test_one_rank_saves(tmp_path: Path) -> None:
    found: dict[int, Any] = {}

    def draw(ranks: Ranks) -> Any:
        found[ranks.rank] = tn.draw(pipeline(ranks), over=ranks)
        return found[ranks.rank]

    drawn(draw)
    assert found[1].save(tmp_path / "one.svg", width=300) == tmp_path / "one.svg"
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="suffix"):
        found[1].save(tmp_path / "one.xyz")
    found[0].save(tmp_path / "zero.svg")
    assert [file.name for file in tmp_path.iterdir()] == ["zero.svg"]


def test_every_form(tmp_path: Path) -> None:
    picture = tensor_parallel(legend=True)
    for suffix, text in {
        "svg": "exchange of ranks",
        "dot": 'dir="both"',
        "mmd": "<==>",
        "json": '"flow": "exchange"',
        "html": "exchange",
    }.items():
        assert text in picture.save(tmp_path / f"ranks.{suffix}").read_text(encoding="utf-8"), suffix
    data = json.loads((tmp_path / "ranks.json").read_text(encoding="utf-8"))
    assert [cluster["around"] for cluster in data["clusters"]] == ["rank", "rank"]
    assert tensor_parallel(layers=1).animate().text


def test_ranks_that_wait_for_each_other_are_drawn_all_the_same() -> None:
    part = Part(
        Drawing([Vertex("op", "recv"), Vertex("op", "send")], [Edge(0, 1, Value((2,), "f64"))], []),
        [Exchange(0, "recv", 0), Exchange(1, "send", 0)],
    )
    other = part._replace(exchanges=[Exchange(0, "recv", 0), Exchange(1, "send", 0)])
    first = part._replace(exchanges=[Exchange(0, "recv", 1), Exchange(1, "send", 1)])
    whole, lone = together([first, other])
    assert not lone
    assert len(whole.drawing.edges) == 4
    assert place(whole.drawing).width > 0


def test_a_number_that_is_sent() -> None:
    def draw(ranks: Ranks) -> Any:
        with tn.Tape() as tape:
            _ = parallel.recv(tn.tensor(0.0), 0) * 2 if ranks.rank else parallel.send(tn.tensor(3.0), 1)
        return tn.draw(tape, over=ranks)

    drawing = drawn(draw).drawing
    assert [titles(drawing, edge) for edge in between(drawing)] == [("send to rank 1", "recv from rank 0")]


def test_wrong_arguments() -> None:
    y = weight() * 2
    with pytest.raises(TypeError, match=r"over=2 has no ranks to draw: give over=tn\.parallel"):
        tn.draw(y, over=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not an optimizer's rule"):
        tn.draw(optim.Adam, over=tn.parallel)
