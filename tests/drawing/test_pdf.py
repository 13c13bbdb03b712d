"""PDF made of our SVG: what is on the page, and that readers can read it."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tapenet as tn
from tapenet.drawing.forms import font, spelled
from tapenet.drawing.forms.pdf import to_pdf
from tests.drawing.graphs import GRAPHS

LABELS = "weight × · − → ∂ Σ ᵀ 10×676 f32 αβγδ Ωω √ ∞ ≤ ∇ ⊙ x̂ é ß «…» ² Ж ⌊x⌋ ∛ ⁻¹"


def svg(inside: str, size: str = 'width="20pt" height="10pt" viewBox="0 0 20 10"') -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{inside}</svg>'


def objects(pdf: bytes) -> dict[int, bytes]:
    """The objects, found by the table at the end, as a reader finds them; streams unpacked."""
    start = int(pdf.split(b"startxref\n")[1].split()[0])
    lines = pdf[start:].split(b"\n")
    assert lines[0] == b"xref"
    count = int(lines[1].split()[1])
    assert lines[2] == b"0000000000 65535 f "
    found = {}
    for number, line in enumerate(lines[3 : 2 + count], 1):
        assert len(line) == 19  # and the line break
        body = pdf[int(line[:10]) :]
        assert body.startswith(b"%d 0 obj\n" % number)
        if stream := re.match(rb"\d+ 0 obj\n<</Length (\d+)/Filter/FlateDecode.*?>>\nstream\n", body):
            data = body[stream.end() : stream.end() + int(stream[1])]
            assert body[stream.end() + len(data) :].startswith(b"\nendstream\nendobj\n")
            found[number] = zlib.decompress(data)
        else:
            found[number] = body[body.index(b"\n") + 1 : body.index(b"\nendobj\n")]
    assert b"/Size %d/Root 1 0 R" % count in pdf
    for value in found.values():
        for reference in re.findall(rb"(\d+) 0 R", value) if value.startswith(b"<<") else ():
            assert int(reference) in found
    return found


def content(pdf: bytes) -> str:
    return next(value for value in objects(pdf).values() if value.startswith(b"q\n")).decode()


def words(pdf: bytes) -> str:
    """The text that a reader would copy."""
    found = objects(pdf)
    resources = next(value for value in found.values() if b"/Type/Page/" in value).decode()
    maps = {}
    for name, reference in re.findall(r"/(\w+) (\d+) 0 R", resources[resources.index("/Font<<") :]):
        number = re.search(rb"/ToUnicode (\d+)", found[int(reference)])
        assert number
        pairs = re.findall(rb"^<(\w{4})> <(\w+)>$", found[int(number[1])], re.MULTILINE)
        maps[name] = {g.decode(): bytes.fromhex(c.decode()).decode("utf-16-be") for g, c in pairs}
    lines = []
    for text in re.findall(r"^BT .*?\nET", content(pdf), re.MULTILINE | re.DOTALL):
        line = ""
        for name, glyphs, actual in re.findall(
            r"^/(\w+) [\d.]+ Tf <(\w+)> Tj|ActualText <FEFF(\w+)>", text, re.MULTILINE
        ):
            line += bytes.fromhex(actual).decode("utf-16-be")
            line += "".join(maps[name][glyphs[i : i + 4]] for i in range(0, len(glyphs), 4))
        lines.append(line)
    return "\n".join(lines)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_picture_and_all_its_words(name: str) -> None:
    picture = tn.draw(GRAPHS[name](), title="A title", caption="A caption", legend=True, backward=True).svg
    pdf = to_pdf(picture)
    assert pdf == to_pdf(picture)
    texts = [element.text or "" for element in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert texts
    assert words(pdf) == "\n".join(texts)
    assert b"/UserUnit 1/" in pdf


def test_it_needs_nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tapenet.drawing.forms.render._all", lambda: ())
    assert tn.draw(GRAPHS["xor"]()).save(tmp_path / "net.pdf").read_bytes().startswith(b"%PDF-1.7")


def test_the_characters_of_our_labels_have_glyphs() -> None:
    assert words(to_pdf(svg(f"<text>{LABELS}</text>"))) == LABELS
    assert "ActualText" not in content(to_pdf(svg(f"<text>{LABELS}</text>")))


def test_characters_without_a_glyph_are_boxes_that_copy_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spelled, "outline", lambda character: None)
    with pytest.warns(UserWarning, match="日 本 🙂: (they are )?boxes in the PDF"):
        pdf = to_pdf(svg("<text>a 日本 🙂 b</text>"))
    assert words(pdf) == "a 日本 🙂 b"
    assert "<00000000> Tj EMC" in content(pdf)


def test_the_page_is_as_large_as_the_picture() -> None:
    assert b"/MediaBox[0 0 20 10]" in to_pdf(svg(""))
    assert b"/MediaBox[0 0 15 7.5]" in to_pdf(svg("", 'width="20px" height="10px" viewBox="0 0 20 10"'))
    large = to_pdf(svg("", 'width="30000pt" height="100pt" viewBox="0 0 30000 100"'))
    assert b"/MediaBox[0 0 10000 33.3333]/UserUnit 3/" in large


def test_coordinates_turn_around_and_shrink_with_the_picture() -> None:
    text = content(to_pdf(svg("", 'width="10pt" height="5pt" viewBox="2 1 20 10"')))
    # The upper left corner (2, 1) is at (0, 5), the lower right one (22, 11) at (10, 0).
    assert "0.5 0 0 -0.5 -1 5.5 cm" in text


def test_shapes() -> None:
    shapes = (
        '<polygon fill="#ff0000" stroke="none" points="0,0 1,0 1,1"/>'
        '<polyline fill="none" stroke="black" stroke-width="1.5" stroke-dasharray="5,2" points="0,0 -1e-1,2"/>'
        '<path fill="#0000ff" stroke="#00ff00" d="M0,1C2,3 4,5 6,7 8,9 1,2 3,4L5,5Z"/>'
        '<circle fill="#000000" stroke="none" cx="5" cy="6" r="1"/>'
    )
    assert content(to_pdf(svg(shapes))).splitlines() == [
        "q", "1 0 0 -1 0 10 cm", "4 M", "1 0 0 rg", "0 0 m", "1 0 l", "1 1 l", "h", "f",
        "0 0 0 RG", "1.5 w", "[5 2] 0 d", "0 0 m", "-0.1 2 l", "S",
        "0 0 1 rg", "0 1 0 RG", "1 w", "[] 0 d", "0 1 m", "2 3 4 5 6 7 c", "8 9 1 2 3 4 c", "5 5 l", "h", "B",
        "0 0 0 rg", "5 5 m", "5 5 l", "5.5523 5 6 5.4477 6 6 c", "6 6 l", "6 6.5523 5.5523 7 5 7 c", "5 7 l",
        "4.4477 7 4 6.5523 4 6 c", "4 6 l", "4 5.4477 4.4477 5 5 5 c", "h", "f", "Q",
    ]  # fmt: skip


def test_text_stands_where_its_anchor_says() -> None:
    width = 2 * 10 * 556 / 1000  # two digits of Helvetica
    for anchor, x in (("start", 7), ("middle", 7 - width / 2), ("end", 7 - width)):
        text = content(to_pdf(svg(f'<text text-anchor="{anchor}" x="7" y="3" font-size="10">12</text>')))
        assert f"BT 1 0 0 -1 {x:.10g} 3 Tm" in text
    bold = content(to_pdf(svg('<text font-weight="bold" fill="#ff0000" font-size="30">1</text>')))
    assert "1 0 0 RG 1 w [] 0 d 2 Tr" in bold
    assert "BT 1 0 0 -1 0 0 Tm" in bold
    twice = content(to_pdf(svg(f'<text text-anchor="end" x="50" font-size="10" textLength="{2 * width}">12</text>')))
    assert f"BT 2 0 0 -1 {50 - 2 * width:.10g} 0 Tm" in twice


def test_a_line_of_no_width_is_none() -> None:
    assert (
        content(to_pdf(svg('<polygon fill="none" stroke="black" stroke-width="0" points="0,0 1,1"/>'))).count("\n") == 3
    )
    filled = content(to_pdf(svg('<polygon fill="black" stroke="black" stroke-width="0" points="0,0 1,1"/>')))
    assert filled.splitlines()[-2:] == ["f", "Q"]


def test_the_fonts() -> None:
    text, symbols = (font.load(name) for name in font.NAMES)
    assert text.widths[text.glyphs[ord("W")]] == 944
    assert not set(text.glyphs) & set(symbols.glyphs)
    assert {ord(c) for c in LABELS} <= set(text.glyphs) | set(symbols.glyphs)
    assert len(text.widths) > max(text.glyphs.values())
