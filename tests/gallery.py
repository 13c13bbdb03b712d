"""Draws the gallery: docs/gallery, a picture each of what people draw, and a page that shows them.

python -m tests.gallery [NAME ...]
python -m tests.gallery --torchview [NAME ...]  # torchview's pictures, with PyTorch, torchview and graphviz
"""

from __future__ import annotations

import re
import sys
import time
import warnings
from pathlib import Path

import numpy as np

import tapenet as tn
from tapenet.drawing.picture import Picture
from tests.drawing.gallery import beside, generative, networks, numerical, sequences, structure, training
from tests.drawing.gallery.entry import GALLERY, Entry

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "gallery"
THEMES = (networks, sequences, generative, training, numerical, structure)


#: Charts, which pages of the documentation make.
CHARTS = {
    "A training run": "training-history",
    "A confusion matrix": "training-confusion",
    "How far a model is right where it says so": "calibration",
}


def drawn(entry: Entry) -> Picture:
    """A picture of the gallery, the same each time."""
    tn.random.seed(0)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the first nan
        return entry.draw()


def written(picture: Picture) -> str:
    """The file of a picture, the same on other machines: tooltips name files, and ids are hashes of all that is said."""
    return re.sub(r"tapenet-[0-9a-f]{12}", "tapenet-picture", picture.svg.replace(f"{ROOT}/", ""))


def shown(entry: Entry) -> str:
    """A picture on the page, with torchview's beside it where that has one."""
    if entry.name not in beside.BETTER:
        return f"![{entry.about}]({entry.name}.svg)"
    ours, theirs = (
        f'<img src="{file}.svg" alt="{about}" height="800">'
        for file, about in ((entry.name, entry.about), (f"torchview/{entry.name}", "the same by torchview"))
    )
    return f"{ours} {theirs}\n\nThe second is torchview's. {beside.BETTER[entry.name]}".rstrip()


def page() -> str:
    """The page of the gallery."""
    lines = [
        "# Gallery",
        "",
        f"{len(GALLERY)} graphs as `tn.draw` draws them. `python -m tests.gallery` makes the pictures; the",
        "programs are in [tests/drawing/gallery](../../tests/drawing/gallery). Beside some is what torchview 0.2.7 draws of",
        "the same program in PyTorch (`python -m tests.gallery --torchview`), with a word where that is better.",
    ]
    for theme in THEMES:
        name = theme.__name__.rpartition(".")[2]
        lines += ["", f"## {name.capitalize()}", "", theme.__doc__ or ""]
        for entry in GALLERY.values():
            if entry.theme == name:
                lines += ["", f"### {entry.about}", "", shown(entry)]
    lines += ["", "## Charts", "", "What was trained, in the same fonts and colours."]
    for about, name in CHARTS.items():
        lines += ["", f"### {about}", "", f"![{about}](../images/{name}.svg)"]
    return "\n".join([*lines, ""])


def main() -> None:
    names = sys.argv[1:]
    (FOLDER / "torchview").mkdir(parents=True, exist_ok=True)
    if "--torchview" in names:
        pictures = beside.pictures()
        for name in beside.BETTER:
            if name in names or len(names) == 1:
                (FOLDER / "torchview" / f"{name}.svg").write_text(pictures[name](), encoding="utf-8")
        return
    for entry in GALLERY.values():
        if not names or entry.name in names:
            start = time.perf_counter()
            made = written(drawn(entry))
            taken = time.perf_counter() - start
            (FOLDER / f"{entry.name}.svg").write_text(made, encoding="utf-8")
            print(f"{entry.name:20} {taken:5.1f} s {len(made.encode()) / 1000:6.0f} kB", flush=True)
    (FOLDER / "README.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
