"""Charts of metrics: they say the numbers, hold any label, and save themselves."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from tapenet.drawing.chart import Chart
from tapenet.drawing.forms import shapes
from tapenet.drawing.forms.curve import curve
from tapenet.drawing.forms.elements import FONT
from tapenet.drawing.style import DEFAULT, LIGHT
from tapenet.metrics import CalibrationError, ConfusionMatrix

SVG = "{http://www.w3.org/2000/svg}"


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_a_confusion_matrix_shows_labels_and_counts() -> None:
    confusion = ConfusionMatrix(["<cat>", "dog & co"])
    confusion.update([0] * 1200 + [1] * 7, [0] * 1200 + [0] * 3 + [1] * 4)
    shown = texts(confusion.draw("Pets").svg)
    assert {"Pets", "<cat>", "dog & co", "1,200", "3", "4"} <= set(shown)
    assert "0" not in shown  # an empty cell is empty
    tips = [element.text for element in ET.fromstring(confusion.draw().svg).iter(f"{SVG}title")]
    assert "true class <cat>, predicted class dog & co: 3 (0.2 %)" in tips


def test_of_many_classes_cells_have_no_numbers_and_the_picture_stays_small() -> None:
    confusion = ConfusionMatrix()
    confusion.update(np.arange(300), np.arange(300))
    root = ET.fromstring(confusion.draw().svg)
    assert int(root.attrib["width"].removesuffix("px")) < 1400
    assert len(texts(confusion.draw().svg)) < 250
    assert len(list(root.iter(f"{SVG}rect"))) == 300 + 2


def test_fractions_are_written_as_such() -> None:
    confusion = ConfusionMatrix(normalize="true")
    confusion.update([0, 0, 1], [0, 1, 1])
    assert {"1.00", "0.50"} <= set(texts(confusion.draw().svg))


def test_the_darker_the_more() -> None:
    confusion = ConfusionMatrix()
    confusion.update([0] * 9 + [1], [0] * 10)
    cells = [r.attrib["fill"] for r in ET.fromstring(confusion.draw().svg).iter(f"{SVG}rect")][1:5]
    assert int(cells[0][1:3], 16) < int(cells[1][1:3], 16) < 255
    assert cells[2] == cells[3] == "#ffffff"  # the paper


def test_a_reliability_curve_has_its_points_where_they_belong() -> None:
    error = CalibrationError(from_logits=False, bins=2)
    error.update([0.25, 0.25, 0.75, 0.75], [0, 0, 1, 0])
    found = [(c.attrib["cx"], c.attrib["cy"]) for c in ET.fromstring(error.draw().svg).iter(f"{SVG}circle")]
    assert found == [("144", "380"), ("304", "220")]
    assert "Calibration error 0.250" in texts(error.draw().svg)


def test_notebooks_show_what_was_seen() -> None:
    for metric in (ConfusionMatrix(), CalibrationError(from_logits=False)):
        assert metric._repr_svg_() is None
        metric.update(np.array([[0.2, 0.8]]), np.array([1]))
        shown = metric._repr_svg_()
        assert shown == metric.draw().svg == metric.draw()._repr_svg_()
        with pytest.raises(RuntimeError, match="nothing was seen"):
            metric.fresh().draw()


def test_a_chart_saves_itself(tmp_path: Path) -> None:
    chart = Chart("<svg/>", "Nothing", "nothing")
    assert chart.save(tmp_path / "a.svg").read_text() == "<svg/>"
    with pytest.raises(ValueError, match=r"the suffix must be \.svg"):
        chart.save(tmp_path / "a.gif")
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


def charts() -> list[str]:
    """A chart of each kind."""
    confusion, error = ConfusionMatrix(["a cat", "a dog"]), CalibrationError(from_logits=False)
    confusion.update([0, 1, 1], [0, 0, 1])
    error.update([0.9, 0.9, 0.2, 0.2], [1, 1, 0, 1])
    return [curve({"loss": [3.0, 2.0, 1.0]}, "Training", mark=(2, "best")), confusion.draw().svg, error.draw().svg]


def test_charts_look_as_drawings_do_in_light_and_dark() -> None:
    known = {*DEFAULT.darkened(), LIGHT.paper, *LIGHT.ramp, "#010101", "#fefefe", "none"}
    for svg in charts():
        root = ET.fromstring(svg)
        assert root.attrib["font-family"] == FONT
        found = {e.attrib[name] for e in root.iter() for name in ("fill", "stroke") if name in e.attrib}
        assert found <= known
        assert [e for e in root.iter() if e.attrib.get("class") == "paper"]
        assert "prefers-color-scheme:dark" in svg


def test_charts_are_written_as_drawings_are(tmp_path: Path) -> None:
    for svg in charts():
        assert len(shapes.read(svg).things) > 5
        assert (
            Chart(svg).save(tmp_path / "chart.pdf").read_bytes() == Chart(svg).save(tmp_path / "chart.pdf").read_bytes()
        )


def test_names_too_wide_for_their_columns_are_numbered() -> None:
    confusion = ConfusionMatrix([f"a class with the long name {i}" for i in range(6)])
    confusion.update(range(6), range(6))
    shown = texts(confusion.draw().svg)
    assert "a class with the long name 2 · 3" in shown
    assert "3" in shown
