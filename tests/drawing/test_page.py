"""The page as text: whole, safe, the same each time, and in the wheel."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapenet.drawing.forms import page as module
from tapenet.drawing.forms.data import to_data
from tapenet.drawing.forms.page import Series, to_html
from tapenet.drawing.model import Cluster, Drawing, Edge, Explained, Value, Vertex
from tapenet.drawing.style import DARK, LIGHT
from tapenet.drawing.text import escaped
from tests.drawing.pages import FIRST, NET, SECOND, blocks, chain, two_layers


class Parsed(HTMLParser):
    """The elements of a page, and the text in each script and style."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        if self.open and self.open[-1] == tag and tag in ("script", "style", "title"):
            key = f"{tag} {attributes['type']}" if "type" in attributes else tag
            self.texts[key] = self.texts.get(key, "") + data


def data_of(html: str) -> Any:
    return json.loads(Parsed(html).texts["script application/json"])


HOSTILE = [
    "</script><script>document.title = 'run'</script>",
    "<!-- <script>",
    "]]>",
    "\"'`&<>&lt;&#60;",
    "<img src=x onerror=alert(1)>",
    "{{script}} {{data}}",
    "a\x00b\x1b[31m\x7f",
    "line\nbreak\r\u2028\u2029",
    "lone \ud800 surrogate",
    "right\u202eto left",
    "\\u003c/script\\u003e",
    "x" * 10_000,
    "",
]


def hostile(text: str) -> Drawing:
    """The text everywhere a text may be."""
    return Drawing(
        [
            Vertex("op", text, details=(text,), cluster=0, op=text, line=text),
            Vertex("output", text, Value((1,), text)),
        ],
        [Edge(0, 1, Value((1,), text), argument=text)],
        [Cluster(text, text, text)],
        {text: Explained(text, {text: text})},
    )


def test_it_is_one_well_formed_document_that_loads_nothing() -> None:
    html = to_html(two_layers(), title="Two layers", caption="A net.")
    parsed = Parsed(html)
    assert not parsed.open
    assert html.startswith("<!DOCTYPE html>")
    assert parsed.texts["title"] == "Two layers"
    for tag, attributes in parsed.tags:
        assert not {"src", "href", "srcset", "action", "style"} & set(attributes), tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")
    outside = [url for url in re.findall(r"\w+://[^\s\"'`)]*", html) if url != "http://www.w3.org/2000/svg"]
    assert outside == []
    assert "@import" not in html
    assert "url(" not in parsed.texts["style"]


def test_the_policy_allows_its_own_script_and_style_only() -> None:
    parsed = Parsed(to_html(two_layers()))
    (policy,) = [a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for rule, text in (("script-src", parsed.texts["script"]), ("style-src", parsed.texts["style"])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_the_scripts_write_text_and_no_markup() -> None:
    scripts = [name.name for name in files(module).iterdir() if name.name.endswith(".js")]
    assert sorted(scripts) == sorted(f"{name}.js" for name in module.SCRIPTS)
    for name in scripts:
        source = files(module).joinpath(name).read_text(encoding="utf-8")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "</script",
        ):
            assert word not in source, name
        for word in ("fetch(", "XMLHttpRequest", "WebSocket", "import(", "localStorage"):
            assert word not in source or (name, word) == ("live.js", "fetch("), name  # the policy forbids it elsewhere
        assert source.startswith("// "), name
        assert source.count("\n") < 520, name


def test_the_drawing_is_in_it_as_it_is() -> None:
    drawing = two_layers(backward=True)
    data = data_of(to_html(drawing, title="t", caption="c", direction="LR", values={2: "[1 2]"}, gradients={4: "3"}))
    assert data["drawing"] == json.loads(json.dumps(to_data(drawing)))
    assert (data["title"], data["caption"], data["direction"]) == ("t", "c", "LR")
    assert (data["values"], data["gradients"]) == ({"2": "[1 2]"}, {"4": "3"})


def test_what_a_box_was_folded_from_is_left_out() -> None:
    drawing = Drawing([Vertex("module", "100,000 ops", members=tuple(range(100_000)))], [], [])
    found = data_of(to_html(drawing))["drawing"]
    assert found["vertices"] == [{"kind": "module", "title": "100,000 ops"}]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_can_break_out(text: str) -> None:
    html = to_html(
        hostile(text),
        title=text,
        caption=text,
        series=[Series(text, {0: [1.0]}, text, text)],
        steps=[text],
        values={0: text},
        gradients={0: text},
    )
    plain = Parsed(to_html(hostile("plain"), title="plain"))
    parsed = Parsed(html)
    assert [tag for tag, _ in parsed.tags] == [tag for tag, _ in plain.tags]
    assert not parsed.open
    assert parsed.texts["script"] == plain.texts["script"]
    data = parsed.texts["script application/json"]
    assert not set(data) & set("<>&")
    assert data.isascii()
    assert json.loads(data)["drawing"]["vertices"][0]["title"] == escaped(text)


@given(st.text())
def test_any_text_that_can_be_shown_round_trips(text: str) -> None:
    html = to_html(hostile(text), title=text)
    assert data_of(html)["drawing"] == json.loads(json.dumps(to_data(hostile(escaped(text)))))
    assert html.count("<script") == 2


def test_the_same_drawing_gives_the_same_bytes() -> None:
    def page() -> str:
        return to_html(two_layers(), title="t", series=[Series("time", {2: [1.0], 4: [2.0]})], open=[1, 0])

    assert page() == page()
    assert page() == to_html(two_layers(), title="t", series=[Series("time", {2: [1.0], 4: [2.0]})], open={0, 1})


def test_numbers_that_are_not_finite_are_words() -> None:
    series = Series("grad_norm", {1: [1.5, None, math.nan, math.inf, -math.inf], 3: [2, 0.0]}, "norm", "u", "norm")
    (found,) = data_of(to_html(two_layers(), series=[series]))["series"]
    assert found == {
        "name": "grad_norm",
        "label": "norm",
        "unit": "u",
        "combine": "norm",
        "logarithmic": False,
        "short": "",
        "values": {"1": [1.5, None, "nan", "inf", "-inf"], "3": [2, 0.0]},
    }


def test_a_colour_of_a_vertex_is_a_colour_or_nothing() -> None:
    drawing = Drawing([Vertex("op", "a", fill="#12abEF"), Vertex("op", "b", fill="red; x: url(y)")], [], [])
    first, second = data_of(to_html(drawing))["drawing"]["vertices"]
    assert first["fill"] == "#12abEF"
    assert "fill" not in second


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"open": [3]}, "open names the cluster at position 3, but the drawing has 3"),
        ({"values": {12: ""}}, "values names the vertex at position 12, but the drawing has 12"),
        ({"gradients": {-1: ""}}, "gradients names the vertex at position -1"),
        ({"series": [Series("time", {-1: [1.0]})]}, "series 'time' names the vertex at position -1"),
        ({"series": [Series("time", {1: [1.0]}, combine="mean")]}, "combines by 'mean'; give 'sum', 'norm' or 'max'"),  # type: ignore[arg-type]
        ({"color_by": "time"}, "color_by='time' is none of the series: there are none"),
        ({"direction": "XY"}, "direction is 'XY'; the directions are TB, LR, BT, RL"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        to_html(two_layers(), **arguments)


def test_small_drawings_open_whole_and_large_ones_as_far_as_they_are_readable() -> None:
    assert data_of(to_html(two_layers()))["open"] == [NET, FIRST, SECOND]
    assert data_of(to_html(blocks(40, 50)))["open"] == []  # all alike: none, rather than the first
    assert data_of(to_html(blocks(4, 20)))["open"] == [0, 1, 2, 3]
    assert data_of(to_html(chain(10_000)))["open"] == []
    assert data_of(to_html(two_layers(), open=[]))["open"] == []


def test_both_themes_have_every_colour_of_the_style() -> None:
    style = Parsed(to_html(two_layers())).texts["style"]
    used = set(re.findall(r"var\(--([\w-]+)", style)) - {"fill", "stroke", "on", "halo"}
    blocks_ = re.findall(r":root[^{]*\{ color-scheme: (\w+); ([^}]*)\}", style)
    assert [scheme for scheme, _ in blocks_] == ["light", "dark", "light", "dark"]
    for _, variables in blocks_:
        assert used <= set(re.findall(r"--([\w-]+):", variables))
    assert set(LIGHT.kinds) == set(DARK.kinds)
    assert set(LIGHT.signs) == set(DARK.signs)


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_stands_out_from_what_it_is_on(theme: Any) -> None:
    """By the measure of the web's guidelines for accessible content: 4.5 for text, 3 for what is large or graphical."""

    def contrast(a: str, b: str) -> float:
        low, high = sorted((_luminance(a), _luminance(b)))
        return (high + 0.05) / (low + 0.05)

    grounds = [theme.paper, *theme.clusters, *(box.fill for box in theme.kinds.values())]
    for ground in grounds:
        assert contrast(theme.ink, ground) >= 4.5
        assert contrast(theme.muted, ground) >= 4.5
    for box in theme.kinds.values():
        assert contrast(box.border, theme.paper) >= 3
    for colour in (theme.line, theme.skip, theme.gradient, theme.update, theme.accent):
        assert contrast(colour, theme.paper) >= 3
