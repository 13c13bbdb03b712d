"""The SVG: what it says to who cannot see it, in the dark, beside others on a page, and of hostile words."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet import nn, optim
from tapenet.drawing.forms.described import description
from tapenet.drawing.forms.legend import Around, wrapped
from tapenet.drawing.forms.svg import to_svg
from tapenet.drawing.layout.boxes import LETTERS
from tapenet.drawing.layout.placed import Box, Label, Line, Placed, Way
from tapenet.drawing.metrics import room
from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tapenet.drawing.picture import Picture
from tapenet.drawing.style import DARK, LIGHT, Entry, Stroke
from tapenet.drawing.text import clean
from tapenet.testing.drawings import _contrast
from tests.drawing.graphs import GRAPHS, array, leaf
from tests.drawing.models import MODELS
from tests.drawing.test_text import NASTY, awkward

SVG = "{http://www.w3.org/2000/svg}"
A = Value((2, 3), "f32")

#: All that an SVG of ours may hold.
TAGS = {"svg", "g", "title", "desc", "style", "path", "polygon", "rect", "text"}
ATTRIBUTES = {
    "class", "d", "fill", "font-family", "font-size", "font-weight", "height", "id", "points", "role", "stroke",
    "stroke-dasharray", "stroke-width", "aria-labelledby", "text-anchor", "viewBox", "width", "x", "y", "space", "rx",
    "textLength", "lengthAdjust",
}  # fmt: skip


def parsed(svg: str) -> ET.Element:
    """The SVG, after a look at all that is in it: nothing that runs, and nothing that leads elsewhere."""
    root = ET.fromstring(svg)
    for element in root.iter():
        assert element.tag.rpartition("}")[2] in TAGS
        for key, value in element.items():
            assert key.rpartition("}")[2] in ATTRIBUTES
            assert "url(" not in value
    return root


def texts(root: ET.Element) -> list[str]:
    return ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]


def net() -> Any:
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2))


def everything() -> Picture:
    """A picture with all kinds of boxes and arrows, and trouble."""
    made = net()
    with np.errstate(all="ignore"):
        return _everything(made)


def _everything(made: Any) -> Picture:
    return tn.draw(
        lambda x, n: made(x) * np.log(n),
        array(5, 3),
        np.array(-1.0),
        optimizer=optim.SGD(made.parameters(), lr=0.1),
        parameters=True,
        title="All of it",
        caption="And more.",
        legend=True,
    )


# -- for readers who do not see it -------------------------------------------------------------------------------------


def test_a_title_and_a_description_that_the_picture_refers_to() -> None:
    root = parsed(tn.draw(np.exp(leaf(2)) * 2, title="Twice the exponential").svg)
    assert root.get("role") == "img"
    title, description = (root.find(f"{SVG}{tag}") for tag in ("title", "desc"))
    assert title is not None
    assert description is not None
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    assert title.text == "Twice the exponential"
    assert description.text == "4 boxes and 3 arrows. exp of tensor (2 f32); × 2 of exp; output (2 f32) of × 2."
    assert parsed(tn.draw(np.exp(leaf(2))).svg)[0].text == "Graph of a computation"


def test_the_description_of_one_and_of_many() -> None:
    one = Drawing([Vertex("op", "tanh")], [], [])
    assert description(one) == "1 box and 0 arrows. tanh."
    chain = [Vertex("op", f"op {i}") for i in range(2000)]
    many = Drawing(chain, [Edge(i, i + 1, A) for i in range(1999)], [])
    assert description(many).startswith("2,000 boxes and 1,999 arrows. op 0; op 1 of op 0; ")
    assert description(many).endswith("op 59 of op 58; and 1940 more.")
    signed = Drawing([Vertex("op", "log", details=("born here: nan", "log(x)"), sign="trouble")], [], [])
    assert description(signed).endswith("log (born here: nan).")
    assert description(Drawing([Vertex("op", "log", sign="added")], [], [])).endswith("log (added).")


def test_boxes_are_called_by_their_words() -> None:
    picture = tn.draw(net(), array(5, 3))
    root = parsed(picture.svg)
    for group in root.iter(f"{SVG}g"):
        name, title = group.get("id", ""), group.find(f"{SVG}title")
        if re.fullmatch(r"n\d+", name):
            vertex = picture.drawing.vertices[int(name[1:])]
            words = vertex.title.replace("\n", ", ")
            assert title is not None
            assert (title.text or "").split("\n")[0] == (words if vertex.value is None else f"{words} ({vertex.value})")
            assert all(clean(detail, 400) in (title.text or "") for detail in vertex.details[:1])
        elif re.fullmatch(r"cluster_\d+", name):
            assert title is not None
            assert (title.text or "").split("\n")[0] == picture.drawing.clusters[int(name[8:])].title
        elif re.fullmatch(r"e\d+", name):
            edge = picture.drawing.edges[int(name[1:])]
            assert title is not None
            assert str(edge.value) in (title.text or "").split("\n")[0]
            assert " → " in (title.text or "")
    assert not re.search(r"<title>(n|e|g|cluster_)\d", picture.svg)


# -- beside others on a page -------------------------------------------------------------------------------------------


def test_pictures_on_one_page_refer_to_themselves() -> None:
    made = [tn.draw(GRAPHS[name]()) for name in ("xor", "cnn")] + [tn.draw(GRAPHS["xor"](), title="Another")]
    labels = [str(parsed(picture.svg).get("aria-labelledby")).split() for picture in made]
    assert len(set(itertools.chain(*labels))) == 6
    for picture, ids in zip(made, labels, strict=True):
        assert all(picture.svg.count(f'id="{each}"') == 1 for each in ids)
    assert tn.draw(GRAPHS["xor"]()).svg == made[0].svg  # the same for the same graph all the same


def test_styles_concern_pictures_only() -> None:
    svg = everything().svg
    (style,) = re.findall("<style>(.*?)</style>", svg, re.S)
    rules = re.findall(r"(?<=[{}])([^{}@]+)\{[^{}]*\}", style)
    assert len(rules) > 20
    assert all(rule.startswith(".tapenet") for rule in rules)
    assert parsed(svg).get("class") == "tapenet"
    assert "max-width:100%" in style


# -- in the dark -------------------------------------------------------------------------------------------------------


def roles(theme: Any) -> dict[str, str]:
    """The colours of an SVG by what they are for."""
    found = {name: getattr(theme, name) for name in ("ink", "muted", "line", "skip", "gradient", "update", "border")}
    for kind, box in theme.kinds.items():
        found |= {f"{kind} fill": box.fill, f"{kind} border": box.border}
    found |= {f"sign {sign}": colour for sign, colour in theme.signs.items()}
    return found | {f"cluster {i}": colour for i, colour in enumerate(theme.clusters)}


def test_each_colour_has_one_counterpart_in_the_dark() -> None:
    light, dark = roles(LIGHT), roles(DARK)
    counterpart: dict[str, str] = {}
    for role, colour in light.items():
        assert counterpart.setdefault(colour, dark[role]) == dark[role], role
    svg = everything().svg
    rules = dict(re.findall(r'\.tapenet \[fill="(#\w+)"\]\{fill:(#\w+)\}', svg))
    assert rules == counterpart
    assert dict(re.findall(r'\.tapenet \[stroke="(#\w+)"\]\{stroke:(#\w+)\}', svg)) == counterpart
    drawn = [(key, value) for e in parsed(svg).iter() for key, value in e.items() if e.get("class") != "paper"]
    used = {value for key, value in drawn if key in ("fill", "stroke")}
    assert used - {"none"} <= set(counterpart)
    assert len(used) > 12


def test_painted_boxes_keep_their_colours_and_their_ink() -> None:
    svg = tn.draw(net(), array(5, 3), color_by="activation").svg
    rules = set(re.findall(r'\[fill="(#\w+)"\]', svg))
    painted = {v.fill for v in tn.draw(net(), array(5, 3), color_by="activation").drawing.vertices} & set(LIGHT.ramp)
    assert len(painted) > 1
    assert not set(LIGHT.ramp) & rules
    assert re.search(r'fill="#(101010|fefefe)"', svg)


def test_the_ground_is_made_dark_and_white_boxes_are_not_taken_for_it() -> None:
    svg = everything().svg
    papers = [e for e in parsed(svg).iter() if e.get("class") == "paper"]
    assert {e.get("fill") for e in papers} == {LIGHT.paper}
    assert svg.index(f".tapenet .paper{{fill:{DARK.paper}}}") > svg.index(f'.tapenet [fill="{LIGHT.paper}"]')
    boxes = [e[1] for e in parsed(svg).iter(f"{SVG}g") if e.get("class") == "node"]
    assert boxes
    assert all(box.get("class") is None for box in boxes)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_arrows_and_borders_stand_out_as_text_does(palette: Any) -> None:
    lines = [getattr(palette, name) for name in ("line", "skip", "gradient", "update", "border")]
    lines += [box.border for box in palette.kinds.values()] + [*palette.signs.values()]
    assert all(_contrast(line, palette.paper) >= 4.5 for line in lines)
    for ground in palette.clusters:  # arrows and boxes lie on these too; the border of a cluster does not
        assert all(_contrast(line, ground) >= 4.5 for line in lines if line != palette.border)


# -- what is drawn -----------------------------------------------------------------------------------------------------


def placed(drawing: Drawing, *ways: Way) -> Placed:
    """A drawing laid out by hand: boxes below each other, with clusters around all of them."""
    boxes = [Box(20, 30 + 60 * i, 100, 30, (Line(v.title, 12, False),)) for i, v in enumerate(drawing.vertices)]
    clusters = [
        Box(5 * i, 5 * i, 140, 60 * len(boxes), (Line(c.title, 11, True),)) for i, c in enumerate(drawing.clusters)
    ]
    given = list(ways) or [Way(((70, 60 + 60 * e.tail), (70, 30 + 60 * e.head)), None) for e in drawing.edges]
    return Placed(drawing, 150, 60 * len(boxes) + 20, boxes, clusters, given)


def group(root: ET.Element, name: str) -> ET.Element:
    return next(element for element in root.iter(f"{SVG}g") if element.get("id") == name)


def test_boxes_look_as_what_they_are() -> None:
    kinds = ("op", "parameter", "input", "constant", "output", "module", "update")
    vertices = [Vertex(kind, kind) for kind in kinds]
    vertices += [Vertex("op", "+"), Vertex("op", "tanh", fill="#102030"), Vertex("op", "log", sign="removed")]
    root = parsed(to_svg(placed(Drawing(vertices, [], []))))
    boxes = [group(root, f"n{i}")[1] for i in range(len(vertices))]
    for kind, box in zip(kinds, boxes, strict=False):
        assert (box.get("fill"), box.get("stroke")) == LIGHT.kinds[kind]
        assert (box.get("stroke-dasharray") is not None) == (kind == "constant")
        assert (float(box.get("stroke-width", "")) > 1.5) == (kind in ("output", "module"))
        assert box.get("rx") == "5"
    sign, painted, removed = boxes[-3:]
    assert sign.get("rx") == "15"  # round
    assert painted.get("fill") == "#102030"
    assert group(root, "n8")[2].get("fill") == "#fefefe"
    assert (removed.get("stroke"), removed.get("stroke-dasharray")) == (LIGHT.signs["removed"], "6 3")


def test_arrows_look_as_what_they_carry() -> None:
    edges = [Edge(0, 1, A, flow=flow) for flow in ("value", "gradient", "update", "carry")]
    edges += [Edge(0, 1, A, skip=True), Edge(0, 1, A, sign="added"), Edge(0, 1, A, broken=True)]
    drawing = Drawing([Vertex("op", "a"), Vertex("op", "b")], edges, [])
    root = parsed(to_svg(placed(drawing)))
    around = next(element for element in root.iter(f"{SVG}g") if element.get("class") == "tapenet-edges")
    found = []
    for i in range(len(edges)):
        arrow = group(root, f"e{i}")
        _, line, head = arrow
        colour = arrow.get("stroke", around.get("stroke"))
        assert head.get("fill") == colour
        found.append(
            (colour, float(arrow.get("stroke-width", around.get("stroke-width", ""))), line.get("stroke-dasharray"))
        )
    assert found == [
        (LIGHT.line, 1.1, None),
        (LIGHT.gradient, 1.1, "4 3"),
        (LIGHT.update, 1.4, None),
        (LIGHT.skip, 1.1, "2 3"),
        (LIGHT.skip, 2.2, None),
        (LIGHT.signs["added"], 2, None),
        (LIGHT.line, 1.1, "7 5"),
    ]


def test_an_arrow_without_points_is_not_drawn() -> None:
    drawing = Drawing([Vertex("op", "a"), Vertex("op", "b")], [Edge(0, 1, A), Edge(0, 1, A)], [])
    svg = to_svg(placed(drawing, Way(((70, 60), (70, 90)), None), Way((), None)))
    assert 'id="e0"' in svg
    assert 'id="e1"' not in svg


def test_labels_have_a_ground_of_what_is_below_them() -> None:
    drawing = Drawing(
        [Vertex("op", "a", cluster=1), Vertex("op", "b", cluster=1)],
        [Edge(0, 1, A)],
        [Cluster("c", "Net"), Cluster("d", "B", parent=0, depth=1)],
    )
    for x, ground in ((2.0, LIGHT.clusters[0]), (60.0, LIGHT.clusters[1]), (-20.0, LIGHT.paper)):
        way = Way(((70, 60), (70, 90)), Label("2×3 f32", x, 70, 40, 9.5))
        behind, text = group(parsed(to_svg(placed(drawing, way))), "e0-label")
        assert behind.get("fill") == ground
        assert (behind.get("class") == "paper") == (ground == LIGHT.paper)
        assert text.text == "2×3 f32"
        assert float(text.get("textLength", "")) <= 40


def test_clusters_are_told_apart_by_depth_and_say_what_they_are() -> None:
    clusters = [
        Cluster("", "Net"),
        Cluster("a", "B", parent=0, depth=1, around="repeat", count=3),
        Cluster("b", "C", parent=1, depth=2, sign="added"),
    ]
    root = parsed(to_svg(placed(Drawing([Vertex("op", "a", cluster=2)], [], clusters))))
    frames = [group(root, f"cluster_{i}")[1] for i in range(3)]
    assert [frame.get("fill") for frame in frames] == [LIGHT.clusters[i % 2] for i in range(3)]
    assert [frame.get("stroke-dasharray") for frame in frames] == [None, "5 3", None]
    assert frames[2].get("stroke") == LIGHT.signs["added"]
    names = next(element for element in root.iter(f"{SVG}g") if element.get("class") == "tapenet-names")
    assert [text.text for text in names.iter(f"{SVG}text")] == ["Net", "a · B ×3", "b · C"]


def test_texts_are_as_wide_in_every_font() -> None:
    root = parsed(everything().svg)
    for element in root.iter(f"{SVG}text"):
        if len(element.text or "") > 1:
            assert element.get("lengthAdjust") == "spacingAndGlyphs"
            assert float(element.get("textLength", "")) > 0


def test_a_legend_shows_lines_as_lines() -> None:
    entries = [
        Entry("a box", "#000000", Stroke(1.1, "3 2"), ("#ffffff",)),
        Entry("a line", "#b24700", Stroke(2, "4 3")),
    ]
    svg = to_svg(placed(Drawing([Vertex("op", "a")], [], [])), Around("", "", entries))
    legend = next(element for element in parsed(svg).iter(f"{SVG}g") if element.get("class") == "tapenet-legend")
    box, first, line, second = legend
    assert (box.tag, box.get("fill"), box.get("stroke-dasharray")) == (f"{SVG}rect", "#ffffff", "3 2")
    assert (line.tag, line.get("stroke"), line.get("stroke-dasharray")) == (f"{SVG}path", "#b24700", "4 3")
    assert (first.text, second.text) == ("a box", "a line")


def test_a_legend_shows_a_scale_as_a_strip() -> None:
    fills = ("#000000", "#0000ff", "#ffffff")
    entries = [Entry("1 to 3", "#123456", Stroke(1.1), fills), Entry("next", "#b24700", Stroke(2))]
    svg = to_svg(placed(Drawing([Vertex("op", "a")], [], [])), Around("", "", entries))
    legend = next(element for element in parsed(svg).iter(f"{SVG}g") if element.get("class") == "tapenet-legend")
    *strip, border, first, line, _ = legend
    assert [box.get("fill") for box in strip] == [*fills]
    assert (border.get("fill"), border.get("stroke")) == ("none", "#123456")
    ends = [float(box.get("x", "")) + float(box.get("width", "")) for box in (*strip, border)]
    assert ends[-1] == ends[-2] < float(first.get("x", "")) < float(str(line.get("d"))[1:].split()[0])


def test_the_legend_tells_what_is_there() -> None:
    shown = texts(parsed(everything().svg))
    assert {
        "not finite",
        "op",
        "parameter",
        "input",
        "output",
        "optimizer's step",
        "gradient",
        "new value",
    } <= set(shown)
    assert "skip connection" not in shown


def test_what_stands_around_a_picture_is_in_the_picture() -> None:
    long = "words and more words " * 30
    svg = to_svg(
        placed(Drawing([Vertex("op", "a")], [], [])), Around(long, long, [Entry("a line", "#b24700", Stroke(2))] * 20)
    )
    root = parsed(svg)
    left, top, across, down = map(float, str(root.get("viewBox")).split())
    for text in root.iter(f"{SVG}text"):
        x, y = float(text.get("x", "")), float(text.get("y", ""))
        assert left <= x <= left + across
        assert top < y < top + down
    assert across < 500


@given(st.text(max_size=200), st.integers(20, 300))
def test_wrapped_lines_fit_and_hold_all(text: str, most: int) -> None:
    lines = wrapped(text, 10, most)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(room(line, 10) <= most or len(line) == 1 for line in lines)


@pytest.mark.parametrize("name", ["gpt", "unet", "lenet", "compiled"])
def test_a_picture_of_sixty_boxes_is_small(name: str) -> None:
    picture = tn.draw(MODELS[name](), backward=name != "compiled", title=name, legend=True)
    assert len(picture.svg.encode()) < 100_000


# -- hostile words -----------------------------------------------------------------------------------------------------


def picture_of(words: str, cut: int = 0) -> Picture:
    """A drawing that says the words wherever there is place for some."""
    value = Value((2,), clean(words, 20))
    vertices = [
        Vertex("input", words, A, details=(words, words)),
        Vertex("op", words, details=(words,), cluster=0, op=words, sign="trouble"),
        Vertex("op", "narrow", details=(words,), cluster=1),
        Vertex("output", words + "\n" + words, A, details=(words,)),
    ]
    edges = [Edge(0, 1, value, argument=words), Edge(1, 2, value, 0, words), Edge(2, 3, A, 1, skip=True)]
    clusters = [Cluster(words, words, words), Cluster(words, "", words, 0, 1)]
    return Picture(Drawing(vertices, edges, clusters), title=words, caption=words, legend=True)


@pytest.mark.parametrize(
    "text", [*NASTY, "‮right to left", "👩‍👩‍👧‍👦 é", "x\x00\x1b\x7f\ud800y", "x" * 10_000, "<&\"'>" * 2_000]
)
def test_any_words_stay_words(text: str) -> None:
    root = parsed(picture_of(text).svg)
    shown, short = texts(root), clean(clean(text), LETTERS)
    assert shown.count(short) >= 4
    description = root.find(f"{SVG}desc")
    assert description is not None
    assert description.text is not None
    assert f"{clean(text)} ({A})" in description.text
    assert root[0].text == clean(text)
    caption = "".join(line for line in shown)
    assert clean(text, 1000).replace(" ", "")[:200] in caption.replace(" ", "")


@settings(max_examples=100, deadline=None)
@given(awkward)
@example("</title></desc></svg><script>alert(1)</script>")
@example("]]>")
@example("-->")
@example("<![CDATA[")
@example("&lt;b&gt;&#0;&bogus;")
@example('"><image href="x" onerror="y"/>')
@example("</TD></TR></TABLE>>")
@example("\\G\\N\\E\\T\\H\\L\\n")
@example("   ")
def test_no_words_break_out_of_anything(text: str) -> None:
    root = parsed(picture_of(text).svg)
    assert sum(re.fullmatch(r"n\d+", group.get("id", "")) is not None for group in root.iter(f"{SVG}g")) == 4
    assert sum(re.fullmatch(r"e\d+", group.get("id", "")) is not None for group in root.iter(f"{SVG}g")) == 3
