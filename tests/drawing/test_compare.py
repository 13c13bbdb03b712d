"""`tn.draw.diff`: two graphs in one picture, and what is different in words."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet import nn
from tapenet.drawing.compare import Comparison
from tapenet.drawing.style import LIGHT
from tests.drawing.graphs import array, leaf


def signs(comparison: Comparison) -> dict[str, str]:
    return {v.title.replace("\n", " "): v.sign for v in comparison.drawing.vertices if v.sign}


def mlp(*layers: Any) -> Any:
    return nn.Sequential(nn.Sequential(nn.Linear(3, 8), nn.ReLU()), nn.Sequential(*layers), nn.Linear(8, 2))


X = array(4, 3)


def test_an_op_more_and_an_op_less() -> None:
    x = leaf(2)
    more = tn.draw.diff(np.exp(x).sum(), (np.exp(x) * 3).sum())
    assert (more.added, more.removed, more.changed, more.same) == (["× 3"], [], [], False)
    assert str(more) == "1 added\n+ × 3"
    assert signs(more) == {"× 3": "added"}
    less = tn.draw.diff((np.exp(x) * 3).sum(), np.exp(x).sum())
    assert (less.added, less.removed) == ([], ["× 3"])
    assert signs(less) == {"× 3": "removed"}


def test_the_same_graph_is_the_same() -> None:
    x = leaf(2)
    comparison = tn.draw.diff(np.tanh(x).sum(), np.tanh(x).sum())
    assert comparison.same
    assert signs(comparison) == {}
    assert LIGHT.signs["added"] not in comparison.svg.partition("</style>")[2]


def test_models_as_pictures() -> None:
    before = tn.draw(mlp(nn.Linear(8, 8), nn.ReLU()), X)
    after = tn.draw(mlp(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 8)), X)
    comparison = tn.draw.diff(before, after, title="Wider")
    assert not comparison.same
    assert any("8×8" in line and "16×8" in line for line in comparison.changed)
    assert any("tanh" in line for line in comparison.added + comparison.changed)
    svg = comparison.svg
    ET.fromstring(svg)
    assert ">Wider<" in svg
    assert ">added<" in svg
    assert ">changed<" in svg
    assert str(comparison).partition("\n")[0] in svg  # the caption counts


def test_modules_in_which_nothing_changed_are_folded() -> None:
    comparison = tn.draw.diff(tn.draw(mlp(nn.Linear(8, 8)), X), tn.draw(mlp(nn.Linear(8, 8, bias=False)), X))
    folded = {v.title for v in comparison.drawing.vertices if v.kind == "module"}
    assert any(title.startswith("0 · ") for title in folded)
    assert any(title.startswith("2 · ") for title in folded)
    assert not any(v.title.startswith("1") and v.kind == "module" for v in comparison.drawing.vertices)
    removed = [v for v in comparison.drawing.vertices if v.sign == "removed"]
    assert [v.title for v in removed] == ["bias"]


def test_the_names_of_results_are_no_difference() -> None:
    x = leaf(2)
    before = np.tanh(x).sum()
    after = np.tanh(x).sum()
    assert tn.draw.diff(before, after).same
    assert tn.draw.diff([before, before * 2], [after, after * 2]).same


def test_equal_models_fold_to_one_box() -> None:
    comparison = tn.draw.diff(tn.draw(mlp(nn.Linear(8, 8)), X), tn.draw(mlp(nn.Linear(8, 8)), X))
    assert comparison.same
    assert [v.kind for v in comparison.drawing.vertices] == ["input", "module", "output"]


def test_tapes_tuples_and_dicts_are_compared() -> None:
    x = tn.tensor([1.0, 2.0])
    with tn.Tape() as first:
        y = np.exp(x)
    with tn.Tape() as second:
        y = np.exp(x) + 1
    assert tn.draw.diff(first, second).added == ["+ 1"]
    assert y.size == 2
    w = leaf(2)
    several = tn.draw.diff({"a": w * 2, "b": w * 3}, {"a": w * 2, "b": w * 3, "c": w - 5})
    assert any("− 5" in line for line in several.added)
    assert several.removed == []


def test_a_comparison_is_a_picture(tmp_path: Any) -> None:
    x = leaf(2)
    comparison = tn.draw.diff(np.exp(x).sum(), (np.exp(x) * 3).sum(), direction="LR", legend=False)
    assert 'rankdir="LR"' in comparison.dot
    assert comparison.save(tmp_path / "diff.svg").read_text(encoding="utf-8") == comparison.svg
    assert comparison.save(tmp_path / "diff.html").stat().st_size > 1000
    assert ">added<" not in comparison.svg
    assert "added" in comparison.svg.partition("<style>")[0]  # the description says it too
    assert comparison.dot == tn.draw.diff(np.exp(x).sum(), (np.exp(x) * 3).sum(), direction="LR", legend=False).dot


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((3, leaf(2) * 2), TypeError, "is of type int; give a tensor"),
        ((leaf(2) * 2, None), TypeError, "is of type NoneType"),
        ((leaf(2) * 2, leaf(2)), ValueError, "it was made by no op"),
        (
            (np.tanh, np.tanh),
            TypeError,
            r"draw\.diff: a ufunc has no graph before it is called: give pictures",
        ),
    ],
)
def test_what_cannot_be_compared(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tn.draw.diff(*arguments)


def test_options_are_checked() -> None:
    x = leaf(2)
    with pytest.raises(ValueError, match=r"draw\.diff: direction='up'; the directions are TB, LR, BT, RL"):
        tn.draw.diff(x * 2, x * 3, direction="up")
