"""Draws which folder of the package imports which, by the package's own drawing.

python -m tests.architecture [FILE] [--at REVISION]
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import tapenet as tn
from tapenet.drawing.passes.view import View
from tapenet.drawing.picture import Picture
from tapenet.drawing.sources.imports import of_package

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
TITLE = "Who imports whom"


def picture() -> Picture:
    """The folders of this package."""
    return tn.draw(tn, title=TITLE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "file", nargs="?", default=PICTURE, type=Path, help="what to write, docs/images/architecture.svg if not given"
    )
    parser.add_argument("--at", metavar="REVISION", help="as the package was there")
    given = parser.parse_args()
    if given.at is None:
        picture().save(given.file)
        return
    archive = subprocess.run(["git", "archive", given.at, "tapenet"], cwd=ROOT, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
        Picture(of_package(Path(folder) / "tapenet"), view=View(), title=TITLE).save(given.file)


if __name__ == "__main__":
    sys.exit(main())
