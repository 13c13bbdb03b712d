"""Labels: whatever the text, the picture shows exactly its cleaned form and stays well-formed XML."""

import unicodedata
import xml.etree.ElementTree as ET

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapenet.drawing.text import LIMIT, clean, label, tooltip
from tests.drawing.graphviz import run_graphviz

SVG = "{http://www.w3.org/2000/svg}"

# Characters that mean something in DOT, in its escapes, in HTML labels or in XML, among any others.
awkward = st.one_of(
    st.text(st.sampled_from('\\"NGn'), max_size=10),
    st.text(st.sampled_from("\\\"'<>&;%#{}|[]NGTnlr \n\t\r\0"), max_size=30),
    st.text(max_size=30),
)

NASTY = [
    "plain",
    "two words",
    'say "hi"',
    '"',
    '\\"',
    '\\\\"',
    "trailing \\",
    "\\",
    "\\\\",
    "\\N \\G \\E \\T \\H \\L",
    "a\\nb\\lc\\r",
    "<b>x</b>",
    "<<b>x</b>>",
    "<",
    ">",
    "<>",
    "</text></svg>",
    "<script>alert(1)</script>",
    "<![CDATA[x]]>",
    "<!-- x -->",
    "]]>",
    "a --> b",
    "&amp;",
    "&lt;b&gt;",
    "&amp;amp;",
    "&#65;",
    "&alpha;",
    "&",
    "100 %",
    "%s %(x)s {x}",
    '"] ; evil [label="',
    "node",
    "digraph",
    "1e3",
    "-.5",
    "12abc",
    "// x",
    "# x",
    "/* x */",
    "a|b{c}",
    "conv 3×3, ∂L/∂w",
    "日本語 العربية 🙂",
]


def draw(dot: str) -> ET.Element:
    return ET.fromstring(run_graphviz(dot))


def shown(picture: ET.Element) -> list[str]:
    # Graphviz writes a run of spaces with no-break spaces in it, to keep its width.
    texts = ["".join(element.itertext()) for element in picture.iter(f"{SVG}text")]
    return [text.replace("\xa0", " ") for text in texts]


def tooltips(picture: ET.Element) -> list[str]:
    return [value for element in picture.iter(f"{SVG}a") for key, value in element.items() if key.endswith("}title")]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        ("as it is", "as it is"),
        ("a\nb", "a b"),
        ("a\r\nb", "a b"),
        ("a\tb\vc\fd\re", "a b c d e"),
        ("a\u0085b\u2028c\u2029d", "a b c d"),
        ("a\0b\x1bc\x7fd\x9fe", r"a\x00b\x1bc\x7fd\x9fe"),
        ("a\ufffeb\uffffc", r"a\ufffeb\uffffc"),
        ("a\ud800b\udfffc", r"a\ud800b\udfffc"),
        ("\ud83d\ude42", r"\ud83d\ude42"),
        ("🙂 \U0001fffe é", "🙂 \U0001fffe é"),
    ],
)
def test_clean_keeps_what_can_be_shown(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_clean_bounds_the_length() -> None:
    assert LIMIT == 80
    assert clean("x" * 80) == "x" * 80
    assert clean("x" * 81) == "x" * 79 + "…"
    assert clean("x" * 10_000, limit=5) == "xxxx…"
    assert clean("xy", limit=1) == "…"
    # The limit counts what is shown.
    assert clean("\0" * 100 + "x" * 80) == r"\x00" * 19 + r"\x0…"


@pytest.mark.parametrize("function", [lambda: clean("x", 0), lambda: label("x", limit=-1), lambda: tooltip("x", 0)])
def test_a_limit_below_one_is_an_error(function: object) -> None:
    assert callable(function)
    with pytest.raises(ValueError, match="1 or more"):
        function()


@given(awkward, st.integers(1, 40))
def test_clean_is_idempotent_printable_and_bounded(text: str, limit: int) -> None:
    once = clean(text, limit)
    assert clean(once, limit) == once
    assert len(once) <= limit
    assert not {unicodedata.category(character) for character in once} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(once) & {"\ufffe", "\uffff"}


@pytest.mark.parametrize("text", NASTY)
def test_a_label_shows_its_text(text: str) -> None:
    assert clean(text) == text
    picture = draw(f"digraph {{ n [label={label(text)} tooltip={tooltip(text)}] }}")
    assert shown(picture) == [text]
    assert tooltips(picture) == [text]


@pytest.mark.parametrize("text", ["x" * 10_000, '"' * 10_000, "\\" * 9_999, "<" * 10_000, "&" * 10_000])
@pytest.mark.parametrize("limit", [LIMIT, 1_000])
def test_long_text_is_cut(text: str, limit: int) -> None:
    picture = draw(f"digraph {{ n [label={label(text, limit=limit)}] }}")
    assert shown(picture) == [clean(text, limit)]


def test_lines_are_joined_in_one_label() -> None:
    joined = label("conv 3x3, 8", "", "\\n <i> & co", "float32 (8, 26, 26)")
    assert joined == r'"conv 3x3, 8\n\n\\n <i> &amp; co\nfloat32 (8, 26, 26)"'
    picture = draw(f"digraph {{ n [label={joined}] }}")
    texts = list(picture.iter(f"{SVG}text"))
    assert [text for text in shown(picture) if text] == ["conv 3x3, 8", "\\n <i> & co", "float32 (8, 26, 26)"]
    assert {text.get("text-anchor") for text in texts} == {"middle"}
    heights = [float(text.get("y", "nan")) for text in texts]
    assert heights == sorted(set(heights))


def test_tooltips_of_nodes_edges_and_clusters_show_their_text() -> None:
    text = '\\N \\E \\\\G \\n " &lt; \\'
    attribute = f"tooltip={tooltip(text)}"
    picture = draw(f"digraph {{ subgraph cluster_a {{ {attribute}; a -> b [{attribute}]; a [{attribute}] }} }}")
    assert tooltips(picture) == [text] * 3


def test_the_limit_holds_for_each_line() -> None:
    assert label("abcdef", "ab", limit=3) == r'"ab…\nab"'


@settings(max_examples=100, deadline=None)
@given(st.lists(awkward, min_size=1, max_size=4))
@example(["</text><script>alert(1)</script>", "\\", '"', "]]>"])
@example(["\\" * 79 + '"'])
def test_any_label_gives_a_sound_picture(lines: list[str]) -> None:
    picture = draw(f"digraph {{ n [shape=box label={label(*lines)} tooltip={tooltip(lines[0])}]; m [label=m] }}")
    cleaned = [clean(line) for line in lines]
    if any(cleaned):  # an empty label is not drawn at all
        drawn = [text.replace("\xa0", " ") for text in [*cleaned, "m"] if text]
        assert [text for text in shown(picture) if text] == drawn
    if cleaned[0]:
        assert [text.replace("\xa0", " ") for text in tooltips(picture)] == [cleaned[0].replace("\xa0", " ")]
    # Nothing escapes from a label: no script, and no other node or edge.
    assert not [element for element in picture.iter() if element.tag.lower().endswith("script")]
    groups = [element.get("class") for element in picture.iter(f"{SVG}g")]
    assert groups.count("node") == 2
    assert "edge" not in groups
