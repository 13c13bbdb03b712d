"""Mermaid text: golden files, and that every label is shown as it is and runs nothing.

After a change that is meant, write the golden files anew and look at what git shows of them:

    TAPENET_OVERWRITE=1 python -m pytest tests/drawing/test_mermaid.py
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tapenet.drawing import draw
from tapenet.drawing.forms.mermaid import to_mermaid
from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tapenet.drawing.text import clean
from tests.drawing.graphs import GRAPHS

GOLDEN = Path(__file__).parent / "golden"

CASES: dict[str, dict[str, Any]] = {name: {} for name in ("xor", "cnn", "two_outputs", "tape", "two_losses")}
CASES |= {"cnn-depth1": {"depth": 1}}

A = Value((2, 3), "f32")

#: One of everything.
KINDS = Drawing(
    [
        Vertex("input", "x", A),
        Vertex("parameter", "W", A, 6, cluster=1, fill="#440154"),
        Vertex("op", "@", cluster=1),
        Vertex("op", "tanh", cluster=1, sign="trouble"),
        Vertex("constant", "c", Value((), "f32")),
        Vertex("op", "+", cluster=0),
        Vertex("module", "encoder · GPT ×12", None, 4_096),
        Vertex("update", "Adam", fill="#fde725", sign="changed"),
        Vertex("output", "loss", Value((), "f32")),
    ],
    [
        Edge(0, 2, A, argument="x"),
        Edge(1, 2, A),
        Edge(2, 3, A),
        Edge(2, 5, A, skip=True),
        Edge(3, 5, A, 0),
        Edge(3, 6, A, 1),
        Edge(4, 5, A),
        Edge(5, 6, A, sign="removed"),
        Edge(6, 8, A),
        Edge(8, 6, A, flow="gradient"),
        Edge(6, 7, A, flow="update"),
        Edge(5, 2, A, flow="carry"),
    ],
    [
        Cluster("", "Net", parameters=6),
        Cluster("layers", "Linear", "layers", 0, 1, 6, "repeat", 12, "added"),
        Cluster("empty", "Empty", fill="#addc30"),
    ],
)


def golden(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.mmd"
    if os.environ.get("TAPENET_OVERWRITE"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    golden(case, to_mermaid(draw(GRAPHS[case.partition("-")[0]](), **CASES[case]).drawing))


def test_golden_of_every_kind() -> None:
    golden("kinds", to_mermaid(KINDS, "LR"))


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.mmd")} == {*CASES, "kinds"}


def test_boxes_and_edges_in_words() -> None:
    lines = [line.strip() for line in to_mermaid(KINDS).splitlines()]
    assert lines[0] == "flowchart TB"
    for line in (
        'n0[/"x<br>2×3 f32"/]:::input',
        'n2(("#64;")):::op',
        'n6[["encoder · GPT ×12<br>4,096 parameters"]]:::module',
        'subgraph c1["layers · Linear ×12"]',
        "n0 --> n2",  # what it carries stands in its box
        'n2 -->|"2×3 f32"| n3',
        'n2 -.->|"2×3 f32"| n5',
        'n3 -->|"#91;1#93; 2×3 f32"| n6',
        "n8 -.-> n6",
        "n6 ==> n7",
        'n5 -.->|"next"| n2',
        "style n3 stroke:#c1272d,stroke-width:3px",
    ):
        assert line in lines
    assert lines.count("end") == len(KINDS.clusters)


def test_broken_and_stretched_edges() -> None:
    row = Value((3,), "f32")
    drawing = Drawing(
        [Vertex("input", "x", A), Vertex("parameter", "b", row), Vertex("op", "tanh"), Vertex("op", "+")],
        [
            Edge(0, 2, A, broken=True),
            Edge(2, 3, A),
            Edge(1, 3, row, stretched=(2, 3)),
            Edge(2, 3, row, stretched=(2, 3)),
        ],
        [],
    )
    text = to_mermaid(drawing)
    assert "linkStyle 0 stroke-dasharray:7 5" in text
    assert 'n1 -->|"→ 2×3"| n3' in text
    assert 'n2 -->|"3 f32 → 2×3"| n3' in text


def shown(label: str) -> str:
    """What Mermaid shows of a label."""
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label)


@given(st.text(max_size=200) | st.text(alphabet='"\\<>&;#`[](){}|-.=~:\n*_$%@/', max_size=40))
@example("end")
@example("1. list")
@example("<script>alert(1)</script>")
@example("#quot; &lt; `**a**`")
@example("style a: #b; classDef c: #d;")
@example("\ufb02°quot¶ß")
@example("%%{init: {}}%%")
@example("a\r\nb\x00\x1b\ud800\u2028")
@example("x" * 10_000)
@example("")
def test_every_label_is_shown_as_it_is(text: str) -> None:
    drawing = Drawing([Vertex("op", text, cluster=0), Vertex("module", text)], [Edge(0, 1, A)], [Cluster(text, text)])
    plain = Drawing([Vertex("op", "ab", cluster=0), Vertex("module", "ab")], [Edge(0, 1, A)], [Cluster("ab", "ab")])
    found, labels = pieces(to_mermaid(drawing))
    structure, _ = pieces(to_mermaid(plain))
    if len(text) != 1:  # else an op is drawn as a circle
        assert found == structure
    lines = [clean(line).replace("\ufb02", "fl") for line in text.split("\n")]
    assert shown(labels[-2]).split("<br>") == ([shown(" ")] if lines == [""] else lines) or "<br>" in text
    assert all(re.fullmatch(r"(?:[A-Za-z0-9 ,()_]|[\u00a0-\U0010ffff]|#\d+;|<br>)+", label) for label in labels)
    assert len(labels) == 4


def pieces(text: str) -> tuple[list[str], list[str]]:
    """The text without its labels, and these."""
    parts = text.split('"')
    return parts[::2], parts[1::2]


def test_modules_nested_deep() -> None:
    depth = 2_000
    clusters = [Cluster(str(i), "M", parent=i - 1 if i else None, depth=i) for i in range(depth)]
    text = to_mermaid(Drawing([Vertex("op", "f", cluster=depth - 1)], [], clusters))
    assert len(re.findall("^ *end$", text, re.MULTILINE)) == text.count("subgraph") == depth
