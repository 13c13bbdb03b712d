"""Every op in the registry can be drawn in every format, under a label that a person would write."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tapenet as tn
from tapenet.ops.op import Op
from tapenet.ops.registry import registry

#: Given no array they give one, so that there is no tensor to draw.
_OF_NOTHING = {"host", "random_draw"}
#: Functions made of others are drawn as these.
OPS = {
    name: op
    for name, op in sorted(registry.items())
    if name.startswith("tapenet.ops.") and isinstance(op, Op) and op.name not in _OF_NOTHING
}
_PAGE_DATA = re.compile(r'<script type="application/json" id="drawing">(.*?)</script>', re.DOTALL)


def pictures(name: str) -> list[Any]:
    """A picture with gradients of each sample of an op."""
    op = OPS[name]
    calls = list(op.samples(np.random.default_rng(0)))
    assert calls
    return [tn.draw(lambda *args, call=call: op(*args, **call.kwargs), *call.args, backward=True) for call in calls]


@pytest.mark.parametrize("name", OPS)
def test_labels_are_what_a_person_writes(name: str) -> None:
    for picture in pictures(name):
        for vertex in picture.source.vertices:
            if vertex.kind == "op":
                windows = vertex.title.count(", ") > 1  # of which everything that is not as usual is said
                assert 1 <= len(vertex.title) <= (72 if windows else 40)
                assert not re.search(r"_|lambda|object|function", vertex.title), vertex.title


@pytest.mark.parametrize("name", OPS)
def test_every_sample_as_text(name: str, tmp_path: Path) -> None:
    for picture in pictures(name):
        titles = [v.title.split("\n")[0] for v in picture.drawing.vertices]
        assert json.loads(picture.save(tmp_path / "op.json").read_text("utf-8"))["vertices"]
        assert picture.save(tmp_path / "op.mmd").read_text("utf-8").startswith("flowchart TB\n")
        assert picture.dot.startswith("digraph")
        page = picture.save(tmp_path / "op.html").read_text("utf-8")
        (data,) = _PAGE_DATA.findall(page)
        assert not set("<>&") & set(data)
        assert {v["title"].split("\n")[0] for v in json.loads(data)["drawing"]["vertices"]} >= set(titles)


@pytest.mark.parametrize("name", OPS)
def test_one_sample_laid_out(name: str) -> None:
    picture = pictures(name)[-1]
    shown = "".join(ET.fromstring(picture.svg).itertext())
    assert all(line in shown for v in picture.drawing.vertices for line in v.title.split("\n"))
    moving = picture.animate()
    ET.fromstring(moving.svg)
    ops = [v.title.split("\n")[0] for v in picture.drawing.vertices if v.kind == "op"]
    assert all(f"forward: {title}" in moving.text for title in ops)


@pytest.mark.parametrize("name", ["conv2d", "less", "concatenate", "getitem", "where"])
def test_printed(name: str, tmp_path: Path) -> None:
    op = getattr(tn, name)
    picture = pictures(f"{op.__module__}.{op.name}")[0]
    assert picture.save(tmp_path / "op.pdf").read_bytes().startswith(b"%PDF-")
    assert picture.save(tmp_path / "op.png").read_bytes().startswith(b"\x89PNG")
