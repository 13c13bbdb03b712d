"""The lecture: its steps, and the picture that shows them by itself."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from tapenet.drawing.forms.animate import LIMIT, animate
from tapenet.drawing.forms.lecture import narrate, show, steps
from tapenet.drawing.forms.svg import to_svg
from tapenet.drawing.layout import place
from tapenet.drawing.model import Drawing, Edge, Explained, Value, Vertex
from tapenet.drawing.passes.gradients import with_gradients
from tapenet.drawing.sources.build import build
from tests.drawing.graphs import GRAPHS, array, leaf

SVG = "{http://www.w3.org/2000/svg}"
EVIL = "</style></desc><script>alert(1)</script>\"'&]]>\\ \x00\x1b\n\u202e 図形 " + "x" * 10_000


def moving(drawing: Drawing, **options: Any) -> str:
    return animate(place(drawing), **options).svg


def xor() -> tuple[Drawing, dict[int, str], dict[int, str]]:
    """The drawing of XOR, and its numbers worked out by hand, in the order of its vertices."""
    w1, b1, w2, b2 = (array(*shape, dtype=np.float64) for shape in ((2, 3), (3,), (3, 1), (1,)))
    x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    t = x[:, :1]
    p = x @ w1
    h = np.tanh(p + b1)
    r = h @ w2
    y = np.tanh(r + b2)
    e = y - t
    g = e / 2
    gs = g * (1 - y**2)
    gh = gs @ w2.T
    gq = gh * (1 - h**2)
    values = [x, w1, p, b1, p + b1, h, w2, r, b2, r + b2, y, t, e, e**2, np.mean(e**2)]
    gradients = [None, x.T @ gq, gq, gq.sum(0), gq, gh, h.T @ gs, gs, gs.sum(0), gs, g, None, g, np.full((4, 1), 0.25)]
    shown = {i: show(value) for i, value in enumerate(gradients) if value is not None} | {14: "1"}
    return build(GRAPHS["xor"]()), {i: show(value) for i, value in enumerate(values)}, shown


# -- the steps -----------------------------------------------------------------------------------------------


def test_every_op_has_its_step_and_the_way_back_is_the_reverse() -> None:
    drawing, _, _ = xor()
    found = steps(drawing, backward=True)
    ops = [i for i, vertex in enumerate(drawing.vertices) if vertex.kind == "op"]
    assert [step.vertex for step in found if step.phase == "forward"] == ops
    assert [step.vertex for step in found if step.phase == "backward"] == ops[::-1]
    assert [step.phase for step in found] == ["forward"] * 9 + ["backward"] * 9
    assert [step.phase for step in steps(drawing)] == ["forward"] * 9


def test_a_step_says_what_is_computed_and_the_rules_by_input() -> None:
    drawing, _, _ = xor()
    found = steps(drawing, backward=True)
    product, back = found[3], found[14]
    assert (product.title, product.formula, product.shapes) == ("@ (matmul)", "x @ y", "4×3, 3×1 → 4×1")
    assert product.rules == ()
    assert (back.vertex, back.rules, back.shapes) == (product.vertex, ("x: g @ yᵀ", "y: xᵀ @ g"), "4×1 → 4×3, 3×1")
    bias = found[16]
    assert bias.rules == ("x: g", "y: g, summed to 3")
    assert found[-1].rules == ("y: xᵀ @ g",)  # the data need no gradient
    assert found[-1].shapes == "4×3 → 2×3"


def test_only_ops_that_a_gradient_flows_through_are_on_the_way_back() -> None:
    drawing = build(GRAPHS["tape"]())
    found = steps(drawing, backward=True)
    forward = [drawing.vertices[step.vertex].op for step in found if step.phase == "forward"]
    back = [drawing.vertices[step.vertex].op for step in found if step.phase == "backward"]
    assert {"argmax", "getitem"} <= set(forward)
    assert back == ["sum", "concatenate", "split sign", "multiply"]


def test_gradients_of_several_uses_add_up_and_their_numbers_come_with_the_last() -> None:
    x = leaf(3)
    y = x * 2
    drawing = build((np.exp(y) + y).sum())
    place = next(i for i, vertex in enumerate(drawing.vertices) if vertex.op == "multiply")
    back = [s for s in steps(drawing, backward=True, gradients={place: "[1 2 3]"}) if s.phase == "backward"]
    assert [[r for r in s.rules if "part" in r] for s in back] == [
        [],
        ["y: g (part 1 of 2, which are added up)"],
        [back[2].rules[0]],
        [],
    ]
    assert "part 2 of 2" in back[2].rules[0]
    assert [dict(s.values).get("gradient of x (× 2)") for s in back] == [None, None, "[1 2 3]", None]
    assert dict(back[3].values)["g (gradient of out)"] == "[1 2 3]"


def test_two_results_are_not_parts_of_one_gradient() -> None:
    found = steps(build(GRAPHS["two_outputs"]()), backward=True)
    assert not [rule for step in found for rule in step.rules if "part" in rule]
    assert found[0].shape_out == "3×4, 3×4"


def test_what_joined_a_box_is_said() -> None:
    f32 = Value((3,), "f32")
    drawing = Drawing(
        [Vertex("parameter", "w", f32), Vertex("op", "exp\ntanh", op="exp"), Vertex("output", "y", f32)],
        [Edge(0, 1, f32, argument="x", differentiable=True), Edge(1, 2, f32)],
        [],
        {"exp": Explained("eˣ", {"x": "g · out"})},
    )
    forward, back = steps(drawing, backward=True)
    assert (forward.title, forward.formula) == ("exp, then tanh", "eˣ, then tanh")
    assert back.rules == ("g comes back through tanh first", "x: g · out")


def test_the_lecture_as_text() -> None:
    drawing, values, gradients = xor()
    told = narrate(steps(drawing, True, values=values, gradients=gradients))
    assert "4 / 18 forward: @ (matmul): x @ y: 4×3, 3×1 → 4×1\n" in told
    assert "    y: xᵀ @ g\n" in told
    assert "    y (tensor) = [[0.01 0.02 0.03]\n                  [0.04 0.05 0.06]]\n" in told
    assert "out = 0.486" in told
    assert narrate([]) == ""


# -- numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("array", "text"),
    [
        ([[0.5, -1.2], [1.3, 0.0]], "[[ 0.5 -1.2]\n [ 1.3  0  ]]"),
        (2.0, "2"),
        (-0.0, "0"),
        (np.float32(1 / 3), "0.333"),
        ([1e-9, 123456.0], "[  1e-9 1.23e5]"),
        ([np.nan, 1.5, -np.inf], "[ nan  1.5 -inf]"),
        ([True, False], "[ True False]"),
        ([7, 10], "[ 7 10]"),
        (np.zeros((0, 3)), "empty, 0×3"),
        (np.arange(13.0), "mean 6, std 3.74, 13"),
        (np.array([1.0] * 20 + [np.nan, np.inf, -np.inf]), "mean 1, std 0, 1 nan, 2 inf, 23"),
        (np.full((2, 10), np.nan), "20 nan, 2×10"),
        (np.full(20, 1e308), "mean 1e308, std 0, 20"),
        (np.full(20, 6e4, np.float16), "mean 6e4, std 0, 20"),
        (np.zeros(20, int), "mean 0, std 0, 20"),
    ],
)
def test_numbers_in_short(array: Any, text: str) -> None:
    assert show(array) == text


def test_as_many_numbers_as_asked_for() -> None:
    assert show(np.arange(4), limit=3) == "mean 1.5, std 1.12, 4"
    assert show(np.arange(4), limit=4) == "[0 1 2 3]"


# -- the picture ---------------------------------------------------------------------------------------------


def timeline(svg: str) -> dict[str, list[tuple[float, str]]]:
    """By selector, without the class of the picture: the moments, in percent, and what holds from then on."""
    frames = {
        name: [(float(at), text) for at, text in re.findall(r"([\d.]+)%\{([^}]*)\}", body)]
        for name, body in re.findall(r"@keyframes (\w+)\{((?:[\d.]+%\{[^}]*\})*)\}", svg)
    }
    found = {}
    for selectors, name in re.findall(r"^(\.[^{}@\n]+)\{animation:(\w+) ", svg, re.MULTILINE):
        for selector in selectors.split(","):
            found[selector.partition(" ")[2]] = frames[name]
    return found


def starts(frames: list[tuple[float, str]], text: str) -> list[float]:
    return [at for at, declarations in frames if text in declarations]


def test_each_step_has_its_time_and_its_box_and_its_card() -> None:
    drawing, _, _ = xor()
    svg = moving(drawing, backward=True, seconds=2)
    lecture = steps(drawing, backward=True)
    times = timeline(svg)
    total = len(lecture) + 3
    assert set(re.findall(r"animation:\w+ (\S+) ", svg)) == {f"{2 * total}s"}
    for i, step in enumerate(lecture):
        begins, ends = (pytest.approx(100 * (i + k) / total, abs=0.001) for k in (1, 2))
        assert starts(times[f".c{i + 1}"], "opacity:1") == [begins]
        assert starts(times[f".c{i + 1}"], "opacity:0") == [0, ends]
        box = times[f"#n{step.vertex} rect"]
        assert starts(box, f"--{step.phase}-now") == [begins]
        assert starts(box, f"--{step.phase}-done") == [ends]
    # The whole graph before, and after: for one step, and for two.
    whole = times[".c0"]
    assert whole == [
        (0, "opacity:1"),
        (pytest.approx(100 / total, abs=0.001), "opacity:0"),
        (pytest.approx(100 * (total - 2) / total, abs=0.001), "opacity:1"),
    ]


def test_what_is_to_come_is_pale_until_its_step() -> None:
    drawing, _, _ = xor()
    times = timeline(moving(drawing, backward=True))
    total = 21
    last = times["#n14"]  # the mean: the ninth step forward, and the first back
    assert [text for at, text in last if at == pytest.approx(100 / total, abs=0.001)] == ["opacity:0.25"]
    assert starts(last, "opacity:0.25")[-1] == pytest.approx(900 / total, abs=0.001)
    data = times["#n0"]  # used by the first step; no gradient comes to it
    assert data[0] == (0, "opacity:1")
    assert starts(data, "opacity:0.25") == [pytest.approx(100 * k / total, abs=0.001) for k in (10, 19)]
    for frames in times.values():  # time goes on, and all is as it was at the end
        assert [at for at, _ in frames] == sorted(at for at, _ in frames)
        assert frames[0][0] >= 0
        assert frames[-1][0] <= 100


def test_arrows_are_lit_with_the_step_and_run_back_for_gradients() -> None:
    drawing, _, _ = xor()
    times = timeline(moving(drawing, backward=True))
    into_product, of_data = times["#e1 path"], times["#e0 path"]
    assert starts(into_product, "var(--forward);stroke-width:2.6")[0] == pytest.approx(100 / 21, abs=0.001)
    assert starts(into_product, "var(--backward);stroke-width:2.6")[0] == pytest.approx(1800 / 21, abs=0.001)
    assert starts(of_data, "--backward") == []
    runs = [float(n) for _, text in into_product for n in re.findall(r"dashoffset:(-?\d+)", text)]
    assert runs[0] == runs[2] == 0
    assert runs[1] < 0 < runs[3]


def test_gradients_with_arrows_of_their_own_light_these() -> None:
    drawing = with_gradients(xor()[0])
    times = timeline(moving(drawing, backward=True))
    for i, edge in enumerate(drawing.edges):
        frames = times[f"#e{i} path"]
        assert bool(starts(frames, "--backward")) == (edge.flow == "gradient")
        assert bool(starts(frames, "--forward")) == (edge.flow == "value")
    assert [step.vertex for step in steps(drawing, True)] == [step.vertex for step in steps(xor()[0], True)]


def texts(svg: str) -> str:
    root = ElementTree.fromstring(svg)
    return "\n".join(text.text or "" for text in root.iter(f"{SVG}text"))


def test_cards_say_it_all_with_the_numbers() -> None:
    drawing, values, gradients = xor()
    svg = moving(drawing, backward=True, values=values, gradients=gradients)
    said = texts(svg)
    for words in ("1 / 18 forward", "18 / 18 backward", "@ (matmul)", "x @ y", "4×2, 2×3 → 4×3", "x: g @ yᵀ"):
        assert f"{words}\n" in said
    assert "shapes of gradients: 4×1 → 4×3, 3×1" in said
    for number in (*values.values(), *gradients.values()):
        for line in number.splitlines():
            assert f"{line}\n" in f"{said}\n"
    assert "[[0.01 0.02 0.03]" not in texts(moving(drawing, backward=True))


def test_the_steps_are_in_the_text_for_screen_readers() -> None:
    drawing, values, _ = xor()
    root = ElementTree.fromstring(moving(drawing, values=values))
    assert root.get("role") == "img"
    description = root.findtext(f"{SVG}desc") or ""
    assert description == narrate(steps(drawing, values=values))
    assert root[0].tag == f"{SVG}title"


@pytest.mark.parametrize("name", sorted(GRAPHS))
@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_every_graph_moves_and_all_of_the_picture_stays(name: str, direction: str) -> None:
    drawing = build(GRAPHS[name]())
    placed = place(drawing, direction)
    svg = animate(placed, backward=True).svg
    root = ElementTree.fromstring(svg)
    still = to_svg(placed)
    assert still[still.index('<rect class="paper"') : still.index("</svg>")] in svg
    left, top, width, height = (float(n) for n in root.get("viewBox", "").split())
    for card in root.iter(f"{SVG}g"):
        if "card" in card.get("class", ""):
            x, y = (float(n) for n in re.findall(r"[\d.-]+", card.get("transform", "")))
            box = card.find(f"{SVG}rect")
            assert box is not None
            assert left <= x
            assert x + float(box.get("width", "")) <= left + width + 0.1
            assert top <= y
            assert y + float(box.get("height", "")) <= top + height + 0.1
            for text in card.iter(f"{SVG}text"):
                assert 0 < float(text.get("y", "")) < float(box.get("height", ""))


def test_it_runs_by_itself_with_no_script_and_no_network() -> None:
    svg = moving(xor()[0], backward=True)
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        assert element.tag.removeprefix(SVG) not in ("script", "foreignObject", "image", "use", "iframe")
        for attribute in element.attrib:
            assert not attribute.lower().startswith("on")
            assert not attribute.endswith("href")
    assert "url(" not in svg
    assert "@import" not in svg


def test_nothing_moves_for_readers_who_want_no_motion() -> None:
    svg = moving(xor()[0])
    start = svg.index("@media (prefers-reduced-motion:no-preference){")
    outside = svg[:start] + svg[svg.rindex("</style>") :]
    assert "animation" not in outside
    assert "@keyframes" not in outside
    assert ".card{opacity:0}" in outside
    assert ".c0{opacity:1}" in outside
    assert svg[:start].count("{") == svg[:start].count("}")


def test_the_style_stays_within_the_picture() -> None:
    one, other = (moving(build(GRAPHS[name]())) for name in ("xor", "scalars"))
    names = [ElementTree.fromstring(svg).get("class", "").removeprefix("tapenet ") for svg in (one, other)]
    assert names[0] != names[1]
    style = one[one.rindex("<style>") + 7 : one.rindex("</style>")]
    for selectors in re.findall(r"^([^{}@\n]+)\{", style, re.MULTILINE):
        for selector in selectors.split(","):
            assert selector.startswith(f".{names[0]}")
    assert all(name.startswith(names[0]) for name in re.findall(r"@keyframes (\w+)", style))


def test_it_has_colours_for_the_dark() -> None:
    svg = moving(xor()[0])
    in_dark = svg[svg.index("@media (prefers-color-scheme:dark){.tn") :]
    assert "--page:#14181d" in in_dark
    assert svg.index("--page:#ffffff") < svg.index("--page:#14181d")
    assert svg.count("@media (prefers-color-scheme:dark){") == 2  # that of every picture, and that of the cards


def evil() -> Drawing:
    value = Value((2,), "f32")
    return Drawing(
        [
            Vertex("parameter", EVIL, value),
            Vertex("op", EVIL, op=EVIL, details=(EVIL,)),
            Vertex("op", "", op="other"),
            Vertex("output", EVIL, value),
        ],
        [
            Edge(0, 1, value, argument=EVIL, differentiable=True),
            Edge(1, 2, value, differentiable=True),
            Edge(2, 3, value),
        ],
        [],
        {EVIL: Explained(EVIL, {EVIL: EVIL})},
    )


def test_hostile_words_are_only_words() -> None:
    drawing = evil()
    svg = moving(drawing, backward=True, values={0: EVIL, 1: EVIL * 3}, gradients={1: EVIL, 0: "\n" * 50})
    root = ElementTree.fromstring(svg)
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "style", "g", "rect", "path", "polygon", "text"}
    assert len(svg) < 60_000
    assert float(root.get("width", "").removesuffix("pt")) < 2000
    assert float(root.get("height", "").removesuffix("pt")) < 1500
    styles = [style.text or "" for style in root.iter(f"{SVG}style")]
    assert len(styles) == 2
    assert "alert" not in "".join(styles)


def test_same_input_same_bytes() -> None:
    (drawing, values, gradients), (again, _, _) = xor(), xor()
    options: dict[str, Any] = {"backward": True, "values": values, "gradients": gradients}
    assert moving(drawing, **options) == moving(again, **options)


def test_once_or_for_ever() -> None:
    drawing, _, _ = xor()
    assert " infinite}" in moving(drawing)
    once = moving(drawing, loop=False)
    assert "infinite" not in once
    assert re.search(r"animation:\w+ \S+ linear 1\}", once)


def chain(length: int) -> Drawing:
    x = leaf(2)
    y = x
    for _ in range(length):
        y = y + 1
    return build(y.sum())


def test_more_steps_than_anybody_follows_are_refused() -> None:
    drawing = chain(LIMIT)
    with pytest.raises(ValueError, match=rf"animate: {LIMIT + 1} steps .*depth=.*page"):
        moving(drawing)
    svg = moving(chain(LIMIT - 1))
    assert f"{LIMIT} / {LIMIT} forward" in svg
    assert len(svg) < 1_000_000


def test_what_cannot_be_shown_is_an_error() -> None:
    drawing, _, _ = xor()
    for seconds in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="seconds="):
            moving(drawing, seconds=seconds)


def test_a_drawing_without_ops_stands_still() -> None:
    drawing = Drawing([Vertex("parameter", "w", Value((2,), "f32"))], [], [])
    svg = moving(drawing, backward=True)
    assert "@keyframes" not in svg
    assert "The whole graph" in svg
