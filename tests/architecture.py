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
from collections import Counter
from collections.abc import Callable
from graphlib import TopologicalSorter
from pathlib import Path

from tapenet.drawing.model import Drawing, Edge, Value, Vertex
from tapenet.drawing.picture import Picture
from tests.code_lines import code_lines
from tests.test_architecture import ROOF, folder_of, imports_in, modules_in

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"


def picture(root: Path, count: Callable[[str], int] = code_lines) -> Picture:
    """The folders of a package, from the lowest up, with an arrow from each to those that import it.

    An arrow is left out where others lead the same way: what `nn` knows by way of `autodiff` is not drawn again.
    """
    modules = modules_in(root)
    files: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for module, path in modules.items():
        if module not in ROOF:
            files[folder_of(module)] += 1
            lines[folder_of(module)] += count(path.read_text(encoding="utf-8"))
    uses: Counter[tuple[str, str]] = Counter()
    for found in imports_in(modules):
        if found.by not in ROOF and found.of in modules and found.of not in ROOF:
            uses[folder_of(found.of), folder_of(found.by)] += 1
    below: dict[str, set[str]] = {name: set() for name in files if lines[name]}
    for known, by in uses:
        if known != by and known in below:
            below[by].add(known)
    order = list(TopologicalSorter({name: sorted(below[name]) for name in sorted(below)}).static_order())
    reached: dict[str, set[str]] = {}
    for name in order:
        reached[name] = below[name].union(*(reached[known] for known in below[name]))
    vertices = [Vertex("module", f"{n}\n{_number(files[n], 'file')}, {_number(lines[n], 'line')}") for n in order]
    edges = [
        Edge(
            order.index(known),
            order.index(name),
            Value((uses[known, name],), "import" if uses[known, name] == 1 else "imports"),
        )
        for name in order
        for known in sorted(below[name])
        if not any(known in reached[other] for other in below[name])
    ]
    return Picture(Drawing(vertices, edges, []), "BT", title="Who imports whom")


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "file", nargs="?", default=PICTURE, type=Path, help="what to write, docs/images/architecture.svg if not given"
    )
    parser.add_argument("--at", metavar="REVISION", help="as the package was there")
    given = parser.parse_args()
    if given.at is None:
        picture(ROOT / "tapenet").save(given.file)
        return
    archive = subprocess.run(["git", "archive", given.at, "tapenet"], cwd=ROOT, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
        picture(Path(folder) / "tapenet").save(given.file)


if __name__ == "__main__":
    sys.exit(main())
