"""Pictures in the column of a notebook, in headless Chromium: whole, and each in its own colours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tapenet.drawing import draw
from tests.drawing.browser import browser, missing
from tests.drawing.graphs import GRAPHS

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")

#: As notebooks show a result: the markup as it is, in a column that cuts off what is wider.
_CELL = """<!DOCTYPE html><meta charset="utf-8"><body>{}</body>"""
_COLUMN = '<div class="output" style="width: 300px; overflow: hidden">{}</div>'


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with browser() as opened:
        yield opened


def test_pictures_fit_into_the_column(driver: Any, tmp_path: Path) -> None:
    pictures = [draw(GRAPHS[name](), direction=way) for name, way in (("cnn", "LR"), ("xor", "TB"), ("cnn", "TB"))]
    bundles = [picture._repr_mimebundle_()["image/svg+xml"] for picture in pictures]
    shown = [bundle[bundle.index("<svg") :] for bundle in bundles]
    page = tmp_path / "notebook.html"
    page.write_text(_CELL.format("".join(_COLUMN.format(svg) for svg in shown)), encoding="utf-8")
    driver.get(page.as_uri())
    found = driver.execute_script(
        """return [...document.querySelectorAll(".output")].map((output) => {
          const column = output.getBoundingClientRect();
          const shapes = [...output.querySelectorAll("polygon, path, rect, text")].map((e) => e.getBoundingClientRect());
          const svg = output.querySelector("svg").getBoundingClientRect();
          return [svg.width, svg.height, Math.max(...shapes.map((r) => r.right)) - column.right,
                  Math.max(...shapes.map((r) => r.bottom)) - column.bottom, shapes.length];
        });"""
    )
    assert len(found) == 3
    for width, height, right, bottom, shapes in found:
        assert 0 < width <= 300
        assert height > 30
        assert right <= 0.5
        assert bottom <= 0.5
        assert shapes > 30
    described = driver.execute_script(
        """return [...document.querySelectorAll("svg")].map((svg) => svg.getAttribute("aria-labelledby").split(" ")
             .map((id) => svg.contains(document.getElementById(id))));"""
    )
    assert described == [[True, True]] * 3
