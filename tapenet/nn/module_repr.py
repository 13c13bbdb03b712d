"""The repr of a module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tapenet.autodiff.tensor import Tensor
from tapenet.nn.module_tree import Tree, walk


def settings(layer: Tree, usual: Mapping[str, object]) -> str:
    """The settings of a layer that are not the usual ones."""
    present = {name: getattr(layer, name) for name in usual}
    return "".join(f", {name}={value!r}" for name, value in present.items() if value != usual[name])


class _Line(NamedTuple):
    """One line of the repr: a module, its own parameters, and how many numbers they hold."""

    text: str
    parameters: str = ""
    size: int = 0


def described(root: Tree) -> list[str]:
    """The lines of a module's repr: each module below it with its settings, shapes and sizes, and the total."""
    lines = _lines(root, "", 0, {})
    total = f"{root.num_parameters():,} parameters"
    frozen = sum(p.size for p in root.parameters() if not p.requires_grad)
    if frozen:
        total += f" ({frozen:,} frozen)"
    buffers = sum(b.size for b in root.buffers())
    if buffers:
        total += f", buffers: {buffers:,}"
    if len(lines) == 1:
        line = lines[0]
        return ["  ".join([line.text, line.parameters, total]) if line.parameters else line.text]
    sizes = [f"{line.size:,}" if line.size else "" for line in lines]
    widths = [max(map(len, column)) for column in ([n.text for n in lines], [n.parameters for n in lines], sizes)]
    rows = zip(lines, sizes, strict=True)
    text = [f"{n.text:<{widths[0]}}  {n.parameters:<{widths[1]}}  {c:>{widths[2]}}".rstrip() for n, c in rows]
    return [*text, total]


def _lines(module: Tree, name: str, depth: int, seen: dict[int, str]) -> list[_Line]:
    """The lines of a module and those below it. `seen` has the full name of everything shown so far."""
    parts = list(walk(module, deep=False, repeats=True))[1:]
    prefix = name + "." if name else ""
    seen[id(module)] = name or "the whole"
    shown, size = [], 0
    below: list[_Line] = []
    for n, value in parts:
        before = seen.get(id(value))
        seen.setdefault(id(value), prefix + n)
        if not isinstance(value, Tensor):
            if before is None:
                lines = _lines(value, prefix + n, depth + 1, seen)
            else:
                lines = [_Line(f"{type(value).__name__}, the same as {before}")]
            below.append(lines[0]._replace(text=f"{'  ' * (depth + 1)}{n}: {lines[0].text}"))
            below += lines[1:]
        elif value._kind is not None and value._kind.endswith("parameter"):
            notes = ["of no shape yet" if value._kind.startswith("lazy") else str(value.shape)]
            if value.dtype != np.float32:
                notes.append(str(value.dtype))
            if not value.requires_grad:
                notes.append("frozen")
            if before is not None:
                notes.append(f"the same as {before}")
            else:
                size += value.size
            shown.append(" ".join([n, *notes]))
    title = f"{type(module).__name__}({module.extra_repr()}"
    if not below:
        return [_Line(title + ")", ", ".join(shown), size)]
    return [_Line(title, ", ".join(shown), size), *below, _Line("  " * depth + ")")]
