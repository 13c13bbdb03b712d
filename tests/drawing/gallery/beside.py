"""The models of the gallery as torchview draws them: the same programs, run with PyTorch in the place of tapenet.

Both call layers by the same names. torchview draws modules only, so functions and losses are left out; so is what PyTorch
calls otherwise, and what takes more than 100 kB.
"""

from __future__ import annotations

import builtins
import functools
import importlib.util
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from tests.drawing.graphviz import run_graphviz

#: The pictures that have torchview's beside them, with what that does better.
BETTER = {
    "lenet": "Each of its boxes says the shapes that come in and go out.",
    "unet2": "",
    "unet4": "",
    "densenet": "Its `cat` boxes list the shapes that come in.",
    "inception": "",
    "graph-network": "",
    "two-heads": "The two heads stand alike below the trunk.",
    "squeeze-excite": "Its `mul` box lists the shapes that meet.",
    "seq2seq": "Each step of the decoder is there to follow; ours draws two of three as one, with arrows back.",
    "wavenet": "",
    "flow": "The four couplings follow each other in a line; ours draws three as one, with arrows back.",
    "autoencoder": "",
    "transformer": "",
}
#: The programs that are run, and what they import of the tests.
_PROGRAMS = ("tests.drawing.gallery.networks", "tests.drawing.gallery.sequences", "tests.drawing.gallery.generative")
_OWN = ("tests.drawing.models", "tests.drawing.gallery.networks")


def pictures() -> dict[str, Callable[[], str]]:
    """By name in the gallery: what makes torchview's picture, as SVG. It raises where there is none."""
    entries: dict[str, Callable[[], Any]] = {}
    shim = _Shim(entries)
    for program in _PROGRAMS:
        shim.load(program)
    return {name: functools.partial(_drawn, draw) for name, draw in entries.items()}


def _drawn(draw: Callable[[], Any]) -> str:
    import torch
    from torchview import draw_graph

    torch.manual_seed(0)
    model, *inputs = draw()
    if not isinstance(model, torch.nn.Module):
        raise TypeError("torchview draws modules")
    given = tuple(torch.as_tensor(x) for x in inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = draw_graph(model, input_data=given, expand_nested=True, device="cpu")
    svg = run_graphviz(graph.visual_graph.source).decode()
    # All letters have one font, which few have: it is said once.
    svg = svg.replace(' font-family="Linux libertine" font-size="10.00"', "")
    svg = svg.replace("<svg", '<svg font-family="Linux Libertine, serif" font-size="10"', 1)
    return re.sub(r"<!--.*?-->\s*|<title>.*?</title>\s*", "", svg, flags=re.DOTALL)


def _nothing(*args: Any, **options: Any) -> None:
    """In the place of what is of no module."""


class _Over:
    """A module with some of its names replaced."""

    def __init__(self, module: Any, **own: Any) -> None:
        vars(self).update(own)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class _Shim:
    """Modules of Python in which `tapenet` and `numpy` are PyTorch."""

    def __init__(self, entries: dict[str, Callable[[], Any]]) -> None:
        import torch

        class Module(torch.nn.Module):
            """Classes of the gallery have no `super().__init__()`: tapenet needs none."""

            def __new__(cls, *args: object, **kwargs: object) -> Any:
                made = super().__new__(cls)
                torch.nn.Module.__init__(made)
                return made

            def __init__(self) -> None: ...

        def entry(about: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
            return lambda draw: entries.setdefault(draw.__name__.replace("_", "-"), draw)

        def draw(model: Any, *inputs: Any, **options: Any) -> Any:
            return model, *inputs

        nn = _Over(torch.nn, Module=Module, Parameter=lambda x: torch.nn.Parameter(torch.as_tensor(x)))
        tn = _Over(torch, nn=nn, draw=draw, op=_nothing, compile=_nothing)
        alike = ("tanh", "exp", "log", "sqrt", "einsum", "where", "maximum")
        numpy = _Over(np, concatenate=torch.cat, **{name: getattr(torch, name) for name in alike})
        self.modules: dict[str, Any] = {
            "tapenet": tn, "tapenet.nn.functional": tn, "numpy": numpy,
            "tapenet.drawing.picture": SimpleNamespace(Picture=None),
            "tests.drawing.gallery.entry": SimpleNamespace(entry=entry),
        }  # fmt: skip

    def load(self, name: str) -> Any:
        """A module, run anew with this one's imports."""
        if name not in self.modules:
            spec = importlib.util.find_spec(name)
            assert spec is not None
            assert spec.origin is not None
            made = self.modules[name] = ModuleType(name)
            vars(made)["__builtins__"] = {**vars(builtins), "__import__": self._import}
            exec(compile(Path(spec.origin).read_text(encoding="utf-8"), spec.origin, "exec"), vars(made))
        return self.modules[name]

    def _import(self, name: str, scope: Any = None, locals: Any = None, wanted: Any = (), level: int = 0) -> Any:
        if name == "tests.drawing" and wanted:
            return SimpleNamespace(**{part: self.load(f"{name}.{part}") for part in wanted})
        if name in self.modules or name in _OWN:
            return self.load(name)
        return builtins.__import__(name, scope, locals, wanted or (), level)
