"""`draw` and what it gives: the picture in a notebook, in files, and when something goes wrong."""

from __future__ import annotations

import json
import os
import re
import stat
import struct
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tapenet as tn
from tapenet import nn
from tapenet.drawing import draw, picture
from tapenet.drawing.forms.render import RenderError
from tapenet.drawing.forms.shapes import Shape, read
from tapenet.drawing.layout import place
from tapenet.drawing.layout.boxes import LETTERS
from tapenet.drawing.picture import Picture
from tapenet.drawing.text import clean
from tests.drawing.graphs import GRAPHS, array, leaf
from tests.drawing.test_text import NASTY, awkward

SVG = "{http://www.w3.org/2000/svg}"


def test_the_svg_is_whole_and_fits_into_a_column() -> None:
    svg = draw(GRAPHS["cnn"]()).svg
    root = ET.fromstring(svg)
    assert "@media screen{.tapenet{max-width:100%;height:auto}}" in svg
    left, top, across, down = map(float, root.get("viewBox", "").split())
    # Nothing sticks out.
    scene = read(svg)
    corners = [n for thing in scene.things if isinstance(thing, Shape) for _, n in thing.outline]
    assert len(corners) > 50
    for numbers in corners:
        assert all(left <= x <= left + across for x in numbers[::2])
        assert all(top <= y <= top + down for y in numbers[1::2])


def test_a_picture_in_words() -> None:
    assert repr(draw(GRAPHS["xor"]())) == ("<Picture of 2 inputs, 7 ops, 1 output; .save('net.svg') writes it>")
    assert "1 module," in repr(draw(GRAPHS["cnn"](), depth=0))


def test_layout_runs_once_and_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def count(drawing: Any, direction: str, most: float) -> Any:
        calls.append(direction)
        return place(drawing, direction, most)

    monkeypatch.setattr(picture, "place", count)
    made = draw(GRAPHS["xor"](), direction="LR")
    assert made.dot.startswith("digraph")
    assert calls == []
    assert made.svg == made.svg == made._repr_svg_()
    assert made.animate().svg
    assert calls == ["LR", "LR"]  # an animation has parameters as boxes, and so a layout of its own


def test_the_picture_does_not_change_with_the_graph() -> None:
    w = leaf(3)
    with tn.Tape() as tape:
        y = w * 2
        made = draw(tape)
        before = draw(tape).dot
        y = y * 3
    assert made.dot == before
    assert draw(y).dot != before
    assert draw(tape).dot != before


# -- files ---------------------------------------------------------------------------------------------------


def test_files_by_suffix(tmp_path: Path) -> None:
    made = draw(GRAPHS["cnn"]())
    svg = made.save(tmp_path / "net.svg")
    assert svg == tmp_path / "net.svg"
    assert svg.read_text(encoding="utf-8") == made.svg
    assert made.save(str(tmp_path / "net.dot")).read_text(encoding="utf-8") == made.dot
    png = made.save(tmp_path / "NET.PNG").read_bytes()
    assert png.startswith(b"\x89PNG")
    width = struct.unpack(">I", png[16:20])[0]
    points = float(re.search(r'width="([\d.]+)pt"', made.svg)[1])  # type: ignore[index]
    assert width == pytest.approx(points / 72 * 192, rel=0.02)  # sharp in print
    assert sorted(path.name for path in tmp_path.iterdir()) == ["NET.PNG", "net.dot", "net.svg"]


def test_saving_again_replaces_the_file_and_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "net.svg"
    path.write_text("old")
    first = draw(GRAPHS["xor"]()).save(path).read_bytes()
    assert draw(GRAPHS["xor"]()).save(path).read_bytes() == first
    assert first.startswith(b"<svg ")


@pytest.mark.parametrize("name", ["net", "net.gif", "net.svg.gz", ".svg", "net."])
def test_an_unknown_suffix_lists_the_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"must be one of \.svg, \.png, \.pdf, \.dot"):
        draw(GRAPHS["xor"]()).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_and_a_folder_in_the_way(tmp_path: Path) -> None:
    made = draw(GRAPHS["xor"]())
    with pytest.raises(FileNotFoundError, match=r"make the folder .*pictures first"):
        made.save(tmp_path / "pictures" / "net.svg")
    (tmp_path / "net.svg").mkdir()
    with pytest.raises(IsADirectoryError, match="that is a folder"):
        made.save(tmp_path / "net.svg")


def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.svg"
    path.write_text("old")

    def full(source: object, target: object) -> None:
        raise OSError(28, "the disk is full left on device")

    monkeypatch.setattr(picture.os, "replace", full)
    with pytest.raises(OSError, match="the disk is full"):
        draw(GRAPHS["xor"]()).save(path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["net.svg"]


def test_saving_keeps_a_files_permissions_and_goes_through_links(tmp_path: Path) -> None:
    made = draw(GRAPHS["xor"]())
    usual = made.save(tmp_path / "new.dot").stat().st_mode
    (tmp_path / "plain").touch()
    assert usual == (tmp_path / "plain").stat().st_mode
    folder = tmp_path / "folder"
    folder.mkdir()
    target, link = folder / "target", tmp_path / "net.dot"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    assert made.save(link) == link
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == made.dot
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    target.unlink()
    made.save(link)  # to a file that is not there yet
    assert link.is_symlink()
    assert target.read_text(encoding="utf-8") == made.dot
    assert [path.name for path in folder.iterdir()] == ["target"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_saving_writes_into_a_pipe(tmp_path: Path) -> None:
    made, pipe = draw(GRAPHS["xor"]()), tmp_path / "net.dot"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")), daemon=True)
    reader.start()
    made.save(pipe)
    reader.join(60)
    assert read == [made.dot]
    assert pipe.is_fifo()


def test_names_that_cannot_be_written_are_shown_escaped_in_every_format(tmp_path: Path) -> None:
    name = "a\x00b\ud800c\x1b"

    class Net(nn.Module):
        def __init__(self) -> None:
            setattr(self, name, nn.Parameter(np.ones(2)))
            self.layers = {name: nn.Linear(2, 2)}

        def forward(self, x: Any) -> Any:
            return self.layers[name](x) * getattr(self, name)

    double = tn.op(lambda x: x * 2, name=name, x=lambda g: g * 2)
    made = draw(double(Net()(np.ones((1, 2)))).sum(), title=name, caption=name)
    for suffix in ("svg", "html", "json", "dot", "mmd"):
        text = made.save(tmp_path / f"net.{suffix}").read_bytes().decode()
        assert "\x00" not in text
        assert r"a\x00b\ud800c\x1b" in text.replace("\\\\", "\\").replace("#92;", "\\"), suffix
    ET.fromstring(made.svg)
    read = json.loads((tmp_path / "net.json").read_text(encoding="utf-8"))
    assert [v["title"] for v in read["vertices"] if v.get("op") == r"a\x00b\ud800c\x1b"] == [r"a\x00b\ud800c\x1b"]
    assert made.save(tmp_path / "net.pdf").read_bytes().startswith(b"%PDF")


def test_without_a_renderer_all_but_png_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tapenet.drawing.forms.render._all", lambda: ())
    made = draw(GRAPHS["xor"]())
    for suffix in ("svg", "pdf", "dot", "html", "mmd", "json"):
        assert made.save(tmp_path / f"net.{suffix}").exists()
    with pytest.raises(RenderError, match="SVG, PDF and HTML need none of these"):
        made.save(tmp_path / "net.png")
    assert not (tmp_path / "net.png").exists()


# -- notebooks -----------------------------------------------------------------------------------------------


def test_notebooks_show_the_svg() -> None:
    made = draw(GRAPHS["xor"]())
    assert made._repr_mimebundle_() == {"image/svg+xml": made.svg, "text/plain": repr(made)}
    assert made._repr_svg_() == made.svg


def test_notebooks_show_words_where_there_is_no_svg(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> Any:
        raise RecursionError("too deep")

    monkeypatch.setattr(picture, "place", refuse)
    made = draw(GRAPHS["xor"]())
    assert made._repr_svg_() is None
    assert made._repr_mimebundle_() == {"text/plain": f"{made!r}\ntoo deep"}


# -- arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [-1, 1.0, "1", True])
def test_depth_is_a_number_of_levels(depth: Any) -> None:
    with pytest.raises(ValueError, match=r"draw: depth=.*None"):
        draw(leaf(2) * 2, depth=depth)


@pytest.mark.parametrize("direction", ["tb", "down", "", None])
def test_the_directions_are_listed(direction: Any) -> None:
    with pytest.raises(ValueError, match="the directions are TB, LR, BT, RL"):
        draw(leaf(2) * 2, direction=direction)


def test_draw_gives_a_picture_of_its_drawing() -> None:
    made = draw(GRAPHS["cnn"](), depth=1, direction="LR")
    assert isinstance(made, Picture)
    assert made.direction == "LR"
    assert [v.kind for v in made.drawing.vertices].count("module") == 2


# -- any text, any size --------------------------------------------------------------------------------------


def shown(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def named(label: str, module_name: str, class_name: str, result: str) -> tuple[Any, Any]:
    """The result of an op, in a module, with these names; and the module, which has to stay alive."""
    op = tn.op(lambda x: x + 1, name=class_name or "op", label=label, x=lambda g: g)
    inner = type("Inner", (nn.Module,), {"forward": lambda self, x: op(x * self.weight) * 2})()
    inner.weight = nn.Parameter(array(2))
    type(inner).__name__ = class_name
    outer = type("Outer", (nn.Module,), {"forward": lambda self, x: inner(x)})()
    setattr(outer, module_name, inner)
    return {result: outer(array(2))}, outer


# Of Python's own making: names of classes, and of files (an op's name is part of one) take no such characters.
plain_name = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(max_examples=60, deadline=None)
@given(awkward, awkward, plain_name, awkward)
@example("<script>alert(1)</script>", "</text><script>alert(1)</script>", "A", "]]><script/>")
@example('"', "\\", "\\N", '"]')
@example("\ud800", "\udfff", "\x1b", "\ufffe")
@example("x" * 10_000, "y" * 10_000, "z" * 10_000, '"' * 10_000)
def test_any_name_gives_a_sound_picture(label: str, module_name: str, class_name: str, result: str) -> None:
    x, module = named(label, module_name, class_name, result)
    svg = draw(x).svg
    tags = {element.tag.rpartition("}")[2].lower() for element in ET.fromstring(svg).iter()}
    assert tags <= {"svg", "g", "title", "desc", "style", "path", "polygon", "rect", "text"}
    lines = shown(svg)
    for text in (clean(clean(label), LETTERS), clean(clean(result), LETTERS)):
        assert not text.strip() or text in lines
    assert module is not None


@pytest.mark.parametrize("text", NASTY)
def test_a_name_is_shown_as_it_is(text: str) -> None:
    x, module = named(text, text, "Inner", text)
    lines = shown(draw(x).svg)
    assert lines.count(text) == 2
    assert f"{text} · Inner" in "\n".join(lines)
    assert module is not None


def test_as_many_boxes_as_were_asked_for() -> None:
    y = leaf(2)
    for _ in range(450):
        y = np.sin(y) * 2
    every = draw(y, repeats=False, budget=None, compact=False)
    assert every.svg.count('class="node"') == 902
    assert len(draw(y, repeats=False).drawing.vertices) <= 60  # no modules to fold: runs of ops
    assert [c.count for c in draw(y).drawing.clusters] == [450]


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    script = (
        "import sys; import tapenet as tn\n"
        "print([name for name in sys.modules if name.startswith('tapenet.drawing')])\n"
        "made = tn.draw(tn.tensor([1.0], requires_grad=True) * 2)\n"
        "print([name for name in ('graphviz', 'subprocess', 'xml.etree.ElementTree') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "['tapenet.drawing']\n[]\n"


# -- what it takes -----------------------------------------------------------------------------------------------

_FIRST = """
import inspect, pathlib, sys
import tapenet as tn
x = tn.tensor([1.0, 2.0], requires_grad=True)
loss = (x * x).sum()
before, ran = set(sys.modules), set()
def called(frame, event, arg):
    code = frame.f_code
    if event == "call" and code.co_flags & inspect.CO_OPTIMIZED:  # a function's: no body of a class or module
        ran.add(code.co_filename)
sys.setprofile(called)
tn.draw(loss).save(sys.argv[1])
sys.setprofile(None)
package = str(pathlib.Path(tn.__file__).parent)
print(*sorted(name for name in set(sys.modules) - before if name.startswith("tapenet.")))
print(*sorted(name[len(package) + 1 :] for name in ran if name.startswith(package)))
"""


def test_the_way_to_the_first_picture_goes_through_few_files(tmp_path: Path) -> None:
    """Nothing of the compiler, of profiles, or of other forms of pictures is loaded for an SVG."""
    path = tmp_path / "loss.svg"
    done = subprocess.run([sys.executable, "-c", _FIRST, path], capture_output=True, text=True, check=True)
    loaded, ran = (line.split() for line in done.stdout.splitlines())
    assert path.read_text(encoding="utf-8").startswith("<svg ")
    assert "tapenet.drawing.passes.repeats" in loaded
    assert {name.split(".")[1] for name in loaded} <= {"autodiff", "drawing", "files"}
    assert len(loaded) <= 47, loaded
    assert "drawing/sources/build.py" in ran
    assert len(ran) <= 46, ran
