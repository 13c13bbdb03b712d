"""Writes the stubs of the namespaces, in which type checkers and editors find what is loaded at first use: one beside each
module that `tapenet.names` has names for.

python -m tests.stubs
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

from tapenet.names import NAMES, homes

#: `tapenet.ops` is for the package itself, whose modules also use what is not public.
SPACES = [space for space in NAMES if space != "tapenet.ops"]


def path(space: str) -> Path:
    """The stub of a namespace."""
    spec = importlib.util.find_spec(space)
    return Path(str(spec and spec.origin)).with_suffix(".pyi")


def stub(space: str) -> str:
    """Its text."""
    return "\n".join(["# Made by `python -m tests.stubs`.", *_imports(space), ""])


def _imports(space: str) -> Iterator[str]:
    for name, module in sorted(homes(space).items(), key=lambda pair: (pair[1], pair[0])):
        yield f"from {module} import {name} as {name}"
    if space == "tapenet":
        yield "\n__version__: str"


if __name__ == "__main__":
    for each in SPACES:
        path(each).write_text(stub(each), encoding="utf-8")
