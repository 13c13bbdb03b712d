"""Letters that are drawn as outlines from fonts of the machine."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tapenet.drawing.forms import outlines, shapes
from tapenet.drawing.forms.outlines import outline
from tapenet.drawing.forms.pdf import to_pdf
from tapenet.drawing.forms.render import render
from tapenet.drawing.forms.spelled import spelled
from tapenet.drawing.metrics import room, widths
from tests.drawing.test_pdf import content, words

builder = pytest.importorskip("fontTools.fontBuilder", reason="needs fontTools, which matplotlib brings")

#: A square of 800 by 800 around a hole of 400, from the base line, and a letter of one curve.
_SQUARE = [[(100, 0), (100, 800), (900, 800), (900, 0)], [(300, 200), (700, 200), (700, 600), (300, 600)]]


def drawn(pen: Any, quadratic: bool) -> Any:
    for line in _SQUARE:
        pen.moveTo(line[0])
        for point in line[1:]:
            pen.lineTo(point)
        pen.closePath()
    pen.moveTo((0, 0))
    if quadratic:
        pen.qCurveTo((0, 100), (50, 100), (50, 0))
    else:
        pen.curveTo((0, 50), (20, 90), (50, 90))
    pen.closePath()
    return pen


def made(kind: str) -> bytes:
    """A font with one letter, 入, in a glyph of its own, and 全, which is made of that where a font can say so."""
    from fontTools.pens.t2CharStringPen import T2CharStringPen
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    names = [".notdef", "enter", "whole"]
    font = builder.FontBuilder(1000, isTTF=kind == "glyf")
    font.setupGlyphOrder(names)
    font.setupCharacterMap({0x5165: "enter", 0x5168: "whole", 0x1F680: "enter"})
    if kind == "glyf":
        glyphs = {".notdef": TTGlyphPen(None).glyph(), "enter": drawn(TTGlyphPen(None), True).glyph()}
        pen = TTGlyphPen(glyphs)
        pen.addComponent("enter", (0.5, 0, 0, 0.5, 10, 20))
        font.setupGlyf({**glyphs, "whole": pen.glyph()})
    else:
        letter = drawn(T2CharStringPen(1000, None), False).getCharString()
        empty = T2CharStringPen(1000, None).getCharString()
        font.setupCFF("Test", {}, {".notdef": empty, "enter": letter, "whole": letter}, {})
    font.setupHorizontalMetrics(dict.fromkeys(names, (1000, 0)))
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupOS2()
    font.setupPost()
    file = io.BytesIO()
    font.save(file)
    return file.getvalue()


@pytest.fixture(params=["glyf", "CFF"])
def installed(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A font of the machine, of either kind, as the second of the files that may have a letter."""
    path = tmp_path / "test.otf"
    path.write_bytes(made(request.param))
    (tmp_path / "none.ttf").write_bytes(b"no font")
    monkeypatch.setattr(outlines, "_files", lambda character: [(str(tmp_path / "none.ttf"), 0), (str(path), 0)])
    outline.cache_clear()
    return str(request.param)


@pytest.fixture(autouse=True)
def _forget() -> Any:
    yield
    outline.cache_clear()


SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="100pt" height="40pt" viewBox="0 0 100 40">'
    '<rect width="100" height="40" fill="#ffffff"/>'
    '<text x="10" y="30" font-size="20" fill="#000000">{}</text></svg>'
)


def test_outlines_are_those_of_the_font(installed: str) -> None:
    found = outline("入")
    assert found is not None
    assert found.advance == 1
    corners = {point for name, point in found.pieces if name in "ML"}
    assert {(x / 1000, y / 1000) for line in _SQUARE for x, y in line} <= corners
    assert [name for name, _ in found.pieces].count("Z") == 3
    curves = [point for name, point in found.pieces if name == "C"]
    assert curves[-1][-2:] == ((0.05, 0.0) if installed == "glyf" else (0.05, 0.09))
    whole = outline("全")
    assert whole is not None
    if installed == "glyf":
        assert whole.pieces[0] == ("M", pytest.approx((0.06, 0.02)))
        assert len(whole.pieces) == len(found.pieces)
    assert outline("層") is None


@pytest.mark.usefixtures("installed")
def test_letters_stand_where_the_text_has_room_for_them() -> None:
    scene = spelled(shapes.read(SVG.format("x入\ufe0fy")), "PNG")
    texts = [thing for thing in scene.things if isinstance(thing, shapes.Text)]
    assert [text.text for text in texts] == ["x", "入\ufe0f", "y"]
    assert [bool(text.colour) for text in texts] == [True, False, True]
    assert [text.x for text in texts] == pytest.approx([10, 20, 40])
    (letter,) = (t for t in scene.things[1:] if isinstance(t, shapes.Shape) and t.outline)
    assert letter.outline[0] == ("M", pytest.approx((22, 30)))


@pytest.mark.usefixtures("installed")
def test_a_pdf_has_outlines_and_text_to_copy() -> None:
    pdf = to_pdf(SVG.format("x入🚀y"))
    assert words(pdf).replace("\n", "") == "x入🚀y"
    assert "q 3 Tr" in content(pdf)
    assert content(pdf).count(" h\n") + content(pdf).count("\nh\n") >= 3 * 2


@pytest.mark.usefixtures("installed")
def test_a_png_has_outlines_with_holes() -> None:
    image = pytest.importorskip("PIL.Image")
    picture = np.asarray(image.open(io.BytesIO(render(SVG.format("入"), dpi=144))).convert("L"))
    # The square from 12 to 28 and from 14 to 30 points, with a hole from 16 to 24 and from 18 to 26.
    assert picture[2 * 22, 2 * 14] < 60
    assert picture[2 * 22, 2 * 20] > 200
    assert picture[2 * 16, 2 * 20] < 60


@pytest.mark.usefixtures("installed")
def test_what_is_missing_is_said_once_with_what_to_do() -> None:
    with pytest.warns(
        UserWarning, match=r"outlines for 層 🙂: they are boxes in the PNG\. Install .*fonts-noto-cjk"
    ) as told:
        spelled(shapes.read(SVG.format("入層層🙂\u3000")), "PNG")
    assert len(told) == 1


def test_without_fonttools_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlines, "find_spec", lambda name: None)
    with pytest.warns(UserWarning, match=r"層: boxes in the PNG, since fontTools is not installed.*tapenet\[fonts\]"):
        spelled(shapes.read(SVG.format("層")), "PNG")


def test_files_are_asked_of_fontconfig_or_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(outlines.shutil, "which", lambda name: None)
    (tmp_path / "Fonts").mkdir()
    (tmp_path / "Fonts" / "malgun.ttf").write_bytes(b"")
    monkeypatch.setenv("WINDIR", str(tmp_path))
    assert (f"{tmp_path}/Fonts/malgun.ttf", 0) in [*outlines._files("한")]
    program = tmp_path / "fc-match"
    program.write_text('#!/bin/sh\nprintf "%s\\t65537\\nother.ttf\\t\\n" "$4"\n')
    program.chmod(0o755)
    monkeypatch.setattr(outlines.shutil, "which", lambda name: str(program))
    assert [*outlines._files("한")] == [("sans-serif:charset=d55c", 1), ("other.ttf", 0)]


def test_marks_take_no_room_and_wide_letters_a_square() -> None:
    assert room("入力", 10) == room("🚀\ufe0f🚀", 10) == 20
    assert widths("a入\ufe0f") == {"a": widths("a")["a"], "\ufe0f": (0, 0)}
