"""The gallery, each picture as a browser shows it with three fonts: nothing stands in the way of anything."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
import sys
from itertools import pairwise
from typing import Any

import pytest

from tapenet.drawing.picture import Picture
from tests.drawing import browser
from tests.drawing.flaws import spine
from tests.drawing.gallery import beside
from tests.drawing.gallery.entry import GALLERY
from tests.drawing.seen import Seen, contrast, crossings, faint, flaws, see
from tests.gallery import FOLDER, drawn, page, written

FONTS = ("Liberation Sans", "DejaVu Sans", "DejaVu Serif")
#: What is looked at each time; the others are slow.
QUICK = ("xor", "lenet-backward", "unet4")

#: More than sixty boxes, and why.
MANY = {"kalman-filter": "a flat graph is drawn op by op up to four times the budget"}

needs_browser = pytest.mark.skipif(bool(browser.missing()), reason=browser.missing())


@functools.cache
def picture(name: str) -> Picture:
    return drawn(GALLERY[name])


@functools.cache
def shown(driver: Any, name: str, font: str = FONTS[0], dark: bool = False) -> Seen:
    """A picture in the browser, of which several tests look at the same."""
    return see(driver, picture(name).svg, font, dark)


def cases(faults: dict[str, str] | None = None, quick: tuple[str, ...] = QUICK) -> list[Any]:
    """The pictures of the gallery, those with a known fault expected to fail."""
    found = []
    for name in GALLERY:
        marks = [pytest.mark.slow] if name not in quick else []
        if faults and name in faults:
            marks.append(pytest.mark.xfail(reason=faults[name], strict=True, raises=AssertionError))
        found.append(pytest.param(name, marks=marks))
    return found


@needs_browser
@pytest.mark.parametrize("name", cases())
def test_nothing_stands_in_the_way_of_anything(driver: Any, name: str) -> None:
    for font in FONTS:
        assert [*flaws(shown(driver, name, font))] == [], font


@needs_browser
@pytest.mark.parametrize("name", cases())
def test_everything_stands_out_from_what_is_behind_it(driver: Any, name: str) -> None:
    for dark in (False, True):
        assert [*faint(shown(driver, name, dark=dark), 4.5)] == [], dark


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in GALLERY if name.startswith(("unet", "resnet"))])
def test_arrows_do_not_cross(driver: Any, name: str) -> None:
    assert crossings(shown(driver, name)) == 0


@needs_browser
@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        *("lenet", "lenet-training", "autoencoder", "resnet18", "resnet18-open", "resnet50", "mobilenet", "densenet"),
        *("unet2", "unet4", "unet-backward", "gpt2", "gpt2-xl", "gpt2-folded", "bert", "wavenet", "chain-10000"),
    ],
)
def test_the_main_chain_is_straight_to_a_pixel(driver: Any, name: str) -> None:
    boxes = shown(driver, name).boxes
    chain = [boxes[f"n{i}"].area for i in spine(picture(name).placed)]  # from the last box to the first
    assert len(chain) > 4
    for (left, top, right, _), (before, _, after, foot) in pairwise(chain):
        assert abs(left + right - before - after) / 2 < 0.75 or foot > top  # points: a pixel; or it ends a column


@needs_browser
@pytest.mark.parametrize("name", cases())
def test_letters_have_eight_points_where_the_picture_is_eight_hundred_pixels_wide(driver: Any, name: str) -> None:
    seen = shown(driver, name)
    assert min(text.size for text in seen.texts) * min(1, 600 / seen.width) >= 8


@pytest.mark.parametrize("name", cases(MANY))
def test_there_are_at_most_sixty_boxes(name: str) -> None:
    assert len(picture(name).drawing.vertices) <= 60


@pytest.mark.parametrize("name", cases())
def test_a_picture_takes_at_most_a_hundred_kilobytes(name: str) -> None:
    assert len(picture(name).svg.encode()) <= 100_000


@pytest.mark.slow
def test_pictures_are_the_same_bytes_in_another_process() -> None:
    program = (
        "import hashlib; from tests.gallery import GALLERY, drawn\n"
        "for name, entry in GALLERY.items(): print(name, hashlib.sha256(drawn(entry).svg.encode()).hexdigest())"
    )
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = dict(line.split() for line in made.splitlines())
    assert found == {name: hashlib.sha256(picture(name).svg.encode()).hexdigest() for name in GALLERY}


@pytest.mark.parametrize("name", cases())
def test_the_committed_picture_is_the_one_that_is_drawn_now(name: str) -> None:
    """Else run `python -m tests.gallery`. Measured numbers, and so widths and colours, may differ between machines."""
    kept, made = (FOLDER / f"{name}.svg").read_text(encoding="utf-8"), written(picture(name))
    if picture(name).color_by:
        kept, made = (re.sub(r"#[0-9a-f]{6}|[-\d.]+", "0", text) for text in (kept, made))
    assert kept == made


def test_the_gallery_is_whole() -> None:
    assert len(GALLERY) >= 40
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(GALLERY)
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == page()
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 2_000_000
    theirs = {path.stem: path.stat().st_size for path in (FOLDER / "torchview").iterdir()}
    assert theirs.keys() == beside.BETTER.keys()
    assert max(theirs.values()) <= 100_000


@pytest.mark.slow
def test_a_program_of_the_gallery_is_the_same_model_in_pytorch() -> None:
    pytest.importorskip("torchview")
    made = beside.pictures()["lenet"]()
    assert [made.count(f">{word}<") for word in ("Conv2d", "tanh", "avg_pool2d", "Linear")] == [2, 4, 2, 3]


#: A picture with faults: boxes that overlap, texts beside their boxes, an arrow through one.
FAULTY = (
    '<svg viewBox="0 0 200 100" width="200pt" height="100pt"><rect class="paper" width="200" height="100" fill="#fff"/>'
    '<g class="tapenet-edges" fill="none" stroke="#ccc"><g id="e0"><path d="M170 0V90"/></g></g>'
    '<g id="n0" class="node"><rect x="10" y="10" width="60" height="20" fill="#fff" stroke="#000"/>'
    '<text x="12" y="25" font-size="10">wider than its box</text></g>'
    '<g id="n1" class="node"><rect x="60" y="20" width="120" height="60" fill="#fff" stroke="#000"/>'
    '<text x="160" y="45" font-size="10">text</text></g></svg>'
)


@needs_browser
def test_what_stands_in_the_way_is_noticed(driver: Any) -> None:
    for font in FONTS:
        seen = see(driver, FAULTY, font)
        assert set(flaws(seen)) == {
            "the boxes n0 and n1 overlap",
            "'wider than its box' leaves its box",
            "'wider than its box' is on the box n1",
            "the arrow e0 goes through 'text'",
        }  # fmt: skip
        assert {"the arrow e0: 1.6"} == set(faint(seen, 4.5))


@needs_browser
@pytest.mark.slow
def test_the_fonts_are_there(driver: Any) -> None:
    assert len({see(driver, FAULTY, font).texts[0].area[2] for font in FONTS}) == len(FONTS)


def test_the_contrast_of_black_and_white() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
