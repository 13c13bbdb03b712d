"""The finished SVG: what it says to who cannot see it, in the dark, beside others on a page, and of hostile words."""

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
from tapenet.drawing.forms.render import render
from tapenet.drawing.forms.svg import description, finished
from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex
from tapenet.drawing.picture import Picture
from tapenet.drawing.style import DARK, LIGHT
from tapenet.drawing.text import caption_label, clean, roomy_label
from tests.drawing.graphs import GRAPHS, array, leaf
from tests.drawing.test_text import NASTY, awkward

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"
A = Value((2, 3), "f32")

#: All that an SVG of ours may hold.
TAGS = {"svg", "g", "title", "desc", "style", "a", "path", "polygon", "polyline", "ellipse", "text"}
ATTRIBUTES = {
    "class", "d", "fill", "font-family", "font-size", "font-weight", "height", "id", "points", "role", "stroke",
    "stroke-dasharray", "stroke-width", "aria-labelledby", "text-anchor", "title", "transform", "viewBox", "width", "x",
    "y", "space", "cx", "cy", "rx", "ry",
}  # fmt: skip


def parsed(svg: str) -> ET.Element:
    """The SVG, after a look at all that is in it: nothing that runs, and nothing that leads elsewhere."""
    root = ET.fromstring(svg)
    for element in root.iter():
        assert element.tag.rpartition("}")[2] in TAGS
        for key, value in element.items():
            assert key.rpartition("}")[2] in ATTRIBUTES
            assert key.startswith(XLINK) or "url(" not in value
    return root


def texts(root: ET.Element) -> list[str]:
    return ["".join(element.itertext()).replace("\xa0", " ") for element in root.iter(f"{SVG}text")]


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
            assert title.text == (words if vertex.value is None else f"{words} ({vertex.value})")
        elif re.fullmatch(r"cluster_\d+", name):
            assert title is not None
            assert title.text == picture.drawing.clusters[int(name[8:])].title
        else:  # arrows have their tooltips
            assert title is None
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
    # Pieces of a line have borders of no width.
    drawn = [(key, value) for e in parsed(svg).iter() for key, value in e.items() if e.get("stroke-width") != "0"]
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


def test_the_ground_alone_is_made_dark_and_the_title_has_none() -> None:
    root = parsed(everything().svg)
    graph = root.find(f"{SVG}g")
    assert graph is not None
    ground, *swatches = graph.findall(f"{SVG}polygon")
    assert ground.get("fill") == LIGHT.paper
    assert len(swatches) > 4  # of the legend: they keep their own colours
    assert ".graph>polygon:first-of-type" in everything().svg
    titled = graph.findall(f"{SVG}g[@class='cluster']")[0]
    assert texts(titled) == ["All of it"]
    assert [p.get("fill") for p in titled.findall(f"{SVG}polygon")] in ([], ["none"])


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
    shown, short = texts(root), clean(text).replace("\xa0", " ")
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


@settings(max_examples=150, deadline=None)
@given(awkward, st.lists(awkward, max_size=3))
@example("", ["</TD>"])
@example("<BR/>", ["<B>", "&amp;", "\\"])
@example("\x00", ["\x00"])
def test_labels_with_markup_show_their_text(caption: str, meanings: list[str]) -> None:
    label = caption_label(caption, [("#ffffff", "#000000", meaning) for meaning in meanings])
    below = f"label={label};" if label else ""
    dot = f"digraph {{ {below} subgraph cluster_a {{ label={roomy_label(caption)}; n [label=n] }} }}"
    shown = texts(parsed(render(dot).decode()))
    plain = "".join("".join(shown).split())
    for text in (*map(clean, meanings), clean(caption), clean(caption, 1000)):
        assert "".join(text.split()) in plain


def test_finishing_keeps_what_graphviz_drew() -> None:
    picture = tn.draw(net(), array(5, 3))
    plain = render(picture.dot).decode()
    done = finished(plain, picture.drawing, "t")
    paths = [e.get("d") for e in ET.fromstring(plain).iter(f"{SVG}path")]
    assert [e.get("d") for e in parsed(done).iter(f"{SVG}path")] == paths
    assert texts(ET.fromstring(plain)) == texts(ET.fromstring(done))


def test_a_legend_shows_the_lines_of_signs() -> None:
    label = caption_label("", [("#ffffff", "#000000", "plain"), ("#ffffff", "#000000", "dead", "dotted")])
    boxes = parsed(render(f"digraph {{ label={label}; n }}").decode()).iter(f"{SVG}polygon")
    assert sum("stroke-dasharray" in p.attrib for p in boxes) == 1
