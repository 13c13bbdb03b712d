"""The parts of drawing that are loaded when a picture first needs them. Most pictures are the SVG of a recorded graph."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


def use(part: str) -> ModuleType:
    """A module of this folder by its name below it, such as "forms.pdf"."""
    return importlib.import_module(f"tapenet.drawing.{part}")


def is_a(x: object, module: str, name: str) -> bool:
    """Whether `x` is an object of a class of the package, such as "compiler.compile", "Compiled". It is none if the module
    was never loaded."""
    found = sys.modules.get(f"tapenet.{module}")
    return found is not None and isinstance(x, getattr(found, name))
