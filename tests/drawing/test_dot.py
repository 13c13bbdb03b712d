"""DOT text: golden files, and what must hold for all of it.

After a change that is meant, write the golden files anew and look at what git shows of them:

    TAPENET_OVERWRITE=1 python -m pytest tests/drawing/test_dot.py
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tapenet.drawing import draw
from tapenet.drawing.forms.dot import to_dot
from tapenet.drawing.layout.placed import DIRECTIONS
from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tests.drawing.graphs import GRAPHS
from tests.drawing.graphviz import run_graphviz

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).parents[2]

CASES: dict[str, dict[str, Any]] = {name: {} for name in GRAPHS}
CASES |= {"cnn-depth0": {"depth": 0}, "cnn-depth1": {"depth": 1}, "cnn-lr": {"direction": "LR"}}
CASES |= {"shared-depth1": {"depth": 1}}

A = Value((2, 3), "f32")


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str) -> None:
    dot = draw(GRAPHS[case.partition("-")[0]](), **CASES[case]).dot
    path = GOLDEN / f"{case}.dot"
    if os.environ.get("TAPENET_OVERWRITE"):
        path.write_text(dot, encoding="utf-8", newline="\n")
    assert dot == path.read_text(encoding="utf-8")


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in GOLDEN.glob("*.dot")} == set(CASES)


@pytest.mark.slow
def test_the_same_in_every_process() -> None:
    script = (
        "from tapenet.drawing import draw\n"
        "from tests.drawing.graphs import GRAPHS\n"
        "import sys\n"
        "for make in GRAPHS.values():\n"
        "    picture = draw(make())\n"
        "    sys.stdout.buffer.write((picture.dot + picture.svg).encode())\n"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 10_000


@pytest.mark.parametrize("case", CASES)
def test_what_all_dot_text_keeps_to(case: str) -> None:
    dot = draw(GRAPHS[case.partition("-")[0]](), **CASES[case]).dot
    assert set(re.findall(r'fontname="?([^" ]*)', dot)) == {"Helvetica"}
    colours = re.findall(r'color="([^"]*)"', dot)
    assert colours
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
    assert "newrank" not in dot
    assert "concentrate" not in dot
    nodes = re.findall(r"^ +([a-z]+\d+) \[", dot, re.MULTILINE)
    assert len(nodes) == len(set(nodes))
    assert set(re.findall(r"\b([ng]\d+) ->", dot) + re.findall(r"-> ([ng]\d+)", dot)) <= set(nodes)


def line(dot: str, start: str) -> str:
    return next(text.strip() for text in dot.splitlines() if text.strip().startswith(start))


def test_boxes_and_edges_in_words() -> None:
    dot = draw(GRAPHS["cnn"](), compact=False, parameters=True).dot
    assert r'label="weight\n10×676 f32 · 6,760"' in dot
    assert r'label="bias\n10 f32"' in dot
    assert r'label="input\n8×1×28×28 f32"' in dot
    assert r'label="output\nscalar f32"' in dot
    assert 'label="features · Sequential"' in dot
    assert 'label=" 8×4×26×26 f32"' in dot
    assert 'tooltip="fc.weight | 10×676 f32 | 6,760 parameters"' in dot
    assert 'tooltip="linear(x 8×676 f32, weight 10×676 f32, bias 10 f32) | in fc · Linear"' in dot
    assert r'label="features · Sequential\n1 conv, 1 pool · 40"' in draw(GRAPHS["cnn"](), depth=1).dot


def test_results_are_numbered_where_several_are_used() -> None:
    dot = draw(GRAPHS["two_outputs"]()).dot
    assert 'label=" [0] 3×4 f32"' in dot
    assert 'label=" [1] 3×4 f32"' in dot
    one = Drawing([Vertex("op", "two"), Vertex("op", "use")], [Edge(0, 1, A, 0, "x")], [])
    assert 'label=" 2×3 f32"' in to_dot(one)


def test_parameters_of_one_number_and_of_one_element_boxes() -> None:
    vertices = [Vertex("parameter", "scale", Value((), "f32"), 1), Vertex("module", "M", None, 1)]
    dot = to_dot(Drawing(vertices, [], []))
    assert r'label="scale\nscalar f32" tooltip="1 parameter"' in dot
    assert r'label="M\n1 parameter"' in dot


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_graphviz_takes_it(direction: str) -> None:
    """Arrows point where they should, and titles are above: that of the picture, and those of modules."""
    picture = draw(GRAPHS["cnn"](), direction=direction, title="Digits")
    assert f'rankdir="{direction}"' in picture.dot
    svg = run_graphviz(picture.dot).decode()
    places = {
        title: (float(x), float(y))
        for title, x, y in re.findall(
            r'<g id="(n\d+)" class="node">.*?<text [^>]* x="([-.\d]+)" y="([-.\d]+)"', svg, re.DOTALL
        )
    }
    first, last = places["n0"], places[f"n{len(picture.drawing.vertices) - 1}"]
    axis, sign = {"TB": (1, 1), "BT": (1, -1), "LR": (0, 1), "RL": (0, -1)}[direction]
    assert sign * (last[axis] - first[axis]) > 100
    height = {text: float(y) for y, text in re.findall(r'<text [^>]* y="([-.\d]+)"[^>]*>([^<]+)</text>', svg)}
    assert all(height["Digits"] < y for text, y in height.items() if text != "Digits")
    boxes = re.findall(r'id="cluster_\d+" class="cluster">.*?<path [^>]* d="([^"]+)".*?y="([-.\d]+)"', svg, re.DOTALL)
    assert boxes
    for path, y in boxes:
        heights = [float(number) for number in re.findall(r",([-.\d]+)", path)]
        assert float(y) < (min(heights) + max(heights)) / 2


def test_modules_nested_deep() -> None:
    depth = 2_000
    clusters = [Cluster(str(i), "M", parent=i - 1 if i else None, depth=i) for i in range(depth)]
    dot = to_dot(Drawing([Vertex("op", "f", cluster=depth - 1)], [], clusters))
    assert dot.count("subgraph") == depth
    assert dot.count("{") == dot.count("}")


def test_an_empty_drawing_is_still_a_graph() -> None:
    assert run_graphviz(to_dot(Drawing([], [], []))).startswith(b"<?xml")
