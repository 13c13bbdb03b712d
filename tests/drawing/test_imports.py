"""Packages: which part imports which."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tapenet as tn
from tapenet.drawing.sources.imports import of_package

FILES = {
    "__init__.py": "from made.top import run\n",
    "__main__.py": "import made.low\n",
    "top/__init__.py": "from ..middle import one\nfrom made.low import zero\n",
    "top/more.py": "import made.middle.two\n",
    "middle/one.py": "def f():\n    from made.low import zero\n",
    "middle/two.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import made.top\n",
    "low.py": "import made.ring_a\n",
    "ring_a.py": "import made.ring_b\n",
    "ring_b.py": "import made.ring_a\n",
    "old.py": "print 'of another version'\n",
}


def test_parts_are_boxes_and_imports_are_arrows_unless_others_lead_there(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / "made" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / name).write_text(text)
    drawing = of_package(tmp_path / "made")
    titles = [vertex.title for vertex in drawing.vertices]
    assert titles.index("top") < titles.index("middle") < titles.index("low") < titles.index("ring_a")
    told = {(titles[e.tail], titles[e.head], str(e.value)) for e in drawing.edges}
    assert told == {
        ("top", "middle", "2 imports"),
        ("middle", "low", "1 import"),
        ("low", "ring_a", "1 import"),
        ("ring_a", "ring_b", "1 import"),
    }
    assert drawing.vertices[titles.index("top")].card == ("2 files, 3 lines",)
    assert [cluster.type for cluster in drawing.clusters] == ["import each other"]
    assert [v.title for v in drawing.vertices if v.cluster == 0] == ["ring_a", "ring_b"]


@pytest.mark.parametrize("package", [json, "json"])
def test_a_package_is_drawn_by_itself_or_its_name(package: object) -> None:
    assert "decoder" in [vertex.title for vertex in tn.draw(package).drawing.vertices]
