"""Which part of a package imports which, read from its files: none of them is run."""

from __future__ import annotations

import ast
import importlib.util
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from tapenet.drawing.model import Cluster, Drawing, Edge, Value, Vertex, counted


class Import(NamedTuple):
    """One import: by which module, of what, where, and whether a function or a test of TYPE_CHECKING encloses it."""

    by: str
    of: str
    line: int
    inside_function: bool
    for_types: bool


def folder_of(x: ModuleType | str) -> Path:
    """Where the files of a package are, given it or its name.

    Raises:
        ValueError: there is no package of that name, or it is a single file.
    """
    name = x.__name__ if isinstance(x, ModuleType) else x
    try:
        found = importlib.util.find_spec(name) if isinstance(x, str) else x.__spec__
    except (ImportError, ValueError):
        found = None
    folders = list(getattr(x, "__path__", None) or (found and found.submodule_search_locations) or ())
    if not folders:
        what = "no package" if found is None else "a single module, with no parts that import each other"
        raise ValueError(
            f"draw: {name!r} is {what}; of a package, such as 'tapenet', is drawn which part imports which"
        )
    return Path(folders[0])


def modules_in(root: Path) -> dict[str, Path]:
    """The modules of a package by name, with their files."""
    return {
        ".".join((root.name, *path.relative_to(root).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in sorted(root.rglob("*.py"))
    }


def imports_in(modules: Mapping[str, Path]) -> list[Import]:
    """Every import of these modules."""
    return [found for module in modules for found in _imports(module, modules)]


def _imports(module: str, modules: Mapping[str, Path]) -> list[Import]:
    found: list[Import] = []
    path = modules[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]

    def walk(node: ast.AST, function: bool, types: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(module, a.name, node.lineno, function, types) for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            for a in node.names:
                target = f"{base}.{a.name}" if f"{base}.{a.name}" in modules else base
                found.append(Import(module, target, node.lineno, function, types))
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            types = True
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            function = True
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.stmt, ast.ExceptHandler, ast.match_case)):  # expressions have no imports
                walk(child, function, types)

    try:
        walk(ast.parse(path.read_bytes()), False, False)
    except SyntaxError:  # of another version of Python, or a template
        return []
    return found


def of_package(root: Path) -> Drawing:
    """The drawing of a package: what lies directly in its folder, with an arrow to what it imports of the package.

    An arrow is left out where others lead the same way. Parts that import each other are in one cluster, with the arrows of
    one direction. The names of the whole, and what runs as a program, stand above all and are not drawn; imports for types
    alone are none.

    Args:
        root: the folder of the package.
    """
    modules = modules_in(root)
    part = {name: name.split(".")[1] for name in modules if "." in name and name != f"{root.name}.__main__"}
    files = Counter(part.values())
    lines = dict.fromkeys(files, 0)
    for name, of in part.items():
        lines[of] += len(modules[name].read_text(encoding="utf-8").splitlines())
    uses = Counter(
        (part[i.by], part[i.of]) for i in imports_in(modules) if {i.by, i.of} <= part.keys() and not i.for_types
    )
    below: dict[str, set[str]] = {name: set() for name in files if lines[name]}
    for by, of in uses:
        if by != of and of in below:
            below[by].add(of)
    vertices: list[Vertex] = []
    clusters: list[Cluster] = []
    around: dict[str, int] = {}
    reached = {name: _reached(name, below) for name in below}
    for name in sorted(below, key=lambda name: (-len(reached[name] | {name}), sorted(reached[name]), name)):
        circle = [other for other in sorted(reached[name]) if name in reached[other]]
        if circle and circle[0] not in around:
            around |= dict.fromkeys(circle, len(clusters))
            clusters.append(Cluster("", "import each other", around="repeat"))
        card = (f"{counted(files[name], 'file')}, {counted(lines[name], 'line')}",)
        vertices.append(Vertex("module", name, card=card, cluster=around.get(name)))
    order = {vertex.title: i for i, vertex in enumerate(vertices)}
    edges = []
    for by, of in sorted(uses, key=lambda use: [order.get(name, 0) for name in use]):
        others = below.get(by, set()) - {of} - reached[of]
        led = any(of in reached[other] for other in others)
        if of in below.get(by, ()) and not led and order[by] < order[of]:  # else it goes back in a circle
            edges.append(Edge(order[by], order[of], Value((uses[by, of],), "import" + "s" * (uses[by, of] > 1))))
    return Drawing(vertices, edges, clusters, {})


def _reached(name: str, below: Mapping[str, set[str]]) -> set[str]:
    """What a part imports, and what this imports, and so on; itself where that leads back."""
    found: set[str] = set()
    pending = [name]
    while pending:
        new = below[pending.pop()] - found
        found |= new
        pending += new
    return found
