"""Draws the gallery: docs/gallery, a picture each of what people draw, and a page that shows them.

python -m tests.gallery [NAME ...]
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np

import tapenet as tn
from tapenet.drawing.picture import Picture
from tests.drawing.gallery import generative, networks, numerical, sequences, training
from tests.drawing.gallery.entry import GALLERY, Entry

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "gallery"
THEMES = (networks, sequences, generative, training, numerical)


def drawn(entry: Entry) -> Picture:
    """A picture of the gallery, the same each time."""
    tn.random.seed(0)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the first nan
        return entry.draw()


def page() -> str:
    """The page of the gallery."""
    lines = [
        "# Gallery",
        "",
        f"{len(GALLERY)} graphs as `tn.draw` draws them. `python -m tests.gallery` makes the pictures; the",
        "programs are in [tests/drawing/gallery](../../tests/drawing/gallery).",
    ]
    for theme in THEMES:
        name = theme.__name__.rpartition(".")[2]
        lines += ["", f"## {name.capitalize()}", "", theme.__doc__ or ""]
        for entry in GALLERY.values():
            if entry.theme == name:
                lines += ["", f"### {entry.about}", "", f"![{entry.about}]({entry.name}.svg)"]
    return "\n".join([*lines, ""])


def main() -> None:
    names = sys.argv[1:]
    FOLDER.mkdir(exist_ok=True)
    for entry in GALLERY.values():
        if not names or entry.name in names:
            start = time.perf_counter()
            made = drawn(entry).svg.replace(f"{ROOT}/", "")  # tooltips name lines of code
            taken = time.perf_counter() - start
            (FOLDER / f"{entry.name}.svg").write_text(made, encoding="utf-8")
            print(f"{entry.name:20} {taken:5.1f} s {len(made.encode()) / 1000:6.0f} kB", flush=True)
    (FOLDER / "README.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
